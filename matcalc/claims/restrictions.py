"""Explanations by restriction: the claim is right in a smaller set, where a matrix is symmetric, a factor 1, a number positive.

A set within another one that is told is not told. It is said that the claim is right *only* in a set, if it is wrong at all points
beside it that are looked at: random ones, those of the other sets, and special ones such as zeros, ones and orthogonal matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from matcalc.claims.bench import close, others, value
from matcalc.claims.points import Floats, Sizes, Variable, belongs
from matcalc.claims.search import Change, Restriction, Search
from matcalc.formula.expression import Expr
from matcalc.formula.operations import Point, make

LOOKED_AT = 4
"Points of one size, beside and within a set."


def assumptions(search: Search) -> None:
    """Matrices that are taken to be symmetric."""
    question = search.question
    used = [
        v for v in question.variables if v.is_square_matrix and not v.is_symmetric and v.name in question.f.names | question.claim.names
    ]
    parameters = [v.name for v in used if v.name != question.wrt.name]
    own = [v.name for v in used if v.name == question.wrt.name]
    for names in [*([name] for name in parameters), *([parameters] if len(parameters) > 1 else []), *([name] for name in own)]:
        if search.late:
            return
        change = _symmetric(names)
        if search.holds_where(change):
            text = " and ".join(names)
            more = 0.5 if names == own else -0.78 if search.doubled else 0.1 * (len(names) - 1)
            search.restricted("symmetric_assumption", f"{text} {'is' if len(names) == 1 else 'are'} symmetric", change, more, about=text)
            break


def dropped(search: Search) -> None:
    """A parameter that does not matter to the claim: right where it is 1, or the identity."""
    question = search.question
    for v in others(question):
        if search.late:
            return
        change = _changed(v, _one)
        if v.name in question.f.names | question.claim.names and search.holds_where(change):
            where = f"{v.name} is {'the identity' if v.is_square_matrix else '1'}"
            if v.name in question.claim.names and not v.expr.is_scalar and v.is_square_matrix:
                where, more = f"{where}: a factor {v.name} is missing or stands wrong", 0.7
            else:
                where, more = f"{where}: the factor {v.name} is missing", 0.2
            search.restricted("chain_missing", where, change, more, about=v.name)


def domains(search: Search) -> None:
    """Smaller sets in which the claim is right."""
    question = search.question
    used = question.f.names | question.claim.names
    for v in question.variables:
        if v.name not in used:
            continue
        for text, change in _restrictions(v):
            if search.late:
                return
            moved = _changed(v, change)
            if search.holds_where(moved):
                search.restricted("domain", text, moved, about=text)
                if v.name == question.wrt.name and text.endswith("= 1"):  # of the others `dropped` tells it
                    search.restricted("chain_missing", f"{text}: the factor {v.name} is missing", moved, 0.3, about=v.name)
                break
    for text, argument in _signed_arguments(search):
        positive = _where_positive(argument)
        if search.holds_where(positive):
            search.restricted("domain", f"{text} > 0", positive, -1.0, about=f"{text} > 0")
    if search.holds_where(_all_positive) and not any(r.kind == "domain" for r in search.found):
        search.restricted("domain", "all entries are positive", _all_positive, 0.1, about="positive entries")


def settled(search: Search) -> None:
    """The smaller sets that are told: none within another one, and each as the only one if it is, as far as it was looked at."""
    kept: list[Restriction] = []
    for one in sorted(search.restrictions, key=lambda r: r.reason.cost):
        if any(_within(search, one.change, other.change) for other in kept):
            search.found.remove(one.reason)
        else:
            kept.append(one)
    for one in kept:
        if _only(search, one.change, [other.change for other in kept if other is not one]):
            says = one.reason.message.replace("right where", "right only where", 1)
            search.found[search.found.index(one.reason)] = replace(one.reason, message=says)


def _within(search: Search, one: Change, other: Change) -> bool:
    """Whether all points that are moved into one set are in the other."""
    points = [(moved, sizes) for inputs, sizes in _points(search) if (moved := one(inputs, sizes)) is not None]
    return bool(points) and all(_in(other, *point) for point in points)


def _only(search: Search, change: Change, others: Sequence[Change]) -> bool:
    """Whether the claim is wrong at all points that are looked at beside a set."""
    seen: list[Sizes] = []
    for inputs, sizes in _points(search):
        beside = [inputs, *(moved for other in others if (moved := other(inputs, sizes)) is not None)]
        if sizes not in seen:
            seen.append(sizes)
            beside += _special(search, change, inputs, sizes)
        for point in beside:
            if search.late or (not _in(change, point, sizes) and _right(search, point, sizes)):
                return False
    return True


def _points(search: Search) -> Iterator[tuple[dict[str, Floats], Sizes]]:
    """A few points of each choice of sizes."""
    all_sizes = {tuple(at.sizes.items()): at.sizes for at in search.bench.points}
    for sizes in all_sizes.values():
        yield from ((inputs, sizes) for inputs in islice(search.inputs(sizes), LOOKED_AT))


def _in(change: Change, inputs: dict[str, Floats], sizes: Sizes) -> bool:
    """Whether a point is in a set already, so that moving it there leaves it where it is."""
    moved = change(inputs, sizes)
    return moved is not None and all(np.allclose(moved[name], x) for name, x in inputs.items())


def _right(search: Search, inputs: dict[str, Floats], sizes: Sizes) -> bool:
    """Whether the claim is right at a point, where there is something to be right about."""
    at = search.bench.at(sizes, inputs)
    return at is not None and at.true.shape == at.claimed.shape and close(at.true, at.claimed) and bool(np.any(at.true))


def _special(search: Search, change: Change, inputs: dict[str, Floats], sizes: Sizes) -> Iterator[dict[str, Floats]]:
    """Special values of what a change moves."""
    moved = change(inputs, sizes) or inputs
    for v in search.question.variables:
        x = inputs[v.name]
        if not np.allclose(moved[v.name], x):
            yield from ({**inputs, v.name: value} for value in _values(x) if belongs(v, value))


def _values(x: Floats) -> Iterator[Floats]:
    """Special arrays of the shape of one."""
    ones = np.ones_like(x)
    yield from (0 * ones, ones, -ones, ones / len(x) if x.ndim else 2 * ones, np.sign(x))
    if x.ndim and 1 not in x.shape:
        yield _orthonormal(x)
    if is_square_array(x):
        flip = np.eye(len(x))
        flip[0] = -1.0  # its square is the identity, but it is not symmetric
        yield from (np.eye(len(x)), -np.eye(len(x)), 2 * np.eye(len(x)), x - x.T, np.triu(x), flip)


def _orthonormal(x: Floats) -> Floats:
    """The nearest matrix with orthonormal columns, or rows."""
    U, _, Vt = np.linalg.svd(x, full_matrices=False)
    return np.asarray(U @ Vt)


def _signed_arguments(search: Search) -> Iterator[tuple[str, Expr]]:
    """What |x|, sign x and relu x are taken of, in the function and in the claim."""
    seen: set[Expr] = set()
    for source in (search.question.target, search.question.claim):
        for node in source.nodes():
            if node.op in {"abs", "sign", "relu", "step", "norm1", "logabsdet"} and node.args[0] not in seen:
                seen.add(node.args[0])
                X = make("det", node.args[0]) if node.op == "logabsdet" else node.args[0]
                yield search.spell(X), X


def is_square_array(x: Floats) -> bool:
    """Whether it is a square matrix of more than one entry."""
    return x.ndim == 2 and x.shape[0] == x.shape[1] and x.shape[0] > 1


def circulant(x: Floats) -> Floats:
    """A circulant matrix of the same size: those commute with each other, but are not symmetric."""
    n = x.shape[0]
    row = x[0] + np.arange(n) / 4
    return np.array([np.roll(row, k) for k in range(n)])


def _one(x: Floats) -> Floats | None:
    """The identity, or ones in the place of a number or a vector."""
    if is_square_array(x):
        return np.eye(x.shape[0])
    return None if x.ndim and 1 not in x.shape else np.ones_like(x)


def _symmetric(names: list[str]) -> Change:
    return lambda inputs, _: {k: (x + x.T) / 2 if k in names else x for k, x in inputs.items()}


def _all_positive(inputs: dict[str, Floats], _: Sizes) -> dict[str, Floats]:
    return {name: np.abs(x) for name, x in inputs.items()}


def _changed(v: Variable, change: Callable[[Floats], Floats | None]) -> Change:
    """A change of one variable, as long as it stays in its set."""

    def changed(inputs: dict[str, Floats], _: Sizes) -> dict[str, Floats] | None:
        x = change(inputs[v.name])
        return None if x is None or not belongs(v, x) else {**inputs, v.name: x}

    return changed


def _where_positive(expr: Expr) -> Change:
    def changed(inputs: dict[str, Floats], sizes: Sizes) -> dict[str, Floats] | None:
        return inputs if np.all(value(expr, Point(inputs, sizes, np.zeros(()))) > 0) else None

    return changed


def _restrictions(v: Variable) -> Iterator[tuple[str, Callable[[Floats], Floats | None]]]:
    """Smaller sets that a variable may be in, and how it gets there."""
    name = v.name
    if v.expr.is_scalar:
        yield f"{name} > 0", np.abs
        yield f"{name} = 1", np.ones_like
        yield f"{name} = 0", np.zeros_like
        yield f"{name} = -1", lambda x: -np.ones_like(x)
        return
    yield f"all entries of {name} are positive", np.abs
    if v.is_square_matrix:
        yield f"det {name} > 0", lambda x: x if np.linalg.det(x) > 0 else None
    if v.expr.is_vector:
        yield f"{name} has length 1", lambda x: x / np.linalg.norm(x)
        yield f"the entries of {name} add up to 1", lambda x: x / np.sum(x) if abs(np.sum(x)) > 0.1 else None
        yield f"the entries of {name} are 1 or -1", np.sign
        yield f"the entries of {name} are 0 or 1", lambda x: np.asarray(np.round(np.clip(x, 0, 1)), dtype=np.float64)
    else:
        yield f"{name} has orthonormal columns", lambda x: _orthonormal(x) if x.shape[0] >= x.shape[1] else None
        yield f"{name} has norm 1", lambda x: x / np.linalg.norm(x)
    yield f"{name} = 0", np.zeros_like
