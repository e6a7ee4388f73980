"""Reverse mode on an expression: every different part is a node, visited from the output back, each giving its operands their share.

A variable that is written several times is reached by as many paths; each path has an adjoint of its own, and they add up to the
derivative. Which path was forgotten is what a wrong answer is most often about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from matcalc.derivation.adjoints import Pull, shares
from matcalc.derivation.building import UNIT, interned, is_zero, plus, zero
from matcalc.formula.expression import Expr, FormulaError, Span, Value
from matcalc.formula.operations import Point, evaluate, filled, make, name, number

MOST_PATHS = 128
"A variable written more often than this is not followed path by path."


@dataclass(frozen=True)
class Share:
    """What a node hands to one of its operands, by operand number from 1."""

    operand: int
    target: Expr
    expr: Expr


@dataclass(frozen=True)
class Visit:
    """One node of the backward pass, with its finished adjoint."""

    node: Expr
    adjoint: Expr
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Path:
    """One place where the variable is written. `label` is how it stands there, as in "Aᵀ", "the 2nd X"."""

    place: int  # from 1, in reading order
    label: str
    span: Span | None
    adjoint: Expr

    @property
    def description(self) -> str:
        """As in "the path through Aᵀ"."""
        return f"the path through {self.label}"


def prepared(f: Expr) -> Expr:
    """The same function with log(det K) in one piece, and squared norms as sums of squares, so that no detour is made."""
    return f.mapped(_in_one_piece)


def _in_one_piece(node: Expr) -> Expr | None:
    match node:
        case Expr(op="log", args=(Expr(op="det", args=(inside,)),)):
            return make("logdet", inside)
        case Expr(op="log", args=(Expr(op="abs", args=(Expr(op="det", args=(inside,)),)),)):
            return make("logabsdet", inside)
        case Expr(op="power", args=(Expr(op="norm", args=(r,)), exponent)) if exponent == number(2):
            return make("sum", make("power", r, exponent)) if not r.is_scalar else make("power", r, exponent)
        case _:
            return None


def backward(
    f: Expr, wrt: Collection[str], *, seed: Expr = UNIT, pull: Pull = shares, tidy: Callable[[Expr], Expr] = lambda x: x
) -> Iterator[Visit]:
    """The nodes that depend on the variables, from the output back, each with its adjoint, a sum in reading order.

    `tidy` is applied to every adjoint and every share; `pull` says what a node hands to its operands. Variables come last.
    Raises FormulaError where an operation has no derivative in matrix form.
    """
    wanted = set(wrt)
    received: dict[Expr, list[Expr]] = {f: [seed]}
    for node in reversed([node for node in f.nodes() if node.names & wanted]):
        arrived = [expr for expr in received.get(node, []) if not is_zero(expr)]
        adjoint = interned(tidy(plus(arrived))) if arrived else zero(node)
        found: list[Share] = []
        if node.op != "name" and not is_zero(adjoint):
            for k, (operand, share) in enumerate(zip(node.args, pull(node, adjoint), strict=True), start=1):
                if share is not None and operand.names & wanted:
                    found.append(Share(k, operand, interned(tidy(share))))
        for part in reversed(found):
            received.setdefault(part.target, []).insert(0, part.expr)
        yield Visit(node, adjoint, tuple(found))


def marked(f: Expr, wrt: str) -> tuple[Expr, list[tuple[str, Span | None, bool]]]:
    """F with every place where the variable is written as an input of its own, and for each its name, span, and whether it is transposed.

    FormulaError if there are more than can be followed.
    """
    places: list[tuple[str, Span | None, bool]] = []

    def walk(node: Expr, *, transposed: bool) -> Expr:
        if wrt not in node.names:
            return node
        if node.op == "name":
            if len(places) == MOST_PATHS:
                raise FormulaError(f"{wrt} is written more than {MOST_PATHS} times, too often to be followed path by path")
            places.append((f"{wrt}#{len(places) + 1}", node.span, transposed))
            return replace(node, data=places[-1][0])
        return replace(node, args=tuple(walk(arg, transposed=node.op == "transpose") for arg in node.args))

    return walk(f, transposed=False), places


def paths(f: Expr, wrt: str, *, seed: Expr = UNIT, pull: Pull = shares, tidy: Callable[[Expr], Expr] = lambda x: x) -> tuple[Path, ...]:
    """The adjoint of every single place where the variable is written; their sum is the derivative of f."""
    f = prepared(f)
    own, places = marked(f, wrt)
    found = {visit.node.data: visit.adjoint for visit in backward(own, [place for place, *_ in places], seed=seed, pull=pull)}
    variable = next((node for node in f.nodes() if node.op == "name" and node.data == wrt), None)
    if variable is None:
        return ()
    back = {place: variable for place, *_ in places}
    labels = _labels(wrt, [transposed for *_, transposed in places])
    return tuple(
        Path(k, label, span, tidy(found[place].replaced(back)))
        for k, (label, (place, span, _)) in enumerate(zip(labels, places, strict=True), start=1)
    )


def _labels(wrt: str, transposed: list[bool]) -> list[str]:
    plain = [wrt + "ᵀ" * flag for flag in transposed]
    counts: dict[str, int] = {}
    labels: list[str] = []
    for text in plain:
        counts[text] = counts.get(text, 0) + 1
        labels.append(text if plain.count(text) == 1 else f"the {_ordinal(counts[text])} {text}")
    return labels


def _ordinal(k: int) -> str:
    ending = "th" if k % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(k % 10, "th")
    return f"{k}{ending}"


# --- in numbers ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interior:
    """The backward pass in numbers, at one point: arrays of the kind of the point's, two-dimensional, 0-d for scalars."""

    f: Expr  # as it was differentiated: see `prepared`
    wrt: str
    value: Value
    gradient: Value
    paths: tuple[tuple[Path, Value], ...]  # the adjoint of each place; they add up to the gradient
    nodes: tuple[tuple[Expr, Value, Value], ...]  # from the output back: a part of f, its value, its adjoint


def interior(f: Expr, wrt: str, point: Point, *, seed: Value = None, pull: Pull = shares) -> Interior:
    """Values and adjoints of every part of f that depends on the variable, and of each path to it, by the rules `pull`.

    `seed` is what comes in from outside, an array of the shape of f; one for a scalar f if it is not given.
    Raises FormulaError for an operation without a rule, KeyError for an input without a value.
    """
    f = prepared(f)
    start = _ones(f, point) if seed is None else seed
    nodes = tuple(_numbers(f, [wrt], point, start, pull))
    own, places = marked(f, wrt)
    inputs = {**point.inputs, **{place: point.inputs[wrt] for place, *_ in places}}
    adjoints = {
        node.data: adjoint
        for node, _, adjoint in _numbers(own, [place for place, *_ in places], Point(inputs, point.sizes, point.like), start, pull)
        if node.op == "name"
    }
    labels = _labels(wrt, [transposed for *_, transposed in places])
    nothing = zero(f)
    by_path = tuple(
        (Path(k, label, span, nothing), adjoints[place]) for k, (label, (place, span, _)) in enumerate(zip(labels, places, strict=True), 1)
    )
    gradient = next((adjoint for node, _, adjoint in nodes if node.op == "name" and node.data == wrt), None)
    if gradient is None:
        raise FormulaError(f"{wrt} does not occur in the function")
    return Interior(f, wrt, point.values[f], gradient, by_path, nodes)


def _ones(x: Expr, point: Point) -> Value:
    return evaluate(UNIT if x.is_scalar else filled("ones", *x.shape), point)


def _numbers(f: Expr, wrt: list[str], point: Point, seed: Value, pull: Pull) -> Iterator[tuple[Expr, Value, Value]]:
    """The backward pass in numbers: each node's rule is evaluated where its operands are inputs of their own."""
    evaluate(f, point)
    wanted = set(wrt)
    received: dict[Expr, Value] = {f: seed}
    for node in reversed([node for node in f.nodes() if node.names & wanted]):
        if node not in received:  # nothing reaches it: its share was zero everywhere
            yield node, point.values[node], evaluate(zero(node), point)
            continue
        adjoint = received[node]
        yield node, point.values[node], adjoint
        if node.op == "name":
            continue
        local, rules = localized(node, pull)
        inputs = {"Y bar": adjoint}
        inputs |= {str(arg.data): point.values[own] for arg, own in zip(local.args, node.args, strict=True) if arg.op == "name"}
        here = Point(inputs, point.sizes, point.like, {local: point.values[node]})
        for operand, rule in zip(node.args, rules, strict=True):
            if rule is None or not operand.names & wanted:
                continue
            share = evaluate(rule, here)
            received[operand] = received[operand] + share if operand in received else share


def localized(node: Expr, pull: Pull = shares) -> tuple[Expr, tuple[Expr | None, ...]]:
    """The node with inputs named 1, 2, ... for its operands (numbers stay), and its shares of the adjoint "Y bar" in terms of them."""
    args = tuple(name(str(k), *arg.shape) if arg.names else arg for k, arg in enumerate(node.args, start=1))
    local = replace(node, args=args, span=None)
    return local, _rules(local, pull)


@lru_cache(maxsize=4096)
def _rules(local: Expr, pull: Pull) -> tuple[Expr | None, ...]:
    return pull(local, name("Y bar", *local.shape))
