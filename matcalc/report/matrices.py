"""Matrices of numbers in print: whole where they are small, as a size and a norm where they are not."""

from __future__ import annotations

from math import hypot, isfinite, isnan

from matcalc.graph import Entries
from matcalc.report.words import number


def rows_and_columns(entries: Entries) -> tuple[int, int]:
    """How many of each."""
    return len(entries), len(entries[0]) if entries else 0


def fits(entries: Entries, most: int) -> bool:
    """Whether it has entries, and at most so many rows and columns."""
    return min(rows_and_columns(entries)) > 0 and max(rows_and_columns(entries)) <= most


def short(x: float, digits: int) -> str:
    """A number for a picture: whole ones whole, no minus before a zero."""
    if not isfinite(x):
        return "nan" if isnan(x) else "∞" if x > 0 else "−∞"
    return (str(round(x)) if x == round(x) and abs(x) < 1e6 else number(x, digits)).replace("-", "−")


def summary(entries: Entries) -> str:
    """Its size and its Frobenius norm."""
    rows, columns = rows_and_columns(entries)
    return f"{rows}×{columns} ‖{short(hypot(*(x for row in entries for x in row)), 3)}‖"


def in_tex(entries: Entries) -> str:
    """The matrix, or the number, in TeX."""

    def one(x: float) -> str:
        mantissa, _, exponent = short(x, 4).replace("−", "-").partition("e")
        words = {"nan": r"\text{nan}", "∞": r"\infty", "-∞": r"-\infty"}.get(mantissa, mantissa)
        return rf"{words} \cdot 10^{{{exponent}}}" if exponent else words

    if rows_and_columns(entries) == (1, 1):
        return one(entries[0][0])
    return r"\begin{bmatrix}" + r" \\ ".join(" & ".join(map(one, row)) for row in entries) + r"\end{bmatrix}"
