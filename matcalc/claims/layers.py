"""Whether a claim is right, by exact arithmetic first: residues, then balls, and finite differences for what neither of them knows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import flint
import numpy as np

from matcalc.claims.atoms import arithmetic, without_comparisons
from matcalc.claims.points import Floats, Sizes, at_random, direction, finite, in_balls, in_field, proposals
from matcalc.claims.question import Question, beside, both
from matcalc.derivation import clock
from matcalc.derivation.reverse import prepared
from matcalc.exact import Ball, BallDual, Exact, Field, NoExactFormError, UndecidedError, UndefinedPointError, working_precision
from matcalc.formula.expression import Expr
from matcalc.formula.operations import Point, evaluate

CHANCE = 1e-15
"The chance of a false proof that is aimed at, for each choice of sizes."
FEWEST, MOST = 2, 6
"Points of one size in the prime field: the fewest, and the most that are drawn for the sake of that chance."
SIZES = 3
"How many choices of sizes are looked at."
TRIES, ROOT_TRIES = 6, 64
"How often a point is drawn again because something is undefined there; half of all residues have no root."
FLOAT_TRIES = 40
POINTS, MORE_POINTS = 2, 6
"Points of one size in balls and floats; more where the sign of a number may matter, which is right at half of all points by chance."
SIGNED = {"abs", "sign", "relu", "step", "norm1", "max", "min", "maximum", "minimum", "sort", "logabsdet", "sqrt", "power", "norm", "log"}
"Operations whose derivative may depend on the sign of something."
DIGITS = 30
"Digits to which balls must agree."
PRECISIONS = (192, 640)
UNDEFINED = "no point was found at which the function and the claim are both defined"
NOWHERE = "the claim is defined at no point that was tried, where the function has a derivative"
TOO_LARGE = "the arrays are too large for this arithmetic"
ONE_SIZE = "it agrees, but could be looked at for one choice of sizes only"
DOUBLE = 2.0**-50
"Relative difference below which balls that do not meet may come from a constant that is good to double precision."
LEAST_FLOAT_DIGITS = 6
"Digits to which a claim must agree with finite differences."


@dataclass(frozen=True)
class Layer:
    """What one arithmetic says of a claim."""

    name: str  # "prime field", "balls", "finite differences", "shapes", "JAX"
    says: str  # "equal", "different" or "nothing"
    points: int = 0
    sizes: tuple[Sizes, ...] = ()
    bound: float = 0.0  # the chance of a false proof
    digits: float = 0.0  # to how many decimal digits both sides agree
    note: str = ""


MOST_WORK = {"field": 2e8, "balls": 1e6, "floats": 1e10, "search": 4e6}
"Multiplications of one evaluation, above which an arithmetic is not tried, and no explanation is searched."
HUGE = 10**9
"A length beyond all limits."
MOST_ENTRIES = 4e6
"Entries of all arrays together that one evaluation may make."


def work(expr: Expr, sizes: Sizes) -> tuple[float, float]:
    """About how many multiplications an evaluation takes, and how many entries the arrays have that it makes."""
    total, entries = 0.0, 0.0
    for node in expr.nodes():
        rows, cols = (float(min(size.at(sizes), HUGE)) for size in node.shape)
        inner = node.args[0].cols.at(sizes) if node.op == "matmul" else 1
        entries += rows * cols
        total += rows * cols * min(inner, HUGE)
        if node.op in CUBIC:
            total += 10.0 * min(max(size.at(sizes) for size in node.args[0].shape), HUGE) ** 3
    return total, entries


CUBIC = {"inv", "det", "logdet", "logabsdet", "pinv", "expm", "spectral", "nuclear", "matpow", "sqrtm"}
"Operations that are done by elimination, or by more."


def affordable(question: Question, sizes: Sizes, arithmetic_: str) -> bool:
    """Whether a point of these sizes is not too much for an arithmetic; exact inverses take one power more."""
    (needed, entries), (more, others) = work(question.target, sizes), work(question.claim, sizes)
    largest = max((size for v in question.variables for size in v.lengths(sizes)), default=1)
    dear = 1 if arithmetic_ == "floats" else max(largest / 10, 1)
    if arithmetic_ == "search":  # which looks at every entry of a function
        dear = float(min(question.target.rows.at(sizes) * question.target.cols.at(sizes), HUGE))
    return (needed + more) * dear <= MOST_WORK[arithmetic_] and entries + others <= MOST_ENTRIES


class TooLargeError(NoExactFormError):
    """The arrays are too large for an arithmetic at all sizes."""


class UndefinedEverywhereError(Exception):
    """No point was found at which the function and the claim are both defined."""


def sizes_for(question: Question, arithmetic_: str) -> Iterator[Sizes]:
    """The sizes that were asked for, or such as may serve, without those that are too much for an arithmetic; TooLargeError if all are."""
    found = False
    for sizes in question.dims or proposals(question.names):
        clock.check()
        if affordable(question, sizes, arithmetic_):
            found = True
            yield sizes
    if not found:
        raise TooLargeError(TOO_LARGE)


def _too_few(question: Question, good: Sequence[Sizes]) -> bool:
    """Whether a claim that is right at these sizes may still be wrong at others, as where there is a 3 for an n."""
    choices = list(question.dims) or list(proposals(question.names))
    return len(good) < min(2, len(choices))


def float_points(question: Question, sizes: Sizes, rng: np.random.Generator, count: int) -> Iterator[dict[str, Floats]]:
    """Points of the domain at which the function and the claim are finite numbers."""
    found = 0
    for _ in range(FLOAT_TRIES):
        clock.check()
        inputs = at_random(question.variables, sizes, rng)
        point = Point(inputs, sizes, np.zeros(()))
        if question.kind == "differential":
            moving = {question.moved: inputs[question.wrt.name]}
            point = Point({**inputs, **moving}, sizes, np.zeros(()))
        if finite(question.target, point) and finite(question.claim, point):
            yield inputs
            found += 1
            if found == count:
                return


# --- the prime field -------------------------------------------------------------------------------------------------------------


def in_the_field(question: Question, seed: int = 0) -> Layer:
    """What residues say: an equality is a proof, a difference a refutation if no unknown function and no root took part."""
    kind = "jacobian" if question.kind == "hessian" else question.kind  # of the gradient, which `target` is
    try:
        f, claim = (without_comparisons(prepared(side)) for side in (question.target, question.claim))
        return _field_layer(replace(question, f=f, claim=claim, kind=kind), seed)
    except (NoExactFormError, NotImplementedError, UndefinedEverywhereError) as error:
        return Layer("prime field", "nothing", note=str(error))


@dataclass(frozen=True)
class _Seen:
    """A random point of the prime field."""

    different: bool
    chance: float  # of a false equality
    transcendental: bool  # whether a difference refutes nothing
    roots: bool


def _field_layer(question: Question, seed: int) -> Layer:
    rng = np.random.default_rng([seed, 61])
    good: list[Sizes] = []
    points: list[_Seen] = []
    worst = 0.0
    for sizes in sizes_for(question, "field"):
        missed, found = _at_one_size(question, sizes, rng)
        points += found
        if found and found[-1].different:
            if found[-1].transcendental:
                note = "different with unknown functions or roots, which refutes nothing"
                return Layer("prime field", "nothing", len(points), note=note)
            return Layer("prime field", "different", len(points), (sizes,))
        if not found:
            continue
        worst = max(worst, missed)
        good.append(sizes)
        if len(good) == SIZES:
            break
    if not good:
        raise UndefinedEverywhereError(UNDEFINED)
    if _too_few(question, good):
        return Layer("prime field", "nothing", len(points), tuple(good), note=ONE_SIZE)
    note = "signs of square roots are not known here" if any(point.roots for point in points) else ""
    return Layer("prime field", "equal", len(points), tuple(good), worst, note=note)


def _at_one_size(question: Question, sizes: Sizes, rng: np.random.Generator) -> tuple[float, list[_Seen]]:
    """Points of one size, until they are a proof or one of them is different; and the chance of a false equality at all of them."""
    missed = 1.0
    points: list[_Seen] = []
    while len(points) < MOST:
        seen = _field_point(question, sizes, rng)
        if seen is None:
            return 1.0, []
        points.append(seen)
        missed *= seen.chance
        if seen.different or (len(points) >= FEWEST and missed <= CHANCE):
            break
    return missed, points


def _field_point(question: Question, sizes: Sizes, rng: np.random.Generator) -> _Seen | None:
    """Both sides at a random point; None if none is found at which they are defined."""
    # a constant that is told in digits on one side may be good to double precision, which is seen in balls
    named_constants = any(node.op == "constant" for side in (question.f, question.claim) for node in side.nodes())
    tries = TRIES
    attempt = 0
    while attempt < tries:
        attempt += 1
        clock.check()
        kind, used = arithmetic(int(rng.integers(2**60)))
        constants = {name: kind.base.random(rng, ()) for name in ("pi", "e")}

        def prepare(expr: Expr, point: Point, constants: dict[str, Any] = constants) -> None:
            for node in expr.nodes():
                if node.op == "constant":
                    value = constants[str(node.data)]
                    point.values[node] = value if isinstance(point.like, Field) else type(point.like).constant(value)

        try:
            pairs = both(question, in_field(question.variables, question.wrt.name, sizes, rng, kind), sizes, prepare)
        except UndefinedPointError:
            tries = ROOT_TRIES if used.roots else TRIES
            continue
        gaps: list[Any] = [got - truth for got, truth, _ in pairs]
        chance = min(1.0, max(gap.degree.chance for gap in gaps) + used.collisions)
        different = any(bool(gap.entries.any()) for gap in gaps)
        return _Seen(different, chance, used.transcendental or named_constants, used.roots)
    return None


# --- balls -----------------------------------------------------------------------------------------------------------------------


def in_the_balls(question: Question, seed: int = 0) -> Layer:
    """What balls of real numbers say: apart is a refutation, together to 30 digits a verification."""
    layer = Layer("balls", "nothing")
    for bits in PRECISIONS:
        with working_precision(bits):
            try:
                layer = _ball_layer(question, seed)
            except (UndecidedError, UndefinedPointError) as error:  # which more bits may cure
                layer = Layer("balls", "nothing", note=str(error))
            except (NoExactFormError, NotImplementedError, UndefinedEverywhereError) as error:
                return Layer("balls", "nothing", note=str(error))
        if layer.says != "nothing":
            break
    return layer


def _ball_layer(question: Question, seed: int) -> Layer:
    rng = np.random.default_rng([seed, 62])
    good: list[Sizes] = []
    points, apart = 0, 0.0
    for sizes in sizes_for(question, "balls"):
        compared = list(_in_balls(question, sizes, rng))
        points += len(compared)
        if any(disjoint for disjoint, _ in compared):
            return Layer("balls", "different", points, (sizes,))
        if compared:
            apart = max(apart, *(distance for _, distance in compared))
            good.append(sizes)
        if len(good) == SIZES:
            break
    if not good:
        raise UndefinedEverywhereError(UNDEFINED)
    digits = max(0.0, -math.log10(max(apart, 1e-60)))
    if _too_few(question, good):
        return Layer("balls", "nothing", points, tuple(good), digits=digits, note=ONE_SIZE)
    if digits < DIGITS:
        return Layer("balls", "nothing", points, tuple(good), digits=digits, note=f"agrees to {digits:.0f} digits of {DIGITS} only")
    return Layer("balls", "equal", points, tuple(good), digits=digits)


def _in_balls(question: Question, sizes: Sizes, rng: np.random.Generator) -> Iterator[tuple[bool, float]]:
    """For points of one size, whether both sides are certainly different, and how far apart they may be; ends at a difference."""
    enough = MORE_POINTS if _signed(question) else POINTS
    seen = 0
    for inputs in float_points(question, sizes, rng, enough + 2):
        try:
            pairs = both(question, in_balls(inputs, question.wrt, rng, BallDual), sizes, _with_matrix_exponentials)
        except UndefinedPointError:
            continue
        compared = [_apart(*pair) for pair in pairs]
        yield any(disjoint for disjoint, _ in compared), max(distance for _, distance in compared)
        seen += 1
        if seen == enough or any(disjoint for disjoint, _ in compared):
            return


def _signed(question: Question) -> bool:
    """Whether the sign of some number may matter."""
    nodes = [*question.target.nodes(), *question.claim.nodes()]
    return any(node.op in SIGNED and not (node.op == "power" and node.args[1].op == "number") for node in nodes)


def _apart(got: Exact, truth: Exact, natural: Sequence[Exact]) -> tuple[bool, float]:
    """Whether two sides are certainly different, and how far apart they may be at most, relative to their size."""
    gap: Any = got - truth
    sides = [b for side in (got, truth, *natural) if isinstance(side, Ball) for b in side.entries.ravel()]
    size = max((b.abs_upper() for b in sides), default=flint.arb(0))
    balls = gap.entries.ravel()
    if not size > 0:
        return False, 0.0
    distance = float(max((b.abs_upper() for b in balls), default=flint.arb(0)) / size)
    return distance > DOUBLE and not all(b.contains(0) for b in balls), distance


def _with_matrix_exponentials(expr: Expr, point: Point) -> None:
    """Matrix exponentials by Arb's own, which bounds its error; that of a dual number stands in one of twice the size."""
    for node in expr.nodes():
        if node.op == "expm" and node not in point.values:
            A = evaluate(node.args[0], point)
            point.values[node] = _expm(A) if A.ndim else A.function("exp")


def _expm(A: Any) -> Any:
    if isinstance(A, Ball):
        return Ball(_matrix_exponential(A.entries))
    n = A.shape[0]
    value, tangent = A.value.entries, A.tangent.entries
    zero = np.full((n, n), flint.arb(0), dtype=object)
    whole = _matrix_exponential(np.block([[value, tangent], [zero, value]]))
    return BallDual(Ball(whole[:n, :n]), Ball(whole[:n, n:]))


def _matrix_exponential(entries: Any) -> Any:
    result = flint.arb_mat(entries.tolist()).exp()
    rows, cols = entries.shape
    return np.array([[result[i, j] for j in range(cols)] for i in range(rows)], dtype=object)


# --- floats ----------------------------------------------------------------------------------------------------------------------


def in_floats(question: Question, seed: int = 0) -> Layer:
    """What finite differences say, where no exact arithmetic knows an operation."""
    try:
        return _float_layer(question, seed)
    except TooLargeError as error:
        return Layer("finite differences", "nothing", note=str(error))


def _float_layer(question: Question, seed: int) -> Layer:
    rng = np.random.default_rng([seed, 63])
    points, worst, good = 0, 0.0, list[Sizes]()
    for sizes in sizes_for(question, "floats"):
        seen = 0
        for inputs in float_points(question, sizes, rng, MORE_POINTS):
            dX = direction(question.wrt, inputs[question.wrt.name].shape, rng)
            slope, error = difference(question.target, inputs, question.wrt.name, dX, sizes)
            C = _claimed(question, inputs, dX, sizes)
            got, true = beside(question.kind, C, dX, slope)
            size = max(float(np.max(np.abs(slope))), float(np.max(np.abs(got))), float(np.max(np.abs(C))), 1e-30)
            gap = float(np.max(np.abs(got - true))) / size
            if question.of_symmetric:
                gap = max(gap, float(np.max(np.abs(C - C.T))) / size)
            points, seen = points + 1, seen + 1
            if gap > max(1e-5, 100 * error / size):
                return Layer("finite differences", "different", points, (sizes,))
            worst = max(worst, gap, error / size)
        if seen:
            good.append(sizes)
        if len(good) == SIZES:
            break
    digits = max(0.0, -math.log10(max(worst, 1e-16))) if points else 0.0
    few = _too_few(question, good)
    says = "equal" if digits >= LEAST_FLOAT_DIGITS and not few else "nothing"
    note = UNDEFINED if not points else ONE_SIZE if few else ""
    return Layer("finite differences", says, points, tuple(good), digits=digits, note=note)


def _claimed(question: Question, inputs: dict[str, Floats], dX: Floats, sizes: Sizes) -> Floats:
    more = {question.moved: dX} if question.kind == "differential" else {}
    return np.asarray(evaluate(question.claim, Point({**inputs, **more}, sizes, np.zeros(()))))


def difference(f: Expr, inputs: dict[str, Floats], name: str, dX: Floats, sizes: Sizes, step: float = 2.0**-6) -> tuple[Any, float]:
    """The derivative along a direction by central differences, extrapolated to step zero (Ridders), and an estimate of its error."""

    def value(t: float) -> Any:
        return np.asarray(evaluate(f, Point({**inputs, name: inputs[name] + t * dX}, sizes, np.zeros(()))))

    with np.errstate(all="ignore"):
        best, least = np.asarray(0.0), math.inf
        rows: list[list[Any]] = []
        for k in range(6):
            h = step / 2**k
            row = [(value(h) - value(-h)) / (2 * h)]
            for j in range(1, k + 1):
                row.append(row[j - 1] + (row[j - 1] - rows[-1][j - 1]) / (4**j - 1))
                error = float(max(np.max(np.abs(row[j] - row[j - 1])), np.max(np.abs(row[j] - rows[-1][j - 1]))))
                if error < least:
                    best, least = row[j], error
            rows.append(row)
    return best, least if math.isfinite(least) else math.inf


def by_jax(question: Question, seed: int = 0) -> Layer:
    """What `matcalc.check` says, which brings in JAX: the last resort."""
    from matcalc.checking import check
    from matcalc.verdict import Status

    rng = np.random.default_rng([seed, 64])
    good: list[Sizes] = []
    says, note = "nothing", ""
    if question.kind != "gradient" or question.of_symmetric:
        return Layer("JAX", says, note="gradients by arrays without symmetry only")
    for sizes in (each for each in question.dims or proposals(question.names) if affordable(question, each, "search")):
        for inputs in float_points(question, sizes, rng, 1):
            others = {k: x for k, x in inputs.items() if k != question.wrt.name}

            def value_of(expr: Expr, x: Any, others: dict[str, Floats] = others, sizes: Sizes = sizes) -> Any:
                return evaluate(expr, Point({**others, question.wrt.name: x}, sizes, x[..., :0].sum()))

            f, claim = (partial(value_of, expr) for expr in (question.f, question.claim))
            verdict = check(f, inputs[question.wrt.name], seed=seed, grad=claim)
            says = {Status.VERIFIED: "equal", Status.PROVED: "equal", Status.REFUTED: "different"}.get(verdict.status, "nothing")
            good.append(sizes)
        if says == "different" or (good and (says == "nothing" or not _too_few(question, good))):
            break
    if says == "equal" and _too_few(question, good):
        says, note = "nothing", ONE_SIZE
    return Layer("JAX", says, len(good), tuple(good), note=note)
