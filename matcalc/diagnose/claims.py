"""What a rule gives beside what it should give, row by row, with the exact Jacobian where one is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from matcalc import property as properties
from matcalc.array import as_array, parts
from matcalc.cases import EPSILON, tangential
from matcalc.domain import Domain, LowerTriangular, Simplex, Symmetric, UpperTriangular
from matcalc.oracle import differences
from matcalc.property import norms
from matcalc.rule import unclaimed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matcalc.cases import Batch
    from matcalc.domain import Sizes
    from matcalc.oracle.autodiff import Autodiff
    from matcalc.oracle.differences import Difference
    from matcalc.property import Answers, Comparison, Yardstick
    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

FITS = 1e-6
"Relative distance that an explanation which fits may leave."
FEW_CASES = 4
"Cases of each shape at which the exact Jacobian is worked out."


class Seen(Protocol):
    """What the oracles said of one batch (`verify.Observation` is one)."""

    @property
    def batch(self) -> Batch:
        """The cases."""
        ...

    @property
    def autodiff(self) -> Autodiff | None:
        """What JAX says, if it can."""
        ...

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The extrapolated differences along each tangent."""
        ...

    @property
    def complex_step(self) -> tuple[Difference, ...]:
        """The same by complex steps, where JAX cannot tell and the function is analytic."""
        ...

    @property
    def stick(self) -> Yardstick:
        """Sizes and conditioning."""
        ...


@dataclass(frozen=True)
class Part:
    """One derivative at the cases of one batch, what came beside what was expected. Every array has the axis `row` first."""

    batch: int
    sizes: Sizes
    case: NDArray[np.int64]
    got: Floats
    expected: Floats
    slack: Floats  # (rows,): how far apart two right answers may be
    beyond: Bools  # (rows,): whether these are further apart
    inputs: dict[str, Floats]
    value: tuple[Floats, ...]
    directions: tuple[Floats, ...]  # cotangents of a vjp, tangents of a jvp
    matrix: Floats | None = None  # (rows, all directions, result): the exact linear map, where it was worked out
    others: dict[str, Floats] = field(default_factory=dict)  # the same derivative for the other inputs (outputs), where known

    def pick(self, rows: Any) -> Part:
        """Some of the rows."""
        return replace(
            self,
            case=self.case[rows],
            got=self.got[rows],
            expected=self.expected[rows],
            slack=self.slack[rows],
            beyond=self.beyond[rows],
            inputs={name: x[rows] for name, x in self.inputs.items()},
            value=tuple(v[rows] for v in self.value),
            directions=tuple(d[rows] for d in self.directions),
            matrix=None if self.matrix is None else self.matrix[rows],
            others={name: x[rows] for name, x in self.others.items()},
        )

    @cached_property
    def size(self) -> Floats:
        """Size of each row, 1 where it is zero."""
        largest = np.fmax(norms(self.got, 1), norms(self.expected, 1))
        return np.where((largest > 0) & np.isfinite(largest), largest, 1.0)

    @cached_property
    def error(self) -> Floats:
        """How far apart the two are."""
        return norms(self.got - self.expected, 1)

    @cached_property
    def named(self) -> dict[str, Floats]:
        """Arrays that a formula may be made of: inputs, differences of inputs, value, directions."""
        gaps = {f"({a} - {b})": self.inputs[a] - self.inputs[b] for a, b in self.twins}
        return {**self.inputs, **gaps, **dict(zip(self.value_names, self.value, strict=True)), **self.pushed}

    @cached_property
    def value_names(self) -> tuple[str, ...]:
        """Names of the arrays of the value: Y (y where it has no matrix), numbered if there are several."""
        return _free_names("YFV", self.value, self.inputs)

    @property
    def pushed(self) -> dict[str, Floats]:
        """The directions by name."""
        return dict(zip(self.direction_names, self.directions, strict=True))

    @cached_property
    def direction_names(self) -> tuple[str, ...]:
        """Names of the directions: U for a cotangent, dX for the tangent of X (both marked in `what`)."""
        return self.tangent_names or _free_names("UCG", self.directions, [*self.inputs, *self.value_names])

    tangent_names: tuple[str, ...] = ()
    twins: tuple[tuple[str, str], ...] = ()  # inputs of one shape, whose differences so many functions are functions of
    domain: Domain | None = None  # of the input, where it has tangents of its own
    tangent_at: str = ""
    projection: str = ""  # what the projection on them is called

    def project(self, x: Floats) -> Floats:
        """Arrays of the shape of a gradient, projected on the tangents of the input."""
        return x if self.domain is None else tangential(self.domain, self.inputs[self.tangent_at], x[:, None])[:, 0]


@dataclass(frozen=True)
class Claim:
    """One derivative that the rule claims: the jvp (one array of it), or the gradient with respect to one input."""

    of: str
    word: str
    parts: tuple[Part, ...]
    only: str = ""  # the input or cotangent whose term of the whole this is
    index: int = 0

    @property
    def wrong(self) -> bool:
        """Whether it differs anywhere."""
        return any(p.beyond.any() for p in self.parts)

    @property
    def what(self) -> str:
        """What the map is applied to."""
        return "the cotangent" if self.word == "vjp" else "the tangent"


def _free_names(letters: str, arrays: Sequence[Floats], taken: Iterable[str]) -> tuple[str, ...]:
    """A letter that is not taken, capital for matrices, numbered if there are several arrays."""
    low = {name.lower() for name in taken}
    letter = next((c for c in letters if c.lower() not in low), letters[0] + "_")
    marks = [""] if len(arrays) == 1 else [str(k + 1) for k in range(len(arrays))]
    return tuple((letter if a.ndim > 2 else letter.lower()) + mark for a, mark in zip(arrays, marks, strict=True))


def compared(subject: Subject, seen: Sequence[tuple[Seen, Answers]], known: Jacobians) -> list[Claim]:
    """All derivatives that the rule claims beside what they should be: from JAX, else from differences of the value."""
    jvps: dict[int, list[Part]] = {}
    vjps: dict[int, list[Part]] = {}
    names: tuple[str, ...] = ()
    for index, (one, answers) in enumerate(seen):
        batch, oracle = one.batch, one.autodiff
        names = tuple(batch.names[i] for i in batch.free)
        smooth = ~np.any([d.kink for d in one.differences], axis=(0, 2))
        found = one.complex_step if one.complex_step and len(one.complex_step[0].value) == batch.count else one.differences
        if answers.jvp:
            beside = (
                properties.jvp_is_derivative(answers, oracle, one.stick)
                if oracle is not None
                else properties.jvp_is_difference(answers, found, one.stick)
            )
            for k, c in enumerate(beside):
                expected = oracle.jvp[k][:, 0] if oracle is not None else found[k].value
                jvps.setdefault(k, []).extend(_part(index, batch, answers, answers.jvp[k], expected, c, smooth, batch.tangents))
        if answers.vjp and oracle is not None:
            for k, c in enumerate(properties.vjp_is_derivative(subject, answers, batch, oracle, one.stick)):
                domain, points = subject.domains[names[k]], batch.inputs[batch.free[k]]
                got, expected = tangential(domain, points, answers.vjp[k]), tangential(domain, points, oracle.vjp[k][:, 0])
                judged = _part(index, batch, answers, got, expected, c, smooth, batch.cotangents)
                vjps.setdefault(k, []).extend(_on_tangents(p, domain, names[k]) for p in judged)
    claims = [
        Claim("the jvp" if len(jvps) == 1 else f"array {k + 1} of the jvp", "jvp", tuple(parts_), index=k) for k, parts_ in jvps.items()
    ]
    known.trusted = {"jvp"} if claims and not any(c.wrong for c in claims) else set()
    for index, (one, answers) in enumerate(seen):
        if answers.vjp and one.autodiff is None:
            for k, name in enumerate(names):
                vjps.setdefault(k, []).extend(_untraced(subject.domains[name], index, one, answers, k, known))
    claims += [Claim(f"the gradient with respect to {names[k]}", "vjp", tuple(parts_), index=k) for k, parts_ in vjps.items()]
    domains = subject.domains
    twins = [(a, b) for a, b in combinations(domains, 2) if domains[a].dims and domains[a].dims == domains[b].dims][:2]
    return [replace(c, parts=tuple(replace(p, twins=tuple(twins)) for p in c.parts)) for c in claims if c.parts]


def _part(
    index: int,
    batch: Batch,
    answers: Answers,
    got: Floats,
    expected: Floats,
    comparison: Comparison | float,  # or the relative accuracy of what is expected
    smooth: Bools,
    directions: Sequence[Floats],
    cases: Sequence[int] | None = None,
) -> list[Part]:
    """The rows of one batch that can be judged (a list of one part, or of none)."""
    chosen = np.arange(batch.count) if cases is None else np.asarray(cases, dtype=np.int64)
    probes = got.shape[1]
    case = np.repeat(chosen, probes)

    def rows(x: Any) -> Any:
        return x[chosen].reshape(-1, *x.shape[2:])

    def repeated(x: Any) -> Any:
        return np.repeat(x[chosen], probes, axis=0)

    mine, theirs = rows(got), rows(expected)
    error, size = norms(mine - theirs, 1), np.fmax(norms(mine, 1), norms(theirs, 1))
    if isinstance(comparison, (int, float)):
        slack, usable = comparison * size, np.isfinite(norms(theirs, 1)) & repeated(smooth)
    else:
        slack, usable = rows(np.broadcast_to(comparison.tolerance, got.shape[:2])), rows(comparison.usable) & repeated(smooth)
    bad = ~np.isfinite(mine).reshape(len(mine), -1).all(axis=1)
    beyond = bad | (error > slack)
    usable &= bad | (slack <= 1e-7 * size) | (error == 0)
    worst = np.max(np.where(usable & ~bad & (size > 0), error / size, 0), initial=0.0)
    usable &= ~(beyond & ~bad & (error <= FITS * size) & (error <= 1e-3 * worst * size))  # may be rounding beside such a mistake
    part = Part(
        index,
        batch.sizes,
        case,
        mine,
        theirs,
        slack,
        beyond,
        {name: repeated(x) for name, x in zip(batch.names, batch.inputs, strict=True)},
        tuple(repeated(v) for v in answers.value),
        tuple(rows(d) for d in directions),
        tangent_names=tuple(f"d{batch.names[i]}" for i in batch.free) if directions is batch.tangents else (),
    )
    return [part.pick(np.flatnonzero(usable))] if usable.any() else []


def _untraced(domain: Domain, index: int, one: Seen, answers: Answers, k: int, known: Jacobians) -> list[Part]:
    """The gradient with respect to one input where JAX cannot tell: its expectation is worked out from the Jacobian."""
    batch = one.batch
    cases = [case for case in range(min(batch.count, FEW_CASES)) if known.at(index, case) is not None]
    if not cases:
        return []
    got = tangential(domain, batch.inputs[batch.free[k]], answers.vjp[k])
    expected = np.full(got.shape, np.nan)
    for case in cases:
        block = known.block(index, case, None, k)
        expected[case] = (side_by_side([c[case] for c in batch.cotangents]) @ block).reshape(got.shape[1:])
    known_to = 1e-11 if known.trusted else 1e-7
    return _part(index, batch, answers, got, expected, known_to, np.ones(batch.count, bool), batch.cotangents, cases)


def _on_tangents(part: Part, domain: Domain, name: str) -> Part:
    """The part with the projection on the tangent space of the input, since its gradient was projected so."""
    if type(domain).tangent is Domain.tangent:
        return part
    words = {Symmetric.tangent: "sym", Simplex.tangent: "centred", LowerTriangular.tangent: "tril", UpperTriangular.tangent: "triu"}
    return replace(part, domain=domain, tangent_at=name, projection=words.get(type(domain).tangent, "tangent"))


def side_by_side(arrays: Sequence[Floats]) -> Floats:
    """Arrays with one common first axis, side by side as one matrix."""
    return np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)


# --- the exact Jacobian, where it is needed ---


class Jacobians:
    """All partial derivatives at single cases: from the rule's other map if that one is right, else from differences of the value."""

    def __init__(self, subject: Subject, seen: Sequence[tuple[Seen, Answers]]) -> None:
        self.subject = subject
        self.seen = seen
        self.trusted: set[str] = set()
        self._kept: dict[tuple[int, int, str], Floats | None] = {}

    def at(self, index: int, case: int) -> Floats | None:
        """(entries of the value, entries of all free inputs) at one case of one batch, tangent spaces respected; None if it fails."""
        source = "jvp" if "jvp" in self.trusted else "vjp" if "vjp" in self.trusted else ""
        key = (index, case, source)
        if key not in self._kept:
            batch = self.seen[index][0].batch
            self._kept[key] = jacobian(self.subject, batch, batch.point(case), source, float(np.min(batch.reach[case])))
        return self._kept[key]

    def block(self, index: int, case: int, output: int | None, free: int | None) -> Floats:
        """The rows of one array of the value (all for None) and the columns of one input (all for None)."""
        whole = self.at(index, case)
        assert whole is not None  # noqa: S101  (asked only where `at` answers)
        batch, answers = self.seen[index][0].batch, self.seen[index][1]
        return whole[
            stretch([v[case].size for v in answers.value], output), stretch([batch.inputs[i][case].size for i in batch.free], free)
        ]


def stretch(lengths: Sequence[int], which: int | None) -> slice:
    """Where one of several arrays lies when all of them stand side by side; everything for None."""
    if which is None:
        return slice(None)
    return slice(sum(lengths[:which]), sum(lengths[: which + 1]))


def asked(
    subject: Subject, word: str, point: Sequence[Floats], directions: Sequence[Floats], batch: Batch | None = None
) -> tuple[Floats, ...] | None:
    """What the rule's jvp or vjp answers; None if it raises, claims none, or (given a batch) if it is not of the right shapes."""
    try:
        at = subject.function(*(x.copy() for x in point))
        if getattr(at, word) is unclaimed:
            return None
        answer = tuple(np.asarray(as_array(a), dtype=np.float64) for a in parts(getattr(at, word)(*(d.copy() for d in directions))))
    except Exception:  # noqa: BLE001  (a wrong rule may do anything where it was not asked before)
        return None
    if batch is None:
        return answer
    shapes = [c.shape[2:] for c in batch.cotangents] if word == "jvp" else [point[i].shape for i in batch.free]
    return answer if [a.shape for a in answer] == shapes else None


def jacobian(subject: Subject, batch: Batch, point: Sequence[Floats], trusted: str, reach: float) -> Floats | None:
    """All partial derivatives at a point, (entries of the value, entries of all free inputs), or None if it cannot be had.

    `trusted` names the rule's map that is right, "jvp" or "vjp"; without one, the value is differenced within `reach`.
    """
    shapes = [x.shape for x in (point[i] for i in batch.free)]
    domains = [subject.domains[batch.names[i]] for i in batch.free]
    if trusted == "vjp":
        outputs = [c.shape[2:] for c in batch.cotangents]
        rows = []
        for basis in _basis(outputs):
            answer = asked(subject, "vjp", point, basis, batch)
            if answer is None:
                return None
            tidy = [tangential(d, point[i][None], a[None, None])[0, 0] for d, i, a in zip(domains, batch.free, answer, strict=True)]
            rows.append(np.concatenate([a.ravel() for a in tidy]))
        return np.stack(rows) if rows else None
    lines = [
        [tangential(d, point[i][None], b[None, None])[0, 0] for d, i, b in zip(domains, batch.free, basis, strict=True)]
        for basis in _basis(shapes)
    ]
    if trusted != "jvp":
        return _differenced(subject, batch, point, lines, reach) if lines else None
    columns = []
    for tangents in lines:
        answer = asked(subject, "jvp", point, tangents, batch)
        if answer is None:
            return None
        columns.append(np.concatenate([a.ravel() for a in answer]))
    return np.stack(columns, axis=1) if columns else None


def _basis(shapes: Sequence[tuple[int, ...]]) -> Iterator[list[Floats]]:
    """Arrays of these shapes, all zero but for one entry, which is 1."""
    for which, shape in enumerate(shapes):
        for place in np.ndindex(*shape):
            arrays = [np.zeros(s) for s in shapes]
            arrays[which][place] = 1.0
            yield arrays


def _differenced(subject: Subject, batch: Batch, point: Sequence[Floats], lines: Sequence[list[Floats]], reach: float) -> Floats | None:
    """The extrapolated differences of the value along directions, a column for each; None where there are none."""
    h = differences.steps(np.full(len(lines), min(reach, 1.0) / 4))
    offsets = differences.offsets(h)
    along = [np.stack(tangents)[None] for tangents in zip(*lines, strict=True)]
    moved = differences.moved_along([x[None] for x in point], batch.free, along, offsets[None])
    points = [np.concatenate([x[None], p.reshape(-1, *x.shape)]) for x, p in zip(point, moved, strict=True)]
    try:
        values = properties.values_at(subject, points)
    except properties.FaultError:
        return None
    columns = []
    for v in values:
        centre = np.broadcast_to(v[0], (len(lines), *v.shape[1:]))
        noise = np.full(len(lines), EPSILON * float(np.linalg.norm(v[0])))
        found = differences.extrapolate(v[1:].reshape(*offsets.shape, *v.shape[1:]), centre, h, noise)
        if np.any(found.kink) or not np.isfinite(found.value).all():
            return None  # the point may be too close to the edge of the domain
        columns.append(found.value.reshape(len(lines), -1).T)
    return np.concatenate(columns)


def exactly(claim: Claim, known: Jacobians) -> Claim | None:
    """The claim at a few cases, with the exact linear map beside it; None where that cannot be had."""
    found = []
    for part in claim.parts:
        wrong = list(dict.fromkeys(part.case[part.beyond]))[: FEW_CASES - 1]
        right = [case for case in dict.fromkeys(part.case) if case not in wrong][: FEW_CASES - len(wrong)]
        batch = known.seen[part.batch][0].batch
        names = [batch.names[i] for i in batch.free]
        for case in (*wrong, *right):
            if known.at(part.batch, int(case)) is None:
                continue
            one = part.pick(part.case == case)
            several = range(len(names) if claim.word == "vjp" else len(one.value))
            maps = [
                known.block(part.batch, int(case), None, k) if claim.word == "vjp" else known.block(part.batch, int(case), k, None).T
                for k in several
            ]
            given = side_by_side(one.directions)
            if np.any(norms((given @ maps[claim.index]).reshape(one.expected.shape) - one.expected, 1) > FITS * one.size):
                continue  # the map is not exact here, so it can tell nothing
            labels = (
                [f"the gradient with respect to {name}" for name in names]
                if claim.word == "vjp"
                else [f"array {k + 1} of the jvp" for k in several]
            )
            shapes = [batch.inputs[i].shape[1:] for i in batch.free] if claim.word == "vjp" else [v.shape[1:] for v in one.value]
            others = {
                labels[k]: (given @ maps[k]).reshape(-1, *shapes[k])
                for k in several
                if k != claim.index and shapes[k] == one.expected.shape[1:]
            }
            found.append(replace(one, matrix=np.broadcast_to(maps[claim.index], (len(given), *maps[claim.index].shape)), others=others))
    return replace(claim, parts=tuple(found)) if any(p.beyond.any() for p in found) else None


# --- small words ---


def is_square(x: Floats) -> bool:
    """Whether the rows are square matrices."""
    return x.ndim >= 3 and x.shape[-1] == x.shape[-2]


def diagonal_of(x: Floats) -> Floats:
    """Square matrices with zeros off the diagonal."""
    return x * np.eye(x.shape[-1])


def single(x: Floats) -> Floats:
    """The nearest numbers that single precision can hold."""
    return x.astype(np.float32).astype(np.float64)


def same_shaped(claim: Claim) -> list[str]:
    """Names of the arrays that have the shape of the result at all sizes."""
    return [name for name in claim.parts[0].named if all(p.named[name].shape == p.expected.shape for p in claim.parts)]


def called(name: str, change: Callable[[Floats], Any] = lambda x: x) -> Callable[[Part], Any]:
    """The recipe for a function of the array with a name."""
    return lambda p: change(p.named[name])


def multiplied(predict: Callable[[Part], Floats | None], excess: float) -> Callable[[Part], Floats | None]:
    """A recipe whose result is taken 1 + excess times."""

    def made(p: Part) -> Floats | None:
        x = predict(p)
        return None if x is None else x + excess * x

    return made


def broad(s: Floats, like: Floats) -> Floats:
    """Numbers, one for each row, with the axes of another array."""
    return s.reshape(-1, *(1,) * (like.ndim - 1))
