"""What a report says of a run, read from its folder; a run that cannot be opened still has most of it."""

import base64
import contextlib
import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genjax import data, domains, runs, viz
from genjax.checked import checked
from genjax.checkpoint.checkpoints import digest as leaves_digest
from genjax.checkpoint.checkpoints import read_leaves, tree_digest
from genjax.checkpoint.marks import Mark
from genjax.domains.contract import Domain, Words, one_above_the_other
from genjax.errors import RunFailure, UsageError
from genjax.health import Said, read_findings
from genjax.measure.eval_file import best_of, read_eval
from genjax.metrics.protocol import Record
from genjax.metrics_log import last_part, plain_names
from genjax.report import neighbours, pictures
from genjax.report.members import Member, members, sample_folder
from genjax.report.pictures import Pictures
from genjax.runs import recipe_code
from genjax.runs.dataset import dataset_of_run
from genjax.runs.members import flags_of
from genjax.runs.run_folder import METRICS, WHOLE, mark_of, read_config, read_manifest, refuse_vanished
from genjax.runs.validation import VALIDATION
from genjax.train.resume import Resume
from genjax.trust import Access

N_FRAMES, FRAME_BYTES = 24, 900_000
"""Sample grids over training in a page: at most so many, and so many bytes; evenly spaced, first and last kept."""


_NO_SPEC = data.Spec("", (), 0, 0, "", domain="")


class Frame(NamedTuple):
    """What a run kept of its samples at a step of training: a picture, or a text."""

    step: int
    seen: viz.Png | str


class Facts(NamedTuple):
    """What is known of a run."""

    path: str
    name: str
    recipe: str
    family: str
    """`VAE`, `GAN`, or nothing where neither the model nor the metrics tell."""
    config: dict[str, Any]
    options: dict[str, Any]
    data: dict[str, Any]
    manifest: dict[str, Any]
    rows: dict[str, np.ndarray]
    frames: tuple[Frame, ...]
    n_frames: int
    """How many sample grids the folder holds."""
    step: int | None
    """The step of the last checkpoint; None where there is none."""
    digest: str
    pictures: Pictures | None
    problems: tuple[str, ...]
    """What the page lacks, and why, in sentences."""
    members: tuple[Member, ...] = ()
    """The members of a population; empty for a single run, or where the page is of one member."""
    population: dict[str, Any] = {}  # noqa: RUF012  (never mutated: NamedTuple default)
    """What `config.json` says of them."""
    member: int | None = None
    """The one member that the page is about."""
    findings: tuple[Said, ...] = ()
    """What the monitor said while the run trained."""
    records: tuple[Record, ...] = ()
    """What `genjax eval` measured."""
    validation: dict[str, np.ndarray] = {}  # noqa: RUF012  (never mutated: NamedTuple default)
    """Evaluations on held-out images during training, as `rows` are."""
    code: dict[str, Any] | None = None
    """What `config.json` says of the recipe's code."""
    trusted: bool = False
    """Whether the user trusts it whatever it is."""
    best: tuple[int, str] | None = None
    """Step of the checkpoint that is best on validation, and what it is the best of."""
    looked: dict[str, Any] = {}  # noqa: RUF012  (never mutated: NamedTuple default)
    """What of its health could be judged, as the last checkpoint has it."""
    domain: Domain | None = None
    """The domain of its data; None where it is not known."""

    @property
    def words(self) -> Words:
        """What its examples are called."""
        return Words() if self.domain is None else self.domain.words

    @property
    def planned(self) -> int | None:
        """Steps that the run is to make."""
        steps = self.config.get("steps")
        return steps if isinstance(steps, int) else None

    @property
    def reached(self) -> int:
        """Steps done, as far as the folder shows."""
        logged = int(self.rows["step"][-1]) if len(self.rows.get("step", ())) else 0
        return max(logged, self.step or 0)

    @property
    def finished(self) -> bool:
        return self.step is not None and self.planned is not None and self.step >= self.planned


def read(path: str, n_tiles: int, member: int | None = None, access: Access = Access()) -> Facts:
    """The facts of the run in folder `path`, or of one member; of each sample grid the first `n_tiles` images.

    `access` says how the run is opened, and where its data lie now.

    Raises:
        UsageError: there is no such folder, or it is not a run's, or it has no such member.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UsageError(f"RUN={path}: there is no such folder.")
    mark = mark_of(path)
    if not (folder / "config.json").exists():
        raise UsageError(f"RUN={path}: not a run's folder, it has no config.json. `genjax train NAME` makes one.")
    stored = read_config(path) or {}
    checked(stored, WHOLE, folder / "config.json")
    manifest = read_manifest(folder)
    problems: list[str] = []
    who = members(stored.get("population"))
    if member is not None and not 0 <= member < len(who):
        raise UsageError(f"--member={member}: {path} has {len(who) or 'no'} members.")
    whole = bool(who) and member is None
    rows = runs.read_metrics(path, member) if (folder / "metrics.jsonl").exists() else {}
    config, about = dict(stored.get("config", {})), dict(stored.get("data", {}))
    name = folder.resolve().name
    if member is not None:
        rows.pop("failed", None)
        config |= {"seed": who[member].seed, **who[member].values}
        name = f"{name}, member {member}"
    step, digest, drawn, family, resume = None, "", None, _family_of(rows), Resume()
    domain, spec = _domain_and_spec(about)
    if _has_checkpoint(folder):
        try:
            if whole:
                step, digest, resume = _sealed(folder, mark)
            else:
                run = runs.open_run(path, member=member, trust=access.trust)
                step, family, resume, domain, spec = run.step, _family(run, family), run.resume, run.domain, run.spec
                digest = tree_digest(run.state)
                drawn = _drawn(run, _dataset(run, problems, access))
        except (UsageError, RunFailure) as e:
            problems.append(f"The model could not be drawn from: {e}")
            if step is None and not whole:  # what the checkpoint says needs no recipe
                with contextlib.suppress(UsageError, RunFailure):
                    step, digest, resume = _sealed(folder, mark)
                    digest = digest if member is None else ""
    elif gone := _vanished(path, stored):
        problems.append(gone)
    else:
        problems.append("This run has no checkpoint yet, so there is no model to draw pictures from.")
    folders = [sample_folder(folder, i) for i in (range(len(who)) if whole else () if member is None else (member,))]
    frames, n_frames = _frames(folders or [folder / "samples"], domain, spec, n_tiles, problems)
    records = _records(path, member, whole, problems)
    recipe, options = str(stored.get("experiment", "")), dict(stored.get("options", {}))
    return Facts(
        path,
        name,
        recipe,
        family,
        config,
        options,
        about,
        manifest,
        rows,
        frames,
        n_frames,
        step,
        digest,
        drawn,
        tuple(problems),
        who if whole else (),
        stored.get("population") or {},
        member,
        read_findings(folder / METRICS, member),
        records,
        runs.read_metrics(path, member, VALIDATION) if (folder / VALIDATION).exists() else {},
        stored.get("code"),
        access.trust,
        best_of(path),
        _looked(resume),
        domain,
    )


def commands(facts: Facts) -> dict[str, str]:
    """Shell commands by what they do: repeat the run, continue it, look at it."""
    defaults: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(runs.Options)}
    word = recipe_code.word_of(Path(facts.path), {"experiment": facts.recipe, "code": facts.code})
    with contextlib.suppress(UsageError):  # a recipe that is not to be executed: all fields are said
        recipe = recipe_code.recipe_of(
            Path(facts.path), {"experiment": facts.recipe, "code": facts.code}, facts.trusted
        )
        defaults |= {f.name: f.default for f in dataclasses.fields(recipe.Config)}
    free = {"run_dir", "quiet", "compile_cache", "tensorboard"}
    several = flags_of(facts.population) if facts.members else []
    defaults |= {k: facts.config.get(k) for k in facts.population.get("sweep", {}) if facts.members}
    wanted = facts.config | {k: v for k, v in facts.options.items() if k not in free}
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in wanted.items() if k not in defaults or defaults[k] != v]
    flags += several
    again = ["genjax", "train", word, *flags]
    run = facts.path
    said = {"Reproduce in a new folder": again}
    if facts.finished and facts.member is None:
        longer = [f for f in flags if not f.startswith("--steps=")]
        more = [f"--steps={2 * (facts.planned or 0)}", f"--run-dir={run}"]
        said["Train longer"] = ["genjax", "train", word, *longer, *more]
    elif facts.member is None:
        said["Continue"] = [*again, f"--run-dir={run}"]
    if facts.step is not None:
        one = [f"--member={facts.member or 0}"] if facts.population else []
        measured = ["--member", "all"] if facts.members else one
        said["Measure it, and regenerate this page with the numbers"] = ["genjax", "eval", run, *measured]
        if facts.members:
            said["Its members side by side, once they are measured"] = ["genjax", "compare", run]
        suffix = next(iter(facts.domain.save), ".npz") if facts.domain else ".npz"
        said["Draw samples"] = ["genjax", "sample", run, *one, "--n", "64", "--out", f"samples{suffix}"]
        said["Compare with another run, bit by bit"] = ["genjax", "digest", run, *(() if facts.members else one)]
        if facts.population:
            out = f"{run}-member{facts.member or 0}"
            said["Make a run of its own of one member"] = ["genjax", "extract", run, *one, "--out", out]
            said["A page of one member"] = ["genjax", "report", run, *one, "--out", "member.html"]
    return {title: shlex.join(words) for title, words in said.items()}


def gaps(rows: Mapping[str, np.ndarray], key: str) -> str:
    """A sentence on the values of a metric that are not finite; empty where all are.

    Example:
        >>> gaps({"step": np.array([10, 20]), "elbo": np.array([-3.0, np.nan])}, "elbo")
        '1 of 2 rows has no finite elbo, the first at step 20: a gap in the curve.'
    """
    bad = ~np.isfinite(np.asarray(rows[key], float))
    if not bad.any():
        return ""
    n, first = int(bad.sum()), int(rows["step"][bad.argmax()])
    has, gap = ("has", "a gap") if n == 1 else ("have", "gaps")
    return f"{n:,} of {len(bad):,} rows {has} no finite {key}, the first at step {first:,}: {gap} in the curve."


def data_uri(png: viz.Png) -> str:
    return "data:image/png;base64," + base64.b64encode(png.data).decode()


def _domain_and_spec(about: Mapping[str, Any]) -> tuple[Domain | None, data.Spec | None]:
    """The domain and the `Spec` that a run's folder tells of; None where it tells nothing that is known."""
    try:
        spec = data.spec_of(about)
        return domains.of(spec), spec
    except UsageError:
        return None, None


def _sealed(folder: Path, mark: Mark | None) -> tuple[int, str, Resume]:
    """Step and digest of the newest intact checkpoint, and what it holds beside the state; executes nothing."""
    step, leaves, extra = read_leaves(folder / "checkpoints", mark=mark)
    return step, leaves_digest(leaves), Resume.from_json(extra, f"checkpoint {step} of {folder}")


def _vanished(path: str, stored: Mapping[str, Any]) -> str:
    """What there is to say of checkpoints that are gone; empty where none ever was."""
    try:
        refuse_vanished(path, stored)
    except UsageError as e:
        return str(e)
    return ""


def _has_checkpoint(folder: Path) -> bool:
    where = folder / "checkpoints"
    return where.is_dir() and any(p.name.isdigit() for p in where.iterdir())


def _family(run: Any, otherwise: str) -> str:
    return getattr(run.experiment.model, "family", "") or otherwise


def _family_of(rows: Mapping[str, Any]) -> str:
    """By the logged metrics, whose names may begin with a player's: `vae/elbo` is one of a VAE."""
    if any(last_part(name) == "elbo" for name in rows):
        return "VAE"
    return "GAN" if "d/loss" in plain_names(rows).values() else ""


def _looked(resume: Resume) -> dict[str, Any]:
    """From what a checkpoint holds beside the state; nothing where that is not of the monitor's making."""
    looked = (resume.health or {}).get("looked")
    return dict(looked) if isinstance(looked, Mapping) else {}


def _drawn(run: Any, dataset: data.Dataset | None) -> Pictures:
    """The pictures, those of nearest training images last."""
    drawn = pictures.draw(run, dataset)
    near = None if dataset is None else neighbours.figure(drawn.samples, dataset, run.domain)
    return drawn if near is None else drawn._replace(figures=(*drawn.figures, near))


def _records(path: str, member: int | None, whole: bool, problems: list[str]) -> tuple[Record, ...]:
    """What was measured of the run, or of the members that the page is about."""
    try:
        return tuple(r for r in read_eval(path) if whole or r.subject.member == member)
    except UsageError as e:
        problems.append(f"What was measured cannot be shown. {e}")
        return ()


def _dataset(run: Any, problems: list[str], access: Access) -> data.Dataset | None:
    """The run's data set; None, with the reason among the problems, where it is not to be had or is another one now."""
    try:
        return dataset_of_run(run, access)
    except (UsageError, OSError) as e:
        problems.append(f"There are no real images here. {e}")
        return None


def _frames(
    folders: Sequence[Path], domain: Domain | None, spec: data.Spec | None, n_tiles: int, problems: list[str]
) -> tuple[tuple[Frame, ...], int]:
    """Some of `<step>.png`, as the domain cuts them anew, or of `<step>.txt`.

    Of several folders, a member's each, a picture (or text) with all of them.
    """
    where = folders[0]
    suffix = ".png" if where.is_dir() and any(where.glob("*.png")) else ".txt"
    found = sorted(int(p.stem) for p in where.glob(f"*{suffix}") if p.stem.isdigit()) if where.is_dir() else []
    if not found:
        return (), 0

    def frame(step: int) -> viz.Png | str:
        paths = [f / f"{step:08d}{suffix}" for f in folders]
        if suffix == ".txt":
            return "\n\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths)
        pictures = [viz.decode(path) for path in paths]
        known = domain is not None and spec is not None
        return domain.frame(pictures, spec, n_tiles) if known else one_above_the_other(pictures, _NO_SPEC, n_tiles)

    try:
        last = frame(found[-1])
        size = len(last) if isinstance(last, str) else len(last.data)
        n = min(N_FRAMES, len(found), max(2, FRAME_BYTES // max(1, size)))
        keep = np.unique(np.linspace(0, len(found) - 1, n).round().astype(int))
        return tuple(Frame(found[i], frame(found[i])) for i in keep), len(found)
    except OSError as e:
        problems.append(f"A sample grid in {where} cannot be read ({e}).")
        return (), len(found)
