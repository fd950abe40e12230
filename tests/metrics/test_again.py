"""Metrics and scores in a loop: called again with the same shapes, nothing is compiled."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import few, quick_jit

from genjax import data, distributions, domains, metrics, models, nets, objectives, train
from genjax.cli.score import Part, score_rows
from genjax.metrics import measured
from genjax.runs import drawing
from genjax.train.experiment import Experiment
from genjax.types import Batch

SHAPE, Z = (8, 8, 1), 3


class World:
    """What is measured."""

    def __init__(self):
        self.key = jax.random.key(0)
        self.vae = models.VAE(nets.mlp_encoder(SHAPE, 2 * Z, (8,)), nets.mlp_decoder(Z, SHAPE, (8,)), Z)
        self.gan = models.GAN(nets.mlp_generator(Z, SHAPE, (8,)), nets.mlp_discriminator(SHAPE, (8,)), Z)
        self.of_vae, self.of_gan = quick_jit(self.vae.init)(self.key), quick_jit(self.gan.init)(self.key)
        self.a, self.b = (np.random.default_rng(i).normal(size=(24, 5)).astype(np.float32) for i in (0, 1))
        self.pixels = np.random.default_rng(2).integers(0, 256, (24, *SHAPE), np.uint8)
        self.x = jnp.asarray(self.pixels / 255, jnp.float32)
        self.q = distributions.Normal(jnp.asarray(self.a), jnp.zeros(self.a.shape))
        self.net = metrics.feature_net("digits")
        step, score = train.make_step(train.Move("vae", objectives.vae(self.vae), optax.sgd(0.1))), self.score_vae
        self.experiment = Experiment(self.vae, step, data.to_unit(), score)
        part = self.part = data.Examples(self.pixels)
        self.run = SimpleNamespace(
            experiment=self.experiment,
            state=step.init(self.vae, self.key),
            spec=data.load(self.pixels).spec,
            domain=domains.of("image"),
            name="a run",
        )
        self.measured = measured.Measured(self.vae, *self.of_vae, score, data.to_unit(), part)

    @property
    def score_vae(self):
        return objectives.score_vae(self.vae)

    def discriminate(self, x):
        return self.gan.logits(self.of_gan[0]["d"], self.of_gan[1]["d"], jnp.asarray(x / 255, jnp.float32))[0]


CALLS = {
    "score of a VAE": lambda w: w.score_vae(*w.of_vae, Batch(w.x), w.key),
    "score of a GAN": lambda w: objectives.gan(w.gan).score(*w.of_gan, Batch(w.x), w.key),
    "score of a run": lambda w: list(score_rows(w.run, Part(w.part))),
    "samples of a run": lambda w: drawing.generated(
        w.experiment, domains.of("image"), w.run.spec, *w.of_vae, np.ones((4, Z), np.float32)
    ),
    "points of a model": lambda w: drawing.at_once(w.vae, *w.of_vae, 4, w.key),
    "iw_log_likelihood": lambda w: metrics.iw_log_likelihood(w.vae, *w.of_vae, w.x, w.key, 8),
    "ais_log_likelihood": lambda w: metrics.ais_log_likelihood(w.vae, *w.of_vae, w.x, w.key, 2, 2, 2),
    "bidirectional": lambda w: metrics.bidirectional(w.vae, *w.of_vae, w.key, 2, 2, 2, 2),
    "active_units": lambda w: metrics.active_units(w.q.mean),
    "kl_per_dimension": lambda w: metrics.kl_per_dimension(w.q),
    "aggregate_posterior": lambda w: metrics.aggregate_posterior(w.q, w.key),
    "bound": lambda w: measured.bound(w.measured, w.key),
    "likelihood": lambda w: measured.likelihood(w.measured, w.key, 8),
    "sha256": lambda w: w.measured.sha256(),
    "features": lambda w: w.net.features(w.pixels),
    "logits": lambda w: w.net.logits(w.pixels),
    "frechet_distance": lambda w: metrics.frechet_distance(w.a, w.b),
    "frechet_infinity": lambda w: metrics.frechet_infinity(w.a, w.b, w.key),
    "kernel_distance": lambda w: metrics.kernel_distance(w.a, w.b),
    "kernel_distance_subsets": lambda w: metrics.kernel_distance_subsets(w.a, w.b, w.key, subset_size=8, n_subsets=2),
    "sliced_wasserstein": lambda w: metrics.sliced_wasserstein(w.a, w.b, w.key, 8),
    "mind": lambda w: metrics.mind(w.a, w.b, w.key, 8),
    "prdc": lambda w: metrics.prdc(w.a, w.b),
    "nearest_neighbours": lambda w: metrics.nearest_neighbours(w.a, w.b),
    "authenticity": lambda w: metrics.authenticity(w.a, w.b),
    "inception_score": lambda w: metrics.inception_score(w.net.logits(w.pixels), 2, w.key),
    "sharpness": lambda w: metrics.sharpness(w.pixels, w.pixels),
    "radial_spectrum": lambda w: metrics.radial_spectrum(w.pixels),
    "class_accuracy": lambda w: metrics.class_accuracy(w.pixels, np.arange(24) % 10, w.net.logits),
    "held_out_gap": lambda w: metrics.held_out_gap(w.discriminate, w.pixels, w.pixels),
}


@pytest.fixture(scope="module")
def world():
    with jax.debug_key_reuse(False):  # the same key twice
        jax.config.update("jax_disable_most_optimizations", True)  # how fast it would be is not asked
        yield World()
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def compiled():
    """Grows by one with each program that is compiled."""
    seen = []

    def count(event, seconds, **more):
        if event.endswith("backend_compile_duration"):
            seen.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(count)
    yield seen
    jax.monitoring.unregister_event_duration_listener(count)


@pytest.mark.parametrize("name", few(CALLS, "score of a VAE"))
def test_a_second_call_compiles_nothing(name, world, compiled):
    jax.block_until_ready(CALLS[name](world))
    first = len(compiled)
    jax.block_until_ready(CALLS[name](world))
    assert len(compiled) == first
