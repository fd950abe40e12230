"""The adversarial game that a recipe's `--loss` and `--penalty` name."""

from jaxtyping import ScalarLike

from genjax.losses.adversarial import (
    AdversarialPair,
    hinge,
    least_squares,
    minimax,
    nonsaturating,
    relativistic,
    wasserstein,
)
from genjax.losses.penalty import dragan, gradient_penalty, r1, r2
from genjax.types import Penalty, UsageError

NAMED: dict[str, AdversarialPair] = {
    "nonsaturating": nonsaturating,
    "minimax": minimax,
    "hinge": hinge,
    "least_squares": least_squares,
    "wasserstein": wasserstein,
    "relativistic": relativistic,
}
LOSSES = tuple(NAMED)
"""What `--loss` may be."""
READS: dict[str, tuple[str, ...]] = {
    "none": (), "r1": ("gamma",), "r1_r2": ("gamma",), "gradient_penalty": ("weight",), "dragan": ("weight",),
}  # fmt: skip
"""The argument of `game` that weighs each penalty; the other one changes nothing."""
PENALTIES = tuple(READS)
"""What `--penalty` may be."""


def game(
    loss: str, penalty: str, gamma: ScalarLike, weight: ScalarLike = 10.0
) -> tuple[AdversarialPair, tuple[Penalty, ...]]:
    """The adversarial pair and the penalties of those names: what `objectives.gan` takes after the model.

    Args:
        loss: one of `LOSSES`.
        penalty: one of `PENALTIES`; "r1_r2" is both.
        gamma: weight of R1 and R2; may be traced.
        weight: of `gradient_penalty` and `dragan`, whose usual 10 is on another scale; may be traced.

    Raises:
        UsageError: a Wasserstein critic that nothing keeps from growing: without a penalty the distance that it
            estimates is unbounded, and so are its logits.

    Example:
        >>> pair, penalties = game("relativistic", "r1_r2", 0.5)
        >>> pair is relativistic, len(penalties)
        (True, 2)
    """
    penalties = {
        "none": (),
        "r1": (r1(gamma),),
        "r1_r2": (r1(gamma), r2(gamma)),
        "gradient_penalty": (gradient_penalty(weight),),
        "dragan": (dragan(weight),),
    }[penalty]
    by = weight if "weight" in READS[penalty] else gamma
    if loss == "wasserstein" and (not penalties or (isinstance(by, float | int) and by == 0)):
        raise UsageError(
            f"loss=wasserstein, penalty={penalty}{' of weight 0' if penalties else ''}: nothing bounds the critic's "
            "slope, so its loss falls without end and says nothing.\nAdd --penalty gradient_penalty, or r1."
        )
    return NAMED[loss], penalties
