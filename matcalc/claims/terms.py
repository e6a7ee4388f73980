"""Expressions as sums of products: a non-commutative polynomial over names, their transposes, inverses and whatever else is a unit.

Two formulas beside each other in this form show which terms of the one the other lacks. It proves nothing: equal polynomials are
equal, but different ones may be equal too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

from matcalc.derivation.building import MOST_SIZE, flipped, ones
from matcalc.formula.expression import Expr
from matcalc.formula.operations import filled, make, number

MOST_TERMS = 48
"An expression that falls into more terms than this is left as it is."
Product = tuple[tuple[Expr, ...], tuple[Expr, ...]]
"Scalar factors in a fixed order, and matrix factors in theirs."
Sum = dict[Product, Fraction]
LINEAR = {"trace", "sum", "diag", "diagonal", "vec", "hadamard", "kron"}
"Operations that are linear in each operand."


@dataclass(frozen=True)
class Aligned:
    """Two sums term by term."""

    common: tuple[Expr, ...]
    missing: tuple[Expr, ...]  # in the truth only
    extra: tuple[Expr, ...]  # in the claim only
    changed: tuple[tuple[Expr, Expr], ...]  # in both, but for their coefficients: as claimed, as true


def aligned(claim: Expr, truth: Expr, symmetric: Collection[str] = ()) -> Aligned:
    """What a claim has in common with the truth, lacks, and has too much."""
    a, b = expanded(claim, symmetric), expanded(truth, symmetric)
    return Aligned(
        tuple(_term(p, b[p], truth) for p in b if a.get(p) == b[p]),
        tuple(_term(p, b[p], truth) for p in b if p not in a),
        tuple(_term(p, a[p], claim) for p in a if p not in b),
        tuple((_term(p, a[p], claim), _term(p, b[p], truth)) for p in b if p in a and a[p] != b[p]),
    )


def terms(expr: Expr, symmetric: Collection[str] = ()) -> list[Expr]:
    """The terms of the sum that an expression is."""
    return [_term(product, coefficient, expr) for product, coefficient in expanded(expr, symmetric).items()]


def expanded(expr: Expr, symmetric: Collection[str] = ()) -> Sum:
    """The polynomial that an expression is: coefficients by products; one term where it is too long to be taken apart."""
    if expr.length > MOST_SIZE:
        return {_unit(expr): Fraction(1)}
    done: dict[Expr, Sum] = {}
    for node in expr.nodes():
        total = _expanded(node, done, symmetric)
        total = {product: c for product, c in total.items() if c}
        fits = len(total) <= MOST_TERMS and sum(x.length for scalars, chain in total for x in (*scalars, *chain)) <= MOST_SIZE
        done[node] = total if fits else {_unit(node): Fraction(1)}
    return done[expr]


def _unit(atom: Expr) -> Product:
    if atom.op == "eye" and atom.is_square:
        return (), (atom,)
    return ((atom,), ()) if atom.is_scalar else ((), (atom,))


def _expanded(node: Expr, done: Mapping[Expr, Sum], symmetric: Collection[str]) -> Sum:  # noqa: PLR0911  (a table)
    parts = [done[arg] for arg in node.args]
    match node.op:
        case "number":
            value = node.data
            return {((), ()): value} if isinstance(value, Fraction) else {_unit(node): Fraction(1)}
        case "zeros":
            return {}
        case "add" | "sub":
            return _added(parts[0], parts[1], -1 if node.op == "sub" else 1)
        case "neg":
            return {product: -c for product, c in parts[0].items()}
        case "scale" | "matmul":
            return _multiplied(parts[0], parts[1], node)
        case "divide":
            return _multiplied(parts[0], _reciprocal(node.args[1], parts[1]), node)
        case "transpose":
            return {_turned(product, symmetric): c for product, c in parts[0].items()}
        case op if op in LINEAR:
            return _through(node, parts)
        case _:
            return {_unit(_rebuilt(node, parts)): Fraction(1)}


def _added(a: Sum, b: Sum, sign: int) -> Sum:
    total = dict(a)
    for product, c in b.items():
        total[product] = total.get(product, Fraction(0)) + sign * c
    return total


def _multiplied(a: Sum, b: Sum, node: Expr) -> Sum:
    total: Sum = {}
    for (s, u), p in a.items():
        for (t, v), q in b.items():
            product = _normal([*s, *t], [*u, *v], node)
            total[product] = total.get(product, Fraction(0)) + p * q
    return total


def _normal(scalars: list[Expr], chain: list[Expr], node: Expr) -> Product:
    """Factors in order: identities gone, and a product that is a number among the scalars, told in one of its two ways."""
    kept = [x for x in chain if not (x.op == "eye" and x.is_square)]
    if not kept and chain:
        kept = chain[:1]
    if kept and node.is_scalar:
        turned = [flipped(x) for x in reversed(kept)]
        chosen = min(kept, turned, key=lambda factors: [repr(x) for x in factors])
        scalars, kept = [*scalars, _chain(chosen)], []
    return tuple(sorted(scalars, key=repr)), tuple(kept)


def _reciprocal(expr: Expr, value: Sum) -> Sum:
    if len(value) == 1:
        ((scalars, chain), c) = next(iter(value.items()))
        if not chain and not scalars and c:
            return {((), ()): 1 / c}
    return {((make("power", expr, number(-1)),), ()): Fraction(1)}


def _turned(product: Product, symmetric: Collection[str]) -> Product:
    scalars, chain = product
    return scalars, tuple(_flipped(x, symmetric) for x in reversed(chain))


def _flipped(x: Expr, symmetric: Collection[str]) -> Expr:
    if x.op == "name" and x.data in symmetric:
        return x
    if x.op == "inv":
        return make("inv", _flipped(x.args[0], symmetric))
    return flipped(x)


def _through(node: Expr, parts: list[Sum]) -> Sum:
    """An operation that is linear in each operand, term by term."""
    total: Sum = {}
    combined: list[tuple[list[Expr], list[Expr], Fraction]] = [([], [], Fraction(1))]
    for part, arg in zip(parts, node.args, strict=True):
        combined = [
            ([*scalars, *s], [*operands, _bare(chain, arg)], c * q) for scalars, operands, c in combined for (s, chain), q in part.items()
        ]
    for scalars, operands, c in combined:
        atom = make(node.op, *operands, data=node.data)
        product = _normal(scalars, [atom], node)
        total[product] = total.get(product, Fraction(0)) + c
    return total


def _bare(chain: tuple[Expr, ...], like: Expr) -> Expr:
    return _chain(list(chain)) if chain else ones(like)


def _chain(factors: list[Expr]) -> Expr:
    product = factors[0]
    for factor in factors[1:]:
        product = make("matmul", product, factor)
    return product


def _rebuilt(node: Expr, parts: list[Sum]) -> Expr:
    """A unit whose operands are in normal form themselves, so that it is found again."""
    args = tuple(_summed(part, arg) for part, arg in zip(parts, node.args, strict=True))
    return make(node.op, *args, data=node.data) if args else node


def _summed(value: Sum, like: Expr) -> Expr:
    found = sorted((_term(product, c, like) for product, c in value.items()), key=repr)
    if not found:
        return number(0) if like.is_scalar else filled("zeros", like.rows, like.cols)
    total = found[0]
    for each in found[1:]:
        total = make("add", total, each)
    return total


def _term(product: Product, coefficient: Fraction, like: Expr) -> Expr:
    """A coefficient times a product, as an expression of the shape of `like`."""
    scalars, chain = product
    size = abs(coefficient)
    factors = [number(size)] if size != 1 or (not scalars and not chain) else []
    factors += scalars
    body: Expr | None = _chain(list(chain)) if chain else None
    if body is None and not like.is_scalar:
        body = filled("ones", like.rows, like.cols)
    if not factors and body is not None:
        return make("neg", body) if coefficient < 0 else body
    number_ = factors[0]
    for factor in factors[1:]:
        number_ = make("scale", number_, factor)
    result = number_ if body is None else make("scale", number_, body)
    return make("neg", result) if coefficient < 0 else result
