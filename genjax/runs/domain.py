"""Which kinds of data a recipe takes, and which a run is of."""

from collections.abc import Sequence
from typing import Any

from genjax import domains, recipes
from genjax.data import Spec
from genjax.domains.contract import Domain
from genjax.errors import UsageError

UNSTATED = ("image", "points")
"""What a recipe takes that does not say: the kinds that there were before recipes said it."""


def taken(cfg: Any) -> tuple[Any, ...]:
    """The domains that a configuration's recipe takes: names, and `Domain`s that it brings from outside."""
    return tuple(getattr(cfg, "domains", ())) or UNSTATED


def domain_of(spec: Spec, cfg: Any) -> Domain:
    """The domain of some data, which may be one that the recipe brings.

    Raises:
        UsageError: neither genjax nor the recipe knows it.
    """
    return domains.of(spec, taken(cfg))


def check_domain(spec: Spec, cfg: Any, recipe: str = "") -> None:
    """Refuse data of a kind that the recipe does not take.

    Raises:
        UsageError: naming the kinds, and recipes that take it.
    """
    names = [d if isinstance(d, str) else d.name for d in taken(cfg)]
    if spec.domain in names:
        return
    known = recipes.taking(spec.domain)
    hint = f" Recipes that take {domains.words(spec.domain).many}: {', '.join(known)}." if known else ""
    wanted = " and ".join(_many(d) for d in taken(cfg))
    raise UsageError(
        f"data={cfg.data}: {spec.name} holds {domains.words(spec.domain).many}, but {recipe or 'this recipe'} is for "
        f"{wanted}.{hint}"
    )


def brought(cfg: Any) -> Sequence[Domain]:
    """The domains that a recipe brings from outside."""
    return [d for d in taken(cfg) if not isinstance(d, str)]


def _many(domain: Any) -> str:
    return domains.words(domain).many if isinstance(domain, str) else domain.many
