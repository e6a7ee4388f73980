"""What simplification works on: sums of terms, each a number times powers of scalars times a product of matrices.

Here are the shapes of these data, the small functions on them, and the measure: how long an expression is in print.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache, reduce
from itertools import pairwise
from math import gcd, lcm
from typing import TypeGuard

from matcalc.formula.expression import Expr
from matcalc.formula.operations import filled, make, number
from matcalc.formula.size import ONE, Size

Exponent = Fraction | Expr
Scalars = tuple[tuple[Expr, Exponent], ...]
Chain = tuple[Expr, ...]
"Matrices whose product is meant; none for the identity, and for scalars."
Monomial = tuple[Scalars, Chain]
Poly = dict[Monomial, Fraction]
"A sum of terms, as their coefficients."
Shape = tuple[Size, Size]
Term = tuple[Fraction, Monomial]
Powers = dict[Expr, Exponent]
Key = tuple[frozenset[tuple[Monomial, Fraction]], Shape]

NOTHING: Monomial = ((), ())
WHOLE = Fraction(1)
SCALAR: Shape = (ONE, ONE)


def key(poly: Poly, shape: Shape) -> Key:
    """What a sum is looked up by, whatever the order of its terms."""
    return frozenset(poly.items()), shape


def add_term(total: Poly, term: Term) -> None:
    """One more term of a sum; those that cancel go."""
    coefficient, monomial = term
    value = total.get(monomial, Fraction(0)) + coefficient
    if value:
        total[monomial] = value
    else:
        total.pop(monomial, None)


def poly_of(term: Term) -> Poly:
    """A sum of one term, or of none."""
    coefficient, monomial = term
    return {monomial: coefficient} if coefficient else {}


def raise_all(powers: Powers, more: Sequence[tuple[Expr, Exponent]], times: Exponent = WHOLE) -> None:
    """The powers of several bases, each to one more power."""
    for base, k in more:
        raise_power(powers, base, times_exponent(k, times))


def exponent(expr: Expr) -> Exponent:
    """A scalar as an exponent: a fraction if it is a number."""
    if expr.op == "number":
        return Fraction(str(expr.data))
    if expr.op == "neg" and expr.args[0].op == "number":
        return -Fraction(str(expr.args[0].data))
    return expr


def as_expr(k: Exponent) -> Expr:
    """An exponent as an expression."""
    return number(k) if isinstance(k, Fraction) else k


def plus_exponent(a: Exponent, b: Exponent) -> Exponent:
    """The sum of two exponents."""
    return a + b if isinstance(a, Fraction) and isinstance(b, Fraction) else _simplified("add", a, b)


def times_exponent(a: Exponent, b: Exponent) -> Exponent:
    """The product of two exponents."""
    return a * b if isinstance(a, Fraction) and isinstance(b, Fraction) else _simplified("scale", a, b)


@lru_cache(maxsize=4096)  # exponents have exponents in turn, each of which would be simplified anew for every one around it
def _simplified(op: str, a: Exponent, b: Exponent) -> Exponent:
    from matcalc.derivation.simplify import simplified  # an exponent is an expression, and has a short form, too

    return exponent(simplified(make(op, as_expr(a), as_expr(b))))


def raise_power(powers: Powers, base: Expr, k: Exponent) -> None:
    """One more power of a base; those that cancel go."""
    total = plus_exponent(powers[base], k) if base in powers else k
    if total == 0:
        powers.pop(base, None)
    else:
        powers[base] = total


def is_integer(k: Exponent) -> TypeGuard[Fraction]:
    """Whether it is a whole number."""
    return isinstance(k, Fraction) and k.denominator == 1


def is_negative(k: Exponent) -> bool:
    """Whether it is written with a minus."""
    return k < 0 if isinstance(k, Fraction) else k.op == "neg"


def without_first(monomial: Monomial) -> Monomial:
    """A term without its first matrix."""
    return monomial[0], monomial[1][1:]


def without_last(monomial: Monomial) -> Monomial:
    """A term without its last matrix."""
    return monomial[0], monomial[1][:-1]


def without(base: Expr, k: Exponent, monomial: Monomial) -> Monomial:
    """A term divided by a power of a scalar in it."""
    powers = dict(monomial[0])
    raise_power(powers, base, times_exponent(k, -WHOLE))
    return tuple(powers.items()), monomial[1]


def sum_to_open(powers: Powers) -> Expr | None:
    """The sum to multiply out first: one with quotients in it, which may cancel, or else the first."""
    sums = [base for base, k in powers.items() if base.op in {"add", "sub"} and isinstance(k, Fraction) and k.denominator == 1 and k > 0]
    return min(sums, key=lambda s: not any(node.op in {"quotient", "divide"} for node in s.nodes()), default=None)


def is_constant(monomial: Monomial) -> bool:
    """Whether it is a number, or an array of equal ones: 1 - s is not turned into s - 1."""
    scalars, chain = monomial
    return not scalars and all(a.op == "ones" or (a.op == "transpose" and a.args[0].op == "ones") for a in chain)


def content(poly: Poly) -> Fraction:
    """The greatest common divisor of the coefficients, negative if all of them are."""
    values = list(poly.values())
    divisor = Fraction(reduce(gcd, (v.numerator for v in values)), reduce(lcm, (v.denominator for v in values)))
    return -divisor if all(v < 0 for v in values) else divisor


def single(expr: Expr) -> Monomial:
    """An expression as a factor of its own."""
    return (((expr, WHOLE),), ()) if expr.is_scalar else ((), (expr,))


def segments(chain: Chain) -> list[Chain]:
    """The parts between which a product is one column wide."""
    if not chain:
        return []
    cuts = [0, *(i for i, (a, _) in enumerate(pairwise(chain), start=1) if a.cols == ONE), len(chain)]
    return [chain[a:b] for a, b in pairwise(cuts)]


def chained(chain: Chain) -> Expr:
    """The product of factors; three or more equal ones are a power."""
    groups: list[tuple[Expr, int]] = []
    for atom in chain:
        if groups and groups[-1][0] == atom:
            groups[-1] = (atom, groups[-1][1] + 1)
        else:
            groups.append((atom, 1))
    parts: list[Expr] = []
    for atom, count in groups:
        parts += [make("matpow", atom, data=count)] if count > 2 else [atom] * count
    return reduce(lambda a, b: make("matmul", a, b), parts)


def factors(expr: Expr) -> Chain:
    """The factors of a product of matrices."""
    if expr.op == "matmul":
        return (*factors(expr.args[0]), *factors(expr.args[1]))
    return (expr.args[0],) * int(str(expr.data)) if expr.op == "matpow" and int(str(expr.data)) > 0 else (expr,)


def power_of(base: Expr, k: Exponent) -> Expr:
    """A power as it is written; a power of xᵀx is one of the norm where that is shorter."""
    plain = _plain_power(base, k)
    match base:
        case Expr(op="matmul", args=(Expr(op="transpose", args=(x,)), other)) if x == other and x.cols == ONE:
            return min(plain, _plain_power(make("norm", x), times_exponent(k, Fraction(2))), key=cost)
        case _:
            return plain


def _plain_power(base: Expr, k: Exponent) -> Expr:
    if k == 1:
        return base
    return make("sqrt", base) if k == Fraction(1, 2) else make("power", base, as_expr(k))


def entry_product(powers: Powers, like: Expr) -> Expr:
    """The product entry by entry of powers of arrays of the shape of `like`; ones if there are none."""
    above = [power_of(base, k) for base, k in powers.items() if not is_negative(k)]
    below = [power_of(base, times_exponent(k, -WHOLE)) for base, k in powers.items() if is_negative(k)]
    top = reduce(lambda a, b: make("hadamard", a, b), above) if above else filled("ones", *like.shape)
    return make("quotient", top, reduce(lambda a, b: make("hadamard", a, b), below)) if below else top


def numeral(coefficient: Fraction, *, bare: bool) -> list[Expr]:
    """The number in front; with scalars behind it, its denominator goes below them."""
    value = coefficient if bare else Fraction(coefficient.numerator)
    return [] if value == 1 else [number(value)]


@lru_cache(maxsize=65536)
def order(expr: Expr) -> tuple[bool, int, int, str]:
    """The order in which factors stand: differentials last; names by the alphabet, then what is longer."""
    tangent = any(len(word) > 1 and word.startswith("d") for word in expr.names)
    return (tangent, 0 if expr.op in {"size", "name", "constant", "number"} else 2, cost(expr), repr(expr).casefold())


def order_of_chain(chain: Chain) -> tuple[int, list[tuple[bool, int, int, str]]]:
    """Which of several equal products is written: the one with the fewest transposes."""
    return sum(atom.op == "transpose" for atom in chain), [order(atom) for atom in chain]


def order_of_power(item: tuple[Expr, Exponent]) -> tuple[bool, int, int, str]:
    """Powers by a symbol stand after names and before what is longer."""
    tangent, kind, length, text = order(item[0])
    return (tangent, kind if isinstance(item[1], Fraction) else 1, length, text)


def joined_ones(chain: Chain) -> Chain:
    """A column of ones before a row of ones is a matrix of ones."""
    done: list[Expr] = []
    for atom in chain:
        if done and done[-1].op == "ones" and atom.op == "transpose" and atom.args[0].op == "ones":
            done[-1] = filled("ones", done[-1].rows, atom.cols)
        else:
            done.append(atom)
    return tuple(done)


PRICES = {"number": 1, "zeros": 1, "eye": 3, "matmul": 0, "scale": 0}
MARKED = {"neg", "add", "sub", "divide", "hadamard", "quotient", "transpose", "inv", "power", "matpow"}
SUMS, PRODUCTS = {"add", "sub", "neg"}, {"matmul", "scale", "divide", "hadamard", "quotient"}


@lru_cache(maxsize=65536)
def cost(expr: Expr) -> int:
    """How long an expression is in print: two for a name, one for a sign, a number, or a pair of parentheses.

    A product with ones is charged more, since a person avoids it.
    """
    total = PRICES.get(expr.op, 1 if expr.op in MARKED else 2) + sum(cost(arg) for arg in expr.args)
    if expr.op == "number":
        return total + (Fraction(str(expr.data)).denominator > 1)
    if expr.op in {"neg", "scale", "matmul", "divide", "hadamard", "quotient", "transpose", "inv", "power", "matpow"}:
        total += sum(arg.op in SUMS for arg in expr.args)
    if expr.op in {"transpose", "inv", "power", "matpow"}:
        total += sum(arg.op in PRODUCTS for arg in expr.args)
    if expr.op in {"divide", "hadamard", "quotient"}:
        total += sum(arg.op == "matmul" for arg in expr.args)
    if expr.op == "matmul":
        total += 3 * sum("ones" in {arg.op, *(a.op for a in arg.args if arg.op == "transpose")} for arg in expr.args)
    return total
