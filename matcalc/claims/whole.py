"""Explanations of a claim as a whole: the derivative times something, transposed, or in a form for symmetric matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np

from matcalc.claims.bench import BROKEN, At, close, simple, value
from matcalc.claims.points import Floats, Variable
from matcalc.claims.search import Search
from matcalc.derivation.building import flipped, minus
from matcalc.derivation.deriving import symmetric_part
from matcalc.derivation.reverse import backward
from matcalc.formula.expression import Expr
from matcalc.formula.operations import make


def factors(search: Search) -> None:
    """A sign, a number, a dimension, a function of the point."""
    found: list[tuple[At, float]] = []
    if search.zero:
        return
    for at in search.bench.points:
        norm = float(np.sum(at.true**2))
        if at.claimed.shape != at.true.shape or norm == 0:
            return
        c = float(np.sum(at.claimed * at.true)) / norm
        if not close(c * at.true, at.claimed):
            return
        found.append((at, c))
    numbers = np.array([c for _, c in found])
    single = all(at.true.size == 1 for at in search.bench.points)
    if not np.any(numbers):
        search.add("missing_term", "the claim is zero, and the derivative is not")
    elif np.ptp(numbers) <= 1e-7 * np.max(np.abs(numbers)):
        _constant(search, float(numbers[0]))
    elif (text := of_sizes(found)) is not None:
        search.add("dimension_factor", f"the claim is {text} times the derivative", about=text)
    else:
        _of_the_point(search, found, single=single)


def _constant(search: Search, c: float) -> None:
    fraction = simple(c)
    text = str(fraction) if fraction is not None else f"{c:.9g}"
    if fraction == -1:
        search.add("sign", "the claim is the derivative with the wrong sign", about="-1", repair=minus(search.question.claim))
        return
    search.add("scalar_factor", f"the claim is {text} times the derivative", about=text)
    if c < 0:
        search.add("sign", f"the sign of the claim is wrong, besides a factor {text.lstrip('-')}", 0.3, about="-1")


def of_sizes(found: Sequence[tuple[At, float]]) -> str | None:
    """The factor as a function of the sizes alone, if it is one."""
    by_sizes: dict[tuple[tuple[str, int], ...], list[float]] = {}
    for at, c in found:
        by_sizes.setdefault(tuple(at.sizes.items()), []).append(c)
    if len(by_sizes) < 2 or any(np.ptp(cs) > 1e-7 * max(map(abs, cs)) for cs in by_sizes.values()):
        return None
    table = [(dict(sizes), cs[0]) for sizes, cs in by_sizes.items()]
    for candidates in zip(*(_size_functions(sizes) for sizes, _ in table), strict=True):
        text = candidates[0][0]
        if not all(number for _, number in candidates):
            continue
        ratios = [c / number for (_, number), (_, c) in zip(candidates, table, strict=True)]
        fraction = simple(ratios[0])
        if fraction and np.ptp(ratios) <= 1e-7 * abs(ratios[0]):
            return text if fraction == 1 else f"-{text}" if fraction == -1 else f"{fraction}·{text}"
    return "a number that depends on the dimensions"


def _of_the_point(search: Search, found: Sequence[tuple[At, float]], *, single: bool) -> None:
    """The factor as a scalar part of the function, or of the way back."""
    seen: set[str] = set()
    for node, adjoint in _scalars(search):
        for source, text in ((node, "{}"), (adjoint, "the derivative after {}")):
            if source is None or (source is adjoint and node == search.question.wrt.expr):  # which is the derivative itself
                continue
            values = [_number(source, at) for at, _ in found]
            if any(v is None or v == 0 or not np.isfinite(v) for v in values):
                continue
            for shape, power in (("{}", 1), ("1/{}", -1), ("{}²", 2), ("1/{}²", -2), ("√{}", 0.5), ("1/√{}", -0.5)):
                if power in {0.5, -0.5} and any(v is not None and v < 0 for v in values):
                    continue
                ratios = [c / float(v) ** power for (_, c), v in zip(found, values, strict=True) if v is not None]
                fraction = simple(ratios[0])
                if not fraction or np.ptp(ratios) > 1e-7 * abs(ratios[0]):
                    continue
                shown = shape.format(_bracketed(text.format(search.spell(node)))) if source is node else text.format(search.spell(node))
                factor = shown if fraction == 1 else f"{fraction} · {shown}"
                if factor not in seen:
                    seen.add(factor)
                    more = 0.02 * len(seen) + 0.1 * (fraction != 1) + 0.05 * (source is not node)
                    search.add("outer_chain", f"the claim is the derivative times {factor}", more, about=factor)
    if not seen:
        says = "the claim is the derivative times a number that changes from point to point"
        search.add("outer_chain", says, 1.6 if single else 0.4)


def _scalars(search: Search) -> Iterator[tuple[Expr, Expr | None]]:
    """The scalar parts of the function and of the claim, with their adjoints where they have one, each once."""
    seen: set[Expr] = set()
    for node, adjoint in _all_scalars(search):
        if node.is_scalar and node.names and node not in seen:
            seen.add(node)
            yield node, adjoint


def _all_scalars(search: Search) -> Iterator[tuple[Expr, Expr | None]]:
    if search.f.is_scalar:
        for form in (search.f, search.question.target):
            yield from ((visit.node, visit.adjoint) for visit in backward(form, list(form.names)))
    for source in (search.question.target, search.question.claim):
        yield from ((node, None) for node in source.nodes())
    for v in search.question.variables:
        yield from ((node, None) for node in _norms(v))


def transposes(search: Search) -> None:
    """The whole derivative transposed."""
    if any(at.true.ndim != 2 or at.claimed.ndim != 2 for at in search.bench.points):
        return
    c = search.bench.equal(lambda at: at.true.T, lambda at: at.claimed, factor=True)
    same_shape = all(at.true.shape == at.claimed.shape for at in search.bench.points)
    if c is None or (same_shape and search.bench.equal(lambda at: at.true, lambda at: at.claimed, factor=True) is not None):
        return
    kind = "layout" if search.question.kind in {"jacobian", "hessian", "derivative"} or search.question.wrt.expr.is_vector else "transpose"
    what = "its Jacobian in the other layout, with a column for each output" if kind == "layout" else "the derivative transposed"
    extra = "" if c == 1 else f", times {c}"
    search.add(kind, f"the claim is {what}{extra}", 0.0 if c == 1 else 0.6, repair=flipped(search.question.claim) if c == 1 else None)


def symmetric_variable(search: Search) -> None:
    """The gradient with respect to a symmetric matrix, in forms that it should not have."""
    question = search.question
    if question.kind != "gradient" or any(at.true.ndim != 2 or at.true.shape[0] != at.true.shape[1] for at in search.bench.points):
        return
    name = question.wrt.name
    if question.wrt.is_symmetric:
        raw = search.bench.derived()
        c = _equal_to(search, lambda G: 2 * G - np.diag(np.diag(G)))
        if c is not None:
            search.add(
                "symmetric_treatment",
                f"the claim is {_times(c)}2G - diag(G): it counts the entries of {name} above its diagonal and not those below",
                0.0 if c == 1 else 0.4,
            )
        elif search.bench.equal(lambda at: (at.claimed + at.claimed.T) / 2, lambda at: at.true) is not None:
            says = f"{name} is symmetric, and its gradient is the symmetric part (G + Gᵀ)/2 of the claim"
            search.add("symmetric_treatment", says, repair=symmetric_part(question.claim))
        elif raw is not None and (c := search.bench.equal(lambda at: at.true, lambda at: at.claimed, factor=True)) == 2:
            search.add("symmetric_treatment", f"the claim is G + Gᵀ, twice the gradient of a symmetric {name}", 0.1)
        if raw is not None and not search.found and search.bench.is_claimed(raw, factor=True) is not None:
            search.add("symmetric_treatment", f"the claim is the gradient of a general matrix {name}, times a number", 0.4)
        return
    for text, change in _AS_IF_SYMMETRIC:
        if all(close(change(at.true), at.true) for at in search.bench.points):
            continue
        if _equal_to(search, change) == 1:
            search.add("symmetric_assumption", f"the claim is {text}, as if {name} were symmetric", 0.2)


_AS_IF_SYMMETRIC: tuple[tuple[str, Callable[[Floats], Floats]], ...] = (
    ("G + Gᵀ - diag(G)", lambda G: G + G.T - np.diag(np.diag(G))),
    ("(G + Gᵀ)/2", lambda G: (G + G.T) / 2),
    ("G + Gᵀ", lambda G: G + G.T),
)


def _equal_to(search: Search, change: Callable[[Floats], Floats]) -> Fraction | None:
    """The constant by which the claim is the changed derivative, if the change is one."""
    if any(at.true.ndim != 2 for at in search.bench.points):
        return None
    if search.bench.equal(lambda at: at.true, lambda at: change(at.true), factor=True) is not None:
        return None
    return search.bench.equal(lambda at: change(at.true), lambda at: at.claimed, factor=True)


def _times(c: Fraction) -> str:
    return "" if c == 1 else f"{c} times "


def _bracketed(text: str) -> str:
    return text if text.replace("_", "").isalnum() or text.endswith(")") else f"({text})"


def _number(expr: Expr, at: At) -> float | None:
    try:
        found = value(expr, at.point)
    except BROKEN:
        return None
    return float(found) if found.size == 1 else None


def _norms(v: Variable) -> Iterator[Expr]:
    """Numbers that belong to a variable."""
    x = v.expr
    if x.is_scalar:
        yield x
        return
    yield make("norm", x)
    if x.is_square:
        yield make("det", x)
        yield make("trace", x)
    yield make("sum", x)


def _size_functions(sizes: dict[str, int]) -> Iterator[tuple[str, float]]:
    """Numbers that sizes make, as text and value, always the same ones in the same order."""
    for a, n in sizes.items():
        yield from ((a, n), (f"1/{a}", 1 / n), (f"{a}²", n**2), (f"1/{a}²", 1 / n**2), (f"(-1)^{a}", (-1) ** n))
        for k, text in ((1, f"({a} - 1)"), (2, f"({a} - 2)"), (-1, f"({a} + 1)")):
            yield from ((text, n - k), (f"{text}/{a}", (n - k) / n))
            yield from ((f"{a}/{text}", n / (n - k) if n != k else 0.0), (f"1/{text}", 1 / (n - k) if n != k else 0.0))
    for (a, m), (b, n) in combinations(sizes.items(), 2):
        yield from ((f"{a} {b}", m * n), (f"1/({a} {b})", 1 / (m * n)), (f"{a}/{b}", m / n), (f"{b}/{a}", n / m))
        yield from ((f"({a} + {b})", m + n), (f"({a} - {b})", m - n))
