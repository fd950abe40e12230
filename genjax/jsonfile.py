"""Strict JSON files, written whole or not at all.

Numbers that JSON has no word for are the strings "NaN", "Infinity" and "-Infinity", which Python's `float` and
JavaScript's `Number` both read.
"""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from genjax.checked import LARGEST_FILE, parsed
from genjax.errors import UsageError
from genjax.files import regular, write_atomically


def to_json(value: Any) -> Any:
    """`value` as strict JSON holds it: tuples become lists, NumPy and JAX numbers Python's, NaN and Inf strings.

    Raises:
        TypeError: there is something that JSON cannot hold.

    Example:
        >>> to_json({"a": (1, float("nan")), "b": float("inf")})
        {'a': [1, 'NaN'], 'b': 'Infinity'}
    """
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return to_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} has no place in JSON.")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `to_json(value)` whole or not at all, durably: temporary file, fsync, rename, fsync of the folder.

    Raises:
        RunFailure: the disk is full or fails; the old file is as it was.
    """
    write_atomically(path, (json.dumps(to_json(value), indent=2, allow_nan=False) + "\n").encode())


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file, None where there is no such file.

    Raises:
        UsageError: it is not JSON, not a regular file, or cannot be read.
    """
    try:
        with open(path, "rb", opener=regular) as f:
            raw = f.read(LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror}.") from e
    return parsed(raw, path)
