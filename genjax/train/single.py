"""A step that is one run's, answering as a population would."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from genjax.types import Key


class Single:
    """The step of a single run as a population of one: what is asked of a step where there may be many members.

    A `Population` has its own answers, so that nobody asks which of both it has.
    """

    n: ClassVar[int | None] = None
    """How many members; None of a single run."""

    @property
    def one(self) -> Any:
        """The step of one run: this one, or that of member 0."""
        return self

    def mapped(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """`f` of one run's arrays, for the arrays of all members."""
        return f

    def roots(self, key: Key) -> list[Key]:
        """Each member's root key."""
        return [key]

    def each(self, values: Any) -> list[Any]:
        """Each member's part of an array."""
        return [values]

    def stacked(self, trees: Sequence[Any]) -> Any:
        """One tree a member as one tree, what `each` takes apart."""
        return trees[0]

    def joined(self, values: Sequence[Any]) -> Any:
        """One value a member, as rows have it: the value alone of a single run."""
        return values[0]
