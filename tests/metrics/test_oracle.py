"""The published oracle of SeqGAN: its floor, its score of uniform tokens, and its conditionals by hand."""

import jax
import numpy as np
import pytest

from genjax.errors import UsageError
from genjax.metrics.oracle import LENGTH, NAMES, Oracle, load_oracle


@pytest.fixture(scope="module")
def oracle(shared_data):
    path = shared_data / "raw" / "seqgan_oracle" / "seqgan_oracle.npz"
    if not path.is_file():
        pytest.skip("missing data: the oracle of SeqGAN")
    return load_oracle(path)


def small(n_values=6, hidden=3):
    rng = np.random.default_rng(0)
    shapes = {"embedding": (n_values, hidden), "Wo": (hidden, n_values), "bo": (n_values,)}
    for gate in ("i", "f", "og", "c"):
        shapes |= {f"W{gate}": (hidden, hidden), f"U{gate}": (hidden, hidden), f"b{gate}": (hidden,)}
    return Oracle({name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})


def by_hand(p, x):
    """log p of one sequence by a loop in float64."""
    p = {k: np.asarray(v, np.float64) for k, v in p.items()}
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    h, c, total, before = np.zeros(p["bi"].shape), np.zeros(p["bi"].shape), 0.0, 0
    for token in x:
        e = p["embedding"][before]
        i, f, o = (sigmoid(e @ p[f"W{g}"] + h @ p[f"U{g}"] + p[f"b{g}"]) for g in ("i", "f", "og"))
        c = f * c + i * np.tanh(e @ p["Wc"] + h @ p["Uc"] + p["bc"])
        h = o * np.tanh(c)
        logits = h @ p["Wo"] + p["bo"]
        total += logits[token] - np.log(np.exp(logits).sum())
        before = token
    return total


def test_score_is_that_of_a_loop_by_hand():
    oracle = small()
    assert set(oracle.params) == NAMES
    x = np.random.default_rng(1).integers(0, 6, (3, LENGTH))
    expected = [-by_hand(oracle.params, row) / LENGTH for row in x]
    np.testing.assert_allclose(oracle.nats_per_token(x), expected, rtol=1e-5)


@pytest.mark.slow
def test_floor_and_uniform_tokens(oracle):
    own = oracle.nats_per_token(oracle.sample(jax.random.key(0), 250))
    assert oracle.n_values == 5000
    assert abs(own.mean() - 5.747) < 0.017 + 2 * own.std() / 250**0.5
    uniform = oracle.nats_per_token(np.random.default_rng(0).integers(0, 5000, (250, LENGTH)))
    assert abs(uniform.mean() - 11.42) < 0.1


def test_other_sequences_are_refused():
    with pytest.raises(UsageError, match="wanted"):
        small().nats_per_token(np.zeros((2, 5), int))
