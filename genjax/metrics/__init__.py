"""Metrics: features, samples, or a model and data to numbers. Each has an oracle in `tests/metrics`."""

from genjax.metrics.ais import ais_log_likelihood as ais_log_likelihood
from genjax.metrics.ais import bidirectional as bidirectional
from genjax.metrics.evaluate import fixed as fixed
from genjax.metrics.evaluate import in_batches as in_batches
from genjax.metrics.evaluate import over as over
from genjax.metrics.frechet import Moments as Moments
from genjax.metrics.frechet import frechet_distance as frechet_distance
from genjax.metrics.frechet import frechet_infinity as frechet_infinity
from genjax.metrics.frechet import moments as moments
from genjax.metrics.kernel import kernel_distance as kernel_distance
from genjax.metrics.kernel import kernel_distance_subsets as kernel_distance_subsets
from genjax.metrics.latents import active_units as active_units
from genjax.metrics.latents import aggregate_posterior as aggregate_posterior
from genjax.metrics.latents import kl_per_dimension as kl_per_dimension
from genjax.metrics.likelihood import bits_per_dim as bits_per_dim
from genjax.metrics.likelihood import iw_log_likelihood as iw_log_likelihood
from genjax.metrics.manifold import PRDC as PRDC
from genjax.metrics.manifold import prdc as prdc
from genjax.metrics.score import inception_score as inception_score
from genjax.metrics.sliced import mind as mind
from genjax.metrics.sliced import sliced_wasserstein as sliced_wasserstein
