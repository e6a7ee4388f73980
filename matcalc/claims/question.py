"""A typed claim: a function, the variable it is differentiated by, and an expression that is said to be the derivative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from matcalc.array import reshape
from matcalc.claims.points import Sizes, Variable, dimensions
from matcalc.exact import Dual, Exact
from matcalc.formula.expression import Expr, Value
from matcalc.formula.operations import Point, evaluate, make
from matcalc.formula.size import ONE, Size

KINDS = ("gradient", "jacobian", "derivative", "differential", "hessian")
Shape = tuple[Size, Size]


@dataclass(frozen=True)
class Question:
    """What is asked: whether `claim` is the derivative, of this kind, of `f` with respect to `wrt`.

    A gradient has the shape of the variable, a derivative by a number that of the function, a Jacobian a row for each entry of the
    function and a column for each of the variable (matrices by columns), a differential is a function of `d` + the variable's name.
    """

    f: Expr
    wrt: Variable
    claim: Expr
    variables: tuple[Variable, ...]
    kind: str
    dims: tuple[Sizes, ...] = ()

    @property
    def shape(self) -> Shape:
        """The shape that the claim must have."""
        return shape_of(self.kind, self.target, self.wrt)

    @cached_property
    def target(self) -> Expr:
        """What is differentiated: the function, or its gradient where a Hessian is claimed; a row of a flat variable as a column."""
        if self.kind == "hessian":
            from matcalc.claims.truth import gradient

            return gradient(self.f, self.wrt)
        if self.f.rows == ONE and not self.f.is_scalar:
            return make("transpose", self.f)
        return self.f

    @cached_property
    def names(self) -> list[str]:
        """The dimensions in it."""
        return dimensions(self.variables, self.f, self.claim)

    @property
    def moved(self) -> str:
        """The name of the variable's differential."""
        return "d" + self.wrt.name

    def fits(self) -> bool:
        """Whether the claim has the right shape for all sizes."""
        return self.claim.shape == self.shape

    def with_claim(self, claim: Expr) -> Question:
        """The same question of another claim."""
        return replace(self, claim=claim)


def kind_of(f: Expr, wrt: Variable, claim: Expr | None) -> str:
    """The kind of derivative that is meant where nobody says it."""
    if claim is not None and "d" + wrt.name in claim.names:
        return "differential"
    if f.is_scalar:
        return "gradient"
    return "derivative" if wrt.expr.is_scalar else "jacobian"


def shape_of(kind: str, target: Expr, wrt: Variable) -> Shape:
    """The shape of a derivative of this kind."""
    match kind:
        case "gradient":
            return wrt.rows, wrt.cols
        case "jacobian" | "hessian":
            return target.rows * target.cols, wrt.rows * wrt.cols
        case _:
            return target.shape


def _vec(x: Value) -> Value:
    return reshape(x.mT if x.ndim > 1 else x, (-1, 1))


def both(question: Question, inputs: Mapping[str, Dual], sizes: Sizes, prepare: Any) -> list[tuple[Exact, Exact, list[Exact]]]:
    """What is claimed beside what is true at a point of dual numbers, as pairs, with arrays as large as either is by nature.

    `prepare` is called with an expression and the point it is about to be evaluated at.
    """
    moving = inputs[question.wrt.name]
    dX = moving.tangent
    at = Point(inputs, sizes, type(moving).constant(0))
    prepare(question.target, at)
    truth = evaluate(question.target, at).tangent
    plain: dict[str, Any] = {each: x.value for each, x in inputs.items()}
    if question.kind == "differential":
        plain[question.moved] = dX
    here = Point(plain, sizes, dX.constant(0))
    prepare(question.claim, here)
    C = evaluate(question.claim, here)
    match question.kind:
        case "gradient":
            products = C * dX
            pairs = [(products.total(), truth, [products])]
            return [*pairs, (C, C.mT, [C])] if question.wrt.is_symmetric else pairs
        case "jacobian" | "hessian":
            return [(reshape(C, truth_shape(C)) @ _vec(dX), _vec(truth), [C])]
        case "derivative":
            return [(C * dX, truth, [C])]
        case _:
            return [(C, truth, [C])]


def truth_shape(C: Value) -> tuple[int, ...]:
    """A matrix's shape; that of one by one for a number."""
    return C.shape if C.ndim else (1, 1)


def inner(question: Question, C: np.ndarray[Any, Any], dX: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A claimed derivative applied to a direction, in floats; of a differential the claim itself."""
    match question.kind:
        case "gradient":
            return np.asarray(np.sum(C * dX))
        case "jacobian" | "hessian":
            return np.asarray(C.reshape(truth_shape(C)) @ _vec(dX))
        case "derivative":
            return np.asarray(C * dX)
        case _:
            return np.asarray(C)


def unified(expr: Expr, by: Mapping[str, Size]) -> Expr:
    """The same with some dimensions replaced by sizes, everywhere."""
    done: dict[Expr, Expr] = {}
    for node in expr.nodes():
        data = node.data.replaced(by) if isinstance(node.data, Size) else node.data
        done[node] = replace(
            node, args=tuple(done[a] for a in node.args), rows=node.rows.replaced(by), cols=node.cols.replaced(by), data=data
        )
    return done[expr]


def all_equal(question: Question) -> Question:
    """The same where all dimensions are one, so that transposes and orders of products always fit."""
    by = {each: Size.of("n") for each in question.names}
    change = [replace(v, rows=v.rows.replaced(by), cols=v.cols.replaced(by)) for v in question.variables]
    wrt = next(v for v in change if v.name == question.wrt.name)
    return Question(unified(question.f, by), wrt, unified(question.claim, by), tuple(change), question.kind)


def named(variables: Sequence[Variable], name: str) -> Variable:
    """The variable of this name; ValueError if there is none."""
    for v in variables:
        if v.name == name:
            return v
    raise ValueError(f"there is no variable {name!r}; there are {', '.join(v.name for v in variables)}")
