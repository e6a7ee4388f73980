"""A typed claim: a function, the variable it is differentiated by, and an expression that is said to be the derivative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from matcalc.array import reshape, total
from matcalc.claims.points import Sizes, Variable, dimensions
from matcalc.claims.truth import gradient
from matcalc.exact import Dual, Exact
from matcalc.formula.expression import Expr, Value
from matcalc.formula.names import like
from matcalc.formula.operations import Point, evaluate
from matcalc.formula.size import Size

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
        """What is differentiated: the function, or its gradient where a Hessian is claimed."""
        return gradient(self.f, self.wrt) if self.kind == "hessian" else self.f

    @cached_property
    def names(self) -> list[str]:
        """The dimensions in it."""
        return dimensions(self.variables, self.f, self.claim)

    @property
    def moved(self) -> str:
        """The name of the variable's differential."""
        return "d" + self.wrt.name

    @property
    def of_symmetric(self) -> bool:
        """Whether it is a gradient in the space of symmetric matrices."""
        return self.kind == "gradient" and self.wrt.is_symmetric

    @property
    def misfit(self) -> str:
        """The shape that is claimed, and the one that is right, in a sentence; nothing if they are one for all sizes."""
        (rows, cols), (m, n) = self.claim.shape, self.shape
        if (rows, cols) == (m, n):
            return ""
        return f"the claim is {rows}×{cols}, but a {self.kind} with respect to {self.wrt.name} must be {m}×{n}"

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
    pairs = [(*beside(question.kind, C, dX, truth), [C * dX if question.kind == "gradient" else C])]
    return [*pairs, (C, C.mT, [C])] if question.of_symmetric else pairs


def beside(kind: str, C: Value, dX: Value, slope: Value) -> tuple[Value, Value]:
    """A claimed derivative applied to a direction, and the slope along it that was found otherwise, as arrays of one shape."""
    match kind:
        case "gradient":
            return total(C * dX), slope
        case "jacobian" | "hessian":
            return reshape(C, C.shape if C.ndim else (1, 1)) @ _vec(dX), _vec(slope)
        case "derivative":
            return C * dX, slope
        case _:  # a differential has the direction in it
            return C, slope


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
    return Question(unified(question.f, by), named(change, question.wrt.name), unified(question.claim, by), tuple(change), question.kind)


def named(variables: Sequence[Variable], name: str) -> Variable:
    """The variable of this name; ValueError, with what may be meant, if there is none."""
    known = [v.name for v in variables]
    if name in known:
        return variables[known.index(name)]
    near = like(name, known)
    hint = f"did you mean {near[0]}" if near else f"there are {', '.join(known)}"
    raise ValueError(f"there is no variable {name!r}; {hint}")
