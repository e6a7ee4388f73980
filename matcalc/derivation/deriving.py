"""Derivatives of expressions, step by step: gradients, Jacobians, differentials and second derivatives in matrix form.

Everything is reverse mode. A Jacobian is the matrix of the map from the adjoint of f to the adjoint of the variable, transposed; a
differential is that map turned around, by a second backward pass through it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from matcalc.derivation.adjoints import Pull, catalogue_rule, shares
from matcalc.derivation.building import UNIT, flipped, inner, plus, times
from matcalc.derivation.numbers import agree
from matcalc.derivation.reverse import Path, Visit, backward, paths, prepared
from matcalc.derivation.simplify import Simplifier
from matcalc.derivation.terms import cost, entry_product
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import filled, make, name, number
from matcalc.formula.size import ONE

OUTER = "f_bar"
"The name of the adjoint of f, where f is no scalar."


@dataclass(frozen=True)
class Equality:
    """One step of simplification, and whether the numbers agree; None where they were not or cannot be compared."""

    before: Expr
    after: Expr
    reason: str
    agrees: bool | None


@dataclass(frozen=True)
class BackwardStep:
    """A node of the backward pass: its adjoint, and what it hands to its operands, by which rule of the catalogue."""

    visit: Visit
    rule: str | None


@dataclass(frozen=True)
class Derivation:
    """A derivative and how it was found. For a scalar f it is the gradient, of the shape of the variable; else see `derive`."""

    f: Expr
    wrt: str
    symmetric: frozenset[str]
    prepared: Expr  # f with log det in one piece and squared norms as sums of squares: what is differentiated
    steps: tuple[BackwardStep, ...]  # from the output back; adjoints and shares are simplified
    paths: tuple[Path, ...]  # one for each place where the variable is written; the sum of their adjoints is the derivative
    simplifications: tuple[Equality, ...]
    raw: Expr  # the sum of the paths as the rules give it
    gradient: Expr


def derive(
    f: Expr, wrt: str, symmetric: Collection[str] = (), *, pull: Pull = shares, checked: bool = True, simplifier: Simplifier | None = None
) -> Derivation:
    """The derivative of f with respect to one of its inputs.

    A scalar f has a gradient, of the variable's shape; for a symmetric variable it is the one in the space of symmetric matrices,
    (G + Gᵀ)/2. A vector has a Jacobian by a vector, rows for outputs; anything has a derivative by a scalar, of its own shape.
    Raises FormulaError for others, and for operations without a derivative in matrix form. `checked` compares every
    simplification with what it came from, in numbers.
    """
    known = frozenset(symmetric)
    tidy = simplifier or Simplifier(known)
    variable = _variable(f, wrt)
    whole = prepared(f)
    tidy(whole)  # so that its sums are written in derivatives as they are in f
    seed = UNIT if f.is_scalar else name(OUTER, *f.shape)
    visits = tuple(backward(whole, [wrt], seed=seed, pull=pull, tidy=tidy))
    steps = tuple(BackwardStep(visit, catalogue_rule(visit.node)) for visit in visits)
    own = paths(whole, wrt, seed=seed, pull=pull)
    tidied = tuple(Path(path.place, path.label, path.span, tidy(path.adjoint)) for path in own)
    raw = plus([path.adjoint for path in own])
    found: list[tuple[Expr, Expr, str]] = [(f, whole, "log det in one piece, a squared norm as a sum of squares")]
    found += [(before.adjoint, after.adjoint, before.description) for before, after in zip(own, tidied, strict=True)]
    together = plus([path.adjoint for path in tidied])
    gradient = min((visits[-1].adjoint, tidy(together)), key=cost)
    found.append((together, gradient, "the paths added up"))
    if not f.is_scalar:
        last = _from_outer(f, variable, gradient, tidy)
        if not variable.is_scalar:  # what is compared is the same map
            column = flipped(gradient) if variable.cols != ONE else gradient
            outer = flipped(seed) if f.cols != ONE else seed
            found.append((column, times(flipped(last), outer), "the adjoint of f taken out of the product"))
        else:
            found.append((gradient, inner(seed, last), "the adjoint of f taken out of the product"))
        gradient = last
    elif wrt in known:
        average = symmetric_part(gradient)
        half = tidy(average)
        found.append((average, half, f"{wrt} is symmetric"))
        gradient = half
    equalities = tuple(
        Equality(before, after, reason, agree(before, after, known) if checked else None)
        for before, after, reason in found
        if before != after
    )
    return Derivation(f, wrt, known, whole, steps, tidied, equalities, raw, gradient)


def symmetric_part(G: Expr) -> Expr:
    """(G + Gᵀ)/2, which of gradients in the space of all matrices makes those in the space of symmetric ones."""
    both = sorted((G, flipped(G)), key=lambda part: part.op == "transpose")  # as it is written, the transposed one stands behind
    return make("scale", number(Fraction(1, 2)), make("add", *both))


def _variable(f: Expr, wrt: str) -> Expr:
    for node in f.nodes():
        if node.op == "name" and node.data == wrt:
            return node
    known = ", ".join(sorted(f.names)) or "no input"
    raise FormulaError(f"{wrt} does not occur in the function, which has {known}")


def jacobian(f: Expr, wrt: str, symmetric: Collection[str] = (), simplifier: Simplifier | None = None) -> Expr:
    """The derivative as in `derive`, without the steps."""
    tidy = simplifier or Simplifier(frozenset(symmetric))
    tidy(prepared(f))
    variable = _variable(f, wrt)
    gradient = _pulled(prepared(f), wrt, UNIT if f.is_scalar else name(OUTER, *f.shape), tidy)
    return gradient if f.is_scalar else _from_outer(f, variable, gradient, tidy)


def hessian(f: Expr, wrt: str, symmetric: Collection[str] = ()) -> Expr:
    """The matrix of second derivatives of a scalar by a vector (or by a scalar, a scalar); by a matrix, only where they are zero."""
    if not f.is_scalar:
        raise FormulaError(f"a Hessian is of a scalar function, but this one is {f.rows} by {f.cols}")
    tidy = Simplifier(frozenset(symmetric))
    first = jacobian(f, wrt, symmetric, tidy)
    if wrt not in first.names:
        entries = first.rows * first.cols
        return filled("zeros", entries, entries) if not first.is_scalar else number(0)
    return jacobian(first, wrt, symmetric, tidy)


def differential(f: Expr, wrt: Collection[str], symmetric: Collection[str] = ()) -> Expr:
    """The differential of f in the differentials of the variables, inputs named "dX" for X."""
    tidy = Simplifier(frozenset({*symmetric, *(f"d{word}" for word in symmetric if word in wrt)}))
    whole = prepared(f)
    tidy(whole)
    outer = UNIT if f.is_scalar else name(OUTER, *f.shape)
    parts: list[Expr] = []
    for word in wrt:
        variable = _variable(f, word)
        tangent = name(f"d{word}", *variable.shape)
        action = inner(_pulled(whole, word, outer, tidy), tangent)
        parts.append(action if f.is_scalar else _pulled(action, OUTER, UNIT, tidy))
    return tidy(plus(parts))


def _pulled(f: Expr, wrt: str, seed: Expr, tidy: Simplifier) -> Expr:
    """The adjoint of the variable, where that of f is `seed`."""
    *_, last = backward(f, [wrt], seed=seed, tidy=tidy)
    return last.adjoint


def _from_outer(f: Expr, variable: Expr, adjoint: Expr, tidy: Simplifier) -> Expr:
    """The Jacobian, from the adjoint of the variable in terms of that of f."""
    if variable.is_scalar:
        return _pulled(adjoint, OUTER, UNIT, tidy) if OUTER in adjoint.names else tidy(filled("zeros", *f.shape))
    if ONE not in f.shape or ONE not in variable.shape:
        raise FormulaError(
            f"the derivative of a {f.rows} by {f.cols} function by a {variable.rows} by {variable.cols} variable is no matrix; "
            "ask for its differential"
        )
    if OUTER not in adjoint.names:
        return filled("zeros", f.rows if f.cols == ONE else f.cols, variable.rows if variable.cols == ONE else variable.cols)
    column = flipped(adjoint) if variable.cols != ONE else adjoint
    if f.cols != ONE:
        column = tidy(column).replaced({OUTER: flipped(name(OUTER, f.cols, 1))})
    forms = [form for form in (tidy(column), tidy.multiplied_out(column)) if form is not None]
    return min((tidy(flipped(matrix_of(form, OUTER, tidy))) for form in forms), key=cost)


def matrix_of(expr: Expr, word: str, tidy: Simplifier) -> Expr:
    """The matrix B with expr = B v, for a column that is linear in the column v of this name.

    FormulaError where v stands somewhere that it cannot be taken out of.
    """
    size = next(node.rows for node in expr.nodes() if node.op == "name" and node.data == word)
    parts: list[Expr] = []
    for (scalars, chain), coefficient in tidy.poly(expr).items():
        place = next((base for base, k in scalars if word in base.names and k == 1), None)
        if place is not None:
            rest = tidy.expression((coefficient, (tuple(item for item in scalars if item[0] != place), chain)), expr.shape)
            parts.append(times(rest, _row_of(place, word, tidy)))
            continue
        front = tidy.expression((coefficient, (scalars, ())), (ONE, ONE))
        parts.append(times(front, *chain[:-1], _last_matrix(chain[-1], word, size_of=filled("eye", size, size), tidy=tidy)))
        if any(word in atom.names for atom in chain[:-1]):
            raise _stuck(expr)
    return tidy(plus(parts))


def _last_matrix(atom: Expr, word: str, *, size_of: Expr, tidy: Simplifier) -> Expr:
    if atom.op == "name":
        return size_of
    if atom.op in {"add", "sub"}:
        return matrix_of(atom, word, tidy)
    powers = tidy.entries.get(atom, {})
    inside = [base for base, k in powers.items() if word in base.names and k == 1]
    if len(inside) == 1 and sum(word in base.names for base in powers) == 1:
        rest = tidy(entry_product({base: k for base, k in powers.items() if base != inside[0]}, atom))
        return times(make("diag", rest), matrix_of(inside[0], word, tidy))
    raise _stuck(atom)


def _row_of(scalar: Expr, word: str, tidy: Simplifier) -> Expr:
    """The row aᵀ with scalar = aᵀ v."""
    match scalar:
        case Expr(op="matmul", args=(left, right)) if word not in left.names:
            return times(left, matrix_of(tidy(right), word, tidy))
        case Expr(op="matmul"):
            return _row_of(tidy.flipped_product(scalar), word, tidy)
        case Expr(op="sum", args=(x,)) if x.cols == ONE:
            return times(flipped(filled("ones", x.rows)), matrix_of(tidy(x), word, tidy))
        case Expr(op="add" | "sub"):
            return matrix_of(scalar, word, tidy)
        case _:
            raise _stuck(scalar)


def _stuck(expr: Expr) -> FormulaError:
    return FormulaError(f"the derivative passes through {expr.op} of the adjoint and has no matrix form here; ask for the differential")
