"""Numbers that have names: simple fractions, expressions in sizes, functions of an entry, scalars that belong to a point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from math import pi, sqrt
from typing import TYPE_CHECKING

import numpy as np

from matcalc.diagnose.claims import Part, called, is_square
from matcalc.property import norms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matcalc.domain import Sizes

    Floats = NDArray[np.float64]
    Change = Callable[[Floats], Floats]

CONSTANTS = {"√2": sqrt(2), "1/√2": 1 / sqrt(2), "π": pi, "2π": 2 * pi, "1/π": 1 / pi, "1/(2π)": 1 / (2 * pi), "√(2π)": sqrt(2 * pi)}


def nice(c: float) -> str:
    """A simple fraction or a well-known constant in words, or nothing."""
    for q in (1, 2, 3, 4, 5, 6, 8):
        p = round(c * q)
        if p and abs(p) <= 12 and abs(c * q - p) <= 1e-8 * abs(p):
            return str(p) if q == 1 else f"{p}/{q}"
    for name, constant in CONSTANTS.items():
        if abs(abs(c) - constant) <= 1e-8 * constant:
            return name if c > 0 else f"-{name}"
    return ""


def constant_factor(excess: float, *, kind: str) -> tuple[str, str, float]:
    """Kind, words and cost of a constant factor 1 + excess."""
    name = nice(1 + excess)
    if name == "-1":
        return "sign", "{of} has the wrong sign", 1.0
    if name and name != "1":
        return kind, f"{{of}} is {name} times the expected one", 1.2
    if abs(excess) < 0.5:
        return "relative_error", f"{{of}} is off by a relative {abs(excess):.2g}, the same everywhere", 1.3
    return kind, f"{{of}} is {1 + excess:.6g} times the expected one", 1.6


def size_expressions(sizes: Sequence[Sizes]) -> Iterator[tuple[str, list[float]]]:
    """Expressions in the sizes, with their values at each batch (nan where they have none)."""
    names = list(sizes[0]) if sizes else []
    single: list[tuple[str, Callable[[float], float]]] = [
        ("{n}", lambda n: n),
        ("1/{n}", lambda n: 1 / n),
        ("({n} - 1)", lambda n: n - 1),
        ("1/({n} - 1)", lambda n: 1 / (n - 1)),
        ("{n}/({n} - 1)", lambda n: n / (n - 1)),
        ("({n} - 1)/{n}", lambda n: (n - 1) / n),
        ("({n} + 1)", lambda n: n + 1),
        ("1/({n} + 1)", lambda n: 1 / (n + 1)),
        ("√{n}", sqrt),
        ("1/√{n}", lambda n: 1 / sqrt(n)),
        ("{n}²", lambda n: n * n),
        ("1/{n}²", lambda n: 1 / (n * n)),
    ]
    for name, (text, f) in product(names, single):
        yield text.format(n=name), [_safe(f, s[name]) for s in sizes]
    for a, b in combinations(names, 2):
        yield f"{a}·{b}", [float(s[a] * s[b]) for s in sizes]
        yield f"1/({a}·{b})", [_safe(lambda k: 1 / k, s[a] * s[b]) for s in sizes]
        yield f"({a} + {b})", [float(s[a] + s[b]) for s in sizes]
        for over, under in ((a, b), (b, a)):
            yield f"{over}/{under}", [_safe(lambda k: 1 / k, s[under]) * s[over] for s in sizes]


def _safe(f: Callable[[float], float], n: float) -> float:
    try:
        return f(n)
    except ZeroDivisionError:
        return float("nan")


FUNCTIONS: dict[str, Change] = {
    "{x}": lambda x: x,
    "1/{x}": lambda x: 1 / x,
    "{x}²": lambda x: x**2,
    "1/{x}²": lambda x: 1 / x**2,
    "√{x}": np.sqrt,
    "1/√{x}": lambda x: 1 / np.sqrt(x),
    "(1 - {x})": lambda x: 1 - x,
    "{x}(1 - {x})": lambda x: x * (1 - x),
    "(1 - {x}²)": lambda x: 1 - x**2,
    "(1 + {x}²)": lambda x: 1 + x**2,
    "√(1 - {x}²)": lambda x: np.sqrt(1 - x**2),
    "exp({x})": np.exp,
    "exp(-{x})": lambda x: np.exp(-x),
    "exp(-{x}²)": lambda x: np.exp(-(x**2)),
    "exp(-{x}²/2)": lambda x: np.exp(-(x**2) / 2),
    "(1 + exp(-{x}))": lambda x: 1 + np.exp(-x),
    "(1 + exp({x}))": lambda x: 1 + np.exp(x),
    "log({x})": np.log,
    "sin({x})": np.sin,
    "cos({x})": np.cos,
    "cos({x})²": lambda x: np.cos(x) ** 2,
    "tanh({x})": np.tanh,
    "sinh({x})": np.sinh,
    "cosh({x})": np.cosh,
    "(1 - tanh({x})²)": lambda x: 1 - np.tanh(x) ** 2,
    "sigmoid({x})": lambda x: 1 / (1 + np.exp(-x)),
    "sigmoid({x})(1 - sigmoid({x}))": lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2,
    "|{x}|": np.abs,
    "sign({x})": np.sign,
}
"Functions that a forgotten or a superfluous factor may be, entry by entry."


def functions_on(x: Floats) -> Iterator[tuple[str, Change]]:
    """Those that differ on these numbers, each beside its reciprocal once."""
    for spelling, f in FUNCTIONS.items():
        if not (spelling.startswith("1/") or (spelling in {"|{x}|", "sign({x})"} and np.all(x >= 0))):
            yield spelling, f


def point_numbers(part: Part) -> dict[str, Callable[[Part], Floats]]:
    """Numbers that a factor may depend on: scalars among inputs and value, and norm, sum, trace and determinant of the rest."""
    found: dict[str, Callable[[Part], Floats]] = {}
    for name, x in part.named.items():
        if name in part.pushed:
            continue
        if x.ndim == 1:
            found[name] = called(name)
            continue
        found[f"‖{name}‖"] = called(name, lambda x: norms(x, 1))
        found[f"sum({name})"] = called(name, lambda x: x.reshape(len(x), -1).sum(axis=1))
        found[f"mean({name})"] = called(name, lambda x: x.reshape(len(x), -1).mean(axis=1))
        if is_square(x) and x.ndim == 3:
            found[f"det({name})"] = called(name, np.linalg.det)
            found[f"tr({name})"] = called(name, lambda x: np.trace(x, axis1=1, axis2=2))
    return found


def legend(text: str, part: Part) -> str:
    """What the letters of a formula stand for, where it has letters of ours."""
    plain = _letters(text)
    words = []
    if part.tangent_names == ():
        words += [f"{n}: the cotangent" for n in part.direction_names if n in plain]
    words += [f"{n}: the value" for n in part.value_names if n in plain]
    return f" ({', '.join(words)})" if words else ""


def _letters(text: str) -> set[str]:
    """The names that stand in a formula."""
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text.translate(str.maketrans("", "", "ᵀ⁻¹²"))).split())
