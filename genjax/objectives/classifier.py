"""The objective of a classifier."""

from typing import Any

import jax.numpy as jnp

from genjax import losses
from genjax.losses.reduce import mean
from genjax.models.contract import require
from genjax.types import Aux, Batch, Context, Objective, Params, masked


def classifier(model: Any, smoothing: float = 0.0) -> Objective:
    """Cross-entropy of the labels, nats per example.

    Args:
        model: a `models.Classifier`; every batch needs labels.
        smoothing: weight of the uniform distribution in the targets, 0 <= smoothing < 1.

    Reports:
        accuracy: share of the batch whose largest logit is the label's, 0..1.
    """

    require(model, "classifier", "outputs")

    def loss(params: Params, batch: Batch, ctx: Context):
        if batch.y is None:
            raise ValueError("A classifier is trained with labels; this batch has none (y=None).")
        of, mask = "classifier", masked(batch.event_mask)
        out = model.outputs(params[of], ctx.state[of], batch.x, train=True, key=ctx.key, **mask)
        (_, logits), state = out
        right = (jnp.argmax(logits, -1) == batch.y).astype(jnp.float32)
        total = mean(losses.cross_entropy(logits, batch.y, smoothing), batch.mask)
        return total, Aux({"accuracy": mean(right, batch.mask)}, {"classifier": state})

    return loss
