"""Distributions of sequences whose elements follow one another: p(x) = prod_t p(x_t | x_1 ... x_(t-1)).

A `Chain` says how one is computed, a decoder gives what it is computed from, and `Autoregressive` puts the two
together: `log_prob` runs over a whole sequence at once (teacher forcing), `sample` one element after another.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Shaped

from genjax.distributions.discrete import Categorical
from genjax.distributions.likelihood import Likelihood
from genjax.distributions.numerics import EventMask, sum_event
from genjax.types import Key, PerExample

SHOWN = "the likeliest symbols, one after the other, that the decoder gives"
SHOWN_STEPS = "what the decoder takes for likelier, step by step,"
CACHE = 2**20
"""Numbers that a CPU's cache is taken to hold, with what is computed from them."""


def logits_of(given: Any, out: Array) -> Categorical:
    """Classes whose logits are what the chain gives."""
    return Categorical(out)


@dataclass(frozen=True)
class Chain:
    """How a sequence's conditionals are computed: pure functions.

    Attributes:
        length: elements of a sequence.
        whole: `whole(given, x) -> out`: of sequences x (batch, t, ...), what the distribution of each element is made
            of, (batch, t, ...); that of element t looks at the elements before it alone.
        start: `start(given) -> (carry, before)`: the state before the first element, and what stands for the element
            before it, (batch, ...) of the elements' dtype.
        step: `step(given, carry, before) -> (carry, out)`: the state after an element, and `out` of the next one,
            (batch, ...): what `whole` gives there.
        emission: `emission(given, out) -> distribution` of elements, from `out` of any number of rows (rows, ...).
        width: numbers that the distribution of one element is made of. Where those of a batch outgrow a CPU's cache
            (large alphabets), they are made some rows after others, and once more for the gradient.
    """

    length: int
    whole: Callable[[Any, Any], Any]
    start: Callable[[Any], tuple[Any, Any]]
    step: Callable[[Any, Any, Any], tuple[Any, Any]]
    emission: Callable[[Any, Any], Any] = logits_of
    width: int = 1


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Autoregressive:
    """p(x) = prod_t p(x_t | x_<t), as a chain computes it from what a decoder has given.

    A pytree: it passes through `jit` and `vmap` as distributions that are NamedTuples do.
    """

    given: Any
    """A tree of arrays: a decoder's context for each example, and the chain's parameters."""
    chain: Chain = dataclasses.field(metadata={"static": True})

    def log_probs(self, x: Shaped[Array, "batch t *element"]) -> Float[Array, "batch t"]:
        """Log probability of each element given those before it, nats."""
        out = self.chain.whole(self.given, x)
        rows = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), (out, x))

        def together(given: Any, rows: Any) -> Float[Array, " rows"]:
            return self.chain.emission(given, rows[0]).log_prob(rows[1])

        def in_parts(given: Any, rows: Any) -> Float[Array, " rows"]:
            return _in_parts(together, n_parts, given, rows)

        n_parts = _n_parts(rows[1].shape[0], self.chain.width)
        if n_parts == 1:
            each = together(self.given, rows)
        else:
            each = lax.platform_dependent(self.given, rows, cpu=in_parts, default=together)
        return each.reshape(x.shape[:2])

    def log_prob(self, x: Shaped[Array, "batch t *element"], event_mask: EventMask = None) -> PerExample:
        """Log probability per example in nats, in one pass over the sequence.

        Args:
            x: sequences.
            event_mask: (batch, t), which elements count; those that do not are left out of the sum. A sequence that
                ends early ends with a symbol that says so, which counts: then the probabilities of all sequences add
                up to 1.
        """
        return sum_event(self.log_probs(x), event_mask)

    def sample(self, key: Key, temperature: Float[Array, " batch"] | None = None) -> Shaped[Array, "batch t *element"]:
        """One sequence an example, each element drawn given those drawn before it; carries no gradient.

        Args:
            key: of all draws.
            temperature: that the logits of each example are divided by: below 1 likelier elements, which is another
                distribution. Of elements with logits alone; None for the distribution itself.
        """

        def draw(p: Any, key: Key) -> Array:
            if temperature is not None:
                p = p._replace(logits=p.logits / temperature.reshape((-1,) + (1,) * (p.logits.ndim - 1)))
            return p.sample(key)

        return self._run(draw, jax.random.split(key, self.chain.length))

    @property
    def mode(self) -> Shaped[Array, "batch t *element"]:
        """Each element the likeliest one after those before it (not the likeliest sequence)."""
        return self._run(lambda p, _: p.mode, jnp.zeros(self.chain.length))

    def _run(self, choose: Callable, each: Any) -> Array:
        def body(state, this):
            carry, out = self.chain.step(self.given, *state)
            x = choose(self.chain.emission(self.given, out), this).astype(state[1].dtype)
            return (carry, x), x

        return lax.scan(body, self.chain.start(self.given), each)[1].swapaxes(0, 1)


def autoregressive(chain: Chain, each: Likelihood | None = None) -> Likelihood:
    """p(x | z) as a chain: the decoder gives what the chain starts from. Its picture is the likeliest continuation.

    Args:
        chain: how x is computed.
        each: the likelihood of an element by itself, which says what x is for; None for integers.
    """
    whole = Likelihood(
        lambda channels: channels, lambda channels: {}, lambda params, out: Autoregressive(out, chain),
        "autoregressive", ("integers",), picture=lambda p: p.mode, shown=SHOWN, tempered=True,
    )  # fmt: skip
    if each is None:
        return whole
    return dataclasses.replace(whole, support=each.support, of=each.of, shown=SHOWN_STEPS, tempered=False)


def _n_parts(n: Any, width: int) -> int:
    """Into how many equal parts n rows fall so that the numbers of each fit into a cache."""
    if not isinstance(n, int) or n * width <= CACHE:
        return 1
    return n // max((size for size in range(1, n + 1) if n % size == 0 and size * width <= CACHE), default=1)


def _in_parts(function: Callable, n_parts: int, given: Any, rows: Any) -> Float[Array, " rows"]:
    """`function` of some rows after others; what they have made is made again for the gradient, not kept."""
    one = jax.checkpoint(lambda rows: function(given, rows))
    parts = jax.tree.map(lambda a: a.reshape(n_parts, -1, *a.shape[1:]), rows)
    return lax.map(one, parts).reshape(-1)
