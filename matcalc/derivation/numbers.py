"""Whether two expressions are equal, by numbers: modulo a prime where there are no other functions than rational ones, else in balls."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from matcalc.exact import Ball, Exact, Field, NoExactFormError, UndefinedPointError, working_precision
from matcalc.formula.expression import Expr, Value
from matcalc.formula.operations import Point, evaluate
from matcalc.formula.size import Size

POINTS = 2
"Points at which two expressions are compared."
TRIALS = 12
"Points that are tried, where a function is not defined at every one."
APPROXIMATE = {"expm"}
"Operations whose value is an approximation, good to the precision of floats: in balls, two ways to the same matrix would differ."
LARGE = 1e6
"Floats from here on come from a matrix that is nearly singular, and tell nothing."
CLOSE = 1e-9
"Relative difference up to which floats count as equal."


def sizes_for(exprs: Iterable[Expr], rng: np.random.Generator) -> dict[str, int]:
    """Small sizes for the dimensions of expressions, different for the first few, so that no two shapes agree by chance."""
    exprs = list(exprs)
    nodes = [node for expr in exprs for node in expr.nodes()]
    sizes = [size for node in nodes for size in (*node.shape, node.data) if isinstance(size, Size)]
    names = sorted({name for size in sizes for name in size.names})
    return {name: 2 + k % 3 for k, name in enumerate(rng.permutation(names).tolist())}


def inputs_of(exprs: Iterable[Expr]) -> dict[str, Expr]:
    """The inputs of expressions by name."""
    return {str(node.data): node for node in chain.from_iterable(expr.nodes() for expr in exprs) if node.op == "name"}


def random_point(exprs: Iterable[Expr], rng: np.random.Generator, kind: type[Exact], symmetric: frozenset[str], *, positive: bool) -> Point:
    """Random exact inputs."""
    exprs = list(exprs)
    sizes = sizes_for(exprs, rng)
    inputs: dict[str, Value] = {}
    for name, node in inputs_of(exprs).items():
        shape = () if node.is_scalar else (node.rows.at(sizes), node.cols.at(sizes))
        value: Any = kind.random(rng, shape)
        if positive:
            value = abs(value)
        inputs[name] = value + value.mT if name in symmetric else value
    return Point(inputs, sizes, kind.constant(0))


def agree(before: Expr, after: Expr, symmetric: frozenset[str] = frozenset(), seed: int = 0) -> bool | None:
    """Whether the two are equal at random points; None where neither arithmetic can tell, as for a singular value decomposition."""
    if before.shape != after.shape:
        return False
    rounded = any(node.op in APPROXIMATE for expr in (before, after) for node in expr.nodes())
    for kind in () if rounded else (Field, Ball):
        found = _agree_in(kind, before, after, symmetric, seed)
        if found is not None:
            return found
    return _agree_in_floats(before, after, symmetric, seed)


def _agree_in(kind: type[Exact], before: Expr, after: Expr, symmetric: frozenset[str], seed: int) -> bool | None:
    rng = np.random.default_rng(seed)
    seen = 0
    with working_precision():
        for trial in range(TRIALS):
            point = random_point((before, after), rng, kind, symmetric, positive=kind is Ball and trial % 2 == 1)
            try:
                a, b = evaluate(before, point), evaluate(after, point)
                equal = _equal(a, b)
            except UndefinedPointError:
                continue
            except NoExactFormError:
                return None
            if not equal:
                return False
            seen += 1
            if seen == POINTS:
                return True
    return None


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Field):
        return bool(np.all(a.equals(b)))
    return all(x.overlaps(y) for x, y in zip(a.entries.ravel(), b.entries.ravel(), strict=True))


def _agree_in_floats(before: Expr, after: Expr, symmetric: frozenset[str], seed: int) -> bool | None:
    rng = np.random.default_rng(seed)
    for _ in range(TRIALS):
        sizes = sizes_for((before, after), rng)
        inputs: dict[str, Value] = {}
        for name, node in inputs_of((before, after)).items():
            value = rng.uniform(0.5, 1.5, () if node.is_scalar else (node.rows.at(sizes), node.cols.at(sizes)))
            inputs[name] = value + value.T if name in symmetric else value
        try:
            with np.errstate(all="ignore"):
                points = [Point(inputs, sizes, np.zeros(())) for _ in range(2)]
                a, b = (np.asarray(evaluate(expr, point)) for expr, point in zip((before, after), points, strict=True))
        except np.linalg.LinAlgError:
            continue
        if all(np.all(np.abs(value) < LARGE) for point in points for value in point.values.values()):
            return bool(np.max(np.abs(a - b), initial=0.0) <= CLOSE * max(1.0, np.max(np.abs(a), initial=0.0)))
    return None
