"""Numbers are written to the digits that their interval supports, the same everywhere."""

import math
import re
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest

from genjax.cli import measure, results
from genjax.figures import PLACES, figure, with_half
from genjax.metrics import Protocol, Record, Subject
from genjax.report import html, versus_page


def test_value_and_half_end_at_the_same_place():
    """Against exact decimal arithmetic: the place of the half's second digit, but never left of the unit."""
    r = np.random.default_rng(0)
    for value, size in zip(r.normal(0, 300, 400), r.uniform(-4, 3, 400), strict=True):
        half = float(10**size)
        two = Decimal(f"{half:.1e}")
        last = min(two.adjusted() - 1, 0)
        if last < -PLACES:
            continue
        want = Decimal(value).quantize(Decimal((0, (1,), last)), ROUND_HALF_EVEN)
        said, said_half = with_half(value, half).split(" ± ")
        assert Decimal(said) == want
        assert Decimal(said).as_tuple().exponent == Decimal(said_half).as_tuple().exponent == last
        assert abs(Decimal(said_half) - Decimal(half)) <= Decimal((0, (5,), last - 1))


@pytest.mark.parametrize(
    ("value", "half", "said"),
    [
        (12.3, 0.0123, "12.300 ± 0.012"),
        (0.98, 0.00326, "0.9800 ± 0.0033"),
        (12345.6, 234.0, "12346 ± 234"),
        (3.2e-8, 1.1e-9, "3.20e-08 ± 1.1e-09"),
        (0.0, 1.1e-9, "0 ± 1.1e-09"),
        (-0.001, 0.2, "0.00 ± 0.20"),
        (1.5, 0.0, "1.5 ± 0"),
        (1.5, math.nan, "1.5"),
        (math.nan, 0.1, "nan ± 0.10"),
        ("NaN", math.nan, "nan"),
    ],
)
def test_edges(value, half, said):
    assert with_half(value, half) == said


def test_page_table_and_readme_say_one_thing():
    record = Record(Protocol("fd", 9, "test", "made", "5e", 9), Subject("a", "c", 0, 1, "", False), -12.3456,
                    (-12.3579, -12.3333))  # fmt: skip
    said = {
        measure.with_interval(record).replace("+-", "±"),
        results._cell(record.to_json()),
        html.number(record.value, record.half).replace("−", "-"),
        versus_page._with_interval(record.value, record.half).replace("−", "-"),
    }
    assert said == {"-12.346 ± 0.012"}
    assert re.fullmatch(r"\+3\.00 ± 0\.20", versus_page._with_interval(3.0, 0.2, sign=True))
    assert figure(0.5) == "0.5"
