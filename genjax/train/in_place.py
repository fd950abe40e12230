"""Updates that XLA's compiler for CPUs writes over what they replace.

What a loop carries keeps its place in memory. XLA copies it at every turn where it can't see that the old is read for
the last time before the new is written, and it sees that by dependence alone (`lax.optimization_barrier` is gone by
then). So what is written last is made to depend on what comes first, by a choice that always falls the same way. No bit
changes.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Literal


def after(first: Any, new: Any, old: Any) -> Any:
    """`new`, a tree of arrays that takes the place of `old`, written once all of `first` is computed.

    Args:
        first: a tree of arrays; one number of each is read.
        new, old: of the same shapes.

    Example:
        >>> after({"slope": jnp.ones(2)}, jnp.full(2, 3.0), jnp.zeros(2)).tolist()
        [3.0, 3.0]
    """

    def cpu(*ones: Any) -> Any:
        # XLA does not know that no number has more than 32 bits set. It keeps a logarithm, which is dear; the mere
        # count it would take once more for every leaf.
        bits = lax.population_count(sum(lax.bitcast_convert_type(x, jnp.int32) for x in ones))
        return jnp.log(bits.astype(jnp.float32)) > 4.0

    reals = [x for x in jax.tree.leaves(first) if x.size and jnp.issubdtype(x.dtype, jnp.floating)]
    if not reals:
        return new
    ones = [lax.slice(x, (0,) * x.ndim, (1,) * x.ndim).reshape(()).astype(jnp.float32) for x in reals]
    never = lax.platform_dependent(*ones, cpu=cpu, default=lambda *ones: jnp.zeros((), bool))
    # Between two arrays, for XLA computes a choice between an array and a number twice rather than keep it.
    return jax.tree.map(lambda new, old: jnp.where(never, old, new), new, old)


def remade(update: Any, *args: Any) -> list[bool]:
    """Whether XLA computes a leaf again wherever it is read, for each leaf that `update(*args)` returns.

    It does so for a moment of decay 1/2: that becomes (gradient + moment) / 2, and a product with a number counts as
    cheap. Its second reader then reads the old moment, so what reads it has to come first.

    Example:
        >>> remade(lambda g, m: (0.5 * g + 0.5 * m, 0.1 * g + 0.9 * m), 1.0, 1.0)
        [True, False]
    """
    jaxpr = jax.make_jaxpr(update)(*args).jaxpr
    made = {v: e for e in jaxpr.eqns for v in e.outvars}

    def maker(v: Any, *names: str) -> Any:
        """The equation that makes v, where it is one of these; None else."""
        e = None if isinstance(v, Literal) else made.get(v)
        return e if e is not None and e.primitive.name in names else None

    def is_half(v: Any) -> bool:
        e = maker(v, "mul")
        return e is not None and any(isinstance(x, Literal) and x.val == 0.5 for x in e.invars)

    sums = [maker(v, "add", "add_any") for v in jaxpr.outvars]
    return [e is not None and all(map(is_half, e.invars)) for e in sums]
