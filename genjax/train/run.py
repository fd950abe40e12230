"""A run: a recipe, its data, its folder. Trains, continues, and never loses what was sealed."""

import dataclasses
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from genjax import data, recipes, rng, viz
from genjax.errors import RunFailure, UsageError
from genjax.train import record
from genjax.train.checkpoint import Checkpoints
from genjax.train.config import Options, kinds
from genjax.train.display import Display
from genjax.train.experiment import Experiment
from genjax.train.jsonfile import failed_write
from genjax.train.loop import Every, Progress, fit
from genjax.train.metrics_log import NUMBERS, MetricsLog
from genjax.train.signals import Signals
from genjax.train.state import TrainState, evaluation

N_SAMPLES = 64
"""Images of the grid drawn from the same latents throughout training."""


def run(file: str, build: Callable[..., Experiment], cfg: Any, options: Options | None = None) -> int:
    """Trains a recipe in a folder, or continues the run that is there.

    Args:
        file: the recipe's `__file__`.
        build: its `build(cfg, spec) -> Experiment`.
        cfg: its `Config`.
        options: how the run is carried out.

    Returns:
        0 when the run is at its last step; 130 or 143 when a signal stopped it, with its state saved.

    Raises:
        UsageError: the configuration, the data or the folder will not do; nothing was written.
        RunFailure: the run failed; the last good checkpoint is named.
    """
    options = options or Options()
    name = experiment_name(file)
    best = _best(options.keep_best)
    dataset = data.load(cfg.data, data_dir=options.data_dir, image_size=cfg.image_size or None)
    experiment = _built(build, cfg, dataset.spec)
    source = data.make_source(dataset.train, cfg.batch_size, experiment.transform)
    writer = _tensorboard(options)
    folder = record.RunFolder(options.run_dir or fresh_folder(name, cfg.seed))
    wanted = {
        "experiment": name,
        "config": dataclasses.asdict(cfg),
        "options": dataclasses.asdict(options),
        "data": dataclasses.asdict(dataset.spec),
    }
    run_only = {f for f, kind in kinds(type(cfg)).items() if kind == "run_only"}
    folder.check(wanted, run_only)
    print(f"run folder: {folder.path}", file=sys.stderr, flush=True)
    with ExitStack() as stack:
        stack.enter_context(folder)
        new = folder.claim(wanted, run_only)
        checkpoints = stack.enter_context(
            Checkpoints(folder.path / "checkpoints", options.keep, best and best[0], on_message=_say)
        )
        return _Run(name, cfg, options, folder, experiment, source, checkpoints, best, writer).go(new)


@dataclasses.dataclass
class _Run:
    """A run whose folder is held."""

    name: str
    cfg: Any
    options: Options
    folder: record.RunFolder
    experiment: Experiment
    source: Any
    checkpoints: Checkpoints
    best: tuple[str, str] | None
    writer: Callable[[Path, int], Any] | None
    row: dict[str, float | int] = dataclasses.field(default_factory=dict)

    def go(self, new: bool) -> int:
        step, key = self.experiment.step, jax.random.key(self.cfg.seed)
        state = step.init(self.experiment.model, key)
        restored = self.checkpoints.restore(state)
        extra: dict[str, Any] = {"pending": [], "seconds": 0.0}
        if restored is not None:
            state, extra = restored.tree, restored.extra
        at = int(state.step)
        self._manifest(new, at)
        if at >= self.cfg.steps:
            print(f"finished: the run is at step {at} of {self.cfg.steps}. A larger --steps continues it.", file=sys.stderr)
            return 0
        pending = [{k: NUMBERS.get(v, v) for k, v in row.items()} for row in extra["pending"]]
        grid = self._grid(key)
        with (
            MetricsLog(self.folder.path / record.METRICS) as log,
            Display(at, self.cfg.steps, self.options.quiet) as display,
            Signals(display.say) as signals,
        ):
            log.truncate_to(lambda s: s <= at - len(pending))
            board = self.writer(self.folder.path / "tensorboard", at) if self.writer else None
            if at == 0:
                grid(Progress(0, state, [], 0.0))

            def on_row(row):
                self.row = row
                log.append(row)
                display.update(row)
                if board is not None:
                    for k, v in row.items():
                        board.add_scalar(k, v, row["step"])

            def save(progress: Progress):
                log.sync()
                extra = {"pending": record.to_json(progress.pending), "seconds": progress.seconds}
                self.checkpoints.save(progress.step, progress.state, extra, self._metric())

            try:
                fitted = fit(
                    step, state, self.source, key, steps=self.cfg.steps, log_every=self.options.log_every,
                    on_row=on_row, every=(Every(self.options.save_every, save), Every(self.options.sample_every, grid)),
                    stop=lambda: signals.received is not None, pending=pending, seconds=extra["seconds"],
                )  # fmt: skip
                last = Progress(int(fitted.state.step), fitted.state, fitted.pending, fitted.seconds)
                save(last)
                if last.step == self.cfg.steps:
                    grid(last)
                self.checkpoints.wait()
            except RunFailure as e:
                raise self._named(e) from e
            finally:
                if board is not None:
                    board.close()
        return self._leave(last, signals)

    def _leave(self, last: Progress, signals: Signals) -> int:
        where = _shell(self.folder.path)
        if last.step < self.cfg.steps:
            print(
                f"saved at step {last.step} of {self.cfg.steps}. To continue: {command(self.name, self.cfg)} --run-dir {where}",
                file=sys.stderr,
            )
            return signals.exit_code or 1
        print(f"done: step {last.step}, {last.seconds:.0f} s of training. A page to look at: genjax report {where}", file=sys.stderr)
        return 0

    def _metric(self) -> float | None:
        return None if self.best is None else self.row.get(self.best[1])

    def _named(self, e: RunFailure) -> RunFailure:
        """The failure with the last good checkpoint's name, if it lacks one."""
        try:
            self.checkpoints.wait()
        except RunFailure:
            pass
        good = self.checkpoints.sealed()
        said = f"Last good checkpoint: step {good[-1]} in {self.checkpoints.folder}." if good else "No checkpoint was saved yet."
        return e if "checkpoint" in str(e) else RunFailure(f"{e}\n{said}")

    def _manifest(self, new: bool, at: int):
        """Writes where the run runs; on continuing elsewhere says what may keep it from being the same to the bit."""
        path = self.folder.path / record.MANIFEST
        words = [*command(self.name, self.cfg).split(" "), "--run-dir", str(self.folder.path)]
        here = record.manifest(words, {"fingerprint": record.read_config(self.folder.path)["data"]["fingerprint"]})
        there = None if new else record.read_json(path)
        if there is None:
            record.write_json(path, here)
            return
        changed = record.environment_differences(there, here)
        if at:
            print(f"continuing from step {at}.", file=sys.stderr)
        if at and changed:
            print("bit-exact resumption is not promised, the environment changed:\n  " + "\n  ".join(changed), file=sys.stderr)
        sessions = [*there.get("continued", []), {"started": here["started"], "step": at, "changed": changed}]
        record.write_json(path, {**there, "continued": sessions})

    def _grid(self, key):
        """Writes `samples/<step>.png`: what the same latents look like now."""
        model, inverse = self.experiment.model, self.experiment.transform.inverse
        latents = jax.random.normal(rng.named(key, "samples"), (N_SAMPLES, model.z_dim))
        draw = jax.jit(lambda params, state, z: inverse(model.generate(params, state, z)))

        def grid(progress: Progress):
            pixels = viz.to_uint8(np.asarray(draw(*evaluation(progress.state), latents)))
            path = self.folder.path / "samples" / f"{progress.step:08d}.png"
            try:
                path.parent.mkdir(exist_ok=True)
                viz.save_grid(path, pixels)
            except OSError as e:
                raise failed_write(path, pixels.nbytes, e) from e

        return grid


class Run(NamedTuple):
    """A run's folder, opened for use."""

    path: Path
    name: str
    config: Any
    experiment: Experiment
    state: TrainState
    spec: data.Spec
    step: int


def open_run(path: str | Path, step: int | None = None) -> Run:
    """Opens a run at its newest sealed checkpoint, or at `step`; needs the recipe, but neither data nor lock.

    Raises:
        UsageError: no run is there, it has no checkpoint yet, or its recipe has changed shape.
    """
    path = Path(path)
    if not path.is_dir():
        raise UsageError(f"RUN={path}: there is no such folder.")
    stored = record.read_config(path)
    if stored is None:
        raise UsageError(f"RUN={path}: not a run's folder, it has no {record.CONFIG}.")
    recipe = recipes.load(stored["experiment"])
    cfg = _config(recipe.Config, stored["config"], path)
    spec = data.Spec(**{**stored["data"], "shape": tuple(stored["data"]["shape"])})
    experiment = _built(recipe.build, cfg, spec)
    like = jax.eval_shape(lambda key: experiment.step.init(experiment.model, key), jax.random.key(0))
    with Checkpoints(path / "checkpoints", read_only=True, on_message=_say) as checkpoints:
        restored = checkpoints.restore(like, step)
    if restored is None:
        raise UsageError(f"RUN={path}: it has no finished checkpoint yet. Train it first, or a little longer.")
    return Run(path, stored["experiment"], cfg, experiment, restored.tree, spec, restored.step)


def load(path: str | Path) -> tuple[Any, TrainState, Any]:
    """`(model, state, config)` of a run, for notebooks; see `open_run`."""
    opened = open_run(path)
    return opened.experiment.model, opened.state, opened.config


def experiment_name(file: str) -> str:
    """A shipped recipe's name, another one's path."""
    path = Path(file).resolve()
    return path.stem if path.parent == recipes.folder().resolve() else str(path)


def fresh_folder(name: str, seed: int) -> Path:
    """A new folder's path under `runs/`, named after recipe, seed and time."""
    base = Path("runs") / f"{Path(name).stem}-seed{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    tries = [base, *(base.with_name(f"{base.name}-{i}") for i in range(2, 100))]
    return next(p for p in tries if not p.exists())


def command(name: str, cfg: Any) -> str:
    """The command line that trains this configuration: the fields that differ from the defaults."""
    flags = [
        f"--{f.name.replace('_', '-')} {_shell(getattr(cfg, f.name))}"
        for f in dataclasses.fields(cfg)
        if getattr(cfg, f.name) != f.default
    ]
    return " ".join(["genjax train", _shell(name), *flags])


def _shell(value: Any) -> str:
    import shlex

    return shlex.quote(str(value))


def _say(text: str):
    print(text, file=sys.stderr, flush=True)


def _built(build: Callable[..., Experiment], cfg: Any, spec: data.Spec) -> Experiment:
    """Constructors' refusals are the configuration's."""
    try:
        return build(cfg, spec)
    except UsageError:
        raise
    except ValueError as e:
        raise UsageError(str(e)) from e


def _config(kind: type, stored: dict[str, Any], path: Path) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := sorted(set(stored) - known):
        raise UsageError(f"RUN={path}: its recipe no longer has the fields {', '.join(unknown)}.")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    return kind(**{k: tuple(v) if isinstance(fields[k].default, tuple) else v for k, v in stored.items()})


def _best(text: str) -> tuple[str, str] | None:
    """`min:loss` -> ("min", "loss")."""
    if not text:
        return None
    how, _, metric = text.partition(":")
    if how not in ("min", "max") or not metric:
        raise UsageError(f"keep_best={text!r}: must be min:METRIC or max:METRIC, for example min:loss.")
    return how, metric


def _tensorboard(options: Options) -> Callable[[Path, int], Any] | None:
    if not options.tensorboard:
        return None
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise UsageError("--tensorboard needs tensorboardX: pip install tensorboardX (the extra `logs`).") from None
    return lambda folder, at: SummaryWriter(str(folder), purge_step=at + 1)
