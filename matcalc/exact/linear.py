"""Linear algebra of exact matrices by recurrences in ring operations, so that dual numbers go through them like any others.

Determinant and inverse come from the Faddeev-LeVerrier recurrence, which needs no pivots and divides once: nothing is compared,
degrees stay low, and the determinant of a singular matrix has its derivative.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc.exact.base import NoExactFormError

if TYPE_CHECKING:
    from collections.abc import Callable


def diagonal(X: Any) -> Any:
    """The diagonals of matrices."""
    return X.rearranged(lambda a: np.diagonal(a, axis1=-2, axis2=-1))


def trace(X: Any) -> Any:
    """Sums of the diagonals."""
    return diagonal(X).total(-1)


def vector_norm(x: Any) -> Any:
    """Euclidean norm over all axes."""
    return (x * x).total().function("sqrt")


def _adjugate(A: Any) -> tuple[Any, Any]:
    """Adjugate and determinant of square matrices.

    M_k = A M_{k-1} + c_{k-1} I and c_k = -tr(A M_k) / k, from M_0 = 0 and c_0 = 1, until A M_n = -c_n I (Faddeev and LeVerrier).
    """
    n = A.shape[-1]
    identity = A.constant(np.eye(n, dtype=np.int64))
    adjugate, product, c = identity, A.constant(0), A.constant(1)
    for k in range(1, n + 1):
        adjugate = product + c[..., None, None] * identity
        product = A @ adjugate
        c = -trace(product) / k
    sign = (-1) ** n
    return -sign * adjugate, sign * c


def det(A: Any) -> Any:
    """Determinant."""
    return _adjugate(A)[1]


def slogdet(A: Any) -> tuple[Any, Any]:
    """Sign and logarithm of the absolute value of the determinant."""
    determinant = det(A)
    return determinant.constant(determinant.signs()), abs(determinant).function("log")


def inv(A: Any) -> Any:
    """Inverse."""
    adjugate, determinant = _adjugate(A)
    return adjugate / determinant[..., None, None]


def solve(A: Any, B: Any) -> Any:
    """X with A X = B, for a matrix or a vector B."""
    return inv(A) @ B


def cholesky(K: Any) -> Any:
    """Lower triangular factor, a column at a time; what stands above the diagonal of K is not read."""
    n = K.shape[-1]
    factor = K.constant(np.zeros((n, 0), dtype=np.int64))
    for j in range(n):
        column = K[:, j] - factor @ factor[j, :]
        column = column / column[j].function("sqrt")
        below = K.joined([column, K.constant(0)], partial(np.where, np.arange(n) >= j))
        factor = K.joined([factor, below], lambda a, b: np.concatenate([a, b[:, None]], axis=1))
    return factor


def qr_positive(A: Any) -> tuple[Any, Any]:
    """Thin Q R of a matrix with independent columns, from RᵀR = AᵀA; the diagonal of R are square roots."""
    L = cholesky(A.mT @ A)
    return A @ inv(L).mT, L.mT


def lu_packed(A: Any) -> Any:
    """L (its unit diagonal left out) and U in one matrix, by elimination without interchanges."""
    packed, index = A, np.arange(A.shape[-1])
    for k in index[:-1]:
        factors = packed[:, k] / packed[k, k]
        changed = packed - factors[:, None] * packed[k, :]
        left, right = (index[:, None] > k) & (index == k), (index[:, None] > k) & (index > k)
        packed = A.joined([packed, factors[:, None], changed], partial(_chosen, left, right))
    return packed


def _chosen(left: Any, right: Any, packed: Any, factors: Any, changed: Any) -> Any:
    """Entries of three arrays, by two masks."""
    return np.where(left, factors, np.where(right, changed, packed))


def _without_exact_form(name: str) -> Callable[..., Any]:
    def refused(*_: Any, **__: Any) -> Any:
        raise NoExactFormError(f"{name} has no exact form")

    return refused


eigh, svd, eig_real = (_without_exact_form(name) for name in ("eigh", "svd", "eig_real"))
