"""Numbers as they stand on paper, and whether a computed value is one of them.

A number with decimals is right if the value rounds to it: 0.42 says that the value lies between 0.415 and 0.425. Whole numbers and
fractions are meant exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Any
from unicodedata import normalize

EXACT = 1e-9
"How far a value, relative to its size and at least to one, may be from a number that is meant exactly: rounding errors."
ROUNDING = 1e-12
"The same at the border of what rounds to a number with decimals."

MOST_DENOMINATOR = 1000

_FIGURE = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d+))?(?:/(\d+))?")
_LONGEST = 2000


@dataclass(frozen=True)
class Figure:
    """One number: its value, and half a unit of its last printed decimal; 0 for what is exact."""

    text: str
    value: Fraction
    half: Fraction = Fraction(0)

    def fits(self, x: float) -> bool:
        """Whether x rounds to it."""
        slack = ROUNDING if self.half else EXACT
        return isfinite(x) and abs(x - float(self.value)) <= float(self.half) + slack * max(1.0, abs(x))

    def instead(self, x: float) -> str:
        """What should have been printed, with two digits more."""
        if x == round(x) and abs(x) < 1e6:
            return str(round(x))
        near = Fraction(x).limit_denominator(MOST_DENOMINATOR)
        if "/" in self.text and abs(float(near) - x) < 1e-12:
            return str(near)
        digits = sum(character.isdigit() for character in self.text.lstrip("+-0.").partition("e")[0]) if self.half else 0
        return f"{x:.{max(digits + 2, 4)}g}"


@dataclass(frozen=True)
class Printed:
    """Figures in the shape of the brackets around them: () for a number, (2, 3) for two rows of three."""

    text: str
    figures: tuple[Figure, ...]
    shape: tuple[int, ...]


class PrintedError(ValueError):
    """Numbers that do not form a rectangle; the message is one sentence."""


def figure(text: str) -> Figure | None:
    """A number as in 0.42, -1/8, 2.5e-3 or ½; None for what is none."""
    plain = normalize("NFKC", text.strip()).replace("\u2044", "/").replace("−", "-").replace(" ", "")
    match = _FIGURE.fullmatch(plain)
    if match is None or len(plain) > 40 or abs(int(match[3] or 0)) > 300 or (match[4] and not int(match[4])):
        return None
    sign, digits, exponent, divisor = match.groups()
    power = Fraction(10) ** int(exponent or 0)
    value = Fraction(digits if digits[-1] != "." else digits[:-1]) * power / int(divisor or 1)
    decimals = len(digits.partition(".")[2])
    exact = divisor or not decimals
    return Figure(text.strip(), -value if sign == "-" else value, Fraction(0) if exact else power / 10**decimals / 2)


def printed(text: str) -> Printed | None:
    """A number or lists of numbers in brackets, up to three deep; None for what is neither, and so is a formula.

    Raises PrintedError where the rows of numbers are not equally long.
    """
    if len(text) > _LONGEST:
        return None
    if not text.lstrip().startswith("["):
        one = figure(text)
        return Printed(text.strip(), (one,), ()) if one else None
    tree = _tree(text)
    if tree is None:
        return None
    shape = _shape(tree)
    if shape is None or len(shape) > 3:
        raise PrintedError(f"the rows of {text.strip()} are not equally long")
    return Printed(text.strip(), tuple(_flat(tree)), shape)


def _tree(text: str) -> Any:
    """Nested lists of figures; None where something else stands in the brackets."""
    parts = re.findall(r"[\[\],;]|[^\[\],;]+", text)
    stack: list[list[Any]] = [[]]
    expects = True  # a number or a bracket, rather than a comma
    for part in parts:
        word = part.strip()
        if word == "[" and expects:
            stack.append([])
        elif word == "]" and len(stack) > 1 and not (expects and stack[-1]):
            done = stack.pop()
            stack[-1].append(done)
            expects = False
        elif word == "," and not expects and len(stack) > 1:
            expects = True
        elif word and expects and (one := figure(word)) and len(stack) > 1:
            stack[-1].append(one)
            expects = False
        elif word:
            return None
    return stack[0][0] if len(stack) == 1 and len(stack[0]) == 1 else None


def _shape(tree: Any) -> tuple[int, ...] | None:
    if isinstance(tree, Figure):
        return ()
    shapes = {_shape(part) for part in tree}
    inner = shapes.pop() if len(shapes) == 1 else None
    return None if inner is None else (len(tree), *inner)


def _flat(tree: Any) -> list[Figure]:
    return [tree] if isinstance(tree, Figure) else [one for part in tree for one in _flat(part)]
