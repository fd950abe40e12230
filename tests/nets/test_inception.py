"""FID's Inception-v3: its resizing and pooling against plain loops, the whole against PyTorch."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import quick_jit

from genjax import nets
from genjax.nets import inception

resize = quick_jit(inception.resize, static_argnums=1)


def plain_resize(image, height, width):
    """One pixel after the other, in float64: TensorFlow 1's rule for align_corners=False."""
    h, w, c = image.shape
    out = np.zeros((height, width, c))
    for i in range(height):
        for j in range(width):
            y, x = i * h / height, j * w / width
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
            dy, dx = y - y0, x - x0
            top = image[y0, x0] * (1 - dx) + image[y0, x1] * dx
            bottom = image[y1, x0] * (1 - dx) + image[y1, x1] * dx
            out[i, j] = top * (1 - dy) + bottom * dy
    return out


@pytest.mark.parametrize(
    ("shape", "size"),
    [((28, 28, 1), (149, 299)), ((32, 20, 3), (41, 99)), ((64, 50, 2), (31, 17)), ((1, 1, 1), (3, 2))],
)
def test_resize_equals_a_plain_loop(shape, size):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.float64)
    got = np.asarray(resize(jnp.asarray(image[None], jnp.float32), size))[0]
    np.testing.assert_allclose(got, plain_resize(image, *size), atol=2e-3)  # of 255, in float32 places of up to 299


def test_resize_has_no_half_pixel_and_keeps_what_fits():
    x = jnp.arange(4.0).reshape(1, 4, 1, 1)
    np.testing.assert_array_equal(np.asarray(resize(x, (8, 1))).ravel(), [0, 0.5, 1, 1.5, 2, 2.5, 3, 3])
    image = jax.random.uniform(jax.random.key(0), (2, 299, 299, 3))
    np.testing.assert_array_equal(resize(image, (299, 299)), image)


def test_pooling_leaves_edges_out():
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    mean, most = np.zeros_like(x), np.zeros_like(x)
    for i in range(5):
        for j in range(4):
            window = x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            mean[:, i, j], most[:, i, j] = window.mean((1, 2)), window.max((1, 2))
    np.testing.assert_allclose(inception._POOLS["mean"](jnp.asarray(x)), mean, atol=1e-6)
    np.testing.assert_array_equal(inception._POOLS["max"](jnp.asarray(x)), most)
    np.testing.assert_array_equal(inception._POOLS["half"](jnp.asarray(x)), most[:, 1:4:2, 1:2])


def test_shapes_and_sizes():
    """As many numbers as the published file has; nothing is computed."""
    net = nets.inception_v3()
    params, state = jax.eval_shape(net.init, jax.random.key(0))
    n = sum(v.size for v in jax.tree.leaves((params, state)))
    assert len(list(inception.layers())) == 94
    pools = {name: chains[-1][0] for name, chains in inception.BLOCKS.items()}
    assert pools == {n: {"6a": "half", "7a": "half", "7c": "max"}.get(n[-2:], "mean") for n in pools}
    assert 4 * (n + 1008) == pytest.approx(95_628_359, rel=2e-3)  # the bias left out; names and headers besides
    x = jax.ShapeDtypeStruct((2, 31, 33, 3), jnp.uint8)
    (features, logits), _ = jax.eval_shape(net.apply, params, state, x)
    assert features.shape == (2, 2048)
    assert logits.shape == (2, 1008)


def test_lowers_to_plain_convolutions_elsewhere():
    net = nets.inception_v3()
    trees = jax.eval_shape(net.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.uint8)
    text = jax.jit(net.apply).trace(*trees, x).lower(lowering_platforms=("tpu",)).as_text()
    assert text.count("stablehlo.convolution") == 94


def interpreter() -> str | None:
    """A Python with PyTorch: $GENJAX_TORCH_PYTHON, or this one."""
    chosen = os.environ.get("GENJAX_TORCH_PYTHON")
    return chosen or (sys.executable if importlib.util.find_spec("torch") else None)


@pytest.mark.slow
@pytest.mark.skipif(interpreter() is None, reason="no PyTorch; $GENJAX_TORCH_PYTHON names a Python that has it")
def test_equals_an_implementation_in_pytorch(tmp_path, monkeypatch):
    """Random weights through the importer, in both forms of file; features and logits to 1e-4 of their scale."""
    from genjax.metrics import feature_net
    from genjax.metrics.inception import import_file

    script = Path(__file__).with_name("inception_torch.py")
    subprocess.run([interpreter(), str(script), str(tmp_path)], check=True, env={**os.environ, "PYTHONPATH": ""})
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    kept = []
    for form in ("zip", "sequence"):
        done = import_file(tmp_path / f"{form}.pth", allow_unknown=True)
        kept.append(done.path.read_bytes()[-1_000_000:])
    assert kept[0] == kept[1]
    net = feature_net("inception")
    with np.load(tmp_path / "expected.npz") as expected:
        for case in ("exact", "small", "large"):
            got = dict(zip(("features", "logits"), net.outputs(expected[f"{case}/images"]), strict=True))
            for what, value in got.items():
                wanted = expected[f"{case}/{what}"]
                assert np.std(wanted) > 0.01
                error = np.abs(value - wanted).max() / np.abs(wanted).max()
                print(f"{case} {what}: {error:.2e} of {np.abs(wanted).max():.3g}")
                assert error < 1e-4
