"""A claim in floats: what it says, what is true, and what any other derivative would say, at points of three sizes.

An explanation is another derivative that turns out to be what was claimed, or another claim that turns out to be true.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np

from matcalc.claims.layers import difference, float_points, sizes_for
from matcalc.claims.points import Floats, Sizes, Variable
from matcalc.claims.question import Question, named
from matcalc.claims.truth import adjoint_of
from matcalc.derivation.adjoints import Pull, shares
from matcalc.derivation.building import UNIT
from matcalc.derivation.deriving import symmetric_part
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import Point, evaluate, name

FITS = 1e-8
"Relative distance below which two derivatives are the same in floats."
SIZES, POINTS = 3, 3
SEED = "seed bar"
"The adjoint that a function of many entries is given from outside."
NUDGE = 1e-9
"Relative move of the inputs that a derivative must not feel, for a point to count."
LARGE = 1e9
BROKEN = (np.linalg.LinAlgError, ArithmeticError, ValueError, KeyError, IndexError)


@dataclass(eq=False)
class At:
    """A point, and what is known there."""

    sizes: Sizes
    inputs: dict[str, Floats]
    point: Point
    claimed: Floats = field(default_factory=lambda: np.zeros(()))
    true: Floats = field(default_factory=lambda: np.zeros(()))


@dataclass(eq=False)
class Bench:
    """A question and its points."""

    question: Question
    points: list[At]

    @property
    def claim(self) -> Expr:
        """What is claimed."""
        return self.question.claim

    # --- derivatives as expressions -----------------------------------------------------------------------------------------------

    @property
    def seed(self) -> Expr:
        """What comes in from outside."""
        target = self.question.target
        return UNIT if target.is_scalar else name(SEED, *target.shape)

    def derived(self, *, of: Expr | None = None, by: str | None = None, pull: Pull = shares) -> Expr | None:
        """The derivative (its adjoint, for a function of many entries) by rules that may be wrong; None where they lead nowhere."""
        variable = named(self.question.variables, by or self.question.wrt.name)
        try:
            return adjoint_of(of or self.question.target, variable, seed=self.seed, pull=pull)
        except FormulaError:
            return None

    @cached_property
    def derivative(self) -> Expr | None:
        """The true derivative; None where there is no rule for it."""
        found = self.derived()
        return symmetric_part(found) if self.question.of_symmetric and found is not None else found

    # --- numbers ------------------------------------------------------------------------------------------------------------------

    def adjoint(self, expr: Expr, at: At) -> Floats:
        """A derivative, of whatever shape, from its adjoint: for a function of many entries one row for each seed."""
        if self.question.target.is_scalar:
            found = value(expr, at.point)
            return found.T.reshape(1, -1) if self.question.kind == "jacobian" else found
        shape = tuple(size.at(at.sizes) for size in self.question.target.shape)
        seeds = ({**at.inputs, SEED: e} for e in units(shape if math.prod(shape) > 1 else ()))
        known = at.point.values
        J = np.array([value(expr, Point(inputs, at.sizes, at.point.like, dict(known))).T.ravel() for inputs in seeds])
        return J.reshape(shape[::-1]).T if self.question.kind == "derivative" else J

    def claimed(self, expr: Expr, at: At) -> Floats:
        """What an expression says where it is taken for the derivative; a differential entry by entry."""
        if self.question.kind != "differential":
            return value(expr, at.point)
        return self._along_entries(lambda dX: value(expr, Point({**at.inputs, self.question.moved: dX}, at.sizes, at.point.like)), at)

    def differences(self, at: At) -> Floats:
        """The derivative in floats, for what has no rule."""
        f, wrt = self.question.target, self.question.wrt.name
        return self._along_entries(lambda dX: difference(f, at.inputs, wrt, dX, at.sizes)[0], at)

    def _along_entries(self, slope: Callable[[Floats], Floats], at: At) -> Floats:
        """The derivative of this kind, from the slopes along the entries of the variable."""
        x = at.inputs[self.question.wrt.name]
        slopes = [slope(dX) for dX in units(x.shape)]
        if self.question.kind == "derivative":
            return slopes[0]
        J = np.array([column.T.ravel() for column in slopes]).T
        return J.reshape(x.T.shape).T if self.question.target.is_scalar and self.question.kind != "jacobian" else J

    def at(self, sizes: Sizes, inputs: dict[str, Floats]) -> At | None:
        """Both sides at a point; None where one of them is undefined, or too large to be compared."""
        at = At(sizes, inputs, Point(inputs, sizes, np.zeros(())))
        try:
            at.claimed = self.claimed(self.claim, at)
            at.true = self.adjoint(self.derivative, at) if self.derivative is not None else self.differences(at)
        except BROKEN:
            return None
        fine = np.all(np.isfinite(at.claimed)) and np.all(np.isfinite(at.true))
        return at if fine and max(np.max(np.abs(at.claimed), initial=0), np.max(np.abs(at.true), initial=0)) < LARGE else None

    # --- comparisons --------------------------------------------------------------------------------------------------------------

    def is_claimed(self, expr: Expr | None, *, factor: bool = False) -> Fraction | None:
        """The constant (1, unless `factor`) that makes what is claimed of another derivative; None if there is none."""
        return None if expr is None else self.equal(lambda at: self.adjoint(expr, at), lambda at: at.claimed, factor=factor)

    def is_true(self, expr: Expr) -> bool:
        """Whether another claim is the truth."""
        return self.equal(lambda at: self.claimed(expr, at), lambda at: at.true) is not None

    def equal(self, made: Callable[[At], Floats], wanted: Callable[[At], Floats], *, factor: bool = False) -> Fraction | None:
        """The constant c with c made = wanted at all points: 1, or a simple one."""
        c: Fraction | None = None if factor else Fraction(1)
        with np.errstate(all="ignore"):
            for at in self.points:
                try:
                    a, b = np.asarray(made(at)), np.asarray(wanted(at))
                except BROKEN:
                    return None
                if a.shape != b.shape and not (a.size == b.size and 1 in a.shape and 1 in b.shape):
                    return None
                a = a.reshape(b.shape)
                if c is None:
                    c = simple(float(np.sum(a * b) / np.sum(a * a))) if np.any(a) else None
                    if c is None or not c:
                        return None
                if not close(float(c) * a, b):
                    return None
        return c if self.points else None


def units(shape: tuple[int, ...]) -> Iterator[Floats]:
    """Arrays of zeros with a one at one place, by columns."""
    for column in np.eye(math.prod(shape)):
        yield column.reshape(shape[::-1]).T


def value(expr: Expr, point: Point) -> Floats:
    """The value of an expression in floats."""
    return np.asarray(evaluate(expr, point), dtype=np.float64)


def close(a: Floats, b: Floats) -> bool:
    """Whether two arrays of one shape are equal but for rounding."""
    size = max(float(np.max(np.abs(a), initial=0.0)), float(np.max(np.abs(b), initial=0.0)))
    return bool(np.all(np.isfinite(a)) and float(np.max(np.abs(a - b), initial=0.0)) <= FITS * size + 1e-300)


def simple(c: float) -> Fraction | None:
    """The simple fraction that a float is, or None."""
    if not np.isfinite(c) or abs(c) > 1e4:
        return None
    found = Fraction(c).limit_denominator(24)
    return found if abs(float(found) - c) <= 1e-7 * max(1.0, abs(c)) else None


# --- setting it up ---------------------------------------------------------------------------------------------------------------


def bench(question: Question, seed: int = 0) -> Bench:
    """A claim at points of a few sizes, smaller ones first."""
    rng = np.random.default_rng([seed, 65])
    found = Bench(question, [])
    sizes_seen = 0
    with np.errstate(all="ignore"):
        for sizes in sizes_for(question, "search"):
            drawn = [found.at(sizes, inputs) for inputs in float_points(question, sizes, rng, POINTS)]
            here = [at for at in drawn if at is not None and _steady(found, at)]
            found.points += here
            sizes_seen += bool(here)
            if sizes_seen == SIZES:
                break
    found.points.sort(key=lambda at: sum(at.sizes.values()))
    return found


def _steady(found: Bench, at: At) -> bool:
    """Whether the derivative hardly moves with the inputs: at sizes where a matrix is singular all that is left of it is rounding."""
    near = found.at(at.sizes, {name: x * (1 + NUDGE) for name, x in at.inputs.items()})
    size = float(np.max(np.abs(at.true), initial=0.0))
    return near is not None and float(np.max(np.abs(near.true - at.true), initial=0.0)) <= np.sqrt(NUDGE) * max(size, 1.0)


def others(question: Question) -> list[Variable]:
    """The variables other than the one that is differentiated by."""
    return [v for v in question.variables if v.name != question.wrt.name]
