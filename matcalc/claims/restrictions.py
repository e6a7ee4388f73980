"""Explanations by restriction: the claim is right in a smaller set, where a matrix is symmetric, a factor 1, a number positive."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from matcalc.claims.bench import others, value
from matcalc.claims.points import Floats, Sizes, Variable, belongs
from matcalc.claims.search import Change, Search
from matcalc.formula.expression import Expr
from matcalc.formula.operations import Point, make


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
        if search.holds_where(_symmetric(names)):
            text = " and ".join(names)
            more = 0.5 if names == own else -0.78 if search.doubled else 0.1 * (len(names) - 1)
            search.add("symmetric_assumption", f"right only where {text} {'is' if len(names) == 1 else 'are'} symmetric", more, about=text)
            break


def dropped(search: Search) -> None:
    """A parameter that does not matter to the claim: right where it is 1, or the identity."""
    question = search.question
    for v in others(question):
        if search.late:
            return
        if v.name in question.f.names | question.claim.names and search.holds_where(_changed(v, _one)):
            text = "the identity" if v.is_square_matrix else "1"
            if v.name in question.claim.names and not v.expr.is_scalar and v.is_square_matrix:
                search.add(
                    "chain_missing",
                    f"right only where {v.name} is {text}: a factor {v.name} is missing or stands wrong",
                    0.7,
                    about=v.name,
                )
            else:
                search.add("chain_missing", f"right only where {v.name} is {text}: the factor {v.name} is missing", 0.2, about=v.name)


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
            if search.holds_where(_changed(v, change)):
                search.add("domain", f"right only where {text}", 0.0, about=text)
                if v.name == question.wrt.name and text.endswith("= 1"):  # of the others `dropped` tells it
                    search.add("chain_missing", f"right only where {text}: the factor {v.name} is missing", 0.3, about=v.name)
                break
    for text, argument in _signed_arguments(search):
        if search.holds_where(_where_positive(argument)):
            search.add("domain", f"right only where {text} > 0", -1.0, about=f"{text} > 0")
    if search.holds_where(lambda inputs, _: {k: np.abs(x) for k, x in inputs.items()}) and not any(
        r.kind == "domain" for r in search.found
    ):
        search.add("domain", "right only where all entries are positive", 0.1, about="positive entries")


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
        yield f"{name} has orthonormal columns", lambda x: np.linalg.qr(x)[0] if x.shape[0] >= x.shape[1] else None
        yield f"{name} has norm 1", lambda x: x / np.linalg.norm(x)
    yield f"{name} = 0", np.zeros_like
