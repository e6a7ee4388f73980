"""The computational graph of an expression with its numbers: values forwards, adjoints backwards, and why each step is right.

Every adjoint is compared with a derivative that knows nothing of the rules: the output as a function of that node alone, run on
dual numbers of balls, or by finite differences where balls have no such function.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcalc.derivation.adjoints import Pull, catalogue_rule, shares
from matcalc.derivation.building import MOST_SIZE, TooLongError, plus, zero
from matcalc.derivation.deriving import differential
from matcalc.derivation.reverse import Share, backward
from matcalc.derivation.simplify import Simplifier
from matcalc.exact import Ball, BallDual, NoExactFormError, UndefinedPointError, working_precision
from matcalc.formula import spell
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.names import canonical
from matcalc.formula.operations import OPERATIONS, Point, evaluate, make, name
from matcalc.formula.size import Size
from matcalc.graph import Edge, Entries, Graph, Kind, Node, Step

Floats = NDArray[np.float64]
SMALL = 400
"Up to so many input numbers, a node's derivative is taken with balls; above, by finite differences."
STEP = 6e-6
"Step of a central difference, relative to the numbers at the point."
CYCLIC = {"matmul", "transpose", "inv", "pinv", "trace", "det", "logdet", "logabsdet", "matpow", "kron"}
"Operations whose differential is turned around by moving factors around a trace."
LINEAR = {"neg", "add", "sub", "transpose", "trace", "sum", "diag", "diagonal", "vec", "tril", "triu", "hollow", "block", "cumsum"}
"Operations that are their own differentials."


@np.errstate(all="ignore")  # where something overflows, the picture shows an infinity
def graph(
    f: Expr,
    values: Mapping[str, Any],
    wrt: Collection[str] = (),
    symmetric: Collection[str] = (),
    parts: Mapping[Expr, str] | None = None,
    *,
    pull: Pull = shares,
) -> Graph:
    """The graph of f at a point, with the backward pass if f is a scalar; `wrt` names the inputs that are asked for, all by default.

    `parts` are names for expressions inside f, as h for sigmoid(W x). Numbers and arrays of ones inside f stand in the formulas and
    are no nodes. Raises FormulaError for a value that is missing or has another shape than its input, and for operations without a
    derivative in matrix form.
    """
    order = nodes_of(f)
    wanted = list(wrt) or sorted(f.names)
    for word in wanted:
        if word not in f.names:
            raise FormulaError(f"{word} does not occur in the function")
    point = point_of(f, values)
    evaluate(f, point)
    names = _names(order, parts or {})
    drawn = {node: k for k, node in enumerate(order)}
    local = {node: _localized(node, names) for node in order}
    adjoints: dict[Expr, Floats] = {}
    formulas: dict[Expr, str] = {}
    edges = [Edge(drawn[arg], drawn[node], k) for node in order for k, arg in enumerate(node.args, start=1) if arg in drawn]
    steps: list[Step] = []
    if f.is_scalar:
        tidy = Simplifier(frozenset(symmetric))
        tidy(f)
        place = {(edge.target, edge.operand): i for i, edge in enumerate(edges)}
        for visit in backward(f, wanted, pull=pull, tidy=partial(_if_short, tidy)):
            node = visit.node
            adjoint = adjoints[node] = _floats(evaluate(visit.adjoint, point))
            formulas[node] = spell(visit.adjoint, "latex", shape_known=True) if visit.adjoint.length <= MOST_SIZE else ""
            named = {share.operand: share for share in _local_shares(local[node], names[node], visit.shares, pull)}
            touched = [place[drawn[node], share.operand] for share in visit.shares]
            for share, i in zip(visit.shares, touched, strict=True):
                text = spell(named[share.operand].expr, "latex", shape_known=True)
                edges[i] = replace(edges[i], contribution=_entries(evaluate(share.expr, point)), contribution_formula=text)
            error = _error(f, node, adjoint, point)
            because = _because(local[node], names[node], named.values()) if visit.shares else ""
            given = r", \quad ".join(
                rf"{_bar(names[share.target])} \mathrel{{+}}= {edges[i].contribution_formula}"
                for share, i in zip(visit.shares, touched, strict=True)
            )
            if node.op != "name":
                steps.append(Step(drawn[node], tuple(touched), given, catalogue_rule(node) or "", because, error))
            else:
                arriving = tuple(i for i, edge in enumerate(edges) if edge.source == drawn[node] and edge.contribution is not None)
                together = " + ".join(edges[i].contribution_formula for i in arriving)
                text = rf"{_bar(names[node])} = {formulas[node] or together}"
                steps.append(Step(drawn[node], arriving, text, "", "", error))
    nodes = tuple(
        Node(
            id=k,
            kind=_kind(node, wanted, last=node is order[-1]),
            operation=node.op,
            name=_tex(names[node]),
            formula=spell(local[node], "latex", shape_known=True),
            whole=spell(node, "latex", shape_known=True),
            shape="scalar" if node.is_scalar else f"{node.rows} × {node.cols}",
            value=_entries(point.values[node]),
            adjoint=_entries(adjoints[node]) if node in adjoints else None,
            adjoint_formula=formulas.get(node, ""),
        )
        for k, node in enumerate(order)
    )
    inputs = {str(node.data): drawn[node] for node in order if node.op == "name"}
    ids = tuple(inputs[word] for word in wanted)
    return Graph(spell(f, "latex", shape_known=True), nodes, tuple(edges), tuple(steps), ids)


def nodes_of(f: Expr) -> list[Expr]:
    """The parts of f that are nodes of its graph, in the order of their numbers."""
    return [node for node in f.nodes() if node.names] or [f]


def point_of(f: Expr, values: Mapping[str, Any]) -> Point:
    """The inputs of f as floats and the sizes they have; FormulaError for one that is missing or does not fit."""
    inputs: dict[str, Floats] = {}
    sizes: dict[str, int] = {}
    variables = [node for node in f.nodes() if node.op == "name"]
    for node in sorted(variables, key=lambda node: [size.name is None for size in node.shape]):
        word = str(node.data)
        if word not in values:
            raise FormulaError(f"{word} has no value")
        value = np.asarray(values[word], dtype=np.float64)
        if node.is_scalar and value.size == 1:
            value = value.reshape(())
        elif not node.is_scalar and value.ndim < 2:
            value = value.reshape(-1, 1) if node.cols.number == 1 else np.atleast_2d(value)
        shape = () if node.is_scalar else node.shape
        if value.ndim != len(shape) or not all(_fits(size, length, sizes) for size, length in zip(shape, value.shape, strict=True)):
            expected = "a scalar" if node.is_scalar else f"{node.rows} by {node.cols}"
            known = ", ".join(f"{key} = {length}" for key, length in sizes.items())
            raise FormulaError(f"{word} has a value of shape {value.shape}, but it is {expected}" + (f" with {known}" if known else ""))
        inputs[word] = value
    return Point(inputs, sizes, np.zeros(()))


def _fits(size: Size, length: int, sizes: dict[str, int]) -> bool:
    """Whether a size can be this length; a dimension that is not known yet becomes known."""
    if size.name is not None:
        return sizes.setdefault(size.name, length) == length
    return not size.names <= sizes.keys() or size.at(sizes) == length


def _if_short(tidy: Simplifier, expr: Expr) -> Expr:
    """Simplified, or as it is if it is too long for that: the numbers of a graph need no short formulas."""
    try:
        return tidy(expr)
    except TooLongError:
        return expr


def _names(order: list[Expr], parts: Mapping[Expr, str]) -> dict[Expr, str]:
    """Inputs and parts keep their names; the others are z_1, z_2, ..., in the order in which they are computed."""
    names = {node: str(node.data) if node.op == "name" else parts[node] for node in order if node.op == "name" or node in parts}
    taken = {canonical(word) for word in names.values()}
    letters = chain("zvq", ("v" * k for k in count(2)))
    letter = next(c for c in letters if not any(re.fullmatch(rf"{c}\d*", word) for word in taken))
    return names | {node: f"{letter}_{k}" for k, node in enumerate((node for node in order if node not in names), start=1)}


def _localized(node: Expr, names: dict[Expr, str]) -> Expr:
    """The node on inputs named like its operands."""
    return node.with_args(tuple(name(names[arg], *arg.shape) if arg in names else arg for arg in node.args))


def _kind(node: Expr, wanted: list[str], *, last: bool) -> Kind:
    if node.op == "name":
        return "variable" if node.data in wanted else "parameter"
    return "output" if last else "operation" if node.op in OPERATIONS else "constant"


def _tex(word: str) -> str:
    return spell(name(word), "latex")


def _bar(word: str) -> str:
    return spell(name(f"{word}_bar"), "latex")


def _local_shares(local: Expr, own: str, given: tuple[Share, ...], pull: Pull) -> list[Share]:
    """The same shares in terms of the operands' names, the node's own and its adjoint's."""
    if not given:
        return []
    found = _shares_by_operand(local, own, pull)
    return [Share(share.operand, local.args[share.operand - 1], found[share.operand - 1]) for share in given]


@lru_cache(maxsize=1024)
def _shares_by_operand(local: Expr, own: str, pull: Pull) -> tuple[Expr, ...]:
    tidy = Simplifier()
    pulled = pull(local, name(f"{own}_bar", *local.shape))
    return tuple(zero(arg) if share is None else _named(tidy(share), local, own) for arg, share in zip(local.args, pulled, strict=True))


def _named(expr: Expr, local: Expr, own: str) -> Expr:
    """The node's own name where the node stands."""
    return expr.mapped(lambda part: name(own, *local.shape) if part == local else None)


def _because(local: Expr, own: str, given: Collection[Share]) -> str:
    """The differential of f through this node, and what it becomes for each operand."""
    bar, change = _bar(own), _differential(local, own)
    tangent = _tex(f"d{own}")
    targets = " + ".join(
        rf"\langle {spell(share.expr, 'latex', shape_known=True)}, {_tex(f'd{share.target.data}')} \rangle" for share in given
    )
    how = "by the cyclicity of the trace" if local.op in CYCLIC else "entry by entry" if OPERATIONS[local.op].entrywise else ""
    reason = rf" \quad \text{{({how})}}" if how else ""
    return rf"df = \langle {bar}, {tangent} \rangle, \quad {tangent} = {change}, \quad \langle {bar}, {tangent} \rangle = {targets}{reason}"


@lru_cache(maxsize=1024)
def _differential(local: Expr, own: str) -> str:
    """The differential of an operation, in TeX."""
    words = [str(arg.data) for arg in local.args if arg.op == "name"]
    tangents = [name(f"d{arg.data}", *arg.shape) if arg.op == "name" else zero(arg) for arg in local.args]
    if local.op == "expm":
        return rf"L({_tex(words[0])}, {_tex(f'd{words[0]}')})"
    if local.op in LINEAR:
        change = Simplifier()(local.with_args(tuple(tangents)))
    elif local.op == "kron":
        (A, B), (dA, dB) = local.args, tangents
        change = plus([make("kron", a, b) for a, b, moves in ((dA, B, A), (A, dB, B)) if moves.op == "name"])
    else:
        change = differential(local, list(dict.fromkeys(words)))
    return spell(_named(change, local, own), "latex", shape_known=True)


# --- numbers -------------------------------------------------------------------------------------------------------------------


def _floats(value: Any) -> Floats:
    return np.asarray(value, dtype=np.float64)


def _entries(value: Any) -> Entries:
    rows = np.atleast_2d(_floats(value))
    return tuple(tuple(float(entry) for entry in row) for row in rows)


def _error(f: Expr, node: Expr, adjoint: Floats, point: Point) -> float | None:
    """How far the adjoint is from the derivative of the output as a function of this node alone, along a random direction."""
    value = _floats(point.values[node])
    direction = np.random.default_rng(value.size).uniform(0.5, 1.5, value.shape) * np.where(np.arange(value.size) % 2, -1, 1).reshape(
        value.shape
    )
    word = "node "
    rest = f.mapped(lambda part: name(word, *node.shape) if part == node else None)
    expected = _by_balls(rest, word, value, direction, point)
    if expected is None:
        expected = _by_differences(rest, word, value, direction, point)
    if expected is None:
        return None
    found = float(np.sum(adjoint * direction))
    scale = max(abs(expected), float(np.linalg.norm(adjoint) * np.linalg.norm(direction)), np.finfo(float).tiny)
    return abs(found - expected) / scale


def _by_balls(rest: Expr, word: str, value: Floats, direction: Floats, point: Point) -> float | None:
    needed = {key: x for key, x in point.inputs.items() if key in rest.names}
    if value.size + sum(x.size for x in needed.values()) > SMALL:
        return None
    with working_precision():
        try:
            inputs: dict[str, Any] = {key: BallDual.constant(x) for key, x in needed.items()}
            inputs[word] = BallDual(Ball.constant(value), Ball.constant(direction))
            result = evaluate(rest, Point(inputs, point.sizes, BallDual.constant(0)))
        except (NoExactFormError, UndefinedPointError):
            return None
        return float(result.tangent.entries.item().mid())


def _by_differences(rest: Expr, word: str, value: Floats, direction: Floats, point: Point) -> float | None:
    step = STEP * max(1.0, float(np.max(np.abs(value), initial=0.0)))

    def at(t: float) -> float:
        return float(evaluate(rest, Point({**point.inputs, word: value + t * direction}, point.sizes, point.like)))

    with np.errstate(all="ignore"):
        wide, narrow = ((at(h) - at(-h)) / (2 * h) for h in (2 * step, step))
    result = narrow + (narrow - wide) / 3
    return result if np.isfinite(result) else None
