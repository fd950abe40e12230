"""`genjax plan`: what it prints, and what it refuses."""

import json

import pytest

from genjax import cli

SMALL = ["--hidden", "16", "--z-dim", "2", "--batch-size", "16"]


def test_a_readable_plan(capsys):
    assert cli.main(["plan", "vae_digits", *SMALL, "--device", "v5e", "--mesh", "data=4,fsdp=2"]) == 0
    out = capsys.readouterr().out
    for word in (
        "8 x v5e (data=4, fsdp=2)", "16, 2 a device", "FLOPs", "bytes moved", "derived", "gradient vae",
        "reduce-scatter over fsdp", "all-gather over fsdp", "bound", "predicted", "examples/s", "at 40% of peak",
        "takes longer than computation", "docs.cloud.google.com/tpu/docs/v5e", "assumed",
    ):  # fmt: skip
        assert word in out
    assert max(map(len, out.splitlines())) <= 130


def test_a_plan_for_machines(capsys):
    argv = ["plan", "vae_digits", *SMALL, "--mesh", "data=2", "--shape", "32x32x3", "--n-train", "1000", "--json"]
    assert cli.main(argv) == 0
    p = json.loads(capsys.readouterr().out)
    assert (p["devices"], p["examples_per_step"], p["per_device"]["batch"]) == (2, 16, 8)
    assert p["per_device"]["data_bytes"] == 32 * 32 * 3 * 1000
    assert p["examples_per_s"]["bound"] == pytest.approx(16 / p["seconds"]["bound"])
    assert p["examples_per_s"]["predicted"] < p["examples_per_s"]["bound"]
    assert p["per_device"]["collective_bytes"] == pytest.approx(4 * p["parameters"])  # 2 * 1/2 of the gradient
    assert p["device"]["name"] == "h100"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], ["name an experiment first"]),
        (["vae_digit"], ["Did you mean vae_digits"]),
        (["vae_digits", "--device", "v99"], ["device=v99", "Known: cpu, h100"]),
        (["vae_digits", "--mesh", "model=2"], ["mesh='model=2'", "data=4,fsdp=2"]),
        (["vae_digits", "--mesh", "data=7"], ["batch_size=64 does not divide over 7 devices"]),
        (["vae_digits", "--shape", "28"], ["shape=28", "like 64x64x3"]),
        (["vae_digits", "--shape", "0x8x1"], ["shape=0x8x1"]),
        (["vae_digits", "--shape", "8x8", "--n-train", "0"], ["n_train=0"]),
        (["vae_digits", "--efficiency", "2"], ["efficiency=2.0", "at most 1"]),
        (["vae_digits", "--data", "nowhere"], ["nowhere", "--shape 28x28x1"]),
        (["vae_digits", "--conditional", "--shape", "8x8"], ["say --classes"]),
        (["vae_digits", "--batch-size", "0"], ["batch_size=0"]),
    ],
)
def test_refusals_exit_with_2(argv, words, capsys):
    assert cli.main(["plan", *argv]) == 2
    err = capsys.readouterr().err
    assert all(word in err for word in words), err
    assert len(err.splitlines()) <= 3


def test_help(capsys):
    assert cli.main(["plan", "--help"]) == 0
    assert "vae_digits" in capsys.readouterr().out
    with pytest.raises(SystemExit) as e:
        cli.main(["plan", "vae_digits", "--help"])
    assert e.value.code in (0, None)
    assert "--mesh" in capsys.readouterr().out


@pytest.mark.slow
def test_image_size_replaces_the_sides_of_the_shape(capsys):
    argv = ["plan", "vae_digits", *SMALL, "--shape", "64x48x3", "--image-size", "8", "--n-train", "10", "--json"]
    assert cli.main(argv) == 0
    assert json.loads(capsys.readouterr().out)["per_device"]["data_bytes"] == 8 * 8 * 3 * 10
