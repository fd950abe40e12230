"""A run's `manifest.json` as its sessions write it: where the run began, where it went on, and what changed between."""

import shlex
from typing import Any

from genjax.runs import run_folder
from genjax.runs.command import command
from genjax.runs.notes import facts_of
from genjax.runs.setup import Setup
from genjax.train.distributed import say_once


def note_session(setup: Setup, new: bool, at: int, recipe: list[str]) -> None:
    """Writes where the run runs, and with which code; says what may keep it from being the same to the bit.

    Args:
        setup: the run.
        new: whether its folder is.
        at: the step that the session begins at.
        recipe: what of the recipe's code is not as it was; before the first checkpoint, of the configuration too.
    """
    path = setup.folder.path / run_folder.MANIFEST
    there = {} if new else run_folder.read_manifest(path.parent)
    here = _here(setup)
    setup.folder.guard()
    if there:
        say_once(f"continuing from step {at}." if at else "it holds no sealed checkpoint: beginning again at step 0.")
        if recipe:
            say_once(f"with another recipe than before: {', '.join(recipe)}.")
    if not there or (recipe and not at):
        run_folder.write_json(path, here)
        return
    changed = say_environment(setup, there) if at else []
    sessions = [*there.get("continued", []), {"started": here["started"], "step": at, "changed": changed}]
    sessions[-1] |= {"recipe": recipe} if recipe else {}
    setup.folder.guard()
    run_folder.write_json(path, {**there, "continued": sessions})


def say_environment(setup: Setup, there: Any) -> list[str]:
    """What of the environment, genjax's own code included, is not what the run began with."""
    changed = run_folder.environment_differences(there or {}, _here(setup)) if there else []
    if changed:
        say_once("\n  ".join(["bit-exact resumption is not promised, the environment changed:", *changed]))
    return changed


def _here(setup: Setup) -> dict[str, Any]:
    again = command(setup.name, setup.cfg, setup.options, setup.members)
    words = [*shlex.split(again), "--run-dir", str(setup.folder.path)]
    about = (setup.folder.config or {}).get("data")
    return run_folder.manifest(words, about, str(setup.layout)) | facts_of(setup.experiment.model)
