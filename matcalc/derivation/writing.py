"""How a sum of terms is written: as it is, multiplied out or with common factors taken out, whichever is shortest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial, reduce

from matcalc.derivation.algebra import Algebra
from matcalc.derivation.building import MOST_SIZE, TOO_LONG, UNIT, ZERO, TooLongError
from matcalc.derivation.terms import (
    NOTHING,
    SCALAR,
    SUMS,
    WHOLE,
    Chain,
    Exponent,
    Key,
    Monomial,
    Poly,
    Powers,
    Shape,
    Term,
    add_term,
    chained,
    content,
    cost,
    entry_product,
    factors,
    is_constant,
    is_negative,
    joined_ones,
    key,
    numeral,
    plus_exponent,
    power_of,
    raise_all,
    sum_to_open,
    times_exponent,
    without,
    without_first,
    without_last,
)
from matcalc.formula.expression import Expr
from matcalc.formula.operations import filled, make, number
from matcalc.formula.size import ONE

MOST_TERMS = 48
"A product of sums is multiplied out in so many steps."
WORTH = 0.8
"A product of sums is multiplied out only where that makes it so much shorter: (1 - s) y is not better as y - s y."
MOST_TRIALS = 12
"Sums of more terms are not tried term by term, whether multiplying out makes them shorter, nor for factors that only some have."
MOST_FORMS = 60
"Sums that are written in different ways for one expression, those inside others included; further ones are left as they are."


class Writer(Algebra):
    """The part of simplification that chooses."""

    def __init__(self, symmetric: frozenset[str] = frozenset()) -> None:
        super().__init__(symmetric)
        self.forms: dict[Key, Expr] = {}
        self.working: set[Key] = set()
        self.tried = 0

    def __call__(self, expr: Expr) -> Expr:
        """The simplified expression, never longer in print than what came; TooLongError for what nobody would read."""
        if expr.length > MOST_SIZE:
            raise TooLongError(TOO_LONG)
        self.tried = 0
        return super().__call__(expr)

    def written(self, poly: Poly, shape: Shape) -> Expr:
        """The terms as the shortest expression found."""
        word = key(poly, shape)
        if word in self.forms:
            return self.forms[word]
        best = self.plain(poly, shape)
        if word in self.working or not poly or self.tried >= MOST_FORMS:
            return best
        self.tried += 1
        self.working.add(word)
        for worth, candidate in self._candidates(poly):
            form = self.plain(self._factored(candidate, shape), shape)
            if cost(form) < worth * cost(best):
                best = form
        self.working.discard(word)
        self.forms[word] = best
        return best

    def _candidates(self, poly: Poly) -> Iterator[tuple[float, Poly]]:
        """Other forms, each with how much shorter it has to be."""
        yield 1.0, poly
        whole = self._multiplied_out(poly)
        if whole is None or whole == poly:
            return
        yield WORTH, whole
        if 1 < len(poly) <= MOST_TRIALS:
            for monomial, coefficient in poly.items():
                part = self._multiplied_out({monomial: coefficient})
                if part and len(part) > 1:
                    total: Poly = {}
                    for m, c in poly.items():
                        for piece in part.items() if m == monomial else ((m, c),):
                            add_term(total, (piece[1], piece[0]))
                    yield WORTH, total

    def _multiplied_out(self, poly: Poly) -> Poly | None:
        """The same without sums inside products; None if there are too many terms."""
        waiting = list(poly.items())[::-1]
        total: Poly = {}
        steps = 0
        while waiting:
            monomial, coefficient = waiting.pop()
            steps += 1
            if steps > MOST_TERMS:
                return None
            parts = self._opened(monomial)
            if parts is None:
                add_term(total, (coefficient, monomial))
            else:
                waiting += [(m, c * coefficient) for c, m in reversed(parts) if c]
        return total

    def multiplied_out(self, expr: Expr) -> Expr | None:
        """The terms without sums in products, as they are; None if there are too many."""
        opened = self._multiplied_out(self.poly(expr))
        return None if opened is None else self.plain(opened, expr.shape)

    # --- multiplying out -------------------------------------------------------------------------------------------------------

    def _opened(self, monomial: Monomial) -> list[Term] | None:
        """The terms that a product with a sum in it consists of; None if it has no sum."""
        scalars, chain = monomial
        for i, atom in enumerate(chain):
            terms = self._terms_of(atom)
            if terms is not None:
                rest = dict(scalars)
                return [self._joined(term, rest, chain[:i], chain[i + 1 :]) for term in terms]
        powers = dict(scalars)
        choice = sum_to_open(powers)
        if choice is None:
            return self._opened_number(monomial)
        others = without(choice, WHOLE, monomial)
        return [self.times((c, m), (WHOLE, others)) for m, c in self.poly(choice).items()]

    def _terms_of(self, atom: Expr) -> list[Term] | None:
        """The terms of a factor that is a sum, or a product of entries with a sum in it, or the transpose of one."""
        if atom.op == "transpose":
            terms = self._terms_of(atom.args[0])
            return terms and [(c, (scalars, self.turned_chain(chain))) for c, (scalars, chain) in terms]
        if atom.op in {"add", "sub"}:
            inside = self.poly(atom)
            return [(c, m) for m, c in inside.items()] if len(inside) > 1 else None
        powers = self.entries.get(atom, {})
        choice = sum_to_open(powers)
        if choice is None:
            return None
        rest = self._entry_factors(powers, choice)
        less = plus_exponent(powers[choice], -WHOLE)
        return [self.entrywise([({m: c}, WHOLE), (self._as_factor(choice), less), *rest], atom.shape) for m, c in self.poly(choice).items()]

    def _entry_factors(self, powers: Powers, but: Expr) -> list[tuple[Poly, Exponent]]:
        """All factors of a product of entries but one."""
        return [(self._as_factor(base), k) for base, k in powers.items() if base != but]

    def _as_factor(self, base: Expr) -> Poly:
        """A factor of a product of entries, as one term whatever it is."""
        return {((), (base,)): WHOLE} if base.op in {"add", "sub"} else self.poly(base)

    def _opened_number(self, monomial: Monomial) -> list[Term] | None:
        """The terms, where a sum stands inside a scalar product of vectors, or is summed up."""
        scalars, chain = monomial
        for base, k in scalars:
            inside: Chain = ()
            if base.op == "matmul":
                inside = factors(base)
            elif base.op == "sum" and base.args[0].cols == ONE:
                inside = (make("transpose", filled("ones", base.args[0].rows)), *factors(base.args[0]))
            opened = self._opened(((), inside)) if inside and k == 1 else None
            if opened is not None:
                rest = tuple(item for item in scalars if item[0] != base)
                return [self.times(term, (WHOLE, (rest, chain))) for term in opened]
        return None

    def _joined(self, middle: Term, powers: Powers, left: Chain, right: Chain) -> Term:
        total = dict(powers)
        coefficient, (scalars, chain) = middle
        raise_all(total, scalars)
        return self.term(coefficient, total, left + chain + right)

    # --- common factors --------------------------------------------------------------------------------------------------------

    def _factored(self, poly: Poly, shape: Shape) -> Poly:
        """Common factors taken out, one at a time, as long as it becomes shorter."""
        length = cost(self.plain(poly, shape))
        while len(poly) > 1:
            options = [(cost(self.plain(q, shape)), i, q) for i, q in enumerate(self._factorings(poly, shape))]
            if not options or min(options)[0] >= length:
                break
            length, _, poly = min(options, key=lambda option: option[:2])
        return poly

    def _factorings(self, poly: Poly, shape: Shape) -> Iterator[Poly]:
        """The sum with one common factor of some terms taken out, in all ways."""
        divisor = content(poly)
        if divisor != 1:
            rest = self.one({m: c / divisor for m, c in poly.items()}, shape)
            yield self._regrouped(poly, list(poly), self.times((divisor, NOTHING), rest))
        yield from self._with_first_or_last(poly, shape)
        if len(poly) > MOST_TRIALS:
            return
        yield from self._with_scalar(poly, shape)
        if shape != SCALAR:
            yield from self._with_whole(poly)
            yield from self._with_entry(poly, shape)

    def _with_first_or_last(self, poly: Poly, shape: Shape) -> Iterator[Poly]:
        """A X + B X as (A + B) X; X alone counts as I X where that fits, and is left out as well."""
        for first in (True, False):
            end = 0 if first else -1
            for head in dict.fromkeys(m[1][end] for m in poly if m[1]):
                group = [m for m in poly if m[1] and m[1][end] == head]
                if len(group) < len(poly) > MOST_TRIALS:
                    continue
                longer = [m for m in group if len(m[1]) > 1]
                rest = (head.cols, shape[1]) if first else (shape[0], head.rows)
                take = partial(self._taken_out, poly, without_first if first else without_last, rest, head, first=first)
                if len(longer) > 1:
                    yield take(longer)
                if len(longer) < len(group) and longer and rest[0] == rest[1]:
                    yield take(group)

    def _taken_out(
        self, poly: Poly, cut: Callable[[Monomial], Monomial], shape: Shape, head: Expr, group: list[Monomial], *, first: bool
    ) -> Poly:
        inside = self._rest(poly, group, cut, shape)
        outside: Term = (WHOLE, ((), (head,)))
        return self._regrouped(poly, group, self.times(outside, inside) if first else self.times(inside, outside))

    def _with_scalar(self, poly: Poly, shape: Shape) -> Iterator[Poly]:
        """A X + a² Y as a (X + a Y)."""
        for base in dict.fromkeys(b for m in poly for b, _ in m[0]):
            powers = {m: k for m in poly for b, k in m[0] if b == base}
            for k in dict.fromkeys(powers.values()):
                group = [m for m, j in powers.items() if j == k or (isinstance(j, Fraction) and isinstance(k, Fraction) and 0 < k / j < 1)]
                if len(group) > 1:
                    inside = self._rest(poly, group, partial(without, base, k), shape)
                    yield self._regrouped(poly, group, self.times((WHOLE, (((base, k),), ())), inside))

    def _with_whole(self, poly: Poly) -> Iterator[Poly]:
        """A X + b X as (a + b) X."""
        for chain in dict.fromkeys(m[1] for m in poly if m[1]):
            group = [m for m in poly if m[1] == chain]
            if len(group) > 1:
                inside = self._rest(poly, group, lambda m: (m[0], ()), SCALAR)
                yield self._regrouped(poly, group, self.times(inside, (WHOLE, ((), chain))))

    def _with_entry(self, poly: Poly, shape: Shape) -> Iterator[Poly]:
        """The same entry by entry: x ⊙ y + x ⊙ z as x ⊙ (y + z)."""
        powers = {m: self._powers(m[1], shape) for m in poly}
        for base, k in dict.fromkeys(item for found in powers.values() for item in found.items()):
            group = [m for m in poly if powers[m].get(base) == k]
            if len(group) > 1:
                rest: Poly = {}
                for m in group:
                    left = self.entrywise(self._entry_factors(powers[m], base), shape)
                    add_term(rest, self.times((poly[m], (m[0], ())), left))
                yield self._regrouped(poly, group, self.entrywise([(self._as_factor(base), k), (rest, WHOLE)], shape))

    def _powers(self, chain: Chain, shape: Shape) -> Powers:
        """A product of matrices as a product of entries."""
        if not chain:
            return {}
        expr = self.expression((WHOLE, ((), chain)), shape)
        return self.entries.get(expr, {expr: WHOLE})

    def _rest(self, poly: Poly, group: list[Monomial], cut: Callable[[Monomial], Monomial], shape: Shape) -> Term:
        rest: Poly = {}
        for m in group:
            add_term(rest, (poly[m], cut(m)))
        return self.one(rest, shape)

    def _regrouped(self, poly: Poly, group: list[Monomial], product: Term) -> Poly:
        """The sum with one term in the place of several."""
        total: Poly = {}
        for m, c in poly.items():
            if m == group[0]:
                add_term(total, product)
            elif m not in group:
                add_term(total, (c, m))
        return total

    # --- plain writing ---------------------------------------------------------------------------------------------------------

    def plain(self, poly: Poly, shape: Shape) -> Expr:
        """The terms as they are, a positive one first if there is one."""
        items = list(poly.items())
        if not items:
            return ZERO if shape == SCALAR else filled("zeros", *shape)
        first = next((i for i, (_, c) in enumerate(items) if c > 0), 0)
        monomial, coefficient = items.pop(first)
        total = self._signed((coefficient, monomial), shape)
        for monomial, coefficient in items:
            total = make("add" if coefficient > 0 else "sub", total, self.expression((abs(coefficient), monomial), shape))
        return total

    def _signed(self, term: Term, shape: Shape) -> Expr:
        coefficient, monomial = term
        if coefficient > 0:
            return self.expression(term, shape)
        turned = self._turned_sum(monomial)
        if turned is not None:
            return self.expression((-coefficient, turned), shape)
        return make("neg", self.expression((-coefficient, monomial), shape))

    def _turned_sum(self, monomial: Monomial) -> Monomial | None:
        """The opposite of a product, by the opposite of a difference in it."""
        scalars, chain = monomial
        for i, (base, k) in enumerate(scalars):
            opposite = self._opposite(base) if k in {WHOLE, -WHOLE} and base.op in SUMS else None
            if opposite is not None:
                return (*scalars[:i], (opposite, k), *scalars[i + 1 :]), chain
        for i, atom in enumerate(chain):
            opposite = self._opposite(atom)
            if opposite is not None:
                return scalars, (*chain[:i], opposite, *chain[i + 1 :])
        return None

    def _opposite(self, expr: Expr) -> Expr | None:
        """The opposite of a difference, or of what has one as a factor, written without a sign in front."""
        if expr.op in {"add", "sub"}:
            poly = self.poly(expr)
            if len(poly) > 1 and any(c < 0 for c in poly.values()) and not any(is_constant(m) for m in poly):
                return self.plain({m: -c for m, c in poly.items()}, expr.shape)
        powers = self.entries.get(expr, {})
        for base, k in powers.items():
            opposite = self._opposite(base) if k == 1 else None
            if opposite is not None:
                return entry_product({(opposite if b == base else b): j for b, j in powers.items()}, expr)
        for i, arg in enumerate(expr.args if expr.op in {"matmul", "transpose"} else ()):
            opposite = self._opposite(arg)
            if opposite is not None:
                return expr.with_args((*expr.args[:i], opposite, *expr.args[i + 1 :]))
        return None

    def expression(self, term: Term, shape: Shape) -> Expr:
        """One term: a number and scalars in front or in a fraction, then the matrices."""
        coefficient, (scalars, chain) = term
        above = [power_of(base, k) for base, k in scalars if not is_negative(k)]
        below = [power_of(base, times_exponent(k, -WHOLE)) for base, k in scalars if is_negative(k)]
        front = [*numeral(coefficient, bare=not above), *above]
        if coefficient.denominator > 1 and above:
            below.insert(0, number(coefficient.denominator))
        top = reduce(partial(make, "scale"), front) if front else None
        under = reduce(partial(make, "scale"), below) if below else None
        if shape == SCALAR:
            return make("divide", top or UNIT, under) if under else top or UNIT
        matrix = chained(joined_ones(chain)) if chain else filled("eye", *shape)
        if not under:
            return make("scale", top, matrix) if top else matrix
        if top and (above or below[0].op == "number"):
            return make("scale", make("divide", top, under), matrix)
        return make("divide", make("scale", top, matrix) if top else matrix, under)

    def flipped_product(self, product: Expr) -> Expr:
        """The transpose of a product of matrices, factor by factor."""
        return chained(self.turned_chain(factors(product)))
