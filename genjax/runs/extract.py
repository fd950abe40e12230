"""One member of a population as a run of its own."""

import dataclasses
import errno
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genjax.checkpoint.checkpoints import Checkpoints
from genjax.errors import RunFailure, UsageError
from genjax.files import building, copy_folder, failed_write, refuse_part_of_a_run
from genjax.health import share_of
from genjax.runs import recipe_code, run_folder
from genjax.runs.command import command
from genjax.runs.config import resumable_fields
from genjax.runs.dataset import dataset_of_run
from genjax.runs.opening import open_run
from genjax.runs.sample_grids import member_folder
from genjax.runs.validation import VALIDATION
from genjax.train.resume import Resume
from genjax.trust import Access


class Extracted(NamedTuple):
    """What `extract` made."""

    step: int
    what: str
    """The member in words."""
    command: str
    """What continues it, without its folder."""


def extract(run: str | Path, member: int | None, out: str | Path, access: Access = Access()) -> Extracted:
    """Writes a member's folder: what training it alone would have made, up to where this population is.

    `config.json` is that of the single run, so that `genjax train` continues it with the member's seed and values.
    Its newest checkpoint, log and pictures are the member's share; `manifest.json` says where it comes from.
    The folder appears when all of it is written: one that is killed leaves nothing that looks like a run.

    Raises:
        UsageError: `run` is no population, or has no such member or no checkpoint, or this member has failed; `out` is
            not empty.
        RunFailure: the disk is full or fails; `out` is as it was.
    """
    run, out = Path(run), Path(out).expanduser().resolve()
    refuse_part_of_a_run(out)
    opened = open_run(run, member=member, trust=access.trust)
    if opened.members is None or opened.member is None:
        raise UsageError(f"RUN={run} is a single run already: there is nothing to extract.")
    i, config = opened.member, opened.config
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out={out}: is there already and not an empty folder. Name a new one.")
    stored, name = run_folder.read_config(run) or {}, opened.members.name(i)
    again = command(recipe_code.word_of(out, stored), config)
    wanted = {k: stored[k] for k in ("experiment", "config", "options", "data", "where", "code") if k in stored}
    wanted |= {"config": dataclasses.asdict(config), "options": {**stored["options"], "run_dir": str(out)}}
    looked = (opened.resume.health or {}).get("looked")
    pending = [_share(row, i, opened.members.n) for row in opened.resume.pending]
    resume = Resume(pending, opened.resume.seconds, health={"looked": looked} if looked else None)
    if access.data is not None:
        dataset_of_run(opened, access)
    place = out
    try:
        with building(out) as place, run_folder.RunFolder(place) as folder:
            folder.claim(wanted, resumable_fields(config))
            manifest = run_folder.read_manifest(run)
            source = {"run": str(run.resolve()), "member": i, "of": opened.members.n, "step": opened.step}
            words = [*shlex.split(again), "--run-dir", str(out)]
            run_folder.write_json(
                folder.path / run_folder.MANIFEST, {**manifest, "command": words, "extracted": source}
            )
            with run_folder.MetricsLog(folder.path / run_folder.METRICS) as log:
                for row in run_folder.read_rows(run / run_folder.METRICS):
                    if row["step"] <= opened.step:
                        log.append(_share(row, i, opened.members.n))
                log.sync()
            if (run / VALIDATION).exists():
                with run_folder.MetricsLog(folder.path / VALIDATION) as log:
                    for row in run_folder.read_rows(run / VALIDATION):
                        if row["step"] <= opened.step:
                            log.append(_share(row, i, opened.members.n))
                    log.sync()
            copy_folder(run / recipe_code.COPY, folder.path / recipe_code.COPY)
            copy_folder(run / "samples" / member_folder(i), folder.path / "samples")
            to = folder.path / run_folder.CHECKPOINTS
            with Checkpoints(to, mark=folder.mark, on_seal=folder.note_seal) as checkpoints:
                checkpoints.save(opened.step, opened.state, resume.to_json())
    except RunFailure as e:
        raise RunFailure(f"{out} was not written: {str(e).replace(str(place), str(out))}") from e
    except OSError as e:
        if e.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise UsageError(f"--out={out}: another process made it meanwhile. Name a new one.") from None
        raise failed_write(out, 0, e) from e
    return Extracted(opened.step, f"{opened.name}, {name}", again)


def _share(row: Mapping[str, Any], i: int, n: int) -> dict[str, Any]:
    """Member i's part of a logged row of n members."""
    mine = {k: v[i] if isinstance(v, list) else v for k, v in row.items() if k not in ("failed", "health")}
    if said := share_of(row.get("health", ()), i):
        mine["health"] = said
    return mine | ({"examples_per_s": round(row["examples_per_s"] / n, 1)} if "examples_per_s" in row else {})


def leaves_of(named: Mapping[str, Any], member: int, run: object) -> dict[str, Any]:
    """A member's named leaves: all have a member axis but the step.

    Raises:
        UsageError: `run` is no population, or has no such member.
    """
    stored = run_folder.read_config(str(run))
    if stored is None or not stored.get("population"):
        raise UsageError(f"--member={member}: {run} is a single run; leave --member out.")
    n = min(v.shape[0] if v.ndim else 0 for k, v in named.items() if k != "step")
    if not 0 <= member < n:
        raise UsageError(f"--member={member}: {run} has members 0 to {n - 1}.")
    return {k: v if k == "step" else np.asarray(v[member]) for k, v in named.items()}
