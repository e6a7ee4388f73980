"""The functions of the array standard for exact arrays, as many as the words of `matcalc.array` need.

Each is written in the primitives of `matcalc.exact.base`, so that it holds for residues, balls and dual numbers alike.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc.exact import linear as linalg
from matcalc.exact.base import Exact, NoExactFormError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["linalg"]

# --- making arrays ------------------------------------------------------------------------------------------------------------


def asarray(x: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An exact array as it is; numbers as constants of the kind `dtype`."""
    del device
    return x if isinstance(x, Exact) else dtype.constant(x)


def astype(x: Any, dtype: Any) -> Any:
    """Truth values or integers as constants of the kind `dtype`."""
    return asarray(x, dtype=dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether an array of this dtype holds such numbers: exact ones count as real."""
    return issubclass(dtype, Exact) and kind in {"real floating", "numeric"}


def zeros(shape: Any, *, dtype: Any, device: Any = None) -> Any:
    """Zeros."""
    return asarray(np.zeros(shape, dtype=np.int64), dtype=dtype, device=device)


def ones(shape: Any, *, dtype: Any, device: Any = None) -> Any:
    """Ones."""
    return asarray(np.ones(shape, dtype=np.int64), dtype=dtype, device=device)


def eye(rows: int, columns: int | None = None, *, k: int = 0, dtype: Any, device: Any = None) -> Any:
    """Ones on a diagonal."""
    return asarray(np.eye(rows, columns, k=k, dtype=np.int64), dtype=dtype, device=device)


def zeros_like(x: Any) -> Any:
    """Zeros of the shape of `x`."""
    return zeros(x.shape, dtype=x.dtype)


def ones_like(x: Any) -> Any:
    """Ones of the shape of `x`."""
    return ones(x.shape, dtype=x.dtype)


# --- entry by entry -----------------------------------------------------------------------------------------------------------


def _entrywise(name: str) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        return x.function(name)

    return function


exp, expm1, log, log1p, sqrt = (_entrywise(name) for name in ("exp", "expm1", "log", "log1p", "sqrt"))
sin, cos, tan, asin, atan = (_entrywise(name) for name in ("sin", "cos", "tan", "asin", "atan"))
sinh, cosh, tanh = (_entrywise(name) for name in ("sinh", "cosh", "tanh"))
erf, erfc, gammaln, digamma = (_entrywise(name) for name in ("erf", "erfc", "gammaln", "digamma"))


def log2(x: Any) -> Any:
    """Logarithm to the base 2."""
    return log(x) / log(x.constant(2))


def logaddexp(x: Any, y: Any) -> Any:
    """Log(exp(x) + exp(y)); exact numbers do not overflow."""
    return log(exp(x) + exp(y))


def atan2(y: Any, x: Any) -> Any:
    """Angle of the point (x, y), by half of it."""
    return 2 * atan(y / (sqrt(x * x + y * y) + x))


def ceil(x: Any) -> NDArray[np.int64]:
    """Each entry rounded up, as plain integers, for it is constant nearly everywhere."""
    if not hasattr(x.plain, "ceiling"):
        raise NoExactFormError("ceil has no exact form in a prime field")
    return x.plain.ceiling()


def abs(x: Any) -> Any:  # noqa: A001  (the array standard's name)
    """Absolute values."""
    return x.__abs__()


def sign(x: Any) -> Any:
    """-1, 0 or 1."""
    return x.constant(x.signs())


def where(condition: Any, x: Any, y: Any) -> Any:
    """`x` where the condition holds, `y` elsewhere."""
    exact = x if isinstance(x, Exact) else y

    def chosen(a: Any, b: Any) -> Any:
        return np.where(condition, a, b)

    return exact.joined([exact.coerced(x), exact.coerced(y)], chosen)


def maximum(x: Any, y: Any) -> Any:
    """The larger of two entries."""
    return where(x >= y, x, y)


def minimum(x: Any, y: Any) -> Any:
    """The smaller of two entries."""
    return where(x <= y, x, y)


# --- sums and extremes --------------------------------------------------------------------------------------------------------


def sum(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A001  (the array standard's name)
    """Sum of all entries, or along axes."""
    return x.total(axis, keepdims=keepdims)


def mean(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean of all entries, or along axes."""
    result = x.total(axis, keepdims=keepdims)
    return result / (x.size // result.size) if result.size else result


def _fold(pair: Callable[[Any, Any], Any], x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Entries along an axis (or all) put together two by two."""
    last = x.rearranged(np.ravel) if axis is None else x.rearranged(lambda a: np.moveaxis(a, axis, -1))
    if not last.shape[-1]:
        raise NoExactFormError("the largest or smallest of no entries has no exact form")
    result = reduce(pair, [last[..., k] for k in range(last.shape[-1])])
    if not keepdims:
        return result
    return result.rearranged(lambda a: np.reshape(a, (1,) * x.ndim) if axis is None else np.expand_dims(a, axis))


max = partial(_fold, maximum)  # noqa: A001  (the array standard's name)
min = partial(_fold, minimum)  # noqa: A001  (the same)


def prod(x: Any, *, axis: int | None = None) -> Any:
    """Product of all entries, or along an axis."""
    if x.size == 0:
        return x.constant(np.prod(np.zeros(x.shape, dtype=np.int64), axis=axis))
    return _fold(lambda a, b: a * b, x, axis=axis)


def cumulative_sum(x: Any) -> Any:
    """Partial sums of a vector."""
    return x.constant(np.tri(x.shape[0], dtype=np.int64)) @ x


def vecdot(x: Any, y: Any) -> Any:
    """Inner products along the last axis."""
    return (x * y).total(-1)


# --- shapes -------------------------------------------------------------------------------------------------------------------


def reshape(x: Any, shape: tuple[int, ...]) -> Any:
    """The same entries in another shape."""
    return x.rearranged(lambda a: np.reshape(a, shape))


def permute_dims(x: Any, axes: tuple[int, ...]) -> Any:
    """The axes in another order."""
    return x.rearranged(lambda a: np.transpose(a, axes))


def flip(x: Any, *, axis: Any = None) -> Any:
    """The entries in reverse order."""
    return x.rearranged(lambda a: np.flip(a, axis))


def roll(x: Any, shift: int, *, axis: Any = None) -> Any:
    """The entries moved around an axis."""
    return x.rearranged(lambda a: np.roll(a, shift, axis))


def take(x: Any, positions: Any, *, axis: int = 0) -> Any:
    """The entries at given positions."""
    return x.rearranged(lambda a: np.take(a, positions, axis=axis))


def concat(arrays: Sequence[Any], *, axis: int = 0) -> Any:
    """Arrays joined along an axis."""
    return type(arrays[0]).joined(arrays, lambda *parts: np.concatenate(parts, axis=axis))


def stack(arrays: Sequence[Any], *, axis: int = 0) -> Any:
    """Arrays side by side along a new axis."""
    return type(arrays[0]).joined(arrays, lambda *parts: np.stack(parts, axis=axis))


def tril(x: Any, *, k: int = 0) -> Any:
    """The lower triangle, zeros above."""
    rows, columns = x.shape[-2:]
    return where(np.tri(rows, columns, k, dtype=bool), x, 0)


def triu(x: Any, *, k: int = 0) -> Any:
    """The upper triangle, zeros below."""
    rows, columns = x.shape[-2:]
    return where(np.tri(rows, columns, k - 1, dtype=bool), 0, x)


def argsort(x: Any) -> NDArray[np.int64]:
    """The positions that put a vector in ascending order."""
    plain = x.plain
    above = plain[:, None].compare(plain[None, :]) > 0
    return np.argsort(np.sum(above, axis=1), kind="stable")
