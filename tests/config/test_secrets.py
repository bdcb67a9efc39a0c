"""Where the values of secrets come from, and keys."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

from policywatch import bounded, secrets, settings
from policywatch.errors import SettingsError

SMTP = settings.SecretRef(secret="smtp-password")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    (folder / "secrets").mkdir(parents=True, mode=0o700)
    return folder


@pytest.fixture
def loaded(state: Path) -> settings.Settings:
    return settings.load(env={"HOME": "/nonexistent", "POLICYWATCH_DATABASE__STATE_FOLDER": str(state)})


def put(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def found(loaded: settings.Settings, env: dict[str, str]) -> str:
    return secrets.resolve(SMTP, loaded, env=env, keyring=False)


def test_the_first_place_that_has_a_secret_wins(
    loaded: settings.Settings, state: Path, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    env = {"POLICYWATCH_SECRET_SMTP_PASSWORD": "third", "CREDENTIALS_DIRECTORY": str(credentials)}

    assert found(loaded, env) == "third"
    put(state / "secrets" / "smtp-password", "second\n")
    assert found(loaded, env) == "second"
    put(credentials / "smtp-password", "first\n", 0o440)
    assert found(loaded, env) == "first"
    assert secrets.source_of(SMTP, loaded, env=env) == "credential"


def test_a_secret_that_is_nowhere_is_an_error_that_says_where_to_put_it(
    loaded: settings.Settings, state: Path
) -> None:
    with pytest.raises(SettingsError, match="smtp-password is nowhere") as caught:
        found(loaded, {})

    assert str(state / "secrets" / "smtp-password") in caught.value.remedy
    assert "POLICYWATCH_SECRET_SMTP_PASSWORD" in caught.value.remedy


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o602])
def test_a_file_that_others_may_read_is_refused_and_not_passed_over(
    loaded: settings.Settings, state: Path, mode: int
) -> None:
    path = put(state / "secrets" / "smtp-password", "hunter2", mode)

    with pytest.raises(SettingsError, match=f"it has mode {mode:04o}") as caught:
        found(loaded, {"POLICYWATCH_SECRET_SMTP_PASSWORD": "other"})

    assert caught.value.remedy == f"Run: chmod 600 {path}"
    assert "hunter2" not in str(caught.value)


def test_links_pipes_and_folders_are_refused(loaded: settings.Settings, state: Path, tmp_path: Path) -> None:
    path = state / "secrets" / "smtp-password"

    path.symlink_to(put(tmp_path / "elsewhere", "hunter2"))
    with pytest.raises(SettingsError, match="is a symbolic link"):
        found(loaded, {})
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(SettingsError, match="is not a regular file"):
        found(loaded, {})
    path.unlink()
    path.mkdir()
    with pytest.raises(SettingsError, match="is not a regular file"):
        found(loaded, {})


def test_a_folder_that_others_may_change_is_refused(loaded: settings.Settings, state: Path) -> None:
    put(state / "secrets" / "smtp-password", "hunter2")
    (state / "secrets").chmod(0o777)

    with pytest.raises(SettingsError, match="may be changed by others"):
        found(loaded, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_account_is_refused(loaded: settings.Settings, state: Path) -> None:
    path = put(state / "secrets" / "smtp-password", "hunter2")
    os.chown(path, 65534, 65534)

    with pytest.raises(SettingsError, match="belongs to another account"):
        found(loaded, {})


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"a\0b", b"x" * 70_000])
def test_a_file_without_a_usable_value_is_refused(
    loaded: settings.Settings, state: Path, content: bytes
) -> None:
    put(state / "secrets" / "smtp-password", content)

    with pytest.raises(SettingsError):
        found(loaded, {})


def test_logs_and_reprs_name_the_place_and_never_the_value(
    loaded: settings.Settings, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(state / "secrets" / "smtp-password", "hunter2")
    caplog.set_level(logging.DEBUG, "policywatch")

    value = found(loaded, {})
    key = secrets.master_key(state, create=True, env={})

    assert "name=smtp-password source=file" in caplog.text
    assert "hunter2" not in caplog.text + repr(value) + repr([value])
    assert repr(key) == str(key) == "Key(hidden)"
    assert value == "hunter2"


def test_the_keyring_is_asked_in_a_child_and_its_silence_is_no_error(
    loaded: settings.Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus"}

    with pytest.raises(SettingsError, match="nowhere"):
        secrets.resolve(SMTP, loaded, env=env)

    def silent(*_: object, **__: object) -> None:
        raise bounded.BoundedError("too slow", reason="wall")

    monkeypatch.setattr(bounded, "run", silent)
    with pytest.raises(SettingsError, match="nowhere"):
        secrets.resolve(SMTP, loaded, env=env)


def test_only_keyrings_on_the_list_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    class Plaintext:
        __module__ = "keyrings.alt.file"

        def get_password(self, *_: str) -> str:
            raise AssertionError("asked")

    class Wallet:
        __module__ = "keyring.backends.kwallet"

        def get_password(self, service: str, name: str) -> str:
            return f"{service}/{name}"

    class Chain:
        __module__ = "keyring.backends.chainer"
        backends = (Plaintext(), Wallet())

    monkeypatch.setattr(keyring, "get_keyring", Chain)
    assert secrets.ask_keyring("smtp-password")["value"] == "policywatch/smtp-password"
    monkeypatch.setattr(keyring, "get_keyring", Plaintext)
    assert secrets.ask_keyring("smtp-password")["allowed"] is False


def test_the_master_key_is_made_once_and_only_when_told(state: Path) -> None:
    with pytest.raises(SettingsError, match="no master key"):
        secrets.master_key(state, env={})

    made = secrets.master_key(state, create=True, env={})

    assert len(made) == 32
    assert secrets.master_key(state, create=True, env={}) == made == secrets.master_key(state, env={})
    assert (state / "policywatch.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in state.iterdir()) == ["policywatch.key", "secrets"]


def test_programs_that_start_at_once_get_the_same_key(state: Path) -> None:
    keys: list[bytes] = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        keys.append(secrets.master_key(state, create=True, env={}))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_a_credential_comes_before_the_key_file(state: Path, tmp_path: Path) -> None:
    secrets.master_key(state, create=True, env={})
    put(tmp_path / "policywatch.key", b"k" * 32, 0o440)

    assert secrets.master_key(state, env={"CREDENTIALS_DIRECTORY": str(tmp_path)}) == b"k" * 32


def test_a_new_version_is_made_beside_the_first_or_by_hand_where_systemd_hands_it_in(
    state: Path, tmp_path: Path
) -> None:
    made = secrets.new_master_key(state, 2, env={})
    assert secrets.new_master_key(state, 2, env={}) == made == secrets.master_key(state, version=2, env={})
    assert (state / "policywatch.key.2").stat().st_mode & 0o777 == 0o600

    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    put(tmp_path / "policywatch.key", b"k" * 32, 0o440)
    with pytest.raises(SettingsError, match="handed in by systemd") as refused:
        secrets.new_master_key(state, 3, env=env)
    assert "policywatch.key.3" in refused.value.remedy
    assert not (state / "policywatch.key.3").exists()
    put(tmp_path / "policywatch.key.3", b"n" * 32, 0o440)
    assert secrets.new_master_key(state, 3, env=env) == b"n" * 32


def test_an_unsafe_or_damaged_key_is_refused(state: Path) -> None:
    path = put(state / "policywatch.key", b"k" * 31)
    with pytest.raises(SettingsError, match="has 31 bytes; it must have 32"):
        secrets.master_key(state, create=True, env={})

    put(path, b"k" * 32, 0o640)
    with pytest.raises(SettingsError, match="mode 0640"):
        secrets.master_key(state, create=True, env={})


def test_each_purpose_has_a_key_of_its_own_that_stays_the_same() -> None:
    keys = {label: secrets.derive(b"m" * 32, label) for label in secrets.LABELS}

    assert len(set(keys.values())) == len(secrets.LABELS) == 9
    assert keys["msgid/1"].hex() == MSGID
    with pytest.raises(ValueError, match="no key has the label"):
        secrets.derive(b"m" * 32, "other/1")


#: Computed once with another implementation (RFC 5869 by hand with hmac): data written years ago depends on it.
MSGID = "f5868bb3f806ba52b9441adce191c9dad052ba9cb19ecd312c686bd4307e2e06"
