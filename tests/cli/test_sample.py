"""`genjax sample`: grids, folders, latents, and what is refused before anything is drawn."""

import json
import re
import zlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from genjax import cli, data, distributions, domains, runs, viz
from genjax.cli import sample
from genjax.train.state import Player, TrainState

Z = 3


class Model(SimpleNamespace):
    """An image is its latents' values, laid out and squashed; a conditional one's is its label's brightness."""

    z_dim = Z

    def noise(self, key, n, temperature=1.0):
        return distributions.standard_normal(Z).noise(key, n, temperature)

    def draw(self, params, state, z, key, y=None):
        return self.generate(params, state, z, y)

    def generate(self, params, state, z, y=None):
        grey = jax.nn.sigmoid(jnp.tile(z, (1, 6))[:, :16].reshape(-1, 4, 4, 1))
        return grey if y is None else jnp.broadcast_to(y[:, None, None, None] / 10.0, grey.shape)


def make_run(n_classes=0):
    experiment = runs.Experiment(Model(n_classes=n_classes), None, data.to_unit(), lambda *a: {})
    state = TrainState(jnp.zeros((), jnp.int32), {"p": Player({}, {})}, {})
    spec = data.Spec("noise", (4, 4, 1), n_classes, 1, "")
    about = {"path": "R", "name": "noise", "config": None, "spec": spec, "step": 7, "member": None}
    about["domain"] = domains.of(spec)
    return SimpleNamespace(experiment=experiment, state=state, **about)


@pytest.fixture(autouse=True)
def run(monkeypatch):
    made = make_run()
    monkeypatch.setattr(runs, "open_run", lambda path, **more: made)
    monkeypatch.setattr(sample.cache, "enable", lambda on=True: None)
    return made


@pytest.fixture
def conditional(monkeypatch):
    made = make_run(n_classes=10)
    monkeypatch.setattr(runs, "open_run", lambda path, **more: made)
    return made


def drawn(out, *flags):
    assert cli.main(["sample", "R", "--out", str(out), *flags]) == 0
    with np.load(out) as arrays:
        return dict(arrays)


def test_npz_is_a_function_of_the_seed_and_a_prefix_of_more(tmp_path):
    def images(n, seed):
        return drawn(tmp_path / f"{n}-{seed}.npz", "--n", str(n), "--seed", str(seed))["image"]

    some, more, other = images(5, 0), images(70, 0), images(5, 1)
    assert some.shape == (5, 4, 4, 1)
    assert some.dtype == np.uint8
    np.testing.assert_array_equal(some, more[:5])
    assert (some != other).any()
    assert len({m.tobytes() for m in more}) == 70


def test_an_npz_says_what_its_images_were_drawn_from_and_they_can_be_drawn_again(tmp_path):
    first = drawn(tmp_path / "a.npz", "--n", "70", "--seed", "3", "--temperature", "0.5")
    assert (int(first["seed"]), int(first["step"]), float(first["temperature"])) == (3, 7, 0.5)
    assert str(first["run"]) == "noise"
    assert re.fullmatch("[0-9a-f]{64}", str(first["digest"]))
    assert first["z"].shape == (70, Z)
    again = drawn(tmp_path / "b.npz", "--latents", str(tmp_path / "a.npz"))
    for name in ("image", "z"):
        np.testing.assert_array_equal(first[name], again[name])
    assert "seed" not in again
    np.save(tmp_path / "z.npy", first["z"][4:6].astype(np.float64))
    np.testing.assert_array_equal(drawn(tmp_path / "c.npz", "--latents", str(tmp_path / "z.npy"))["image"],
                                  first["image"][4:6])  # fmt: skip


def test_temperature_is_the_standard_deviation_of_the_latents(tmp_path):
    one, cold = (drawn(tmp_path / f"{t}.npz", "--n", "500", "--temperature", t)["z"] for t in ("1", "0.25"))
    assert one.std() == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(cold, 0.25 * one, rtol=1e-6)


def test_labels_and_given_labels(tmp_path, conditional):
    first = drawn(tmp_path / "s.npz", "--n", "3", "--label", "7")
    assert first["label"].tolist() == [7, 7, 7]
    assert set(first["image"].ravel().tolist()) == {178}
    assert drawn(tmp_path / "t.npz", "--n", "12")["label"].tolist() == [*range(10), 0, 1]
    again = ("--latents", str(tmp_path / "s.npz"))
    assert drawn(tmp_path / "u.npz", *again)["label"].tolist() == [7, 7, 7]
    assert drawn(tmp_path / "v.npz", *again, "--label", "2")["label"].tolist() == [2, 2, 2]
    assert cli.main(["sample", "R", "--label", "10", "--out", str(tmp_path / "s.png")]) == 2


def test_a_png_is_a_grid(tmp_path, capsys):
    out = tmp_path / "deep" / "s.png"
    assert cli.main(["sample", "R", "--n", "9", "--scale", "1", "--out", str(out)]) == 0
    images, ncols = viz.tiles(viz.decode(out), (4, 4, 1))
    assert ncols == 3
    np.testing.assert_array_equal(images[:9], sample.draw(make_run(), 9).examples.x)
    assert "9 images of noise at step 7" in capsys.readouterr().out
    with Image.open(out) as picture:
        assert picture.text["Description"] == "noise step 7, seed 0"


def test_ncols_and_scale(tmp_path):
    plain, wide = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["sample", "R", "--n", "6", "--ncols", "6", "--scale", "1", "--out", str(plain)]) == 0
    assert cli.main(["sample", "R", "--n", "6", "--ncols", "6", "--scale", "3", "--out", str(wide)]) == 0
    small = viz.decode(plain)
    assert small.shape == (4, 6 * 5 - 1, 1)
    np.testing.assert_array_equal(viz.decode(wide), small.repeat(3, 0).repeat(3, 1))


def test_small_images_of_a_grid_are_enlarged(tmp_path):
    out = tmp_path / "s.png"
    assert cli.main(["sample", "R", "--n", "6", "--ncols", "6", "--out", str(out)]) == 0
    assert viz.decode(out).shape == (4 * 14, (6 * 5 - 1) * 14, 1)  # an image of 4x4 is 56 pixels wide


def test_a_pdf_is_the_grid_without_loss_and_the_same_bytes_each_time(tmp_path):
    flags = ["--n", "6", "--scale", "2"]
    for name in ("a.pdf", "b.pdf", "c.png"):
        assert cli.main(["sample", "R", *flags, "--out", str(tmp_path / name)]) == 0
    content, picture = (tmp_path / "a.pdf").read_bytes(), viz.decode(tmp_path / "c.png")
    assert content == (tmp_path / "b.pdf").read_bytes()
    height, width, _ = picture.shape
    assert f"/MediaBox [0 0 {width} {height}]".encode() in content
    stream = content[content.index(b"/FlateDecode") :]
    pixels = zlib.decompress(stream[stream.index(b"stream\n") + 7 : stream.index(b"\nendstream")])
    np.testing.assert_array_equal(np.frombuffer(pixels, np.uint8).reshape(picture.shape), picture)
    for i, at in enumerate(re.findall(rb"(\d{10}) 00000 n", content), 1):
        assert content[int(at) :].startswith(b"%d 0 obj" % i)
    start = int(re.search(rb"startxref\n(\d+)", content)[1])
    assert content[start:].startswith(b"xref")


def test_a_folder_has_a_png_for_each_image(tmp_path):
    out = tmp_path / "deep" / "single"
    assert cli.main(["sample", "R", "--n", "70", "--scale", "2", "--out", f"{out}/"]) == 0
    files = sorted(out.iterdir())
    assert [f.name for f in files] == [f"{i:06d}.png" for i in range(70)]
    expected = sample.draw(make_run(), 70).examples.x
    np.testing.assert_array_equal(viz.decode(files[69]), expected[69].repeat(2, 0).repeat(2, 1))
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["single"]


def test_a_conditional_run_s_folder_is_a_data_set_of_its_classes(tmp_path, conditional):
    out = tmp_path / "classes"
    out.mkdir()
    assert cli.main(["sample", "R", "--n", "20", "--out", str(out)]) == 0
    read = data.load(str(out))
    assert read.spec.n_classes == 10
    assert np.bincount(read.train.y).tolist() == [2] * 10


def test_a_folder_that_is_not_empty_is_not_touched(tmp_path, capsys):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "000000.png").write_bytes(b"a photo")
    assert cli.main(["sample", "R", "--out", str(out)]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert (out / "000000.png").read_bytes() == b"a photo"
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_points_are_numbers_and_dots_in_a_picture(tmp_path, monkeypatch, capsys):
    made = make_run()
    made.spec = data.Spec("ring", (1, 1, 2), 0, 1, "", domain="points", dtype="float32", n_values=0)
    made.domain = domains.of("points")
    made.experiment.model.generate = lambda params, state, z, y=None: z[:, None, None, :2]
    monkeypatch.setattr(runs, "open_run", lambda path, **more: made)
    arrays = drawn(tmp_path / "p.npz", "--n", "5")
    assert arrays["image"].dtype == np.float32
    np.testing.assert_array_equal(arrays["image"][:, 0, 0], arrays["z"][:, :2])
    assert "5 points" in capsys.readouterr().out
    assert cli.main(["sample", "R", "--out", str(tmp_path / "p.png"), "--n", "5"]) == 0
    assert viz.decode(tmp_path / "p.png").min() == 0
    assert cli.main(["sample", "R", "--out", f"{tmp_path}/folder/"]) == 2
    assert "points are not written one by one. Write .png or .npz." in capsys.readouterr().err
    again = data.load(tmp_path / "p.npz")
    assert (again.spec.domain, again.spec.shape, again.spec.n_values) == ("points", (1, 1, 2), 0)
    np.testing.assert_array_equal(again.train.x, arrays["image"])


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--out", "s.png", "--label", "3"], "not class-conditional"),
        (["--out", "s.png", "--n", "0"], "--n=0: must be at least 1"),
        (["--out", "s.png", "--n", "-3"], "at least 1"),
        (["--out", "s.png", "--n", "x"], "a whole number"),
        (["--out", "s.png", "--n", "1000000000"], "at most 80,000,000"),
        (["--out", "s.png", "--n", "99999999999"], "below 2**31"),
        (["--out", "s.pdf", "--scale", "100000"], "a smaller --scale"),
        (["--out", "s.png", "--scale", "0"], "at least 1"),
        (["--out", "s.png", "--scale", "1.5"], "a whole number"),
        (["--out", "s.png", "--ncols", "0"], "at least 1"),
        (["--out", "s.png", "--ncols", "2000000000"], "at most 80,000,000"),
        (["--out", "s.npz", "--ncols", "2"], "only a grid"),
        (["--out", "s.npz", "--scale", "2"], "leave --scale out"),
        (["--out", "d/", "--ncols", "2"], "only a grid"),
        (["--out", "d/", "--n", "1000000"], "100,000 files"),
        (["--out", "s.png", "--temperature", "nan"], "finite number"),
        (["--out", "s.png", "--temperature", "inf"], "finite number"),
        (["--out", "s.png", "--temperature", "0"], "above 0"),
        (["--out", "s.png", "--temperature", "-1"], "above 0"),
        (["--out", "s.png", "--seed", "-1"], "at least 0"),
        (["--out", "s.png", "--latents", "none.npz"], "no such file"),
        (["--out", "s.png", "--latents", "z.npz", "--seed", "1"], "Leave one out"),
        (["--out", "s.png", "--latents", "z.npz", "--n", "1"], "Leave one out"),
        (["--out", "s.jpg"], ".png, .pdf or .npz"),
        (["--out", "samples"], "samples/"),
        (["--out", ""], "must end in"),
    ],
)
def test_refuses(argv, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sample", "R", *argv]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") <= 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"image": np.zeros(3)}, "has no z"),
        ({"z": np.zeros((2, Z + 1))}, "z must be numbers (n, 3)"),
        ({"z": np.zeros((0, Z))}, "z must be numbers"),
        ({"z": np.array([["a"] * Z])}, "z must be numbers"),
        ({"z": np.full((2, Z), np.nan)}, "not finite"),
        ({"z": np.array([[{}] * Z])}, "not a file of latents"),
        (b"", "not a file of latents"),
        (b"PK\x03\x04 not really", "not a file of latents"),
        (json.dumps({"z": 1}).encode(), "not a file of latents"),
    ],
)
def test_latents_that_are_none(content, says, tmp_path, capsys):
    path = tmp_path / "z.npz"
    path.write_bytes(content) if isinstance(content, bytes) else np.savez(path, **content)
    assert cli.main(["sample", "R", "--out", str(tmp_path / "s.png"), "--latents", str(path)]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "s.png").exists()


@pytest.mark.parametrize("label", [[0, 10], [-1, 0], [0], [0.5, 1.0]])
def test_given_labels_that_do_not_fit(label, tmp_path, conditional, capsys):
    np.savez(tmp_path / "z.npz", z=np.zeros((2, Z)), label=np.array(label))
    assert cli.main(["sample", "R", "--out", str(tmp_path / "s.png"), "--latents", str(tmp_path / "z.npz")]) == 2
    assert "label must be 2 classes" in capsys.readouterr().err
