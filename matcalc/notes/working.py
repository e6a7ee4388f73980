"""Working an example: names with values, names with formulas, and derivatives of the one by the other.

A formula is a formula for good, as in a spreadsheet: where `h = W x` was said and `W` gets another value, h is another h. So a second
forward pass needs no second definition.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import cast

import numpy as np

from matcalc.derivation.building import zero
from matcalc.derivation.graphing import graph
from matcalc.derivation.reverse import backward, prepared
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.names import as_tex
from matcalc.formula.operations import Point, evaluate, make, name
from matcalc.formula.parsing import parse
from matcalc.formula.size import ONE, Size
from matcalc.graph import TOLERANCE, Graph
from matcalc.notes.comparing import Floats
from matcalc.notes.formulas import input_of, plain
from matcalc.notes.formulas import prepared as prepared_text
from matcalc.notes.reading import NAME
from matcalc.oracle.differences import EPSILON, extrapolate, offsets, steps

LARGEST = 10_000
"Entries of a derivative."
ROUNDINGS = 4
SMALL = 1e-6
"A derivative smaller than this is compared absolutely."
_D = r"(?:(?<![^\W\d_])d|∂|\\partial(?![A-Za-z]))\s*"
_Y, _X = rf"(?P<y>{NAME})", rf"(?P<x>{NAME})"
_DERIVATIVES = (re.compile(rf"{_D}{_Y}\s*/\s*{_D}{_X}"), re.compile(rf"\\frac\s*\{{\s*{_D}{_Y}\s*\}}\s*\{{\s*{_D}{_X}\s*\}}"))
_ENTRY = re.compile(r"(?P<name>.+)_(?:\{\s*(?P<row>\d+)\s*(?:,\s*(?P<column>\d+)\s*)?\}|(?P<only>\d+))")
_INDEXED = re.compile(rf"{NAME}(?<=[\d}}])")


class WorkError(ValueError):
    """A line that cannot be worked out; the message is one sentence."""


class KinkError(WorkError):
    """There is no derivative, because the function has a kink here."""


@dataclass(frozen=True)
class Slope:
    """A derivative that somebody wrote: of which name, or entry of it, by which. Places count from 0."""

    y: str
    at: tuple[int, ...]
    x: str
    by: tuple[int, ...]

    @property
    def tex(self) -> str:
        """As a fraction."""
        return rf"\frac{{\partial {_with_place(self.y, self.at)}}}{{\partial {_with_place(self.x, self.by)}}}"


@dataclass(frozen=True)
class Derivative:
    """Its value, and how far finite differences are from it, relative to its size; None where they were not asked."""

    value: Floats
    error: float | None


class Desk:
    """What is known at one line of an example."""

    def __init__(self) -> None:
        self.given: dict[str, Floats] = {}
        self.formulas: dict[str, Expr] = {}
        self.inputs: dict[str, Expr] = {}
        self.slopes: dict[str, Slope] = {}
        self.entries: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.checked = True  # whether derivatives are compared with finite differences

    # --- reading ------------------------------------------------------------------------------------------------------------------

    def read(self, text: str) -> Expr:
        """A formula in the names that are known; derivatives in it become inputs of their own."""
        for pattern in _DERIVATIVES:
            text = pattern.sub(self._as_name, text)
        text = _INDEXED.sub(self._as_entry, text)
        variables = [input_of(each, *expr.shape) for each, expr in self.inputs.items()]
        entries = {handle: self._whole(*place) for handle, place in self.entries.items()}
        return parse(prepared_text(text, self.inputs), variables).expr.replaced(entries)

    def slope(self, text: str) -> Slope | None:
        """The derivative that the text is, if it is one and nothing else."""
        for pattern in _DERIVATIVES:
            if match := pattern.fullmatch(text.strip()):
                return self._slope_of(match)
        return None

    def _slope_of(self, match: re.Match[str]) -> Slope | None:
        y, x = self.target(match["y"]), self.target(match["x"])
        partial = "∂" in match[0] or "\\partial" in match[0]
        if not partial and self.inputs.keys() & {"d", plain(f"d{match['y']}"), plain(f"d{match['x']}")}:
            return None  # a product with d, or a quotient of names that begin with d
        if y and x:
            return Slope(*y, *x)
        if partial:
            raise WorkError(f"{match['x'] if y else match['y']} has not been given or defined above")
        return None

    def target(self, text: str) -> tuple[str, tuple[int, ...]] | None:
        """The name that is meant, and the entry of it, as in `W_{2,1}` and `x_1`; None for a name that is not known."""
        if plain(text) in self.inputs:
            return plain(text), ()
        match = _ENTRY.fullmatch(text.strip())
        if match is None or plain(match["name"]) not in self.inputs:
            return None
        which = plain(match["name"])
        rows, cols = _numbers(self.inputs[which])
        first, second = int(match["row"] or match["only"]), int(match["column"] or 1)
        if (match["column"] is None and cols != 1) or not (1 <= first <= rows and 1 <= second <= cols):
            raise WorkError(f"{which} has {rows} rows and {cols} columns and so no entry {text.strip()}")
        return which, (first - 1, second - 1)

    def _as_name(self, match: re.Match[str]) -> str:
        slope = self._slope_of(match)
        if slope is None:
            return match[0]
        rows, cols = _shape_of_slope(self._whole(slope.y, slope.at), self._whole(slope.x, slope.by))
        handle = next((each for each, other in self.slopes.items() if other == slope), None) or self._handle()
        self.slopes[handle] = slope
        self.inputs[handle] = name(handle, rows, cols)
        return f" {handle} "

    def _as_entry(self, match: re.Match[str]) -> str:
        found = self.target(match[0])
        if found is None:
            return match[0]
        if not found[1]:
            return re.sub(r"_\{(\d)\}", r"_\1", match[0])  # outside LaTeX, braces are brackets
        handle = next((each for each, other in self.entries.items() if other == found), None) or self._handle()
        self.entries[handle] = found
        self.inputs[handle] = name(handle)
        return f" {handle} "

    def _handle(self) -> str:
        return next(handle for k in count(1) if (handle := f"qq{k}") not in self.inputs)

    def _whole(self, which: str, place: tuple[int, ...]) -> Expr:
        return make("entry", self.inputs[which], data=place) if place else self.inputs[which]

    @property
    def handles(self) -> dict[str, str]:
        """The TeX of the names that stand for derivatives."""
        return {handle: slope.tex for handle, slope in self.slopes.items()}

    # --- names --------------------------------------------------------------------------------------------------------------------

    def give(self, which: str, value: Floats) -> None:
        """A value for a name, which may have had one before."""
        self._shaped(which, value.shape)
        self.formulas.pop(which, None)
        self.given[which] = value

    def define(self, which: str, formula: Expr) -> None:
        """A formula for a name."""
        if which in self._expanded(formula).names or which in formula.names:
            raise WorkError(f"{which} would be defined by itself; a new value is given by {which} <- ...")
        self._shaped(which, _numbers(formula) if not formula.is_scalar else ())
        self.given.pop(which, None)
        self.formulas[which] = formula

    def _shaped(self, which: str, shape: tuple[int, ...]) -> None:
        mine = name(which, shape[0], shape[1]) if shape else name(which)
        if which in self.inputs and self.inputs[which].shape != mine.shape:
            users = sorted(user for user, formula in self.formulas.items() if which in formula.names)
            if users:
                raise WorkError(f"{which} cannot become {_by(mine)}, since {users[0]} was made with {which} as {_by(self.inputs[which])}")
        self.inputs[which] = mine

    # --- values -------------------------------------------------------------------------------------------------------------------

    def value(self, expr: Expr) -> Floats:
        """What a formula is now."""
        whole = self._expanded(expr)
        return _evaluated(whole, self._point(whole.names))

    def _expanded(self, expr: Expr, cut: Collection[str] = ()) -> Expr:
        """The formula with those of its names in it, but for these."""
        done: dict[str, Expr] = {}  # each name once: a sequence such as Fibonacci's would take forever otherwise

        def whole(part: Expr) -> Expr:
            for each in part.names - done.keys():
                if each in self.formulas and each not in cut:
                    done[each] = whole(self.formulas[each])
            return part.replaced(done)

        return whole(expr)

    def _point(self, names: Iterable[str]) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for each in names:
            if each in self.given:
                found[each] = self.given[each]
            elif each in self.slopes:
                found[each] = self.derivative(self.slopes[each]).value
            else:
                found[each] = self.value(self.formulas[each])
        return found

    def copy(self) -> Desk:
        """Everything as it is now."""
        other = Desk()
        other.given, other.formulas, other.inputs = dict(self.given), dict(self.formulas), dict(self.inputs)
        other.slopes, other.entries = dict(self.slopes), dict(self.entries)
        return other

    def graph(self, which: str, wrt: Collection[str]) -> Graph:
        """The graph of a name from the values that are given; `wrt` may hold names of formulas, which are on the way anyway."""
        whole = self._expanded(self.inputs[which])
        point = self._point(whole.names)
        apart, entries = _by_entries(whole)
        point |= {each: np.asarray(point[matrix][place]) for each, (matrix, place) in entries.items()}
        wanted = [each for each in sorted(apart.names) if (entries[each][0] if each in entries else each) in wrt]
        parts = {_by_entries(self._expanded(formula))[0]: each for each, formula in self.inputs.items() if formula.op != "name"}
        drawn = graph(apart, point, wanted or sorted(apart.names - self.slopes.keys()), parts=parts)
        return replace(drawn, title=as_tex(which))

    # --- derivatives --------------------------------------------------------------------------------------------------------------

    def derivative(self, slope: Slope) -> Derivative:
        """The total derivative: along all ways that lead from the one name to the other."""
        return self._derivative(self._expanded(self._whole(slope.y, slope.at), cut={slope.x}), slope)

    def along_edge(self, slope: Slope) -> Derivative:
        """The partial derivative: of the formula of the one name alone, the others in it held fixed."""
        if slope.y not in self.formulas:
            raise WorkError(f"{slope.y} has no formula, so no edge leads to it")
        if slope.x not in self.formulas[slope.y].names:
            raise WorkError(f"no edge leads from {slope.x} to {slope.y}, whose formula does not hold {slope.x}")
        return self._derivative(self.formulas[slope.y], slope)

    def _derivative(self, expr: Expr, slope: Slope) -> Derivative:
        if slope.x not in expr.names:
            raise WorkError(f"{slope.y} does not depend on {slope.x}")
        if expr.names & self.slopes.keys():
            raise WorkError(f"{slope.y} holds a derivative, and a derivative of that is not taken")
        point = self._point(expr.names)
        x = point[slope.x]
        entries = [make("entry", expr, data=(i, j)) for i, j in np.ndindex(_numbers(expr))] if not expr.is_scalar else [expr]
        if len(entries) * x.size > LARGEST:
            raise WorkError(f"the derivative of {slope.y} by {slope.x} has {len(entries) * x.size} entries, more than {LARGEST}")
        value = np.array([_evaluated(adjoint(one, slope.x), point) for one in entries]).reshape(len(entries), x.size)
        error = _checked(expr, slope, point, value) if self.checked else None
        whole = value.reshape(len(entries), *(x.shape or (1, 1)))
        if slope.by:
            whole = whole[:, slope.by[0] : slope.by[0] + 1, slope.by[1] : slope.by[1] + 1]
        return Derivative(_natural(whole, expr), error)


def _by_entries(expr: Expr) -> tuple[Expr, dict[str, tuple[str, tuple[int, ...]]]]:
    """The formula with every entry of a matrix that is used by its entries alone as an input: a graph then shows the single weights."""
    used: dict[str, set[str]] = {}
    for node in expr.nodes():
        for arg in node.args:
            if arg.op == "name":
                used.setdefault(str(arg.data), set()).add(node.op)
    entries: dict[str, tuple[str, tuple[int, ...]]] = {}

    def change(node: Expr) -> Expr | None:
        if node.op != "entry" or node.args[0].op != "name" or used[str(node.args[0].data)] != {"entry"}:
            return None
        matrix, place = str(node.args[0].data), cast("tuple[int, ...]", node.data)
        handle = f"{matrix}_{''.join(str(k + 1) for k in place[: 1 if node.args[0].cols.number == 1 else 2])}"
        if handle in expr.names or plain(handle) in expr.names:
            return None
        entries[handle] = matrix, (*place, 0)[:2]
        return name(handle)

    return expr.mapped(change), entries


def _natural(whole: Floats, expr: Expr) -> Floats:
    """Entries of y by rows and columns of x, as one writes them: a gradient like x, a Jacobian, else a matrix for each entry of y."""
    _, rows, cols = whole.shape
    if expr.is_scalar:
        return whole.reshape(() if rows == cols == 1 else (rows, cols))
    if rows == cols == 1:
        return whole.reshape(_numbers(expr))
    if cols == 1 or rows == 1:
        return whole.reshape(len(whole), -1)
    return whole


def _shape_of_slope(y: Expr, x: Expr) -> tuple[Size, Size]:
    if y.is_scalar:
        return x.shape
    if x.is_scalar:
        return y.shape
    if ONE in y.shape and ONE in x.shape:
        return (y.rows * y.cols, x.rows * x.cols)
    raise WorkError(f"the derivative of {y} by {x} has more than two axes, so it can be looked at, but not be calculated with")


@lru_cache(maxsize=1024)
def adjoint(f: Expr, x: str) -> Expr:
    """The derivative of a scalar with respect to a name, as an expression."""
    try:
        for visit in backward(prepared(f), {x}):
            if visit.node.op == "name" and visit.node.data == x:
                return visit.adjoint
    except FormulaError as error:
        raise WorkError(str(error)) from None
    return zero(next(node for node in f.nodes() if node.op == "name" and node.data == x))


def _checked(expr: Expr, slope: Slope, point: Mapping[str, Floats], value: Floats) -> float:
    """How far finite differences are from the derivative, relative to its size; KinkError where there is none.

    Raises WorkError where the two disagree: then one of them is wrong, and no verdict may rest on it.
    """
    x = point[slope.x]
    directions = np.eye(x.size).reshape(x.size, *x.shape)
    if slope.by:
        directions = directions[[slope.by[0] * (x.shape[1] if x.ndim else 1) + slope.by[1]]]
        value = value[:, [slope.by[0] * (x.shape[1] if x.ndim else 1) + slope.by[1]]]
    sizes = np.abs(np.array([np.sum(each * x) for each in directions]))
    h = steps(np.where(sizes > 0, sizes, 1.0))
    along = offsets(h)
    values = np.array(
        [
            [_evaluated(expr, {**point, slope.x: x + step * each}).reshape(-1) for step in row]
            for each, row in zip(directions, along, strict=True)
        ]
    )
    centre = np.broadcast_to(_evaluated(expr, point).reshape(-1), (len(directions), len(value)))
    noise = max(float(np.max(np.abs(centre))) * EPSILON, *(_moved(expr, point, k) for k in range(ROUNDINGS)))
    with np.errstate(all="ignore"):
        found = extrapolate(values, centre, h, np.full(len(directions), noise))
    if np.any(found.kink):
        raise KinkError(f"{slope.y} has a kink here, so it has no derivative with respect to {slope.x}")
    scale = float(np.max(np.abs(value)))
    apart = np.abs(value.T - found.value)
    error = float(np.max(apart)) / max(scale, SMALL)
    if not np.all(apart <= TOLERANCE * max(scale, SMALL) + 10 * found.error[:, None]):
        raise WorkError(f"the derivative of {slope.y} by {slope.x} does not agree with finite differences, which are {error:.1g} away")
    return error


def _moved(expr: Expr, point: Mapping[str, Floats], seed: int) -> float:
    """How far the function moves when its inputs are rounded otherwise."""
    rng = np.random.default_rng(seed)
    rounded = {each: x * (1 + EPSILON * rng.choice([-1.0, 1.0], x.shape)) for each, x in point.items()}
    return float(np.max(np.abs(_evaluated(expr, rounded) - _evaluated(expr, point))))


def _evaluated(expr: Expr, inputs: Mapping[str, Floats]) -> Floats:
    with np.errstate(all="ignore"):
        try:
            return np.asarray(evaluate(expr, Point(inputs, {}, np.zeros(()))), dtype=np.float64)
        except np.linalg.LinAlgError as error:
            raise WorkError(f"it cannot be computed at these numbers: {str(error).lower()}") from None


def _numbers(expr: Expr) -> tuple[int, int]:
    return expr.rows.at({}), expr.cols.at({})


def _by(expr: Expr) -> str:
    return "a number" if expr.is_scalar else f"{expr.rows}×{expr.cols}"


def _with_place(which: str, place: tuple[int, ...]) -> str:
    return f"{{{as_tex(which)}}}_{{{','.join(str(k + 1) for k in place)}}}" if place else as_tex(which)
