"""A multi-layer perceptron with tanh in NumPy's float64: the net of oracles that go through an example at a time."""

import numpy as np


def mlp(p, h):
    """`nets.mlp_encoder` or `mlp_decoder` with `activation=jnp.tanh`: parameters p of `init`, h [..., n_in]."""
    n = len(p["layers"])
    for i in range(n):
        layer = {k: np.asarray(v, np.float64) for k, v in p["layers"][str(i)].items()}
        h = h @ layer["kernel"] + layer["bias"]
        h = np.tanh(h) if i < n - 1 else h
    return h
