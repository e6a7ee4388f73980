"""Whether a computed value is what was printed, number by number, and what should have been printed instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
from numpy.typing import NDArray

from matcalc.notes.printed import EXACT, Printed

Floats = NDArray[np.float64]
FACTORS = tuple(map(Fraction, ("2", "4", "3", "1/2", "1/4", "1/3")))
"Factors that a wrong value is tried to be off by."


def array(numbers: Printed) -> Floats:
    """The numbers as an array: 0-d for one, a column for a list, a matrix for a list of rows."""
    values = np.array([float(one.value) for one in numbers.figures])
    return values.reshape((-1, 1) if len(numbers.shape) == 1 else numbers.shape)


@dataclass(frozen=True)
class Comparison:
    """Which of the printed numbers are wrong, by their places in order, and what the whole looks like: "the sign is wrong"."""

    right: bool
    wrong: tuple[int, ...] = ()
    note: str = ""


def compared(numbers: Printed, value: Floats) -> Comparison:
    """Whether the value is what was printed, number by number; a value of another shape is not."""
    if not _same_shape(numbers.shape, value.shape):
        note = f"what is printed is {by(numbers.shape)}, but this is {by(value.shape)}"
        if numbers.shape == value.shape[::-1] and _fits(numbers, value.T):
            note += ": it is the transpose"
        return Comparison(right=False, wrong=tuple(range(len(numbers.figures))), note=note)
    wrong = tuple(k for k, (one, x) in enumerate(zip(numbers.figures, value.flat, strict=True)) if not one.fits(float(x)))
    return Comparison(not wrong, wrong, _what_is_wrong(numbers, value) if wrong else "")


def _same_shape(printed_shape: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """A plain list may be a column or a row, and a number a matrix of one entry."""
    if len(printed_shape) == 1:
        return shape in {(*printed_shape, 1), (1, *printed_shape)}
    return printed_shape == shape or set(printed_shape + shape) <= {1}


def by(shape: tuple[int, ...]) -> str:
    """A shape in words."""
    return "a number" if not shape else f"{shape[0]} numbers" if len(shape) == 1 else "×".join(map(str, shape))


def _fits(numbers: Printed, value: Floats) -> bool:
    return all(one.fits(float(x)) for one, x in zip(numbers.figures, value.flat, strict=True))


def _what_is_wrong(numbers: Printed, value: Floats) -> str:
    if _fits(numbers, -value):
        return "the sign is wrong"
    if value.ndim == 2 and value.shape[0] == value.shape[1] > 1 and _fits(numbers, value.T):
        return "it is the transpose"
    for factor, sign in product(FACTORS, (1, -1)):
        if _fits(numbers, value * float(factor) * sign):
            return f"it is {factor} times what it should be" + (" and has the wrong sign" if sign < 0 else "")
    return ""


def instead(numbers: Printed, value: Floats) -> str:
    """What should have been printed, in the same brackets."""
    figures = numbers.figures if len(numbers.figures) == value.size else [numbers.figures[0]] * value.size
    texts = [one.instead(float(x)) for one, x in zip(figures, value.flat, strict=True)]
    shape = numbers.shape if len(numbers.figures) == value.size else value.shape
    return _bracketed(texts, shape)


def _bracketed(texts: Sequence[str], shape: Sequence[int]) -> str:
    if not shape:
        return texts[0]
    step = len(texts) // shape[0] if shape[0] else 0
    return f"[{', '.join(_bracketed(texts[k * step : (k + 1) * step], shape[1:]) for k in range(shape[0]))}]"


def equal(value: Floats, other: Floats) -> Comparison:
    """Whether two formulas have one value here, up to rounding."""
    if value.shape != other.shape:
        note = f"one side is {by(value.shape)}, the other {by(other.shape)}"
        if value.shape == other.shape[::-1] and np.allclose(value, other.T, rtol=EXACT, atol=EXACT):
            note += ": it is the transpose"
        return Comparison(right=False, note=note)
    scale = max(1.0, float(np.max(np.abs(value), initial=0.0)))
    if np.all(np.abs(value - other) <= EXACT * scale):
        return Comparison(right=True)
    if value.size == 1:
        return Comparison(right=False, note=f"the left side is {value.item():.4g}, the right side {other.item():.4g}")
    return Comparison(right=False, note=f"the sides differ by up to {np.max(np.abs(value - other)):.2g}")
