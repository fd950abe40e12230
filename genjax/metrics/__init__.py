"""Measurements of models: features, samples or data in, numbers out. Each has an oracle in `tests/metrics`."""

from genjax.metrics.ais import ais_log_likelihood as ais_log_likelihood
from genjax.metrics.ais import bidirectional as bidirectional
from genjax.metrics.evaluate import fixed as fixed
from genjax.metrics.evaluate import in_batches as in_batches
from genjax.metrics.evaluate import over as over
from genjax.metrics.latents import active_units as active_units
from genjax.metrics.latents import aggregate_posterior as aggregate_posterior
from genjax.metrics.latents import kl_per_dimension as kl_per_dimension
from genjax.metrics.likelihood import bits_per_dim as bits_per_dim
from genjax.metrics.likelihood import iw_log_likelihood as iw_log_likelihood
