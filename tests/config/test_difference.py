"""What an edit changed, as it may be kept: key by key, bounded, without addresses; times of day as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from policywatch.settings import Settings, day_time, difference, effective, kept_until_restart, masked


def settings(**written: Any) -> Settings:
    return Settings.model_validate({"catalogue": "none", **written})


def changed(before: Settings, after: Settings) -> dict[str, tuple[Any, Any]]:
    return {one.key: (one.before, one.after) for one in difference(effective(before), effective(after))}


def test_each_changed_key_is_named_with_its_value_before_and_after() -> None:
    document = {"name": "Terms", "pages": [{"url": "https://x.example/terms", "select": "main"}]}
    found = changed(
        settings(fetch={"cadence": "6 h"}),
        settings(fetch={"cadence": "7 h"}, platforms={"x": {"name": "X", "documents": {"terms": document}}}),
    )
    assert found["fetch.cadence"] == ("6 h", "7 h")
    assert list(found) == ["platforms.x", "fetch.cadence"]
    before, after = found["platforms.x"]
    assert before is None and after["documents"]["terms"]["pages"][0]["url"] == "https://x.example/terms"


def test_no_address_and_no_password_is_kept_and_a_long_value_is_counted() -> None:
    password = {"secret": "smtp-password"}
    mail = {"host": "relay.example", "port": 465, "tls": "tls", "user": "desk", "password": password}
    found = changed(
        settings(alerts={"mail_to": ["a@desk.example"]}),
        settings(alerts={"mail_to": ["b@desk.example"]}, mail={**mail, "sender": "desk@desk.example"}),
    )
    assert found["alerts.mail_to"] == (["(address)"], ["(address)"])
    assert found["mail.sender"] == ("(address)", "(address)")
    assert found["mail.password"] == (None, password)
    assert "@" not in repr(found)

    many = {f"p{n}": {"name": f"Platform {n}", "documents": {}} for n in range(300)}
    lots = changed(settings(), settings(platforms=many))
    assert len(lots) == 101 and list(lots)[-1] == "and 200 more keys"
    (long,) = changed(
        settings(), settings(guidance={"test_group": [f"m{n}@x.example" for n in range(99)]})
    ).values()
    assert long == ([], "(99 entries)")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('mail.sender is "a@b.example"; it must', 'mail.sender is "(address)"; it must'),
        ("write to <eve@x.example>, please", "write to <(address)>, please"),
        ("ask a@b.example.", "ask (address)."),
        ("https://mastodon.example/@eve stays", "https://mastodon.example/@eve stays"),
    ],
)
def test_addresses_in_a_sentence_are_taken_out(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_what_is_taken_at_the_start_waits_and_the_rest_holds() -> None:
    running = settings(database={"pool_size": 3}, fetch={"cadence": "6 h"})
    wanted = settings(database={"pool_size": 5}, metrics={"enabled": False}, fetch={"cadence": "7 h"})

    followed, waits = kept_until_restart(running, wanted)

    assert (followed.database, followed.metrics, followed.fetch) == (
        running.database,
        running.metrics,
        wanted.fetch,
    )
    assert waits == ("database.pool_size", "metrics.enabled")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("08:00", "08:00 UTC"),
        ("7:30 Europe/Berlin", "07:30 Europe/Berlin"),
        ("off", None),
        ("23:59 UTC", "23:59 UTC"),
    ],
)
def test_a_time_of_day_has_a_zone_or_is_off(written: str, kept: str | None) -> None:
    made = settings(alerts={"digest_at": written})
    assert made.alerts.digest_at == kept
    assert Settings.model_validate(effective(made)).alerts.digest_at == kept


@pytest.mark.parametrize("written", ["24:00", "8", "08:60", "08:00 Middle/Earth", "soon", "08:00 ../etc"])
def test_what_is_no_time_of_day_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="must "):
        day_time(written)
