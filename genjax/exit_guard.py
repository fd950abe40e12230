"""No exit loses a save in flight: what is listed here is closed before Python takes its thread pools down."""

import atexit
import os
import sys
import threading
from typing import Protocol

from genjax.channels import flush, say
from genjax.errors import RunFailure


class Closable(Protocol):
    def close(self) -> None: ...


EXIT_STARTS_NO_THREAD = sys.version_info[:2] == (3, 12)
"""Python 3.12 refuses new threads once it is on its way out, and Orbax needs some to finish: there, what is saved
outside a `with` block is waited for at once."""

IN_FLIGHT: set[Closable] = set()
"""Objects whose `close` must be called before the process may end with exit code 0."""


def finish_all() -> None:
    """Close everything in flight. A failure is printed and ends the process with exit code 1."""
    failed = False
    for thing in list(IN_FLIGHT):
        try:
            thing.close()
        except RunFailure as e:
            say(f"genjax: {e}")
            failed = True
    if failed:
        flush()
        os._exit(1)  # too late for an exception to be an exit code


# Python stops the thread pools Orbax needs before it runs `atexit`; this hook comes before that.
getattr(threading, "_register_atexit", atexit.register)(finish_all)
