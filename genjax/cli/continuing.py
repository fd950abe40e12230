"""`genjax train RUN`: a run continued by its folder alone, wherever it lies now."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

TRUST = "--trust"


def is_run(what: str) -> bool:
    """Whether a word of the command line names a run's folder and no recipe."""
    return (Path(what) / "config.json").is_file()


def opened(what: str, argv: Sequence[str]) -> tuple[ModuleType, list[str]]:
    """The recipe in a run's folder, and the words that train it as it was; those of `argv` come last, so they win.

    Args:
        what: the folder.
        argv: what the user wrote after it; `--trust` among it executes a recipe of somebody else.

    Raises:
        UsageError: the folder is damaged, or its recipe is not trusted.
    """
    from genjax.runs import dataset, recipe_code, run_folder
    from genjax.runs.members import flags_of

    path, words = Path(what), [w for w in argv if w != TRUST]
    stored: dict[str, Any] = run_folder.read_config(path) or {}
    recipe = recipe_code.recipe_of(path, stored, TRUST in argv)
    population = stored.get("population") or {"seeds": [], "sweep": {}}
    fields = {f.name: f.default for f in dataclasses.fields(recipe.Config)}
    config = {**stored["config"], "data": dataset.place(path, stored)}
    flags = [
        word
        for name, value in config.items()
        if name in fields and name not in population["sweep"] and value != fields[name]
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    if folder := stored.get("where", {}).get("data_dir"):
        flags += ["--data-dir", folder]
    return recipe, [*flags, *flags_of(population), *words, "--run-dir", what]
