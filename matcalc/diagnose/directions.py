"""Explanations that change what the map is applied to, or restrict where it is looked at; they need the exact Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from matcalc.cases import tangential
from matcalc.diagnose.claims import (
    FITS,
    Claim,
    Jacobians,
    Part,
    asked,
    broad,
    diagonal_of,
    is_square,
    jacobian,
    multiplied,
    side_by_side,
    single,
    stretch,
)
from matcalc.diagnose.formulas import of_formulas
from matcalc.diagnose.numbers import functions_on, legend, nice
from matcalc.diagnose.results import excess_over, of_entries, of_the_result
from matcalc.diagnose.trying import SHARE, Finding, Guess, attempt
from matcalc.domain import Domain, FullRank
from matcalc.property import norms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matcalc.cases import Batch
    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Change = Callable[[Floats], Floats]

DIRECTIONS: tuple[tuple[str, float, Change], ...] = (
    ("the absolute value of {what}", 1.0, np.abs),
    ("the positive part of {what}", 1.1, lambda u: np.maximum(u, 0)),
    ("the sign of {what}", 1.3, np.sign),
    ("{what} squared, entry by entry", 1.4, lambda u: u**2),
    ("the transpose of {what}", 1.2, lambda u: u.mT if is_square(u) else u),
    ("the symmetric part of {what}", 1.6, lambda u: (u + u.mT) / 2 if is_square(u) else u),
    ("the lower triangle of {what}", 1.7, lambda u: np.tril(u) if u.ndim == 3 else u),
    ("the upper triangle of {what}", 1.7, lambda u: np.triu(u) if u.ndim == 3 else u),
    ("the diagonal of {what}", 1.7, lambda u: diagonal_of(u) if is_square(u) else u),
    ("{what} with its diagonal halved", 1.7, lambda u: u - diagonal_of(u) / 2 if is_square(u) else u),
    ("{what} with its diagonal doubled", 1.7, lambda u: u + diagonal_of(u) if is_square(u) else u),
    ("{what} rounded to single precision", 1.3, single),
    ("{what} divided by its norm", 1.6, lambda u: u / broad(norms(u, 1), u)),
    ("{what} cut to [-1, 1]", 1.6, lambda u: np.clip(u, -1, 1)),
    ("the mean of {what} in all of its places", 1.8, lambda u: 0 * u + broad(u.reshape(len(u), -1).mean(axis=1), u)),
    ("the sum of {what} in all of its places", 1.8, lambda u: 0 * u + broad(u.reshape(len(u), -1).sum(axis=1), u)),
)  # fmt: skip


def _mapped(p: Part, directions: Sequence[Floats]) -> Floats | None:
    if p.matrix is None:
        return None
    return np.einsum("rd,rde->re", side_by_side(directions), p.matrix).reshape(p.expected.shape)


def _of_changed(change: Change, p: Part) -> Floats | None:
    return _mapped(p, [change(u) for u in p.directions])


def _of_another(name: str, p: Part) -> Floats | None:
    return p.others.get(name)


def of_the_direction(claim: Claim) -> Iterator[Guess]:
    """The right map, applied to something else; or another map, applied to the right thing."""
    for guess in _plain_changes_of_the_direction(claim):
        yield guess
        first = next(p for p in claim.parts if p.beyond.any())
        made = guess.predict(first)
        changed = made is not None and not np.allclose(made, first.expected, rtol=1e-5, atol=1e-6 * float(np.max(np.abs(first.expected))))
        excess = float(excess_over(first, made)) if made is not None and changed else float("nan")
        if isfinite(excess) and abs(excess) > FITS and (c := nice(1 + excess)):
            also = "has the wrong sign besides" if c == "-1" else f"is {c} times that"
            scaled = multiplied(guess.predict, excess)
            yield replace(guess, sentence=f"{guess.sentence}, and {also}", cost=guess.cost + 0.4, predict=scaled)
    yield from _factors_on_the_direction(claim)


def _factors_on_the_direction(claim: Claim) -> Iterator[Guess]:
    """The cotangent or tangent lacks a factor of its own, or has one too many: the derivative of an outer function."""
    first = next(p for p in claim.parts if p.beyond.any())
    if len(first.directions) != 1:
        return
    (u,) = first.directions
    for name, x in first.named.items():
        if name in first.pushed or not 2 <= x.ndim <= u.ndim or x.shape[1:] != u.shape[1 - x.ndim :]:
            continue
        for spelling, f in functions_on(x):

            def changed(p: Part, *, missing: bool, name: str = name, f: Change = f) -> Floats | None:
                u = p.directions[0]
                factor = f(p.named[name])
                factor = factor.reshape(len(u), *(1,) * (u.ndim - factor.ndim), *factor.shape[1:])
                return _mapped(p, [u / factor if missing else u * factor])

            words = f"{spelling.format(x=name)}, entry by entry, "
            for missing in (True, False):
                said = f"lacks the factor {words}on" if missing else f"has the factor {words}too many on"
                yield Guess(
                    "chain_missing",
                    f"{{of}} {said} {claim.what}{legend(words, first)}",
                    1.75 + 0.05 * (not missing),
                    partial(changed, missing=missing),
                )


def _plain_changes_of_the_direction(claim: Claim) -> Iterator[Guess]:
    """What the right map may be applied to instead, and which other map may be applied."""
    what = claim.what
    for text, cost, change in DIRECTIONS:
        yield Guess("direction", f"{{of}} is right for {text.format(what=what)}", cost + 0.1, partial(_of_changed, change))
    yield Guess("direction", f"{{of}} ignores {what}: it is right for one that is all ones", 0.9, partial(_of_changed, np.ones_like))
    for name in claim.parts[0].others:
        yield Guess("wrong_variable", f"{{of}} is {name}", 1.4, partial(_of_another, name))

    def other_way(p: Part) -> Floats | None:
        if p.matrix is None or p.matrix.shape[1] != p.matrix.shape[2]:
            return None
        return np.einsum("rd,red->re", side_by_side(p.directions), p.matrix).reshape(p.expected.shape)

    def alone(p: Part) -> Floats | None:
        if p.matrix is None or p.matrix.shape[1] != p.matrix.shape[2]:
            return None
        return (side_by_side(p.directions) * np.einsum("rdd->rd", p.matrix)).reshape(p.expected.shape)

    of_jvp = "the jvp's formula is applied to the cotangent: no adjoint was taken"
    of_vjp = "the vjp's formula is applied to the tangent"
    yield Guess("not_adjoint", "{of} is not adjoint: " + (of_jvp if claim.word == "vjp" else of_vjp), 1.3, other_way)
    yield Guess(
        "elementwise_vs_matrix",
        "{of} has only the diagonal of the Jacobian: each entry is treated as if it depended on itself alone",
        1.5,
        alone,
    )


def of_terms(subject: Subject, claim: Claim, known: Jacobians) -> list[Finding]:
    """A derivative that is a sum over inputs (jvp) or over arrays of the value (vjp): which term of it is wrong, and how."""
    first = claim.parts[0]
    if len(first.directions) < 2 or claim.only:
        return []
    found: list[Finding] = []
    for k in range(len(first.directions)):
        name = first.tangent_names[k] if claim.word == "jvp" else f"the cotangent of array {k + 1} of the value"
        one = replace(
            claim,
            of=f"the term of {claim.of} in {name}",
            only=name,
            parts=tuple(q for p in claim.parts if (q := _term(subject, claim, p, k, known)) is not None),
        )
        if not one.parts or not one.wrong:
            continue
        mine: list[Finding] = []
        for guesses in (of_the_result(one), of_the_direction(one), of_entries(one), of_formulas(one, pairs=False)):
            mine += [f for guess in guesses if (f := attempt(one, guess)) is not None and f.fits]
        found += [replace(f, cost=f.cost + 0.3, of=one.of) for f in sorted(mine, key=lambda f: f.cost)[:2]]
    if len({f.kind for f in found}) == 1 and len({f.of for f in found}) == len(first.directions):
        return []  # it is the whole that is so
    # a finding about a term is one about the whole, so that terms do not crowd out the other derivatives
    return [replace(f, sentence=f.sentence.replace("{of}", f.of), of=claim.of) for f in found]


def _term(subject: Subject, claim: Claim, p: Part, k: int, known: Jacobians) -> Part | None:
    """One term at the cases of a part: the other directions are zero."""
    batch = known.seen[p.batch][0].batch
    lengths = [int(np.prod(d.shape[1:])) for d in p.directions]
    if p.matrix is None:
        return None
    block = p.matrix[:, stretch(lengths, k)]
    expected = np.einsum("rd,rde->re", side_by_side([p.directions[k]]), block).reshape(p.expected.shape)
    rows = []
    for row, case in enumerate(p.case):
        given = [d[row] if j == k else np.zeros_like(d[row]) for j, d in enumerate(p.directions)]
        answer = asked(subject, claim.word, batch.point(int(case)), given, batch)
        if answer is None:
            return None
        rows.append(answer[claim.index])
    got = np.stack(rows)
    if claim.word == "vjp":
        i = batch.free[claim.index]
        points = np.stack([batch.inputs[i][int(case)] for case in p.case])
        got = tangential(subject.domains[batch.names[i]], points, got[:, None])[:, 0]
    slack = np.maximum(p.slack, 1e-9 * p.size)
    return replace(
        p,
        got=got,
        expected=expected,
        slack=slack,
        beyond=norms(got - expected, 1) > slack,
        directions=(p.directions[k],),
        matrix=block,
        others={},
        tangent_names=p.tangent_names[k : k + 1],
    )


# --- restricted points ---


def of_restrictions(subject: Subject, claim: Claim, known: Jacobians) -> Iterator[Finding]:
    """Right as soon as an input is symmetric, or two inputs are equal, or the cotangent commutes with an input."""
    first = max(claim.parts, key=lambda p: (p.beyond.any(), min(p.sizes.values(), default=1), sum(p.sizes.values())))
    batch = known.seen[first.batch][0].batch
    if min(first.sizes.values(), default=2) < 2 or not first.beyond.all():  # wrong here and there, it may be right there by luck
        return
    row = int(np.flatnonzero(first.beyond)[0])
    point = dict(zip(batch.names, batch.point(int(first.case[row])), strict=True))
    directions = [d[row] for d in first.directions]
    least = min(FITS, SHARE * float(first.error[row] / first.size[row]))

    def apart(changed: dict[str, Floats], *questions: Sequence[Floats]) -> float:
        return _apart(subject, claim, batch, list((point | changed).values()), questions or (directions,), known)

    square = {name: x for name, x in point.items() if x.ndim == 2 and x.shape[0] == x.shape[1]}
    for name, x in square.items():
        domain = subject.domains[name]
        if type(domain) not in {Domain, FullRank}:
            continue
        shift = np.eye(len(x)) * float(np.linalg.norm(x)) if type(domain) is FullRank else 0
        distance, control = (apart({name: y + shift}) for y in ((x + x.T) / 2, x))  # right beside it too, the symmetry is no reason
        if distance <= least and control > FITS:
            sentence = f"{{of}} is right as soon as {name} is symmetric: {name}ᵀ was taken for {name}"
            yield Finding("symmetric_assumption", sentence, claim.of, distance, 2.3, fits=True)
        if len(directions) == 1 and directions[0].shape == x.shape == first.expected.shape[1:]:
            distance = apart({}, [x + 0.5 * np.eye(len(x))], [x @ x - x])
            if distance <= least:
                sentence = f"{{of}} is right as soon as {claim.what} commutes with {name}: factors stand in the wrong order"
                yield Finding("product_order", sentence, claim.of, distance, 2.2, fits=True)
    yield from _where_equal(subject, claim, point, apart, least)


def _where_equal(
    subject: Subject, claim: Claim, point: dict[str, Floats], apart: Callable[[dict[str, Floats]], float], least: float
) -> Iterator[Finding]:
    """Right as soon as two inputs from one set are equal."""
    for (a, x), (b, y) in combinations(point.items(), 2):
        if x.shape != y.shape or type(subject.domains[a]) is not type(subject.domains[b]) or subject.domains[a].discrete:
            continue
        distance = max(apart({a: both, b: both}) for both in (x, y))
        if distance <= least:
            sentence = f"{{of}} is right as soon as {a} and {b} are equal: one of them stands where the other belongs"
            yield Finding("wrong_operand", sentence, claim.of, distance, 2.4, fits=True)


def _apart(
    subject: Subject, claim: Claim, batch: Batch, point: Sequence[Floats], questions: Sequence[Sequence[Floats]], known: Jacobians
) -> float:
    """Largest relative distance of the rule's map from the exact one, at a point and directions of our choice; inf if both are zero."""
    source = "jvp" if "jvp" in known.trusted else "vjp" if "vjp" in known.trusted else ""
    whole = jacobian(subject, batch, point, source, 0.25)
    if whole is None:
        return float("inf")
    worst = 0.0
    for given in questions:
        answer = asked(subject, claim.word, point, given, batch)
        if answer is None:
            return float("inf")
        flat = np.concatenate([g.ravel() for g in given])
        exact = flat @ whole if claim.word == "vjp" else whole @ flat
        mine = exact[stretch([a.size for a in answer], claim.index)].reshape(answer[claim.index].shape)
        its = answer[claim.index]
        if claim.word == "vjp":
            i = batch.free[claim.index]
            its = tangential(subject.domains[batch.names[i]], point[i][None], its[None, None])[0, 0]
        size = max(float(np.linalg.norm(mine)), float(np.linalg.norm(its)))
        worst = max(worst, float(np.linalg.norm(its - mine)) / size if size else np.inf)
    return worst
