"""Factors first: an oracle for rules whose inputs are built from their value by a formula.

A Cholesky factor is hard to differentiate and easy to square: choose L and a tangent dL, build K = L Lᵀ and dK, and demand L and
dL back. No autodiff and no differences are needed; the formula is differentiated by a complex step of 1e-100, exact to rounding.
So it works where the others are too weak: at condition numbers up to 1e12 and at spectra that are clustered.

Where eigenvectors turn fast they cannot be known well, but what is built from them can: S = V Λ Vᵀ, whichever basis was taken.
For rules that return all of their factors a second test, `gauge`, puts rule and formula together, which must give the identity.
The jvp is followed by the formula's, to give any tangent back; the vjp gets cotangents that depend on no choice of signs or
basis, and must give back what they came from.

The tolerance is that of `matcalc.property`: 100 * condition * epsilon * scale. Sizes and condition are those of the exact
derivative, a matrix that the formulas give at each point and at neighbours of it; the rule has no say in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc.array import parts
from matcalc.cases import EPSILON, PERTURBATION, PROFILES, generator, groups
from matcalc.domain import Domain, Positive, Sizes
from matcalc.property import SAFETY, Tally, first_line
from matcalc.rule import unclaimed
from matcalc.verdict import Coverage, Evidence, Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matcalc.rule import Built, Linearization, Subject

    Floats = NDArray[np.float64]
    Arrays = Sequence[Floats]

ORACLE = "factors first"
COMPLEX_STEP = 1e-100
GENERIC = 2
"Random points of each shape, beside the special ones."
PROBES = 2
TOO_WEAK = 0.1
"Relative tolerance beyond which a case cannot even tell a wrong term from a right one."
INSIDE = 1e-13
"Relative distance from the edge of a domain below which rounding decides on which side a point lies."
RANK = 1e-14
"Relative size below which a singular value of the formula's derivative is rounding: factors may turn there, and nothing moves."
REACHED = 1e-3
"Relative size of the least singular value above that from which on those that are missing are known to be zero."
HIDDEN = 1e-6
"Relative size of an effect on the value above which it is no rounding."


@dataclass(frozen=True)
class Findings:
    """What the factors of one rule tell: the evidence, and how often each kind of point was looked at."""

    evidence: list[Evidence]
    census: list[Coverage]


def recover(subject: Subject, *, seed: int) -> list[Evidence]:
    """Whether value, jvp and vjp give back chosen factors and tangents; nothing for a subject that is not `built`."""
    return examine(subject, seed=seed).evidence


def examine(subject: Subject, *, seed: int) -> Findings:
    """The same, with a census of the points."""
    tallies = {word: Tally(word, ORACLE) for word in ("value", "jvp", "vjp", "gauge")}
    census: dict[str, Coverage] = {}
    with np.errstate(all="ignore"):
        for case in _cases(subject, seed):
            try:
                judged = [_add(tallies[word], found, _meaning(subject, word), case) for word, found in _compared(subject, case).items()]
            except _Fault as fault:
                note = f"the {fault.word} of {subject.name} {fault.does} {case.place}: {fault}"
                return Findings([Evidence(fault.word, ORACLE, Status.REFUTED, 1, note=note)], [])
            known = census.get(case.kind, Coverage("", case.kind, 0, 0))
            census[case.kind] = Coverage("", case.kind, known.cases + 1, known.judged + any(judged[1:]))
    return Findings([tally.evidence() for tally in tallies.values() if tally.cases], list(census.values()))


# --- points and tangents built from factors ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Case:
    """A point of the graph of a function and tangents to it, all known from factors."""

    kind: str
    sizes: Sizes
    inputs: Arrays
    value: Arrays
    tangents: list[tuple[Arrays, Arrays, Floats]]  # of the inputs, of the value, and the rounding in that (one for each array)
    gains: Floats  # how much the exact derivative enlarges, from each input (columns) to each array of the value (rows)
    drifts: Floats  # how much that moves when the inputs move by one unit in the last place
    rng: np.random.Generator

    @property
    def place(self) -> str:
        """Where it is, for a sentence."""
        return f"at {self.kind}" + "".join(f", {name} = {size}" for name, size in self.sizes.items())


def _cases(subject: Subject, seed: int) -> Iterator[_Case]:
    """Random and special choices of factors, in every shape; each special one is made in one of the shapes, by turns."""
    every: Sequence[Built] = getattr(subject, "built", ())
    for number, built in enumerate(every):
        shapes = [s for s in groups(subject, PROFILES["quick"]) if all(domain.admits(s) for domain in built.domains.values())]
        wide = [s for s in shapes if max(s.values(), default=0) > 1]
        for sizes in shapes:
            rng = generator(subject, seed + 1000 * number, sizes)
            choices = [("generic factors", _choose(built, sizes, rng)) for _ in range(GENERIC)]
            if sizes in wide:
                choices += _special_choices(built, sizes, rng)[wide.index(sizes) :: len(wide)]
            for kind, chosen in choices:
                case = _case(subject, built, kind, sizes, chosen, rng)
                if case is not None:
                    yield case


def _choose(built: Built, sizes: Sizes, rng: np.random.Generator) -> list[Floats]:
    return [np.asarray(domain.point(rng.standard_normal(domain.shape(sizes)))) for domain in built.domains.values()]


def _special_choices(built: Built, sizes: Sizes, rng: np.random.Generator) -> list[tuple[str, list[Floats]]]:
    """Choices in which one factor is special and the others are random."""
    found = []
    for place, (name, domain) in enumerate(built.domains.items()):
        if type(domain) is Domain:
            continue  # any array is a factor that comes in linearly
        for kind, point in _special(domain, rng.standard_normal(domain.shape(sizes))).items():
            chosen = _choose(built, sizes, rng)
            chosen[place] = np.asarray(point)
            found.append((f"{name}: {kind}", chosen))
    return found


def _special(domain: Domain, noise: Floats) -> dict[str, Any]:
    """The domain's special points; a positive vector among factors is a spectrum, graded or with two values close together too."""
    kinds = domain.special(noise)
    if isinstance(domain, Positive) and noise.ndim == 1 and len(noise) > 1:
        kinds |= {f"condition 1e{k}": 10.0 ** (-k * np.arange(len(noise)) / (len(noise) - 1)) for k in (4, 8, 12)}
        s = domain.point(noise)
        kinds |= {f"entries 1e-{k} apart": np.concatenate([s[:1], s[:1] * (1 + 10.0**-k), s[2:]]) for k in (4, 8)}
    return kinds


def _case(subject: Subject, built: Built, kind: str, sizes: Sizes, chosen: Arrays, rng: np.random.Generator) -> _Case | None:
    """What is built from such factors; None where nobody can tell.

    That is outside of the rule's domains, so near to their edge that rounding decides, and where double precision is too short
    to measure the derivative.
    """
    try:
        inputs, value = (_arrays(x) for x in built.graph(*chosen))
        inside = all(d.reach(x, x) > INSIDE for d, x in zip(subject.domains.values(), inputs, strict=True))
        if not inside or not all(np.all(np.isfinite(x)) for x in (*inputs, *value)):
            return None
        dimension = round(sum(np.trace(_projection(d, x)) for d, x in zip(subject.domains.values(), inputs, strict=True)))
        basis = _basis(built, chosen)
        to_inputs, to_value = _slopes(built, chosen, basis)
        back = _backwards(to_inputs, to_value, dimension)
        exact = to_value @ back
        step = _flat([PERTURBATION * _norm(x) * _unit(rng, x) for x in inputs])
        near = _split(_flat(chosen) + basis @ (back @ step), chosen)
        near_inputs, near_value = _slopes(built, near, _basis(built, near))
        moved = near_value @ _backwards(near_inputs, near_value, dimension) - exact
    except np.linalg.LinAlgError:
        return None
    gains = _block_norms(exact, value, inputs)
    drifts = _block_norms(moved, value, inputs) * (EPSILON / PERTURBATION)
    into_inputs, into_value = _block_norms(to_inputs @ basis.T, inputs, chosen), _block_norms(to_value @ basis.T, value, chosen)
    tangents = []
    for _ in range(PROBES):
        along = _split(basis @ basis.T @ _flat([_size(x) * rng.standard_normal(x.shape) for x in chosen]), chosen)
        moved_inputs, moved_value = _along(built.graph, chosen, along)
        speed = _norms(along)
        tangents.append((moved_inputs, moved_value, gains @ (into_inputs @ speed) + into_value @ speed))
    return _Case(kind, sizes, inputs, value, tangents, gains, drifts, rng)


def _projection(domain: Domain, x: Floats) -> Floats:
    """The projection on the tangent space of one domain, as a matrix on the entries."""
    if type(domain).tangent is Domain.tangent:
        return np.eye(x.size)
    return np.stack([np.ravel(domain.tangent(x, e.reshape(x.shape))) for e in np.eye(x.size)], axis=1)


def _basis(built: Built, chosen: Arrays) -> Floats:
    """Orthonormal tangents of all factors, as columns on their entries."""
    blocks = []
    for domain, x in zip(built.domains.values(), chosen, strict=True):
        weights, vectors = np.linalg.eigh(_projection(domain, x))
        blocks.append(vectors[:, weights > 0.5])
    found = np.zeros(tuple(np.sum([block.shape for block in blocks], axis=0)))
    row = column = 0
    for block in blocks:
        found[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + len(block), column + block.shape[1]
    return found


def _slopes(built: Built, chosen: Arrays, basis: Floats) -> tuple[Floats, Floats]:
    """The derivatives of inputs and of value by what is chosen, as matrices with a column for each tangent of a basis."""
    columns = [_along(built.graph, chosen, _split(column, chosen)) for column in basis.T]
    inputs, value = zip(*columns, strict=True)
    return np.stack([_flat(x) for x in inputs], axis=1), np.stack([_flat(x) for x in value], axis=1)


def _backwards(to_inputs: Floats, to_value: Floats, dimension: int) -> Floats:
    """The least change of what is chosen for each change of the inputs, which have so many dimensions.

    Where eigenvalues are equal, some directions of the inputs are out of reach, and choices that would move along them move
    nothing. Raises LinAlgError where it is otherwise: effects so different in size that double precision does not show them all.
    """
    U, s, Vt = np.linalg.svd(to_inputs, full_matrices=False)
    shown = s > RANK * np.max(s, initial=0.0)
    if np.sum(shown) < dimension:
        moves = _norm(to_value @ Vt[~shown].T) > HIDDEN * _norm(to_value)
        if moves or s[shown][-1] < REACHED * s[0]:
            raise np.linalg.LinAlgError
    return (Vt[shown].T / s[shown]) @ U[:, shown].T


def _along(formula: Callable[..., Any], at: Arrays, tangent: Arrays) -> tuple[Arrays, Arrays]:
    """The derivative of a formula that gives two tuples of arrays, by a complex step."""
    moved = formula(*(x + 1j * COMPLEX_STEP * t for x, t in zip(at, tangent, strict=True)))
    first, second = ([np.imag(x) / COMPLEX_STEP for x in _arrays(side)] for side in moved)
    return first, second


# --- what the rule says of them ------------------------------------------------------------------------------------------------


class _Fault(Exception):  # noqa: N818  (never leaves this module)
    """The value, jvp or vjp of a rule cannot be compared; the message says why."""

    def __init__(self, word: str, does: str, why: str) -> None:
        super().__init__(why)
        self.word, self.does = word, does


@dataclass(frozen=True)
class _Gap:
    """A difference, what it may be, and the size of what was compared."""

    error: float
    tolerance: float
    scale: float

    @property
    def usable(self) -> bool:
        """Whether the comparison can tell anything."""
        return self.tolerance <= TOO_WEAK * self.scale

    @property
    def relative(self) -> float:
        """Error in units of the size."""
        return self.error / self.scale if self.scale else 0.0

    @property
    def margin(self) -> float:
        """Error in units of the tolerance; infinite where the rule gives no number."""
        if not self.error:
            return 0.0
        return self.error / self.tolerance if self.tolerance and np.isfinite(self.error) else np.inf


def _compared(subject: Subject, case: _Case) -> dict[str, list[_Gap]]:
    """All comparisons at one case, by property, the value's first."""
    at = _asked("value", subject.function, case.inputs)
    value = _answer("value", at.value, case.value)
    sizes, lengths = _norms(case.inputs), _norms(case.value)
    found = {
        "value": [
            _gap(mine, right, EPSILON * (length + reach), length)
            for mine, right, length, reach in zip(value, case.value, lengths, case.gains @ sizes, strict=True)
        ]
    }
    if at.jvp is not unclaimed:
        found["jvp"] = _jvp(at, case)
    if at.vjp is not unclaimed:
        found["vjp"] = _vjp(at, case)
    complete = next((built for built in getattr(subject, "built", ()) if built.value is None), None)
    if complete is not None and all(np.all(np.isfinite(x)) for x in value):
        found["gauge"] = _gauge(subject, at, value, complete, case)
    return found


def _jvp(at: Linearization[Any], case: _Case) -> list[_Gap]:
    """The tangents of the inputs give those of the value."""
    found = []
    for tangent, right, rounding in case.tangents:
        mine = _answer("jvp", _asked("jvp", at.jvp, tangent), case.value)
        drift = case.drifts @ _norms(tangent)
        for k, natural in enumerate(_natural(case, tangent)):
            found.append(_gap(mine[k], right[k], EPSILON * (rounding[k] + natural) + drift[k], max(_norm(right[k]), natural)))
    return found


def _vjp(at: Linearization[Any], case: _Case) -> list[_Gap]:
    """The vjp of a cotangent has the same inner product with the tangents of the inputs as the cotangent with those of the value."""
    found = []
    for _ in range(PROBES):
        cotangent = [case.rng.standard_normal(v.shape) for v in case.value]
        mine = _answer("vjp", _asked("vjp", at.vjp, cotangent), case.inputs)
        weight = _norms(cotangent)
        drift = case.drifts.T @ weight
        for tangent, right, rounding in case.tangents:
            natural = _natural(case, tangent)
            pulled, pushed = _flat(mine) @ _flat(tangent), _flat(cotangent) @ _flat(right)
            uncertain = EPSILON * (weight @ (rounding + natural)) + drift @ _norms(tangent)
            found.append(_gap(pulled, pushed, uncertain, float(weight @ np.maximum(_norms(right), natural))))
    return found


def _natural(case: _Case, tangent: Arrays) -> Floats:
    """The size that each array of a value's tangent has as a rule: that of the value, times the relative speed of the inputs."""
    speed = max(float(np.linalg.norm(t) / (np.linalg.norm(x) or 1.0)) for t, x in zip(tangent, case.inputs, strict=True))
    return _norms(case.value) * speed


def _gauge(subject: Subject, at: Linearization[Any], value: Arrays, built: Built, case: _Case) -> list[_Gap]:
    """The rule and then the formula is the identity: so are its derivatives, whatever the rule's choice of signs and bases."""
    try:
        columns = [
            _along(lambda *factors: (parts(built.build(*factors)), ()), value, _split(e, value))[0] for e in np.eye(_flat(value).size)
        ]
    except np.linalg.LinAlgError:
        return []
    formula = np.stack([_flat(x) for x in columns], axis=1)
    enlarged = _block_norms(formula, case.inputs, value)
    domains = list(subject.domains.values())

    def tangential(arrays: Arrays) -> list[Floats]:
        return [np.asarray(d.tangent(x, a)) for d, x, a in zip(domains, case.inputs, arrays, strict=True)]

    found: list[_Gap] = []
    if at.jvp is not unclaimed:
        tangent = tangential([_size(x) * case.rng.standard_normal(x.shape) for x in case.inputs])
        back = _split(formula @ _flat(_answer("jvp", _asked("jvp", at.jvp, tangent), value)), case.inputs)
        reach = enlarged @ (case.gains @ _norms(tangent))
        found += [_gap(b, t, EPSILON * (_norm(t) + r), _norm(t)) for b, t, r in zip(back, tangent, reach, strict=True)]
    if at.vjp is not unclaimed:
        weight = tangential([case.rng.standard_normal(x.shape) for x in case.inputs])
        cotangent = _split(formula.T @ _flat(weight), value)
        back = tangential(_answer("vjp", _asked("vjp", at.vjp, cotangent), case.inputs))
        reach = case.gains.T @ _norms(cotangent)
        found += [_gap(b, w, EPSILON * (_norm(w) + r), _norm(w)) for b, w, r in zip(back, weight, reach, strict=True)]
    return found


def _asked(word: str, function: Callable[..., Any], arguments: Arrays) -> Any:
    """What the rule answers, given copies."""
    try:
        return function(*(x.copy() for x in arguments))
    except Exception as error:
        raise _Fault(word, f"raises {type(error).__name__}", first_line(error)) from error


def _answer(word: str, answer: Any, like: Arrays) -> list[Floats]:
    """An answer as arrays of the shapes it must have."""
    arrays = [np.asarray(a) for a in parts(answer)]
    came, wanted = [a.shape for a in arrays], [x.shape for x in like]
    if came != wanted:
        raise _Fault(word, "has the wrong shape", f"{came} came, but {wanted} was expected")
    return arrays


def _gap(got: Any, expected: Any, uncertain: Any, scale: float) -> _Gap:
    return _Gap(_norm(got - expected), SAFETY * float(uncertain), scale)


def _add(tally: Tally, gaps: Sequence[_Gap], meaning: str, case: _Case) -> bool:
    """Put one case into a tally, by its worst comparison; whether it could be judged."""
    usable = [gap for gap in gaps if gap.usable]
    tally.cases += 1
    tally.skipped += not usable
    if not usable:
        return False
    worst = max(usable, key=lambda gap: gap.margin)
    tally.judged.append(np.array([worst.margin]))
    tally.relative.append(np.array([worst.relative]))
    if worst.margin > tally.worst[0]:
        tally.worst = (worst.margin, worst.error, worst.tolerance, worst.scale)
        if worst.margin > 1:
            tally.note = f"{meaning}: relative error {worst.relative:.1e}, {worst.margin:.1e} times the tolerance, {case.place}"
    return True


def _meaning(subject: Subject, word: str) -> str:
    """What a difference says against the rule."""
    return {
        "value": f"the value of {subject.name} is not the factors that its inputs were built from",
        "jvp": f"the jvp of {subject.name} does not give back the tangents of the factors that its inputs were built from",
        "vjp": f"the vjp of {subject.name} is not the adjoint of what gives the factors of its inputs",
        "gauge": f"{subject.name} and the formula that undoes it are not the identity in their derivatives",
    }[word]


# --- tuples of arrays as vectors -----------------------------------------------------------------------------------------------


def _arrays(value: Any) -> list[Any]:
    return [np.asarray(x) for x in parts(value)]


def _flat(arrays: Arrays) -> Floats:
    """The entries of all arrays in one vector."""
    return np.concatenate([np.ravel(x) for x in arrays])


def _split(flat: Floats, like: Arrays) -> list[Floats]:
    """Arrays of given shapes from such a vector."""
    ends = np.cumsum([x.size for x in like])
    return [piece.reshape(x.shape) for piece, x in zip(np.split(flat, ends[:-1]), like, strict=True)]


def _norm(x: Any) -> float:
    return float(np.linalg.norm(np.ravel(x)))


def _norms(arrays: Arrays) -> Floats:
    return np.array([_norm(x) for x in arrays])


def _size(x: Floats) -> float:
    """Size of a typical entry, 1 where there is none or all are zero."""
    return (_norm(x) / np.sqrt(max(x.size, 1))) or 1.0


def _unit(rng: np.random.Generator, x: Floats) -> Floats:
    """A random array of length 1."""
    noise = rng.standard_normal(x.shape)
    return noise / (_norm(noise) or 1.0)


def _block_norms(matrix: Floats, rows: Arrays, columns: Arrays) -> Floats:
    """The Frobenius norms of the blocks of a matrix that takes one tuple of arrays to another."""
    row_ends, column_ends = (np.cumsum([x.size for x in arrays])[:-1] for arrays in (rows, columns))
    return np.array([[_norm(block) for block in np.split(band, column_ends, axis=1)] for band in np.split(matrix, row_ends, axis=0)])
