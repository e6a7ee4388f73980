"""Expressions with one thing changed, as somebody who erred would have to change theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

from matcalc.claims.points import Variable
from matcalc.derivation.building import flipped, ones
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import make, number

Path = tuple[int, ...]
MOST_PLACES = 80
"Places of an expression that are looked at."
LONG = 5
"Products of this many factors are changed by exchanging two; shorter ones in every order."


@dataclass(frozen=True)
class Edit:
    """A changed expression, and where it was changed: what stood there, and what stands there now."""

    expr: Expr
    old: Expr
    new: Expr


def places(expr: Expr) -> list[tuple[Path, Expr]]:
    """Every occurrence of every part, from the outside in."""
    found: list[tuple[Path, Expr]] = []
    stack: list[tuple[Path, Expr]] = [((), expr)]
    while stack and len(found) < MOST_PLACES:
        path, node = stack.pop()
        found.append((path, node))
        stack.extend(((*path, k), arg) for k, arg in reversed(list(enumerate(node.args))))
    return found


def put(expr: Expr, path: Path, new: Expr) -> Expr:
    """The expression with another part at a place; ShapeError where it does not fit."""
    if not path:
        return new
    k, *rest = path
    args = [put(arg, tuple(rest), new) if i == k else arg for i, arg in enumerate(expr.args)]
    return rebuilt(expr, args)


def rebuilt(expr: Expr, args: list[Expr]) -> Expr:
    """The same operation on other operands, typed anew; a product with a number becomes a multiple."""
    if expr.op == "matmul" and (args[0].is_scalar or args[1].is_scalar):
        first, second = args if args[0].is_scalar else reversed(args)
        return make("scale", first, second)
    return make(expr.op, *args, data=expr.data)


def everywhere(expr: Expr, old: Expr, new: Expr) -> Expr:
    """The expression with every occurrence of a part replaced; ShapeError where it does not fit."""
    done: dict[Expr, Expr] = {}
    for node in expr.nodes():
        done[node] = new if node == old else rebuilt(node, [done[a] for a in node.args]) if node.args else node
    return done[expr]


def _tried(expr: Expr, changes: Iterable[tuple[Path, Expr, Expr]]) -> Iterator[Edit]:
    """The edits that fit, each once."""
    seen = {expr}
    for path, old, new in changes:
        try:
            changed = put(expr, path, new)
        except FormulaError:
            continue
        if changed not in seen:
            seen.add(changed)
            yield Edit(changed, old, new)


def _all(expr: Expr, changes: Iterable[tuple[Expr, Expr]]) -> Iterator[Edit]:
    """The edits of all occurrences at once that fit."""
    seen = {expr}
    for old, new in changes:
        try:
            changed = everywhere(expr, old, new)
        except FormulaError:
            continue
        if changed not in seen:
            seen.add(changed)
            yield Edit(changed, old, new)


# --- transposes ------------------------------------------------------------------------------------------------------------------


def _can_turn(node: Expr) -> bool:
    return not node.is_scalar and flipped(node) != node


def toggled(expr: Expr) -> Iterator[Edit]:
    """One part transposed, wherever it fits: the names first, then everything else."""
    inside = {(*path, 0) for path, node in places(expr) if node.op == "transpose"}
    found = [(path, node) for path, node in places(expr) if path not in inside and _can_turn(node)]
    found.sort(key=lambda item: (sum(1 for _ in item[1].nodes()), item[0]))
    yield from _tried(expr, ((path, node, flipped(node)) for path, node in found))
    yield from _all(expr, ((node, flipped(node)) for node in expr.nodes() if node.op in {"name", "inv", "transpose"} and _can_turn(node)))


# --- orders of products ----------------------------------------------------------------------------------------------------------


def _factors(node: Expr) -> list[Expr]:
    if node.op == "matmul":
        return [factor for arg in node.args for factor in _factors(arg)]
    return [node]


def chains(expr: Expr) -> Iterator[tuple[Path, list[Expr]]]:
    """Every product of matrices that is no part of a longer one, by its factors."""
    products = {path for path, node in places(expr) if node.op == "matmul"}
    for path, node in places(expr):
        if path in products and not (path and path[:-1] in products):
            yield path, _factors(node)


def _product(factors: Iterable[Expr]) -> Expr:
    total: Expr | None = None
    for factor in factors:
        if total is None:
            total = factor
        elif total.is_scalar or factor.is_scalar:
            total = make("scale", total, factor) if total.is_scalar else make("scale", factor, total)
        else:
            total = make("matmul", total, factor)
    return total if total is not None else number(1)


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    plain = tuple(range(count))
    if count < LONG:
        yield from (order for order in permutations(plain) if order != plain)
        return
    for i in plain:
        for j in range(i + 1, count):
            order = list(plain)
            order[i], order[j] = order[j], order[i]
            yield tuple(order)
    for i in plain:
        rest = [k for k in plain if k != i]
        yield from ((*rest[:j], i, *rest[j:]) for j in range(count) if abs(i - j) > 1)


def reordered(expr: Expr) -> Iterator[Edit]:
    """One product in another order, of matrices or of Kronecker; of an outer product x yᵀ also y xᵀ."""

    def changes() -> Iterator[tuple[Path, Expr, Expr]]:
        for path, factors in chains(expr):
            old = _at(expr, path)
            for order in _orders(len(factors)):
                try:
                    yield path, old, _product(factors[k] for k in order)
                except FormulaError:
                    continue
        for path, node in places(expr):
            match node:
                case Expr(op="matmul", args=(x, Expr(op="transpose", args=(y,)))) if x.is_vector or y.is_vector:
                    yield path, node, make("matmul", y, flipped(x)) if x.cols == y.cols else node
                case Expr(op="matmul", args=(a, Expr(op="hadamard", args=(x, y)))) if a.is_square:
                    yield path, node, make("hadamard", x, make("matmul", a, y))
                    yield path, node, make("hadamard", y, make("matmul", a, x))
                case Expr(op="hadamard", args=(x, Expr(op="matmul", args=(a, y)))) if a.is_square:
                    yield path, node, make("matmul", a, make("hadamard", x, y))
                case Expr(op="kron", args=(a, b)):
                    yield path, node, make("kron", b, a)
                case _:
                    pass

    yield from _tried(expr, changes())


def upside_down(expr: Expr) -> Iterator[Edit]:
    """A quotient with its sides exchanged."""

    def changes() -> Iterator[tuple[Path, Expr, Expr]]:
        for path, node in places(expr):
            match node:
                case Expr(op="quotient", args=(x, y)):
                    yield path, node, make("quotient", y, x)
                    if x.op == "neg":
                        yield path, node, make("neg", make("quotient", y, x.args[0]))
                case Expr(op="divide", args=(x, y)) if x.is_scalar:
                    yield path, node, make("divide", y, x)
                case _:
                    pass

    yield from _tried(expr, changes())


def _at(expr: Expr, path: Path) -> Expr:
    for k in path:
        expr = expr.args[k]
    return expr


# --- kinds of product and of function --------------------------------------------------------------------------------------------


def _other_kinds(node: Expr) -> Iterator[Expr]:  # noqa: C901, PLR0912  (a table)
    """What a part may have been taken for: products, functions and sums of entries or of matrices."""
    match node:
        case Expr(op="matmul", args=(a, Expr(op="ones"))) if a.is_square and node.is_vector:
            yield make("diagonal", a)
        case Expr(op="scale", args=(c, Expr(op="ones"))):
            yield from _inner_products_by_entry(c, node)
        case Expr(op="matmul", args=(a, b)):
            yield from _entry_by_entry(a, b)
        case Expr(op="hadamard", args=(a, b)):
            for first, second in ((a, b), (a, flipped(b)), (flipped(a), b), (b, a)):
                if first.cols == second.rows:
                    yield make("matmul", first, second)
        case Expr(op="power", args=(Expr(op="sum" | "trace" | "norm", args=(x,)), p)):
            yield make("sum", make("power", x, p))
        case Expr(op="exp" | "log" | "sqrt" as op, args=(Expr(op="sum" | "trace", args=(x,)),)):
            yield make("sum", make(op, x))
        case Expr(op="trace", args=(x,)):
            yield make("sum", x)
        case Expr(op="sum", args=(x,)) if x.is_square:
            yield make("trace", x)
        case Expr(op="diag", args=(x,)):
            yield x
        case _ if node.is_square and not node.is_scalar:
            yield from _of_square(node)
        case _:
            pass


def _of_square(node: Expr) -> Iterator[Expr]:
    """The same for functions of square matrices."""
    match node:
        case Expr(op="exp", args=(x,)):
            yield make("expm", x)
        case Expr(op="expm", args=(x,)):
            yield make("exp", x)
        case Expr(op="power", args=(x, p)) if (exponent := _whole(p)) is not None:
            yield make("matpow", x, data=exponent)
        case Expr(op="matpow", args=(x,)):
            yield make("power", x, number(int(str(node.data))))
        case Expr(op="inv", args=(x,)):
            yield make("quotient", ones(x), x)
        case Expr(op="quotient", args=(x, y)):
            yield make("matmul", x, make("inv", y))
        case _:
            pass


def _entry_by_entry(a: Expr, b: Expr) -> Iterator[Expr]:
    for first, second in ((a, b), (flipped(a), b), (a, flipped(b))):
        if first.shape == second.shape and not first.is_scalar:
            yield make("hadamard", first, second)
    if a.op == "diag" and b.is_vector:
        yield make("hadamard", a.args[0], b)


def _inner_products_by_entry(c: Expr, like: Expr) -> Iterator[Expr]:
    """The number xᵀy times ones for the product entry by entry."""
    for part in c.nodes():
        match part:
            case Expr(op="matmul", args=(Expr(op="transpose", args=(x,)), y)) if x.shape == y.shape == like.shape:
                yield make("scale", everywhere(c, part, number(1)), make("hadamard", x, y))
            case _:
                pass


def _whole(p: Expr) -> int | None:
    return p.data.numerator if isinstance(p.data, Fraction) and p.data.denominator == 1 else None


def otherwise_multiplied(expr: Expr) -> Iterator[Edit]:
    """A product of entries for one of matrices, exp for expm, and so on, at one place or at all."""
    yield from _tried(expr, ((path, node, new) for path, node in places(expr) for new in _other_kinds(node)))
    yield from _all(expr, ((node, new) for node in expr.nodes() for new in _other_kinds(node)))


# --- operands, signs, numbers, inverses -------------------------------------------------------------------------------------------


def renamed(expr: Expr, variables: Iterable[Variable]) -> Iterator[Edit]:
    """Another name of the same shape, at one place or at all."""
    known = [v.expr for v in variables]

    def alternatives(node: Expr) -> Iterator[Expr]:
        if node.op == "name":
            for other in known:
                if other.data != node.data and other.shape == node.shape:
                    yield other
                elif other.data != node.data and not other.is_scalar and flipped(other).shape == node.shape:
                    yield flipped(other)

    yield from _tried(expr, ((path, node, new) for path, node in places(expr) for new in alternatives(node)))
    yield from _all(expr, ((node, new) for node in expr.nodes() for new in alternatives(node)))


def reread(expr: Expr, parts: Iterable[Expr]) -> Iterator[Edit]:
    """Another part of the function, of the same shape, at one place."""
    known = [part for part in parts if part.op != "number"]

    def changes() -> Iterator[tuple[Path, Expr, Expr]]:
        for path, node in places(expr):
            if path and node.op != "number":
                yield from ((path, node, part) for part in known if part.shape == node.shape and part != node)

    yield from _tried(expr, changes())


def exchanged(expr: Expr, variables: Iterable[Variable]) -> Iterator[Edit]:
    """Two names of one shape, each in the place of the other: everywhere, or at one place each."""
    known = [v.expr for v in variables if v.name in expr.names]
    found = [(path, node) for path, node in places(expr) if node.op == "name"]
    for i, a in enumerate(known):
        for b in known[i + 1 :]:
            if a.shape != b.shape:
                continue
            yield Edit(expr.replaced({str(a.data): b, str(b.data): a}), a, b)
            for first in (path for path, node in found if node == a):
                for second in (path for path, node in found if node == b):
                    yield Edit(put(put(expr, first, b), second, a), a, b)


_FUNCTIONS = ("exp", "log", "sin", "cos", "tanh", "sigmoid", "sqrt", "abs", "sign")


def refunctioned(expr: Expr) -> Iterator[Edit]:
    """Another function of entries: sin for cos, 1 - y² for 1 - y, y (1 - y) for y."""

    def changes() -> Iterator[tuple[Path, Expr, Expr]]:
        for path, node in places(expr):
            if node.op in _FUNCTIONS or node.op == "softplus":
                x = node.args[0]
                yield path, node, x
                yield from ((path, node, make(op, x)) for op in _FUNCTIONS if op != node.op)
                complement = make("sub", ones(node), node)
                yield path, node, make("hadamard", node, complement)
                yield path, node, complement
                yield path, node, make("power", node, number(2))
                yield path, node, make("sub", ones(node), make("power", node, number(2)))
            elif node.op == "power" and not node.is_scalar:
                yield path, node, node.args[0]
                if node.args[1].op == "number" and isinstance(node.args[1].data, Fraction):
                    yield path, node, make("power", node.args[0], number(node.args[1].data + 1))
                    yield path, node, make("power", node.args[0], number(node.args[1].data - 1))
            elif node.op == "softmax":
                yield path, node, make("exp", node.args[0])
                yield path, node, make("sigmoid", node.args[0])
            elif node.is_vector and node.op == "name":
                yield path, node, make("sign", node)
                yield path, node, make("abs", node)

    yield from _tried(expr, changes())


def resigned(expr: Expr) -> Iterator[Edit]:
    """A plus for a minus, at one place."""
    opposite = {"add": "sub", "sub": "add"}

    def changes() -> Iterator[tuple[Path, Expr, Expr]]:
        for path, node in places(expr):
            if node.op in opposite:
                yield path, node, make(opposite[node.op], *node.args)
                yield path, node, make(opposite[node.op], make("neg", node.args[0]), node.args[1])
            elif node.op == "neg" and path:
                yield path, node, node.args[0]

    yield from _tried(expr, changes())


def renumbered(expr: Expr) -> Iterator[Edit]:
    """A number in it doubled, halved, one more or one less; a term that gets a factor."""

    def changes() -> Iterator[tuple[Path, Expr, Expr]]:
        for path, node in places(expr):
            if node.op == "number" and isinstance(node.data, Fraction):
                for value in (node.data * 2, node.data / 2, node.data + 1, node.data - 1, -node.data):
                    yield path, node, number(value)
            if node.op in {"add", "sub"}:
                for k, term in enumerate(node.args):
                    for factor in (Fraction(2), Fraction(1, 2)):
                        yield (*path, k), term, make("scale", number(factor), term)

    yield from _tried(expr, changes())


def inverted(expr: Expr) -> Iterator[Edit]:
    """An inverse that is not one, or one that is missing."""

    def changes() -> Iterator[tuple[Path, Expr, Expr]]:
        for path, node in places(expr):
            if node.op == "inv":
                yield path, node, node.args[0]
            elif node.is_square and not node.is_scalar and node.op not in {"transpose", "eye"}:
                yield path, node, make("inv", node)

    yield from _tried(expr, changes())
    yield from _all(expr, ((node, node.args[0]) for node in expr.nodes() if node.op == "inv"))
    yield from _all(
        expr, ((node, make("inv", node)) for node in expr.nodes() if node.op == "name" and node.is_square and not node.is_scalar)
    )


def shortened(expr: Expr) -> Iterator[Edit]:
    """A factor or a term left out."""

    def changes() -> Iterator[tuple[Path, Expr, Expr]]:
        for path, node in places(expr):
            match node:
                case Expr(op="matmul" | "hadamard" | "scale" | "add", args=(a, b)):
                    yield path, node, a
                    yield path, node, b
                case Expr(op="sub", args=(a, b)):
                    yield path, node, a
                    yield path, node, make("neg", b)
                case Expr(op="divide" | "quotient", args=(a, _)):
                    yield path, node, a
                case _:
                    pass

    yield from _tried(expr, changes())
