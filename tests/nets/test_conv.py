"""The canonical convolution against the library's own convolution and its automatic derivatives."""

import functools
import itertools
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from quick import QUICK, assert_no_collective_in_a_loop, few, quick_jit

from genjax import nets

module = sys.modules["genjax.nets.conv"]

# The library's second derivative aborts XLA 0.10 in this pass for some shapes: a (2, 5) map, (4, 2) kernel, stride
# (2, 3) and padding ((3, 3), (1, 2)). Ours passes with it, so only the oracle goes without.
NO_SWAP = {"xla_disable_hlo_passes": "algsimp"}
N_GROUPS = 8


def assert_close(a, b, message=""):
    """Every leaf within 1e-12 of the largest value of its counterpart."""
    for u, v in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(u, v, rtol=0, atol=1e-12 * float(np.abs(v).max() + 1e-9), err_msg=message)


def shapes(n: int):
    """n different (map, kernel, stride, padding) that fit, from a fixed draw, all non-square combinations included."""
    draw = np.random.default_rng(0)
    fixed = [
        ((8, 8), (4, 4), (2, 2), "SAME"),  # the generator's layer
        ((5, 9), (3, 3), (1, 1), "SAME"),
        ((1, 1), (4, 4), (1, 1), ((3, 3), (3, 3))),  # a dense layer in disguise
        ((8, 8), (2, 2), (1, 1), ((1, 1), (1, 1))),  # windows wider than the map
        ((6, 7), (1, 1), (2, 3), "VALID"),  # phases without a tap
        ((7, 7), (2, 2), (3, 3), "VALID"),  # rows that no window reaches
        ((4, 4), (3, 3), (1, 1), ((5, 0), (0, 4))),  # more padding than kernel
    ]
    yield from fixed
    seen = len(fixed)
    while seen < n:
        size, kernel, stride = (tuple(map(int, draw.integers(lo, hi, 2))) for lo, hi in ((1, 8), (1, 6), (1, 4)))
        explicit = tuple(tuple(map(int, p)) for p in draw.integers(0, 4, (2, 2)))
        padding = "SAME" if draw.random() < 0.3 else explicit
        if all(s + sum(p) >= k for s, k, p in zip(size, kernel, explicit, strict=True)):
            yield size, kernel, stride, padding
            seen += 1


def first_and_second(f):
    """(x, w, ct) -> the value, its two derivatives along ct, and the derivatives of all of those once more."""

    def first(x, w, ct):
        out, pull = jax.vjp(f, x, w)
        return out, *pull(ct)

    def both(x, w, ct):
        out, pull = jax.vjp(first, x, w, ct)
        return out, pull(jax.tree.map(jnp.cos, out))

    return both


@pytest.mark.parametrize("group", few(range(N_GROUPS), 0))
def test_equals_library_convolution_in_value_and_two_derivatives(group):
    """96 shapes, twelve to a compiled program (large enough for the compile cache)."""
    with jax.enable_x64(True):
        draw = np.random.default_rng(1)
        geos = [module._geometry(*s) for s in itertools.islice(shapes(96), group, None, N_GROUPS)]
        sizes = [((2, *geo.size, 2), (*geo.kernel, 2, 3), (2, *module._out_size(geo), 3)) for geo in geos]
        args = [tuple(draw.standard_normal(s) for s in three) for three in sizes]

        def run(form, args):
            return [first_and_second(functools.partial(form, geo))(*a) for geo, a in zip(geos, args, strict=True)]

        ours = quick_jit(functools.partial(run, module._conv))(args)
        library = jax.jit(functools.partial(run, module._plain_conv), compiler_options=QUICK | NO_SWAP)(args)
        for geo, a, b in zip(geos, ours, library, strict=True):
            assert_close(a, b, str(geo))


TRANSPOSED = [
    ((4, 5), (4, 4), (2, 2), "SAME", None),
    ((4, 5), (4, 4), (2, 2), ((1, 1), (1, 1)), None),
    ((3, 2), (3, 5), (2, 3), "SAME", (5, 4)),
    ((3, 2), (3, 2), (1, 3), ((0, 2), (1, 0)), None),
    ((3, 3), (2, 2), (3, 3), "VALID", (9, 8)),
    ((1, 1), (4, 4), (1, 1), "VALID", None),
    ((4, 3), (3, 3), (1, 1), "SAME", None),
]


@pytest.mark.parametrize(("out", "kernel", "stride", "padding", "size"), few(TRANSPOSED, *TRANSPOSED[1::2]))
def test_transposed_forms_agree_and_are_the_adjoint_of_conv(out, kernel, stride, padding, size):
    """<conv(x), g> = <x, conv_transpose(g)>, and both platforms' forms agree up to second derivatives."""
    with jax.enable_x64(True):
        draw = np.random.default_rng(2)
        g, w = jnp.asarray(draw.standard_normal((2, *out, 3))), jnp.asarray(draw.standard_normal((*kernel, 2, 3)))
        y = nets.conv_transpose(g, w, stride, padding, size)
        x = jnp.asarray(draw.standard_normal(y.shape))
        np.testing.assert_allclose((nets.conv(x, w, stride, padding) * g).sum(), (x * y).sum(), rtol=1e-12)
        geo = module._geometry(y.shape[1:3], kernel, stride, padding)

        def run(form, g, w, ct):
            return first_and_second(functools.partial(form, geo))(g, w, ct)

        ours = quick_jit(functools.partial(run, module._tconv))(g, w, x)
        library = jax.jit(functools.partial(run, module._plain_tconv), compiler_options=QUICK | NO_SWAP)(g, w, x)
        assert_close(ours, library)


PARTS = [
    ((8, 6), (4, 4), (2, 2), "SAME", 3, 5),
    ((5, 4), (3, 3), (1, 1), "SAME", 3, 5),
    ((5, 4), (3, 3), (1, 1), "SAME", 5, 2),  # few outputs: the kernel gradient changes the maps' roles
    ((6, 7), (3, 2), (2, 3), ((3, 0), (0, 4)), 2, 3),
]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "c", "o"), PARTS)
def test_in_parts_it_equals_the_library(size, kernel, stride, padding, c, o, monkeypatch):
    """A batch of six worked off as two threes, and image by image, in value and two derivatives."""
    with jax.enable_x64(True):
        draw = np.random.default_rng(3)
        geo = module._geometry(size, kernel, stride, padding)
        out = module._out_size(geo)
        args = [jnp.asarray(draw.standard_normal(s)) for s in ((6, *size, c), (*kernel, c, o), (6, *out, o))]

        def run(form):
            return first_and_second(functools.partial(form, geo))(*args)

        library = jax.jit(functools.partial(run, module._plain_conv), compiler_options=QUICK | NO_SWAP)()
        for images in (3, 1):
            of_g, of_y = (8 * images * out[0] * out[1] * v for v in (o, c * kernel[0] * kernel[1]))
            monkeypatch.setattr(module, "_KERNEL_BYTES", of_g if images > 1 else 1)
            monkeypatch.setattr(module, "_PRODUCT_BYTES", of_y if images > 1 else 1)
            ours = quick_jit(functools.partial(run, module._conv))
            assert "while" in ours.lower().as_text()
            assert_close(ours(), library, f"{images} at a time")


@pytest.mark.parametrize("stride", few([1, 2], 2))
def test_a_batch_over_devices_equals_one_device_and_is_summed_once(stride, monkeypatch):
    """Eight images on four devices, each in two parts: value and two derivatives, and no reduction in a loop."""
    monkeypatch.setattr(module, "_KERNEL_BYTES", 1)
    monkeypatch.setattr(module, "_PRODUCT_BYTES", 1)
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))
    draw = np.random.default_rng(4)
    with jax.enable_x64(True):
        x, w = (jnp.asarray(draw.standard_normal(s)) for s in ((8, 6, 6, 5), (3, 3, 5, 40)))
        ct = jnp.asarray(draw.standard_normal((8, 6 // stride, 6 // stride, 40)))

        def both(x, w, ct):
            return first_and_second(lambda x, w: module.conv(x, w, stride))(x, w, ct)

        def spread(x, w, ct):
            with nets.batches_over(mesh):
                return both(x, w, ct)

        split = NamedSharding(mesh, P("data"))
        args = jax.device_put(x, split), jax.device_put(w, NamedSharding(mesh, P())), jax.device_put(ct, split)
        compiled = jax.jit(spread, compiler_options=QUICK).lower(*args).compile()
        assert_close(compiled(*args), quick_jit(both)(x, w, ct))
    assert_no_collective_in_a_loop(compiled)


def test_parts_fill_the_limit_and_divide_the_batch():
    assert nets.n_chunks(64, 100, 6400) == 1
    assert nets.n_chunks(64, 100, 6399) == 2
    assert nets.n_chunks(60, 100, 1100) == 6
    assert nets.n_chunks(7, 100, 300) == 7
    assert nets.n_chunks(4, 100, 10) == 4
    x = jnp.arange(6).reshape(6, 1)
    assert [module._chunk(x, 2, i).ravel().tolist() for i in (0, 1)] == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize(("c", "o"), [(3, 32), (5, 40)])
def test_an_odd_number_of_channels_equals_the_library(c, o):
    """They are padded to an even number where the library is slow without."""
    with jax.enable_x64(True):
        draw = np.random.default_rng(4)
        geo = module._geometry((5, 4), (3, 3), 1, "SAME")
        args = [jnp.asarray(draw.standard_normal(s)) for s in ((2, 5, 4, c), (3, 3, c, o), (2, 5, 4, o))]

        def run(form):
            return first_and_second(functools.partial(form, geo))(*args)

        ours, library = (quick_jit(functools.partial(run, f))() for f in (module._conv, module._plain_conv))
        assert_close(ours, library)


def test_default_size_of_a_transposed_convolution():
    g, w = jnp.ones((1, 3, 5, 2)), jnp.ones((4, 4, 1, 2))
    assert nets.conv_transpose(g, w, 2, "SAME").shape == (1, 6, 10, 1)
    assert nets.conv_transpose(g, w, 2, "VALID").shape == (1, 8, 12, 1)
    assert nets.conv_transpose(g, w, (1, 3), ((1, 1), (0, 2))).shape == (1, 4, 14, 1)


def test_wrong_geometry_is_refused_in_words():
    x, w = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 5))
    with pytest.raises(ValueError, match="x has 2 channels but w takes 1"):
        nets.conv(x, w[:, :, :1])
    with pytest.raises(ValueError, match="g has 2 channels but w takes 5"):
        nets.conv_transpose(x, w)
    with pytest.raises(ValueError, match="stride"):
        nets.conv(x, w, 0)
    with pytest.raises(ValueError, match="negative"):
        nets.conv(x, w, 1, ((-1, 0), (0, 0)))
    with pytest.raises(ValueError, match="does not fit"):
        nets.conv(x, jnp.ones((5, 5, 2, 1)), 1, "VALID")
    with pytest.raises(ValueError, match="would be convolved to"):
        nets.conv_transpose(x, jnp.ones((3, 3, 1, 2)), 2, "SAME", (11, 8))


def critic_step(conv):
    """One descent step of a two-layer critic with a gradient penalty and a transposed layer: all three maps."""

    def score(w, x):
        h = jnp.tanh(conv(x, w["down"], 2, "SAME"))
        return (nets_transpose(conv)(h, w["up"]) ** 2).sum((1, 2, 3))

    def loss(w, x):
        penalty = (jax.grad(lambda x: score(w, x).sum())(x) ** 2).sum()
        return score(w, x).mean() + penalty

    def step(w, x):
        return jax.tree.map(lambda a, b: a - 0.01 * b, w, jax.grad(loss)(w, x))

    return step


def nets_transpose(conv):
    """The transposed layer that goes with `conv`: ours, or the library's form."""
    if conv is nets.conv:
        return lambda g, w: nets.conv_transpose(g, w, 2, "SAME")
    return lambda g, w: module._plain_tconv(
        module._geometry((2 * g.shape[1], 2 * g.shape[2]), w.shape[:2], 2, "SAME"), g, w
    )


def plain(x, w, stride, padding):
    return module._plain_conv(module._geometry(x.shape[1:3], w.shape[:2], stride, padding), x, w)


WEIGHTS = {"down": jnp.full((4, 4, 1, 3), 0.1), "up": jnp.full((4, 4, 1, 3), 0.1)}


def convolutions(conv, *platforms: str) -> tuple[list[str], str]:
    """The convolutions of the exported critic step, operands left out, and the text of its module."""
    step = jax.jit(critic_step(conv))
    text = export.export(step, platforms=platforms)(WEIGHTS, jnp.ones((2, 6, 8, 1))).mlir_module()
    return sorted(re.findall(r"stablehlo\.convolution\([^)]*\) (.*?) loc\(", text)), text


@pytest.mark.parametrize("platform", ["tpu", "cuda", "rocm"])
def test_exported_for_accelerators_it_is_the_library_convolution(platform):
    ours, text = convolutions(nets.conv, platform)
    assert ours == convolutions(plain, platform)[0]
    assert any("lhs_dilate" in c for c in ours)
    assert "custom_call" not in text
    assert "optimization_barrier" not in text


def test_exported_for_cpu_it_is_canonical():
    ours, text = convolutions(nets.conv, "cpu")
    assert ours
    assert all("[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in c and "lhs_dilate" not in c for c in ours)
    assert "optimization_barrier" in text


def test_one_module_for_all_platforms_gives_the_same_numbers():
    x = jax.random.normal(jax.random.key(0), (2, 6, 8, 1))
    exported = export.export(jax.jit(critic_step(nets.conv)), platforms=("cpu", "cuda", "tpu"))(WEIGHTS, x)
    for a, b in zip(
        jax.tree.leaves(exported.call(WEIGHTS, x)),
        jax.tree.leaves(quick_jit(critic_step(plain))(WEIGHTS, x)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_in_a_loop_no_branch_is_left_and_every_convolution_is_canonical():
    """The choice of platform costs nothing at run time: XLA sees the CPU's branch alone."""

    def run(w, x, n):
        return lax.fori_loop(0, n, lambda _, w: critic_step(nets.conv)(w, x), w)

    x = jax.random.normal(jax.random.key(0), (2, 6, 8, 1))
    compiled = jax.jit(run).lower(WEIGHTS, x, 3).compile()
    text = compiled.as_text()
    assert " conditional(" not in text
    labels = set(re.findall(r"dim_labels=(\S+?)[,\s]", text))
    assert labels <= {"b01f_01io->b01f"}
    w, step = WEIGHTS, quick_jit(critic_step(plain))
    for _ in range(3):
        w = step(w, x)
    for a, b in zip(jax.tree.leaves(compiled(WEIGHTS, x, 3)), jax.tree.leaves(w), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_batched_over_kernels_and_third_derivative():
    """`vmap` over seeds, and closed under differentiation beyond the second."""
    x = jax.random.normal(jax.random.key(0), (2, 5, 4, 2))
    w = jax.random.normal(jax.random.key(1), (3, 3, 3, 2, 2))

    def third(conv):
        def scalar(t, w):
            return (jnp.tanh(conv(x * t, w, 2, "SAME")) ** 2).sum()

        return quick_jit(jax.vmap(jax.grad(jax.grad(jax.grad(scalar))), (None, 0)))(1.0, w)

    np.testing.assert_allclose(third(nets.conv), third(plain), rtol=1e-3, atol=1e-3)
