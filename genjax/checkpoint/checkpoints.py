"""Checkpoints that survive kills, full disks and flipped bits. The only file that imports Orbax.

`checkpoints/<step>/` is written by Orbax in the background, fsynced, and then sealed (`seal`). Only a sealed step
exists for genjax: an interrupted save is cleared away, a step that no longer fits its seal is kept aside while the one
before it is used. The seal names the run (`marks`): a step of another is refused, one without a seal that no save of
ours explains is kept aside. Retention is genjax's own: Orbax deletes in place, and one NaN makes it delete the best.
"""

import contextlib
import json
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from genjax.channels import say
from genjax.checkpoint import folders, open_folder, seal
from genjax.checkpoint.keeper import Keeper
from genjax.checkpoint.marks import Mark
from genjax.checkpoint.orbax_messages import Quiet
from genjax.errors import RunFailure, UsageError
from genjax.exit_guard import EXIT_STARTS_NO_THREAD, IN_FLIGHT
from genjax.train import distributed
from genjax.train.leaves import check, describe, digest, is_placed, named_leaves, placed, tree_digest

__all__ = ["Checkpoints", "Restored", "digest", "read_leaves", "tree_digest"]

LOG = "errors.log"
_Read: TypeAlias = tuple[dict[str, Any], dict[str, Any]]  # a seal's facts and the named arrays


class Restored(NamedTuple):
    """A state read back: `tree` as `like` in structure, dtypes, shapes and placement, `extra` as `save` got it."""

    step: int
    tree: Any
    extra: dict[str, Any]
    code: Mapping[str, Any] | None = None  # of what trained up to here, where the seal has it (`marks.Mark.code`)


class _Save(NamedTuple):
    """A save under way; `name` is that under which the first process tells the others how it ended."""

    step: int
    body: dict[str, Any]
    megabytes: float
    name: str


class Checkpoints:
    """The checkpoints of one run, newest sealed first. A context manager; leaving it waits for the save in flight.

    Opening for writing clears what interrupted saves left. It takes no lock: that is the run folder's (`run_folder`).
    All methods are for one thread; sealing and retention run on another. Several processes of one run
    (`jax.distributed`) call each method together, on one folder: each has its share, the first seals and removes.

    Args:
        folder: where the steps are; made when missing, unless read-only.
        keep: how many of the newest sealed steps stay, at least 1; with 2 or more a damaged one has a predecessor.
        keep_best: also keep the step with the smallest ("min") or largest ("max") metric ever saved. A NaN, infinite
            or absent metric is never the best and never displaces it. With a name, as in "max:elbo", only steps saved
            under that name are compared; the best under another name stays too.
        on_message: receives one-line news (a damaged step set aside, a residue cleared); standard error by default.
        read_only: change nothing on disk; `save` is refused.
        mark: the run's: put into each seal, and looked for in each before it is believed. None asks for none.
        on_seal: called with each step once it is sealed, on the sealing thread.

    Raises:
        UsageError: the folder cannot be made or written, a newer genjax wrote to it, or a step in it is not the run's.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as tmp:
        ...     with Checkpoints(tmp) as checkpoints:
        ...         checkpoints.save(10, {"w": jnp.ones(3)}, extra={"epoch": 1})
        ...         checkpoints.wait()
        ...         back = checkpoints.restore({"w": jnp.zeros(3)})
        >>> back.step, back.tree["w"].tolist(), back.extra
        (10, [1.0, 1.0, 1.0], {'epoch': 1})
    """

    def __init__(
        self,
        folder: epath.PathLike,
        keep: int = 2,
        keep_best: str | None = None,
        on_message: Callable[[str], Any] = say,
        read_only: bool = False,
        mark: Mark | None = None,
        on_seal: Callable[[int], Any] = lambda step: None,
    ):
        self._group = distributed.Group() if read_only else distributed.group()
        self._keeper = Keeper(folder, keep, keep_best, on_message, read_only, mark, self._group.size == 1)
        self.folder = self._keeper.folder
        self._ranked, self._on_seal = keep_best, on_seal
        self._manager: ocp.CheckpointManager | None = None
        self._thread: threading.Thread | None = None
        self._failure: tuple[_Save, Exception] | None = None
        self._saves = 0
        self._in_block = False
        if not read_only:
            self._group.share(self._keeper.open)  # the others come when it is there
        self._logs = not read_only and self._group.leader and seal.is_local(self.folder)
        self._quiet = Quiet(self._keeper.at / LOG if self._logs else None)

    def sealed(self) -> list[int]:
        """Steps that carry a seal, ascending; whether it still fits is checked when they are restored."""
        return folders.sealed(self._keeper.at)

    def save(self, step: int, tree: Any, extra: Mapping[str, Any] | None = None, metric: float | None = None) -> None:
        """Start saving `tree` as `step`; returns when the arrays may be donated or changed.

        A save still in flight is sealed first. The step counts once `poll`, `wait`, the next `save` or `close` finds
        it sealed. Python numbers, zero-size arrays and empty subtrees come back as they are; weakly typed arrays
        come back strongly typed.

        Args:
            step: 0 or more, and more than every sealed step (saving the newest again with equal leaves is no work).
            tree: arrays and numbers; flush what belongs to it (the metrics log) before.
            extra: strict JSON to keep in the seal.
            metric: what `keep_best` ranks by.

        Raises:
            RunFailure: this save could not start, or the one before it failed; the last good step is named. The
                failed step leaves nothing behind, and saving again is possible.
        """
        if self._keeper.read_only:
            raise ValueError(f"{self.folder} was opened read-only.")
        self.wait()
        self._keeper.check()
        leaves = named_leaves(tree)
        self._keeper.metrics = {s: m for s, m in self._keeper.metrics.items() if (self._keeper.at / str(s)).exists()}
        body = {
            "step": int(step),
            "metric": float(metric) if metric is not None and math.isfinite(metric) else None,
            "ranked": self._ranked,
            "mark": None if self._keeper.mark is None else self._keeper.mark.stored(),
            "extra": json.loads(json.dumps(dict(extra or {}), allow_nan=False)),
            "leaves": [[name, *describe(name, leaf)] for name, leaf in leaves.items()],
            "digest": digest(leaves),
        }
        if self._group.share(lambda: self._keeper.holds(step, body["digest"])):
            return
        arrays = {n: x if isinstance(x, jax.Array) else np.asarray(x) for n, x in leaves.items() if np.size(x)}
        if not arrays:
            raise ValueError("the tree holds no numbers: there is nothing to save.")
        self._saves += 1
        job = _Save(int(step), body, sum(x.nbytes for x in arrays.values()) / 1e6, f"sealed/{self._saves}")
        IN_FLIGHT.add(self)
        try:
            self._group.share(lambda: self._keeper.begin(job.step))
            self._orbax().save(job.step, args=ocp.args.Composite(state=ocp.args.PyTreeSave(arrays)), force=True)
        except Exception as e:
            self._give_up(job, e)
            self._raise_failure()
        self._thread = threading.Thread(target=self._finish, args=(job,), name=f"genjax-seal-{step}")
        try:
            self._thread.start()
        except RuntimeError:  # no thread to be had, as when Python is on its way out
            self._thread = None
            self._finish(job)
        if EXIT_STARTS_NO_THREAD and not self._in_block:
            self.wait()

    def wait(self) -> None:
        """Wait until the save in flight is sealed.

        Raises:
            RunFailure: it failed; named with the last good step.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._keeper.deliver()
        self._raise_failure()

    def close(self) -> None:
        """`wait` (and raise what it raises), then let go of Orbax's threads. Safe to repeat."""
        try:
            self.wait()
        finally:
            self._drop_manager()
            self._quiet.close()
            if not self._keeper.read_only:
                self._quiet.path = Path(self.folder / LOG) if self._logs and self._keeper.stands() else None
                self._keeper.close()

    def __enter__(self) -> "Checkpoints":
        self._in_block = True
        return self

    def __exit__(self, kind: Any, e: BaseException | None, tb: Any) -> None:
        try:
            self.close()
        except RunFailure as failure:
            if e is None:
                raise
            self._keeper.tell(str(failure))  # the exception under way stays the one that is raised

    def restore(self, like: Any, step: int | None = None) -> Restored | None:
        """The newest sealed state that is intact, placed like `like`.

        A damaged step is reported with file and fault, kept aside as `<step>.corrupt` (unless read-only), and the
        sealed one before it is taken.

        Args:
            like: a tree of arrays, `jax.ShapeDtypeStruct` or numbers of the wanted structure. Each leaf comes back
                with the sharding of its counterpart, whatever the number of devices it was saved on; a
                ShapeDtypeStruct without sharding and an uncommitted array give an uncommitted array.
            step: this one and no other.

        Returns:
            None where nothing was ever sealed.

        Raises:
            UsageError: a leaf's name, dtype or shape differs from `like`; no such step, or one of another run.
            RunFailure: every sealed step (or the one asked for) is damaged.
        """
        if not self._keeper.read_only:
            self.wait()
        wanted, at = named_leaves(like), self._keeper.at
        folders.check_marks(at, self._keeper.mark, self.folder)
        try:
            if self._group.size == 1:
                found = folders.newest(at, step, lambda s: self._read(s, wanted), self._keeper.set_aside, self.folder)
            else:
                found = self._read_together(step, wanted)
        finally:
            self._keeper.deliver()
        if found is None:
            return None
        body, leaves = found
        tree = jax.tree.unflatten(jax.tree.structure(like), [placed(leaves[n], x) for n, x in wanted.items()])
        return Restored(body["step"], tree, body["extra"], (body.get("mark") or {}).get("code"))

    def _read(self, step: int, wanted: Mapping[str, Any]) -> _Read:
        path = self._keeper.at / str(step)
        body = seal.verify(path)
        check(wanted, body["leaves"], f"checkpoint {self.folder / str(step)}")
        return body, _read_arrays(path, step, body, wanted, self._quiet)

    def _read_together(self, step: int | None, wanted: Mapping[str, Any]) -> _Read | None:
        """`_read` by several processes: the first verifies the newest intact step's files, each reads its arrays."""

        def intact(s: int) -> int:
            seal.verify(self.folder / str(s))
            return s

        newest = self._group.share(lambda: folders.newest(self.folder, step, intact, self._keeper.set_aside))
        if newest is None:
            return None
        try:
            path = self.folder / str(newest)
            body = seal.read(path)
            check(wanted, body["leaves"], f"checkpoint {path}")
            return body, _read_arrays(path, newest, body, wanted, self._quiet, together=True)
        except seal.Damage as damage:  # between the first process's look and this one's
            raise RunFailure(f"{folders.describe_damage(self.folder, newest, damage)}.") from damage

    def _orbax(self) -> ocp.CheckpointManager:
        """The manager, which keeps everything: what goes and stays is decided here."""
        self._quiet.open()
        if self._manager is None:
            options = ocp.CheckpointManagerOptions(create=False, save_root_metadata=False)
            self._manager = ocp.CheckpointManager(self._keeper.at, options=options)
        else:
            self._manager.reload()  # steps were renamed and removed behind its back
        return self._manager

    def _drop_manager(self) -> None:
        manager, self._manager = self._manager, None
        if manager is not None:
            with contextlib.suppress(Exception):  # it raises a save's error again, which was told already
                manager.close()

    def _finish(self, job: _Save) -> None:
        """On the sealing thread: wait for the commit, fsync, seal, then let old steps go."""
        try:
            assert self._manager is not None
            self._manager.wait_until_finished()
            if self._group.leader:
                # Read back before older steps go: a write that lost something without a word is no checkpoint.
                _read_arrays(self._keeper.at / str(job.step), job.step, job.body, {}, self._quiet)
                self._keeper.add(job.step, job.body)
                self._on_seal(job.step)
            elif fault := self._group.fetch(job.name):
                raise OSError(fault)
        except Exception as e:
            self._give_up(job, e)
            return
        IN_FLIGHT.discard(self)
        if self._group.leader:
            self._keeper.retire()
            self._group.post(job.name, "")

    def _give_up(self, job: _Save, e: Exception) -> None:
        """Note a failed save, and leave nothing of it on the disk."""
        self._quiet.note(e)
        self._drop_manager()
        if self._group.leader:
            with contextlib.suppress(OSError):
                self._keeper.clear()
            self._group.post(job.name, folders.fault(self.folder, job.megabytes, e))
        self._failure = (job, e)

    def _raise_failure(self) -> None:
        if self._failure is None:
            return
        (job, e), self._failure = self._failure, None
        IN_FLIGHT.discard(self)
        if isinstance(e, RunFailure):  # the folder was moved: it says all there is
            raise e
        last = max(self.sealed(), default=None)
        good = "there is no earlier checkpoint" if last is None else f"the last good checkpoint is step {last}"
        raise RunFailure(
            f"checkpoint {job.step} was not saved: {folders.fault(self.folder, job.megabytes, e)}; {good}."
        ) from e


def read_leaves(
    folder: epath.PathLike, step: int | None = None, on_message: Callable[[str], Any] = say, mark: Mark | None = None
) -> tuple[int, dict[str, np.ndarray], dict[str, Any]]:
    """The newest intact state as `(step, named NumPy leaves in tree order, extra)`; needs no model, changes nothing.

    Raises:
        UsageError: there is no checkpoint, or not this one; or one is of another run than `mark` is of.
        RunFailure: every sealed step (or the one asked for) is damaged.
    """
    path = folders.resolved(folder)
    folders.check_marks(path, mark)

    def read(s: int) -> tuple[dict[str, Any], dict[str, Any]]:
        body = seal.verify(path / str(s))
        with Quiet(None) as quiet:
            return body, _read_arrays(path / str(s), s, body, {}, quiet)

    found = folders.newest(path, step, read, lambda s, e: on_message(f"{folders.describe_damage(path, s, e)}."))
    if found is None:
        raise UsageError(f"{path} holds no checkpoint.")
    body, leaves = found
    return body["step"], leaves, body["extra"]


def _read_arrays(
    path: epath.Path, step: int, body: Mapping[str, Any], like: Mapping[str, Any], quiet: Quiet, together: bool = False
) -> dict[str, Any]:
    """The arrays of a verified step by name, those with a committed counterpart in `like` placed on its devices.

    Read by this process alone, or by all of them together.
    """
    try:
        kinds = {n: jax.ShapeDtypeStruct(shape, jnp.dtype(dtype)) for n, dtype, shape in body["leaves"]}
    except TypeError as e:
        raise seal.Damage(seal.SEAL, f"names a dtype that is none ({e})") from None
    leaves: dict[str, Any] = {n: None if x.size else np.zeros(x.shape, x.dtype) for n, x in kinds.items()}
    args = {n: _restore_args(like.get(n)) for n, x in leaves.items() if x is None}
    if body["step"] != step:
        raise seal.Damage(seal.SEAL, f"is that of step {body['step']}")
    try:
        with quiet, _reader(together) as reader, open_folder.spelled(path) as at:
            state = reader.restore(
                at / "state", args=ocp.args.PyTreeRestore(item=dict.fromkeys(args, 0), restore_args=args)
            )
    except Exception as e:
        quiet.note(e)
        if not path.exists():
            raise seal.Damage(seal.SEAL, "was removed while it was read") from e
        reason = (str(e) or type(e).__name__).splitlines()[0][:200]
        raise RunFailure(f"checkpoint {folders.resolved(path)} has all its files but cannot be read: {reason}") from e
    leaves.update(state)
    if digest(leaves) != body["digest"]:
        raise seal.Damage("state", "was read with other contents than were saved (state digest does not match)")
    return leaves


def _restore_args(x: Any) -> ocp.RestoreArgs:
    return ocp.ArrayRestoreArgs(sharding=x.sharding) if is_placed(x) else ocp.RestoreArgs(restore_type=np.ndarray)


def _reader(together: bool) -> ocp.Checkpointer:
    me, kind = jax.process_index(), ocp.PyTreeCheckpointHandler
    if together or jax.process_count() == 1:
        return ocp.Checkpointer(kind())
    alone = ocp.options.MultiprocessingOptions(me, {me}, barrier_sync_key_prefix=f"reader{me}")
    return ocp.Checkpointer(kind(multiprocessing_options=alone), multiprocessing_options=alone)
