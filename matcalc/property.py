"""What must be true of a rule at its cases. Each property returns evidence; none prints or raises.

The tolerance of a comparison is  100 * condition * epsilon * scale,  where scale is the size of the derivative (never of one
inner product, which may vanish by chance) and condition is measured: how far the oracle's derivative moves when the inputs move
by eight units in the last place. It does not grow with the size of arrays, and its only other part is the rounding of the
function's own value, 32 * epsilon * |value| / |input|.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc.array import as_array, parts, zeros_like
from matcalc.cases import EPSILON, PERTURBATION, Batch, tangential
from matcalc.oracle import autodiff, differences
from matcalc.rule import unclaimed
from matcalc.verdict import Evidence, Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matcalc.oracle.autodiff import Autodiff
    from matcalc.oracle.differences import Difference
    from matcalc.rule import Linearization, Subject

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

SAFETY = 100.0
"Units of condition * epsilon * scale that two right answers may differ by."
ROUNDING = 32.0
"""Units of epsilon * (size of the value / size of the input) that the rounding of the function itself may cost.

What is computed on the way may be larger than the value: where a softmax has become one-hot, JAX's derivative of it is a multiple of
the spacing of numbers near 1, at every point of a neighbourhood, so that no neighbour betrays the rounding.
"""
TRUST = 10.0
"Units of its own error estimate that a finite difference may be wrong by."
TOO_WEAK = 1e-6
"Relative difference that rounding alone may explain, in an algorithm that loses more digits than the problem demands."
OWN_DIGITS = 3e-11
"""Relative difference that is left to somebody's own code where little more than the tolerance speaks against it: one less a saturated
logistic has lost digits that its neighbours have lost alike, in the function and in its gradient otherwise."""
JUDGEABLE = 1e-7
"Relative tolerance beyond which a case is not judged: a condition number that large is itself known to a factor only."
SECOND_LOOKS = 4
"Points near each case at which a difference that could be rounding is looked at again."
PROBED = 24
"Cases of a batch at which linearity and purity are tried: neither hangs on a single point, and they take most of the questions."
WEIGHTS = (-2.5, 0.5)
"Coefficients with which linearity is tried; one is negative, so that |x| and x differ."
FAR_SCALE = 1e6


class FaultError(Exception):
    """A rule cannot be compared with anything, for a reason that is one sentence."""

    def __init__(self, property_: str, sentence: str) -> None:
        super().__init__(sentence)
        self.property = property_
        self.sentence = sentence


# --- what the rule says --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """What a rule says of a batch, on NumPy. Axes: case, probe (but for the value), then the array's own.

    `jvp` or `vjp` is empty where the subject claims none.
    """

    value: tuple[Floats, ...]
    jvp: tuple[Floats, ...]
    vjp: tuple[Floats, ...]
    nonlinear: tuple[tuple[Floats, ...], tuple[Floats, ...]]  # how far jvp and vjp are from linear, (cases, *shape) for each array
    contracted: tuple[Floats, ...] = ()  # where a Jacobian is given in closed form: the first cotangent with it, (cases, 1, *shape)


def ask(rule: Subject, batch: Batch, *, known: bool = False) -> Answers:
    """Call the rule, its jvp and its vjp at every case: one by one, or, if JAX can map it, all at once after the first two.

    The first two show that it can be called, is pure, and returns what it must; they are left out if that is `known`.

    Raises FaultError if the rule raises, returns another shape than it must, changes its inputs, or answers the same
    question differently when it is asked again.
    """
    first = batch.count if not rule.mapped else 0 if known else min(2, batch.count)
    rows = [_ask_once(rule, batch, case) for case in range(first)]
    if rule.mapped:
        try:
            return _ask_at_once(rule, batch)
        except autodiff.CannotTraceError:  # what is claimed may be NumPy code all the same
            rows += [_ask_once(rule, batch, case) for case in range(first, batch.count)]
    value, jvp, vjp, bent_jvp, bent_vjp, contracted = zip(*rows, strict=True)

    def join(of_cases: Sequence[Sequence[Any]]) -> tuple[Floats, ...]:
        return tuple(np.stack(arrays) for arrays in zip(*of_cases, strict=True))

    return Answers(join(value), join(jvp), join(vjp), (join(bent_jvp), join(bent_vjp)), join(contracted))


def values_at(subject: Subject, points: Sequence[Floats]) -> tuple[Floats, ...]:
    """The function's values at points stacked along the first axis: at once where the subject knows how, else one by one.

    Where the function raises beside its domain, its value is nan.
    """
    if subject.mapped:
        try:
            return autodiff.run(subject.value, points)
        except autodiff.CannotTraceError:  # it may be NumPy code after all
            pass
    rows: list[list[Floats] | None] = []
    for point in zip(*points, strict=True):
        try:
            rows.append([np.asarray(v, dtype=np.float64) for v in parts(subject.value(*point))])
        except Exception:  # noqa: BLE001  (at the cases themselves `ask` tells of it)
            rows.append(None)
    model = next((row for row in rows if row is not None), None)
    if model is None:
        raise FaultError("value", f"{subject.name} raises at every point of one shape")
    filled = [row if row is not None else [np.full_like(v, np.nan) for v in model] for row in rows]
    return tuple(np.stack(column) for column in zip(*filled, strict=True))


def _ask_once(rule: Subject, batch: Batch, case: int) -> tuple[Any, ...]:
    inputs = batch.point(case)
    handed = tuple(x.copy() for x in inputs)
    where = "" if not batch.sizes else " at " + ", ".join(f"{name} = {size}" for name, size in batch.sizes.items())
    probes = range(batch.tangents[0].shape[1])
    asked = {"jvp": [[t[case, p] for t in batch.tangents] for p in probes], "vjp": [[c[case, p] for c in batch.cotangents] for p in probes]}
    shapes = {"jvp": [c.shape[2:] for c in batch.cotangents], "vjp": [batch.inputs[i].shape[1:] for i in batch.free]}
    labels = {"jvp": ["its jvp"] * len(shapes["jvp"]), "vjp": [f"the gradient with respect to {batch.names[i]}" for i in batch.free]}
    try:
        at = rule.function(*handed)
        again = rule.function(*handed) if case < 2 else at
        value = [np.asarray(as_array(v)) for v in parts(at.value)]
    except FaultError:
        raise
    except Exception as error:
        raise FaultError("value", f"{_culprit(rule, inputs)} raises {type(error).__name__}{where}: {first_line(error)}") from error
    _require_shapes(rule.name, ["its value"] * len(shapes["jvp"]), value, shapes["jvp"], where)
    stacked: dict[str, list[Floats]] = {}
    bent: dict[str, list[Floats]] = {}
    for word, questions in asked.items():
        if getattr(at, word) is unclaimed:
            stacked[word], bent[word] = [], []
            continue
        answers = [_call(rule.name, at, word, question, where) for question in questions]
        for answer in answers:
            _require_shapes(rule.name, labels[word], answer, shapes[word], where)
        stacked[word] = [np.stack(arrays) for arrays in zip(*answers, strict=True)]
        if case >= PROBED:
            bent[word] = [np.zeros_like(array) for array in answers[0]]
            continue
        bent[word] = _bend(partial(_call, rule.name, at, word, where=where), questions, answers, parted=word == "vjp")
        if not _same(answers[0], _call(rule.name, again, word, questions[0], where)):
            raise FaultError("pure", f"{rule.name}.{word} gives another answer when it is asked the same question again{where}")
    for name, before, after in zip(batch.names, inputs, handed, strict=True):
        if not _same([before], [after]):
            raise FaultError("pure", f"{rule.name} changes its input {name}{where}; work on a copy")
    contracted = [] if at.jacobian is None or len(value) > 1 else _contracted(rule.name, at, [x.shape for x in handed], batch, case, where)
    return value, stacked["jvp"], stacked["vjp"], bent["jvp"], bent["vjp"], contracted


def _culprit(rule: Subject, inputs: Sequence[Floats]) -> str:
    """What raises where value and derivative were asked together: a claimed gradient if the value alone does not."""
    try:
        rule.value(*(x.copy() for x in inputs))
    except Exception:  # noqa: BLE001  (the one that was raised already, or another; the value is to blame)
        return rule.name
    return f"the derivative claimed for {rule.name}"


def _contracted(name: str, at: Any, shapes: Sequence[tuple[int, ...]], batch: Batch, case: int, where: str) -> list[Floats]:
    """The first cotangent contracted with the Jacobian with respect to each input, for a value of one array; axis: probe."""
    try:
        jacobians = [_as_numbers(name, "jacobian", J) for J in parts(at.jacobian())]
    except Exception as error:
        raise FaultError("jacobian", f"{name}.jacobian raises {type(error).__name__}{where}: {first_line(error)}") from error
    (cotangent,) = (c[case, 0] for c in batch.cotangents)
    wanted = [(*cotangent.shape, *shapes[i]) for i in batch.free]
    _require_shapes(name, ["its jacobian"] * len(wanted), jacobians, wanted, where)
    return [np.tensordot(cotangent, J, axes=cotangent.ndim)[None] for J in jacobians]


def _ask_at_once(rule: Subject, batch: Batch) -> Answers:
    """The answers to all questions of a batch by one call of a function that can be mapped over points."""
    (a, b), second = WEIGHTS, 1 if batch.tangents[0].shape[1] > 1 else 0

    def with_combinations(x: Floats, alone: Floats | float = 1.0) -> Floats:
        first = x[:, :1]
        one, rest = alone * first, (1 - alone) * first
        return np.concatenate([x, a * first + b * x[:, second : second + 1], FAR_SCALE * first, 0 * first, one, rest], axis=1)

    alone = _first_entry([c.shape[2:] for c in batch.cotangents])
    asked = [
        [with_combinations(x) for x in batch.tangents],
        [with_combinations(x, entry) for x, entry in zip(batch.cotangents, alone, strict=True)],
    ]
    words = _claimed(rule.function)
    if not words:
        at = rule.function(*(x[0] for x in batch.inputs))
        words += [word for word in ("jvp", "vjp") if getattr(at, word) is not unclaimed]
    answers = autodiff.run(everything(rule, stacked=True), [*batch.inputs, *asked[0], *asked[1]])
    count = len(batch.cotangents)
    value, rest = answers[:count], answers[count:]
    sizes = {"jvp": count, "vjp": len(batch.free)}
    found: dict[str, list[Floats]] = {"jvp": [], "vjp": []}
    for word in words:
        found[word], rest = [_as_numbers(rule.name, word, x) for x in rest[: sizes[word]]], rest[sizes[word] :]
    bent = {word: [_worst_bend(x, second) for x in found[word]] for word in found}
    plain = {word: tuple(x[:, :-5] for x in found[word]) for word in found}
    return Answers(tuple(value), plain["jvp"], plain["vjp"], (tuple(bent["jvp"]), tuple(bent["vjp"])))


@lru_cache(maxsize=16)
def _claimed(linearize: Callable[..., Linearization[Any]]) -> list[str]:
    """Which maps a function of linearizations claims, the same at all points: nothing before somebody has seen one and noted it."""
    del linearize
    return []


def _worst_bend(answers: Floats, second: int) -> Floats:
    """How far the last five answers of each case, to combinations and parts of probes, are from linear: the worst of them."""
    a, b = WEIGHTS
    plain, (combined, enlarged, nothing, one, rest) = answers[:, :-5], np.moveaxis(answers[:, -5:], 1, 0)
    first = plain[:, 0]
    gaps = np.stack([combined - (a * first + b * plain[:, second]), enlarged / FAR_SCALE - first, nothing, one + rest - first])
    sizes = norms(gaps)
    worst = np.argmax(np.where(np.isfinite(sizes), sizes, np.inf), axis=0)
    return gaps[worst, np.arange(len(worst))]


def everything(rule: Subject, *, stacked: bool = False) -> Callable[..., Any]:
    """Value, jvp and vjp (as far as they are claimed) as one function of inputs, tangents and cotangents.

    `stacked`, it is one of JAX arrays whose tangents and cotangents have the probe as their first axis.
    """
    return _everything(rule.function, len(rule.domains), len(rule.differentiated), stacked)


@lru_cache(maxsize=16)
def _everything(linearize: Callable[..., Linearization[Any]], count: int, free: int, stacked: bool) -> Callable[..., Any]:  # noqa: FBT001
    mapped = autodiff.over_probes if stacked else lambda derivative: derivative

    def function(*arrays: Any) -> tuple[Any, ...]:
        at = linearize(*arrays[:count])
        questions = {"jvp": arrays[count : count + free], "vjp": arrays[count + free :]}
        claimed = [(getattr(at, word), arguments) for word, arguments in questions.items() if getattr(at, word) is not unclaimed]
        return (*parts(at.value), *(array for derivative, arguments in claimed for array in parts(mapped(derivative)(*arguments))))

    return function


def _call(name: str, at: Any, word: str, arguments: Sequence[Floats], where: str) -> list[Floats]:
    """What `at.jvp` or `at.vjp` answers, as arrays."""
    given = [a.copy() for a in arguments]
    try:
        answer = parts(getattr(at, word)(*given))
    except Exception as error:
        raise FaultError(word, f"{name}.{word} raises {type(error).__name__}{where}: {first_line(error)}") from error
    if not _same(arguments, given):
        raise FaultError("pure", f"{name}.{word} changes the array it is given{where}; work on a copy")
    return [_as_numbers(name, word, a) for a in answer]


def _same(xs: Sequence[Floats], ys: Sequence[Floats]) -> bool:
    """Whether arrays are equal, entry by entry: the bytes are compared first, which is faster and nearly always enough."""
    return all(
        (x.shape == y.shape and x.tobytes() == y.tobytes()) or np.array_equal(x, y, equal_nan=True) for x, y in zip(xs, ys, strict=True)
    )


def _bend(
    call: Callable[[Sequence[Floats]], list[Floats]],
    probes: Sequence[Sequence[Floats]],
    answers: Sequence[Sequence[Floats]],
    *,
    parted: bool,
) -> list[Floats]:
    """How far a map is from linear: the worst of a combination with a negative weight, a large multiple, and zero.

    `parted`, of the sum of one entry alone and of the others too: tangents would have to keep the structure of their input.
    """
    a, b = WEIGHTS
    second = 1 if len(probes) > 1 else 0
    combined = call([a * x + b * y for x, y in zip(probes[0], probes[second], strict=True)])
    enlarged = call([FAR_SCALE * x for x in probes[0]])
    nothing = call([zeros_like(x) for x in probes[0]])
    one, rest = answers[0], nothing
    if parted:
        alone = _first_entry([x.shape for x in probes[0]])
        one = call([entry * x for entry, x in zip(alone, probes[0], strict=True)])
        rest = call([(1 - entry) * x for entry, x in zip(alone, probes[0], strict=True)])
    bends = []
    for k, answer in enumerate(combined):
        gaps = (
            answer - (a * answers[0][k] + b * answers[second][k]),
            enlarged[k] / FAR_SCALE - answers[0][k],
            nothing[k],
            one[k] + rest[k] - answers[0][k],
        )
        bends.append(max(gaps, key=lambda gap: float(np.max(np.abs(gap), initial=0.0)) if np.all(np.isfinite(gap)) else np.inf))
    return bends


def _first_entry(shapes: Sequence[tuple[int, ...]]) -> list[Floats]:
    """Arrays of zeros but for the very first entry, which is one."""
    arrays = [np.zeros(shape) for shape in shapes]
    for x in arrays[:1]:
        x.reshape(-1)[:1] = 1.0
    return arrays


def _as_numbers(name: str, word: str, answer: Any) -> Floats:
    try:
        found = np.asarray(as_array(answer) if hasattr(answer, "shape") else answer)
        if np.iscomplexobj(found):
            if np.any(np.abs(np.imag(found)) > TOO_WEAK * np.max(np.abs(found), initial=0.0)):
                raise FaultError(word, f"{name}.{word} must return real numbers, but returned complex ones")
            found = np.real(found)
        return found.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise FaultError(word, f"{name}.{word} must return arrays, but returned a {type(answer).__name__}") from error


def _require_shapes(name: str, labels: Sequence[str], arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]], where: str) -> None:
    if len(arrays) != len(shapes):
        what = labels[0] if len(set(labels)) == 1 and labels[0].startswith("its") else "its vjp"
        raise FaultError(
            "shape", f"{name}: {what} has {len(arrays)} array{'' if len(arrays) == 1 else 's'}{where}, but must have {len(shapes)}"
        )
    for label, array, shape in zip(labels, arrays, shapes, strict=True):
        if array.shape != tuple(shape):
            raise FaultError("shape", f"{name}: {label} has shape {array.shape}{where}, but must have shape {tuple(shape)}")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop: what fits into a sentence."""
    return str(error).partition("\n")[0].rstrip(".") or "no message"


# --- comparing -----------------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """Errors and tolerances of one property beside one oracle, gathered over its arrays, probes and batches."""

    property: str
    oracle: str
    judged: list[Floats] = field(default_factory=list)  # margins, one for each case that could be judged
    relative: list[Floats] = field(default_factory=list)
    cases: int = 0
    skipped: int = 0
    worst: tuple[float, float, float, float] = (-1.0, 0.0, 0.0, 0.0)  # margin, error, tolerance, scale
    place: tuple[int, int, int] | None = None  # of the worst: array, case, probe (in the batch last added to when it was found)
    batch: Batch | None = None
    note: str = ""

    def add(self, batch: Batch, arrays: Sequence[Comparison], *, where: Bools | bool = True) -> None:
        """The comparisons of one batch, one for each array; a case counts with its worst array and probe, if `where` holds."""
        margins = np.stack([c.margin for c in arrays])  # (arrays, cases, probes)
        usable: Bools = np.asarray(np.stack([c.usable for c in arrays]).all(axis=(0, 2)) & where)
        self.cases += batch.count
        self.skipped += int(np.sum(~usable))
        if not usable.any():
            return
        by_case = margins.max(axis=(0, 2))
        self.judged.append(by_case[usable])
        relative = np.stack([np.divide(c.error, c.scale, out=np.zeros_like(c.error), where=c.scale > 0) for c in arrays])
        self.relative.append(relative.max(axis=(0, 2))[usable])
        masked = np.where(usable[None, :, None], margins, -1.0)
        array, case, probe = (int(k) for k in np.unravel_index(int(np.argmax(masked)), masked.shape))
        if masked[array, case, probe] > self.worst[0]:
            c = arrays[array]
            self.worst = (*(float(x[case, probe]) for x in (c.margin, c.error, c.tolerance, c.scale)),)  # type: ignore[assignment]
            self.place, self.batch = (array, case, probe), batch

    def evidence(self, note: str = "") -> Evidence:
        """The tally as a value."""
        margins = np.concatenate(self.judged) if self.judged else np.zeros(0)
        relative = np.concatenate(self.relative) if self.relative else np.zeros(0)
        _, error, tolerance, scale = self.worst
        if margins.size and margins.max() > 1:
            status = Status.REFUTED
        elif not self.cases:
            status = Status.VACUOUS
        else:
            status = Status.VERIFIED if margins.size * 2 >= self.cases else Status.INCONCLUSIVE
        return Evidence(
            property=self.property,
            oracle=self.oracle,
            status=status,
            cases=int(margins.size),
            skipped=self.skipped,
            worst_error=error,
            tolerance=tolerance,
            scale=scale,
            condition=max(1.0, tolerance / (SAFETY * EPSILON * scale)) if scale else 1.0,
            margins=tuple(float(m) for m in margins),
            errors=tuple(float(r) for r in relative),
            note=note or self.note,
        )


@dataclass(frozen=True)
class Comparison:
    """One array beside what it should be. `gap` is the difference (case, probe, ...); the others have the axes case and probe."""

    gap: Floats
    error: Floats
    tolerance: Floats
    scale: Floats
    natural: Floats
    usable: Bools

    @property
    def margin(self) -> Floats:
        """Error in units of the tolerance; infinite where the rule gives no number."""
        error = np.where(np.isfinite(self.error), self.error, np.inf)
        safe = np.where(self.tolerance > 0, self.tolerance, 1.0)
        with np.errstate(invalid="ignore"):
            ratio = np.where(self.tolerance > 0, error / safe, np.where(error > 0, np.inf, 0.0))
        return np.where(self.usable, ratio, 0.0)


def norms(x: Floats, lead: int = 2) -> Floats:
    """Euclidean norms over all axes after the first `lead`."""
    with np.errstate(over="ignore", invalid="ignore"):
        return differences.norms(x, lead)


@dataclass(frozen=True)
class Measure:
    """How large a compared array is and how well it can be known. All fields have the axes case and probe.

    `noise` is how far it moves when the inputs move by one unit in the last place; `natural` is the size that a derivative of
    such a function at such a point has as a rule, so that a derivative that vanishes can still be judged.
    """

    scale: Floats
    noise: Floats
    natural: Floats

    def __getitem__(self, key: Any) -> Measure:
        return Measure(self.scale[key], self.noise[key], self.natural[key])

    @property
    def tolerance(self) -> Floats:
        """100 * condition * epsilon * scale, written without dividing by a scale that may be zero."""
        return SAFETY * np.maximum(EPSILON * self.scale, self.noise) + ROUNDING * EPSILON * self.natural


@dataclass(frozen=True)
class Yardstick:
    """Sizes and conditioning of value, jvp and vjp over one batch, measured on JAX's derivatives: the rule's own have no say."""

    value: tuple[Measure, ...]
    jvp: tuple[Measure, ...]
    vjp: tuple[Measure, ...]

    @property
    def condition(self) -> Floats:
        """Measured condition number of the derivative at each case: relative change of it for a relative change of the inputs."""
        ratios = [m.noise / np.where(m.scale > 0, EPSILON * m.scale, np.inf) for m in self.vjp]
        return np.maximum(1.0, np.max(ratios, axis=(0, 2)))


def noise(x: Floats, lead: int) -> Floats:
    """Largest distance of an array (case, place, ...) from its neighbours, for a relative change of the inputs by epsilon."""
    return np.max(norms(x[:, 1:] - x[:, :1], lead), axis=1, initial=0.0) * (EPSILON / PERTURBATION)


def yardstick(batch: Batch, oracle: Autodiff) -> Yardstick:
    """The yardstick of a batch."""

    def gain(sizes_: Floats, by: Floats) -> Floats:
        """The largest of some sizes per unit of probe, times the size of each probe."""
        return np.max(sizes_ / np.where(by > 0, by, 1.0), axis=1, keepdims=True) * by

    speed, weight = [norms(t) for t in batch.tangents], [norms(c) for c in batch.cotangents]
    sizes = [_lengths(batch.inputs[i]) for i in batch.free]
    relative_speed = np.max([s / size for s, size in zip(speed, sizes, strict=True)], axis=0)
    values = [norms(v[:, 0], 1)[:, None] for v in oracle.value]
    paired = _hypot([w * v for w, v in zip(weight, values, strict=True)])
    return Yardstick(
        value=tuple(Measure(size, noise(v, 2)[:, None], size) for v, size in zip(oracle.value, values, strict=True)),
        jvp=tuple(
            Measure(gain(norms(j[:, 0]), _hypot(speed)), gain(noise(j, 3), _hypot(speed)), size * relative_speed)
            for j, size in zip(oracle.jvp, values, strict=True)
        ),
        vjp=tuple(
            Measure(gain(norms(g[:, 0]), _hypot(weight)), gain(noise(g, 3), _hypot(weight)), paired / size)
            for g, size in zip(oracle.vjp, sizes, strict=True)
        ),
    )


def levelled(sticks: Sequence[Yardstick]) -> list[Yardstick]:
    """The yardsticks of several batches, no derivative's natural size below the median size it has in all of them.

    A function may be constant at one shape (a density on one outcome): what the oracles give there is rounding, and has no size
    of its own to be measured by.
    """

    def typical(columns: Sequence[tuple[Measure, ...]]) -> list[float]:
        return [float(np.median(np.concatenate([m.scale.ravel() for m in column]))) for column in zip(*columns, strict=True)]

    least = [typical([kind(s) for s in sticks]) for kind in (_values, _jvps, _vjps)] if sticks else []
    return [Yardstick(*(_raised(kind(s), sizes) for kind, sizes in zip((_values, _jvps, _vjps), least, strict=True))) for s in sticks]


def raised(stick: Yardstick, other: Yardstick) -> Yardstick:
    """A yardstick with natural sizes not below those of another one of the same cases."""
    return Yardstick(*(_raised(kind(stick), [m.natural for m in kind(other)]) for kind in (_values, _jvps, _vjps)))


def _raised(measures: Sequence[Measure], least: Sequence[Any]) -> tuple[Measure, ...]:
    return tuple(replace(m, natural=np.fmax(m.natural, size)) for m, size in zip(measures, least, strict=True))


_values, _jvps, _vjps = attrgetter("value"), attrgetter("jvp"), attrgetter("vjp")


def _hypot(xs: Sequence[Floats]) -> Floats:
    return np.sqrt(np.sum(np.square(xs), axis=0))


def _sizes(x: Floats) -> Floats:
    """Norm of each case's input, 1 where it is zero, with an axis for the probe."""
    size = norms(x, 1)[:, None]
    return np.where(size > 0, size, 1.0)


def _lengths(x: Floats) -> Floats:
    """The lengths over which a function of such inputs may change by its own size: theirs, but no more than 1.

    A function is scale-free (a logarithm, a power) or has a scale of its own (tanh, softmax), which is taken to be 1.
    """
    return np.minimum(_sizes(x), 1.0)


def compare(got: Floats, expected: Floats, measure: Measure, extra: Floats | float = 0.0) -> Comparison:
    """Two arrays (case, probe, ...): they may differ by the measure's tolerance and by an oracle's own error."""
    tolerance = measure.tolerance + extra
    usable = np.isfinite(norms(expected)) & np.isfinite(tolerance) & (tolerance <= JUDGEABLE * np.maximum(measure.scale, measure.natural))
    empty = np.prod(expected.shape[2:]) == 0
    gap = got - expected
    return Comparison(gap, norms(gap), tolerance, measure.scale, measure.natural, usable | empty)


def could_be_rounding(comparisons: Sequence[Comparison]) -> bool:
    """Whether some differences are beyond their tolerance, and none so far that no rounding explains it."""
    beyond = [c.margin > 1 for c in comparisons]
    far = [c.error > 3 * TOO_WEAK * np.maximum(c.scale, c.natural) for c in comparisons]
    hopeless = any(np.any(b & (f | ~np.isfinite(c.error))) for b, f, c in zip(beyond, far, comparisons, strict=True))
    return any(np.any(b) for b in beyond) and not hopeless


def _without_rounding(comparison: Comparison, others: Sequence[Comparison]) -> Comparison:
    """The comparison with its rounding errors averaged out.

    `others` are the same comparison at points a relative 1e-9 away. There a mistake is still the same mistake, but rounding
    errors have fallen otherwise: what the differences have in common is the mistake, and what they scatter by is the rounding of
    an algorithm that loses more digits than the problem demands. Such a loss is no wrong rule, up to a relative 1e-6. A case
    whose neighbours are too ill-conditioned to judge is so itself.
    """
    gaps = np.stack([comparison.gap, *(other.gap for other in others)])
    common = gaps.mean(axis=0)
    scatter = np.max(norms(gaps - common, 3), axis=0)
    doubtful = comparison.margin > 1
    usable = comparison.usable & (~doubtful | np.all([other.usable for other in others], axis=0))
    with np.errstate(invalid="ignore"):
        forgiven = usable & doubtful & (scatter <= TOO_WEAK * np.maximum(comparison.scale, comparison.natural)) & np.isfinite(scatter)
    return replace(
        comparison,
        usable=usable,
        error=np.where(forgiven, norms(common), comparison.error),
        tolerance=np.where(forgiven, comparison.tolerance + 2 * scatter, comparison.tolerance),
    )


def allowing(comparison: Comparison, relative: float) -> Comparison:
    """The comparison, a relative difference allowed at least."""
    floor = relative * np.maximum(comparison.scale, comparison.natural)
    return replace(comparison, tolerance=np.maximum(comparison.tolerance, floor))


Compared = dict[Any, list[Comparison]]
"One comparison for each array, by whatever tells what was compared."


def second_look(compared: Compared, again: Callable[[int], Compared]) -> Compared:
    """What was compared, rounding told from mistakes where some differences are beyond their tolerance by little.

    `again` makes the same comparisons at the points of `cases.nearby`, for a seed; it is not called where nothing is in doubt. One
    that cannot be made there stays as it is.
    """
    doubtful = [key for key, arrays in compared.items() if could_be_rounding(arrays)]
    others = [again(seed) for seed in range(SECOND_LOOKS if doubtful else 0)]
    settled = {}
    for key in doubtful:
        beside = [other[key] for other in others if key in other]
        settled[key] = [_without_rounding(c, [arrays[k] for arrays in beside]) for k, c in enumerate(compared[key])]
    return compared | settled


# --- the properties ------------------------------------------------------------------------------------------------------------


def values_agree(answers: Answers, oracle: Autodiff, stick: Yardstick) -> list[Comparison]:
    """The value on NumPy is the value on JAX."""
    return [compare(mine[:, None], theirs[:, :1], m) for mine, theirs, m in zip(answers.value, oracle.value, stick.value, strict=True)]


def jvp_is_derivative(answers: Answers, oracle: Autodiff, stick: Yardstick) -> list[Comparison]:
    """The jvp is JAX's forward derivative along each tangent."""
    return [compare(mine, theirs[:, 0], m) for mine, theirs, m in zip(answers.jvp, oracle.jvp, stick.jvp, strict=False)]


def vjp_is_derivative(rule: Subject, answers: Answers, batch: Batch, oracle: Autodiff, stick: Yardstick) -> list[Comparison]:
    """The vjp is JAX's reverse derivative, on the tangent space of each input."""
    compared = []
    for k, i in enumerate(batch.free if answers.vjp else ()):
        domain, points = rule.domains[batch.names[i]], batch.inputs[i]
        mine, theirs = tangential(domain, points, answers.vjp[k]), tangential(domain, points, oracle.vjp[k][:, 0])
        compared.append(compare(mine, theirs, stick.vjp[k]))
    return compared


def gradient_keeps_structure(rule: Subject, answers: Answers, batch: Batch, stick: Yardstick) -> list[Comparison]:
    """Where the domain demands it, a gradient lies in the tangent space: nothing leaks into a triangle that is not read."""
    return [
        compare(answers.vjp[k], tangential(rule.domains[batch.names[i]], batch.inputs[i], answers.vjp[k]), stick.vjp[k])
        for k, i in enumerate(batch.free if answers.vjp else ())
        if rule.domains[batch.names[i]].tangent_only
    ]


def jvp_is_difference(answers: Answers, differences: Sequence[Difference], stick: Yardstick) -> list[Comparison]:
    """The jvp is the extrapolated difference quotient of the value, at the first cases, as many as have one."""
    rows = len(differences[0].error)
    return [
        compare(mine[:rows], d.value, m[:rows], TRUST * d.error) for mine, d, m in zip(answers.jvp, differences, stick.jvp, strict=False)
    ]


def vjp_is_difference(answers: Answers, batch: Batch, differences: Sequence[Difference], stick: Yardstick) -> list[Comparison]:
    """The inner product of the vjp with a tangent is that of the cotangent with the difference quotient."""
    if not answers.vjp:
        return []
    rows = len(differences[0].error)
    error = sum((norms(c[:rows]) * d.error for c, d in zip(batch.cotangents, differences, strict=True)), np.zeros(1))
    mine, theirs = pairings(answers, batch, [d.value for d in differences])
    return [compare(mine, theirs, _paired(batch, stick)[:rows], TRUST * error)]


def maps_are_adjoint(answers: Answers, batch: Batch, stick: Yardstick) -> list[Comparison]:
    """<u, jvp(v)> = <vjp(u), v>, exactly but for rounding; nothing to compare unless both are claimed."""
    if not (answers.jvp and answers.vjp):
        return []
    mine, theirs = pairings(answers, batch, answers.jvp)
    return [compare(mine, theirs, _paired(batch, stick))]


def pairings(answers: Answers, batch: Batch, pushed: Sequence[Floats]) -> tuple[Floats, Floats]:
    """<vjp(u), v> and <u, pushed>, summed over inputs and over arrays of the value, at the cases for which `pushed` is known."""
    rows = len(pushed[0])

    def pair(xs: Sequence[Floats], ys: Sequence[Floats]) -> Floats:
        return np.sum([np.sum(x[:rows] * y[:rows], axis=tuple(range(2, x.ndim))) for x, y in zip(xs, ys, strict=True)], axis=0)

    return pair(answers.vjp, batch.tangents), pair(batch.cotangents, pushed)


def _paired(batch: Batch, stick: Yardstick) -> Measure:
    """The measure of such an inner product: what both sides could be by the sizes of their factors."""
    factors = [(m, norms(c)) for m, c in zip(stick.jvp, batch.cotangents, strict=True)]
    factors += [(m, norms(t)) for m, t in zip(stick.vjp, batch.tangents, strict=True)]
    return Measure(
        np.sum([m.scale * size for m, size in factors], axis=0),
        np.sum([m.noise * size for m, size in factors], axis=0),
        np.sum([m.natural * size for m, size in factors], axis=0),
    )


def jacobian_contracts_to_vjp(answers: Answers, stick: Yardstick) -> list[Comparison]:
    """A cotangent contracted with the closed-form Jacobian is its vjp."""
    together = zip(answers.contracted, answers.vjp, stick.vjp, strict=True)
    return [compare(mine, theirs[:, :1], m[:, :1]) for mine, theirs, m in together]


def maps_are_linear(answers: Answers, stick: Yardstick) -> list[Comparison]:
    """Both maps are linear in tangent and cotangent, negative and large multiples and zero included.

    The rule is compared with itself here, so its own size counts too: a gradient may be large where no tangent sees it.
    """
    compared = []
    for bends, own, measures in zip(answers.nonlinear, (answers.jvp, answers.vjp), (stick.jvp, stick.vjp), strict=True):
        for bend, mine, m in zip(bends, own, measures, strict=False):  # no bends where nothing is claimed
            sizes = (np.fmax(m.scale, norms(mine)), m.noise, m.natural)
            widest = Measure(*(3 * np.max(x, axis=1, keepdims=True) for x in sizes))
            compared.append(compare(bend[:, None], np.zeros_like(bend)[:, None], widest))
    return compared


def agrees(answers: Answers, elsewhere: tuple[Floats, ...], stick: Yardstick) -> list[Comparison]:
    """Value, jvp and vjp (first probe, first cases) on another array library are those on NumPy."""
    mine = [v[:, None] for v in answers.value] + [x[:, :1] for x in (*answers.jvp, *answers.vjp)]
    measures = [*stick.value, *(m[:, :1] for m in (*stick.jvp, *stick.vjp))]
    rows = len(elsewhere[0])
    return [compare(theirs[:, None], m[:rows], measure[:rows]) for m, theirs, measure in zip(mine, elsewhere, measures, strict=True)]
