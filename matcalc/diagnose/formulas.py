"""Explanations that are formulas: products of inputs, value and direction that equal what came, what was expected, or their gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from matcalc.diagnose.claims import FITS, Claim, Part, broad, called, is_square, same_shaped
from matcalc.diagnose.numbers import FUNCTIONS, legend, nice, point_numbers, size_expressions
from matcalc.diagnose.trying import Guess, attempt
from matcalc.property import norms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LARGEST = 64
"Entries of an array beyond which no formula is searched for it."
MOST_TERMS = 2000
"Formulas that are tried."
MOST_WORDS = 700
"Formulas that are tried in pairs."


@dataclass(frozen=True)
class Term:
    """A product of arrays with names, with what it needs to be compared with other products."""

    text: str
    factors: tuple[tuple[str, str], ...]  # (array, what is done to it: "", "ᵀ", "⁻¹", "⁻ᵀ", "diag")
    evaluate: Callable[[Part], Floats]
    cost: float


Combination = tuple[tuple[float, Term], ...]
SUMS = {"1": "{x} 1", "ᵀ1": "{x}ᵀ 1", "diag1": "diag({x} 1)", "diagᵀ1": "diag({x}ᵀ 1)", "diag": "diag({x})"}


def _atom(part: Part, factor: tuple[str, str]) -> Floats:
    """A factor as a matrix, (rows, r, c): vectors are columns."""
    cache: dict[tuple[str, str], Floats] = part.__dict__.setdefault("_atoms", {})
    if factor not in cache:
        name, operation = factor
        x = part.named[name]
        if x.ndim == 2:
            column = x[:, :, None]
            cache[factor] = column.mT if operation == "ᵀ" else column * np.eye(x.shape[1]) if operation == "diag" else column
        else:
            y: Floats = np.asarray(np.linalg.inv(x) if "⁻" in operation else x, dtype=np.float64)
            y = y.mT if "ᵀ" in operation else y
            y = y.sum(axis=2, keepdims=True) if "1" in operation else y
            cache[factor] = y * np.eye(y.shape[1]) if "diag" in operation else y
    return cache[factor]


def _word(part: Part, factors: Sequence[tuple[str, str]]) -> Floats:
    return reduce(np.matmul, [_atom(part, f) for f in factors])


def _spelled(factors: Sequence[tuple[str, str]]) -> str:
    return " ".join(SUMS[operation].format(x=name) if operation in SUMS else name + operation for name, operation in factors)


def _atoms(part: Part) -> list[tuple[str, str]]:
    """All factors that there are: matrices, their transposes and inverses, vectors lying, standing and as diagonals."""
    found: list[tuple[str, str]] = []
    for name, x in part.named.items():
        if x.ndim == 2:
            found += [(name, ""), (name, "ᵀ"), (name, "diag")]
        elif x.ndim == 3:
            symmetric = is_square(x) and np.allclose(x, x.mT, rtol=1e-12, atol=0)
            found += [(name, "")] if symmetric else [(name, ""), (name, "ᵀ")]
            if name in part.pushed:
                found += [(name, operation) for operation in SUMS if operation != "diag"]
            if is_square(x) and name in {*part.inputs, *part.value_names} and np.all(np.linalg.cond(x) < 1e6):
                found += [(name, "⁻¹")] if symmetric else [(name, "⁻¹"), (name, "⁻ᵀ")]
    return found


def _words(part: Part, longest: int) -> Iterator[tuple[tuple[str, str], ...]]:
    """Products with the shape of the result in which a direction stands at most once."""
    shape = part.expected.shape[1:]
    rows, columns = (*shape, 1, 1)[:2]
    atoms = _atoms(part)
    ends = {a: _atom(part, a).shape[1:] for a in atoms}
    begun: list[tuple[tuple[str, str], ...]] = [(a,) for a in atoms if ends[a][0] == rows]
    for length in range(1, longest + 1):
        yield from (w for w in begun if ends[w[-1]][1] == columns)
        if length == longest or len(begun) > 4000:
            return
        begun = [
            (*w, a)
            for w in begun
            for a in atoms
            if ends[w[-1]][1] == ends[a][0] and not _cancels(w[-1], a) and sum(name in part.pushed for name, _ in (*w, a)) <= 1
        ]


def _cancels(a: tuple[str, str], b: tuple[str, str]) -> bool:
    """Whether two neighbours are inverse to each other."""
    return a[0] == b[0] and {a[1], b[1]} in ({"", "⁻¹"}, {"ᵀ", "⁻ᵀ"})


def _terms(part: Part, alike: Sequence[str]) -> list[Term]:
    """The dictionary of formulas for one result: products of matrices, products entry by entry, identity and ones."""
    shape = part.expected.shape[1:]
    longest = 4 if len(_atoms(part)) <= 8 else 3
    found = [
        Term(_spelled(word), word, partial(_product, word), float(len(word))) for word in (_words(part, longest) if len(shape) <= 2 else ())
    ]
    steady = [name for name in alike if name not in part.pushed]
    moving = [name for name in alike if name in part.pushed]
    for name, (spelling, f) in product(steady, FUNCTIONS.items()):
        factor, text, plain = (name, spelling), spelling.format(x=name), spelling == "{x}"
        if not plain or len(shape) > 2:
            found.append(Term(text, (factor,), called(name, f), 1.5))
        found += [
            Term(f"{text} ⊙ {u}", (factor, (u, "⊙")), _entry_by_entry(called(name, f), called(u)), 1.9 if plain else 2.5) for u in moving
        ]
    for (a, b), u in product(combinations(steady, 2), moving):
        found.append(Term(f"{a} ⊙ {b} ⊙ {u}", ((a, "⊙"), (b, "⊙"), (u, "⊙")), _entry_by_entry(called(a), called(b), called(u)), 3.0))
    found.append(Term("ones" if shape else "1", (), lambda p: np.ones_like(p.expected), 1.0))
    if len(shape) == 2 and shape[0] == shape[1]:
        found.append(Term("I", (("I", ""),), lambda p: np.broadcast_to(np.eye(p.expected.shape[-1]), p.expected.shape), 1.0))
    return found


def _product(word: Sequence[tuple[str, str]], p: Part) -> Floats:
    return _word(p, word).reshape(p.expected.shape)


def _entry_by_entry(*recipes: Callable[[Part], Floats]) -> Callable[[Part], Floats]:
    return lambda p: reduce(np.multiply, [made(p) for made in recipes])


@dataclass(frozen=True)
class _Number:
    """A number that belongs to a point: what may stand in front of a product."""

    above: tuple[str, ...]
    below: tuple[str, ...]
    factors: tuple[tuple[str, str], ...]
    evaluate: Callable[[Part], Floats]  # (rows,)
    cost: float

    def times(self, term: Term) -> Term:
        """The product of the number and a term."""
        above = [*self.above, *([term.text] if term.text != "1" or not self.above else [])]
        text = " ".join(above) + "".join(f" / {name}" for name in self.below)
        return Term(text, (*self.factors, *term.factors), self._before(term.evaluate), self.cost + term.cost)

    def _before(self, evaluate: Callable[[Part], Floats]) -> Callable[[Part], Floats]:
        def made(p: Part) -> Floats:
            x = evaluate(p)
            return broad(self.evaluate(p), x) * x

        return made


def _numbers(part: Part) -> list[_Number]:
    """1, the scalar cotangent, and powers of the numbers of the point with it."""
    plain = _Number((), (), (), lambda p: np.ones(len(p.case)), 0.0)
    scalars = [name for name, u in part.pushed.items() if u.ndim == 1]
    powers = [plain]
    for name, of in point_numbers(part).items():
        powers += [
            _Number((name,), (), ((name, ""),), of, 0.8),
            _Number((), (name,), ((name, "1/"),), _power(of, -1), 0.8),
            _Number((f"{name}²",), (), ((name, "²"),), _power(of, 2), 1.0),
            _Number((), (f"{name}²",), ((name, "1/²"),), _power(of, -2), 1.0),
        ]
    alone = [k for k in powers if k.cost < 1]
    several = [_both(a, b) for a, b in product(powers, alone) if a.cost and b.cost and a.factors[0][0] < b.factors[0][0]]
    linear = [_both(_Number((u,), (), ((u, ""),), called(u), 0.2), k) for u in scalars for k in (*powers, *several)]
    sums = [name for name, u in part.pushed.items() if u.ndim > 1]
    linear += [_Number((f"sum({u})",), (), ((u, "sum"),), called(u, lambda x: x.reshape(len(x), -1).sum(axis=1)), 0.6) for u in sums]
    return sorted([*linear, *(replace(k, cost=k.cost + 1.5 * bool(scalars)) for k in (*powers, *several))], key=lambda k: k.cost)


def _power(of: Callable[[Part], Floats], exponent: int) -> Callable[[Part], Floats]:
    return lambda p: of(p) ** exponent


def _both(a: _Number, b: _Number) -> _Number:
    return _Number(a.above + b.above, a.below + b.below, a.factors + b.factors, lambda p: a.evaluate(p) * b.evaluate(p), a.cost + b.cost)


@dataclass(frozen=True)
class _Book:
    """Terms, with their numbers at some rows of one part, (rows, entries, terms); and the numbers that may stand before them."""

    part: Part
    terms: list[Term]
    columns: Floats
    numbers: list[_Number]
    levels: Floats  # (numbers, rows)
    linear: Floats  # (rows,): what makes a term without the direction linear in it

    def single(self, target: Floats) -> Iterator[tuple[Term, Term | None]]:
        """The terms that are parallel to a target in every row, the simplest first, each alone and with its number in front."""
        size = norms(target, 1)
        b = target.reshape(len(target), -1) / np.where(size > 0, size, 1)[:, None]
        if np.any(size == 0):
            return
        lengths = np.sqrt(np.sum(self.columns**2, axis=1))
        signs = np.einsum("re,ret->rt", b, self.columns)
        distance = np.sqrt(np.sum((self.columns / lengths[:, None] - b[:, :, None] * np.sign(signs)[:, None]) ** 2, axis=1))
        for k in np.flatnonzero(np.all(distance < FITS, axis=0))[:6]:
            ratio = size / lengths[:, k] * np.sign(signs[:, k])
            ratios = ratio / self.levels
            with np.errstate(all="ignore"):
                steady = np.flatnonzero(np.ptp(ratios, axis=1) <= FITS * np.abs(ratios[:, 0]))
            yield self.terms[k], self.numbers[steady[0]].times(self.terms[k]) if len(steady) else None

    def pairs(self, target: Floats, among: Term | None) -> list[tuple[Term, Term]]:
        """The pairs of terms (with one of them given) that span a target, the simplest first."""
        size = float(np.linalg.norm(target))
        if not size:
            return []
        terms = [t if self._pushes(t) else self.numbers[0].times(t) for t in self.terms[:MOST_WORDS]]
        scale = np.array([np.ones_like(self.linear) if self._pushes(t) else self.linear for t in self.terms[:MOST_WORDS]]).T
        wide = (self.columns[:, :, :MOST_WORDS] * scale[:, None]).reshape(-1, len(terms))
        A = wide / np.linalg.norm(wide, axis=0)
        b = target.ravel() / size
        g, G = b @ A, A.T @ A
        with np.errstate(all="ignore"):
            inside = (g[:, None] ** 2 + g[None, :] ** 2 - 2 * np.outer(g, g) * G) / (1 - G**2)
        spans = np.triu(np.abs(1 - inside) < 1e-9, 1)
        if among is not None:
            marked = np.array([t.factors == among.factors for t in terms])
            spans &= marked[:, None] | marked[None, :]
        found = np.argwhere(spans)
        if not len(found):
            return []
        costs = np.array([t.cost for t in terms])
        order = np.argsort(costs[found].sum(axis=1), kind="stable")[:6]
        return [(terms[i], terms[j]) for i, j in found[order]]

    def _pushes(self, term: Term) -> bool:
        return any(name in self.part.pushed for name, _ in term.factors)


def _book(part: Part, alike: Sequence[str]) -> _Book | None:
    """The dictionary at some wrong rows of a part; of terms that are equal there, the simplest alone. None if it is empty."""
    few = part.pick(np.flatnonzero(part.beyond)[: max(8, 48 // max(1, part.expected[0].size))])
    matrix_direction = any(u.ndim > 1 for u in part.pushed.values())
    terms, columns = [], []
    met: set[bytes] = set()
    every = [
        replace(t, cost=t.cost + 1.5) if matrix_direction and not any(name in part.pushed for name, _ in t.factors) else t
        for t in _terms(few, alike)
    ]
    for given in sorted(every, key=lambda t: t.cost)[:MOST_TERMS]:
        term = given
        try:
            x = term.evaluate(few)
        except (np.linalg.LinAlgError, ValueError):
            continue
        if few.domain is not None and not np.allclose(y := few.project(x), x, rtol=1e-9, atol=0):
            x, term = y, replace(term, text=f"{few.projection}({term.text})", evaluate=_projected(term.evaluate), cost=term.cost + 0.3)
        lengths = norms(x, 1)
        if not np.all(np.isfinite(lengths)) or not np.all(lengths > 0):
            continue
        x = x.reshape(len(x), -1)
        mark = np.round(x / np.linalg.norm(x) * np.sign(x.flat[np.argmax(np.abs(x))]), 9).tobytes()
        if mark not in met:
            met.add(mark)
            terms.append(term)
            columns.append(x)
    if not terms:
        return None
    numbers = _numbers(few)
    levels = np.stack([k.evaluate(few) for k in numbers])
    scalar = [u for u in few.pushed.values() if u.ndim == 1]
    return _Book(few, terms, np.stack(columns, axis=2), numbers, levels, scalar[0] if scalar else np.ones(len(few.case)))


def _projected(evaluate: Callable[[Part], Floats]) -> Callable[[Part], Floats]:
    return lambda p: p.project(evaluate(p))


def of_formulas(claim: Claim, *, pairs: bool) -> Iterator[Guess]:
    """What came and what was expected as formulas, or the one term by which they differ."""
    able = [p for p in claim.parts if p.beyond.any() and 0 < p.expected[0].size <= LARGEST]
    if not able:
        return
    part = max(able, key=lambda p: (len(set(p.sizes.values())), min(p.sizes.values(), default=1) > 1, p.beyond.sum()))
    if min(part.sizes.values(), default=2) < 2:  # among numbers, all products are alike
        return
    book = _book(part, same_shaped(claim))
    if book is None:
        return
    got = _identified(book, claim, lambda p: p.got, pairs=pairs)
    expected = _identified(book, claim, lambda p: p.expected, pairs=pairs)
    gap = _identified(book, claim, lambda p: p.got - p.expected, pairs=False)
    among = gap[0][1] if gap else None
    whole = _identified(book, claim, lambda p: p.expected, pairs=True, among=among) if among and len(expected) != 1 else ()
    if whole and not (got and len(got) == 1):
        yield _of_one_term(whole, gap, part)
    elif got and expected:
        kind, cost = _compared(got, expected)
        text = f"{_written(got)}, but {_written(expected)} was expected"
        yield Guess(kind, f"{{of}} is {text}{legend(text, part)}", cost, lambda p: _combined(p, got))
    elif gap:
        yield _of_gap(gap, part)
    elif (along := _along(book, claim)) is not None:
        text = f"{{of}} differs by {along.text} times a number that changes from point to point"
        yield Guess("added_term", text + legend(along.text, part), 3.3, partial(_nearest, along))
    elif got and len(got) == 1:
        text = _written(got)
        yield Guess("formula", f"{{of}} is {text}, which is not the derivative{legend(text, part)}", 2.9, lambda p: _combined(p, got))


def _of_gap(gap: Combination, part: Part) -> Guess:
    """One term is too many, or lacking: which of the two it looks like, since its coefficient in what was expected is not known."""
    ((c, term),) = gap
    text = _written(((-c, term),) if c < 0 else gap)
    if not term.factors and c > 0:
        kind, sentence = "added_term", f"{{of}} has {c:.4g} added to it" + (" in every entry" if term.text == "ones" else "")
    elif c < 0:
        kind, sentence = "missing_term", f"{{of}} lacks the term {text}"
    else:
        kind, sentence = "added_term", f"{{of}} has a term {text} too many"
    return Guess(kind, sentence + legend(text, part), 2.0 + 0.1 * term.cost + 0.2 * (c > 0), lambda p: p.expected + _combined(p, gap))


def _identified(book: _Book, claim: Claim, of: Callable[[Part], Floats], *, pairs: bool, among: Term | None = None) -> Combination:
    """The simplest combination of one or two terms (one of them `among`) that equals an array at every case, or nothing."""
    target = of(book.part)
    wrong = [p for p in claim.parts if p.beyond.any()]
    for _, term in () if among else book.single(target):
        if term is None:
            continue
        for combination in (((_coefficient(book.part, term, target), term),), _sized(wrong, term, of)):
            if combination and all(_equals(p, combination, of) for p in wrong):
                return combination
    for terms in book.pairs(target, among) if pairs else []:
        A = np.stack([t.evaluate(book.part).ravel() for t in terms], axis=1)
        c, *_ = np.linalg.lstsq(A, target.ravel(), rcond=None)
        combination = tuple((float(x), t) for x, t in zip(c, terms, strict=True))
        if all(nice(x) for x, _ in combination) and all(_equals(p, combination, of) for p in wrong):
            return combination
    return ()


def _along(book: _Book, claim: Claim) -> Term | None:
    """A term that the difference is parallel to at every case, by whatever number."""
    if book.part.expected[0].size < 2:
        return None
    for term, _ in book.single(book.part.got - book.part.expected):
        guess = Guess("", "", 0.0, partial(_nearest, term))
        if (found := attempt(claim, guess)) is not None and found.fits:
            return term
    return None


def _nearest(term: Term, p: Part) -> Floats:
    """What was expected, with the multiple of a term that brings each row closest to what came."""
    x, gap = term.evaluate(p), p.got - p.expected
    axes = tuple(range(1, x.ndim))
    below = np.sum(x * x, axis=axes)
    return p.expected + broad(np.sum(gap * x, axis=axes) / np.where(below > 0, below, 1), x) * x


def _coefficient(p: Part, term: Term, target: Floats) -> float:
    x = term.evaluate(p)[p.beyond].ravel()
    return float(target[p.beyond].ravel() @ x / (x @ x))


def _sized(wrong: Sequence[Part], term: Term, of: Callable[[Part], Floats]) -> Combination:
    """A term with a coefficient that depends on the sizes, as in 2/n x."""
    try:
        found = [_coefficient(p, term, of(p)) for p in wrong]
    except (np.linalg.LinAlgError, ValueError):
        return ()
    for text, values in size_expressions([p.sizes for p in wrong]):
        ratios = [c / v if v else float("nan") for c, v in zip(found, values, strict=True)]
        if len(set(values)) > 1 and np.ptp(ratios) <= FITS * abs(ratios[0]) and nice(ratios[0]):
            by_size = {tuple(p.sizes.items()): v for p, v in zip(wrong, values, strict=True)}
            evaluate = partial(_times_size, by_size, term)
            return ((ratios[0], Term(f"{text} {term.text}", (*term.factors, ("", text)), evaluate, term.cost + 1)),)
    return ()


def _times_size(factors: dict[tuple[tuple[str, int], ...], float], term: Term, p: Part) -> Floats:
    return factors.get(tuple(p.sizes.items()), np.nan) * term.evaluate(p)


def _of_one_term(expected: Combination, gap: Combination, part: Part) -> Guess:
    """What became of one term of a sum, of which the rest is right."""
    ((more, term),) = gap
    c = next(c for c, t in expected if t.factors == term.factors)
    of_term = _written(((c, term),))
    came = (c + more) / c
    if abs(came) < FITS:
        kind, sentence = "missing_term", f"lacks the term {of_term}"
    elif nice(came) == "-1":
        kind, sentence = "term_sign", f"has the term {of_term} with the wrong sign"
    else:
        kind, sentence = "term_factor", f"has {nice(came) or f'{came:.4g}'} times the term {of_term}"
    text = _written(expected)
    return Guess(kind, f"{{of}} {sentence}: {text} was expected{legend(text, part)}", 1.95, lambda p: p.expected + _combined(p, gap))


def _equals(p: Part, combination: Combination, of: Callable[[Part], Floats]) -> bool:
    try:
        made = _combined(p, combination)
    except (np.linalg.LinAlgError, ValueError):
        return False
    there = of(p)
    gap, size = norms(there - made, 1)[p.beyond], norms(there, 1)[p.beyond]
    return bool(np.all(gap <= np.maximum(FITS * size, p.slack[p.beyond])))


def _combined(p: Part, combination: Combination) -> Floats:
    return np.asarray(np.sum([c * t.evaluate(p) for c, t in combination], axis=0))


def _written(combination: Combination) -> str:
    """A combination as a formula."""
    text = ""
    for c, term in sorted(combination, key=lambda pair: pair[0] < 0):
        factor = nice(abs(c)) or f"{abs(c):.4g}"
        words = ("" if factor == "1" else f"{factor} ") + term.text
        text += (("-" if c < 0 else "") if not text else " - " if c < 0 else " + ") + words
    return text


def _compared(got: Combination, expected: Combination) -> tuple[str, float]:
    """What kind of mistake turns one formula into the other, and how soon to say so."""
    mine, theirs = {t.factors: c for c, t in got}, {t.factors: c for c, t in expected}
    shared = [key for key in mine if key in theirs]
    cost = 1.95 + 0.02 * sum(t.cost for _, t in (*got, *expected))
    (a, c), *more = mine.items()
    alike = all(_names(a) == _names(key) for key in theirs)
    kind = "formula"
    if len(mine) == len(theirs) == 1:
        kind = _kind_of_products(a, next(iter(theirs)))
    elif not more and alike and (not shared or abs(c - sum(theirs.values())) < FITS):
        kind = "symmetric_assumption"
    elif shared and len(mine) != len(theirs):
        kind = "missing_term" if len(mine) < len(theirs) else "added_term"
    elif len(shared) == len(mine):
        kind = "term_sign" if any(mine[k] * theirs[k] < 0 for k in shared) else "term_factor"
    return kind, cost


def _names(factors: Iterable[tuple[str, str]]) -> Counter[str]:
    return Counter(name for name, _ in factors)


def _kind_of_products(a: Sequence[tuple[str, str]], b: Sequence[tuple[str, str]]) -> str:
    """The mistake between two single products."""
    mine, theirs = Counter(a), Counter(b)
    names, expected_names = _names(a), _names(b)
    left, right = mine - theirs, theirs - mine
    if left and right and all(operation in {*FUNCTIONS, "⊙", "diag"} for _, operation in (*left, *right)):
        return "elementwise_derivative"
    if mine == theirs:
        return "product_order" if list(a) != list(b) else "scalar_factor"
    if names != expected_names:
        shorter, longer = not names - expected_names, not expected_names - names
        replaced = len(a) == len(b) and sum((names - expected_names).values()) == 1
        return "chain_missing" if shorter else "added_factor" if longer else "wrong_operand" if replaced else "formula"
    if Counter(n for n, o in a if "⁻" in o) != Counter(n for n, o in b if "⁻" in o):
        return "inverse_rule"
    return "inner_transpose" if [n for n, _ in a] == [n for n, _ in b] else "product_order"
