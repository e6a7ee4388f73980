"""Dual numbers a + b ε, ε² = 0, over exact numbers: a function of them gives its value and its differential, by arithmetic alone.

Nothing of matrix calculus is known here, only sums, products, quotients and the derivatives of functions of one number: inverse,
determinant and Cholesky factor are computed on dual numbers by the same recurrences as on others (`matcalc.exact.linear`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from matcalc.exact.base import Exact, NoExactFormError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray


class Dual(Exact):
    """Values and tangents: two arrays of one shape and kind. A subclass names the kind."""

    base: ClassVar[type[Exact]]

    def __init__(self, value: Any, tangent: Any) -> None:
        self.value: Any = value
        self.tangent: Any = tangent

    @classmethod
    def constant(cls, numbers: Any) -> Self:
        value = numbers if isinstance(numbers, cls.base) else cls.base.constant(numbers)
        return cls(value, value.rearranged(lambda a: a * 0))

    @classmethod
    def random(cls, rng: np.random.Generator, shape: tuple[int, ...]) -> Self:
        return cls(cls.base.random(rng, shape), cls.base.random(rng, shape))

    def rearranged(self, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        return type(self)(self.value.rearranged(move), self.tangent.rearranged(move))

    @classmethod
    def joined(cls, arrays: Sequence[Any], join: Callable[..., NDArray[Any]]) -> Self:
        return cls(cls.base.joined([a.value for a in arrays], join), cls.base.joined([a.tangent for a in arrays], join))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def plain(self) -> Exact:
        return self.value

    def compare(self, other: Any) -> NDArray[np.int64]:
        return self.value.compare(other.value)

    def equals(self, other: Any) -> NDArray[np.bool_]:
        return self.value.equals(other.value)

    def total(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Self:
        return type(self)(self.value.total(axis, keepdims=keepdims), self.tangent.total(axis, keepdims=keepdims))

    def __neg__(self) -> Self:
        return type(self)(-self.value, -self.tangent)

    def plus(self, other: Any) -> Self:
        return type(self)(self.value + other.value, self.tangent + other.tangent)

    def times(self, other: Any) -> Self:
        return type(self)(self.value * other.value, self.tangent * other.value + self.value * other.tangent)

    def over(self, other: Any) -> Self:
        quotient = self.value / other.value
        return type(self)(quotient, (self.tangent - quotient * other.tangent) / other.value)

    def matrix_times(self, other: Any) -> Self:
        return type(self)(self.value @ other.value, self.tangent @ other.value + self.value @ other.tangent)

    def function(self, name: str) -> Self:
        value = self.value.function(name)
        if name not in SLOPES:
            raise NoExactFormError(f"the derivative of {name} has no exact form here")
        return type(self)(value, SLOPES[name](self.value, value) * self.tangent)


def _bell(x: Any) -> Any:
    """The derivative of erf: 2 exp(-x²) / √π."""
    return 2 * (-x * x).function("exp") / x.constant(math.pi).function("sqrt")


SLOPES: dict[str, Callable[[Any, Any], Any]] = {
    "sqrt": lambda _, y: 1 / (2 * y),
    "exp": lambda _, y: y,
    "expm1": lambda _, y: y + 1,
    "log": lambda x, _: 1 / x,
    "log1p": lambda x, _: 1 / (1 + x),
    "sin": lambda x, _: x.function("cos"),
    "cos": lambda x, _: -x.function("sin"),
    "tan": lambda _, y: 1 + y * y,
    "sinh": lambda x, _: x.function("cosh"),
    "cosh": lambda x, _: x.function("sinh"),
    "tanh": lambda _, y: 1 - y * y,
    "asin": lambda x, _: 1 / (1 - x * x).function("sqrt"),
    "atan": lambda x, _: 1 / (1 + x * x),
    "erf": lambda x, _: _bell(x),
    "erfc": lambda x, _: -_bell(x),
    "gammaln": lambda x, _: x.function("digamma"),
    "digamma": lambda x, _: x.function("trigamma"),
}
"The derivative of each function of one number, from its argument x and its value y."
