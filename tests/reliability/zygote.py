"""A process that has imported everything and forks a child for each command, on channels that it is sent.

A child finds its standard descriptors as a new interpreter would: the closed ones are None, the others have the
encoding asked for. It ends as an interpreter ends, so that what happens at exit (flushing, a save in flight) counts.
"""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

SLOWEST = 900
"""Seconds after which a child is given up."""


class Zygote:
    """The parent's side: `run` a command with given descriptors."""

    def __init__(self, sock: socket.socket):
        self._sock = sock

    def run(self, argv: list[str], out: int | None, err: int | None, cwd: Any, encoding: str = "utf-8") -> int:
        """The exit code of `genjax ARGV`; None closes a channel. A code below 0 is a signal's."""
        request = {"argv": argv, "open": [out is not None, err is not None], "cwd": str(cwd), "encoding": encoding}
        socket.send_fds(self._sock, [json.dumps(request).encode()], [fd for fd in (out, err) if fd is not None])
        return int(self._sock.recv(100))


@contextlib.contextmanager
def zygote(env: dict[str, str]) -> Iterator[Zygote]:
    """Starts the process, and ends it."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, __file__, str(there.fileno())]
    process = subprocess.Popen(command, env=env, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL)
    there.close()
    try:
        yield Zygote(here)
    finally:
        here.close()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def serve(sock: socket.socket) -> None:
    """The process itself: a child for every request, until the parent closes."""
    import genjax.cli.plan
    import genjax.measure.evaluate
    import genjax.report
    import genjax.train
    import genjax.viz  # noqa: F401

    while True:
        message, fds, _, _ = socket.recv_fds(sock, 1 << 16, 2)
        if not message:
            return
        child = os.fork()
        if child == 0:
            sock.close()
            request = json.loads(message)
            become(request, fds)
            from genjax.cli import main

            sys.exit(main(request["argv"]))
        for fd in fds:
            os.close(fd)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sock.send(str(code).encode())


def become(request: dict[str, Any], fds: list[int]) -> None:
    """Takes the channels and the folder of a request; a child that hangs is ended by an alarm."""
    signal.alarm(SLOWEST)
    os.chdir(request["cwd"])
    for fd, name, is_open in zip((1, 2), ("stdout", "stderr"), request["open"], strict=True):
        stream = None
        if is_open:
            os.dup2(fds[0], fd)
            os.close(fds.pop(0))
            raw = io.FileIO(fd, "wb", closefd=False)
            errors = "strict" if fd == 1 else "backslashreplace"
            stream = io.TextIOWrapper(io.BufferedWriter(raw), request["encoding"], errors, line_buffering=fd == 2)
        else:
            os.close(fd)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
