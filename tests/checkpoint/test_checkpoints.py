"""Checkpoints: what was saved comes back, and what was not saved whole is never taken for it."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding
from quick import few

from genjax.checkpoint import folders, seal
from genjax.checkpoint.checkpoints import Checkpoints, digest, read_leaves, tree_digest
from genjax.errors import RunFailure, UsageError
from genjax.exit_guard import EXIT_STARTS_NO_THREAD
from genjax.train.leaves import named_leaves

CHANGES = ("flip", "truncate", "zero", "delete", "swap")


class Player(NamedTuple):
    params: dict
    state: dict
    ema: object


def a_state(seed: int = 0):
    """Players, optimizer states, counters: every kind of leaf a run has."""
    k_w, k_b = jax.random.split(jax.random.key(seed))
    params = {"enc": {"kernel": jax.random.normal(k_w, (17, 9)), "none": {}}, "b": jax.random.normal(k_b, (9,))}
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    return {
        "step": jnp.asarray(seed, jnp.int32),
        "players": {"vae": Player(params, {"bn": jnp.zeros((3,), jnp.bfloat16)}, None)},
        "opt": {"vae": tx.init(params)},
        "odd": [True, 7, 2.5, jnp.zeros((0, 4)), np.arange(3), np.float64(0.1), jnp.asarray([jnp.nan, -0.0, jnp.inf])],
    }


def news() -> tuple[list[str], object]:
    said: list[str] = []
    return said, said.append


def saved(folder: Path, n: int = 2, keep: int = 5) -> Path:
    with Checkpoints(folder, keep=keep) as checkpoints:
        for i in range(1, n + 1):
            checkpoints.save(10 * i, a_state(10 * i), {"i": i})
    return folder


def files_of(step: Path) -> list[Path]:
    return sorted(p for p in step.rglob("*") if p.is_file())


def change(path: Path, how: str, r: random.Random, step: Path) -> None:
    """Damage one file of a step in a way that leaves it different."""
    old = path.read_bytes()
    new = bytearray(old)
    at = r.randrange(len(old))
    if how == "delete":
        path.unlink()
        return
    if how == "truncate":
        new = new[:at]
    elif how == "zero":
        new[at : at + 4096] = bytes(len(new[at : at + 4096]))
    elif how == "swap":
        others = [p.read_bytes() for p in files_of(step)]
        new = bytearray(r.choice([o for o in others if o != old]))
    if how == "flip" or bytes(new) == old:
        new[at] ^= 1 << r.randrange(8)
    path.write_bytes(new)


def equal(a, b) -> bool:
    return tree_digest(a) == tree_digest(b)


# What is saved comes back.


def test_every_kind_of_leaf_comes_back(tmp_path):
    state = a_state(7)
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.restore(state) is None
        checkpoints.save(7, state, {"epoch": 1, "name": "é"}, metric=1.0)
        back = checkpoints.restore(jax.eval_shape(lambda: a_state(0)) | {"odd": state["odd"]})
        assert checkpoints.sealed() == [7]
    assert (back.step, back.extra) == (7, {"epoch": 1, "name": "é"})
    assert equal(back.tree, state)
    assert jax.tree.structure(back.tree) == jax.tree.structure(state)
    assert [type(x) for x in back.tree["odd"]] == [type(x) for x in state["odd"]]
    assert isinstance(back.tree["opt"]["vae"][1][0].count, jax.Array)


def test_leaves_are_read_without_a_model(tmp_path):
    folder = saved(tmp_path / "c")
    before = sorted(p.name for p in folder.iterdir())
    step, leaves, extra = read_leaves(folder)
    assert (step, extra) == (20, {"i": 2})
    assert list(leaves) == list(named_leaves(a_state(20)))
    assert "players/vae/params/enc/kernel" in leaves
    assert all(type(x) is np.ndarray for x in leaves.values())
    assert digest(leaves) == tree_digest(a_state(20))
    assert read_leaves(folder, 10)[0] == 10
    assert sorted(p.name for p in folder.iterdir()) == before
    with pytest.raises(UsageError, match=r"no checkpoint of step 11; it has \[10, 20\]"):
        read_leaves(folder, 11)
    with pytest.raises(UsageError, match="holds no checkpoint"):
        read_leaves(tmp_path)


def test_digest_sees_names_dtypes_shapes_and_bits():
    w = np.zeros((2, 3), np.float32)
    variants = [
        {"w": w},
        {"v": w},
        {"w": w.T},
        {"w": w.astype(np.int32)},
        {"w": -w},
        {"w": w, "v": w},
        {"v": w, "w": w},
    ]
    assert len({digest(v) for v in variants}) == len(variants)
    assert digest({"w": jnp.asarray(w)}) == digest({"w": w})


def test_leaves_that_cannot_be_kept_are_named():
    for leaf, message in ((jax.random.key(0), "'k' is a PRNG key"), ("text", "'k' is a str"), (object(), "'k' is a")):
        with pytest.raises(TypeError, match=message):
            tree_digest({"k": leaf})
    with pytest.raises(ValueError, match="both named 'a/b'"):
        named_leaves({"a/b": 1, "a": {"b": 2}})


@pytest.mark.parametrize("donate", [True, False])
def test_a_snapshot_is_that_of_the_call(tmp_path, donate):
    """Donating the state, or writing into a NumPy leaf, right after `save` does not reach the disk."""
    step = jax.jit(lambda t: jax.tree.map(lambda x: x + 1, t), donate_argnums=0 if donate else ())
    state, host = {"w": jnp.zeros((200, 200))}, np.zeros((200, 200))
    with Checkpoints(tmp_path / "c", keep=10) as checkpoints:
        for i in range(1, 6):
            checkpoints.save(i, {"jax": state, "numpy": host})
            state = step(state)
            host += 1
        checkpoints.wait()
        for i in range(1, 6):
            back = checkpoints.restore({"jax": state, "numpy": host}, step=i).tree
            assert (np.asarray(back["jax"]["w"]) == i - 1).all()
            assert (back["numpy"] == i - 1).all()
        again = step(back["jax"])  # a restored state can be donated in turn
        assert (np.asarray(again["w"]) == 5).all()


def shardings():
    devices = np.array(jax.devices())
    return {
        "one": SingleDeviceSharding(devices[0]),
        "two": NamedSharding(Mesh(devices[:2], "d"), PartitionSpec("d")),
        "eight": NamedSharding(Mesh(devices, "d"), PartitionSpec("d")),
        "copies": NamedSharding(Mesh(devices, "d"), PartitionSpec()),
        "none": None,
    }


@pytest.mark.parametrize(
    ("source", "target"),
    [("eight", t) for t in ("one", "two", "eight", "copies", "none")] + [("one", "eight"), ("copies", "none")],
)
def test_devices_may_change(tmp_path, source, target):
    x = jnp.arange(64.0).reshape(16, 4)
    like = {"w": jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=shardings()[target])}
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, {"w": jax.device_put(x, shardings()[source])})
        w = checkpoints.restore(like).tree["w"]
    assert (np.asarray(w) == np.asarray(x)).all()
    assert w.committed == (target != "none")
    assert target == "none" or w.sharding == shardings()[target]


def test_eight_devices_to_a_process_with_one(tmp_path, child_env):
    x = jax.device_put(jnp.arange(64.0).reshape(16, 4), shardings()["eight"])
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, {"w": x, "n": 1})
    code = (
        "import jax, jax.numpy as jnp, sys; from genjax.checkpoint.checkpoints import *\n"
        "assert len(jax.devices()) == 1\n"
        "with Checkpoints(sys.argv[1]) as c:\n"
        "    r = c.restore({'w': jnp.zeros((16, 4)), 'n': 0})\n"
        "    assert digest(read_leaves(sys.argv[1])[1]) == tree_digest(r.tree)\n"
        "    c.save(2, r.tree); c.wait(); print(tree_digest(r.tree))"
    )
    done = child(code, tmp_path / "c", env=child_env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == tree_digest({"w": x, "n": 1})
    with Checkpoints(tmp_path / "c") as checkpoints:
        back = checkpoints.restore({"w": x, "n": 0})
    assert back.step == 2
    assert back.tree["w"].sharding == x.sharding
    assert equal(back.tree, {"w": x, "n": 1})


# What does not fit is refused.


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"a": {"w": np.zeros((2, 4), "f4")}, "b": 1}, r"a/w: stored float32\[2, 3\], wanted float32\[2, 4\]"),
        ({"a": {"w": np.zeros((2, 3), "f2")}, "b": 1}, r"a/w: stored float32\[2, 3\], wanted float16\[2, 3\]"),
        ({"a": {"w": np.zeros((2, 3), "f4")}}, r"b: stored int64\[\], wanted nothing"),
        ({"a": {"w": np.zeros((2, 3), "f4"), "v": 1.0}, "b": 1}, r"a/v: stored nothing, wanted float64\[\]"),
        ({str(i): i for i in range(50)}, r"and 47 more"),
    ],
)
def test_another_tree_is_refused(tmp_path, wanted, message):
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, {"a": {"w": np.zeros((2, 3), "f4")}, "b": 1})
        with pytest.raises(UsageError, match=message) as e:
            checkpoints.restore(wanted)
        assert str(e.value).count("\n") < 9
        assert checkpoints.sealed() == [1]  # the checkpoint is not to blame


def test_arguments(tmp_path):
    with pytest.raises(UsageError, match="keep=0"):
        Checkpoints(tmp_path, keep=0)
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="cannot be written"):
            Checkpoints(path)
    with Checkpoints(tmp_path / "c") as checkpoints:
        with pytest.raises(ValueError, match="not JSON compliant"):
            checkpoints.save(1, {"w": 1}, {"x": float("nan")})
        with pytest.raises(ValueError, match="nothing to save"):
            checkpoints.save(1, {"w": jnp.zeros((0,))})
        checkpoints.save(5, {"w": 1})
        checkpoints.save(5, {"w": 1})  # the same again, as on a signal after an interval's save
        for step, w in ((5, 2), (4, 1)):
            with pytest.raises(ValueError, match="step 5 is sealed there already"):
                checkpoints.save(step, {"w": w})
        with pytest.raises(UsageError, match=r"no checkpoint of step 3; it has \[5\]"):
            checkpoints.restore({"w": 0}, step=3)
    with pytest.raises(ValueError, match="read-only"):
        Checkpoints(tmp_path / "c", read_only=True).save(6, {"w": 1})


def test_a_newer_seal_is_refused_and_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(seal, "FORMAT", 3)
    saved(tmp_path / "c", 1)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="format 3, this genjax reads up to 2"):
        Checkpoints(tmp_path / "c")
    assert (tmp_path / "c" / "10").is_dir()


# Damage is found, and the step before is used.


def damage_everything(folder: Path, n_flips: int, seed: int) -> int:
    """Every change to every file of the newest step is found, and step 10 taken instead. How many were tried."""
    r = random.Random(seed)
    step, n = folder / "20", 0
    shutil.copytree(step, backup := folder.parent / "backup")
    for path in files_of(step):
        for how in ("flip",) * n_flips + (CHANGES[1:] if n_flips > 3 else ()):
            if path.stat().st_size == 0 and how != "delete":
                continue
            change(path, how, r, step)
            said, say = news()
            with Checkpoints(folder, on_message=say, read_only=True) as checkpoints:
                back = checkpoints.restore(a_state())
            assert back.step == 10, f"{how} of {path} was not found"
            if path.name == seal.SEAL and how == "delete":
                assert not said  # an interrupted save looks the same
            else:
                assert len(said) == 1
                assert "checkpoint 20 is damaged" in said[0]
                assert str(folder) in said[0]
            shutil.rmtree(step)
            shutil.copytree(backup, step)
            n += 1
    return n


@pytest.mark.reliability
def test_a_flipped_bit_in_any_file_is_found(tmp_path):
    folder = saved(tmp_path / "c")
    assert damage_everything(folder, 2, seed=0) >= 20
    assert equal(read_leaves(folder)[1], named_leaves(a_state(20)))


@pytest.mark.slow
@pytest.mark.reliability
def test_any_damage_to_any_file_is_found(tmp_path):
    """Ten flips, a truncation, a zeroed page, a deletion and a swap for each file."""
    assert damage_everything(saved(tmp_path / "c"), 10, seed=1) >= 140


def test_damage_is_named_and_kept_aside(tmp_path):
    folder = saved(tmp_path / "c", 3)
    for n, name in ((30, "state/_METADATA"), (20, "seal.json")):
        path = folder / str(n) / name
        path.write_bytes(path.read_bytes().replace(b"e", b"f", 1))
    said, say = news()
    with Checkpoints(folder, on_message=say) as checkpoints:
        back = checkpoints.restore(a_state())
        assert back.step == 10
        assert equal(back.tree, a_state(10))
        assert "state/_METADATA contents changed" in said[0]
        assert "kept aside as 30.corrupt" in said[0]
        assert "seal.json changed" in said[1]
        assert "kept aside as 20.corrupt" in said[1]
        assert checkpoints.sealed() == [10]
        checkpoints.save(20, a_state(20))
        checkpoints.save(30, a_state(31))
        checkpoints.wait()
        (folder / "30" / "extra").write_text("x")
        assert checkpoints.restore(a_state()).step == 20
    assert "extra was not there" in said[2]
    assert "30.corrupt-1" in said[2]
    assert {"30.corrupt", "30.corrupt-1", "20.corrupt", "20"} <= {p.name for p in folder.iterdir()}


def test_steps_in_each_others_place_are_found(tmp_path):
    folder = saved(tmp_path / "c")
    (folder / "20").rename(folder / "x")
    (folder / "10").rename(folder / "20")
    (folder / "x").rename(folder / "10")
    said, say = news()
    with pytest.raises(RunFailure, match="no intact checkpoint"), Checkpoints(folder, on_message=say) as checkpoints:
        checkpoints.restore(a_state())
    assert "is that of step 10" in said[0]


def test_nothing_intact_is_a_failure_and_no_fresh_start(tmp_path):
    folder = saved(tmp_path / "c")
    for n in (10, 20):
        os.truncate(folder / str(n) / "state" / "_METADATA", 3)
    said, say = news()
    with Checkpoints(folder, on_message=say) as checkpoints:
        with pytest.raises(RunFailure, match=r"20: state/_METADATA: 3 bytes, sealed with \d+; 10: "):
            checkpoints.restore(a_state())
        assert len(said) == 2
        assert checkpoints.restore(a_state()) is None
    saved(tmp_path / "d", 1)
    os.truncate(tmp_path / "d" / "10" / "seal.json", 0)
    with pytest.raises(RunFailure, match="no intact checkpoint"):
        read_leaves(tmp_path / "d", on_message=say)


def test_other_numbers_than_saved_are_found_past_the_files(tmp_path, monkeypatch):
    """The digest is of the arrays that were saved: a fault between memory and disk is found too."""
    folder = saved(tmp_path / "c")
    body = seal.read(folders.resolved(folder) / "20")
    (folder / "20" / "seal.json").unlink()
    seal.write(folders.resolved(folder) / "20", {**body, "digest": "0" * 64})
    with Checkpoints(folder, on_message=news()[1]) as checkpoints:
        assert checkpoints.restore(a_state()).step == 10


# Interrupted saves.


def residue(folder: Path, saving: int | None) -> None:
    """What kills leave: a step and a save without a seal, a step in the trash; and `saving.json`, if a step is told."""
    shutil.copytree(folder / "20", folder / "30")
    (folder / "30" / "seal.json").unlink()
    shutil.copytree(folder / "20", folder / "31.orbax-checkpoint-tmp" / "state.orbax-checkpoint-tmp")
    shutil.copytree(folder / "20", folder / ".trash" / "5")
    next((folder / ".trash" / "5" / "state").iterdir()).unlink()
    (folder / "notes").mkdir()
    if saving is not None:
        (folder / "saving.json").write_text(json.dumps({"format": 1, "run": None, "step": saving}))


def test_residues_are_cleared_by_a_writer_only(tmp_path):
    """What the run itself began is removed; what it cannot know is kept aside, and both are said."""
    folder = saved(tmp_path / "c")
    residue(folder, 30)
    before = sorted(p.name for p in folder.iterdir())
    with Checkpoints(folder, read_only=True) as checkpoints:
        assert checkpoints.sealed() == [10, 20]
        assert checkpoints.restore(a_state()).step == 20
    assert read_leaves(folder)[0] == 20
    assert sorted(p.name for p in folder.iterdir()) == before
    said, say = news()
    with Checkpoints(folder, on_message=say) as checkpoints:
        assert checkpoints.restore(a_state()).step == 20
        assert said == [
            "checkpoint 30 was interrupted before it was sealed; removed.",
            "31.orbax-checkpoint-tmp has no seal, and is no save that this run had begun: kept aside as 31.unsealed.",
        ]
        assert sorted(p.name for p in folder.iterdir()) == ["10", "20", "31.unsealed", "notes"]


def test_a_step_whose_seal_is_gone_is_kept(tmp_path):
    """It may be complete: only what `saving.json` tells of was ours and unfinished."""
    folder = saved(tmp_path / "c", 3)
    for step in ("20", "30"):
        (folder / step / "seal.json").unlink()
    before = {p.relative_to(folder / "30"): p.read_bytes() for p in files_of(folder / "30")}
    said, say = news()
    with Checkpoints(folder, on_message=say) as checkpoints:
        assert checkpoints.restore(a_state()).step == 10
        assert [s.split(" has")[0] for s in said] == ["20", "30"]
        shutil.copytree(folder / "10", folder / "20")  # another one comes while the run is at work
        (folder / "20" / "seal.json").unlink()
        checkpoints.save(20, a_state(21))
        checkpoints.wait()
        assert checkpoints.sealed() == [10, 20]
    assert {p.relative_to(folder / "30.unsealed"): p.read_bytes() for p in files_of(folder / "30.unsealed")} == before
    assert (folder / "20.unsealed-1").is_dir()


def test_files_of_others_in_a_checkpoint_outlive_it(tmp_path):
    folder = saved(tmp_path / "c", 1)
    (folder / "10" / "notes.txt").write_text("mine")
    said, say = news()
    with Checkpoints(folder, keep=1, on_message=say) as checkpoints:
        checkpoints.save(20, a_state(20))
    assert {p.name for p in folder.iterdir()} - {"errors.log"} == {"20", "10.foreign"}
    assert (folder / "10.foreign" / "notes.txt").read_text() == "mine"
    assert "held files that were not the checkpoint's: kept aside as 10.foreign" in said[0]


def test_an_exception_does_not_lose_the_save(tmp_path):
    with pytest.raises(KeyboardInterrupt), Checkpoints(tmp_path / "c") as checkpoints:  # noqa: PT012
        checkpoints.save(1, a_state(1))
        raise KeyboardInterrupt
    assert equal(read_leaves(tmp_path / "c")[1], named_leaves(a_state(1)))


def test_a_failed_save_is_told_and_leaves_nothing(tmp_path, monkeypatch, capfd):
    def full(path, content):
        raise OSError(28, "No space left on device")

    folder = tmp_path / "c"
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(1, a_state(1))
        checkpoints.wait()
        monkeypatch.setattr(seal, "write_durably", full)
        checkpoints.save(2, a_state(2))
        while checkpoints._thread.is_alive():
            checkpoints._thread.join(0.1)
        with pytest.raises(RunFailure, match=r"2 was not saved: no space left for .*last good checkpoint is step 1"):
            checkpoints.wait()
        assert sorted(p.name for p in folder.iterdir()) == ["1", "errors.log"]
        monkeypatch.undo()
        checkpoints.save(3, a_state(3))
    assert read_leaves(folder)[0] == 3
    assert capfd.readouterr().err == ""
    assert "No space left" in (folder / "errors.log").read_text()


def test_the_exception_under_way_is_the_one_raised(tmp_path, monkeypatch):
    monkeypatch.setattr(seal, "write", lambda *_: 1 / 0)
    said, say = news()
    with pytest.raises(KeyError), Checkpoints(tmp_path / "c", on_message=say) as checkpoints:  # noqa: PT012
        checkpoints.save(1, a_state())
        raise KeyError
    assert "1 was not saved: writing" in said[0]
    assert "no earlier checkpoint" in said[0]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 3 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", path], check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.mark.reliability
def test_a_full_disk(small_disk, capfd):
    def state(i):
        return {"w": np.random.default_rng(i).normal(size=(5, 40_000)).astype(np.float32), "v": np.zeros(10)}

    with Checkpoints(small_disk / "c", keep=1) as checkpoints:
        checkpoints.save(1, state(1))
        checkpoints.wait()
        (small_disk / "ballast").write_bytes(bytes(1_800_000))
        for i in (2, 3):
            checkpoints.save(i, state(i))
            with pytest.raises(RunFailure, match=rf"{i} was not .*needs 0.8 MB, 0.\d MB free; the last .* is step 1\."):
                checkpoints.wait()
            assert {p.name for p in (small_disk / "c").iterdir()} <= {"1", "errors.log"}
        assert equal(checkpoints.restore(state(0)).tree, state(1))
        (small_disk / "ballast").unlink()
        checkpoints.save(4, state(4))
        checkpoints.wait()
        assert equal(checkpoints.restore(state(0)).tree, state(4))
        assert checkpoints.sealed() == [4]
    assert capfd.readouterr().err == ""


def child(code: str, *args, env) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


SAVE = """
import sys, numpy as np
from genjax.checkpoint import seal
from genjax.checkpoint.checkpoints import Checkpoints
def broken(*_): raise OSError(5, "Input/output error")
if sys.argv[2] == "fail": seal.write = broken
c = Checkpoints(sys.argv[1])
c.save(1, {"w": np.random.default_rng(0).normal(size=(1000, 1000))})
if sys.argv[2] == "raise": raise KeyError("mine")
if sys.argv[2] == "exit": sys.exit(3)
"""


@pytest.mark.reliability
@pytest.mark.parametrize(("how", "code"), few([("end", 0), ("raise", 1), ("exit", 3), ("fail", 1)], ("raise", 1)))
def test_a_script_that_forgets_to_close(tmp_path, child_env, how, code):
    """Saved, or a loud exit code; never neither, and no hang."""
    done = child(SAVE, tmp_path / "c", how, env=child_env)
    assert done.returncode == code, done.stderr
    with Checkpoints(tmp_path / "c", read_only=True) as checkpoints:
        assert checkpoints.sealed() == ([] if how == "fail" else [1])
    assert ("was not saved: writing" in done.stderr) == (how == "fail")
    assert ("mine" in done.stderr) == (how == "raise")
    raises = {"raise", "fail"} if EXIT_STARTS_NO_THREAD else {"raise"}  # there a save is waited for, and raises itself
    assert ("Traceback" in done.stderr) == (how in raises)


# Retention.


@pytest.mark.parametrize(("mode", "best"), [("min", 2), ("max", 1)])
@pytest.mark.parametrize("restart", [False, True])
def test_a_nan_never_deletes_the_best(tmp_path, mode, best, restart):
    checkpoints = Checkpoints(tmp_path / "c", keep=1, keep_best=mode)
    for i, metric in enumerate([5.0, 1.0, float("nan"), 3.0, 4.0, float("inf"), -float("inf"), None], 1):
        checkpoints.save(i, {"w": i}, metric=metric)
        checkpoints.wait()
        assert i in checkpoints.sealed()
        assert len(checkpoints.sealed()) <= 2
        if i >= best:
            assert best in checkpoints.sealed()
        if restart:
            checkpoints.close()
            checkpoints = Checkpoints(tmp_path / "c", keep=1, keep_best=mode)
    assert checkpoints.sealed() == [best, 8]
    checkpoints.close()


def test_only_nan_and_the_newest(tmp_path):
    with Checkpoints(tmp_path / "c", keep=2, keep_best="min") as checkpoints:
        for i in range(1, 5):
            checkpoints.save(i, {"w": i}, metric=float("nan"))
    assert folders.sealed(folders.resolved(tmp_path / "c")) == [3, 4]
    assert json.loads((tmp_path / "c" / "4" / "seal.json").read_text())["metric"] is None


@pytest.mark.slow
def test_a_reader_beside_a_writer(tmp_path):
    """A step retired while it is read is passed over for the newer one, without a word of damage."""
    folder, said = saved(tmp_path / "c", 1, keep=1), []
    stop = threading.Event()
    results = []

    def read():
        while not stop.is_set():
            results.append(read_leaves(folder, on_message=said.append)[0])

    reader = threading.Thread(target=read)
    with Checkpoints(folder, keep=1) as checkpoints:
        reader.start()
        try:
            for i in range(2, 12):
                checkpoints.save(10 * i, a_state(10 * i))
        finally:
            stop.set()
            reader.join()
    assert not said
    assert results == sorted(results)
