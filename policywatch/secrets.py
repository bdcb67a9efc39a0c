"""Where secrets come from, and the keys that are derived from the master key.

A secret is asked for by name; the first place that has it wins: systemd credential, file in the state folder,
environment, keyring, a question at the terminal. A place that has it in an unsafe way (a file that others may
read) is an error and not passed over: the operator believes it to be in use. Logs name the place, never the value.

Not here: what is made of the master key beyond its sub-keys (`keys`); secrets in the database.
"""

from __future__ import annotations

import getpass
import logging
import os
import re
import secrets as random_source
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from policywatch import bounded
from policywatch.errors import SettingsError
from policywatch.settings import SecretRef, Settings

__all__ = [
    "LABELS",
    "Key",
    "SecretText",
    "derive",
    "key_name",
    "keyring_state",
    "master_key",
    "new_master_key",
    "resolve",
    "source_of",
]

log = logging.getLogger("policywatch.secrets")

LABELS = frozenset(
    {
        "credential/1",
        "recipient-hash/1",
        "recipient-addr/1",
        "msgid/1",
        "verp/1",
        "unsub/1",
        "audit/1",
        "webhook/1",
        "request/1",
    }
)
_PURPOSES = frozenset(label.partition("/")[0] for label in LABELS)
KEY_FILE = "policywatch.key"
KEY_BYTES = 32
KEYRING_SERVICE = "policywatch"
KEYRING_SECONDS = 3.0
# Backends that keep secrets secret. Others write clear text without asking, or keep nothing (`null`).
KEYRING_BACKENDS = (
    "keyring.backends.SecretService",
    "keyring.backends.libsecret",
    "keyring.backends.kwallet",
    "keyring.backends.macOS",
)
MAX_BYTES = 64 * 1024
_NONE_THERE = "the keyring has none of that name"


class SecretText(str):
    """A secret's value; its repr is hidden, so that tracebacks and logs of containers do not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretText(hidden)"


class Key(bytes):
    """Key material; its repr is hidden."""

    def __repr__(self) -> str:
        return "Key(hidden)"

    __str__ = __repr__


def resolve(
    ref: SecretRef,
    settings: Settings,
    *,
    env: Mapping[str, str] = os.environ,
    keyring: bool = True,
    ask: bool = False,
) -> SecretText:
    """The value of a secret. Raises SettingsError with the places that were asked, or why one is unsafe.

    `keyring=False` for programs that run without a person (the daemon): a locked keyring asks on a screen.
    `ask` for commands of a person: where no place has it, the terminal is asked, if there is one.
    """
    source, value, why = _find(ref.secret, settings.database.state_folder, env, keyring)
    if value is None and ask:
        source, value = "terminal", _from_terminal(ref.secret)
    if value is None:
        raise _missing(ref.secret, settings.database.state_folder, why)
    log.info("secret_found name=%s source=%s", ref.secret, source)
    return SecretText(value)


def source_of(
    ref: SecretRef, settings: Settings, *, env: Mapping[str, str] = os.environ, keyring: bool = True
) -> str:
    """Which place has the secret: credential, file, environment, keyring. Raises SettingsError as `resolve`."""
    source, value, why = _find(ref.secret, settings.database.state_folder, env, keyring)
    if value is None:
        raise _missing(ref.secret, settings.database.state_folder, why)
    return source


def key_name(version: int = 1) -> str:
    """The name of a version of the master key, as a file and as a systemd credential."""
    return KEY_FILE if version == 1 else f"{KEY_FILE}.{version}"


def master_key(
    state_folder: Path,
    *,
    version: int = 1,
    create: bool = False,
    person: bool = False,
    env: Mapping[str, str] = os.environ,
) -> Key:
    """The 32 bytes that all other keys are derived from.

    $CREDENTIALS_DIRECTORY/policywatch.key, else policywatch.key in the state folder (mode 0600); later versions
    have their number behind the name. With `create` a missing one is made there, once and atomically. For a
    `person` the keyring and then the terminal are asked for its 64 hexadecimal digits. Raises SettingsError when
    there is none, or an unsafe one.
    """
    name = key_name(version)
    content = _credential(name, env)
    source = "credential"
    if content is None:
        source = "file"
        path = state_folder / name
        content = _safe_file(path)
        if content is None and create:
            content = _create_key(path)
    if content is None and person:
        source, content = (
            "keyring or terminal",
            _hexadecimal(_from_keyring(name, env)[0] or _from_terminal(name)),
        )
    if content is None:
        raise SettingsError(
            f"there is no master key in {state_folder / name}",
            key=name,
            remedy="A new installation makes one by itself (policywatch migrate up); for a restored or moved "
            "database put the old key file back: without it addresses and recipients cannot be read.",
        )
    if len(content) != KEY_BYTES:
        raise SettingsError(
            f"the master key ({source}) has {len(content)} bytes; it must have {KEY_BYTES}",
            key=name,
            remedy=f"Put the original {name} back from your backup of keys.",
        )
    log.debug("master_key_found source=%s version=%d", source, version)
    return Key(content)


def _hexadecimal(text: str | None) -> bytes | None:
    try:
        return bytes.fromhex(text) if text else None
    except ValueError:
        return b""


def new_master_key(state_folder: Path, version: int, *, env: Mapping[str, str] = os.environ) -> Key:
    """The next version of the master key, made in the state folder unless a rotation that was cut off made it.

    SettingsError where systemd hands the keys in: this program cannot write there.
    """
    handed_in = _credential(KEY_FILE, env) is not None
    if handed_in and _credential(key_name(version), env) is None:
        raise SettingsError(
            "the master key is handed in by systemd; a new version cannot be written there",
            key=key_name(version),
            remedy=f"Make a file of {KEY_BYTES} random bytes, hand it in as the credential {key_name(version)} beside "
            "the old one, and run this again.",
        )
    return master_key(state_folder, version=version, create=not handed_in, env=env)


def derive(master: bytes, label: str) -> Key:
    """The key for one purpose (32 bytes, HKDF-SHA-256 with the label as info). Raises ValueError on a new label.

    A label is `purpose/version`, the version that of the master key.
    """
    purpose, _, version = label.partition("/")
    if purpose not in _PURPOSES or re.fullmatch("[1-9][0-9]{0,5}", version) is None:
        raise ValueError(f"no key has the label {label!r}")
    return Key(
        HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label.encode()).derive(bytes(master))
    )


def _find(
    name: str, state_folder: Path, env: Mapping[str, str], keyring: bool
) -> tuple[str, str | None, str]:
    """Source, value, and why the last place (the keyring) had none."""
    content = _credential(name, env)
    if content is not None:
        return "credential", _text(content, name), ""
    content = _safe_file(state_folder / "secrets" / name)
    if content is not None:
        return "file", _text(content, name), ""
    value = env.get(_variable(name))
    if value:
        return "environment", value, ""
    return ("keyring", *(_from_keyring(name, env) if keyring else (None, "")))


def _from_terminal(name: str) -> str | None:
    """Asked at /dev/tty, never at standard input; None where there is no terminal."""
    try:
        with open("/dev/tty", "r+b", buffering=0):
            pass
    except OSError:
        return None
    return getpass.getpass(f"{name}: ") or None


def _variable(name: str) -> str:
    return "POLICYWATCH_SECRET_" + name.replace("-", "_").upper()


def _missing(name: str, state_folder: Path, why: str = "") -> SettingsError:
    return SettingsError(
        f"the secret {name} is nowhere to be found" + (f" ({why})" if why else ""),
        key=name,
        remedy=f"Put its value into the file {state_folder / 'secrets' / name} (mode 0600), a systemd credential "
        f"{name}, or the environment variable {_variable(name)}.",
    )


def _text(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = ""
    if not text or "\0" in text:
        raise SettingsError(
            f"the secret {name} is empty or no text", key=name, remedy="Write one line in UTF-8 into it."
        )
    return text


def _credential(name: str, env: Mapping[str, str]) -> bytes | None:
    """From systemd's folder, whose rights systemd itself has set; None where it has none of that name."""
    folder = env.get("CREDENTIALS_DIRECTORY", "")
    if not Path(folder).is_absolute():
        return None
    return _read(Path(folder) / name, ours=False)


def _safe_file(path: Path) -> bytes | None:
    """The content of a file that only this account can read and replace; None where there is none."""
    try:
        folder = path.parent.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as fault:
        raise _refused(
            path.parent, f"cannot be looked into ({fault.strerror})", "Check its rights."
        ) from None
    if folder.st_mode & 0o022 and path.exists():
        raise _refused(path.parent, "may be changed by others", f"Run: chmod go-w {path.parent}")
    return _read(path, ours=True)


def _read(path: Path, *, ours: bool) -> bytes | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as fault:
        reason = "is a symbolic link" if path.is_symlink() else f"cannot be opened ({fault.strerror})"
        raise _refused(path, reason, "Put a regular file of this account there.") from None
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        os.close(handle)
        raise _refused(path, "is not a regular file", "Put a regular file there.")
    with os.fdopen(handle, "rb") as stream:
        if ours and state.st_uid != os.geteuid():
            raise _refused(
                path, "belongs to another account", f"Run as its administrator: chown {os.geteuid()} {path}"
            )
        if ours and state.st_mode & 0o077:
            raise _refused(path, f"has mode {stat.S_IMODE(state.st_mode):04o}", f"Run: chmod 600 {path}")
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _refused(path, f"is larger than {MAX_BYTES // 1024} KiB", "Put the value alone into it.")
    return content


def _refused(path: Path, reason: str, remedy: str) -> SettingsError:
    return SettingsError(
        f"{path} is not used for secrets: it {reason}", file="", key=path.name, remedy=remedy
    )


def _create_key(path: Path) -> bytes:
    """A new key, linked into place complete: of two programs that start at once both get the same one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{random_source.token_hex(8)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(random_source.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(handle)
        try:
            os.link(fresh, path)
            log.info("master_key_created")
        except FileExistsError:
            pass
    finally:
        fresh.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    content = _safe_file(path)
    assert content is not None
    return content


def _from_keyring(name: str, env: Mapping[str, str]) -> tuple[str | None, str]:
    """From the desktop's keyring in a child: a thread that waits for a locked one could never be ended.

    The value, or None and the reason.
    """
    bus = env.get("DBUS_SESSION_BUS_ADDRESS", "")
    if sys.platform == "linux" and not bus and not Path(f"/run/user/{os.geteuid()}/bus").exists():
        return None, ""  # no desktop session: saves the import, half a second and more
    session = {
        key: env[key] for key in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY") if key in env
    }
    try:
        told: dict[str, Any] = bounded.run(
            "policywatch.secrets:ask_keyring", name, wall=KEYRING_SECONDS, memory=1 << 30, env=session
        )
    except bounded.BoundedError as fault:
        log.info("keyring_silent reason=%s", fault.reason)
        slow = f"the keyring did not answer within {KEYRING_SECONDS:g} s"
        return None, slow if fault.reason == "wall" else f"the keyring failed: {fault.reason}"
    value = told["value"]
    if value:
        return str(value), ""
    if not told["allowed"]:
        log.info("keyring_not_used backend=%s", told["backend"])
        return None, f"the keyring {told['backend']} is not one that keeps secrets, and was not asked"
    return None, _NONE_THERE


def keyring_state(env: Mapping[str, str] = os.environ) -> str:
    """Whether a keyring is there and is asked, in a sentence. Blocks for three seconds at most."""
    value, why = _from_keyring("policywatch-doctor", env)
    if value is None and not why:
        return "no desktop session: no keyring is asked"
    return "the keyring answers" if value is not None or why == _NONE_THERE else why


def ask_keyring(name: str) -> dict[str, Any]:
    """Runs in the child: the value from the first allowed backend; backends outside the list are never asked."""
    import keyring
    import keyring.errors

    chosen = keyring.get_keyring()
    candidates = list(getattr(chosen, "backends", None) or [chosen])
    allowed = [backend for backend in candidates if type(backend).__module__.startswith(KEYRING_BACKENDS)]
    value = None
    for backend in allowed:
        try:
            value = backend.get_password(KEYRING_SERVICE, name)
        except keyring.errors.KeyringError:
            continue
        if value:
            break
    shown = ",".join(type(backend).__module__ for backend in candidates)
    return {"allowed": bool(allowed), "backend": shown, "value": value}
