"""Kinds of data, a file each: what belongs to one kind alone and is no reading of files.

`of(spec)` gives the `Domain` of a data set, which commands, pages and the monitor ask for words, pictures, files and
spaces. A kind's file is imported when its data are there. A recipe may bring a domain from outside (genjax/README.md).
"""

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from genjax.errors import UsageError

if TYPE_CHECKING:
    from genjax.domains.contract import Domain, Words

__all__ = ["KINDS", "of", "words"]

KINDS: dict[str, tuple[str, ...]] = {
    "image": (".png", ".pdf", ".npz"),
    "points": (".png", ".npz"),
    "prose": (".txt", ".npz"),
    "speech": (".wav", ".npz"),
    "music": (".mid", ".wav", ".npz"),
    "table": (".csv", ".npz"),
}
"""Every kind of data that genjax knows, a file here each, and the suffixes of what `genjax sample` writes."""


def of(kind: Any, brought: Iterable[Any] = ()) -> "Domain":
    """The domain of some data.

    Args:
        kind: its name, or a `data.Spec`.
        brought: domains from outside, which may be mixed with names: what a recipe's `Config.domains` holds.

    Raises:
        UsageError: there is no such domain.

    Example:
        >>> of("image").many
        'images'
    """
    name = kind if isinstance(kind, str) else kind.domain
    for domain in brought:
        if not isinstance(domain, str) and domain.name == name:
            return domain
    if name not in KINDS:
        raise UsageError(
            f"domain={name}: there is no such kind of data. There are {', '.join(KINDS)}; "
            "a recipe of data of another kind brings its domain (`domains` of its Config)."
        )
    return importlib.import_module(f"genjax.domains.{name}").DOMAIN


def words(kind: str) -> "Words":
    """What examples of a kind are called, also of one that is not known here.

    Example:
        >>> words("points").one, words("knots").many
        ('point', 'examples')
    """
    from genjax.domains.contract import Words

    return of(kind).words if kind in KINDS else Words()
