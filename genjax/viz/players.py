"""Sounds for a notebook: a player for each, with its name beside it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True)
class Players:
    """An HTML table of players that loads nothing; the last expression of a notebook cell displays it."""

    html: str = field(repr=False)  # a notebook keeps the repr beside the players

    def _repr_html_(self) -> str:
        return self.html


def players(sounds: Mapping[str, bytes]) -> Players:
    """Named sounds for a notebook: each name stands to the left of its player.

    Args:
        sounds: WAV files by name. A notebook stores each as text a third longer: a second at 8 kHz takes 21 kB.

    Example:
        >>> players({"a tune": b"RIFF"}).html.count("<audio")
        1
    """
    if not sounds:
        raise ValueError("players need at least one sound; got none.")
    return Players("<table>" + "".join(_line(name, sound) for name, sound in sounds.items()) + "</table>")


def player(sound: bytes) -> str:
    """The HTML of a player of a WAV file, which it holds."""
    source = f"data:audio/wav;base64,{base64.b64encode(sound).decode()}"
    return f'<audio controls preload="metadata" src="{source}"></audio>'


def _line(name: str, sound: bytes) -> str:
    return f"<tr><th>{escape(name)}</th><td>{player(sound)}</td></tr>"
