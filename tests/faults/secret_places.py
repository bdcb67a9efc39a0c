"""Run by an ordinary account, one case per process: where a secret comes from, or why a place is refused.

python -m tests.faults.secret_places FOLDER CASE      prints one JSON object: source, or sentence and remedy
"""

from __future__ import annotations

import json
import os
import pty
import sys
import time
from pathlib import Path

from policywatch import secrets, settings
from policywatch.errors import SettingsError

NAME = "smtp-password"
VALUE = "the value"

# Keyrings as a person may have them. The one that is allowed says that it is KWallet's: a real one needs a desktop.
_BACKENDS = {
    "allowed": "get = lambda self, *_: 'the value'\nmodule = 'keyring.backends.kwallet'",
    "plaintext": "get = lambda self, *_: 'in the clear'\nmodule = 'keyrings.alt.file'",
    "hanging": "get = lambda self, *_: __import__('time').sleep(60)\nmodule = 'keyring.backends.kwallet'",
}


def keyring(folder: Path, spec: str, source: str = "") -> dict[str, str]:
    """The account's own choice of a keyring, as keyring reads it from its home."""
    config = folder / "home" / ".config" / "python_keyring"
    config.mkdir(parents=True)
    lines = ["[backend]", f"default-keyring={spec}"]
    if source:
        (folder / "ours").mkdir()
        (folder / "ours" / "ring.py").write_text(
            f"from keyring.backend import KeyringBackend\n{source}\n"
            "class Ring(KeyringBackend):\n"
            "    priority = 1\n    get_password = get\n"
            "    set_password = delete_password = lambda self, *_: None\n"
            "Ring.__module__ = module\n"
        )
        lines.append(f"keyring-path={folder / 'ours'}")
    (config / "keyringrc.cfg").write_text("\n".join(lines) + "\n")
    os.environ["HOME"] = str(folder / "home")
    os.environ.pop("XDG_CONFIG_HOME", None)
    return {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent"}


def put(path: Path, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(VALUE + "\n")
    path.chmod(mode)


def prepare(folder: Path, case: str) -> dict[str, str]:
    """Make the case; the environment that the secret is looked for in."""
    place = folder / "state" / "secrets" / NAME
    if case == "credential":
        put(folder / "given" / NAME, 0o440)
        return {"CREDENTIALS_DIRECTORY": str(folder / "given")}
    if case == "environment":
        return {"POLICYWATCH_SECRET_SMTP_PASSWORD": VALUE}
    if case == "file":
        put(place)
    elif case == "mode":
        put(place, 0o644)
    elif case == "symlink":
        put(folder / "elsewhere")
        place.parent.mkdir(parents=True, mode=0o700)
        place.symlink_to(folder / "elsewhere")
    elif case == "owner":  # a file of root's, and a folder of his: nothing here can make one
        (folder / "state").mkdir()
        (folder / "state" / "secrets").symlink_to("/etc")
    elif case == "null":
        return keyring(folder, "keyring.backends.null.Keyring")
    elif case in _BACKENDS:
        return keyring(folder, "ring.Ring", _BACKENDS[case])
    return {}


def looked_for(folder: Path, case: str, *, ask: bool = False) -> dict[str, object]:
    environment = prepare(folder, case)
    state = str(folder / "state")
    loaded = settings.load(env={"HOME": str(folder), "POLICYWATCH_DATABASE__STATE_FOLDER": state})
    name = "hosts" if case == "owner" else NAME
    began = time.monotonic()
    told: dict[str, object]
    try:
        value = secrets.resolve(settings.SecretRef(secret=name), loaded, env=environment, ask=ask)
        told = {"right": value == VALUE, "shown": repr(value)}
    except SettingsError as refused:
        told = {"sentence": refused.sentence, "remedy": refused.remedy}
    seconds = time.monotonic() - began
    return {**told, "seconds": seconds, "uid": os.geteuid(), "state": secrets.keyring_state(environment)}


def at_a_terminal(folder: Path) -> str:
    """A person types it: the child has a terminal of its own, and prints only whether it was right."""
    child, terminal = pty.fork()
    if child == 0:
        told = looked_for(folder, "terminal", ask=True)
        (folder / "told.json").write_text(json.dumps(told))
        os._exit(0)
    said = b""
    while b"smtp-password: " not in said:
        said += os.read(terminal, 1000)
    os.write(terminal, VALUE.encode() + b"\n")
    while True:
        try:
            part = os.read(terminal, 1000)
        except OSError:  # it closed its end
            break
        if not part:
            break
        said += part
    os.waitpid(child, 0)
    told = json.loads((folder / "told.json").read_text())
    return json.dumps({**told, "echoed": VALUE.encode() in said})


if __name__ == "__main__":
    where, wanted = Path(sys.argv[1]), sys.argv[2]
    where.mkdir()
    print(at_a_terminal(where) if wanted == "terminal" else json.dumps(looked_for(where, wanted)))
