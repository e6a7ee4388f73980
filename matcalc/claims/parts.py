"""Explanations of a claim as a sum: paths and terms that are missing, too many, or have the wrong sign or factor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from matcalc.claims.bench import BROKEN, FITS, SEED, At, simple
from matcalc.claims.points import Floats
from matcalc.claims.search import Search
from matcalc.claims.terms import terms
from matcalc.claims.whole import of_sizes
from matcalc.derivation.building import flipped
from matcalc.derivation.deriving import matrix_of, symmetric_part
from matcalc.derivation.reverse import paths
from matcalc.derivation.simplify import Simplifier
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import make

MOST = 16
"Parts of a derivative that are looked at together."
MOST_SUBSETS = 8
"Parts whose every subset is tried."


def parts(search: Search) -> None:
    """Paths and terms of the derivative that are missing, have the wrong sign or the wrong factor."""
    for what, named in _partitions(search):
        if len(named) < 2:
            continue
        points = search.bench.points
        arrays = [[search.safe(expr, at) for _, expr in named] for at in points]
        if all(a is not None and a.shape == at.claimed.shape for row, at in zip(arrays, points, strict=True) for a in row):
            _weighted(search, [label for label, _ in named], arrays, what)


def _partitions(search: Search) -> Iterator[tuple[str, list[tuple[str, Expr]]]]:
    question = search.question
    symmetric = question.of_symmetric

    def own(x: Expr) -> Expr:
        return symmetric_part(x) if symmetric else x

    try:
        along = paths(question.target, question.wrt.name, seed=search.bench.seed)
    except FormulaError:
        along = ()
    if 1 < len(along) <= MOST:
        yield "path", [(path.description, own(path.adjoint)) for path in along]
        if symmetric:
            yield "path", [(path.description, path.adjoint) for path in along]
    summands = _summands(search.f)
    if 1 < len(summands) <= MOST and search.f.is_scalar:
        found = [(s, search.bench.derived(of=s)) for s in summands]
        yield "summand", [(f"the derivative of {search.spell(s)}", own(d)) for s, d in found if d is not None]
    whole = search.bench.derived()
    if whole is not None:
        split = terms(whole)
        if 1 < len(split) <= MOST:
            yield "term", [(_shown_term(search, t, k), own(t)) for k, t in enumerate(split, 1)]
        if symmetric:
            split = terms(whole, [v.name for v in question.variables if v.is_symmetric])
            if 1 < len(split) <= MOST:
                yield "term", [(f"the term {search.spell(t)}", t) for t in split]


def _shown_term(search: Search, term: Expr, place: int) -> str:
    """A term of the derivative; of a function of many entries the matrix that multiplies the adjoint of the function."""
    if SEED not in term.names:
        return f"the term {search.spell(term)}"
    tidy = Simplifier()
    try:
        return f"the term {search.spell(tidy(flipped(matrix_of(tidy(term), SEED, tidy))))}"
    except FormulaError:
        return f"term {place} of the derivative"


def _weighted(search: Search, labels: list[str], arrays: list[list[Any]], what: str) -> None:
    """The weights with which parts add up to the claim."""
    wanted = [at.claimed for at in search.bench.points]
    count = len(labels)
    columns = np.concatenate(
        [np.array([a.ravel() / (np.max(np.abs(w), initial=0) or 1) for a in row]).T for row, w in zip(arrays, wanted, strict=True)]
    )
    aim = np.concatenate([w.ravel() / (np.max(np.abs(w), initial=0) or 1) for w in wanted])
    if not np.all(np.isfinite(columns)):
        return
    tries: list[tuple[float, ...]] = []
    if count <= MOST_SUBSETS:
        tries += [w for w in product((1.0, 0.0), repeat=count) if any(w) and not all(w)]
        tries += [w for w in product((1.0, -1.0), repeat=count) if len(set(w)) > 1] if count <= 6 else []
    scale = max(float(np.max(np.abs(aim), initial=0)), 1e-300)
    fits = [w for w in tries if np.max(np.abs(columns @ np.array(w) - aim), initial=0) <= FITS * scale * 10]
    if not fits and not search.zero:  # where parts cancel each other, many factors lead to the same claim
        solution = np.linalg.lstsq(columns, aim, rcond=1e-10)[0]
        fractions = [simple(float(c)) for c in solution]
        if np.max(np.abs(columns @ solution - aim), initial=0) <= 1e-7 * scale and all(c is not None for c in fractions):
            fits.append(tuple(float(c) for c in fractions if c is not None))
        else:
            _weighted_by_sizes(search, labels, columns, aim, [w.size for w in wanted])
    for weights in fits[:6]:
        _tell_weights(search, labels, weights, what)


def _weighted_by_sizes(search: Search, labels: list[str], columns: Floats, aim: Floats, entries: list[int]) -> None:
    """The same with weights that are functions of the sizes."""
    owner = np.repeat(np.arange(len(entries)), entries)
    table: list[tuple[At, Floats]] = []
    for sizes in {tuple(at.sizes.items()) for at in search.bench.points}:
        which = [k for k, at in enumerate(search.bench.points) if tuple(at.sizes.items()) == sizes]
        rows = np.isin(owner, which)
        if np.sum(rows) <= len(labels):
            return
        solution = np.linalg.lstsq(columns[rows], aim[rows], rcond=1e-10)[0]
        if np.max(np.abs(columns[rows] @ solution - aim[rows]), initial=0) > 1e-7:
            return
        table.append((search.bench.points[which[0]], np.asarray(solution, dtype=np.float64)))
    changed: list[tuple[str, str]] = []
    for k, label in enumerate(labels):
        own = [(at, float(solution[k])) for at, solution in table]
        if any(abs(c - 1) > 1e-7 for _, c in own):
            changed.append((label, of_sizes([*own, *own]) or str(simple(own[0][1]))))
    if changed:
        _tell_factors(search, changed, -0.9)


def _tell_weights(search: Search, labels: list[str], weights: tuple[float, ...], what: str) -> None:
    """In words."""
    usual = 1.0 if sum(w == 1 for w in weights) else max(set(weights), key=weights.count)
    if len(set(weights)) == 1:
        return
    more = {"path": 0.0, "summand": 0.02, "term": 0.47}[what]
    missing = [label for label, w in zip(labels, weights, strict=True) if w == 0]
    flipped = [label for label, w in zip(labels, weights, strict=True) if w == -usual and w]
    changed = [(label, w) for label, w in zip(labels, weights, strict=True) if w not in {0.0, usual, -usual}]
    more += 0.05 * (len(missing) + len(flipped) + len(changed) - 1) + 0.3 * (usual != 1)
    if missing:
        search.doubled = search.doubled or any(w == 2 for _, w in changed)
        twice = "".join(f", while {label} counts {_word(w)}" for label, w in changed)
        signs = f", and {' and '.join(flipped)} {_has(flipped)} the wrong sign" if flipped else ""
        search.add("missing_term", f"{' and '.join(missing)} {_is(missing)} missing{twice}{signs}", more, about=", ".join(missing))
        return
    if flipped:
        search.add(
            "term_sign",
            f"{' and '.join(flipped)} {_has(flipped)} the wrong sign",
            more + 0.2 * bool(changed),
            about=", ".join(flipped),
        )
    if changed:
        _tell_factors(search, [(label, _plain(w)) for label, w in changed], more - 1.0 * (not flipped))


def _tell_factors(search: Search, changed: Sequence[tuple[str, str]], more: float) -> None:
    """Which parts have factors that they should not have."""
    text = " and ".join(f"{label} has a factor {factor}" for label, factor in changed)
    whose = "it" if len(changed) == 1 else "they"
    search.add("term_factor", f"{text} that {whose} should not have", more, ", ".join(label for label, _ in changed))


def terms_of_the_claim(search: Search) -> None:
    """Terms of the claim that have the wrong sign or factor, or that are too many."""
    split = terms(search.question.claim)
    if search.zero or not 1 < len(split) <= MOST:
        return
    rows: list[list[Floats]] = []
    for at in search.bench.points:
        try:
            rows.append([search.bench.claimed(t, at) for t in split])
        except BROKEN:
            return
    columns = np.concatenate(
        [np.array([np.broadcast_to(a, at.true.shape).ravel() for a in row]).T for row, at in zip(rows, search.bench.points, strict=True)]
    )
    aim = np.concatenate([at.true.ravel() for at in search.bench.points])
    size = np.max(np.abs(columns), initial=0) or 1.0
    found = np.linalg.lstsq(columns, aim, rcond=1e-10)[0]
    if not np.all(np.isfinite(found)) or np.max(np.abs(columns @ found - aim), initial=0) > 1e-7 * size:
        return
    fractions = [simple(float(c)) for c in found]
    if any(c is None for c in fractions) or len(set(fractions)) == 1:
        return
    needed = [(search.spell(t), c) for t, c in zip(split, fractions, strict=True)]
    extra, negated = ([shown for shown, c in needed if c == wrong] for wrong in (0, -1))
    changed = [(shown, c) for shown, c in needed if c not in {0, 1, -1}]
    if extra:
        search.add("missing_term", f"{_terms(extra)} {_is(extra)} too much", 0.62, about=", ".join(extra))
    if negated:
        search.add("term_sign", f"{_terms(negated)} {_has(negated)} the wrong sign", 0.1, about=", ".join(negated))
    if changed:
        text = " and ".join(f"the term {shown} needs a factor {c}" for shown, c in changed)
        search.add("term_factor", text, -1.0 + 0.1, about=", ".join(shown for shown, _ in changed))


def _terms(shown: Sequence[str]) -> str:
    return f"the term{'s' if len(shown) > 1 else ''} {' and '.join(shown)}"


def _is(things: Sequence[str]) -> str:
    return "is" if len(things) == 1 else "are"


def _has(things: Sequence[str]) -> str:
    return "has" if len(things) == 1 else "have"


def _plain(w: float) -> str:
    return str(simple(w))


def _word(w: float) -> str:
    return "twice" if w == 2 else f"{_plain(w)} times"


def _summands(f: Expr) -> list[Expr]:
    """The terms of a function that is a sum, with their signs."""
    match f:
        case Expr(op="add", args=(a, b)):
            return [*_summands(a), *_summands(b)]
        case Expr(op="sub", args=(a, b)):
            return [*_summands(a), *(make("neg", s) for s in _summands(b))]
        case _:
            return [f]
