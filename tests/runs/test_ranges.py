"""Transforms, likelihoods and generators say their range; what does not fit is refused when it is put together."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from genjax import data, distributions, domains, models, nets, objectives, runs, train
from genjax.nets.spectral import spectral_norm
from genjax.runs import drawing
from genjax.types import RANGES, UsageError

DIGITS = data.load("digits")
LIKELIHOODS = {name: distributions.likelihood_of(name, DIGITS.spec) for name in distributions.LIKELIHOODS if name}
UNKNOWN = data.Transform(lambda key, b: b, lambda x: x)
TRANSFORMS = {
    "to_unit": data.to_unit(),
    "to_signed": data.to_signed(),
    "to_plane": data.to_plane(),
    "to_levels": data.to_levels(),
    "dequantize": data.dequantize(),
    "binarize": data.binarize(),
    "flip": data.flip(),
    "nothing": data.compose(),
    "shift, binarize": data.compose(data.shift(1), data.binarize()),
    "to_signed, flip": data.compose(data.to_signed(), data.flip()),
    "unknown, to_unit": data.compose(UNKNOWN, data.to_unit()),
}
UNIT, SIGNED = {"to_unit", "dequantize", "unknown, to_unit"}, {"to_signed", "to_plane", "to_signed, flip"}
FITS = {
    "bernoulli": {"binarize", "shift, binarize"} | UNIT,
    "gaussian": UNIT | SIGNED,
    "gaussian_learned": UNIT | SIGNED,
    "gaussian_per_pixel": UNIT | SIGNED,
    "logistic": SIGNED,
    "logistic_mixture": SIGNED,
    "categorical": {"to_levels"},
}


def vae_of(likelihood):
    encoder = nets.mlp_encoder((8, 8, 1), 4, (8,))
    return models.VAE(encoder, nets.mlp_decoder(2, (8, 8, likelihood.n_out(1)), (8,)), 2, likelihood)


def gan_of(generator):
    return models.GAN(generator, nets.mlp_discriminator((8, 8, 1), (8,)), 2)


GENERATORS = {
    "mlp": nets.mlp_generator(2, (8, 8, 1), (8,)),
    "dcgan": nets.dcgan_generator(2, (8, 8, 1), 8),
    "bf16": nets.compute(nets.dcgan_generator(2, (8, 8, 1), 8), precision="bf16"),
    "remat": nets.compute(nets.mlp_generator(2, (8, 8, 1), (8,)), remat=True),
    "spectral": spectral_norm(nets.mlp_generator(2, (8, 8, 1), (8,))),
}
MODELS = {n: (vae_of(lik), FITS[n]) for n, lik in LIKELIHOODS.items()} | {n: (gan_of(g), SIGNED) for n, g in
          GENERATORS.items()}  # fmt: skip
PAIRS = [pytest.param(m, t, id=f"{m}-{t}") for m in MODELS for t in TRANSFORMS]


@pytest.mark.parametrize(("of", "transform"), PAIRS)
def test_every_transform_under_every_model_is_right_or_refused(of, transform):
    """Refused in two lines that name both and the transform that fits; what is accepted really has that range."""
    (model, fits), t = MODELS[of], TRANSFORMS[transform]
    if transform in fits:
        runs.Experiment(model, None, t, lambda *_: {})
        x = t(jax.random.key(0), next(data.once(data.take(DIGITS.train, np.arange(4)), 4))).x
        low, high = {"signed": (-1, 1), "levels": (0, 255)}.get(t.range, (0, 1))
        assert low <= x.min() < x.max() <= high
        return
    with pytest.raises(UsageError) as e:
        runs.Experiment(model, None, t, lambda *_: {})
    first, second = str(e.value).splitlines()
    assert first.startswith(f"{t.name} gives values in {RANGES[t.range]}, but the ")
    assert (of if of in LIKELIHOODS else "generator") in first
    best = second.removeprefix("Use data.").partition("()")[0]
    runs.Experiment(model, None, getattr(data, best)(), lambda *_: {})


@pytest.mark.parametrize("model", [MODELS["bernoulli"][0], MODELS["mlp"][0]], ids=["vae", "gan"])
def test_what_nobody_declared_is_not_refused(model):
    runs.Experiment(model, None, UNKNOWN, lambda *_: {})
    runs.Experiment(model, None, data.compose(data.dequantize(), UNKNOWN), lambda *_: {})
    runs.Experiment(object(), None, data.binarize(), lambda *_: {})


@pytest.mark.parametrize(
    ("moves", "transform"),
    [
        (lambda: [objectives.vae(vae_of(distributions.bernoulli()))], data.to_signed()),
        (lambda: [objectives.iwae(vae_of(distributions.bernoulli()), 2)], data.to_levels()),
        (lambda: objectives.gan(gan_of(GENERATORS["mlp"]))[:2], None),
    ],
    ids=["vae", "iwae", "gan"],
)
def test_fit_holds_the_source_against_the_objective_s_model(moves, transform):
    """By hand, in a notebook: no Experiment, but the source knows its transform and the objective its model."""
    step = train.make_step(*(train.Move(p, m, optax.sgd(0.1)) for p, m in zip(("vae", "g"), moves(), strict=False)))
    source = data.make_source(DIGITS.train, 8, transform)
    state = train.TrainState(jnp.zeros((), jnp.int32), {}, {})
    with pytest.raises(UsageError, match=r"gives values in .*, but the .* is for .*\nUse data\."):
        train.fit(step, state, source, jax.random.key(0), steps=1)


@pytest.mark.parametrize("transform", [data.to_signed(), data.binarize(), data.compose(data.flip(), data.to_unit())])
def test_points_want_the_transform_of_points(transform):
    with pytest.raises(UsageError, match=r"takes pixels, and these data are float32 of 1x1x2\.\nUse .*data.to_plane"):
        data.make_source(data.load("ring").train, 8, transform)
    assert data.make_source(data.load("ring").train, 8, data.to_plane()).transform.name == "to_plane"


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (DIGITS.train.x, "bernoulli"),
        (np.where(DIGITS.train.x > 127, 255, 0).astype(np.uint8), "bernoulli"),
        (np.zeros((4, 8, 8, 1), np.uint8), "bernoulli"),
        (np.repeat(DIGITS.train.x, 3, axis=-1), distributions.likelihood.EIGHT_BITS),
        (
            np.random.default_rng(0).integers(60, 200, (9, 8, 8, 1)).astype(np.uint8),
            distributions.likelihood.EIGHT_BITS,
        ),
        (np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3)).astype(np.uint8), distributions.likelihood.EIGHT_BITS),
    ],
    ids=["digits", "black and white", "black", "colour", "grey photographs", "colour photographs"],
)
def test_the_likelihood_fits_the_data(image, wanted):
    spec = data.load(image).spec
    assert distributions.chosen_for(spec) == wanted
    assert distributions.likelihood_of("", spec).name == wanted
    assert distributions.likelihood_of("gaussian", spec).name == "gaussian"
    stored = dataclasses.asdict(spec) | {"shape": list(spec.shape), "classes": []}
    assert distributions.chosen_for(data.examples.spec_of(stored)) == wanted  # a run opens without its data
    older = data.examples.spec_of({k: v for k, v in stored.items() if k != "contrast"})
    assert distributions.chosen_for(older) == ("bernoulli" if image.shape[-1] == 1 else wanted)


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(("name", "folder"), [("mnist", "tfds_dir"), ("fashion_mnist", "tfds_fashion")])
def test_mnist_and_fashion_mnist_are_binarised_as_ever(name, folder, request):
    spec = data.load(name, data_dir=request.getfixturevalue(folder)).spec
    assert distributions.chosen_for(spec) == "bernoulli", spec


@pytest.mark.parametrize(("scale", "said"), [(1.0, False), (1.1, False), (9.0, True)])
def test_pictures_that_are_cut_off_are_said(scale, said, capsys):
    """A model of one's own, whose range nobody declared: the values beyond 0 ... 255 are counted when it is drawn."""

    @dataclasses.dataclass(frozen=True)
    class Own:
        z_dim: int = 2
        n_classes: int = 0

        def noise(self, key, n, temperature=1.0):
            return jax.random.normal(key, (n, self.z_dim))

        def generate(self, params, state, z, y=None):
            return scale * jnp.tanh(9.0 * z[:, :1, None, None]) * jnp.ones((1, 4, 4, 1))

    experiment = runs.Experiment(Own(), None, data.to_signed(), lambda *_: {})
    spec = data.Spec("own", (4, 4, 1), 0, 1, "")
    images = drawing.draw(experiment, domains.of(spec), spec, {}, {}, 5).examples
    assert images.x.shape == (5, 4, 4, 1)
    err = capsys.readouterr().err
    assert ("of the values drawn lie far outside 0 ... 255 and are clipped" in err) == said
    assert ("to_signed" in err) == said
