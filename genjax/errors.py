"""The exceptions the command line turns into exit codes, and how they name what came from outside. Standard library."""

import os
from typing import Any


class UsageError(ValueError):
    """Bad usage, configuration or input. The command line prints it in a few lines and exits with 2."""


class RunFailure(RuntimeError):
    """A run failed by itself (out of disk, non-finite loss). The command line prints it and exits with 1."""


class DataFailure(RunFailure):
    """The data of a run could not be read while it trained: a file is damaged, has vanished or was changed."""


MOST = 400
"""Letters of a name that `shown` gives in full."""


def shown(name: Any) -> str:
    """A path or other text from outside as one line that is safe on any terminal or page.

    Letters that control a terminal or a page's direction, line ends, and bytes of a file name that are no text are
    written as escapes; a very long text is cut in its middle.

    Example:
        >>> shown("cats/a\\nb\\x1b[2J\\udcff.png")
        'cats/a\\\\nb\\\\x1b[2J\\\\xff.png'
    """
    text = os.fsdecode(name) if isinstance(name, bytes | os.PathLike) else str(name)
    if len(text) > MOST:
        text = f"{text[: MOST // 2]} ... {text[-MOST // 2 :]}"
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte of a file name that is no text
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape", "surrogatepass").decode()
