"""Numbers and strings as a reader can take them in."""

from __future__ import annotations

import re
from math import isfinite, isnan

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
LONGEST = 20_000


def clean(text: str) -> str:
    """The text with its control, direction and surrogate characters spelled out, and without what follows LONGEST characters.

    Such characters could hide or reorder what a page says, and XML does not allow them.
    """
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} ... ({len(text) - LONGEST} more characters)"
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def number(x: float, digits: int = 2) -> str:
    """A measured number with this many digits: 2.2e-10, 0.35, 0, infinite, not a number."""
    if isnan(x):
        return "not a number"
    if not isfinite(x):
        return "infinite" if x > 0 else "-infinite"
    short = f"{x:.{digits}g}"
    if "e" in short:
        mantissa, _, exponent = short.partition("e")
        return f"{mantissa}e{int(exponent)}"
    return short


def count(n: int, noun: str) -> str:
    """`1 rule`, `2 rules`, `12 000 cases`."""
    return f"{n:,}".replace(",", "\u202f") + f" {noun}" + ("" if n == 1 else "s")


def duration(seconds: float) -> str:
    """Seconds as a clock would say them: 0.4 s, 12 s, 3 min 5 s."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
