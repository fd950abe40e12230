"""score and digest on a run made by hand."""

import csv
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from genjax import cli, data, domains, rng, runs
from genjax.cli import score
from genjax.train.state import Player, TrainState


def score_of(params, state, batch, key):
    x = batch.x.reshape(batch.x.shape[0], -1)
    return {"logit": x.mean(-1), "mu": x[:, :2], "noise": jax.random.uniform(key, (x.shape[0],))}


def make_run(n_classes=0):
    experiment = runs.Experiment(SimpleNamespace(n_classes=n_classes), None, data.to_unit(), score_of)
    state = TrainState(jnp.zeros((), jnp.int32), {"p": Player({}, {})}, {})
    spec = data.Spec("noise", (4, 4, 1), n_classes, 1, "")
    about = {"path": "R", "name": "noise", "config": None, "spec": spec, "step": 7, "member": None}
    about["domain"] = domains.of(spec)
    return SimpleNamespace(experiment=experiment, state=state, **about)


@pytest.fixture(autouse=True)
def run(monkeypatch):
    made = make_run()
    monkeypatch.setattr(runs, "open_run", lambda path, member=None, trust=False: made, raising=False)
    monkeypatch.setattr(score.cache, "enable", lambda on=True: None)
    return made


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    for i in range(3):
        (folder / f"c{i}").mkdir(parents=True)
        Image.fromarray(np.full((4, 4), 51 * i, np.uint8)).save(folder / f"c{i}" / "a.png")
    return folder


def read(path):
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


def test_score_folder_to_csv(tmp_path, pictures):
    out = tmp_path / "s.csv"
    assert cli.main(["score", "R", str(pictures), "--out", str(out)]) == 0
    rows = read(out)
    assert list(rows[0]) == ["index", "file", "label", "class", "logit", "mu_0", "mu_1", "noise"]
    assert [r["file"] for r in rows] == ["c0/a.png", "c1/a.png", "c2/a.png"]
    assert [(int(r["label"]), r["class"]) for r in rows] == [(0, "c0"), (1, "c1"), (2, "c2")]
    np.testing.assert_allclose([float(r["logit"]) for r in rows], [0.0, 0.2, 0.4], atol=1e-6)


def test_score_ranks_by_the_bound_of_an_element_where_lengths_differ(tmp_path, pictures, run, capsys):
    """The longest have the lowest bound; what is unlike the training data has the lowest for each element."""
    out, elements = tmp_path / "s.csv", np.array([4, 50, 5])
    found = {"elbo": np.array([-20.0, -100.0, -11.0], np.float32), "rate": np.zeros(3, np.float32)}

    def ranks(**more):
        def score_of(params, state, batch, key):
            return {k: jnp.resize(v, score.CHUNK) for k, v in (found | more).items()}

        run.experiment = runs.Experiment(SimpleNamespace(n_classes=0), None, data.to_unit(), score_of)
        assert cli.main(["score", "R", str(pictures), "--out", str(out)]) == 0
        return [int(row["rank"]) for row in read(out)]

    assert ranks() == [2, 1, 3]
    assert "lowest elbo, most unlike what it has learnt: c1/a.png (-100), c0/a.png" in capsys.readouterr().out
    assert ranks(elements=elements, elbo_per_element=(found["elbo"] / elements).astype(np.float32)) == [1, 3, 2]
    assert "lowest elbo_per_element, most unlike what it has learnt: c0/a.png (-5)" in capsys.readouterr().out
    assert [row["elements"] for row in read(out)] == ["4", "50", "5"]
    assert ranks(elbo=np.array([np.nan, -1.0, -2.0], np.float32)) == [1, 3, 2]


def test_score_single_image_and_json(tmp_path, pictures):
    out = tmp_path / "s.json"
    assert cli.main(["score", "R", str(pictures / "c1" / "a.png"), "--out", str(out)]) == 0
    (row,) = json.loads(out.read_text())
    assert row["file"] == "a.png"
    assert row["logit"] == pytest.approx(0.2, abs=1e-6)


def test_score_of_many_does_not_depend_on_the_filling(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (70, 4, 4, 1), np.uint8)
    np.savez(tmp_path / "x.npz", image=image)
    out = tmp_path / "s.csv"
    assert cli.main(["score", "R", str(tmp_path / "x.npz"), "--out", str(out)]) == 0
    rows = read(out)
    assert [int(r["index"]) for r in rows] == list(range(70))
    np.testing.assert_allclose([float(r["logit"]) for r in rows], image.reshape(70, -1).mean(1) / 255, rtol=1e-5)
    assert len({r["noise"] for r in rows}) == 70


def test_score_keeps_train_and_test_apart(tmp_path):
    arrays = {f"{p}_{k}": np.zeros((n, 4, 4) if k == "image" else n, np.uint8)
              for p, n in (("train", 3), ("test", 2)) for k in ("image", "label")}  # fmt: skip
    np.savez(tmp_path / "x.npz", **arrays)
    assert cli.main(["score", "R", str(tmp_path / "x.npz"), "--out", str(tmp_path / "s.csv")]) == 0
    assert [r["part"] for r in read(tmp_path / "s.csv")] == ["train"] * 3 + ["test"] * 2


def test_score_refuses_another_size_with_a_hint(tmp_path, capsys):
    Image.fromarray(np.zeros((8, 6), np.uint8)).save(tmp_path / "a.png")
    out = tmp_path / "s.csv"
    assert cli.main(["score", "R", str(tmp_path / "a.png"), "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert "8x6x1" in err
    assert "4x4x1" in err
    assert "--image-size 4" in err
    assert not out.exists()
    assert cli.main(["score", "R", str(tmp_path / "a.png"), "--out", str(out), "--image-size", "4"]) == 0


def test_score_of_a_conditional_run_needs_labels(tmp_path, pictures, monkeypatch, capsys):
    monkeypatch.setattr(runs, "open_run", lambda path, member=None, trust=False: make_run(n_classes=3), raising=False)
    assert cli.main(["score", "R", str(pictures), "--out", str(tmp_path / "s.csv")]) == 0
    assert cli.main(["score", "R", str(pictures / "c1"), "--out", str(tmp_path / "t.csv")]) == 2
    assert "each image's class" in capsys.readouterr().err


def test_out_that_cannot_be_written(tmp_path, pictures, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["score", "R", str(pictures), "--out", str(tmp_path / "file" / "s.csv")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_digest_is_the_last_line_and_equals_the_tree_s(tmp_path, capsys):
    from genjax.checkpoint import checkpoints
    from genjax.train import leaves

    tree = {"w": jax.random.normal(rng.named(jax.random.key(0), "w"), (3,)), "step": jnp.int32(4)}
    with checkpoints.Checkpoints(tmp_path / "R" / "checkpoints") as c:
        c.save(4, tree)
    assert cli.main(["digest", str(tmp_path / "R")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == leaves.tree_digest(tree)
    assert cli.main(["digest", str(tmp_path / "nowhere")]) == 2
    assert "no checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
