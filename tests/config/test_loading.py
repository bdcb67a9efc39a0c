"""Where settings come from and what wins."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from policywatch import settings
from policywatch.errors import SettingsError
from policywatch.simulated.world import demo_settings, settings_text


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An account without any settings file, standing in an empty folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return {"HOME": str(tmp_path / "home")}


def written(folder: Path, text: str) -> Path:
    path = folder / "policywatch.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_without_any_file_the_defaults_hold(env: dict[str, str]) -> None:
    loaded = settings.load(env=env)

    assert loaded.source_path is None
    assert loaded.guidance.grace_period == timedelta(minutes=5)
    assert len(loaded.platforms) == 7


def test_the_file_named_by_hand_comes_before_all_other_places(env: dict[str, str], tmp_path: Path) -> None:
    by_hand = written(tmp_path / "a", "guidance: {approvals_needed: 2}")
    by_variable = written(tmp_path / "b", "guidance: {approvals_needed: 3}")
    here = written(Path.cwd(), "guidance: {approvals_needed: 4}")
    personal = written(Path(env["HOME"]) / ".config" / "policywatch", "guidance: {approvals_needed: 5}")
    variable = env | {"POLICYWATCH_CONFIG": str(by_variable)}

    assert settings.load(by_hand, variable).guidance.approvals_needed == 2
    assert settings.load(env=variable).guidance.approvals_needed == 3
    assert settings.load(env=env).source_path == here
    here.unlink()
    assert settings.load(env=env).source_path == personal


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_named_file_that_is_missing_does_not_mean_defaults(env: dict[str, str], by: str) -> None:
    missing = Path("/nonexistent/policywatch.yaml")

    with pytest.raises(SettingsError, match="no such settings file"):
        if by == "option":
            settings.load(missing, env)
        else:
            settings.load(env=env | {"POLICYWATCH_CONFIG": str(missing)})


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    env: dict[str, str], tmp_path: Path
) -> None:
    path = written(tmp_path, "mail: {port: 2500, sender_name: Ours}\nfetch:\n")

    loaded = settings.load(path, env | {"POLICYWATCH_MAIL__PORT": "2525"})

    assert loaded.mail.port == 2525
    assert loaded.mail.sender_name == "Ours"
    assert loaded.mail.connections == 4


def test_lists_references_and_words_can_be_given_by_the_environment(env: dict[str, str]) -> None:
    loaded = settings.load(
        env=env
        | {
            "POLICYWATCH_GUIDANCE__TEST_GROUP": "[a@b.example, c@d.example]",
            "POLICYWATCH_MAIL__PASSWORD": "{secret: smtp-password}",
            "POLICYWATCH_MAIL__USER": "relay: user",
            "POLICYWATCH_MAIL__TLS": "starttls",
            "POLICYWATCH_FETCH__SECOND_LOOK": "10 min",
            "POLICYWATCH_FETCH__CONTACT": "",
        }
    )

    assert loaded.guidance.test_group == ("a@b.example", "c@d.example")
    assert loaded.mail.password == settings.SecretRef(secret="smtp-password")
    assert loaded.mail.user == "relay: user"
    assert loaded.fetch.second_look == timedelta(minutes=10)
    assert loaded.fetch.contact is None


def test_a_database_address_in_the_environment_chooses_that_server(env: dict[str, str]) -> None:
    loaded = settings.load(env=env | {"POLICYWATCH_DATABASE_URL": "postgresql://bob:hunter2@db.example/pw"})

    assert loaded.database.mode == "dsn"
    assert loaded.database.dsn == "postgresql://bob:hunter2@db.example/pw"
    assert "hunter2" not in repr(loaded)
    assert "hunter2" not in settings.as_yaml(loaded)
    assert "bob:***@db.example" in settings.as_yaml(loaded, "database")


def test_names_that_are_read_elsewhere_are_no_settings(env: dict[str, str]) -> None:
    settings.load(
        env=env
        | {
            "POLICYWATCH_SECRET_SMTP_PASSWORD": "x",
            "POLICYWATCH_TEST_DSN": "postgresql:///x",
            "POLICYWATCH_CORPUS": "/somewhere",
        }
    )


def test_auto_means_the_account_and_its_state_folder(env: dict[str, str], tmp_path: Path) -> None:
    loaded = settings.load(env=env | {"XDG_STATE_HOME": str(tmp_path / "state")})

    assert loaded.database.state_folder == tmp_path / "state" / "policywatch"
    assert loaded.backup.folder == tmp_path / "state" / "policywatch" / "backups"
    assert loaded.database.user == settings.account_name()
    if os.geteuid() == 0:
        assert settings.load(env=env).database.state_folder == Path("/var/lib/policywatch")


def test_relative_paths_count_from_the_file_that_holds_them(env: dict[str, str], tmp_path: Path) -> None:
    path = written(
        tmp_path / "etc",
        "members: {file: members.csv}\ndatabase: {state_folder: ../state}\nbackup: {folder: ~/b}",
    )

    loaded = settings.load(path, env)

    assert loaded.members.file == tmp_path / "etc" / "members.csv"
    assert loaded.database.state_folder == tmp_path / "state"
    assert loaded.backup.folder == tmp_path / "home" / "b"


def test_an_operators_platforms_are_laid_over_the_shipped_ones(env: dict[str, str], tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
platforms:
  x:
    documents:
      deceased-users: {paused: true}
  mastodon-social:
    name: mastodon.social
    documents:
      privacy-policy:
        name: Privacy Policy
        cadence: 1 h
        pages: [{url: https://mastodon.social/privacy-policy, select: main}]
segments:
  norway: {name: Norway, criteria: {country: NO}}
""",
    )

    loaded = settings.load(path, env)
    documents = {(one.platform, one.key): one for one in settings.catalogue(loaded)}

    assert len(documents) == 54
    assert documents["x", "deceased-users"].paused
    assert documents["x", "deceased-users"].pages
    assert documents["x", "deceased-users"].aliases == ("Twitter",)
    assert documents["x", "terms-of-service"].cadence == timedelta(hours=12)
    assert documents["mastodon-social", "privacy-policy"].cadence == timedelta(hours=1)
    assert documents["mastodon-social", "privacy-policy"].platform_position == 8
    assert loaded.segments["norway"].criteria == {"country": ("NO",)}
    assert list(loaded.segments)[:4] == ["all", "journalists", "creators", "eu"]


def test_the_settings_of_the_demo_load(env: dict[str, str], tmp_path: Path) -> None:
    text = settings_text(demo_settings(smtp_port=2525, members=tmp_path / "members.csv"))

    loaded = settings.load(written(tmp_path, text), env)

    assert len(loaded.platforms) == 7
    assert all(
        page.url.split("/")[2].endswith(".test") for d in settings.catalogue(loaded) for page in d.pages
    )
    assert loaded.fetch.min_gap == timedelta(milliseconds=50)


def test_equal_settings_have_equal_hashes_wherever_they_stand(env: dict[str, str], tmp_path: Path) -> None:
    one = settings.load(written(tmp_path / "a", "mail: {port: 26}  # ours"), env)
    two = settings.load(env=env | {"POLICYWATCH_MAIL__PORT": "26"})
    other = settings.load(env=env)

    assert one.sha256 == two.sha256 != other.sha256


def test_what_is_shown_can_be_loaded_again(env: dict[str, str], tmp_path: Path) -> None:
    loaded = settings.load(env=env)

    again = settings.load(written(tmp_path, settings.as_yaml(loaded)), env)

    assert again.sha256 == loaded.sha256


def test_nothing_changes_after_loading(env: dict[str, str]) -> None:
    loaded = settings.load(env=env)

    with pytest.raises(ValidationError, match="frozen"):
        setattr(loaded.mail, "port", 1)  # noqa: B010 (the type checker refuses it, too)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30 s", timedelta(seconds=30)),
        ("5min", timedelta(minutes=5)),
        ("1 h 30 min", timedelta(minutes=90)),
        ("2 weeks", timedelta(days=14)),
        (2.5, timedelta(seconds=2.5)),
        ("50 ms", timedelta(milliseconds=50)),
    ],
)
def test_durations_are_read_as_people_write_them(text: object, length: timedelta) -> None:
    assert settings.parse_duration(text) == length
    assert settings.parse_duration(settings.format_duration(length)) == length


@pytest.mark.parametrize("text", ["5 m", "five", "", "-1 s", "5 min min", True, None, [5], "1e400 s", "nan"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        settings.parse_duration(text)


def test_a_page_may_name_a_stored_secret_and_only_over_https(tmp_path: Path, env: dict[str, str]) -> None:
    page = "url: {}, select: main, credential: {{name: api-token{}}}"
    text = "platforms: {{mine: {{name: Mine, documents: {{terms: {{name: Terms, pages: [{{{}}}]}}}}}}}}"

    loaded = settings.load(written(tmp_path, text.format(page.format("https://a.example/t", ""))), env)
    assert loaded.platforms["mine"].documents["terms"].pages[0].request_headers() == {
        "Authorization": "Bearer {credential}"
    }
    for url, more in (("http://a.example/t", ""), ("https://a.example/t", ", header: Cookie")):
        with pytest.raises(SettingsError):
            settings.load(written(tmp_path, text.format(page.format(url, more))), env)
