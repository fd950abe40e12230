"""How numbers and shapes are written: a measured number to the digits its interval supports. Standard library only.

Pages, tables of the command line and the README's tables all write by these functions.
"""

import math
from collections.abc import Iterable

DIGITS = 2
"""Significant digits of an interval's half-width. Of a value nothing is known beyond them."""
ALONE = 4
"""Significant digits of a value whose interval is unknown."""
PLACES = 6
"""Decimals at most; smaller numbers are written with an exponent."""


def figure(value: float | str, half: float = math.nan, group: str = "") -> str:
    """A number as text, to the place of the second digit of half its interval; else to four digits.

    Args:
        value: as a float or as JSON has it ("NaN").
        half: half the width of its interval; not finite or 0 where there is none.
        group: what stands between thousands: "," or nothing.

    Example:
        >>> figure(12.3456, 0.0123), figure(12.3456, 3.4), figure(-12345.6, 234.0), figure(2.5e-9, 1.2e-10)
        ('12.346', '12.3', '-12346', '2.50e-09')
        >>> figure(-97.4023), figure(0.012345), figure(12345.6)
        ('-97.4', '0.01235', '12346')
    """
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    if not (math.isfinite(half) and half > 0):
        return f"{value:{group}.0f}" if abs(value) >= 10**ALONE else f"{value:.{ALONE}g}"
    last = _exponent(half) - DIGITS + 1
    if last < -PLACES:
        return f"{value:.{max(0, _exponent(value) - last)}e}" if value else "0"
    return _unsigned_zero(f"{value:{group}.{max(0, -last)}f}")


def with_half(value: float | str, half: float, between: str = "±", group: str = "") -> str:
    """`12.346 ± 0.012`; the value alone where half its interval is not finite.

    Example:
        >>> with_half(12.3456, 0.0123), with_half(0.98, 0.0), with_half(5.0, math.nan)
        ('12.346 ± 0.012', '0.98 ± 0', '5')
        >>> with_half(0.5, 0.0996), with_half(-3.0, 12.0, "+-")
        ('0.50 ± 0.10', '-3 +- 12')
    """
    said = figure(value, half, group)
    return f"{said} {between} {figure(half, half, group)}" if math.isfinite(half) else said


def by(shape: Iterable[int]) -> str:
    """A shape as people write it: 28x28x1.

    Example:
        >>> by((28, 28, 1))
        '28x28x1'
    """
    return "x".join(str(n) for n in shape)


def _exponent(v: float) -> int:
    """The power of ten of the first digit after rounding to `DIGITS`: -1 for 0.0996, which rounds to 0.10."""
    return int(f"{v:.{DIGITS - 1}e}".partition("e")[2])


def _unsigned_zero(text: str) -> str:
    return text.removeprefix("-") if not text.strip("-0.") else text
