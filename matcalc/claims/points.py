"""Where claims are looked at: the sets that variables come from, their random points and tangents, and the sizes of dimensions.

A set is told twice. In the prime field its points are made of random residues by ring operations, so that they are dense in it; for
balls and floats they are short binary fractions inside it, which every kind of number holds exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, permutations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from matcalc.exact import Ball, Dual, NoExactFormError, UndecidedError, UndefinedPointError, working_precision
from matcalc.formula import names
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import Point, evaluate, name
from matcalc.formula.size import ONE, Size

Floats = NDArray[np.float64]
Sizes = dict[str, int]
GRAIN = 32
"Entries are multiples of 1/32, so that products and sums of a few of them have short mantissas."
LEAST_DET = 0.05
DRAWS = 24
"Random inputs that are tried for a function that is not defined at all of them."


@dataclass(frozen=True)
class Variable(names.Variable):
    """An input, and what a claim needs to know about its set."""

    @classmethod
    def of(cls, declared: names.Variable) -> Self:
        """A declared input; ValueError for a set that is not known, or one of square matrices for what is none."""
        domain = domain_of(declared.domain)
        if domain in SQUARE and declared.rows != declared.cols:
            raise ValueError(f"{declared.name} cannot be {declared.domain}: it is {declared.rows}×{declared.cols}, not square")
        return cls(declared.name, declared.rows, declared.cols, domain, declared.one_dimensional)

    @property
    def expr(self) -> Expr:
        """It as an expression."""
        return name(self.name, self.rows, self.cols)

    @property
    def is_square_matrix(self) -> bool:
        """Whether it is a matrix with as many rows as columns."""
        return self.rows == self.cols != ONE

    def lengths(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape of its value: none for a number, two for anything else."""
        return () if self.rows == ONE == self.cols else (self.rows.at(sizes), self.cols.at(sizes))


# --- points ---------------------------------------------------------------------------------------------------------------------


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Short binary fractions of both signs, from 1/4 to 7/4."""
    return np.asarray(rng.integers(GRAIN // 4, 7 * GRAIN // 4, shape) * rng.choice([-1.0, 1.0], shape) / GRAIN)


def _sym(X: Any) -> Any:
    return X + X.mT if X.ndim else X


def _spd(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    N = _noise(rng, shape)
    return np.abs(N) if not shape else N @ N.mT / 2 + np.eye(shape[0]) / 2


def _invertible(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    while True:
        N = _noise(rng, shape)
        if not shape or abs(np.linalg.det(N)) > LEAST_DET:
            return N


def _of_positive_det(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    N = _invertible(rng, shape)
    if not shape:
        return np.abs(N)
    if np.linalg.det(N) < 0:
        N[0] = -N[0]
    return N


def _of_positive_form(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    N = _noise(rng, shape)
    return _spd(rng, shape) + (N - N.mT if shape else 0)


def _squared(x: Any) -> Any:
    """A square, so that its root is rational too."""
    return x * x


def _itself(x: Any) -> Any:
    return x


Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
DOMAINS: dict[str, tuple[Draw, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "real": (_noise, _itself, _itself),
    "positive": (lambda rng, shape: np.abs(_noise(rng, shape)), _squared, _itself),
    "nonzero": (_noise, _itself, _itself),
    "unit": (lambda rng, shape: rng.integers(3, GRAIN - 2, shape) / GRAIN, _itself, _itself),
    "labels": (lambda rng, shape: rng.choice([-1.0, 1.0], shape), _itself, _itself),
    "small": (lambda rng, shape: _noise(rng, shape) / 16, _itself, _itself),
    "symmetric": (lambda rng, shape: _sym(_noise(rng, shape)) / 2, _sym, _sym),
    "spd": (_spd, _sym, _sym),
    "invertible": (_invertible, _itself, _itself),
    "posdet": (_of_positive_det, _itself, _itself),
    "posquad": (_of_positive_form, _itself, _itself),
}
"For each set: its points as floats, its points made of residues, and what becomes of noise to be a tangent."
SAME_SET = {
    "psd": "spd",
    "positive_definite": "spd",
    "sym": "symmetric",
    "signs": "labels",
    "full_rank": "real",
    "matrix": "real",
    "vector": "real",
    "scalar": "real",
    "number": "real",
}
"Other words for them."
SQUARE = {"symmetric", "spd", "invertible", "posdet", "posquad"}
"Sets of square matrices (and of numbers)."


def domain_of(word: str) -> str:
    """The name of a set; ValueError, with the names there are, for a word that is none."""
    known = SAME_SET.get(word.lower(), word.lower())
    if known not in DOMAINS:
        raise ValueError(f"{word!r} is no set that is known; it must be one of {', '.join(DOMAINS)}")
    return known


def belongs(v: Variable, x: Floats) -> bool:  # noqa: PLR0911  (a table)
    """Whether an array is from a variable's set, and not at its edge."""
    if v.domain in {"symmetric", "spd"} and not np.array_equal(x, x.T):
        return False
    match v.domain:
        case "positive":
            return bool(np.all(x > 0))
        case "nonzero":
            return bool(np.all(x != 0))
        case "unit":
            return bool(np.all((x > 0) & (x < 1)))
        case "labels":
            return bool(np.all(np.abs(x) == 1))
        case "small":
            return bool(np.all(np.abs(x) < 0.2))
        case "spd" | "posquad":
            return bool(np.all(np.linalg.eigvalsh(x + x.T if x.ndim else np.reshape(x, (1, 1))) > 0.2))
        case "invertible":
            return abs(float(np.linalg.det(x) if x.ndim else x)) > 0.2
        case "posdet":
            return float(np.linalg.det(x) if x.ndim else x) > 0.2
        case _:
            return True


def at_random(variables: Sequence[Variable], sizes: Sizes, rng: np.random.Generator) -> dict[str, Floats]:
    """A point of floats, which are exact in every arithmetic."""
    return {v.name: np.asarray(DOMAINS[v.domain][0](rng, v.lengths(sizes)), dtype=np.float64) for v in variables}


def in_field(variables: Sequence[Variable], wrt: str, sizes: Sizes, rng: np.random.Generator, kind: type[Dual]) -> dict[str, Any]:
    """A point of residues, `wrt` moving along a random tangent."""
    point: dict[str, Any] = {}
    for v in variables:
        draw, rational, to_tangent = DOMAINS[v.domain]
        shape = v.lengths(sizes)
        labels = v.domain == "labels"
        value = kind.base.constant(draw(rng, shape).astype(np.int64)) if labels else rational(kind.base.random(rng, shape))
        point[v.name] = kind(value, to_tangent(kind.base.random(rng, shape))) if v.name == wrt else kind.constant(value)
    return point


def in_balls(floats: Mapping[str, Floats], moving: Variable, rng: np.random.Generator, kind: type[Dual]) -> dict[str, Any]:
    """A point of floats as balls, one variable moving along a random tangent."""
    point = {each: kind.constant(kind.base.constant(x)) for each, x in floats.items()}
    x = floats[moving.name]
    tangent = DOMAINS[moving.domain][2](_noise(rng, x.shape))
    point[moving.name] = kind(point[moving.name].value, kind.base.constant(tangent))
    return point


def direction(variable: Variable, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """A random tangent in floats."""
    return np.asarray(DOMAINS[variable.domain][2](_noise(rng, shape)))


# --- sizes ----------------------------------------------------------------------------------------------------------------------

LENGTHS = (3, 4, 2, 5, 6, 7, 8)
"Sizes that dimensions are given, different ones to different dimensions."
MOST_PROPOSALS = 12
SHOWN = ((2, 3), (3, 2), (3, 3), (2, 2))
"Sizes that dimensions are given in turn where arrays are shown: different ones, unless the function is defined for equal ones only."


def proposals(names: Sequence[str]) -> Iterator[Sizes]:
    """Sizes to look at: all dimensions different from each other, each of them large, small, and in between."""
    lengths = LENGTHS[: max(len(names) + 1, 3)]
    for chosen in islice(permutations(lengths, len(names)), MOST_PROPOSALS):
        yield dict(zip(names, chosen, strict=True))


def dimensions(variables: Sequence[names.Variable], *exprs: Expr) -> list[str]:
    """The names of all dimensions, in the order of the variables."""
    found: dict[str, None] = {}
    for v in variables:
        for size in (v.rows, v.cols):
            found |= dict.fromkeys(sorted(size.names))
    for expr in exprs:
        for node in expr.nodes():
            used = node.rows.names | node.cols.names | (node.data.names if isinstance(node.data, Size) else frozenset())
            found |= dict.fromkeys(sorted(used))
    return list(found)


def finite(expr: Expr, point: Point) -> bool:
    """Whether an expression is defined at a point of floats."""
    with np.errstate(all="ignore"):
        try:
            return bool(np.all(np.isfinite(evaluate(expr, point))))
        except (np.linalg.LinAlgError, ArithmeticError, ValueError):
            return False


def _certain(f: Expr, inputs: Mapping[str, Floats], sizes: Sizes) -> bool:
    """Whether a function is defined at a point of floats, and not by rounding alone, which gives singular matrices an inverse."""
    if not finite(f, Point(inputs, sizes, np.zeros(()))):
        return False
    try:
        with working_precision():
            evaluate(f, Point({word: Ball.constant(x) for word, x in inputs.items()}, sizes, Ball.constant(0)))
    except (NoExactFormError, NotImplementedError):
        return True
    except (UndecidedError, UndefinedPointError):
        return False
    return True


def random_inputs(f: Expr, variables: Sequence[names.Variable], seed: int = 0) -> dict[str, Floats]:
    """Random inputs to be shown, at which a function is defined: small arrays of two decimals. FormulaError if none are found."""
    rng = np.random.default_rng([seed, 68])
    known = [Variable.of(v) for v in variables]
    for lengths in SHOWN:
        sizes = dict(zip(dimensions(known, f), cycle(lengths), strict=False))
        for _ in range(DRAWS):
            inputs = {word: np.round(x, 2) for word, x in at_random(known, sizes, rng).items()}
            if _certain(f, inputs, sizes):
                return inputs
    raise FormulaError("no inputs were found at which the function is defined")
