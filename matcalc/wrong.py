"""Wrong versions of a right rule, made by machine, to find out what the checker cannot see.

They are made in two ways: the linearization that the rule returns is spoiled after the fact (a gradient transposed, one entry
zeroed, a mistake at ties alone), and the rule's source is edited as a person might have mistyped it (a sign, a transpose, an index).
A wrong version is judged beside what the oracles say of the right rule's value. One that survives is a fault of the checker,
unless it is not wrong at all: whether it is, is decided without the checker, by evaluating both versions at points of their own.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import time
import warnings
from collections import Counter
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property, wraps
from itertools import combinations
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc import array, factors, proof, special
from matcalc.array import parts
from matcalc.cases import EPSILON, Profile, generator, groups
from matcalc.property import FaultError
from matcalc.rule import Linearization
from matcalc.verdict import Evidence, Status, WrongVersions
from matcalc.verify import judge, observe, quietly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from matcalc.catalogue import AnyRule
    from matcalc.domain import Domain, Sizes
    from matcalc.rule import Subject
    from matcalc.verify import Observation

    Floats = NDArray[np.float64]
    Change = Callable[[Any], Any]
    Map = Callable[..., Any]

FEW = Profile(cases=20, probes=2, perturbations=2)
"How hard to look at each wrong version: most are plain to see."
SAME = 1e-11
"Relative difference up to which two versions are the same at a well-conditioned point (the finest mistakes are of 1e-9)."
SAME_AT_SPECIAL = 1e-6
"The same at special points: a mistake that shows there alone is gross."
ROUNDING = 100.0
"Units by which rounding the inputs otherwise moves the right answers, that two versions may differ by as well."
VANISHING = 1e-4
"Of the size that a derivative has as a rule: one below that is measured by this, since rounding leaves no zeros."
TOO_WEAK = 1e-2
"A place where that is more tells nothing."
RANDOM = 6
"Random points of each shape."
BY_MAKING = {"mutation", "state", "constant added"}
"Kinds that need not show in a single answer: what is no linear map, or changes what it is given, is wrong whatever it answers."
OWN_SEED = 20_011
"The points at which versions are compared are not those at which they are judged."


class Mark:
    """Stands around an edited expression, gives back what it is given, and knows whether it has ever come by."""

    passed = False

    def __call__(self, x: Any) -> Any:
        """X itself."""
        self.passed = True
        return x


@dataclass(frozen=True)
class Wrong:
    """A wrong version of a rule: `rule` answers like it, but for one mistake; its `value` is the right rule's."""

    name: str
    kind: str  # class of mistake: "sign", "transpose", "one entry", ...
    how: str  # what was done, in words
    rule: AnyRule
    mark: Mark | None = None  # of an edit


@dataclass(frozen=True)
class Fate:
    """What became of a wrong version: who refuted it, or why it should not be; `by` and `oracle` are empty if nobody did."""

    name: str
    kind: str
    how: str
    by: str = ""  # the first property that refuted it, or "raises"
    oracle: str = ""
    reason: str = ""  # what the verdict says; of one that is not refuted, where it is wrong or why it is not


@dataclass(frozen=True)
class Score:
    """How many wrong versions of a rule were refuted. `reason` says why none could be tried, where that is so."""

    rule: str
    killed: tuple[Fate, ...] = ()
    survivors: tuple[Fate, ...] = ()  # wrong, and nobody noticed
    equivalents: tuple[Fate, ...] = ()  # not wrong, and not refuted
    disputed: tuple[Fate, ...] = ()  # not wrong, and refuted all the same: a false alarm, or less accurate than the rule
    unreached: tuple[Fate, ...] = ()  # edited where no case comes by: nothing is known about those lines
    seconds: float = 0.0
    reason: str = ""

    @property
    def total(self) -> int:
        """How many versions were truly wrong."""
        return len(self.killed) + len(self.survivors)


def summary(score: Score) -> WrongVersions:
    """A score as part of a verdict: numbers and sentences, without the rules themselves."""
    caught, missed = (Counter(fate.kind for fate in fates) for fates in (score.killed, score.survivors))
    return WrongVersions(
        killed=len(score.killed),
        total=score.total,
        equivalents=len(score.equivalents),
        disputed=len(score.disputed),
        unreached=len(score.unreached),
        kinds={kind: (caught[kind], caught[kind] + missed[kind]) for kind in sorted(caught | missed)},
        properties=dict(Counter(fate.by for fate in score.killed)),
        survivors=tuple(f"{fate.kind}: {fate.how}; {fate.reason}" for fate in score.survivors),
        seconds=score.seconds,
        reason=score.reason,
    )


# --- judging wrong versions ------------------------------------------------------------------------------------------------------


def judged(rule: Subject, observations: Sequence[Observation]) -> Evidence | None:
    """The first evidence that refutes a version, given what the oracles say of the right value; None if none does."""
    try:
        verdict = judge(rule, observations, elsewhere=False)
    except FaultError as fault:
        word = "raises" if fault.__cause__ is not None else fault.property
        return Evidence(word, "itself", Status.REFUTED, 1, note=fault.sentence)
    return next((e for e in verdict.evidence if e.status is Status.REFUTED), None)


def examined(rule: Subject, observations: Sequence[Observation], seed: int) -> Evidence | None:
    """The same by all cases, by special points, by chosen factors and by exact arithmetic, in this order."""
    witnesses: tuple[Callable[[], list[Evidence]], ...] = (
        lambda: special.survey(rule, seed=seed)[0],
        lambda: factors.recover(rule, seed=seed),
        lambda: proof.prove(rule, seed=seed),
    )
    found = judged(rule, observations)
    for witness in witnesses:
        found = found or next((e for e in witness() if e.status is Status.REFUTED), None)
    return found


def score(rule: AnyRule, *, seed: int = 0, profile: Profile = FEW) -> Score:
    """Every wrong version of a rule judged, the oracles asked but once for all of them.

    Nearly all fall at the first case, so that is looked at alone before the others. Never raises for what a wrong version does.
    """
    started = time.perf_counter()
    fates: dict[str, list[Fate]] = {word: [] for word in ("killed", "survivors", "equivalents", "disputed", "unreached")}
    with quietly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # wrong versions divide by zero and worse
        try:
            observations = observe(rule, seed=seed, profile=profile)
        except FaultError as fault:
            return Score(rule.name, reason=fault.sentence)
        against = examined(rule, observations, seed)
        if against is not None:
            return Score(rule.name, reason=f"{rule.name} itself is refuted: {against.note}")
        first, truth = [_first_case(observations[0])], Truth(rule, seed)
        for wrong in wrong_versions(rule):
            word, fate = _fate(wrong, first, observations, truth, seed)
            fates[word].append(fate)
    lists: Any = {word: tuple(found) for word, found in fates.items()}
    return Score(rule.name, **lists, seconds=time.perf_counter() - started)


def _fate(wrong: Wrong, first: Sequence[Observation], observations: Sequence[Observation], truth: Truth, seed: int) -> tuple[str, Fate]:
    """What becomes of a wrong version, and the list in which it stands."""
    fate = Fate(wrong.name, wrong.kind, wrong.how)
    try:
        evidence = judged(wrong.rule, first) or examined(wrong.rule, observations, seed)
    except Exception as error:  # noqa: BLE001  (a checker that is thrown off its feet has not refuted anything)
        return "survivors", replace(fate, reason=f"the checker raises {type(error).__name__}: {error}")
    by_making = wrong.kind in BY_MAKING
    truly, words = (True, "it is wrong by its making") if by_making else truth.compare(wrong.rule)
    if evidence is None and not truly and wrong.mark is not None and not wrong.mark.passed:
        return "unreached", replace(fate, reason=f"what was edited comes by at none of {len(truth.places)} points")
    if evidence is None:
        return ("survivors" if truly else "equivalents"), replace(fate, reason=words)
    fate = replace(fate, by=evidence.property, oracle=evidence.oracle, reason=evidence.note)
    return ("killed", fate) if truly else ("disputed", replace(fate, reason=f"{evidence.note}; but {words}"))


def _first_case(x: Any) -> Any:
    """The first case alone of arrays, at any depth in tuples and dataclasses."""
    if isinstance(x, np.ndarray):
        return x[:1]
    if isinstance(x, tuple):
        return tuple(_first_case(part) for part in x)
    if is_dataclass(x) and not isinstance(x, type):
        return replace(x, **{f.name: _first_case(getattr(x, f.name)) for f in fields(x)})
    return x


def wrong_versions(rule: AnyRule) -> Iterator[Wrong]:
    """All wrong versions of a rule, always the same ones in the same order."""
    spoiled = ((*each, None) for each in _spoiled(rule))
    for made, versions in (("spoiled", spoiled), ("edited", _edited(rule))):
        for count, (kind, how, function, mark) in enumerate(versions, 1):
            yield Wrong(f"{made} {count}", kind, how, under(rule, function), mark)


def under(rule: AnyRule, function: Map) -> AnyRule:
    """Another function under a rule's name, domains and statement; what an oracle sees of it stays the rule's own value."""
    wrong = replace(rule, function=function)
    wrong.__dict__["value"] = rule.value
    return wrong


# --- points of its own -----------------------------------------------------------------------------------------------------------


def _has_zeros(x: Floats) -> bool:
    return bool(np.any(x == 0))


def _has_ties(x: Floats) -> bool:
    """Whether two entries of one row are equal."""
    return bool(x.ndim and np.any(np.diff(np.sort(x, axis=-1), axis=-1) == 0))


def _has_negative_determinant(x: Floats) -> bool:
    return x.ndim == 2 and x.shape[0] == x.shape[1] and bool(np.linalg.det(x) < 0)


def _singular_values(x: Floats) -> Any:
    return np.linalg.svd(x, compute_uv=False) if x.ndim == 2 and min(x.shape) > 1 else np.ones(1)


def _is_ill_conditioned(x: Floats) -> bool:
    s = _singular_values(x)
    return bool(1e-14 * s[0] < s[-1] < 1e-3 * s[0])


def _is_deficient(x: Floats) -> bool:
    s = _singular_values(x)
    return bool(s[-1] <= 1e-14 * s[0])


def _has_repeated_singular_values(x: Floats) -> bool:
    s = _singular_values(x)
    return bool(np.any((s[:-1] - s[1:] <= 1e-8 * s[0]) & (s[1:] > 1e-8 * s[0])))


SPECIAL = {
    "exact zeros": _has_zeros,
    "ties": _has_ties,
    "a negative determinant": _has_negative_determinant,
    "a condition number above 1e3": _is_ill_conditioned,
    "a deficient rank": _is_deficient,
    "repeated singular values": _has_repeated_singular_values,
}


@dataclass(frozen=True)
class _Place:
    """A point with a tangent and a cotangent there, what the right rule answers, and how well that can be compared."""

    words: str
    inputs: tuple[Floats, ...]
    tangents: tuple[Floats, ...]
    cotangents: tuple[Floats, ...]
    tolerance: float
    answers: dict[str, list[Floats]]
    natural: dict[str, list[float]]  # the size that each answer has as a rule

    def apart(self, answers: dict[str, list[Floats]]) -> dict[str, float]:
        """How far other answers are from the right ones, relative to these: inf where they are of another shape or no numbers."""
        found = {}
        for word, right in self.answers.items():
            distances = [0.0] if len(right) == len(answers[word]) else [np.inf]
            for mine, theirs, usual in zip(right, answers[word], self.natural[word], strict=False):
                if not np.all(np.isfinite(mine)):
                    continue
                gap = float(np.linalg.norm(theirs - mine)) if mine.shape == theirs.shape else np.inf
                distances.append(gap / (max(float(np.linalg.norm(mine)), VANISHING * usual) or 1.0) if np.isfinite(gap) else np.inf)
            found[word] = max(distances)
        return found


class Truth:
    """A right rule at random and special points, to tell versions that are wrong from those that only look so."""

    def __init__(self, rule: AnyRule, seed: int = 0) -> None:
        self.rule = rule
        self.seed = OWN_SEED + seed

    @cached_property
    def places(self) -> list[_Place]:
        """Where versions are compared."""
        return list(self._drawn())

    def compare(self, version: AnyRule) -> tuple[bool, str]:
        """Whether a version is wrong, and a sentence that says where, or why not."""
        worst, hidden = 0.0, False
        for place in self.places:
            try:
                answers = _answers(version, place.inputs, place.tangents, place.cotangents)
            except Exception as error:  # noqa: BLE001  (a wrong version may raise anything, and the right one did not)
                return True, f"it raises {type(error).__name__} at {place.words}"
            apart = place.apart(answers)
            whole = apart.pop("whole vjp")
            word = max(apart, key=lambda word: apart[word])
            if apart[word] > place.tolerance:
                return True, f"its {word} is off by a relative {apart[word]:.1e} at {place.words}"
            hidden |= whole > place.tolerance
            worst = max(worst, apart[word]) if place.tolerance == SAME else worst
        what = "they differ only by gradients that no tangent of the domain sees" if hidden else "value, jvp and vjp are the same"
        return False, f"{what}, at {len(self.places)} points to a relative {worst:.0e}"

    def _drawn(self) -> Iterator[_Place]:
        rule, domains = self.rule, self.rule.domains.values()
        rng = np.random.default_rng(self.seed)
        for sizes in groups(rule, FEW):
            for _ in range(RANDOM):
                inputs = tuple(_usual(d, sizes, rng) for d in domains)
                yield from self._place("a random point", inputs, SAME, rng)
                unread = tuple(_unread(d, x, rng) for d, x in zip(domains, inputs, strict=True))
                if any(np.any(x != y) for x, y in zip(inputs, unread, strict=True)):
                    yield from self._place("a point with numbers where nothing is read", unread, SAME, rng)
        for place in special.places(rule, seed=self.seed):
            yield from self._place(str(place), place.inputs, SAME_AT_SPECIAL, rng)

    def _place(self, words: str, inputs: tuple[Floats, ...], tolerance: float, rng: np.random.Generator) -> Iterator[_Place]:
        """The right rule at a point; nothing where it raises, or where rounding hides everything."""
        rule = self.rule
        free = [(rule.domains[name], x) for name, x in zip(rule.domains, inputs, strict=True) if name in rule.differentiated]
        tangents = tuple(np.asarray(d.tangent(x, rng.standard_normal(x.shape)), dtype=np.float64) for d, x in free)
        try:
            value = [np.asarray(v) for v in parts(rule.function(*inputs).value)]
            cotangents = tuple(rng.standard_normal(v.shape) for v in value)
            answers = _answers(rule, inputs, tangents, cotangents)
        except Exception:  # noqa: BLE001  (a special point may be one too many)
            return
        place = _Place(words, inputs, tangents, cotangents, tolerance, answers, _natural(value, free, tangents, cotangents, answers))
        rounded = tuple(
            x if d.discrete else x + np.asarray(d.tangent(x, 8 * EPSILON * x * rng.standard_normal(x.shape)))
            for d, x in zip(rule.domains.values(), inputs, strict=True)
        )
        try:
            noise = max(place.apart(_answers(rule, rounded, tangents, cotangents)).values())
        except Exception:  # noqa: BLE001  (the same)
            return
        tolerance = max(tolerance, ROUNDING * noise)
        if tolerance <= TOO_WEAK:
            yield replace(place, tolerance=tolerance)


def _natural(
    value: Sequence[Floats],
    free: Sequence[tuple[Domain, Floats]],
    tangents: Sequence[Floats],
    cotangents: Sequence[Floats],
    answers: dict[str, list[Floats]],
) -> dict[str, list[float]]:
    """The size that each answer has as a rule: a derivative is about as large as value / input, whatever cancels in it."""
    sizes = [float(np.linalg.norm(x)) or 1.0 for _, x in free]
    ups = [float(np.linalg.norm(v)) for v in value]
    speed = max((float(np.linalg.norm(t)) / s for t, s in zip(tangents, sizes, strict=True)), default=0.0)
    paired = float(np.hypot.reduce([u * float(np.linalg.norm(c)) for u, c in zip(ups, cotangents, strict=True)]))
    gradients = [paired / size for size in sizes]
    jacobian = [0.0] * len(answers["jacobian"])
    return {"value": ups, "jvp": [u * speed for u in ups], "vjp": gradients, "whole vjp": gradients, "jacobian": jacobian}


def _unread(domain: Domain, x: Floats, rng: np.random.Generator) -> Floats:
    """The same point with noise in those entries that the domain says are not read."""
    noise = rng.standard_normal(x.shape)
    return x + noise - np.asarray(domain.tangent(x, noise)) if domain.tangent_only else x


def _usual(domain: Domain, sizes: Sizes, rng: np.random.Generator) -> Floats:
    """A well-conditioned point."""
    return np.asarray(domain.point(rng.standard_normal(domain.shape(sizes)), 1.0), dtype=np.float64)


def _answers(rule: AnyRule, inputs: Sequence[Floats], tangents: Sequence[Floats], cotangents: Sequence[Floats]) -> dict[str, list[Floats]]:
    """All that a version says at a point. The gradients stand there whole, and as far as tangents see them."""
    at = rule.function(*(x.copy() for x in inputs))
    gradients = parts(at.vjp(*(c.copy() for c in cotangents)))
    free = [(rule.domains[name], x) for name, x in zip(rule.domains, inputs, strict=True) if name in rule.differentiated]
    seen = [g if d.tangent_only else d.tangent(x, np.asarray(g)) for (d, x), g in zip(free, gradients, strict=True)]
    answers = {
        "value": parts(at.value),
        "jvp": parts(at.jvp(*(t.copy() for t in tangents))),
        "vjp": seen,
        "whole vjp": gradients,
        "jacobian": parts(at.jacobian()) if at.jacobian is not None else (),
    }
    return {word: [np.asarray(x, dtype=np.float64) for x in arrays] for word, arrays in answers.items()}


# --- spoiling what a rule returns ------------------------------------------------------------------------------------------------


def _last_zeroed(x: Any) -> Any:
    y = np.array(x, order="C")  # so that a change of the reshaped is one of y
    y.reshape(-1)[np.flatnonzero(y)[-1:]] = 0
    return y


def _first_doubled(x: Any) -> Any:
    y = np.array(x, order="C")
    y.reshape(-1)[np.flatnonzero(y)[:1]] *= 2
    return y


def _diagonal_halved(x: Any) -> Any:
    return x * (1 - np.eye(*x.shape, dtype=x.dtype) / 2)


def _single(x: Any) -> Any:
    return np.asarray(x, dtype=np.float32).astype(x.dtype)


def _if_square(change: Change) -> Change:
    return lambda x: change(x) if x.shape[0] == x.shape[1] else x


ANY: tuple[tuple[str, str, Change], ...] = (
    ("sign", "is negated", lambda x: -x),
    ("factor", "is doubled", lambda x: 2 * x),
    ("factor", "is halved", lambda x: x / 2),
    ("zero", "is zero", lambda x: 0 * x),
    ("constant added", "has 1e-3 added", lambda x: x + 1e-3),
    ("relative 1e-3", "is a relative 1e-3 too large", lambda x: x * (1 + 1e-3)),
    ("relative 1e-6", "is a relative 1e-6 too large", lambda x: x * (1 + 1e-6)),
    ("relative 1e-9", "is a relative 1e-9 too large", lambda x: x * (1 + 1e-9)),
    ("float32 inside", "is rounded to single precision", _single),
    ("not a number", "is NaN", lambda x: x * np.nan),
)
ARRAYS: tuple[tuple[str, str, Change], ...] = (
    ("one entry", "has its last entry other than zero zeroed", _last_zeroed),
    ("one entry", "has its first entry other than zero doubled", _first_doubled),
    ("beyond size 1", "is a tenth too large where it has more than one entry", lambda x: x * (1 + 0.1 * (x.size > 1))),
)
MATRICES: tuple[tuple[str, str, Change], ...] = (
    ("transpose", "is transposed where it is square", _if_square(lambda x: x.T)),
    ("symmetrised", "is symmetrised where it is square", _if_square(lambda x: (x + x.T) / 2)),
    ("triangle", "has its upper triangle zeroed", np.tril),
    ("diagonal", "has its diagonal halved", _diagonal_halved),
)
OBLONG: tuple[tuple[str, str, Change], ...] = (
    ("non-square", "is doubled where it is not square", lambda x: x * (1 + (x.shape[0] != x.shape[1]))),
)
ARGUMENTS: tuple[tuple[str, str, Change], ...] = (
    ("not linear", "|{}|", np.abs),
    ("not linear", "max({}, 0)", lambda x: np.maximum(x, 0)),
    ("not linear", "the square of {}", lambda x: x * x),
)
LINEAR: tuple[tuple[str, str, Change], ...] = (
    ("dropped term", "0", lambda x: 0 * x),
    ("sign", "-{}", lambda x: -x),
    ("factor", "2 {}", lambda x: 2 * x),
)


Spoilt = tuple[str, str, "Map"]
"Kind, words, function."


def _spoiled(rule: AnyRule) -> Iterator[Spoilt]:
    """Every version made by spoiling the linearization."""
    sizes = next(iter(groups(rule, FEW)), None)
    if sizes is None:
        return
    rng = generator(rule, OWN_SEED, sizes)
    value = rule.function(*(_usual(d, sizes, rng) for d in rule.domains.values())).value
    shapes = [np.shape(v) for v in parts(value)]  # no two sizes are equal by chance
    yield from _spoiled_results(rule, shapes)
    yield from _spoiled_arguments(rule, shapes)
    yield from _exchanges(rule)
    for word in ("jvp", "vjp"):
        yield "state", f"the {word} adds up over calls", _rebuilt(rule.function, word, _adding_up())
        yield "state", f"the {word} keeps its first answer for each shape", _rebuilt(rule.function, word, _keeping())
        for k, name in enumerate(rule.domains):
            if name in rule.differentiated:
                yield "mutation", f"the {word} writes into {name}", _rebuilt(rule.function, word, _writing_into_input(k))
    yield from _at_special_points(rule, sizes, rng)


def _axes(rule: AnyRule, name: str) -> tuple[str, ...]:
    """The names of an input's axes, which are equal for those of one length."""
    return tuple(d.name for d in rule.domains[name].dims)


def _spoiled_results(rule: AnyRule, shapes: Sequence[tuple[int, ...]]) -> Iterator[Spoilt]:
    """Each array that the jvp or the vjp returns, spoiled."""
    labels = ["the jvp"] if len(shapes) == 1 else [f"array {k + 1} of the jvp" for k in range(len(shapes))]
    targets: list[tuple[str, int, str, tuple[object, ...]]] = [("jvp", k, label, shapes[k]) for k, label in enumerate(labels)]
    targets += [("vjp", k, f"the gradient with respect to {name}", _axes(rule, name)) for k, name in enumerate(rule.differentiated)]
    for word, k, label, axes in targets:
        rank = len(axes)
        fitting = (ARRAYS if rank else ()) + (MATRICES if rank == 2 else ()) + (OBLONG if rank == 2 and axes[0] != axes[1] else ())
        for kind, words, change in (*ANY, *fitting):
            yield kind, f"{label} {words}", _rebuilt(rule.function, word, _on_result(k, change))


def _spoiled_arguments(rule: AnyRule, shapes: Sequence[tuple[int, ...]]) -> Iterator[Spoilt]:
    """The jvp or the vjp right for another tangent or cotangent than came."""
    several = len(shapes) > 1  # of a single cotangent, a sign or a factor is that of the whole answer
    arguments = [("jvp", k, f"d{name}", len(_axes(rule, name)), True) for k, name in enumerate(rule.differentiated)]
    labels = [f"cotangent {k + 1}" if several else "its cotangent" for k in range(len(shapes))]
    arguments += [("vjp", k, label, len(shapes[k]), several) for k, label in enumerate(labels)]
    for word, k, label, rank, parted in arguments:
        turned = (("transpose", "{} transposed where it is square", _if_square(np.transpose)),) if rank == 2 else ()
        for kind, words, change in (*ARGUMENTS, *(LINEAR if parted else ()), *turned):
            yield kind, f"the {word} takes {words.format(label)} for {label}", _rebuilt(rule.function, word, _on_argument(k, change))
        if rank:  # numbers cannot be written into
            yield "mutation", f"the {word} writes into {label}", _rebuilt(rule.function, word, _writing_into_argument(k))


def _exchanges(rule: AnyRule) -> Iterator[Spoilt]:
    """Two inputs of one shape taken for each other."""
    for (i, here), (j, there) in combinations(enumerate(rule.differentiated), 2):
        if _axes(rule, here) == _axes(rule, there):
            gradients, tangents = f"the gradients with respect to {here} and {there}", f"the tangents of {here} and {there}"
            yield "exchanged", f"{gradients} are exchanged", _rebuilt(rule.function, "vjp", _on_results_exchanged(i, j))
            yield "exchanged", f"the jvp takes {tangents} for each other", _rebuilt(rule.function, "jvp", _on_arguments_exchanged(i, j))


def _at_special_points(rule: AnyRule, sizes: Sizes, rng: np.random.Generator) -> Iterator[Spoilt]:
    """Mistakes where an input is special in a way that its domain allows and that is not usual in it."""
    places = special.places(rule, seed=OWN_SEED)
    for index, (name, domain) in enumerate(rule.domains.items()):
        if domain.held or domain.discrete:
            continue
        usual = [_usual(domain, sizes, rng) for _ in range(3)]
        rare = [place.inputs[index] for place in places] + [_usual(domain, sizes, rng) for _ in range(8)]
        for words, holds in SPECIAL.items():
            if any(holds(x) for x in rare) and not all(holds(x) for x in usual):
                wrong_jvp = _rebuilt(rule.function, "jvp", _where(index, holds))
                both = _rebuilt(wrong_jvp, "vjp", _where(index, holds))  # adjoint to each other, as it is hardest to see
                yield "special points", f"jvp and vjp are a tenth too large where {name} has {words}", both


def _rebuilt(right: Map, word: str, spoil: Callable[[Map, Sequence[Any]], Map]) -> Map:
    """A rule's function with `spoil(its jvp or vjp, the inputs)` in the place of its jvp or vjp."""

    @wraps(right)
    def function(*inputs: Any) -> Linearization[Any]:
        at: Linearization[Any] = right(*inputs)
        spoiled: dict[str, Any] = {word: spoil(getattr(at, word), inputs)}
        return replace(at, **spoiled)

    return function


def _like(model: Any, arrays: Sequence[Any]) -> Any:
    """Arrays put together as those of `model` are: a bare array, a tuple, or a named tuple."""
    if not isinstance(model, tuple):
        return arrays[0]
    return type(model)(*arrays) if hasattr(model, "_fields") else tuple(arrays)


def _on_result(k: int, change: Change) -> Callable[[Map, Sequence[Any]], Map]:
    """Array k of the answer is changed after it was right."""

    def spoil(right: Map, _inputs: Sequence[Any]) -> Map:
        def wrong(*arguments: Any) -> Any:
            answer = right(*arguments)
            return _like(answer, [change(x) if i == k else x for i, x in enumerate(parts(answer))])

        return wrong

    return spoil


def _on_argument(k: int, change: Change) -> Callable[[Map, Sequence[Any]], Map]:
    """The answer is right for another argument k than came."""
    return lambda right, _inputs: lambda *arguments: right(*(change(x) if i == k else x for i, x in enumerate(arguments)))


def _exchanged(arrays: Sequence[Any], i: int, j: int) -> list[Any]:
    order = list(range(len(arrays)))
    order[i], order[j] = j, i
    return [arrays[k] for k in order]


def _on_results_exchanged(i: int, j: int) -> Callable[[Map, Sequence[Any]], Map]:
    def spoil(right: Map, _inputs: Sequence[Any]) -> Map:
        def wrong(*arguments: Any) -> Any:
            answer = right(*arguments)
            return _like(answer, _exchanged(parts(answer), i, j))

        return wrong

    return spoil


def _on_arguments_exchanged(i: int, j: int) -> Callable[[Map, Sequence[Any]], Map]:
    return lambda right, _inputs: lambda *arguments: right(*_exchanged(arguments, i, j))


def _writing_into_argument(k: int) -> Callable[[Map, Sequence[Any]], Map]:
    def spoil(right: Map, _inputs: Sequence[Any]) -> Map:
        def wrong(*arguments: Any) -> Any:
            answer = right(*arguments)
            arguments[k][...] = arguments[k] * 2
            return answer

        return wrong

    return spoil


def _writing_into_input(k: int) -> Callable[[Map, Sequence[Any]], Map]:
    def spoil(right: Map, inputs: Sequence[Any]) -> Map:
        def wrong(*arguments: Any) -> Any:
            answer = _like(*[(a := right(*arguments)), [np.array(x) for x in parts(a)]])
            inputs[k][...] = inputs[k] + 1
            return answer

        return wrong

    return spoil


def _adding_up() -> Callable[[Map, Sequence[Any]], Map]:
    def spoil(right: Map, _inputs: Sequence[Any]) -> Map:
        before: list[Any] = []

        def wrong(*arguments: Any) -> Any:
            answer = right(*arguments)
            before[:] = [x + y for x, y in zip(parts(answer), before, strict=True)] if before else parts(answer)
            return _like(answer, before)

        return wrong

    return spoil


def _keeping() -> Callable[[Map, Sequence[Any]], Map]:
    kept: dict[Any, Any] = {}

    def spoil(right: Map, inputs: Sequence[Any]) -> Map:
        shapes = tuple((x.shape, x.dtype) for x in inputs)
        return lambda *arguments: kept[shapes] if shapes in kept else kept.setdefault(shapes, right(*arguments))

    return spoil


def _where(k: int, holds: Callable[[Floats], bool]) -> Callable[[Map, Sequence[Any]], Map]:
    """All arrays of the answer are a tenth too large if something holds of input k."""

    def spoil(right: Map, inputs: Sequence[Any]) -> Map:
        if not holds(inputs[k]):
            return right

        def wrong(*arguments: Any) -> Any:
            answer = right(*arguments)
            return _like(answer, [x * 1.1 for x in parts(answer)])

        return wrong

    return spoil


# --- editing the source ----------------------------------------------------------------------------------------------------------

_PAIRS = (("tril", "triu"), ("sin", "cos"), ("sinh", "cosh"), ("sym", "skew"), ("maximum", "minimum"), ("solve_lower", "solve_upper"))
EXCHANGED = {here: there for pair in _PAIRS for here, there in (pair, pair[::-1])}
"Words of matcalc.array that are taken for each other."
FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
MARK = "_came_by"
"The name of the mark in an edited function."
LONGEST = 70
"Letters of the code that is shown around an edit."
Shapes = dict[str, "tuple[int, ...] | None"]
"Of the arrays of a function, by name; None for a whole number."
Names = dict[str, Shapes]
"By function, nested ones too."


def _edited(rule: AnyRule) -> Iterator[tuple[str, str, Map, Mark]]:
    """(kind, words, function, mark) of every version made by one edit of the source; none if there is no source to be found."""
    function: Any = inspect.unwrap(rule.function)
    tree = _source(function)
    if tree is None:
        return
    home = {word: each for word, each in vars(array).items() if isinstance(each, FunctionType)} | function.__globals__
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    home |= {name: cell.cell_contents for name, cell in cells}
    names = _names(rule, tree, home)
    for kind, how in _edits(tree, names):
        mark = Mark()
        edited = _compiled(tree, function, home | {MARK: mark})
        if edited is not None:
            yield kind, how, edited, mark


def _source(function: Any) -> ast.Module | None:
    """The function and the helpers that it calls from its own module, as one tree, with their lines in the file."""
    found: dict[str, ast.stmt] = {}
    waiting = [function]
    while waiting:
        each = waiting.pop()
        try:
            lines, start = inspect.getsourcelines(each)
            node = ast.parse(textwrap.dedent("".join(lines))).body[0]
        except (OSError, TypeError, SyntaxError, IndexError):
            continue
        if not isinstance(node, ast.FunctionDef):
            continue
        node.decorator_list = []
        found[each.__name__] = ast.increment_lineno(node, start - 1)
        called = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)} - set(found)
        candidates = [each.__globals__.get(name) for name in sorted(called)]
        waiting += [c for c in candidates if isinstance(c, FunctionType) and c.__module__ == function.__module__]
    return ast.Module([*found.values()][::-1], []) if function.__name__ in found else None


def _compiled(tree: ast.Module, function: Any, home: dict[str, Any]) -> Map | None:
    """The function as it stands in the tree now; None if it is no Python any more."""
    space = dict(home)
    try:
        exec(compile(tree, function.__code__.co_filename, "exec"), space)  # noqa: S102  (the rule's own code, but for the edit)
    except (SyntaxError, ValueError, TypeError):
        return None
    edited = space[function.__name__]
    edited.__module__ = function.__module__
    return edited


def _names(rule: AnyRule, tree: ast.Module, home: dict[str, Any]) -> Names:
    """Shapes of all local arrays of the functions in the tree, as they are in one call of value, jvp and vjp.

    No reading of the source tells a shape, but the interpreter reports every return, with the variables of the function.
    """
    function: Any = inspect.unwrap(rule.function)
    copy: Any = _compiled(tree, function, home)
    defined = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    shapes: Names = {}

    def look(frame: Any, event: str, _result: object) -> None:
        code = frame.f_code
        if event == "return" and code.co_filename == function.__code__.co_filename and code.co_firstlineno in defined:
            local = shapes.setdefault(f"{code.co_name} {code.co_firstlineno}", {})
            for name, x in frame.f_locals.items():
                if isinstance(x, (np.ndarray, np.floating)):
                    local[name] = tuple(x.shape)
                elif type(x) is int:
                    local[name] = None

    sizes = groups(rule, FEW)[0]
    rng = generator(rule, OWN_SEED, sizes)
    inputs = [_usual(d, sizes, rng) for d in rule.domains.values()]
    before = sys.getprofile()
    sys.setprofile(look)
    try:
        at = copy(*inputs)
        at.vjp(*(np.asarray(v) + 1 for v in parts(at.value)))
        at.jvp(*(x + 1 for name, x in zip(rule.domains, inputs, strict=True) if name in rule.differentiated))
    except Exception:  # noqa: BLE001  (then some names are not known, and not exchanged)
        return shapes
    finally:
        sys.setprofile(before)
    return shapes


def _edits(tree: ast.Module, names: Names) -> Iterator[tuple[str, str]]:
    """Edit the tree in place in every way, one at a time and with a mark: (kind, words). It is as before when the next one is asked for."""
    known = {ast.unparse(tree)}
    for put, node, around, scope in list(_sites(tree, (), "")):
        for kind, new in _changes(node, names.get(scope, {}), around):
            shown = next((each for each in around if len(ast.unparse(each)) <= LONGEST), node)
            before = ast.unparse(shown)
            put(new)
            text, after = ast.unparse(tree), ast.unparse(new if shown is node else shown)
            if text not in known:
                known.add(text)
                marked = ast.Call(ast.Name(MARK, ast.Load()), [new], [])
                put(ast.fix_missing_locations(ast.copy_location(marked, node)))
                yield kind, f"line {node.lineno}: `{before}` became `{after}`"
            put(node)


Site = tuple["Callable[[ast.expr], None]", ast.expr, tuple[ast.expr, ...], str]


def _sites(node: ast.AST, around: tuple[ast.expr, ...], scope: str) -> Iterator[Site]:
    """Every expression below a node: how to replace it, itself, the expressions around it from the outside in, its function."""
    if isinstance(node, ast.FunctionDef):
        scope = f"{node.name} {node.lineno}"
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "args", "decorator_list", "func", "targets", "target", "ctx"} and not (
            field == "args" and isinstance(node, ast.Call)
        ):
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if isinstance(child, ast.expr) and not (isinstance(node, ast.Expr) and isinstance(child, ast.Constant)):  # no docstrings
                yield _putter(node, field, index if isinstance(value, list) else None), child, around, scope
            if isinstance(child, ast.AST):
                yield from _sites(child, (*around, child) if isinstance(child, ast.expr) else around, scope)


def _putter(node: ast.AST, field: str, index: int | None) -> Callable[[ast.expr], None]:
    def put(new: ast.expr) -> None:
        if index is None:
            setattr(node, field, new)
        else:
            getattr(node, field)[index] = new

    return put


def _changes(node: ast.expr, shapes: Shapes, around: tuple[ast.expr, ...]) -> Iterator[tuple[str, ast.expr]]:
    """What a slip of the pen can make of an expression: (kind, another expression)."""
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            yield from _binary(left, op, right)
        case ast.UnaryOp(op=ast.USub(), operand=inside):
            yield "index" if _is_index(around) else "sign", inside
        case ast.Attribute(value=inside, attr="mT"):
            yield "transpose", inside
        case ast.Constant(value=bool() | int() | float() as number):
            yield _number(number, index=_is_index(around))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in FLIPPED:
            yield "condition", ast.Compare(left, [FLIPPED[type(op)]()], [right])
        case ast.IfExp(test=test, body=body, orelse=other):
            yield "condition", ast.IfExp(test, other, body)
        case ast.Call(func=ast.Name(), args=[_, *_]):
            yield from _called(node)
        case ast.Name(id=name) if name in shapes:
            yield from _named(node, name, shapes)
        case _:
            pass


def _number(number: float, *, index: bool) -> tuple[str, ast.expr]:
    if isinstance(number, bool):
        return "option", ast.Constant(not number)
    if index and isinstance(number, int):
        return "index", ast.Constant(number - 1 if number else 1)
    return "constant", ast.Constant({2: 1, 0.5: 1.0}.get(number, number + 1))


def _binary(left: ast.expr, op: ast.operator, right: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match op:
        case ast.Add():
            yield "sign", ast.BinOp(left, ast.Sub(), right)
            yield "dropped term", left
            yield "dropped term", right
        case ast.Sub():
            yield "sign", ast.BinOp(left, ast.Add(), right)
            yield "dropped term", left
            yield "dropped term", ast.UnaryOp(ast.USub(), right)
            yield "operand order", ast.BinOp(right, op, left)
        case ast.Mult():
            yield "dropped factor", left
            yield "dropped factor", right
            yield "operator", ast.BinOp(left, ast.Div(), right)
        case ast.Div():
            yield "dropped factor", left
            yield "operator", ast.BinOp(left, ast.Mult(), right)
        case ast.Pow():
            yield "dropped factor", left
        case ast.MatMult():
            yield "operand order", ast.BinOp(right, op, left)
            yield "dropped factor", left
            yield "dropped factor", right
            for turned in ((_turned(left), right), (left, _turned(right))):
                yield "transpose", ast.BinOp(turned[0], op, turned[1])
        case _:
            pass


def _turned(x: ast.expr) -> ast.expr:
    """X.mT for x, and x for x.mT."""
    return x.value if isinstance(x, ast.Attribute) and x.attr == "mT" else ast.Attribute(x, "mT", ast.Load())


def _called(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name == "Linearization":
        return
    if name in EXCHANGED:
        yield "function exchanged", ast.Call(ast.Name(EXCHANGED[name], ast.Load()), node.args, node.keywords)
    match node.args:
        case [only]:
            yield "call dropped", only
        case [first, second]:
            yield "operand order", ast.Call(node.func, [second, first], node.keywords)
            yield "call dropped", second
        case [condition, yes, no] if name == "where":
            yield "operand order", ast.Call(node.func, [condition, no, yes], node.keywords)
        case _:
            pass
    for keyword in node.keywords:
        yield "option", ast.Call(node.func, node.args, [k for k in node.keywords if k is not keyword])


def _is_index(around: tuple[ast.expr, ...]) -> bool:
    """Whether an expression stands in a subscript."""
    return any(isinstance(each, ast.Subscript) for each in around[-3:])


def _named(node: ast.Name, name: str, shapes: Shapes) -> Iterator[tuple[str, ast.expr]]:
    """One more than a whole number; for an array, two others of its shape, not the same two at every place."""
    if shapes[name] is None:
        yield "constant", ast.BinOp(node, ast.Add(), ast.Constant(1))
        return
    others = [other for other, shape in shapes.items() if other != name and shape == shapes[name]]
    start = (node.lineno + node.col_offset) % len(others) if others else 0
    for other in [*others[start:], *others[:start]][:2]:
        yield "names exchanged", ast.Name(other, ast.Load())
