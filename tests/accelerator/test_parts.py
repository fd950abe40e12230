"""Each part on the CPU, at toy size."""

import json
import math
import sys
from types import SimpleNamespace

import jax
import pytest
from accelerator_stamp import STAMP

from experiments.accelerator import children, environment, mathematics, plan, populations, record, resume, rows, sizes
from experiments.accelerator import speed as speed_
from experiments.accelerator.context import Context
from genjax import recipes
from genjax.plan import calibrate

WORKER = """
import json, sys
batch, rate = 128, float(sys.argv[1])
print("a line of a library")
print(json.dumps({"ready": "w", "first_call_s": 1.0, "images_per_step": batch, "batch": batch}), flush=True)
for line in sys.stdin:
    word = line.split()
    if word[0] == "batch":
        batch = int(word[1])
        if batch > 512:
            print(json.dumps({"failed": "out of memory"}), flush=True)
            break
        print(json.dumps({"ready": "w", "first_call_s": 2.0, "images_per_step": batch, "batch": batch}), flush=True)
    else:
        print(json.dumps({"worker": "w", "images_per_s": rate * batch}), flush=True)
"""


def context(folder, part, seconds=60.0, **more):
    stamp = {**STAMP, "device_kind": "cpu"}
    return Context(record.Record(folder, part, stamp, seconds), sizes.TOY, **more)


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Workers that do nothing, quickly."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    monkeypatch.setattr(speed_, "own", lambda ctx, *row: [str(script), "2.0"])
    words = {"eager": [str(script), "1.0"], "compile": [str(script), "1.6"]}
    words["broken"] = ["-c", "raise OSError('no card')"]
    monkeypatch.setattr(speed_, "peers", lambda ctx, *row: words)


def test_environment(tmp_path):
    ctx = context(tmp_path, "environment")
    environment.measure(ctx)
    row = ctx.record.rows["doctor"]
    assert row["exit_code"] == 0
    assert any(line.startswith("devices") for line in row["lines"])
    assert not any(" in /" in line for line in row["lines"])
    stamp = environment.stamp()
    assert stamp["rehearsal"]
    assert stamp["device_kind"] == "cpu"
    assert {"jax", "flax", "optax", "orbax", "commit", "genjax_sha256", "torch", "when"} <= set(stamp)


def test_a_kit_says_the_commit_of_its_own_sources_alone(tmp_path, monkeypatch):
    (tmp_path / "about.json").write_text(json.dumps({"commit": "c", "dirty": False, "genjax_sha256": "ab"}))
    monkeypatch.setenv("GENJAX_KIT", str(tmp_path))
    assert environment._of_kit("ab") == ("c", False)
    assert environment._of_kit("cd") == (None, None)


def test_what_the_driver_of_a_card_says(monkeypatch):
    said = "NVIDIA H100 80GB HBM3, 580.1, 81559 MiB, 1980 MHz, 2619 MHz, 700.00 W\n"
    monkeypatch.setattr(environment.subprocess, "run", lambda *a, **k: SimpleNamespace(stdout=said))
    assert environment.card()["clocks.max.sm"] == "1980 MHz"


@pytest.mark.slow  # `make test` compiles everything as the host is compiled here
@pytest.mark.parametrize("name", recipes.names())
def test_mathematics(name):
    row = mathematics.compare(name, published=False)
    assert max(row["highest"].values()) < mathematics.MOST
    # Two programs: their last bits differ, but for the smallest net's.
    assert max(row["highest"].values()) > 0 or name == "vq_vae_digits"


@pytest.mark.slow
def test_mathematics_that_differs_is_a_failure(monkeypatch):
    real = mathematics.on

    def another(*a):
        return jax.tree.map(lambda v: v * (1 + 1e-4 * (a[-1] is mathematics.HOST)), real(*a))

    monkeypatch.setattr(mathematics, "on", another)
    assert mathematics.compare("vae_digits", published=False)["failed"] == "0.0001 from the host at `highest`"


def test_resume_compares_digests_and_speeds(tmp_path, monkeypatch):
    asked = []

    def fake(words, seconds, **more):
        asked.append((words[3:], more["XLA_FLAGS"]))
        speed = 100.0 if resume.DETERMINISTIC in more["XLA_FLAGS"] else 150.0
        return json.dumps({"digest": "d", "images_per_s": speed})

    monkeypatch.setattr(children, "run", fake)
    ctx = context(tmp_path, "resume")
    ctx.stamp["platform"] = "cuda"
    row = resume.compare(ctx, "vae_digits")
    assert (row["exact"], row["cost"]) == (True, 1.5)
    runs = [[w.rpartition("/")[2] for w in words] for words, _ in asked]
    assert runs == [["stopped=2", "whole=4"], ["stopped=4"], ["free=4"]]
    assert [resume.DETERMINISTIC in flags for _, flags in asked] == [True, True, False]


@pytest.mark.slow
def test_resume(tmp_path):
    ctx = context(tmp_path, "resume")
    row = resume.compare(ctx, "vae_digits")
    assert row["exact"]
    assert len(row["digest"]) == 64


def test_speed_takes_turns_and_doubles_batches(tmp_path, worker):
    ctx = context(tmp_path, "speed")
    speed_.measure(ctx)
    row = ctx.record.rows["w1_vae/f32"]
    assert (row["fastest"], row["ratio"], row["images_per_step"]) == ("compile", 1.25, 128)
    assert row["failed_peers"] == {"broken": "OSError: no card"}
    assert row["images_per_s"] == {"genjax": 256.0, "eager": 128.0, "compile": pytest.approx(204.8)}
    full = ctx.record.rows["w1_vae/bf16/fill"]
    assert (full["batch"], full["ended"], [t["batch"] for t in full["tried"]]) == (256, "1 doublings", [128, 256])
    assert set(ctx.record.rows) == {"w1_vae/f32", "w1_vae/bf16", "w1_vae/f32/fill", "w1_vae/bf16/fill"}
    assert ctx.record.finish() == ("done", "")


def test_doubling_ends_with_the_memory(tmp_path, worker):
    ctx = context(tmp_path, "speed")
    ctx = ctx._replace(sizes=sizes.TOY._replace(doublings=9))
    speed_.fill(ctx, [("w1_vae", "f32")])
    row = ctx.record.rows["w1_vae/f32/fill"]
    assert (row["batch"], row["ended"]) == (512, "out of memory")


def test_no_row_is_timed_while_workers_of_another_compile(tmp_path, monkeypatch):
    """Two rows warmed up together, the second one's worker slow: both are ready before either is told to go."""
    script, log = tmp_path / "worker.py", tmp_path / "log"
    lines = WORKER.replace("batch, rate", "import time; time.sleep(float(sys.argv[2])); batch, rate", 1)
    lines = lines.replace('print("a line', f"open({str(log)!r}, 'a').write('ready '); print(\"a line")
    # Written before the answer: a worker whose last answer has come is stopped at once.
    script.write_text(
        lines.replace("word = line.split()", f"word = line.split(); open({str(log)!r}, 'a').write(word[0] + ' ')")
    )
    monkeypatch.setattr(speed_, "own", lambda ctx, w, p: [str(script), "2.0", "0.3" if p == "bf16" else "0"])
    monkeypatch.setattr(speed_, "peers", lambda ctx, *row: {})
    speed_.pairs(context(tmp_path, "speed"), [("w1_vae", "f32"), ("w1_vae", "bf16")])
    assert log.read_text().split() == ["ready", "ready", "go", "go", "go", "go"]


def test_time_is_kept_for_batches_that_fill(tmp_path, worker, monkeypatch):
    """With a clock that every answer moves: half of the rows are at published batches, then some fill, none is lost."""
    ctx = context(tmp_path, "speed", seconds=100.0)
    monkeypatch.setattr(speed_, "together", lambda ctx, n: 1)
    now = [ctx.record.began]
    ctx.record.clock = lambda: now[0]
    real = ctx.record.add

    def add(name, row):
        now[0] += 40.0
        real(name, row)

    monkeypatch.setattr(ctx.record, "add", add)
    speed_.measure(ctx._replace(sizes=sizes.TOY._replace(workloads=("w1_vae", "w1_iwae1"))))
    assert list(ctx.record.rows) == ["w1_vae/f32", "w1_iwae1/f32", "w1_vae/f32/fill"]
    assert "w1_vae/bf16" in ctx.record.left_out


def test_speed_without_time_leaves_rows_out(tmp_path, worker):
    ctx = context(tmp_path, "speed", seconds=0.0)
    speed_.measure(ctx)
    assert ctx.record.rows == {}
    assert ctx.record.finish()[0] == "out of time"


def test_peers_are_the_modes_that_the_row_has(tmp_path, monkeypatch):
    ctx = context(tmp_path, "speed", peers=tmp_path)
    monkeypatch.setattr(speed_.importlib.util, "find_spec", lambda name: object())
    assert list(speed_.peers(ctx, "w1_vae", "f32")) == ["eager", "compile"]
    found = speed_.peers(ctx, "w3_dcgan", "bf16")
    assert list(found) == ["eager", "channels-last", "compile"]
    assert found["channels-last"][3:] == ["w3_dcgan", "eager", "--cl", "--bf16", "--device", "cpu"]
    assert speed_.peers(ctx._replace(peers=None), "w1_vae", "f32") == {}


@pytest.mark.slow
def test_speed(tmp_path):
    ctx = context(tmp_path, "speed", seconds=120.0)
    speed_.measure(ctx)
    assert ctx.record.rows["w1_vae/bf16"]["images_per_s"]["genjax"] > 0
    assert ctx.record.rows["w1_vae/f32/fill"]["tried"][1]["batch"] == 256


@pytest.mark.slow
def test_populations(tmp_path):
    ctx = context(tmp_path, "populations")
    for n in (1, 2):
        ctx.record.measure(f"vae_digits/{n}", lambda n=n: populations.timed(ctx, "vae_digits", n))
    one, two = (ctx.record.rows[f"vae_digits/{n}"] for n in (1, 2))
    assert one["ratio"] == 1.0
    assert two["ratio"] == pytest.approx(2 * two["steps_per_s"] / one["steps_per_s"], rel=1e-3)


@pytest.mark.slow
def test_plan(tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate, "SECONDS", 1e-4)
    monkeypatch.setattr(calibrate, "TRIALS", 1)
    cpu = calibrate.Device("cpu", "cpu", {"float32": 1e11}, 1e9, ((0.0, 1e10),), 1.0, 1, 1.0, (0.0, 0.0), 1e-6)
    monkeypatch.setattr(calibrate, "cpu", lambda: cpu)
    of = context(tmp_path, "speed").record
    of.add("w1_vae/f32/fill", {"images_per_s": 1000.0, "images_per_step": 256, "batch": 256})
    ctx = context(tmp_path, "plan")
    plan.measure(ctx)
    figures = ctx.record.rows["figures"]
    assert set(figures["flops_per_s"]) == {"float32", "float32:highest", "bfloat16", "float32:conv", "bfloat16:conv"}
    assert all(math.isfinite(v) and v > 0 for v in [*figures["flops_per_s"].values(), figures["overhead_s"]])
    row = ctx.record.rows["w1_vae/f32/fill"]
    assert row["measured_s"] == pytest.approx(0.256)
    assert row["ratio"] == pytest.approx(row["predicted_s"] / 0.256, abs=1e-3)


def test_plan_without_speed_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate, "accelerator", lambda *a: {})
    with pytest.raises(FileNotFoundError, match="run the part `speed` first"):
        plan.measure(context(tmp_path, "plan"))


def test_rows_are_known_and_named(tmp_path):
    with pytest.raises(LookupError, match="iwae_b20"):
        rows.measure(context(tmp_path, "rows"))
    with pytest.raises(LookupError, match="--row nothing: there is no such row"):
        rows.measure(context(tmp_path, "rows", rows=("nothing",)))
    assert {r.recipe for r in rows.ROWS.values()} <= set(recipes.names())


def test_a_row_takes_the_file_of_the_kit(tmp_path):
    (tmp_path / "mnist.npz").touch()
    ctx = context(tmp_path, "rows", data=tmp_path)
    assert rows.data_of(ctx, rows.ROWS["iwae_b20"]) == str(tmp_path / "mnist.npz")
    assert rows.data_of(ctx, rows.ROWS["vae_digits"]) == "digits"


@pytest.mark.slow
def test_a_row_goes_on_from_its_pieces_to_the_bit(tmp_path, monkeypatch):
    """Trained to 300 steps, given back as pieces, taken again to 600: the digest of 600 at once."""
    from experiments.accelerator import pieces

    def digest(folder, name):
        pieces.join(folder, name, run := folder / f"{name}-run")
        said = children.run(["-m", "genjax", "digest", str(run)], 60.0)
        return said.splitlines()

    def train(folder, steps, **more):
        toy = rows.Row("vae_digits", "digits", ("--hidden", "8", "--steps", steps), 100)
        monkeypatch.setitem(rows.ROWS, "toy", toy)
        ctx = context(folder, "rows", seconds=120.0, rows=("toy",), **more)
        rows.measure(ctx)
        assert ctx.record.rows["toy"]["ended"] == "finished", ctx.record.rows
        assert ctx.record.rows["toy"]["step"] == int(steps)

    train(tmp_path / "a", "300")
    train(tmp_path / "b", "600", pieces=tmp_path / "a")
    train(tmp_path / "c", "600")
    assert digest(tmp_path / "b", "toy") == digest(tmp_path / "c", "toy")


def test_a_worker_that_is_silent_is_given_up():
    worker = children.Worker(["-c", "import sys; sys.stdin.read()"])
    with pytest.raises(children.Gone, match="no answer in 0 s"):
        worker.hear("ready", 0.1)
    worker.stop()
    assert worker.process.returncode


def test_a_child_that_fails_says_why():
    with pytest.raises(children.Gone, match="no card"):
        children.run(["-c", "raise OSError('no card')"], 20.0)
    assert children.run(["-c", "print(1)"], 20.0) == "1\n"
    assert sys.executable
