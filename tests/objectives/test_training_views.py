"""Views change what an objective sees, by a draw of their own, and nothing else."""

import jax
import jax.numpy as jnp

from genjax.objectives import on_views
from genjax.types import Aux, Batch, Context


def test_a_view_is_drawn_for_each_update_and_keeps_the_model():
    def objective(params, batch, ctx):
        return batch.x.sum(), Aux({"seen": batch.x[0]})

    objective.model = "the model"
    seen = on_views(objective, lambda key, batch: batch._replace(x=batch.x + jax.random.normal(key, batch.x.shape)))
    assert seen.model == "the model"
    found = [float(seen({}, Batch(jnp.zeros(3)), Context({}, jax.random.key(k), 0))[0]) for k in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert found[0] != 0
