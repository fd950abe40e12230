"""Python's garbage collector, kept from looking at what a command has imported."""

import atexit
import gc
import sys
from typing import Any

EACH = 10_000
"""Objects made between two collections while a command imports: Python's own 700 makes hundreds of them."""


def spare_imports() -> None:
    """Keeps what a process imports out of all collections. For programs, not libraries; called before jax is imported.

    Importing jax, flax and orbax makes 300,000 objects that stay until the end. Python looks through all of them again
    and again while they grow, and a last time as it exits: a quarter of a warm start-up. Here what is there after each
    `EACH` objects is set apart (`gc.freeze`), until a collection finds no new module. Then the collector works as it
    did before.
    """
    usual, modules = gc.get_threshold(), len(sys.modules)

    def set_apart(phase: str, info: dict[str, Any]) -> None:
        nonlocal modules
        if phase != "stop":
            return
        gc.freeze()
        if len(sys.modules) == modules:
            gc.callbacks.remove(set_apart)
            gc.set_threshold(*usual)
        modules = len(sys.modules)

    gc.callbacks.append(set_apart)
    gc.set_threshold(EACH, 1000, 1000)
    atexit.register(gc.freeze)
