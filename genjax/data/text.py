"""Prose: a .txt file, a folder of them, or a text set of TFDS, as sequences of symbols.

An example is a line, or a window of the text. Symbols are characters, whose alphabet is that of the training part, or
bytes. Reading is strict: nothing is guessed or repaired in silence, and what is refused says what to do.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genjax import headroom
from genjax.data.catalogue import Prepared
from genjax.data.classes import numbered
from genjax.data.examples import Dataset, Examples, Spec, dataset
from genjax.data.tree import PARTS
from genjax.errors import UsageError, shown
from genjax.formats import files
from genjax.formats.encoding import decoded

SUFFIX = ".txt"
UNKNOWN = "\ufffd"
"""The symbol of every character that the training part has not; always the last of an alphabet."""
END = "\n"
"""The symbol that ends a line; a line's last."""
BYTES = "latin-1"
"""The encoding whose characters are the bytes themselves."""
CUTS = ("lines", "windows")
"""What an example is: `--cut`."""
UNITS = ("character", "byte")
"""What a symbol is: `--unit`."""


class Document(NamedTuple):
    """A text of some part, where it came from, and its class."""

    text: str
    """Its characters; of bytes, a character for each."""
    where: str
    label: str | None = None


def load_path(path: Path, like: Spec | None = None, **options: Any) -> Dataset:
    """A text, or a folder of texts, as a data set.

    Texts named as parts of a set (`train.txt` and `test.txt`, `valid.txt`), or in folders of such names, are those
    parts; else all is for training. Otherwise a folder of the first level is a class.

    Args:
        path: a .txt file, or a folder of such, at any depth.
        like: what a run was trained on: its alphabet is taken.
        options: `length`, `cut` and `unit`, see `built`.

    Raises:
        UsageError: there is no text; one is empty, is no text, or cannot be read; see `built`.
    """
    notes: list[str] = []
    unit = options.get("unit", UNITS[0])
    found = {
        part: [Document(_read(file, unit, notes), shown(file), label) for file, label in files_]
        for part, files_ in _parts(path).items()
    }
    return built(path.resolve().name, found, like, notes, **options)


def load_embedded(name: str, like: Spec | None = None, **options: Any) -> Dataset:
    """`psalms`: half-verses, a line each; every tenth psalm is the test part.

    Example:
        >>> d = load_embedded("psalms")
        >>> d.spec.shape, d.spec.n_values, line(d.train.x[0], d.spec.about)
        ((64,), 64, 'Blessed is the man that walketh not in the counsel of the')
    """
    whole = (resources.files("genjax.data") / "embedded_files" / f"{name}.txt").read_text(encoding="utf-8")
    psalms = whole.split("\n\n")
    parts = {"train": [p for i, p in enumerate(psalms, 1) if i % 10], "test": psalms[9::10]}
    found = {part: [Document(p, name) for p in texts] for part, texts in parts.items()}
    return built(name, found, like, [], **options)


def load_prepared(found: Prepared, like: Spec | None = None, **options: Any) -> Dataset:
    """A text set that TFDS has prepared (`tiny_shakespeare`): its text feature, each example a text of its own.

    A class feature gives labels. Where there is no test split, the validation split is the test part.

    Raises:
        UsageError: as `tfds.open_split`; no text in an example; see `built`.
    """
    from genjax.data import tfds

    notes: list[str] = []
    parts: dict[str, list[Document]] = {}
    for part, source in tfds.open_parts(found).items():
        where, unit = f"{found.name}, {part}", options.get("unit", UNITS[0])
        parts[part] = [_document(row, where, unit, notes) for row in tfds.all_of(source)]
    return built(found.name, parts, like, notes, **options)


def _document(row: Mapping[str, Any], where: str, unit: str, notes: list[str]) -> Document:
    """An example of TFDS as a text."""
    texts = [v for k, v in row.items() if isinstance(v, bytes | str)]
    if len(texts) != 1:
        raise UsageError(
            f"{shown(where)}: an example has {len(texts)} texts ({', '.join(map(shown, row))}); wanted one.\n"
            "Write the one that is meant to a .txt file, and give that."
        )
    content = texts[0].encode() if isinstance(texts[0], str) else texts[0]
    label = row.get("label")
    text = content.decode(BYTES) if unit == "byte" else decoded(content, where, notes)
    return Document(text, where, None if label is None else str(label))


def built(
    name: str, parts: Mapping[str, Sequence[Document]], like: Spec | None = None, notes: Sequence[str] = (), *,
    length: int = 64, cut: str = "lines", unit: str = "character",
) -> Dataset:  # fmt: skip
    """Texts as a data set of sequences of `length` symbols, uint8 or uint16 (n, length).

    Args:
        name: of the set.
        parts: texts of `train`, and perhaps `test` and `validation`.
        like: what a run was trained on: its alphabet is taken.
        notes: what is to be said already.
        length: symbols of an example. A line ends with a symbol that says so, so that it has up to length - 1 others;
            longer ones are cut where a space is.
        cut: "lines": a line is an example, blank ones are none, and a mask says where it ends. "windows": the text is
            cut into pieces of `length`, whatever is in them; what is left at its end is no example.
        unit: "character" or "byte".

    Returns:
        A data set whose spec has `n_values`, the size of the alphabet, and `about`: `unit`, `cut`, the `alphabet`
        ("" of bytes), and the number of the symbol that ends a line, `end` (-1 of windows).

    Raises:
        UsageError: a part without an example; a length, cut or unit that there is not.
    """
    _check(length, cut, unit)
    notes = list(notes)
    made = {}
    for part, documents in parts.items():
        made[part] = [(piece, d.label) for d in documents for piece in _cut(d.text, length, cut)]
        if not made[part]:
            raise _nothing(name, part, documents, length, cut)
    if cut == "lines":
        _say_of_long_lines(name, parts, length, notes)
    n = sum(map(len, made.values()))
    headroom.check(3 * n * length * 4, f"{shown(name)}: {n:,} examples of {length} symbols", "Give less text.")
    alphabet = "" if unit == "byte" else _alphabet(made["train"], cut) if like is None else like.about["alphabet"]
    about = {"unit": unit, "cut": cut, "alphabet": alphabet, "end": -1}
    if cut == "lines":
        about["end"] = alphabet.index(END) if alphabet else ord(END)
    raw = [
        None if any(label is None for _, label in some) else np.array([label for _, label in some])
        for some in made.values()
    ]
    labels, classes = numbered(raw, None, name)
    found = {
        part: _examples([piece for piece, _ in some], about, length)._replace(y=label)
        for (part, some), label in zip(made.items(), labels, strict=True)
    }
    for part in found:
        _say_of_unknown(name, part, found[part], made[part], about, notes)
    if unit == "character":
        _say_of_accents(name, parts, notes)
    return dataset(
        name, found["train"], found.get("test"), classes, found.get("validation"), domain="prose",
        n_values=len(alphabet) or 256, about=about, notes=notes,
    )  # fmt: skip


def line(x: np.ndarray, about: Mapping[str, Any]) -> str:
    """An example as text, up to the symbol that ends a line.

    Bytes that are no UTF-8 are written as escapes; symbols that stand for nothing (`unit` is "number") as numbers.

    Example:
        >>> line(np.array([2, 1, 0, 0]), {"unit": "character", "alphabet": "\\nab", "end": 0})
        'ba'
    """
    x = np.asarray(x)
    if about["end"] >= 0 and (ends := np.flatnonzero(x == about["end"])).size:
        x = x[: ends[0]]
    if about["unit"] == "number":
        return " ".join(str(int(i)) for i in x)
    if about["unit"] == "byte":
        return x.astype(np.uint8).tobytes().decode(errors="backslashreplace")
    return "".join(about["alphabet"][int(i)] for i in x)


def encoded(texts: Sequence[str], about: Mapping[str, Any], length: int) -> Examples:
    """Texts as examples, the opposite of `line`: cut at `length`, what the alphabet lacks as unknown."""
    pieces = [t if about["unit"] == "character" else t.encode().decode(BYTES) for t in texts]
    return _examples(pieces, about, length)


def _examples(pieces: Sequence[str], about: Mapping[str, Any], length: int) -> Examples:
    """Pieces of at most length symbols (length - 1 of a line, which its end is added to), padded with zeros."""
    wide, ends = np.zeros((len(pieces), length), np.int64), about["end"] >= 0
    counts = np.array([min(len(p), length - ends) + ends for p in pieces])
    mask = np.arange(length) < counts[:, None]
    symbols = [_numbers(p[: length - ends], about) for p in pieces]
    wide[mask if not ends else mask & (np.arange(length) < counts[:, None] - 1)] = np.concatenate(symbols)
    if ends:
        wide[np.arange(len(pieces)), counts - 1] = about["end"]
    n_values = len(about["alphabet"]) or 256
    x = wide.astype(np.uint8 if n_values <= 256 else np.uint16)
    return Examples(x, None, mask if ends or not mask.all() else None)


def _numbers(piece: str, about: Mapping[str, Any]) -> np.ndarray:
    """The number of each symbol; of a character that the alphabet lacks, that of `UNKNOWN`."""
    if not about["alphabet"]:
        return _codes(piece)
    known = _codes(about["alphabet"][:-1])
    code = _codes(piece)
    place = np.minimum(np.searchsorted(known, code), max(len(known) - 1, 0))
    return np.where(known[place] == code, place, len(known)) if len(known) else np.zeros(len(code), np.int64)


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)


def _alphabet(pieces: Sequence[tuple[str, str | None]], cut: str) -> str:
    """The training part's characters in the order of their code points, then `UNKNOWN`."""
    found = set().union(*(set(piece) for piece, _ in pieces)) | ({END} if cut == "lines" else set())
    return "".join(sorted(found - {UNKNOWN})) + UNKNOWN


def _cut(text: str, length: int, cut: str) -> list[str]:
    """The pieces of a text that are examples."""
    if cut == "windows":
        return [text[i : i + length] for i in range(0, len(text) - length + 1, length)]
    pieces: list[str] = []
    for whole in text.split("\n"):
        rest = whole
        while len(rest) >= length:
            space = rest.rfind(" ", 1, length)
            at = space if space > 0 else length - 1
            pieces.append(rest[:at])
            rest = rest[at + (space > 0) :]
        pieces.append(rest)
    return [p for p in pieces if p.strip()]


def _parts(path: Path) -> dict[str, list[tuple[Path, str | None]]]:
    """Each part's files, and the class of each."""
    if files.kind_of(path) != "folder":
        return {"train": [(path, None)]}
    found = [e for e in files.below(path) if e.path.suffix.lower() == SUFFIX]
    if not found:
        raise UsageError(f"{shown(path)}: holds no {SUFFIX} file. Name a text, or a folder of texts.")
    if odd := next((e for e in found if e.kind != "file"), None):
        raise files.not_a_file(odd.path)
    inside = [(e.path, e.path.relative_to(path).parts) for e in found]
    first = {p[0] if len(p) > 1 else Path(p[0]).stem for _, p in inside}
    if not all(name.lower() in PARTS for name in first):
        return {"train": [(file, _class_of(p)) for file, p in inside]}
    if "train" not in {PARTS[name.lower()] for name in first}:
        raise UsageError(
            f"{shown(path)}: has {', '.join(sorted(map(shown, first)))} and no training part.\n"
            "Name the training text train.txt, or give the file that is meant."
        )
    parts: dict[str, list[tuple[Path, str | None]]] = {}
    for file, p in inside:
        part = PARTS[(p[0] if len(p) > 1 else Path(p[0]).stem).lower()]
        parts.setdefault(part, []).append((file, _class_of(p[1:])))
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
    return {part: parts[part] for part in ("train", "test", "validation") if part in parts}


def _class_of(parts: Sequence[str]) -> str | None:
    return parts[0] if len(parts) > 1 else None


def _read(path: Path, unit: str, notes: list[str]) -> str:
    """A file's text, or its bytes.

    Raises:
        UsageError: it is empty, cannot be read, or is no text.
    """
    with files.open_file(path) as f:
        try:
            content = f.read()
        except OSError as e:
            raise files.refused(path, e) from e
    if not content.strip():
        raise UsageError(f"{shown(path)}: is empty. Give a file with text in it, or leave it out.")
    return content.decode(BYTES) if unit == "byte" else decoded(content, shown(path), notes)


def _check(length: int, cut: str, unit: str) -> None:
    if length < 2:
        raise UsageError(f"length={length}: an example has at least 2 symbols. Try --length 64.")
    for name, value, allowed in (("cut", cut, CUTS), ("unit", unit, UNITS)):
        if value not in allowed:
            raise UsageError(f"{name}={value!r}: must be one of {', '.join(allowed)}.")


def _nothing(name: str, part: str, documents: Sequence[Document], length: int, cut: str) -> UsageError:
    """The refusal of a part without an example."""
    if cut == "lines":
        return UsageError(f"{shown(name)}: the {part} part has no line with anything but spaces. Give more text.")
    most = max(len(d.text) for d in documents)
    return UsageError(
        f"{shown(name)}: the longest text of the {part} part has {most} symbols, less than one window of {length}.\n"
        f"Give --length {max(2, most)}, or --cut lines."
    )


def _say_of_long_lines(name: str, parts: Mapping[str, Sequence[Document]], length: int, notes: list[str]) -> None:
    texts = [d.text for documents in parts.values() for d in documents]
    lengths = [len(line) for t in texts for line in t.split("\n")]
    if n := sum(x >= length for x in lengths):
        notes.append(
            f"{shown(name)}: {n:,} lines have {length} symbols or more (up to {max(lengths):,}): they were cut at "
            "spaces. --length makes examples longer; --cut windows takes the text as it comes, line ends included."
        )


def _say_of_unknown(name: str, part: str, examples: Examples, made, about: Mapping[str, Any], notes: list[str]) -> None:
    if not about["alphabet"]:
        return
    unknown = len(about["alphabet"]) - 1
    hits = examples.x == unknown
    if hits.any():
        which = sorted(set().union(*(set(piece) for piece, _ in made)) - set(about["alphabet"][:-1]))
        some = " ".join(shown(c) for c in which[:10]) + (" ..." if len(which) > 10 else "")
        notes.append(
            f"{shown(name)}: {int(hits.sum()):,} characters of the {part} part are not in the alphabet ({some}): "
            "they count as one unknown symbol."
        )


def _say_of_accents(name: str, parts: Mapping[str, Sequence[Document]], notes: list[str]) -> None:
    texts = [d.text for documents in parts.values() for d in documents]
    n = sum(len(t) - len(unicodedata.normalize("NFC", t)) for t in texts if not unicodedata.is_normalized("NFC", t))
    if n > 0:
        notes.append(
            f"{shown(name)}: {n:,} accents are characters of their own (not in Unicode's NFC form), and stay so. "
            "To make one character of letter and accent: uconv -x any-nfc, or unicodedata.normalize('NFC', text)."
        )
