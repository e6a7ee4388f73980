"""Proof of a rule by exact arithmetic: at random points its jvp and vjp must equal the dual part of its function, to the last digit.

A rational rule is looked at modulo a prime, where an equality seen at random points is a proof up to a probability that is known.
Any other rule is looked at in balls of real numbers: balls apart prove it wrong, and narrow balls that meet speak for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc.array import parts
from matcalc.cases import PROFILES, generator, groups
from matcalc.exact import (
    Ball,
    BallDual,
    Dual,
    Exact,
    Field,
    FieldDual,
    NoExactFormError,
    UndecidedError,
    UndefinedPointError,
    working_precision,
)
from matcalc.verdict import Evidence, Status

if TYPE_CHECKING:
    from matcalc.domain import Domain, Sizes
    from matcalc.rule import Subject

CHANCE = 1e-15
"The chance of a false pass that is aimed at, for each size."
FEWEST, MOST = 2, 24
"Points of one size: the fewest, and the most that are drawn for the sake of that chance."
TRIES = 200
"How often a point may be drawn again because something is undefined there (half of all residues have no square root)."
DIGITS = 30
"Digits to which balls must agree before that counts."
PRECISIONS = (256, 1024)
"Bits of the balls, and of those that are tried next where the first were too wide."
DOUBLE = 2.0**-50
"Relative difference below which balls that do not meet may come from an approximation that is good to double precision."
ORACLES: dict[type[Dual], str] = {FieldDual: "prime field", BallDual: "balls"}
PROPERTIES = ("value", "jvp", "vjp")


def prove(subject: Subject, *, seed: int = 0) -> list[Evidence]:
    """What exact arithmetic says of the jvp and the vjp of a subject: evidence for each, or one that says why there is none.

    The status is proved (with a bound on the chance of a false pass), verified (balls agree to 30 digits), refuted, inconclusive
    (balls could not tell), or vacuous (some operation has no exact form). Nothing is raised for a bad rule.
    """
    by_field = _tried(subject, FieldDual, seed)
    if by_field[0].status is Status.PROVED:
        return by_field
    by_balls = _in_balls(subject, seed)
    if by_field[0].status is Status.REFUTED and (by_balls[0].status is Status.REFUTED or not by_balls[0].cases):
        return by_field
    return by_balls


def _in_balls(subject: Subject, seed: int) -> list[Evidence]:
    """The evidence in balls, of more bits where fewer cannot tell."""
    found: list[Evidence] = []
    for bits in PRECISIONS:
        with working_precision(bits):
            found = _tried(subject, BallDual, seed)
        if all(e.status is not Status.INCONCLUSIVE for e in found):
            break
    return found


def _tried(subject: Subject, kind: type[Dual], seed: int) -> list[Evidence]:
    """The evidence in one arithmetic, or why there is none."""
    try:
        return _judged(subject, kind, seed)
    except (UndecidedError, UndefinedPointError) as error:
        return [_silence(Status.INCONCLUSIVE, f"{ORACLES[kind]} cannot tell: {_sentence(error)}")]
    except (NoExactFormError, NotImplementedError) as error:
        return [_silence(Status.VACUOUS, _sentence(error))]
    except Exception as error:  # noqa: BLE001  (whatever a subject does with numbers it does not know)
        why = f"{subject.name} cannot be evaluated on exact numbers ({type(error).__name__}: {_sentence(error)})"
        return [_silence(Status.VACUOUS, why)]


# --- one point ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Comparison:
    """One array of an answer beside what it must be."""

    of: str
    wrong: bool
    chance: float = 0.0  # in the prime field: that it looks right at a random point although it is wrong
    apart: float = 0.0  # in balls: how far from the truth it may be, relative to its size
    rooted: bool = False  # whether square roots took part, whose signs the prime field does not know


def _drawn(kind: type[Dual], domain: Domain, sizes: Sizes, rng: np.random.Generator) -> Any:
    """A random point of a domain with a random tangent there, as dual numbers; a held input does not move."""
    shape = domain.shape(sizes)
    if domain.discrete:
        return kind.constant(np.asarray(domain.point(rng.standard_normal(shape)), dtype=np.int64))
    value = kind.base.random(rng, shape)
    return domain.rational(kind.constant(value) if domain.held else kind(value, kind.base.random(rng, shape)))


def _look(subject: Subject, kind: type[Dual], inputs: dict[str, Any], rng: np.random.Generator) -> list[_Comparison]:
    """What the subject says at one point beside the dual part of its function there."""
    truth = parts(subject.value(*inputs.values()))
    at = subject.function(*(x.value for x in inputs.values()))
    tangents = [inputs[name].tangent for name in subject.differentiated]
    cotangents = [kind.base.random(rng, t.shape) for t in truth]
    value, jvp, vjp = (
        [a if isinstance(a, Exact) else kind.base.constant(a) for a in parts(answer)]
        for answer in (at.value, at.jvp(*tangents), at.vjp(*cotangents))
    )
    sizes = [t.value for t in truth]
    found = [_compared("value", v, t.value, sizes) for v, t in zip(value, truth, strict=True)]
    found += [_compared("jvp", j, t.tangent, sizes) for j, t in zip(jvp, truth, strict=True)]
    if any(g.shape != t.shape for g, t in zip(vjp, tangents, strict=True)):
        return [*found, _Comparison("vjp", wrong=True)]
    pulled = [g * t for g, t in zip(vjp, tangents, strict=True)]
    pushed = [u * t.tangent for u, t in zip(cotangents, truth, strict=True)]
    return [*found, _compared("vjp", _sum(kind, pulled), _sum(kind, pushed), [*sizes, *pulled, *pushed])]


def _sum(kind: type[Dual], arrays: Sequence[Exact]) -> Exact:
    """The sum of all entries of all arrays."""
    return sum((a.total() for a in arrays), start=kind.base.constant(0))


def _compared(of: str, got: Exact, expected: Exact, natural: Sequence[Exact]) -> _Comparison:
    """One comparison; `natural` are arrays as large as a difference between wrong answers is as a rule."""
    if got.shape != expected.shape:
        return _Comparison(of, wrong=True)
    gap: Any = got - expected
    if isinstance(gap, Field):
        return _Comparison(of, bool(gap.entries.any()), chance=gap.degree.chance, rooted=bool(gap.degree.roots))
    gap, balls = gap.entries.ravel(), [a.entries.ravel() for a in (got, expected, *natural) if isinstance(a, Ball)]
    size = _largest([*balls[0], *balls[1]], decided=True) or _largest([b for some in balls[2:] for b in some], least=1)
    apart = float(_largest(gap, least=0) / size)
    return _Comparison(of, apart > DOUBLE and not all(b.contains(0) for b in gap), apart=apart)


def _largest(balls: Sequence[Any], *, least: int | None = None, decided: bool = False) -> Any:
    """The largest magnitude and at least `least`; or None. Of balls that may be zero, none counts where that must be decided."""
    magnitudes = [b.abs_upper() for b in balls if not (decided and b.contains(0))]
    return max(magnitudes if least is None else [*magnitudes, least], default=None)


# --- all points ---------------------------------------------------------------------------------------------------------------


@dataclass
class _Tally:
    """What was seen in one arithmetic."""

    subject: Subject
    kind: type[Dual]
    seed: int
    points: int = 0
    skipped: int = 0
    chance: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PROPERTIES, 0.0))  # at the worst size
    apart: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in PROPERTIES})

    def evidence(self, name: str, status: Status, note: str = "") -> Evidence:
        """One property."""
        apart = tuple(self.apart[name]) if self.kind is BallDual else ()
        return Evidence(
            property=name,
            oracle=ORACLES[self.kind],
            status=status,
            cases=self.points,
            skipped=self.skipped,
            worst_error=max(apart, default=0.0),
            tolerance=10.0**-DIGITS if apart else 0.0,
            scale=1.0,
            margins=tuple(a * 10.0**DIGITS for a in apart),
            errors=apart,
            note=note,
            bound=self.chance[name] if status is Status.PROVED else 0.0,
        )


def _judged(subject: Subject, kind: type[Dual], seed: int) -> list[Evidence]:
    """The evidence in one arithmetic; raises what the subject raises, and NoExactFormError where this arithmetic cannot tell."""
    tally = _Tally(subject, kind, seed)
    for sizes in groups(subject, PROFILES["quick"]):
        wrong = _looked_at(tally, sizes)
        if wrong:
            return wrong
    if kind is FieldDual:
        return [tally.evidence(name, Status.PROVED) for name in ("jvp", "vjp")]
    return [_agreement(tally, name) for name in ("jvp", "vjp")]


def _agreement(tally: _Tally, name: str) -> Evidence:
    """Balls that meet are evidence if they are narrow."""
    digits = max(0.0, -math.log10(max(*tally.apart[name], 1e-99)))
    if digits >= DIGITS:
        return tally.evidence(name, Status.VERIFIED, f"agrees to {digits:.0f} digits")
    why = "a constant or an approximation in it is good to double precision only, or balls grew wide"
    return tally.evidence(name, Status.INCONCLUSIVE, f"agrees to {digits:.0f} digits of {DIGITS}: {why}")


def _looked_at(tally: _Tally, sizes: Sizes) -> list[Evidence]:
    """Look at points of one size; returns a refutation if there is one."""
    subject, kind = tally.subject, tally.kind
    rng = generator(subject, tally.seed, sizes)
    missed = dict.fromkeys(PROPERTIES, 1.0)  # the chance that each was wrong and looked right at every point
    for count in range(1, MOST + 1):
        inputs, found = _point(tally, sizes, rng)
        tally.points += 1
        wrong = {c.of for c in found if c.wrong}
        if wrong:
            if kind is FieldDual and any(c.rooted for c in found):
                raise NoExactFormError("the sign of a square root has no exact form in a prime field")
            return [tally.evidence(name, Status.REFUTED, _blame(tally, name, sizes, inputs, rng)) for name in PROPERTIES if name in wrong]
        for name in PROPERTIES:
            missed[name] *= max((c.chance for c in found if c.of == name), default=0.0)
            tally.apart[name] += [c.apart for c in found if c.of == name]
        if count >= FEWEST and max(missed.values()) <= CHANCE:
            break
    for name, chance in missed.items():
        tally.chance[name] = max(tally.chance[name], chance)
    return []


def _point(tally: _Tally, sizes: Sizes, rng: np.random.Generator) -> tuple[dict[str, Any], list[_Comparison]]:
    """A random point at which all is defined, and what was seen there."""
    for attempt in range(TRIES):
        try:
            inputs = {name: _drawn(tally.kind, domain, sizes, rng) for name, domain in tally.subject.domains.items()}
            return inputs, _look(tally.subject, tally.kind, inputs, rng)
        except UndefinedPointError:
            tally.skipped += 1
            if attempt == TRIES - 1:
                raise
    raise AssertionError


def _blame(tally: _Tally, name: str, sizes: Sizes, inputs: dict[str, Any], rng: np.random.Generator) -> str:
    """One sentence: which derivative is wrong with respect to which inputs, and where."""
    subject, kind = tally.subject, tally.kind
    guilty = [each for each in subject.differentiated if name != "value" and _moves(tally, name, each, inputs, rng)]
    what = f"the value of {subject.name}" if name == "value" else f"{subject.name}.{name}"
    whose = f" with respect to {' and '.join(guilty)}" if guilty else ""
    where = (" at " + ", ".join(f"{symbol} = {size}" for symbol, size in sizes.items())) if sizes else ""
    return f"{what} is wrong{whose}{where}: in exact arithmetic ({ORACLES[kind]}) it differs from the dual part of the function"


def _moves(tally: _Tally, name: str, moving: str, inputs: dict[str, Any], rng: np.random.Generator) -> bool:
    """Whether an answer is wrong when one input alone moves."""
    alone = {each: x if each == moving else tally.kind.constant(x.value) for each, x in inputs.items()}
    try:
        return any(c.wrong for c in _look(tally.subject, tally.kind, alone, rng) if c.of == name)
    except Exception:  # noqa: BLE001  (the sentence goes without a name then)
        return False


def _silence(status: Status, note: str) -> Evidence:
    """Why exact arithmetic says nothing."""
    return Evidence("derivative", "exact arithmetic", status, 0, note=note)


def _sentence(error: BaseException) -> str:
    """The first line of an error's message."""
    return str(error).partition("\n")[0] or "no message"
