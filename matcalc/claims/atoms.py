"""The prime field with transcendental functions as unknown ones: whatever holds for all functions holds for exp, log and sin.

exp is a function E of which only E' = E, E(0) = 1 and E(-z) E(z) = 1 are known, log one with L' = 1/z and L(1) = 0; sine and cosine
are a point of the unit circle. Their values are pseudo-random residues, chosen by their arguments. An equality is therefore a proof,
while a difference is none: log x - log y = log (x/y) is not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np

from matcalc.exact import PRIME, Degree, Dual, Field, NoExactFormError, UndefinedPointError
from matcalc.formula.expression import Expr
from matcalc.formula.operations import filled, make, number


@dataclass
class Used:
    """What took part in a computation, and would spoil a refutation (or the bound of a proof)."""

    arguments: int = 0  # of unknown functions
    degree: int = 0  # the largest of their degrees
    roots: bool = False

    @property
    def collisions(self) -> float:
        """Bound on the chance that two different arguments are the same residue."""
        return self.arguments**2 * max(self.degree, 1) / PRIME

    @property
    def transcendental(self) -> bool:
        """Whether a difference refutes nothing."""
        return self.arguments > 0 or self.roots


class Atoms(Field):
    """Residues, with unknown functions chosen by `key`; a subclass for each point has its own key and its own record."""

    key: ClassVar[bytes] = b""
    used: ClassVar[Used]

    def function(self, name: str) -> Any:
        """A function of each entry: a root by residues, any other an unknown one."""
        if name == "sqrt":
            self.used.roots = True
            return super().function(name)
        if name not in _UNKNOWN:
            raise NoExactFormError(f"{name} has no exact form in a prime field")
        self.used.arguments += self.size
        self.used.degree = max(self.used.degree, self.degree.top + self.degree.bottom)
        return _UNKNOWN[name](self)

    def guessed(self, salt: str) -> Any:
        """Residues that depend on the entries up to their sign: the variables of the computation from here on."""
        entries = [_hashed(self.key, salt, min(a, PRIME - a)) for a in self.entries.ravel().tolist()]
        return type(self)(np.array(entries, dtype=np.int64).reshape(self.shape), Degree(1))

    def odd(self, value: Any) -> Any:
        """`value` with the sign of the entries, as an odd function of them has it; 0 at 0."""
        signs = np.where(self.entries == 0, 0, np.where(self.entries <= PRIME // 2, 1, -1))
        return value * self.constant(signs)


def _hashed(key: bytes, salt: str, residue: int) -> int:
    digest = blake2b(f"{salt}{residue}".encode(), key=key, digest_size=8).digest()
    return int.from_bytes(digest, "little") % PRIME


def _exp(x: Atoms) -> Any:
    value = x.guessed("exp")
    positive = x.entries <= PRIME // 2
    return _chosen(x, x.entries == 0, x.constant(1), _chosen(x, positive, value, 1 / value))


def _chosen(x: Atoms, condition: Any, first: Any, second: Any) -> Any:
    """Entries of one array where a condition holds, of the other elsewhere."""

    def chosen(a: Any, b: Any) -> Any:
        return np.where(condition, a, b)

    return x.joined([first, second], chosen)


def _log(x: Atoms) -> Any:
    if not np.all(x.entries):
        raise UndefinedPointError("the logarithm of zero")
    entries = [0 if a == 1 else _hashed(x.key, "log", a) for a in x.entries.ravel().tolist()]
    return type(x)(np.array(entries, dtype=np.int64).reshape(x.shape), Degree(1))


def _sin(x: Atoms) -> Any:
    t = x.guessed("circle")
    return x.odd(2 * t / (1 + t * t))


def _cos(x: Atoms) -> Any:
    t = x.guessed("circle")
    value = (1 - t * t) / (1 + t * t)
    return _chosen(x, x.entries == 0, x.constant(1), value)


def _odd(name: str) -> Callable[[Atoms], Any]:
    return lambda x: x.odd(x.guessed(name))


def _plain(name: str) -> Callable[[Atoms], Any]:
    def function(x: Atoms) -> Any:
        entries = [_hashed(x.key, name, a) for a in x.entries.ravel().tolist()]
        return type(x)(np.array(entries, dtype=np.int64).reshape(x.shape), Degree(1))

    return function


_UNKNOWN: dict[str, Callable[[Atoms], Any]] = {
    "exp": _exp,
    "log": _log,
    "sin": _sin,
    "cos": _cos,
    "tan": lambda x: _sin(x) / _cos(x),
    "sinh": lambda x: (_exp(x) - 1 / _exp(x)) / 2,
    "cosh": lambda x: (_exp(x) + 1 / _exp(x)) / 2,
    "tanh": lambda x: (_exp(x) - 1 / _exp(x)) / (_exp(x) + 1 / _exp(x)),
    **{name: _odd(name) for name in ("asin", "atan", "erf")},
    **{name: _plain(name) for name in ("gammaln", "digamma", "trigamma")},
}


def arithmetic(seed: int) -> tuple[type[Dual], Used]:
    """Dual numbers over a field with its own unknown functions, and the record of what is used of them."""
    used = Used()
    base = type("Atoms", (Atoms,), {"key": seed.to_bytes(16, "little", signed=True), "used": used})
    return type("AtomsDual", (Dual,), {"base": base}), used


def without_comparisons(expr: Expr) -> Expr:
    """The same function, told without comparing numbers (softmax subtracts no maximum) and by exp and log alone where that is possible."""
    return expr.mapped(_told)


def _ones(like: Expr) -> Expr:
    return number(1) if like.is_scalar else filled("ones", like.rows, like.cols)


def _told(node: Expr) -> Expr | None:
    if node.op not in _TOLD:
        return None
    return _TOLD[node.op](node.args[0])


def _softmax(x: Expr) -> Expr:
    return make("divide", make("exp", x), make("sum", make("exp", x)))


def _sigmoid(x: Expr) -> Expr:
    return make("quotient", _ones(x), make("add", _ones(x), make("exp", make("neg", x))))


def _log_abs_det(X: Expr) -> Expr:
    return make("scale", number(0.5), make("log", make("power", make("det", X), number(2))))


_TOLD: dict[str, Callable[[Expr], Expr]] = {
    "softmax": _softmax,
    "logsumexp": lambda x: make("log", make("sum", make("exp", x))),
    "sigmoid": _sigmoid,
    "softplus": lambda x: make("log", make("add", _ones(x), make("exp", x))),
    "logabsdet": _log_abs_det,
    "logdet": lambda X: make("log", make("det", X)),
}
