"""Labels as they come, and as nets need them: 0, 1, ... k - 1, each with a name."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32, Shaped

from genjax.data.tree import PARTS
from genjax.errors import UsageError, shown
from genjax.formats.files import LEFT_ALONE

Raw = Shaped[np.ndarray, " _"]
"""Whole numbers or texts, one per image."""


def raw_labels(label: Any, n: int, name: str) -> Raw | None:
    """Labels of n images as they come: whole numbers from 0 on, or texts; None where there are none.

    (n, 1) is taken as (n,), bool as the texts False and True.

    Raises:
        UsageError: not one whole number or text per image, or negative.
    """
    if label is None:
        return None
    a = np.asarray(label)
    if a.ndim == 2 and a.shape[1] == 1:
        a = a[:, 0]
    if a.dtype == object:
        raise UsageError(f"{name}: labels are an array of objects; wanted whole numbers or texts, one per image.")
    if a.ndim != 1:
        raise UsageError(f"{name}: labels have shape {a.shape}; wanted ({n},), one per image.{_hint_of_columns(a)}")
    if a.shape[0] != n:
        raise UsageError(f"{name}: {a.shape[0]} labels for {n} images; wanted one per image.")
    if a.dtype.kind in "US":
        return _texts(a, name)
    if a.dtype.kind == "b":
        return a.astype(str)
    if a.dtype.kind == "f":
        raise UsageError(f"{name}: labels have dtype {a.dtype}; wanted whole numbers. {_hint_of_floats(a)}")
    if a.dtype.kind not in "iu":
        raise UsageError(f"{name}: labels have dtype {a.dtype}; wanted whole numbers or texts.")
    if a.size and a.min() < 0:
        raise UsageError(
            f"{name}: labels lie in {a.min()} ... {a.max()}; wanted 0, 1, ... Where -1 marks images without a label, "
            "leave these out, or all labels."
        )
    return a


def numbered(
    parts: Sequence[Raw | None], names: Sequence[str] | None = None, name: str = ""
) -> tuple[list[Int32[np.ndarray, " _"] | None], tuple[str, ...]]:
    """Labels of all parts of a set as classes 0 ... k - 1 in sorted order, and the name of each class.

    Only classes that occur are counted: one without an image would be trained on nothing and drawn all the same.

    Args:
        parts: labels as they come.
        names: of the classes, where labels are places in it.
        name: of the data set, for errors.

    Raises:
        UsageError: some parts have labels and others none, or numbers and texts; a label has no name.

    Example:
        >>> label, classes = numbered([np.array([10, 1, 5]), np.array([1])])
        >>> [a.tolist() for a in label], classes
        ([[2, 0, 1], [0]], ('1', '5', '10'))
    """
    there = [p for p in parts if p is not None]
    if not there:
        return list(parts), ()
    if len({a.dtype.kind == "U" for a in there}) > 1:
        raise UsageError(f"{name}: some labels are numbers and some are texts. Give one kind.")
    found, places = np.unique(np.concatenate(there), return_inverse=True)
    if names is not None:
        if found.dtype.kind == "U" or (found.size and int(found[-1]) >= len(names)):
            raise UsageError(f"{name}: label {shown(found[-1])} has no name among the {len(names)} of 'classes'.")
        classes = tuple(shown(names[int(i)]) for i in found)
    else:
        classes = tuple(shown(c) for c in found.tolist())
    ends = np.cumsum([len(a) for a in there])
    split = iter(np.split(places.reshape(-1).astype(np.int32), ends[:-1]))
    return [None if p is None else next(split) for p in parts], classes


def class_number(text: str, classes: Sequence[str], n_classes: int, name: str) -> int:
    """The class that a name stands for; a number where no class has that name.

    Args:
        text: what was given.
        classes: the names, () where none are known.
        n_classes: how many there are.
        name: of the run, for errors.

    Raises:
        UsageError: there is none; the nearest are offered.

    Example:
        >>> class_number("square", ("circle", "square"), 2, "run"), class_number("0", ("circle", "square"), 2, "run")
        (1, 0)
        >>> class_number("1", ("1", "2"), 2, "run")
        0
    """
    text = shown(text)
    if text in classes:
        return list(classes).index(text)
    numbers_are_names = bool(classes) and all(c.isdecimal() for c in classes)
    if text.isdecimal() and text.isascii() and int(text) < n_classes and not numbers_are_names:
        return int(text)
    if not classes:
        raise UsageError(f"--label={text}: {name} has classes 0 to {n_classes - 1}.")
    near = difflib.get_close_matches(text, classes, n=3)
    some = ", ".join(classes if len(classes) <= 20 else [*classes[:10], "...", classes[-1]])
    hint = f" Nearest: {', '.join(near)}." if near else ""
    if list(classes) == [str(i) for i in range(n_classes)]:
        raise UsageError(f"--label={text}: {name} has classes 0 to {n_classes - 1}.")
    raise UsageError(f"--label={text}: no such class. {name} has {some}.{hint}")


def matched(label: np.ndarray, theirs: Sequence[str], ours: Sequence[str], name: str) -> Int32[np.ndarray, " n"]:
    """Labels of other data in a run's numbering of classes: by name where both have names, else unchanged.

    Raises:
        UsageError: a class of theirs is none of the run's.
    """
    if not theirs or not ours or tuple(theirs) == tuple(ours):
        return label.astype(np.int32)
    places = {c: i for i, c in enumerate(ours)}
    missing = [c for i, c in enumerate(theirs) if c not in places and (label == i).any()]
    if missing:
        raise UsageError(
            f"{name}: class {', '.join(missing[:5])} is none of the run's: "
            f"{', '.join(ours if len(ours) <= 20 else [*ours[:10], '...', ours[-1]])}."
        )
    return np.array([places.get(c, 0) for c in theirs], np.int32)[label]


def folder_names(classes: Sequence[str]) -> list[str]:
    """Class names as names of folders; [] where one cannot be a folder, or two would be the same folder on some system.

    Example:
        >>> folder_names(["cat", "dog"]), folder_names(["T-shirt/top", "Bag"]), folder_names(["train", "test"])
        (['cat', 'dog'], [], [])
    """
    lower = {c.lower() for c in classes}
    plain = all(
        c.isprintable() and 0 < len(c.encode()) < 200 and c[0] not in ".-" and not set(c) & set('/\\:*?"<>|')
        for c in classes
    )
    usable = plain and len(lower) == len(classes) and not lower & {*PARTS, *(n.lower() for n in LEFT_ALONE)}
    return list(classes) if usable else []


def _texts(a: np.ndarray, name: str) -> np.ndarray:
    if a.dtype.kind == "U":
        return a
    try:
        return np.char.decode(a, "utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{name}: labels are bytes that are no text. Try label.astype('U').") from None


def _hint_of_columns(a: np.ndarray) -> str:
    if a.ndim != 2 or a.dtype.kind not in "biuf":
        return ""
    one_hot = bool(((a == 0) | (a == 1)).all() and (a.sum(axis=1) == 1).all())
    return " One-hot? Try label.argmax(-1)." if one_hot else " Several labels an image? Choose a column: label[:, 0]."


def _hint_of_floats(a: np.ndarray) -> str:
    if not np.isfinite(a).all():
        return f"Label {int(np.argmin(np.isfinite(a)))} is {a[np.argmin(np.isfinite(a))]}: leave such images out."
    if (a == np.rint(a)).all():
        return "These are: try label.astype(int)."
    return f"They hold {a[a != np.rint(a)][0]:.4g}: these are no classes; leave them out."
