"""A child process that may die: for parsers of foreign input, and for keyrings that may never answer.

The child runs one importable function within limits of memory, processor time and wall time. What it returns
comes back as JSON, never as pickle: a child that a page took over must not be able to run code in the parent.

Not here: a sandbox. The child has the account's rights; it has limits.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from operator import attrgetter
from typing import IO, Any

from policywatch.errors import PolicyWatchError

__all__ = ["BoundedError", "Child", "run"]

MAX_ANSWER = 64 * 1024 * 1024
_HEAD = struct.Struct(">Q")
# What a child needs of the environment to start and to find its libraries; nothing of ours, no secrets.
_KEPT = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "PYTHONHASHSEED", "SYSTEMROOT")


class BoundedError(PolicyWatchError):
    """The child did not answer within its limits.

    `reason` is `wall` (too slow), `cpu`, `memory`, `died` (crashed or killed), `answer` (too large, or no JSON)
    or `fault` (the function raised something that is no PolicyWatchError; the sentence names it).
    """

    def __init__(self, what: str, *, reason: str) -> None:
        super().__init__(what, code=f"bounded-{reason}")
        self.reason = reason


def run(
    function_path: str,
    *payload: Any,
    wall: float,
    memory: int,
    cpu: float | None = None,
    env: Mapping[str, str] | None = None,
) -> Any:
    """The answer of `package.module:function` called with `payload` in a child of its own.

    `wall` and `cpu` are seconds (cpu: as much as wall when not said), `memory` is bytes of address space.
    Start and imports of the child count: an interpreter needs about 0.1 s and 100 MiB. The payload may be
    anything that pickles; the answer must be plain (JSON). Raises BoundedError, or the PolicyWatchError that the
    function raised. Blocks: call it by `asyncio.to_thread` where a loop runs.
    """
    with Child(function_path, memory=memory, cpu=cpu or wall, env=env) as child:
        return child.call(*payload, wall=wall)


class Child:
    """A child that stays for several calls of one function, one at a time, and is replaced when it dies.

    After `recycle` calls a fresh one takes its place, since parsers keep memory. Safe from several threads.
    """

    def __init__(
        self,
        function_path: str,
        *,
        memory: int,
        cpu: float,
        recycle: int = 200,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.function_path = function_path
        self.memory = memory
        self.cpu = cpu
        self.recycle = recycle
        self.env = dict(env or {})
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._calls = 0

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, *payload: Any, wall: float) -> Any:
        """The function's answer within `wall` seconds; raises as `run` does."""
        request = pickle.dumps((wall, payload), protocol=pickle.HIGHEST_PROTOCOL)
        with self._lock:
            if self._calls >= self.recycle:
                self._end()
            process = self._process or self._start()
            self._calls += 1
            deadline = time.monotonic() + wall
            try:
                _write(process, _HEAD.pack(len(request)) + request, deadline)
                answer = _read(process, deadline)
            except BaseException as fault:
                self._end()
                if isinstance(fault, EOFError | BrokenPipeError):
                    raise self._death(process) from None
                if isinstance(fault, TimeoutError):
                    raise BoundedError(
                        f"{self.function_path} did not answer within {wall:g} s", reason="wall"
                    ) from None
                raise
        return self._understood(answer)

    def close(self) -> None:
        """End the child. Calling again starts a new one."""
        with self._lock:
            self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-m",
                "policywatch.bounded",
                self.function_path,
                str(self.memory),
                str(self.cpu),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | self.env,
            start_new_session=True,
        )
        self._calls = 0
        return self._process

    def _end(self) -> None:
        process, self._process, self._calls = self._process, None, 0
        if process is None:
            return
        # The group is killed only while its leader is not yet reaped: later its number could mean another's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _death(self, process: subprocess.Popen[bytes]) -> BoundedError:
        code = process.returncode
        if code == -signal.SIGXCPU:
            return BoundedError(
                f"{self.function_path} used more than {self.cpu:g} s of processor", reason="cpu"
            )
        how = f"by signal {-code}" if code and code < 0 else f"with status {code}"
        return BoundedError(f"{self.function_path} ended {how} without an answer", reason="died")

    def _understood(self, answer: bytes) -> Any:
        try:
            told = json.loads(answer)
            kind, value = told["kind"], told["value"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise BoundedError(f"{self.function_path} gave no readable answer", reason="answer") from None
        if kind == "answer":
            return value
        if kind == "refusal":
            raise _refusal(value)
        if kind == "memory":
            raise BoundedError(
                f"{self.function_path} needed more than {self.memory // 2**20} MiB", reason="memory"
            )
        raise BoundedError(f"{self.function_path} failed: {str(value)[:500]}", reason="fault")


def _refusal(told: Mapping[str, Any]) -> PolicyWatchError:
    """The error of the child as one of ours: only classes that this process has loaded itself count."""
    module = sys.modules.get(str(told.get("module")))
    found = getattr(module, str(told.get("name")), None)
    kind = found if isinstance(found, type) and issubclass(found, PolicyWatchError) else PolicyWatchError
    try:
        return kind(str(told.get("what")), remedy=str(told.get("remedy")), code=str(told.get("code")))
    except TypeError:  # a class with a signature of its own
        return PolicyWatchError(
            str(told.get("what")), remedy=str(told.get("remedy")), code=str(told.get("code"))
        )


def _wait(stream: IO[bytes], writing: bool, deadline: float) -> None:
    left = deadline - time.monotonic()
    poll = select.poll()
    poll.register(stream, select.POLLOUT if writing else select.POLLIN)
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError


def _write(process: subprocess.Popen[bytes], content: bytes, deadline: float) -> None:
    stream = process.stdin
    assert stream is not None
    os.set_blocking(stream.fileno(), False)
    rest = memoryview(content)
    while rest:
        _wait(stream, True, deadline)
        with contextlib.suppress(BlockingIOError):
            rest = rest[os.write(stream.fileno(), rest[: 1 << 20]) :]


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    (length,) = _HEAD.unpack(_read_exactly(process, _HEAD.size, deadline))
    if length > MAX_ANSWER:
        raise BoundedError(f"the answer of a child is larger than {MAX_ANSWER // 2**20} MiB", reason="answer")
    return _read_exactly(process, length, deadline)


def _read_exactly(process: subprocess.Popen[bytes], length: int, deadline: float) -> bytes:
    stream = process.stdout
    assert stream is not None
    found = bytearray()
    while len(found) < length:
        _wait(stream, False, deadline)
        part = os.read(stream.fileno(), min(length - len(found), 1 << 20))
        if not part:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            raise EOFError
        found += part
    return bytes(found)


# The child's side ----------------------------------------------------------------------------------


def serve(function_path: str, memory: int, cpu: float) -> None:
    """Answer requests from standard input until it ends; runs in the child."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not speak in our place
    _limit(memory)
    module, _, name = function_path.partition(":")
    function: Any = None
    while head := requests.read(_HEAD.size):
        content = requests.read(_HEAD.unpack(head)[0])
        wall, payload = pickle.loads(content)  # noqa: S301 (from the parent, which is the trusted side)
        signal.alarm(int(wall) + 5)  # the parent ends a slow child; this ends it when the parent was killed
        _limit_processor(cpu)
        try:
            function = function or attrgetter(name)(importlib.import_module(module))
            answer = json.dumps({"kind": "answer", "value": function(*payload)}, ensure_ascii=False)
        except PolicyWatchError as error:
            answer = _told("refusal", {
                "module": type(error).__module__, "name": type(error).__qualname__,
                "what": error.what, "remedy": error.remedy, "code": error.code,
            })  # fmt: skip
        except MemoryError:
            answer = _told("memory", "")
        except Exception as error:  # noqa: BLE001 (the edge of the child: everything becomes an answer)
            answer = _told("fault", f"{type(error).__name__}: {error}")
        signal.alarm(0)
        del payload
        content = answer.encode("utf-8", "surrogatepass")
        answers.write(_HEAD.pack(len(content)) + content)
        answers.flush()


def _told(kind: str, value: Any) -> str:
    return json.dumps({"kind": kind, "value": value})


def _limit(memory: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS has no working RLIMIT_AS
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _limit_processor(cpu: float) -> None:
    """The limit counts from the start of the process, so each call gets what was used so far on top."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + cpu) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or until <= hard:
        resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
