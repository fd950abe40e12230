"""Writes another address of the repository wherever genjax names its own.

Command:  python notebooks/address.py https://github.com/NAME/genjax

The address stands once in pyproject.toml, as the project's URL; READMEs and notebooks (the badges that open Colab, the
set-up cell's fallback) repeat it. Whoever publishes genjax, or a fork of it, runs this once. Colab opens notebooks of
GitHub only.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def slug(root: Path = ROOT) -> str:
    """The account and the name of the repository, as pyproject.toml has them."""
    home = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["urls"][
        "Repository"
    ]
    return ADDRESS.fullmatch(home)[1]


def files(root: Path = ROOT) -> Iterator[Path]:
    """Every file that may name the address."""
    for pattern in (
        "pyproject.toml",
        "*.md",
        "*/README.md",
        "*/*/README.md",
        "notebooks/*_*.py",
        "notebooks/*.ipynb",
    ):
        yield from sorted(root.glob(pattern))


def mentions(text: str, name: str) -> list[str]:
    """The account and name in each address of a repository called `name`, on GitHub or as Colab opens it."""
    return re.findall(rf"github(?:\.com)?/([\w.-]+/{re.escape(name)})(?![\w-])", text)


def move(to: str, root: Path = ROOT) -> None:
    """Replaces the address by another one in all files."""
    if not (new := ADDRESS.fullmatch(to)):
        raise SystemExit(
            f"{to!r} is no address of a repository. Give one like https://github.com/NAME/genjax"
        )
    old = re.compile(rf"(github(?:\.com)?/){re.escape(slug(root))}(?![\w-])")
    for file in files(root):
        text = file.read_text("utf-8")
        moved = old.sub(lambda m: m[1] + new[1], text)
        if moved != text:
            file.write_text(moved, "utf-8")
            print(file.relative_to(root))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    move(sys.argv[1])
