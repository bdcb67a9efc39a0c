"""One line to systemd, where it listens (`$NOTIFY_SOCKET`; a name with @ is abstract)."""

from __future__ import annotations

import os
import socket

__all__ = ["notify"]


def notify(line: str, path: str | None = None) -> bool:
    """Send READY=1, WATCHDOG=1, STOPPING=1 or the like. False: nobody listens, which is no fault."""
    path = path or os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(line.encode(), "\0" + path[1:] if path.startswith("@") else path)
        except OSError:
            return False
    return True
