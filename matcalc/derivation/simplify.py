"""The form that a person would write: no identities left to apply, equal terms put together, common factors taken out if that is shorter.

An expression is read as a sum of terms: a number, times powers of scalars, times a product of matrices. Sums inside a product stay
what they are until multiplying out is tried, and of the forms found the one that is shorter in print is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import reduce

from matcalc.derivation.adjoints import SLOPES
from matcalc.derivation.algebra import TURNING
from matcalc.derivation.building import UNIT
from matcalc.derivation.terms import (
    NOTHING,
    SCALAR,
    WHOLE,
    Chain,
    Exponent,
    Poly,
    Powers,
    Scalars,
    Shape,
    Term,
    add_term,
    as_expr,
    chained,
    exponent,
    order_of_chain,
    poly_of,
    raise_all,
    raise_power,
)
from matcalc.derivation.writing import Writer
from matcalc.formula.expression import Expr
from matcalc.formula.operations import dimension, filled, make, number
from matcalc.formula.size import ONE, Size

MOST_SPREAD = 4
"A power of a matrix up to this is written as a product while it is worked on."
ODD = {"sin", "tan", "sinh", "tanh", "arcsin", "arctan", "erf", "sign"}
"Functions with f(-x) = -f(x)."


def simplified(expr: Expr, symmetric: frozenset[str] = frozenset()) -> Expr:
    """An equal expression in the form that a person would write; inputs named in `symmetric` are symmetric matrices."""
    return Simplifier(symmetric)(expr)


class Simplifier(Writer):
    """Keeps what was seen, so that a sum is written the same way wherever it occurs: as it was written first."""

    def __init__(self, symmetric: frozenset[str] = frozenset()) -> None:
        super().__init__(symmetric)
        self._readers: dict[str, Callable[[Expr], Poly]] = {
            **dict.fromkeys(SLOPES, self._function),
            **dict.fromkeys(("name", "constant", "unit"), self.leaf),
            **dict.fromkeys(("tril", "triu", "hollow", "cumsum", "vec", "kron"), self._linear),
            **dict.fromkeys(("norm", "norm1"), self._length),
            **dict.fromkeys(("scale", "matmul"), self._product),
            **dict.fromkeys(("hadamard", "quotient"), self._by_entry),
            "number": self._number,
            "size": self._size,
            "zeros": lambda _: {},
            "ones": self._ones,
            "eye": self._eye,
            "neg": lambda node: self._sum_of(node, (-1,)),
            "add": lambda node: self._sum_of(node, (1, 1)),
            "sub": lambda node: self._sum_of(node, (1, -1)),
            "divide": self._divide,
            "transpose": self._transpose,
            "inv": self._inverse,
            "matpow": self._matpow,
            "det": self._det,
            "trace": self._trace,
            "sum": self._total,
            "diag": self._diag,
            "diagonal": self._diagonal,
            "power": self._power,
        }

    def poly(self, expr: Expr) -> Poly:
        """The terms of an expression."""
        if expr not in self.polys:
            for node in expr.nodes():
                if node not in self.polys:
                    self.polys[node] = self._readers.get(node.op, self._other)(node)
        return self.polys[expr]

    def _number(self, node: Expr) -> Poly:
        value = Fraction(str(node.data))
        return {NOTHING: value} if value else {}

    def _size(self, node: Expr) -> Poly:
        total: Poly = {}
        for names, coefficient in node.data.terms if isinstance(node.data, Size) else ():
            powers: Powers = {}
            for text in names:
                raise_power(powers, self.atom(dimension(text)), WHOLE)
            add_term(total, self.term(Fraction(coefficient), powers, ()))
        return total

    def _ones(self, node: Expr) -> Poly:
        if node.is_scalar:
            return {NOTHING: WHOLE}
        columns = [filled("ones", size) for size in node.shape if size != ONE]
        if node.cols == ONE:
            return {((), (columns[0],)): WHOLE}
        row = make("transpose", columns[-1])
        return {((), (row,) if node.rows == ONE else (columns[0], row)): WHOLE}

    def _eye(self, node: Expr) -> Poly:
        return {NOTHING: WHOLE} if node.is_square else {((), (node,)): WHOLE}

    def _sum_of(self, node: Expr, signs: Sequence[int]) -> Poly:
        total: Poly = {}
        for arg, sign in zip(node.args, signs, strict=True):
            for monomial, coefficient in self.polys[arg].items():
                add_term(total, (sign * coefficient, monomial))
        return total

    def _divide(self, node: Expr) -> Poly:
        X, c = node.args
        coefficient, (scalars, _) = self.one(self.polys[c], SCALAR)
        if not coefficient:
            return self._other(node)
        inverse = self._reciprocal(coefficient, scalars)
        if inverse[1] == NOTHING:
            return {m: k * inverse[0] for m, k in self.polys[X].items()}
        return poly_of(self.times(inverse, self.one(self.polys[X], X.shape)))

    def _matpow(self, node: Expr) -> Poly:
        k = node.data if isinstance(node.data, int) else 0
        if k == 0:
            return {NOTHING: WHOLE}
        if abs(k) > MOST_SPREAD:
            return self._other(node)
        (X,) = node.args
        return poly_of(reduce(self.times, [self.one(self.polys[X] if k > 0 else self.poly(make("inv", X)), node.shape)] * abs(k)))

    def _trace(self, node: Expr) -> Poly:
        total: Poly = {}
        for (scalars, chain), c in self.polys[node.args[0]].items():
            powers: Powers = dict(scalars)
            chain = self._cancelled_around(chain)  # noqa: PLW2901
            inner = next((i for i, a in enumerate(chain) if a.rows == ONE), None)
            if not chain:
                term = self.times((c, (scalars, ())), self.one(self.poly(dimension(node.args[0].rows)), SCALAR))
            elif inner is not None:
                term = self.term(c, powers, chain[inner:] + chain[:inner])
            else:
                raise_power(powers, self.atom(make("trace", chained(self._smallest_rotation(chain)))), WHOLE)
                term = self.term(c, powers, ())
            add_term(total, term)
        return total

    def _cancelled_around(self, chain: Chain) -> Chain:
        """A trace's factors without a first and a last that are inverse to each other."""
        while len(chain) > 1 and self.cancels(chain[-1], chain[0]):
            chain = chain[1:-1]
        return chain

    def _smallest_rotation(self, chain: Chain) -> Chain:
        turned = self.turned_chain(chain)
        rotations = [c[i:] + c[:i] for c in (chain, turned) for i in range(len(c))]
        return min(rotations, key=order_of_chain)

    def _total(self, node: Expr) -> Poly:
        (X,) = node.args
        if X.is_scalar:
            return self.polys[X]
        total: Poly = {}
        left = (make("transpose", filled("ones", X.rows)),) if X.rows != ONE else ()
        right = (filled("ones", X.cols),) if X.cols != ONE else ()
        for (scalars, chain), c in self.polys[X].items():
            add_term(total, self.term(c, dict(scalars), left + chain + right))
        return total

    def _diagonal(self, node: Expr) -> Poly:
        total: Poly = {}
        (X,) = node.args
        for (scalars, chain), c in self.polys[X].items():
            split = next((i for i, a in enumerate(chain) if a.rows == ONE), None)
            factors: list[tuple[Poly, Exponent]] = []
            rest = chain
            if split:
                factors = [({((), part): WHOLE}, WHOLE) for part in (chain[:split], self.turned_chain(chain[split:]))]
                rest = ()
            else:
                while rest and "diag" in {rest[0].op, rest[-1].op}:
                    first = rest[0].op == "diag"
                    factors.append((self.poly((rest[0] if first else rest[-1]).args[0]), WHOLE))
                    rest = rest[1:] if first else rest[:-1]
                if rest:
                    rest = min(rest, self.turned_chain(rest), key=order_of_chain)
                    factors.append(({((), (self.atom(make("diagonal", chained(rest))),)): WHOLE}, WHOLE))
            found = self.entrywise(factors, node.shape)
            add_term(total, self.times((c, (scalars, ())), found))
        return total

    def _by_entry(self, node: Expr) -> Poly:
        x, y = node.args
        k = WHOLE if node.op == "hadamard" else -WHOLE
        if k < 0 and not self.polys[y]:
            return self._other(node)
        one = self.poly(filled("ones", *node.shape))
        if self.polys[y] == one:
            return self.polys[x]
        if self.polys[x] == one and k > 0:
            return self.polys[y]
        return poly_of(self.entrywise([(self.polys[x], WHOLE), (self.polys[y], k)], node.shape))

    def _power(self, node: Expr) -> Poly:
        x, p = node.args
        if p.is_scalar and x.shape == node.shape:
            return self._raised(x, exponent(self.written(self.polys[p], SCALAR)), node.shape)
        return self._other(node)

    def _raised(self, x: Expr, k: Exponent, shape: Shape) -> Poly:
        if k == 1:
            return self.polys[x]
        if not self.polys[x] and not (isinstance(k, Fraction) and k >= 0):  # a power of zero
            return self.leaf(make("power", x, as_expr(k)))
        return poly_of(self.entrywise([(self.polys[x], k)], shape))

    def _transpose(self, node: Expr) -> Poly:
        return self.transposed(self.polys[node.args[0]])

    def _product(self, node: Expr) -> Poly:
        left, right = (self.polys[arg] for arg in node.args)
        for factor, other in ((left, right), (right, left)):
            if set(factor) <= {NOTHING}:  # a number times a sum is a sum
                return {m: c * factor[NOTHING] for m, c in other.items()} if factor else {}
        return poly_of(self.times(self.one(left, node.args[0].shape), self.one(right, node.args[1].shape)))

    def _inverse(self, node: Expr) -> Poly:
        coefficient, (scalars, chain) = self.one(self.polys[node.args[0]], node.shape)
        if not coefficient:
            return self._other(node)
        factor: Term = (WHOLE, NOTHING)
        if all(a.is_square for a in chain):
            for a in reversed(chain):
                factor = self.times(factor, self._inverted(a))
        else:
            factor = (WHOLE, ((), (self.turning(make("inv", chained(chain))),)))
        return poly_of(self.times(self._reciprocal(coefficient, scalars), factor))

    def _reciprocal(self, coefficient: Fraction, scalars: Scalars) -> Term:
        powers: Powers = {}
        raise_all(powers, scalars, -WHOLE)
        return self.term(1 / coefficient, powers, ())

    def _inverted(self, atom: Expr) -> Term:
        """The inverse of a square factor."""
        match atom.op:
            case "transpose":
                coefficient, (scalars, chain) = self._inverted(atom.args[0])
                return coefficient, (scalars, self.turned_chain(chain))
            case "inv":
                return self.one(self.poly(atom.args[0]), atom.shape)
            case "diag":
                (v,) = atom.args
                return self.diagonal(self.entrywise([(self.poly(v), -WHOLE)], v.shape), v.shape)
            case _:
                return WHOLE, ((), (self.turning(make("inv", atom)),))

    def _diag(self, node: Expr) -> Poly:
        (v,) = node.args
        return poly_of(self.diagonal(self.one(self.polys[v], v.shape), v.shape))

    def _det(self, node: Expr) -> Poly:
        (X,) = node.args
        coefficient, (scalars, chain) = self.one(self.polys[X], X.shape)
        if not coefficient:
            return self.leaf(node)
        size = exponent(dimension(X.rows))
        powers: Powers = {}
        if coefficient != 1:
            raise_power(powers, number(coefficient), size)
        raise_all(powers, scalars, size)
        for a in chain if all(a.is_square for a in chain) else (chained(chain),):
            core, k = a, WHOLE
            while core.op in {"transpose", "inv"}:
                k, core = (-k if core.op == "inv" else k), core.args[0]
            raise_power(powers, self.atom(make("prod", core.args[0]) if core.op == "diag" else make("det", core)), k)
        return poly_of(self.term(WHOLE, powers, ()))

    def _function(self, node: Expr) -> Poly:
        """A function of each entry."""
        (arg,) = node.args
        inside = self.written(self.polys[arg], arg.shape)
        if node.op == "sqrt":
            return self._raised(arg, Fraction(1, 2), node.shape)
        if (node.op, inside.op) in {("log", "exp"), ("exp", "log")}:
            return self.poly(inside.args[0])
        if (node.op == "log" and inside == UNIT) or (node.op in ODD and not self.polys[arg]):
            return {}
        if node.op in ODD and all(c < 0 for c in self.polys[arg].values()):
            opposite = self.written({m: -c for m, c in self.polys[arg].items()}, arg.shape)
            return {m: -c for m, c in self.poly(make(node.op, opposite)).items()}
        return self._factor(make(node.op, inside))

    def _factor(self, atom: Expr) -> Poly:
        """An operation on simplified operands that is a factor of its own."""
        if atom.op in TURNING and not atom.is_scalar:
            return {((), (self.turning(atom),)): WHOLE}
        return self.leaf(self.atom(atom))

    def _other(self, node: Expr) -> Poly:
        """Anything else, on simplified operands."""
        return self._factor(node.with_args(tuple(self.written(self.polys[arg], arg.shape) for arg in node.args)))

    def _length(self, node: Expr) -> Poly:
        """A norm, which is zero for zero."""
        return self._other(node) if self.polys[node.args[0]] else {}

    def _linear(self, node: Expr) -> Poly:
        """An operation that is linear in each operand lets numbers and scalars out."""
        if node.op == "vec" and node.args[0].cols == ONE:
            return self.polys[node.args[0]]
        terms = [self.one(self.polys[arg], arg.shape) for arg in node.args]
        args = tuple(self.expression((WHOLE, ((), m[1])), arg.shape) for (_, m), arg in zip(terms, node.args, strict=True))
        fronts: list[Term] = [(c, (scalars, ())) for c, (scalars, _) in terms]
        outside = reduce(self.times, fronts)
        return poly_of(self.times(outside, (WHOLE, ((), (self.atom(node.with_args(args)),)))))
