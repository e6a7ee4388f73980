"""Arithmetic of terms: products with everything cancelled that can cancel, transposes, products of entries.

A sum inside a product is a factor like any other. Each is looked up by its terms, so that it is written one way wherever it occurs:
the way it was written first, or as the transpose or the opposite of that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from matcalc.derivation import clock
from matcalc.derivation.adjoints import SLOPES
from matcalc.derivation.building import TOO_LONG, UNIT, TooLongError, flipped
from matcalc.derivation.terms import (
    NOTHING,
    SCALAR,
    SUMS,
    WHOLE,
    Chain,
    Exponent,
    Key,
    Poly,
    Powers,
    Scalars,
    Shape,
    Term,
    chained,
    content,
    cost,
    entry_product,
    is_integer,
    key,
    order_of_chain,
    order_of_power,
    raise_all,
    raise_power,
    segments,
    single,
)
from matcalc.formula.expression import Expr
from matcalc.formula.operations import dimension, filled, make
from matcalc.formula.size import ONE

POSITIVE = {"exp", "abs", "norm", "norm1", "nuclear", "spectral", "sigmoid", "softmax"}
"Operations whose values are never negative."
MOST_STEPS = 4000
"Products that are made for one derivation; those in books take fewer than five hundred."
TURNING = {*SLOPES, "inv", "expm", "pinv", "matpow"} - {"neg"}
"Operations that turn a transposed operand into a transposed result."


class Algebra(ABC):
    """What was seen so far, and the arithmetic on it; how expressions are read and written is left to others."""

    def __init__(self, symmetric: frozenset[str] = frozenset()) -> None:
        self.symmetric = symmetric
        self.polys: dict[Expr, Poly] = {}
        "The terms of every expression that was read, and of every factor."
        self.sums: dict[Key, Expr] = {}
        "The sums that are factors, by their terms."
        self.entries: dict[Expr, Powers] = {}
        "The products of entries, by their factors."
        self.turned: dict[Expr, Expr] = {}
        self.steps = 0
        "Products that were made."

    @abstractmethod
    def poly(self, expr: Expr) -> Poly:
        """The terms of an expression."""

    @abstractmethod
    def written(self, poly: Poly, shape: Shape) -> Expr:
        """The terms as the shortest expression found."""

    @abstractmethod
    def plain(self, poly: Poly, shape: Shape) -> Expr:
        """The terms as they are."""

    @abstractmethod
    def expression(self, term: Term, shape: Shape) -> Expr:
        """One term as an expression."""

    def __call__(self, expr: Expr) -> Expr:
        """The simplified expression, never longer in print than what came."""
        poly, shape = self.poly(expr), expr.shape
        form = self.written(poly, shape)
        turned = self.transposed(poly)
        if shape != SCALAR and cost(self.plain(turned, (expr.cols, expr.rows))) + 1 < cost(form):  # (A X + X A)ᵀ
            form = min(form, make("transpose", self.written(turned, (expr.cols, expr.rows))), key=cost)
        return form if cost(form) <= cost(expr) else expr

    def transposed(self, poly: Poly) -> Poly:
        """The terms of the transpose."""
        return {(scalars, self.turned_chain(chain)): c for (scalars, chain), c in poly.items()}

    def turned_chain(self, chain: Chain) -> Chain:
        """The transpose of a product."""
        return tuple(self.flip(atom) for atom in reversed(chain))

    def flip(self, atom: Expr) -> Expr:
        """The transpose of a factor."""
        if atom.op == "transpose":
            return atom.args[0]
        if atom.is_square and self._is_symmetric(atom):
            return atom
        poly = self.polys.get(atom, {})
        if len(poly) > 1:
            turned, shape = self.transposed(poly), (atom.cols, atom.rows)
            if key(turned, shape) not in self.sums:
                form = self.written(turned, shape)
                if cost(form) > cost(atom) or form.op not in SUMS:  # (A x + b)ᵀ is not taken apart, (A + Bᵀ)ᵀ is
                    return make("transpose", atom)
                self.polys.setdefault(form, turned)
                self.sums[key(turned, shape)] = form
            return self.sums[key(turned, shape)]
        return make("transpose", atom)

    def _is_symmetric(self, atom: Expr) -> bool:
        """Whether a square factor is its own transpose whatever the inputs are."""
        match atom.op:
            case "name":
                return atom.data in self.symmetric
            case "diag" | "eye":
                return True
            case "hadamard" | "quotient" | "power":
                return all(self.flip(base) == base for base in self.entries.get(atom, atom.args) if base.shape == atom.shape)
            case "add" | "sub":
                poly = self.poly(atom)
            case "hollow":
                poly = self.poly(atom.args[0])
            case _ if atom.op in TURNING:
                poly = self.poly(atom.args[0])
            case _:
                return False
        return self.transposed(poly) == poly

    def turning(self, atom: Expr) -> Expr:
        """An operation that turns transposes, on the operand or its transpose, whichever came first."""
        if atom in self.turned:
            return self.turned[atom]
        (arg,) = atom.args
        poly = self.poly(arg)
        other = self.transposed(poly)
        result = atom
        if other != poly:
            opposite = replace(atom, args=(self.written(other, (arg.cols, arg.rows)),), rows=atom.cols, cols=atom.rows)
            if arg.rows == ONE or opposite in self.turned:
                self.turned.setdefault(opposite, opposite)
                result = make("transpose", self.turned[opposite])
        self.turned[atom] = result
        self.polys.setdefault(atom, {((), (result,)): WHOLE})
        return result

    def atom(self, expr: Expr) -> Expr:
        """An expression that is a factor of its own."""
        self.polys.setdefault(expr, {single(expr): WHOLE})
        return expr

    def one(self, poly: Poly, shape: Shape) -> Term:
        """A sum as one term: a number times a factor that is the sum without it."""
        if not poly:
            return Fraction(0), NOTHING
        if len(poly) == 1:
            ((monomial, coefficient),) = poly.items()
            return coefficient, monomial
        if shape != SCALAR and not any(chain for _, chain in poly):
            return self.one(poly, SCALAR)  # a multiple of the identity
        divisor = content(poly)
        core = {m: c / divisor for m, c in poly.items()}
        coefficient, monomial = self._known(core, shape) or self._known_transpose(core, shape) or self._new(core, shape)
        return divisor * coefficient, monomial

    def _known(self, core: Poly, shape: Shape) -> Term | None:
        """A sum that was seen before, or its opposite."""
        for sign in (1, -1):
            known = self.sums.get(key({m: sign * c for m, c in core.items()}, shape))
            if known is not None:
                return Fraction(sign), single(known)
        return None

    def _known_transpose(self, core: Poly, shape: Shape) -> Term | None:
        """A sum whose transpose was seen before, or is shorter: (A x + b)ᵀ, and not xᵀAᵀ + bᵀ."""
        rows, cols = shape
        turned = self.transposed(core)
        if turned == core or (cols == ONE != rows):
            return None
        known = self.sums.get(key(turned, (cols, rows)))
        if known is not None:
            return WHOLE, ((), (self.flip(known),))
        if rows == ONE != cols or cost(self.written(turned, (cols, rows))) < cost(self.written(core, shape)):
            factor, (scalars, chain) = self.one(turned, (cols, rows))
            return factor, (scalars, self.turned_chain(chain))
        return None

    def _new(self, core: Poly, shape: Shape) -> Term:
        expr = self.written(core, shape)
        actual = self.poly(expr)
        if expr.op not in SUMS and len(actual) == 1:  # it was a product after all
            ((monomial, coefficient),) = actual.items()
            return coefficient, monomial
        self.sums[key(core, shape)] = expr
        self.sums.setdefault(key(actual, shape), expr)
        return WHOLE, single(expr)

    def _one_of(self, poly: Poly) -> tuple[Fraction, Scalars]:
        """A number's number and scalars."""
        coefficient, (scalars, _) = self.one(poly, SCALAR)
        return coefficient, scalars

    def times(self, a: Term, b: Term) -> Term:
        """The product of two terms."""
        powers: Powers = {}
        raise_all(powers, (*a[1][0], *b[1][0]))
        return self.term(a[0] * b[0], powers, a[1][1] + b[1][1])

    def term(self, coefficient: Fraction, powers: Powers, chain: Chain) -> Term:
        """A number times powers of scalars times a product of matrices, with all that cancels cancelled."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise TooLongError(TOO_LONG)
        clock.check()
        kept: list[Expr] = []
        powers = dict(powers)
        for segment in segments(self._reduced(chain)):
            found, scalars, rest = self._gathered(segment)
            coefficient *= found
            raise_all(powers, scalars)
            if (segment[0].rows, segment[-1].cols) == SCALAR:
                found, scalars = self._number_of(rest)
                coefficient *= found
                raise_all(powers, scalars)
            else:
                kept += rest
        found, powers = self._spread(self._recognized(powers, UNIT))
        if not coefficient * found:
            return Fraction(0), NOTHING
        return coefficient * found, (tuple(sorted(powers.items(), key=order_of_power)), tuple(kept))

    def _spread(self, powers: Powers) -> tuple[Fraction, Powers]:
        """Whole powers of numbers and of products taken apart."""
        coefficient, spread = WHOLE, Powers()
        for base, k in powers.items():
            poly = self.poly(base)
            if not is_integer(k) or (len(poly) != 1 and base.op != "number") or single(base) in poly:
                raise_power(spread, base, k)
                continue
            ((scalars, _), c) = next(iter(poly.items()), (NOTHING, Fraction(0)))
            coefficient *= c ** int(k)
            raise_all(spread, scalars, k)
        return coefficient, spread

    def _reduced(self, chain: Chain) -> Chain:
        """Factors beside their inverses dropped, and the inverses of products beside those products."""
        done: list[Expr] = []
        for atom in chain:
            if done and self.cancels(done[-1], atom):
                done.pop()
            else:
                done.append(atom)
            self._drop_groups(done)
        return tuple(done)

    def cancels(self, a: Expr, b: Expr) -> bool:
        """Whether two factors are inverse to each other."""
        for x, y in ((a, b), (b, a)):
            flipped = y.op == "transpose"
            core = y.args[0] if flipped else y
            if core.op == "inv" and (x == (self.flip(core.args[0]) if flipped else core.args[0])):
                return True
        return False

    def _drop_groups(self, done: list[Expr]) -> None:
        """The inverse of a product beside that product."""
        for i, atom in enumerate(done):
            core = atom.args[0] if atom.op == "transpose" else atom
            if core.op != "inv" or core.args[0].op != "matmul":
                continue
            _, (_, inside) = self.one(self.poly(core.args[0]), core.shape)
            if atom.op == "transpose":
                inside = self.turned_chain(inside)
            if tuple(done[i + 1 :]) == inside:
                del done[i:]
                return
            before = done[max(0, i - len(inside)) : i]
            if i == len(done) - 1 and tuple(before) == inside:
                del done[i - len(inside) :]
                return

    def _gathered(self, segment: Chain) -> tuple[Fraction, Scalars, Chain]:
        """Diagonal matrices before a column, or after a row, as products entry by entry; two beside each other as one."""
        if segment[-1].cols == ONE:
            return self._gathered_column(segment)
        if segment[0].rows == ONE:
            coefficient, scalars, chain = self._gathered_column(self.turned_chain(segment))
            return coefficient, scalars, self.turned_chain(chain)
        for i, (a, b) in enumerate(pairwise(segment)):
            if a.op == b.op == "diag":
                v, w = a.args[0], b.args[0]
                coefficient, (scalars, middle) = self.diagonal(
                    self.entrywise([(self.poly(v), WHOLE), (self.poly(w), WHOLE)], v.shape), v.shape
                )
                more, others, chain = self._gathered(self._reduced(segment[:i] + middle + segment[i + 2 :]))
                return coefficient * more, (*scalars, *others), chain
        return WHOLE, (), segment

    def _gathered_column(self, segment: Chain) -> tuple[Fraction, Scalars, Chain]:
        place = next((i for i in reversed(range(len(segment) - 1)) if segment[i].op == "diag"), None)
        if place is None:
            return WHOLE, (), segment
        v = segment[place].args[0]
        coefficient, (scalars, chain) = self.entrywise([(self.poly(v), WHOLE), ({((), segment[place + 1 :]): WHOLE}, WHOLE)], v.shape)
        more, others, rest = self._gathered_column(segment[:place] + chain) if coefficient else (WHOLE, (), chain)
        return coefficient * more, (*scalars, *others), rest

    def diagonal(self, term: Term, shape: Shape) -> Term:
        """The diagonal matrix of a column."""
        coefficient, (scalars, chain) = term
        if not coefficient or (len(chain) == 1 and chain[0].op == "ones"):
            return coefficient, (scalars, ())
        return coefficient, (scalars, (self.atom(make("diag", self.expression((WHOLE, ((), chain)), shape))),))

    def _number_of(self, chain: Chain) -> tuple[Fraction, Scalars]:
        """A product of matrices that is a number: of it and its transpose, the one with fewer transposes."""
        if not chain:
            return WHOLE, ()
        if len(chain) == 1:
            return self._one_of(self.poly(chain[0]))
        chain = min(chain, self.turned_chain(chain), key=order_of_chain)
        row, last = self.flip(chain[0]), chain[-1]
        if row.op == last.op == "ones" and len(chain) == 2:
            return self._one_of(self.poly(dimension(row.rows)))
        if row.op == "ones":
            return self._sum_of_column(chain[1:])
        if last.op == "ones":
            return self._sum_of_column(self.turned_chain(chain[:-1]))
        return self._met_entries(chain) or (WHOLE, ((self.atom(chained(chain)), WHOLE),))

    def _met_entries(self, chain: Chain) -> tuple[Fraction, Scalars] | None:
        """An inner product of two columns in which factors meet: xᵀ(y ⊘ x) is the sum of y."""
        row, last = self.flip(chain[0]), chain[-1]
        if len(chain) != 2 or not (row in self.entries or last in self.entries):
            return None
        before = sum(len(self.entries.get(a, (a,))) for a in (row, last))
        coefficient, (scalars, rest) = self.entrywise([({((), (a,)): WHOLE}, WHOLE) for a in (row, last)], row.shape)
        after = self.entries.get(rest[0], {rest[0]: WHOLE}) if len(rest) == 1 else {}
        if not rest or len(after) >= before or list(after.values()) == [Fraction(2)]:
            return None
        found, more = self._sum_of_column(rest)
        return coefficient * found, (*scalars, *more)

    def _sum_of_column(self, chain: Chain) -> tuple[Fraction, Scalars]:
        """The sum of the entries of a column."""
        if chain[-1].op == "ones":
            inside = chain[:-1]
            return WHOLE, ((self.atom(make("sum", chained(inside))), WHOLE),)
        powers = self.entries.get(chain[0], {}) if len(chain) == 1 else {}
        if list(powers.values()) == [Fraction(2)]:
            (x,) = powers
            return self._one_of(self.poly(make("matmul", make("transpose", x), x)))
        if list(powers.values()) == [WHOLE, WHOLE]:
            x, y = powers
            return self._one_of(self.poly(make("matmul", make("transpose", x), y)))
        return WHOLE, ((self.atom(make("sum", chained(chain))), WHOLE),)

    def entrywise(self, factors: Sequence[tuple[Poly, Exponent]], shape: Shape) -> Term:
        """The product of powers of entries, of arrays of one shape."""
        rows, cols = shape
        if rows == ONE != cols:  # of columns, transposed
            coefficient, (scalars, chain) = self.entrywise([(self.transposed(poly), k) for poly, k in factors], (cols, rows))
            return coefficient, (scalars, self.turned_chain(chain))
        coefficient, outside, inside = WHOLE, Powers(), Powers()
        for poly, k in factors:
            coefficient *= self._enter(poly, k, shape, outside, inside)
        if not coefficient:
            return Fraction(0), NOTHING
        if shape == SCALAR:
            return self.term(coefficient, outside, ())
        one = filled("ones", *shape)
        inside = self._recognized(inside, one)
        front = self.term(coefficient, outside, ())
        if not inside:
            return self.times(front, self.one(self.poly(one), shape))
        if list(inside.values()) == [WHOLE]:
            return self.times(front, self.one(self.poly(next(iter(inside))), shape))
        atom = entry_product(inside, one)
        self.entries[atom] = inside
        self.polys[atom] = {((), (atom,)): WHOLE}
        return self.times(front, (WHOLE, ((), (atom,))))

    def _enter(self, poly: Poly, k: Exponent, shape: Shape, outside: Powers, inside: Powers) -> Fraction:
        """One factor of a product of entries: its number, with the scalars in it put outside, and its arrays inside."""
        if k == 0:
            return WHOLE
        c, (scalars, chain) = self.one(poly, shape)
        if not c:
            return Fraction(0)
        factors = scalars if shape == SCALAR else tuple(self.entries.get(chain[0], {}).items()) if len(chain) == 1 else ()
        if not is_integer(k) and (c != 1 or (scalars and shape != SCALAR) or not _goes_inside(factors)):
            # a root of a product is left alone, and so is that of a square, which may be one of a negative number
            raise_power(outside if shape == SCALAR else inside, self.expression((c, (scalars, chain)), shape), k)
            return WHOLE
        raise_all(outside, scalars, k)
        base = self.expression((WHOLE, ((), chain)), shape)
        if shape != SCALAR and base.op != "ones":
            raise_all(inside, tuple(self.entries.get(base, {base: WHOLE}).items()), k)
        return c ** int(k) if is_integer(k) else WHOLE

    def _recognized(self, powers: Powers, one: Expr) -> Powers:
        """Products that have a shorter name: x sign(x) is |x|, exp(u) / (1 + exp(u)) is the sigmoid of u."""
        for base in list(powers):
            if base in powers:
                recognize = _NAMES.get(base.op)
                if recognize is not None:
                    recognize(self, powers, base, one)
        return powers

    def size_recognized(self, powers: Powers, base: Expr, _: Expr) -> None:
        """|x|² is x²."""
        k = powers[base]
        if isinstance(k, Fraction) and k > 0 and k % 2 == 0:
            raise_power(powers, base.args[0], powers.pop(base))

    def norm_recognized(self, powers: Powers, base: Expr, _: Expr) -> None:
        """The square of the norm of a vector is xᵀx, and the other way round beside an odd power of the norm."""
        (x,) = base.args
        if x.cols != ONE:
            return
        square = self.atom(make("matmul", make("transpose", x), x))
        k, j = powers[base], powers.get(square, Fraction(0))
        if isinstance(k, Fraction) and isinstance(j, Fraction) and (j or k % 2 == 0):
            del powers[base]
            powers.pop(square, None)
            whole = k + 2 * j
            raise_power(powers, *((square, whole / 2) if whole % 2 == 0 else (base, whole)))

    def sum_recognized(self, powers: Powers, base: Expr, one: Expr) -> None:
        """1 / (1 + exp(u)) is the sigmoid of -u, and with exp(u) above it is that of u."""
        exponential = self._one_and_exponential(base, one) if powers[base] == -1 else None
        if exponential is not None:
            del powers[base]
            raise_power(powers, self._sigmoid_of_opposite(exponential.args[0]), WHOLE)
            if exponential in powers:
                self.exponential_recognized(powers, exponential, one)

    def exponential_recognized(self, powers: Powers, base: Expr, _: Expr) -> None:
        """exp(u) times the sigmoid of -u is the sigmoid of u."""
        (u,) = base.args
        other = self._sigmoid_of_opposite(u)
        if powers[base] == powers.get(other) == 1:
            del powers[base], powers[other]
            raise_power(powers, self(make("sigmoid", u)), WHOLE)

    def sign_recognized(self, powers: Powers, base: Expr, _: Expr) -> None:
        """sign(x) |x| is x, and x sign(x) is |x|."""
        (x,) = base.args
        size = make("abs", x)
        k, j = powers.get(size), powers.get(x)
        if powers[base] != 1:
            return
        for known, other, power in ((size, x, k), (x, size, j)):
            if isinstance(power, Fraction) and power.denominator == 1 and (power >= 1 or (power < -1 and known is size)):
                del powers[base]
                raise_power(powers, known, -WHOLE)
                raise_power(powers, other, WHOLE)
                return

    def _sigmoid_of_opposite(self, u: Expr) -> Expr:
        return self(make("sigmoid", self(make("neg", u))))

    def _one_and_exponential(self, base: Expr, one: Expr) -> Expr | None:
        """The exp(u) of 1 + exp(u)."""
        poly = self.poly(base)
        rest = {m: c for m, c in poly.items() if m not in self.poly(one)}
        if len(poly) != 2 or len(rest) != 1 or set(poly.values()) != {WHOLE}:
            return None
        atom = self.expression((WHOLE, next(iter(rest))), one.shape)
        return atom if atom.op == "exp" else None

    def leaf(self, node: Expr) -> Poly:
        """A factor of its own, as a sum."""
        return {single(node): WHOLE}


def _goes_inside(factors: Scalars) -> bool:
    """Whether a root of a product of powers is that power of its only factor: the root of x² is not x, but that of exp(x)² is exp(x)."""
    return all(_is_positive(base) or not (isinstance(k, Fraction) and k % 2 == 0) for base, k in factors) and len(factors) <= 1


def _is_positive(expr: Expr) -> bool:
    """Whether no value is negative, by the look of it."""
    return expr.op in POSITIVE or (expr.op == "matmul" and flipped(expr.args[0]) == expr.args[1] and expr.is_scalar)


_NAMES: dict[str, Callable[[Algebra, Powers, Expr, Expr], None]] = {
    "abs": Algebra.size_recognized,
    "norm": Algebra.norm_recognized,
    "add": Algebra.sum_recognized,
    "sub": Algebra.sum_recognized,
    "exp": Algebra.exponential_recognized,
    "sign": Algebra.sign_recognized,
}
