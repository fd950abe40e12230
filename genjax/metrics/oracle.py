"""SeqGAN's synthetic test bed: a random LSTM that is the true distribution, so that samples have an absolute score.

The published parameters are a file of 15 arrays, which is not part of genjax.
"""

import os
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from genjax.distributions.autoregressive import Autoregressive, Chain
from genjax.distributions.discrete import Categorical
from genjax.errors import UsageError
from genjax.types import Key

LENGTH = 20
"""Tokens of a sequence."""
NAMES = {"embedding", "Wo", "bo", *(f"{kind}{gate}" for kind in "WUb" for gate in ("i", "f", "og", "c"))}
"""The arrays of the file."""


@dataclass(frozen=True)
class Oracle:
    """The true distribution of sequences of `LENGTH` tokens.

    Attributes:
        params: the arrays of the file.
    """

    params: dict[str, Any]

    @property
    def n_values(self) -> int:
        """Size of the vocabulary: 5,000."""
        return self.params["embedding"].shape[0]

    def of(self, n: int) -> Autoregressive:
        """The distribution of n independent sequences, as JAX sees it."""
        return Autoregressive(
            {"params": self.params, "zero": jnp.zeros((n, self.params["bi"].shape[0]), jnp.float32)}, CHAIN
        )

    def sample(self, key: Key, n: int) -> Int[np.ndarray, "n t"]:
        """n sequences; those of a key do not depend on how many are drawn at once."""
        blocks = [_sample(self.params, jax.random.fold_in(key, i)) for i in range(-(-n // BLOCK))]
        return np.concatenate([np.asarray(b) for b in blocks])[:n]

    def nats_per_token(self, x: Any) -> Float[np.ndarray, " n"]:
        """-log p / LENGTH of each sequence: 5.747 +- .017 of the oracle's own, 11.42 of uniform tokens.

        Raises:
            UsageError: they are not sequences of `LENGTH` tokens of the vocabulary.
        """
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != LENGTH or not len(x) or x.min() < 0 or x.max() >= self.n_values:
            raise UsageError(f"sequences are {x.shape}; wanted (n, {LENGTH}) of tokens 0 ... {self.n_values - 1}.")
        filled = np.concatenate([x, np.repeat(x[:1], -len(x) % BLOCK, axis=0)]).reshape(-1, BLOCK, LENGTH)
        return np.concatenate([np.asarray(_score(self.params, jnp.asarray(b, jnp.int32))) for b in filled])[: len(x)]


BLOCK = 250
"""Sequences at once."""


def load_oracle(path: str | os.PathLike) -> Oracle:
    """The oracle from its file.

    Source:
        Yu et al. 2017, SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient, section "Synthetic data";
        the parameters are `save/target_params.pkl` of its code, as an .npz.

    Raises:
        UsageError: it has other arrays.
    """
    with np.load(path) as arrays:
        found = dict(arrays)
    if found.keys() != NAMES:
        raise UsageError(f"{path}: is not the oracle of SeqGAN: its arrays differ, {sorted(NAMES ^ found.keys())[:5]}.")
    return Oracle({name: jnp.asarray(a, jnp.float32) for name, a in found.items()})


def _lstm(p: dict[str, Any], carry: tuple[Array, Array], x: Int[Array, " batch"]) -> tuple[Array, Array]:
    h, c = carry
    e = p["embedding"][x]
    i, f, o = (jax.nn.sigmoid(e @ p[f"W{g}"] + h @ p[f"U{g}"] + p[f"b{g}"][None]) for g in ("i", "f", "og"))
    c = f * c + i * jnp.tanh(e @ p["Wc"] + h @ p["Uc"] + p["bc"][None])
    return o * jnp.tanh(c), c


def _start(given: dict):
    return (given["zero"], given["zero"]), jnp.zeros(given["zero"].shape[0], jnp.int32)


def _step(given: dict, carry, before):
    carry = _lstm(given["params"], carry, before)
    return carry, carry[0]


def _emission(given: dict, h: Float[Array, "rows hidden"]) -> Categorical:
    return Categorical(h @ given["params"]["Wo"] + given["params"]["bo"][None])


def _whole(given: dict, x: Int[Array, "batch t"]) -> Float[Array, "batch t hidden"]:
    before = jnp.pad(x[:, :-1], ((0, 0), (1, 0))).T
    _, h = lax.scan(lambda carry, b: _step(given, carry, b), _start(given)[0], before)
    return h.swapaxes(0, 1)


CHAIN = Chain(LENGTH, _whole, _start, _step, _emission, 5000)


@jax.jit
def _sample(params: dict, key: Key) -> Int[Array, "n t"]:
    return Oracle(params).of(BLOCK).sample(key)


@jax.jit
def _score(params: dict, x: Int[Array, "n t"]) -> Float[Array, " n"]:
    return -Oracle(params).of(x.shape[0]).log_prob(x) / LENGTH
