"""The smallest point at which a claim is wrong: dimensions of 1 first, then up to 2 and 3, and entries of 0, 1, -1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from matcalc.claims.bench import At, Bench
from matcalc.claims.layers import affordable, difference, float_points
from matcalc.claims.points import Floats, Sizes, belongs
from matcalc.claims.question import Question
from matcalc.derivation import clock
from matcalc.formula.operations import Point, evaluate
from matcalc.formula.size import ONE

LARGEST = 3
DRAWN = 4
"Points of each choice of sizes."
APART = 1e-6
"Relative difference that counts."
SIMPLE = (0.0, 1.0, -1.0, 2.0)
"What entries become, where the claim stays wrong."
MOST_SIZES = 27
KINKED = {"abs", "sign", "relu", "step", "norm1", "max", "min", "maximum", "minimum", "sort", "nuclear", "spectral", "logabsdet"}
"Operations without a derivative at some points, which simple entries meet."


@dataclass(frozen=True)
class Counterexample:
    """A point, and one entry of the derivative there: along the direction that moves this entry alone.

    Entries are counted from 1, here and in JSON; in sentences too, but for NumPy's spelling, in which [0, 1] is what 1, 2 is elsewhere.
    """

    sizes: dict[str, int]
    inputs: dict[str, Any]  # nested lists of numbers
    entry: tuple[int, ...]  # from 1; of the gradient, or of the Jacobian; empty for a number
    direction: str  # "E_12", "e_2", "1"
    claimed: float
    expected: float  # by the derivation
    difference: float | None  # by a finite difference along the direction, where that is one number

    def to_json(self) -> dict[str, Any]:
        """As the claims file has it."""
        return {
            "sizes": self.sizes,
            "inputs": self.inputs,
            "entry": list(self.entry),
            "direction": self.direction,
            "claimed": self.claimed,
            "expected": self.expected,
            "difference": self.difference,
        }

    def __str__(self) -> str:
        return self.told("")

    def told(self, spelling: str) -> str:
        """A sentence, with entries counted as in a spelling."""
        at = ", ".join(f"{name} = {_shown(x)}" for name, x in self.inputs.items())
        entry = str([k - 1 for k in self.entry]) if spelling == "numpy" else ", ".join(map(str, self.entry))
        where = f"entry {entry} of the derivative" if self.entry else "the derivative"
        measured = f", and a finite difference {_digits(self.difference)}" if self.difference is not None else ""
        return f"at {at}, {where} is {_digits(self.expected)}{measured}, but the claim says {_digits(self.claimed)}"


def smallest(question: Question, seed: int = 0) -> Counterexample | None:
    """The smallest counterexample that is found; None if there is none up to size three."""
    if question.misfit:
        return None
    empty = Bench(question, [])
    rng = np.random.default_rng([seed, 67])
    with np.errstate(all="ignore"):
        for sizes in _sizes(question):
            if clock.is_up() or not affordable(question, sizes, "search"):
                continue
            for inputs in float_points(question, sizes, rng, DRAWN):
                at = empty.at(sizes, inputs)
                if at is not None and _wrong(at):
                    return _reported(question, _shrunk(empty, at))
    return None


def _sizes(question: Question) -> Iterator[Sizes]:
    """All sizes, those whose largest is least first."""
    count = len(question.names)
    seen: set[tuple[int, ...]] = set()
    for most in range(1, LARGEST + 1):
        for chosen in sorted(product(range(1, most + 1), repeat=count), key=sum):
            if chosen not in seen and len(seen) < MOST_SIZES * most:
                seen.add(chosen)
                yield dict(zip(question.names, chosen, strict=True))


def _wrong(at: At) -> bool:
    if at.claimed.shape != at.true.shape:
        return False
    size = max(float(np.max(np.abs(at.claimed), initial=0)), float(np.max(np.abs(at.true), initial=0)))
    return float(np.max(np.abs(at.claimed - at.true), initial=0)) > APART * size > 0


def _shrunk(empty: Bench, at: At) -> At:
    """The same with simpler entries, one after the other, as long as the claim stays plainly wrong."""
    question = empty.question
    for v in question.variables:
        for place in range(at.inputs[v.name].size):
            for simpler in SIMPLE:
                if clock.is_up():
                    return at
                x = np.array(at.inputs[v.name])
                if x.flat[place] == simpler:
                    break
                x.flat[place] = simpler
                if v.is_symmetric and x.ndim:
                    x[divmod(place, len(x))[::-1]] = simpler
                if not belongs(v, x):
                    continue
                changed = empty.at(at.sizes, {**at.inputs, v.name: x})
                if changed is not None and _wrong(changed) and _plain(question, changed):
                    at = changed
                    break
    return at


def _plain(question: Question, at: At) -> bool:
    """Whether the difference is no rounding of large numbers, and the point no kink, where there is no derivative."""
    if float(np.max(np.abs(at.claimed - at.true), initial=0)) <= 1e-3:
        return False
    if not any(node.op in KINKED for node in question.target.nodes()):
        return True
    x = at.inputs[question.wrt.name]
    dX = (np.arange(x.size) % 3 + 1.0).reshape(x.shape) / 2 if x.ndim else np.ones(())
    value = partial(evaluate, question.target)
    here, ahead, behind = (np.asarray(value(Point({**at.inputs, question.wrt.name: x + t * dX}, at.sizes, x))) for t in (0.0, 1e-4, -1e-4))
    size = max(1.0, float(np.max(np.abs(here), initial=0)))
    return float(np.max(np.abs(ahead - 2 * here + behind), initial=0)) <= 1e-6 * size


def _reported(question: Question, at: At) -> Counterexample:
    """The entry in which the two differ most, measured by a finite difference too."""
    gap = np.abs(at.claimed - at.true)
    place = np.unravel_index(int(np.argmax(gap)), gap.shape) if gap.ndim else ()
    entry = tuple(int(k) + 1 for k in place)
    if len(entry) == 2 and at.true.shape[1] == 1:
        entry = entry[:1]
    if at.true.size == 1:
        entry = ()
    direction, slope = _direction(question, at, place)
    used = question.f.names | question.claim.names | {question.wrt.name}
    flat = {v.name for v in question.variables if v.cols == ONE}
    inputs = {name: (x.ravel() if name in flat and x.ndim else x).tolist() for name, x in at.inputs.items() if name in used}
    return Counterexample(dict(at.sizes), inputs, entry, direction, float(at.claimed[place]), float(at.true[place]), slope)


def _direction(question: Question, at: At, place: tuple[Any, ...]) -> tuple[str, float | None]:
    """The direction that moves one entry, and the slope of the function along it."""
    x = at.inputs[question.wrt.name]
    dX = np.zeros(x.shape)
    spot: tuple[int, ...] = ()
    if x.ndim:
        rows = len(x)
        if question.kind in {"jacobian", "hessian"}:
            column = int(place[1])
            spot = (column % rows, column // rows)
        else:
            spot = (int(place[0]), int(place[1]))
    dX[spot] = 1.0
    if question.wrt.is_symmetric and x.ndim:
        dX = (dX + dX.T) / 2
    slope, error = difference(question.target, at.inputs, question.wrt.name, dX, at.sizes)
    found = _measured(question, np.asarray(slope), place)
    fine = found is not None and error <= 1e-5 * max(1.0, abs(found))
    name = "1" if not spot else f"e_{spot[0] + 1}" if x.shape[1] == 1 else f"E_{spot[0] + 1}{spot[1] + 1}"
    return name, found if fine else None


def _measured(question: Question, slope: Floats, place: tuple[Any, ...]) -> float | None:
    """The entry of a slope that belongs to a place of the derivative."""
    if question.kind in {"jacobian", "hessian"}:
        return float(slope.T.ravel()[int(place[0])])
    if question.kind == "derivative":
        return float(slope[place])
    return float(slope.ravel()[0]) if slope.size == 1 else None


def _shown(x: Any) -> str:
    if isinstance(x, list):
        return "[" + ", ".join(_shown(each) for each in x) + "]"
    return _digits(float(x))


def _digits(x: float | None) -> str:
    return "" if x is None else f"{x + 0.0:.6g}"  # which makes 0 of -0
