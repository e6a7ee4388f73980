"""Verdicts: a rule's cases are drawn, the oracles asked, and the evidence weighed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

from matcalc import diagnose, factors, precision, proof, second, special, statements
from matcalc import property as properties
from matcalc.array import parts
from matcalc.cases import (
    EPSILON,
    PROFILES,
    Batch,
    Profile,
    draw,
    empty_groups,
    groups,
    named_groups,
    nearby,
    reached,
    strategy,
)
from matcalc.oracle import autodiff, complex_step, differences, frameworks
from matcalc.particulars import unjudged
from matcalc.property import Answers, Compared, FaultError, Measure, Tally, Yardstick, first_line
from matcalc.rule import Rule
from matcalc.verdict import Counterexample, Curve, Evidence, Status, Verdict, Worst

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from matcalc.oracle.differences import Difference
    from matcalc.rule import Subject

    Floats = NDArray[np.float64]

import_module("scipy.linalg")  # its library of linear algebra must be loaded before its threads can be limited

TORCH_CASES = 3
SINGLE = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Observation:
    """One batch and what the oracles say of the rule's function there. Nothing in it depends on the rule's derivatives."""

    batch: Batch
    autodiff: autodiff.Autodiff | None
    differences: tuple[Difference, ...]
    steps: Floats
    stick: Yardstick
    untraceable: str = ""
    complex_step: tuple[Difference, ...] = ()  # where JAX has no say and the function is analytic
    differentiated: Callable[..., Any] | None = None  # what JAX has differentiated: the function, or a copy of it in JAX's words


def verify(rule: Subject, *, seed: int = 0, profile: str = "default") -> Verdict:
    """The verdict on one rule. Never raises for a bad rule: what is wrong with it is the verdict's reason.

    Raises ValueError if the profile is unknown.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, but {profile!r} came")
    started = time.perf_counter()
    with quietly():
        verdict = examine(rule, seed=seed, profile=PROFILES[profile])
    return replace(verdict, seconds=time.perf_counter() - started)


def examine(rule: Subject, *, seed: int, profile: Profile, traced: bool = True, whole: bool = True) -> Verdict:
    """The verdict of all oracles, and for a refuted rule its smallest case and what may be wrong with it.

    `traced` says whether JAX may differentiate the value. Unless `whole`, second derivatives are left out. Other array libraries
    and shorter floating-point formats are for rules only, which promise to run on them.
    """
    observations: list[Observation] = []
    try:
        observations = observe(rule, seed=seed, profile=profile, traced=traced)
        verdict = judge(rule, observations, elsewhere=rule.strict)
    except FaultError as fault:
        explained = diagnose.explain_shape(rule, observations) if fault.property == "shape" else ()
        return replace(_faulty(rule, fault), explanations=explained)
    verdict = _with_more(rule, verdict, seed, whole=whole)
    if verdict.status is Status.REFUTED:
        answered = [(_padded(rule, seen), properties.ask(rule, seen.batch, known=True)) for seen in observations]
        by_numbers = any(e.margins and e.status is Status.REFUTED for e in verdict.evidence)
        verdict = replace(
            verdict,
            counterexample=(smallest_counterexample(rule, seed) if by_numbers else None) or verdict.counterexample,
            explanations=diagnose.explain(rule, answered),
        )
    return verdict


def _padded(rule: Subject, seen: Observation) -> Observation:
    """The same with a place for a difference at every case, not a number where none was taken."""
    missing = seen.batch.count - len(seen.steps)

    def filled(x: Any, value: Any) -> Any:
        return np.concatenate([x, np.full((missing, *x.shape[1:]), value, dtype=x.dtype)])

    padded = tuple(
        differences.Difference(filled(d.value, np.nan), filled(d.error, np.inf), filled(d.plain, np.nan), filled(d.kink, value=False))
        for d in seen.differences
    )
    return replace(seen, batch=reached(rule, seen.batch), differences=padded, steps=filled(seen.steps, np.nan))


def _with_more(rule: Subject, verdict: Verdict, seed: int, *, whole: bool) -> Verdict:
    """The verdict after what is looked at besides random cases: special points, factors chosen first, exact arithmetic, and more.

    Somebody's own code that is wrong at random points is not asked at special ones: it waits for an explanation.
    """
    wrong_already = verdict.status is Status.REFUTED and not rule.strict
    special_evidence, census = ([], ()) if wrong_already else special.survey(rule, seed=seed)
    built, proofs = factors.examine(rule, seed=seed), proof.prove(rule, seed=seed)
    single, kept = precision.digits(rule, seed=seed) if rule.strict else ([], ())
    twice = second.order(rule, second.batches(rule, seed=seed)) if whole else []
    found = [*special_evidence, *built.evidence, *proofs, *single, *twice]
    census = (*census, *built.census)
    evidence = (*verdict.evidence, *found)
    status, reason = verdict.status, verdict.reason
    refuted = [e for e in found if e.status is Status.REFUTED]
    printed = statements.execute(rule, seed=seed) if isinstance(rule, Rule) else ()
    picture = statements.picture(rule, seed=seed) if isinstance(rule, Rule) else None
    false = [s for s in printed if s.status is Status.REFUTED]
    lacking = special.missing(rule, census) if rule.strict else []
    if refuted and status is not Status.REFUTED:
        status, reason = Status.REFUTED, refuted[0].note
    elif false and status.good:
        status = Status.REFUTED
        reason = f"the printed equation {false[0].tex} does not hold for its code (relative difference {false[0].error:.1e})"
    elif status.good and lacking:
        status, reason = Status.INCONCLUSIVE, f"the census of {rule.name} lacks {', '.join(lacking)}, which its domains allow"
    elif status.good and (undefined := [e for e in special_evidence if (e.property, e.oracle) == ("kink", "itself")]):
        status, reason = Status.INCONCLUSIVE, undefined[0].note
    elif status.good and proofs and all(e.status is Status.PROVED for e in proofs):
        status = Status.PROVED
    return replace(verdict, status=status, reason=reason, evidence=evidence, census=census, digits=kept, statements=printed, graph=picture)


@contextmanager
def quietly() -> Generator[None]:
    """No warnings about overflow, which verdicts report, and one thread for linear algebra: small matrices only wait for more."""
    with np.errstate(all="ignore"), _linear_algebra().limit(limits=1, user_api="blas"):
        yield


@cache
def _linear_algebra() -> ThreadpoolController:
    """The loaded libraries of linear algebra; to look for them takes as long as twenty cases."""
    return ThreadpoolController()


def prepare(*, cache: Path | None = None) -> None:
    """Set up a process of matcalc's own before it verifies: keep compiled programs in a folder between runs."""
    if cache is not None:
        autodiff.use_cache(cache)


# --- asking the oracles --------------------------------------------------------------------------------------------------------


def observe(rule: Subject, *, seed: int, profile: Profile, traced: bool = True) -> list[Observation]:
    """Cases of several shapes, and what the oracles say of the function there.

    Raises FaultError if the rule cannot be called on its own domains at all.
    """
    chosen = groups(rule, profile)
    named = [sizes for sizes in named_groups(rule) if sizes not in chosen]
    observations = []
    for sizes in [*chosen, *named]:
        try:
            batch = draw(rule, sizes, max(2, profile.cases // len(chosen)), seed, profile)
        except Exception as error:
            if sizes in named:
                continue  # who refuses a size by name does so on purpose
            where = ", ".join(f"{name} = {size}" for name, size in sizes.items()) or "its only size"
            raise FaultError("value", f"{rule.name} raises {type(error).__name__} at {where}: {first_line(error)}") from error
        observations.append(look(rule, batch, traced=traced, differenced=profile.differenced))
    sticks = properties.levelled([seen.stick for seen in observations])
    return [replace(seen, stick=stick) for seen, stick in zip(observations, sticks, strict=True)]


def look(rule: Subject, batch: Batch, *, traced: bool = True, differenced: int = 10**9) -> Observation:
    """What the oracles say of the rule's function at the cases of one batch; untraced, without JAX and its compiler.

    Where another oracle has its say, finite differences are taken at the first `differenced` cases only.
    """
    function = rule.value
    batch = reached(rule, batch, differenced)
    few = _first(batch, min(differenced, batch.count))
    h = differences.steps(few.reach)
    offsets = differences.offsets(h)
    try:
        arrays = (batch.inputs, batch.neighbours, batch.tangents, batch.cotangents)
        oracle = autodiff.observe(function, batch.free, *arrays, offsets) if traced else None
        untraceable = ""
    except autodiff.CannotTraceError as error:
        oracle, untraceable = None, str(error)
    if oracle is not None:
        found = _extrapolated(oracle.stencil, oracle.value, h)
        if few.count < batch.count and any(np.any(d.kink) for d in found):
            return look(rule, batch)  # where a kink may be, differences are needed at every case to find it
        return Observation(batch, oracle, found, h, properties.yardstick(batch, oracle), differentiated=function)
    run = _runner(rule)
    found = _extrapolated(_stencil(run, few, offsets), _at_places(run, _places(few)), h)
    if (accuracy := _accuracy(run, few, found)) < np.inf:
        places = _places(batch)
        values, exact = _at_places(run, places), complex_step.along(run, batch.free, places, batch.tangents) or ()
        stick = properties.yardstick(batch, _as_autodiff(batch, values, exact))
        defined = [np.where(np.isfinite(v)[:, :, None], x, np.nan)[:, 0] for x, v in zip(exact, values, strict=True)]
        return Observation(batch, None, found, h, stick, untraceable, tuple(_accurate(x, accuracy) for x in defined))
    seen = _translated(rule, batch, few, found, h) if traced else None
    if seen is not None or few.count < batch.count:
        return seen or look(rule, batch, traced=False)
    known = _as_autodiff(batch, _at_places(run, _places(batch)), [d.value[:, None] for d in found])
    return Observation(batch, None, found, h, properties.yardstick(batch, known), untraceable)


def _accuracy(run: Callable[[Sequence[Any]], tuple[Floats, ...]], few: Batch, found: Sequence[Difference]) -> float:
    """How accurate the complex step has been seen to be at a few cases: infinite where it is not right."""
    along = complex_step.along(run, few.free, [x[:, None] for x in few.inputs], few.tangents)
    return np.inf if along is None else complex_step.accuracy(along, found)


def _places(batch: Batch) -> list[Floats]:
    """The inputs of each case, then its neighbours: (cases, places, *input shape)."""
    return [np.concatenate([x[:, None], near], axis=1) for x, near in zip(batch.inputs, batch.neighbours, strict=True)]


def _translated(rule: Subject, batch: Batch, few: Batch, found: tuple[Difference, ...], h: Floats) -> Observation | None:
    """What JAX says of a copy of a NumPy function in its own words, beside differences of the function itself at a few cases.

    None unless the copy gives the values of the function.
    """
    copy = autodiff.translated(rule.value)
    if copy is None:
        return None
    arrays = (batch.inputs, batch.neighbours, batch.tangents, batch.cotangents)
    try:
        oracle = autodiff.observe(copy, batch.free, *arrays, differences.offsets(h)[:, :, :0])
    except autodiff.CannotTraceError:
        return None
    stick = properties.yardstick(batch, oracle)
    values = _runner(rule)(few.inputs)
    first = replace(oracle, value=tuple(v[: few.count] for v in oracle.value))
    ruler = Yardstick(tuple(m[: few.count] for m in stick.value), (), ())
    if any(np.any(c.margin > 1) for c in properties.values_agree(Answers(values, (), (), ((), ())), first, ruler)):
        return None
    if few.count < batch.count and any(np.any(d.kink) for d in found):
        return look(rule, batch)  # where a kink may be, differences are needed at every case to find it
    return Observation(batch, oracle, found, h, stick, differentiated=copy)


def _extrapolated(stencil: Sequence[Floats], values: Sequence[Floats], h: Floats) -> tuple[Difference, ...]:
    """The differences at the first cases, for each array of the value."""
    rows = len(h)
    noises = [properties.noise(v[:rows], 2)[:, None] for v in values]
    return tuple(differences.extrapolate(s, v[:rows, :1], h, n) for s, v, n in zip(stencil, values, noises, strict=True))


def _accurate(derivative: Floats, accuracy: float) -> Difference:
    """A derivative (case, probe, ...) known to a relative accuracy, in the form of a difference."""
    sizes = properties.norms(derivative)
    return differences.Difference(derivative, accuracy * sizes, derivative[:, :, None], np.zeros(sizes.shape, dtype=bool))


def _runner(rule: Subject) -> Callable[[Sequence[Any]], tuple[Floats, ...]]:
    """The function's values at points stacked along the first axis: at once where the subject knows how, else one by one."""

    def one_by_one(points: Sequence[Any]) -> tuple[Any, ...]:
        rows = [[np.asarray(v) for v in parts(rule.value(*point))] for point in zip(*points, strict=True)]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))

    def at_once(points: Sequence[Any]) -> tuple[Any, ...]:
        try:
            return autodiff.run(rule.value, points)
        except autodiff.CannotTraceError:  # what it does may hang on the numbers: `if x > 0`
            return one_by_one(points)

    return at_once if rule.mapped else one_by_one


def _stencil(run: Callable[[Sequence[Any]], tuple[Floats, ...]], batch: Batch, offsets: Floats) -> tuple[Floats, ...]:
    """The function's values along each tangent: (cases, probes, offsets, *value shape)."""
    moved = differences.moved_along(batch.inputs, batch.free, batch.tangents, offsets)
    points = [p.reshape(-1, *x.shape[1:]) for p, x in zip(moved, batch.inputs, strict=True)]
    return tuple(v.reshape(*offsets.shape, *v.shape[1:]) for v in run(points))


def _at_places(run: Callable[[Sequence[Any]], tuple[Floats, ...]], places: Sequence[Floats]) -> tuple[Floats, ...]:
    """The function's values at each case and its neighbours: (cases, places, *value shape)."""
    values = run([x.reshape(-1, *x.shape[2:]) for x in places])
    return tuple(v.reshape(*places[0].shape[:2], *v.shape[1:]) for v in values)


def _as_autodiff(batch: Batch, values: tuple[Floats, ...], along: Sequence[Floats]) -> autodiff.Autodiff:
    """What directional derivatives (case, place, probe, ...) know in the place of what autodiff would.

    The size of the gradient, as far as the tangents show it.
    """
    gain = np.sum([np.sum(c[:, None] * x, axis=tuple(range(3, x.ndim))) for c, x in zip(batch.cotangents, along, strict=True)], axis=0)
    vjp = []
    for tangent in batch.tangents:
        squared = np.sum(tangent**2, axis=tuple(range(2, tangent.ndim)), keepdims=True)
        unit = (tangent / np.where(squared > 0, squared, 1.0))[:, None]
        vjp.append(gain.reshape(*gain.shape, *(1,) * (tangent.ndim - 2)) * unit)
    return autodiff.Autodiff(values, tuple(along), tuple(vjp), ())


# --- weighing the evidence -----------------------------------------------------------------------------------------------------


def _faulty(rule: Subject, fault: FaultError) -> Verdict:
    """The verdict on a rule that could not be compared."""
    evidence = Evidence(fault.property, "itself", Status.REFUTED, 1, note=fault.sentence)
    return replace(unjudged(rule), status=Status.REFUTED, reason=fault.sentence, evidence=(evidence,))


def judge(rule: Subject, observations: Sequence[Observation], *, elsewhere: bool = True) -> Verdict:
    """The verdict on a rule, given what the oracles say of its function; `elsewhere`, on other array libraries too.

    Raises FaultError if it cannot be compared.
    """
    answered = [(seen, properties.ask(rule, seen.batch)) for seen in observations]
    tallies = _tallies(rule, answered, elsewhere=elsewhere)
    evidence = [tally.evidence() for tally in tallies]
    cases = sum(seen.batch.count for seen, _ in answered)
    if answered:  # `ask` raises where shapes or purity do not hold
        evidence += [Evidence(word, "itself", Status.VERIFIED, cases) for word in ("shape", "pure")]
        evidence += [_dtypes(rule, answered[0][0].batch), _empties(rule), _companions(rule, answered[0][0])] if rule.strict else []
    evidence = [replace(e, note=_sentence(rule, e)) if e.status is Status.REFUTED else e for e in evidence]
    status, reason = _weigh(rule, evidence, answered)
    conditions = np.concatenate([seen.stick.condition for seen, _ in answered]) if answered else np.zeros(0)
    return replace(
        unjudged(rule),
        status=status,
        reason=reason,
        cases=cases,
        evidence=tuple(e for e in evidence if e.cases or e.note or e.skipped),
        conditions=tuple(float(c) for c in conditions),
        accuracies=tuple(float(a) for a in _accuracies(rule, answered)),
        curve=_curve(answered[0]) if answered else None,
        counterexample=_counterexample(rule, tallies, answered) if status is Status.REFUTED else None,
        sizes=tuple(dict(seen.batch.sizes) for seen, _ in answered),
    )


def contradicted(rule: Subject, batch: Batch, *, traced: bool = True) -> list[str]:
    """Sentences about the properties that fail at the cases of one batch: what a test can assert to be empty."""
    try:
        seen, answers = look(rule, batch, traced=traced), properties.ask(rule, batch)
        evidence = [tally.evidence() for tally in _tallies(rule, [(seen, answers)], elsewhere=False)]
    except FaultError as fault:
        return [fault.sentence]
    return [_sentence(rule, e) for e in evidence if e.status is Status.REFUTED]


def _tallies(rule: Subject, answered: Sequence[tuple[Observation, Answers]], *, elsewhere: bool) -> list[Tally]:
    """Every property beside every oracle. Where one fails by little, rounding is told from mistakes by a second look nearby."""
    tallies: dict[tuple[str, str], Tally] = {}
    for index, (seen, answers) in enumerate(answered):
        notes: dict[tuple[str, str], str] = {}
        here_too = elsewhere and index == 0
        compared = _compare_all(rule, seen, answers, notes, elsewhere=here_too)
        doubtful = [key for key, arrays in compared.items() if properties.could_be_rounding(arrays)]
        if doubtful:
            rough = _compare_all(rule, replace(seen, stick=_roughened(seen)), answers, {}, elsewhere=here_too)
            compared |= properties.second_look({key: rough[key] for key in doubtful}, partial(_again, rule, seen, elsewhere=here_too))
            for key in doubtful if not rule.strict else ():
                compared[key] = [properties.allowing(c, properties.OWN_DIGITS) for c in compared[key]]
        kinked = np.any([d.kink for d in seen.differences], axis=(0, 2))
        smooth = np.concatenate([~kinked, np.ones(seen.batch.count - len(kinked), dtype=bool)])
        for key, arrays in compared.items():
            if arrays:
                rows = len(arrays[0].error)
                tallies.setdefault(key, Tally(*key)).add(_first(seen.batch, rows), arrays, where=smooth[:rows])
        for key, note in notes.items():
            tallies.setdefault(key, Tally(*key)).note = note
    return list(tallies.values())


def _again(rule: Subject, seen: Observation, seed: int, *, elsewhere: bool) -> Compared:
    """Every property beside every oracle, at cases nearby."""
    batch = nearby(rule, seen.batch, seed)
    rows = len(seen.steps)
    near = look(rule, batch, traced=seen.autodiff is not None, differenced=rows)
    few = tuple(differences.Difference(d.value[:rows], d.error[:rows], d.plain[:rows], d.kink[:rows]) for d in near.differences)
    near = replace(near, differences=few, steps=near.steps[:rows])  # more were taken if one of them looked like a kink
    near = replace(near, stick=properties.raised(near.stick, seen.stick))
    near = replace(near, stick=_roughened(near))
    return _compare_all(rule, near, properties.ask(rule, batch, known=True), {}, elsewhere=elsewhere)


def _roughened(seen: Observation) -> Yardstick:
    """The yardstick where a difference could be rounding: what is computed on the way rounds too, the same way at every neighbour.

    A derivative that moves by its own size over a length is, on the way, as large as the value over that length. Where a softmax is
    nearly one-hot, little of that is left, the last few digits of 1; how fast what is left moves tells the length. And where a small
    number is added to a large one (K + 0.1 I), what is lost of it is lost in single precision too, and more of it.
    """
    batch, stick = seen.batch, seen.stick
    relative = np.max([properties.norms(t) / _lengths(batch.inputs[i]) for i, t in zip(batch.free, batch.tangents, strict=True)], axis=0)
    paired = np.sqrt(np.sum([(properties.norms(c) * m.scale) ** 2 for c, m in zip(batch.cotangents, stick.value, strict=True)], axis=0))
    jvp, vjp = _in_single(seen)

    def raised(m: Measure, size: Floats, single: Floats) -> Measure:
        over_length = np.divide(m.noise, m.scale, out=np.zeros_like(m.noise), where=m.scale > 0) * size
        return replace(m, noise=np.fmax(np.fmax(m.noise, single), properties.ROUNDING / properties.SAFETY * over_length))

    return Yardstick(
        value=stick.value,
        jvp=tuple(raised(m, value.scale * relative, s) for m, value, s in zip(stick.jvp, stick.value, jvp, strict=True)),
        vjp=tuple(raised(m, paired / _lengths(batch.inputs[i]), s) for m, i, s in zip(stick.vjp, batch.free, vjp, strict=True)),
    )


def _in_single(seen: Observation) -> tuple[list[Floats], list[Floats]]:
    """How far JAX's jvp and vjp are off in single precision, in units of double precision: (cases, probes) for each array."""
    batch, oracle = seen.batch, seen.autodiff
    nothing = [np.zeros(batch.reach.shape) for _ in batch.cotangents], [np.zeros(batch.reach.shape) for _ in batch.tangents]
    if oracle is None or seen.differentiated is None:
        return nothing
    arrays = batch.inputs, batch.neighbours, batch.tangents, batch.cotangents
    try:
        single = autodiff.observe(seen.differentiated, batch.free, *arrays, np.zeros((*batch.reach.shape, 0)), single=True)
    except autodiff.CannotTraceError:
        return nothing

    def apart(xs: Sequence[Floats], ys: Sequence[Floats]) -> list[Floats]:
        gaps = (properties.norms(x[:, 0] - y[:, 0]) for x, y in zip(xs, ys, strict=True))
        return [np.where(np.isfinite(gap), gap, 0.0) * (EPSILON / SINGLE) for gap in gaps]

    return apart(oracle.jvp, single.jvp), apart(oracle.vjp, single.vjp)


def _lengths(x: Floats) -> Floats:
    """The norm of each case's array, 1 where it is zero, with an axis for the probe."""
    size = properties.norms(x, 1)[:, None]
    return np.where(size > 0, size, 1.0)


def _compare_all(rule: Subject, seen: Observation, answers: Answers, notes: dict[tuple[str, str], str], *, elsewhere: bool) -> Compared:
    """Every property beside every oracle, at the cases of one batch; `notes` takes why one could not be compared."""
    batch, stick, oracle = seen.batch, seen.stick, seen.autodiff
    compared: Compared = {}
    if oracle is not None:
        compared["value", "JAX"] = properties.values_agree(answers, oracle, stick)
        compared["jvp", "JAX forward"] = properties.jvp_is_derivative(answers, oracle, stick)
        compared["vjp", "JAX reverse"] = properties.vjp_is_derivative(rule, answers, batch, oracle, stick)
    compared["jvp", "finite differences"] = properties.jvp_is_difference(answers, seen.differences, stick)
    compared["vjp", "finite differences"] = properties.vjp_is_difference(answers, batch, seen.differences, stick)
    _outvote(compared, answers, seen)
    if seen.complex_step:
        compared["jvp", "complex step"] = properties.jvp_is_difference(answers, seen.complex_step, stick)
        compared["vjp", "complex step"] = properties.vjp_is_difference(answers, batch, seen.complex_step, stick)
    if answers.contracted:
        compared["jacobian", "itself"] = properties.jacobian_contracts_to_vjp(answers, stick)
    compared["adjoint", "itself"] = properties.maps_are_adjoint(answers, batch, stick)
    compared["linear", "itself"] = properties.maps_are_linear(answers, stick)
    compared["structure", "itself"] = properties.gradient_keeps_structure(rule, answers, batch, stick)
    for name, run, rows in _libraries(batch) if elsewhere and oracle is not None else ():
        try:
            answer = run(properties.everything(rule), _arguments(batch, rows))
        except Exception as error:  # noqa: BLE001  (a rule may use what the other library lacks)
            notes["agreement", name] = f"{rule.name} does not run on {name}: {type(error).__name__}: {first_line(error)}"
            continue
        compared["agreement", name] = properties.agrees(answers, answer, stick)
    return compared


def _outvote(compared: Compared, answers: Answers, seen: Observation) -> None:
    """Leave out what one witness says against a rule whose side the other takes, at the cases where that is so.

    JAX is left out where finite differences side with the rule and refute JAX too: a framework is a witness, no truth. Differences
    are left out where JAX sides with the rule and they are apart from both by no more than a relative 1e-6: their estimate of their
    own error was too small then, and what else could be the matter would be larger.
    """
    batch, oracle = seen.batch, seen.autodiff
    if oracle is None:
        return
    jax = replace(answers, jvp=tuple(x[:, 0] for x in oracle.jvp), vjp=tuple(x[:, 0] for x in oracle.vjp))
    of_jax = {
        "jvp": properties.jvp_is_difference(jax, seen.differences, seen.stick),
        "vjp": properties.vjp_is_difference(jax, batch, seen.differences, seen.stick),
    }
    for word, name in (("jvp", "JAX forward"), ("vjp", "JAX reverse")):
        mine, theirs = compared.get((word, "finite differences"), []), compared[word, name]
        if mine and any(np.any(c.margin > 1) for c in mine):
            rows = len(mine[0].error)
            with_jax = np.all([(c.margin <= 1) & c.usable for c in theirs], axis=(0, 2))[:rows]
            little = np.all([c.error <= properties.TOO_WEAK * np.maximum(c.scale, c.natural) for c in mine], axis=(0, 2))
            compared[word, "finite differences"] = [
                replace(c, usable=c.usable & ~((with_jax & little)[:, None] & (c.margin > 1))) for c in mine
            ]
        if not mine or not any(np.any(c.margin > 1) for c in theirs):
            continue
        sides = np.all([(c.margin <= 1) & c.usable for c in mine], axis=(0, 2)) & np.any([c.margin > 1 for c in of_jax[word]], axis=(0, 2))
        apart = np.concatenate([sides, np.zeros(batch.count - len(sides), dtype=bool)])[:, None]
        compared[word, name] = [replace(c, usable=c.usable & ~apart) for c in compared[word, name]]


def _weigh(rule: Subject, evidence: Sequence[Evidence], answered: Sequence[tuple[Observation, Answers]]) -> tuple[Status, str]:
    """The status of the whole, and one sentence where it is not `verified`."""
    refuted = [e for e in evidence if e.status is Status.REFUTED]
    if refuted:
        return Status.REFUTED, max(refuted, key=lambda e: e.margin).note
    if not any(e.cases for e in evidence):
        return Status.VACUOUS, f"{rule.name} has no case: its domains admit no size that was tried"
    for word in [word for word in ("jvp", "vjp") if not answered or getattr(answered[0][1], word)]:
        beside = [e for e in evidence if e.property == word]
        if not any(e.status.good for e in beside):
            untraceable = next((seen.untraceable for seen, _ in answered if seen.untraceable), "")
            why = f"; {untraceable}" if untraceable else ""
            return Status.INCONCLUSIVE, f"no oracle could judge the {word} of {rule.name} at half of the cases{why}"
    return Status.VERIFIED, ""


def _sentence(rule: Subject, evidence: Evidence) -> str:
    """What the worst evidence says against a rule."""
    if evidence.note:
        return evidence.note
    meaning = {
        "value": f"the value of {rule.name} on NumPy is not that on JAX",
        "jvp": f"the jvp of {rule.name} is not what {evidence.oracle} gives",
        "vjp": f"the vjp of {rule.name} is not what {evidence.oracle} gives",
        "adjoint": f"the vjp of {rule.name} is not the adjoint of its jvp",
        "linear": f"the jvp or the vjp of {rule.name} is not linear",
        "jacobian": f"the jacobian of {rule.name} does not contract with a cotangent to the vjp",
        "structure": f"a gradient of {rule.name} has entries where its input has none",
        "agreement": f"{rule.name} on {evidence.oracle} is not what it is on NumPy",
    }[evidence.property]
    if not np.isfinite(evidence.worst_error):
        return f"{meaning}: it gives nan or inf where the oracle gives a number"
    relative = evidence.worst_error / evidence.scale if evidence.scale else np.inf
    return f"{meaning}: relative error {relative:.1e}, {evidence.margin:.1e} times the tolerance, over {evidence.cases} cases"


def _accuracies(rule: Subject, answered: Sequence[tuple[Observation, Answers]]) -> Floats:
    """Relative error of the vjp beside JAX's at every case (of the jvp beside the difference where JAX has no say)."""
    found = []
    for seen, answers in answered:
        if seen.autodiff is not None and answers.vjp:
            compared = properties.vjp_is_derivative(rule, answers, seen.batch, seen.autodiff, seen.stick)
        elif answers.jvp:
            compared = properties.jvp_is_difference(answers, seen.differences, seen.stick)
        else:
            compared = properties.vjp_is_difference(answers, seen.batch, seen.differences, seen.stick)
        found.append(np.max([np.where(c.scale > 0, c.error / np.where(c.scale > 0, c.scale, 1), 0.0) for c in compared], axis=(0, 2)))
    return np.concatenate(found) if found else np.zeros(0)


def _curve(answered: tuple[Observation, Answers]) -> Curve:
    """Error against step of the plain central difference, at the batch's first case and probe."""
    seen, answers = answered
    found = seen.differences[0]
    mine = answers.jvp[0][0, 0] if answers.jvp else found.value[0, 0]
    size = float(np.linalg.norm(mine)) or 1.0
    h = seen.steps[0, 0].ravel()
    errors = [float(np.linalg.norm(d - mine)) / size for d in found.plain[0, 0]]
    order = np.argsort(-h)
    return Curve(
        tuple(float(h[k]) for k in order),
        tuple(errors[k] for k in order),
        float(found.error[0, 0]) / size,
        float(np.linalg.norm(found.value[0, 0] - mine)) / size,
    )


# --- on other libraries, in single precision, on nothing at all ---------------------------------------------------------------


def _libraries(batch: Batch) -> list[tuple[str, Callable[..., Any], int]]:
    """The other array libraries a rule is run on: JAX compiled and mapped over all cases, PyTorch one case at a time."""
    found: list[tuple[str, Callable[..., Any], int]] = [("JAX", autodiff.run, batch.count)]
    if frameworks.has_torch():
        found.append(("PyTorch", frameworks.on_torch, min(TORCH_CASES, batch.count)))
    return found


def _arguments(batch: Batch, rows: int) -> list[Floats]:
    """Inputs, tangents and cotangents (first probe) of the first cases, in the order in which `everything` takes them."""
    return [x[:rows] for x in (*batch.inputs, *(t[:, 0] for t in batch.tangents), *(c[:, 0] for c in batch.cotangents))]


def _first(batch: Batch, rows: int) -> Batch:
    """The first cases of a batch."""
    inputs, tangents, cotangents, neighbours = (
        tuple(x[:rows] for x in arrays) for arrays in (batch.inputs, batch.tangents, batch.cotangents, batch.neighbours)
    )
    return replace(batch, inputs=inputs, tangents=tangents, cotangents=cotangents, neighbours=neighbours, reach=batch.reach[:rows])


def _dtypes(rule: Subject, batch: Batch) -> Evidence:
    """Single precision in, single precision out."""
    single = [x[0].astype(np.float32) for x in batch.inputs]
    tangents, cotangents = [t[0, 0].astype(np.float32) for t in batch.tangents], [c[0, 0].astype(np.float32) for c in batch.cotangents]
    try:
        at = rule.function(*single)
        answers = {"value": parts(at.value), "jvp": parts(at.jvp(*tangents)), "vjp": parts(at.vjp(*cotangents))}
    except Exception as error:  # noqa: BLE001
        note = f"{rule.name} raises {type(error).__name__} in single precision: {first_line(error)}"
        return Evidence("dtype", "itself", Status.REFUTED, 1, note=note)
    for word, arrays in answers.items():
        for array in arrays:
            if not hasattr(array, "dtype"):
                note = f"the {word} of {rule.name} must be an array, but is a {type(array).__name__}"
                return Evidence("dtype", "itself", Status.REFUTED, 1, note=note)
            if array.dtype != np.float32:
                note = f"the {word} of {rule.name} has dtype {array.dtype} for inputs of dtype float32"
                return Evidence("dtype", "itself", Status.REFUTED, 1, note=note)
    return Evidence("dtype", "itself", Status.VERIFIED, 1)


SPOILT = {"zeros": 0.0, "nan": np.nan}
"What the entries of one member of a batch become: a singular matrix, and what a library may refuse."


def _companions(rule: Subject, seen: Observation) -> Evidence:
    """One member of a batch that is singular or nan leaves the others as they are, where JAX maps the rule over the batch."""
    evidence = Evidence("batch", "JAX", Status.VACUOUS, 0)
    if seen.batch.count < 2:
        return evidence
    run = partial(autodiff.run, properties.everything(rule))
    arguments = _arguments(seen.batch, seen.batch.count)
    try:
        alone = run(arguments)
    except autodiff.CannotTraceError:
        return evidence  # "agreement" tells of it
    for name, value in SPOILT.items():
        spoilt = [x.copy() for x in arguments]
        for i in seen.batch.free:
            spoilt[i][0] = value
        try:
            beside = run(spoilt)
        except autodiff.CannotTraceError:
            note = f"{rule.name} fails for a whole batch where one member is {name}"
            return replace(evidence, status=Status.REFUTED, cases=1, note=note)
        for x, y in zip(alone, beside, strict=True):
            size = properties.norms(x[1:], 1)
            error = np.where(size < np.inf, properties.norms(y[1:] - x[1:], 1), 0.0)  # what is no number alone is judged elsewhere
            if not np.all(error <= properties.SAFETY * EPSILON * size):
                note = f"one member of a batch that is {name} changes what {rule.name} gives for the others"
                return replace(evidence, status=Status.REFUTED, cases=seen.batch.count - 1, note=note)
    return replace(evidence, status=Status.VERIFIED, cases=seen.batch.count - 1)


def _empties(rule: Subject) -> Evidence:
    """Inputs of size zero, where the domains allow them, give derivatives of the right shape."""
    chosen = empty_groups(rule)
    for sizes in chosen:
        where = ", ".join(f"{name} = {size}" for name, size in sizes.items())
        try:
            properties.ask(rule, draw(rule, sizes, 1, 0, PROFILES["quick"]))
        except FaultError as fault:
            return Evidence("empty", "itself", Status.REFUTED, len(chosen), note=fault.sentence)
        except Exception as error:  # noqa: BLE001
            note = f"{rule.name} raises {type(error).__name__} at {where}, which its domains allow: {first_line(error)}"
            return Evidence("empty", "itself", Status.REFUTED, len(chosen), note=note)
    return Evidence("empty", "itself", Status.VERIFIED, len(chosen))


# --- counterexamples -----------------------------------------------------------------------------------------------------------


def smallest_counterexample(rule: Subject, seed: int) -> Counterexample | None:
    """The simplest case that Hypothesis finds at which the rule is refuted; None if it finds none."""
    from random import Random

    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis.errors import HypothesisException

    def refuted(batch: Batch) -> bool:
        answered = [(look(rule, batch), properties.ask(rule, batch, known=True))]
        return any(tally.worst[0] > 1 for tally in _tallies(rule, answered, elsewhere=False))

    limits = settings(
        max_examples=60,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    try:
        batch = find(strategy(rule, largest=3), refuted, settings=limits, random=Random(seed))  # noqa: S311
    except (HypothesisException, ValueError, FaultError):
        return None
    answered = [(look(rule, batch), properties.ask(rule, batch))]
    return _counterexample(rule, _tallies(rule, answered, elsewhere=False), answered)


def _counterexample(rule: Subject, tallies: Sequence[Tally], answered: Sequence[tuple[Observation, Answers]]) -> Counterexample | None:
    """The worst case of the worst property, in numbers."""
    tally = max((t for t in tallies if t.worst[0] > 1), key=lambda t: t.worst[0], default=None)
    if tally is None or tally.place is None:
        return None
    array, case, probe = tally.place
    seen, answers = next((s, a) for s, a in answered if tally.batch is not None and s.batch.sizes == tally.batch.sizes)
    seen, batch = _padded(rule, seen), seen.batch
    found = _rivals(rule, tally, seen, answers, array, case, probe)
    rivals = {name: x for k, (name, x) in enumerate(found.items()) if k < 2 or np.all(np.isfinite(x))}
    got, expected = (np.asarray(x) for x in list(rivals.values())[:2])
    compared = _compared(tally, batch, array)
    difference = np.where(np.isfinite(got - expected), np.abs(got - expected), np.inf)
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(difference)), difference.shape)) if difference.size else ()
    names = list(rivals)
    votes = {f"{a} / {b}": _apart(rivals[a], rivals[b]) for k, a in enumerate(names) for b in names[k + 1 :]}
    return Counterexample(
        sizes=dict(batch.sizes),
        inputs={name: x[case].tolist() for name, x in zip(batch.names, batch.inputs, strict=True)},
        got=got.tolist(),
        expected=expected.tolist(),
        compared=compared,
        worst=Worst(compared, index, float(got[index]), float(expected[index])) if difference.size else None,
        votes=votes,
    )


def _compared(tally: Tally, batch: Batch, array: int) -> str:
    """What was compared, in words."""
    pairing = "the inner product of the vjp with the tangent"
    if tally.property == "vjp" and tally.oracle == "JAX reverse":
        return f"the gradient with respect to {batch.names[batch.free[array]]}"
    if tally.property == "jacobian":
        return f"the jacobian with respect to {batch.names[batch.free[array]]}, contracted with a cotangent"
    words = {"value": "the value", "jvp": "the jvp", "vjp": pairing, "adjoint": pairing, "linear": "the distance from linearity"}
    return words.get(tally.property, "the result")


def _rivals(  # noqa: PLR0911  (one answer for each property)
    rule: Subject, tally: Tally, seen: Observation, answers: Answers, array: int, case: int, probe: int
) -> dict[str, Any]:
    """What the rule and each witness give for the array in question: the rule first, then the oracle that refutes it."""
    batch, oracle = seen.batch, seen.autodiff
    match tally.property, oracle:
        case "value", autodiff.Autodiff():
            return {"rule": answers.value[array][case], "JAX": oracle.value[array][case, 0]}
        case "jvp", _:
            witnesses = {"JAX forward": oracle.jvp[array][case, 0, probe]} if oracle is not None else {}
            witnesses["finite differences"] = seen.differences[array].value[case, probe]
            if seen.complex_step:
                witnesses["complex step"] = seen.complex_step[array].value[case, probe]
            return {"rule": answers.jvp[array][case, probe], tally.oracle: witnesses.pop(tally.oracle), **witnesses}
        case "vjp", autodiff.Autodiff() if tally.oracle == "JAX reverse":
            return {"rule": answers.vjp[array][case, probe], "JAX reverse": oracle.vjp[array][case, 0, probe]}
        case "linear", _:
            bend = [*answers.nonlinear[0], *answers.nonlinear[1]][array][case]
            return {"rule": bend, "zero": np.zeros_like(bend)}
        case "jacobian", _:
            return {"jacobian of the rule": answers.contracted[array][case, 0], "vjp of the rule": answers.vjp[array][case, 0]}
        case "structure", _:
            kept = [k for k, i in enumerate(batch.free) if rule.domains[batch.names[i]].tangent_only]
            gap = properties.gradient_keeps_structure(rule, answers, batch, seen.stick)[array].gap[case, probe]
            gradient = answers.vjp[kept[array]][case, probe]
            return {"rule": gradient, "rule without them": gradient - gap}
        case "agreement", _:
            everything = [*(v[case] for v in answers.value), *(x[case, 0] for x in (*answers.jvp, *answers.vjp))]
            run = next(run for name, run, _ in _libraries(batch) if name == tally.oracle)
            return {"NumPy": everything[array], tally.oracle: run(properties.everything(rule), _arguments(batch, batch.count))[array][case]}
        case _:
            pass
    return _paired_rivals(tally, seen, answers, case, probe)


def _paired_rivals(tally: Tally, seen: Observation, answers: Answers, case: int, probe: int) -> dict[str, Any]:
    """The inner product of cotangent and jvp, or of vjp and tangent, by everyone who has a word on it."""
    batch, oracle = seen.batch, seen.autodiff
    differences_ = [d.value for d in seen.differences]
    mine, by_differences = properties.pairings(answers, batch, differences_)
    found: dict[str, Floats] = {"vjp of the rule": mine, "finite differences": by_differences}
    if answers.jvp:
        found["jvp of the rule"] = properties.pairings(answers, batch, answers.jvp)[1]
    if seen.complex_step:
        found["complex step"] = properties.pairings(answers, batch, [d.value for d in seen.complex_step])[1]
    if oracle is not None:
        found["JAX reverse"] = properties.pairings(replace(answers, vjp=tuple(g[:, 0] for g in oracle.vjp)), batch, differences_)[0]
    first = ["vjp of the rule", tally.oracle if tally.oracle in found else "jvp of the rule"]
    return {name: found[name][case, probe] for name in (*first, *(name for name in found if name not in first))}


def _apart(x: Any, y: Any) -> float:
    """Relative difference of two arrays."""
    size = max(float(np.linalg.norm(x)), float(np.linalg.norm(y)))
    return float(np.linalg.norm(np.asarray(x) - np.asarray(y))) / size if size else 0.0
