"""Explanations that change the expected result: as a whole, by a factor, in some entries, in other coordinates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc.diagnose.claims import (
    FITS,
    Claim,
    Jacobians,
    Part,
    asked,
    broad,
    called,
    diagonal_of,
    is_square,
    multiplied,
    same_shaped,
    single,
)
from matcalc.diagnose.numbers import constant_factor, functions_on, legend, nice, point_numbers, size_expressions
from matcalc.diagnose.trying import Finding, Guess, attempt
from matcalc.property import norms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Change = Callable[[Floats], Floats]

STRUCTURES: tuple[tuple[str, str, float, Change], ...] = (
    ("transpose", "{of} is the expected one transposed", 1.0, lambda E: E.mT),
    ("symmetric_treatment", "{of} is G + Gᵀ - diag(G) of the expected G", 1.4, lambda E: E + E.mT - diagonal_of(E)),
    ("symmetric_treatment", "{of} is the symmetric part (G + Gᵀ)/2 of the expected G", 1.5, lambda E: (E + E.mT) / 2),
    ("symmetric_treatment", "{of} is the skew part (G - Gᵀ)/2 of the expected G", 1.7, lambda E: (E - E.mT) / 2),
)  # fmt: skip
"What becomes of a square matrix."


def excess_over(part: Part, made: Floats, *, rows: bool = False) -> Floats:
    """The excess c - 1 of the factor c that brings `made` closest to what came: one for the part, or one for each row."""
    wide = (slice(None), *(None,) * (made.ndim - 1))
    scale = np.where(norms(made, 1) > 0, norms(made, 1), 1.0)[wide]
    axes = tuple(range(1, made.ndim)) if rows else None
    above = np.sum((part.got - made) / scale * (made / scale) * _weight(part, rows=rows)[wide], axis=axes)
    below = np.sum((made / scale) ** 2 * _weight(part, rows=rows)[wide], axis=axes)
    return np.asarray(above / below)


def _weight(part: Part, *, rows: bool) -> Floats:
    """Only the wrong rows count, unless every row is for itself."""
    return np.ones(len(part.case)) if rows or not part.beyond.any() else part.beyond.astype(float)


def _overall(claim: Claim, change: Change) -> float | None:
    """One factor for all sizes: the excess that serves the first part with wrong rows."""
    for part in claim.parts:
        if part.beyond.any():
            excess = float(excess_over(part, change(part.expected)))
            if isfinite(excess):
                return excess
    return None


def of_the_result(claim: Claim) -> Iterator[Guess]:
    """Sign, factors, transposes, and what becomes of single entries."""
    kind = "term_factor" if claim.only else "scalar_factor"
    yield Guess(
        "missing_term" if claim.only else "zero",
        "{of} is missing: it is zero" if claim.only else "{of} is zero",
        0.8,
        lambda p: 0 * p.expected,
    )
    excess = _overall(claim, lambda E: E)
    if excess is not None and abs(excess + 1) > FITS:
        name, sentence, cost = constant_factor(excess, kind=kind)
        yield Guess("term_sign" if claim.only and name == "sign" else name, sentence, cost, multiplied(lambda p: p.expected, excess))
    yield from _of_sizes(claim)
    if any(is_square(p.expected) for p in claim.parts):
        for name, sentence, cost, change in STRUCTURES:
            safe = _where_square(change)
            if all(np.allclose(made, p.expected, rtol=1e-9, atol=0) for p in claim.parts if (made := safe(p)) is not None):
                continue
            yield Guess(name, sentence, cost, safe)
            excess = _overall(claim, partial(_if_square, change))
            if excess is not None and abs(excess) > FITS and (word := nice(1 + excess)):
                also = "with the wrong sign" if word == "-1" else f"times {word}"
                yield Guess(name, f"{sentence}, {also}", cost + 1, multiplied(safe, excess))
    first = next(p for p in claim.parts if p.beyond.any())
    constant = float(np.mean((first.got - first.expected)[first.beyond])) if first.expected[0].size else 0.0
    yield Guess("added_term", f"{{of}} has {constant:.4g} added to it in every entry", 1.55, lambda p: p.expected + constant)
    yield Guess("direction", "{of} is the absolute value of the expected one", 1.6, lambda p: np.abs(p.expected))
    yield Guess("direction", "{of} is the positive part of the expected one", 1.7, lambda p: np.maximum(p.expected, 0))
    yield Guess(
        "single_precision",
        "{of} is the expected one rounded to single precision",
        1.2,
        lambda p: single(p.expected),
    )


def _if_square(change: Change, E: Floats) -> Floats:
    return change(E) if is_square(E) else E


def _where_square(change: Change) -> Callable[[Part], Floats | None]:
    return lambda p: change(p.expected) if is_square(p.expected) else None


def _of_sizes(claim: Claim) -> Iterator[Guess]:
    """A factor that depends on the sizes alone: a mean taken for a sum, n for n - 1."""
    each = [(p, 1 + float(excess_over(replace(p, beyond=np.zeros_like(p.beyond)), p.expected))) for p in claim.parts]
    whole, factors = [p for p, c in each if isfinite(c)], [c for _, c in each if isfinite(c)]
    if len(whole) < 2 or np.ptp(factors) <= 1e-7 * max(map(abs, factors)):
        return
    for text, values in size_expressions([p.sizes for p in whole]):
        valid = [k for k, v in enumerate(values) if isfinite(v) and v != 0]
        if len({round(values[k], 9) for k in valid}) < 2:
            continue
        c = factors[valid[0]] / values[valid[0]]
        if any(abs(factors[k] - c * values[k]) > 1e-7 * abs(factors[k]) for k in valid) or not (name := nice(c)):
            continue
        words = text if name == "1" else f"-{text}" if name == "-1" else f"{name}·{text}"
        yield Guess(
            "dimension_factor",
            f"{{of}} is {words} times the expected one",
            1.1 + 0.1 * len(words) / 10 + 0.1 * (name != "1"),
            _by_size({tuple(p.sizes.items()): c * v for p, v in zip(whole, values, strict=True)}),
        )


def _by_size(factors: dict[tuple[tuple[str, int], ...], float]) -> Callable[[Part], Floats | None]:
    def made(p: Part) -> Floats | None:
        c = factors.get(tuple(p.sizes.items()), float("nan"))
        return c * p.expected if isfinite(c) else None

    return made


def of_points(claim: Claim) -> Iterator[Guess]:
    """A factor that changes from point to point: the derivative of an outer function, or of an inner one, entry by entry."""
    first = next(p for p in claim.parts if p.beyond.any())
    entries = int(np.prod(first.expected.shape[1:]))

    def each_row(p: Part) -> Floats:
        excess = excess_over(p, p.expected, rows=True)
        return p.expected + broad(np.where(np.isfinite(excess), excess, 0.0), p.expected) * p.expected

    unnamed = Guess("outer_chain", "{of} is the expected one times a number that changes from point to point", 3.5, each_row)
    one_number = entries == 1 or attempt(claim, unnamed) is not None
    if one_number:
        for text, of_part in point_numbers(first).items():
            for shape, f in functions_on(of_part(first)):
                yield from _factor("outer_chain", shape.format(x=text), claim, _composed(f, of_part))
        if entries > 1:
            yield unnamed
        return
    for name in same_shaped(claim):
        if name not in first.pushed:
            for shape, f in functions_on(first.named[name]):
                yield from _factor("chain_missing", f"{shape.format(x=name)}, entry by entry,", claim, called(name, f))


def _composed(f: Change, of: Callable[[Part], Floats]) -> Callable[[Part], Floats]:
    return lambda p: broad(f(of(p)), p.expected)


def _factor(kind: str, text: str, claim: Claim, factor: Callable[[Part], Floats]) -> Iterator[Guess]:
    """Both recipes with one named factor: it came in addition, or it is missing; a constant beside it is found."""
    for missing in (True, False):

        def changed(p: Part, *, missing: bool = missing) -> Floats:
            return p.expected / factor(p) if missing else p.expected * factor(p)

        first = next(p for p in claim.parts if p.beyond.any())
        excess = float(excess_over(first, changed(first)))
        if not isfinite(excess) or abs(1 + excess) < FITS or not (c := nice(1 / (1 + excess) if missing else 1 + excess)):
            continue
        words = ("" if c == "1" else "-" if c == "-1" else f"{c} ") + text
        sentence = f"{{of}} lacks the factor {words.rstrip(',')}" if missing else f"{{of}} has a factor {words.rstrip(',')} too many"
        simple = 0.1 * (len(text) > 12) + 0.2 * (c != "1") + 0.1 * (not missing)
        yield Guess(kind, sentence + legend(text, first), 2.0 + simple, multiplied(changed, excess))


# --- some entries only ---


def _masks(claim: Claim, part: Part) -> dict[str, Callable[[Part], Bools]]:
    """Places in the result, by name."""
    found: dict[str, Callable[[Part], Bools]] = {}
    shape = part.expected.shape[1:]

    def fixed(make: Callable[[Floats], Any]) -> Callable[[Part], Bools]:
        return lambda p: np.broadcast_to(np.asarray(make(np.ones(p.expected.shape[1:])), dtype=bool), p.expected.shape)

    def one(*place: int) -> Callable[[Floats], Any]:
        def make(ones: Floats) -> Any:
            ones = 0 * ones
            if ones.size:
                ones[place] = 1
            return ones

        return make

    if len(shape) >= 1:
        found["its first entry"] = fixed(one(*(0,) * len(shape)))
        found["its last entry"] = fixed(one(*(-1,) * len(shape)))
    if len(shape) == 2:
        found["its first row and column"] = fixed(lambda ones: np.add.outer(np.arange(ones.shape[0]) == 0, np.arange(ones.shape[1]) == 0))
        found["its last row and column"] = fixed(
            lambda ones: np.flip(np.add.outer(np.arange(ones.shape[0]) == 0, np.arange(ones.shape[1]) == 0))
        )
        found["its first row"], found["its last row"] = fixed(one(0)), fixed(one(-1))
        found["its first column"] = fixed(lambda ones: np.arange(ones.shape[1])[None] + 0 * ones == 0)
        found["its last column"] = fixed(lambda ones: np.arange(ones.shape[1])[None] + 0 * ones == ones.shape[1] - 1)
        found["its diagonal"] = fixed(lambda ones: np.eye(*ones.shape))
        found["the entries off its diagonal"] = fixed(lambda ones: 1 - np.eye(*ones.shape))
        found["its strict upper triangle"] = fixed(lambda ones: np.triu(ones, 1))
        found["its strict lower triangle"] = fixed(lambda ones: np.tril(ones, -1))
        found["its upper triangle"] = fixed(np.triu)
        found["its lower triangle"] = fixed(np.tril)
    if shape:
        for name in same_shaped(claim):
            found[f"the entries where {name} < 0"] = called(name, lambda x: x < 0)
            found[f"the entries where {name} > 0"] = called(name, lambda x: x > 0)
            found[f"the entries where {name} = 0"] = called(name, lambda x: x == 0)
            found[f"the largest entry of {name}"] = called(name, lambda x: x == _extreme(x, np.max))
            found[f"the smallest entry of {name}"] = called(name, lambda x: x == _extreme(x, np.min))
    return found


def _extreme(x: Floats, f: Callable[..., Any]) -> Any:
    return f(x, axis=tuple(range(1, x.ndim)), keepdims=True)


def of_entries(claim: Claim) -> Iterator[Guess]:
    """Right but for some entries: which, and what stands there."""
    first = max(claim.parts, key=lambda p: p.expected[0].size * p.beyond.any())
    if not first.expected[0].size:
        return
    masks = [(where, mask, float(np.mean(mask(first)))) for where, mask in _masks(claim, first).items()]
    bearable = [(where, mask, share) for where, mask, share in masks if 0 < share < 1 and _right_outside(claim, mask)]
    filled = [guess for where, mask, _ in bearable for guess in _filled(claim, where, mask)]
    yield from filled
    smallest = sorted((m for m in bearable if m[2] <= 0.5 or " where " in m[0]), key=lambda m: m[2])[:1]
    for where, mask, _ in smallest if not filled else []:
        yield Guess("entries", f"{{of}} is right but for {where}", 2.2 if " where " in where else 2.6, _at(mask, lambda p: p.got))
    if first.expected[0].size > 1 and not smallest:
        yield from _at_fixed_places(claim)


def _at(mask: Callable[[Part], Bools], inside: Callable[[Part], Floats], c: float = 1.0) -> Callable[[Part], Floats]:
    return lambda p: np.where(mask(p), c * inside(p), p.expected)


def _right_outside(claim: Claim, mask: Callable[[Part], Bools]) -> bool:
    """Whether what came is what was expected outside of the places."""
    gaps = (norms(np.where(mask(p), 0, p.got - p.expected), 1) - 2 * p.slack - FITS * np.where(p.beyond, p.error, 0) for p in claim.parts)
    return all(bool(np.all(gap <= 0)) for gap in gaps)


def _filled(claim: Claim, where: str, mask: Callable[[Part], Bools]) -> Iterator[Guess]:
    """What stands at places at which alone something is wrong: zero, or a multiple of what should, or of the direction."""
    verb = "are" if where.startswith("the entries") else "is"
    models: list[tuple[str, Callable[[Part], Floats]]] = [("the expected one", lambda p: p.expected)]
    models += [(claim.what, called(name)) for name in same_shaped(claim) if name in claim.parts[0].pushed]
    for model, of in models:
        over = under = 0.0
        for p in claim.parts:
            wide = broad(p.size, p.expected)
            there = np.where(mask(p), of(p), 0) / wide
            over += float(np.sum((there * (p.got - of(p)) / wide)[p.beyond]))
            under += float(np.sum(there[p.beyond] ** 2))
        c = 1 + over / under if under else float("nan")
        name = nice(c) if isfinite(c) else ""
        said = "zero" if abs(c) < FITS else "of the wrong sign" if name == "-1" and model == "the expected one" else ""
        if not said and name and (name != "1" or model != "the expected one"):
            said = model if name == "1" else f"{name} times {model}"
        if said and not (said == "zero" and model != "the expected one"):
            yield Guess("entries", f"{{of}} is right but for {where}, which {verb} {said}", 1.5, _at(mask, of, c))


def _at_fixed_places(claim: Claim) -> Iterator[Guess]:
    """The same few entries in every case of a shape, whatever they are called."""
    places: dict[tuple[tuple[str, int], ...], Bools] = {}
    for p in claim.parts:
        gap = np.abs(p.got - p.expected)
        large = gap > 1e-3 * np.max(gap, axis=tuple(range(1, gap.ndim)), keepdims=True)
        places[tuple(p.sizes.items())] = np.any(large[p.beyond], axis=0)
    if any(m.size > 1 and m.sum() > max(1, m.size // 4) for m in places.values()):
        return
    shown = max(places.values(), key=lambda m: m.size)
    listed = ", ".join(str([int(k) for k in place]) for place in np.argwhere(shown)[:4])
    noun = "entry" if shown.sum() == 1 else "entries"
    yield Guess(
        "entries",
        f"{{of}} is right but for {noun} {listed} (of {' x '.join(map(str, shown.shape))})",
        2.7,
        lambda p: np.where(places[tuple(p.sizes.items())], p.got, p.expected),
    )


def in_coordinates(claim: Claim) -> Iterator[Guess]:
    """Right but for a diagonal or a triangle, in the coordinates of a square matrix: how rules for factorisations go wrong."""
    first = next(p for p in claim.parts if p.beyond.any())
    if first.expected.ndim != 3 or not all(is_square(p.expected) for p in claim.parts):
        return
    changes: dict[str, Callable[[Any, Any], Any]] = {
        "{B}ᵀ G {B}": lambda B, G: B.mT @ G @ B,
        "{B}ᵀ G": lambda B, G: B.mT @ G,
        "{B}⁻¹ G": np.linalg.solve,
        "{B}⁻¹ G {B}⁻ᵀ": lambda B, G: np.linalg.solve(B, np.linalg.solve(B, G).mT).mT,
    }
    for name in same_shaped(claim):
        if name in first.pushed:
            continue
        for text, change in changes.items():
            try:
                moved = replace(
                    claim,
                    parts=tuple(
                        replace(p, got=change(p.named[name], p.got), expected=change(p.named[name], p.expected)) for p in claim.parts
                    ),
                )
            except np.linalg.LinAlgError:
                continue
            masks = {where: mask for where, mask in _masks(claim, first).items() if "diagonal" in where or "triangle" in where}
            for where, mask in masks.items():
                for guess in _filled(moved, where, mask) if _right_outside(moved, mask) else ():
                    if (fits := attempt(moved, guess)) is not None and fits.fits:
                        words = guess.sentence.replace("{of} is right but for ", "")
                        spoken = text.format(B=name)
                        sentence = f"{{of}}, called G, is right but for {words}, as seen in {spoken}{legend(name, first)}"
                        yield Guess("entries", sentence, 2.4, _kept(moved, guess, claim))


def _kept(moved: Claim, guess: Guess, claim: Claim) -> Callable[[Part], Floats | None]:
    """A guess that was found to fit in other coordinates leaves there the relative distance that it leaves here."""
    distance = {id(here): (guess.predict(there), there) for here, there in zip(claim.parts, moved.parts, strict=True)}

    def predict(p: Part) -> Floats | None:
        made, there = distance[id(p)]
        if made is None:
            return None
        left = norms(there.got - made, 1) / there.size * p.size
        unit = np.zeros_like(p.got).reshape(len(p.got), -1)
        unit[:, 0] = left
        return p.got + unit.reshape(p.got.shape)

    return predict


# --- small differences, and differences without a pattern ---


def of_rounding(subject: Subject, claim: Claim, known: Jacobians) -> list[Finding]:
    """Single precision somewhere inside: the rule gives what single precision can hold, or does not notice what it cannot."""

    def found(why: str) -> list[Finding]:
        return [Finding("single_precision", f"{{of}} is worked out in single precision: {why}", claim.of, 0.0, 1.5, fits=True)]

    typical = float(np.median(np.concatenate([(p.error / p.size)[p.beyond] for p in claim.parts])))
    if typical > 100 * np.finfo(np.float32).eps:
        return []
    if all(np.array_equal(single(p.got), p.got) for p in claim.parts):
        return found("it is made of single-precision numbers")
    for p in claim.parts:
        batch = known.seen[p.batch][0].batch
        for row in np.flatnonzero(p.beyond)[:2]:
            point, given = batch.point(int(p.case[row])), [d[row] for d in p.directions]
            sharp = asked(subject, claim.word, point, given, batch)
            blunt = asked(subject, claim.word, [single(x) for x in point], [single(d) for d in given], batch)
            if sharp is None or blunt is None or not np.array_equal(sharp[claim.index], blunt[claim.index]):
                return []
    return found("inputs that are rounded to it give the same")


def of_the_difference(claim: Claim) -> list[Finding]:
    """What can be said of the difference between what came and what was expected where nothing explains it."""
    found: list[tuple[float, str]] = []
    shown = [p for p in claim.parts if p.beyond.any() and p.expected.ndim == 3 and min(p.expected.shape[1:]) > 1]
    gaps = [((p.got - p.expected) / p.size[:, None, None])[p.beyond] for p in shown]
    if shown and any(min(g.shape[1:]) > 2 for g in gaps):
        found.append((max(float(np.max(np.linalg.svd(g, compute_uv=False)[:, 1])) for g in gaps), "has rank one"))
    if shown and all(is_square(g) for g in gaps):
        whole = [np.asarray(p.expected / p.size[:, None, None])[p.beyond] for p in shown]
        if max(float(np.max(np.abs(w - w.mT))) for w in whole) > FITS:
            found.append((max(float(np.max(norms(g - g.mT, 1))) for g in gaps), "is symmetric"))
        found.append((max(float(np.max(norms(g + g.mT, 1))) for g in gaps), "is skew-symmetric"))
        found.append((max(float(np.max(norms(g - diagonal_of(g), 1))) for g in gaps), "is diagonal"))
    sizes = [float(np.median((p.error / p.size)[p.beyond])) for p in claim.parts if p.beyond.any()]
    return [
        Finding("difference", f"what {{of}} differs by {text}", claim.of, residual, 5.0, fits=True)
        for residual, text in found
        if residual <= FITS * min(1.0, *sizes)
    ]
