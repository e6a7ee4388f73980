"""Routines that the array standard lacks: one entry a library, imported only when an array of that library comes.

`matcalc.array` is the public face; nothing else calls this room.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import Any

from array_api_compat import array_namespace, is_jax_array, is_numpy_array, is_torch_array


def _library(x: Any) -> str:
    """numpy, jax, torch, or other."""
    if is_jax_array(x):
        return "jax"
    if is_torch_array(x):
        return "torch"
    return "numpy" if is_numpy_array(x) else "other"


def device(x: Any) -> Any:
    """The device of an array, in the words of its own library."""
    return None if is_numpy_array(x) else x.device


def placement(x: Any) -> dict[str, Any]:
    """Keyword arguments that put a new array where `x` lies; a traced JAX array has no device to name."""
    return {} if is_jax_array(x) or is_numpy_array(x) else {"device": x.device}


def _special(x: Any, numpy_name: str, torch_name: str) -> Any:
    """A special function of each entry, by its name in SciPy (JAX keeps SciPy's names) and in PyTorch."""
    library = _library(x)
    if library == "jax":
        return getattr(import_module("jax.scipy.special"), numpy_name)(x)
    if library == "torch":
        return getattr(import_module("torch").special, torch_name)(x)
    if library == "numpy":
        return getattr(import_module("scipy.special"), numpy_name)(x)
    own = getattr(array_namespace(x), numpy_name, None)
    if own is not None:
        return own(x)
    raise NotImplementedError(f"{numpy_name} is not known for arrays of {type(x).__module__}; it is for NumPy, JAX and PyTorch")


def sigmoid(x: Any) -> Any:
    """Logistic function; 1 + tanh would lose all relative accuracy where it is small."""
    library = _library(x)
    if library == "jax":
        return import_module("jax.nn").sigmoid(x)
    if library == "torch":
        return import_module("torch").sigmoid(x)
    if library == "numpy":
        return import_module("scipy.special").expit(x)
    xp = array_namespace(x)
    return xp.exp(-xp.logaddexp(-x, xp.zeros_like(x)))


def erf(x: Any) -> Any:
    """Error function."""
    return _special(x, "erf", "erf")


def erfc(x: Any) -> Any:
    """1 - erf(x), to full relative accuracy where it is small."""
    return _special(x, "erfc", "erfc")


def log_gamma(x: Any) -> Any:
    """Log |Gamma|."""
    return _special(x, "gammaln", "gammaln")


def digamma(x: Any) -> Any:
    """Derivative of log Gamma."""
    return _special(x, "digamma", "digamma")


def solve_triangular(T: Any, B: Any, *, lower: bool, transpose: bool, unit: bool) -> Any:
    """X with T X = B, or with Tᵀ X = B, for a triangular matrix T; B has two axes."""
    library = _library(T)
    if library == "jax":
        return import_module("jax.scipy.linalg").solve_triangular(T, B, trans=int(transpose), lower=lower, unit_diagonal=unit)
    if library == "torch":
        matrix, upper = (T.mT, lower) if transpose else (T, not lower)
        return import_module("torch").linalg.solve_triangular(matrix, B, upper=upper, unitriangular=unit)
    if library == "numpy":
        if 0 in T.shape or 0 in B.shape:
            return array_namespace(B).zeros_like(B)  # LAPACK refuses empty systems
        return import_module("scipy.linalg").solve_triangular(
            T, B, trans=int(transpose), lower=lower, unit_diagonal=unit, check_finite=False
        )
    xp = array_namespace(T, B)
    triangle = xp.tril(T) if lower else xp.triu(T)
    if unit:
        identity = xp.eye(T.shape[-1], dtype=T.dtype)
        triangle = xp.where(identity == 1, identity, triangle)
    return xp.linalg.solve(triangle.mT if transpose else triangle, B)


def doubled(R: Any, times: Any) -> tuple[Any, Callable[[Any], Any]]:
    """R squared so many times, and the differential of that at R as a function of the tangent.

    `times` is an array without axes. JAX must not know it while it compiles: it takes 16 steps and skips those too many.
    """
    if _library(R) == "jax":
        return _jax_doubled(R, times)
    powers = [R]
    for _ in range(int(times)):
        powers.append(powers[-1] @ powers[-1])

    def differential(tangent: Any) -> Any:
        for X in powers[:-1]:
            tangent = X @ tangent + tangent @ X
        return tangent

    return powers[-1], differential


def _jax_doubled(R: Any, times: Any) -> tuple[Any, Callable[[Any], Any]]:
    jnp, lax = import_module("jax.numpy"), import_module("jax.lax")
    steps = jnp.arange(16)

    def square(X: Any, k: Any) -> tuple[Any, Any]:
        return lax.cond(k < times, lambda X: X @ X, lambda X: X, X), X

    def double(L: Any, step: Any) -> tuple[Any, None]:
        X, k = step
        return lax.cond(k < times, lambda X, L: X @ L + L @ X, lambda _, L: L, X, L), None

    value, powers = lax.scan(square, R * jnp.where(times > steps.size, jnp.nan, 1.0).astype(R.dtype), steps)
    return value, lambda L: lax.scan(double, L, (powers, steps))[0]


def lu_factor(A: Any) -> tuple[Any, ...]:
    """An LU factorisation: L and U in one matrix, and the pivots; where the library has none, the matrix itself."""
    library = _library(A)
    if library == "jax":
        return tuple(import_module("jax.scipy.linalg").lu_factor(A))
    if library == "torch":
        return tuple(import_module("torch").linalg.lu_factor(A))
    if library == "numpy":
        return tuple(import_module("scipy.linalg").lu_factor(A, check_finite=False))
    return (A,)


def lu_solve(factors: tuple[Any, ...], B: Any, *, transpose: bool) -> Any:
    """X with A X = B, or with Aᵀ X = B, from what `lu_factor(A)` returned; B has two axes."""
    library = _library(B)
    if library == "jax":
        return import_module("jax.scipy.linalg").lu_solve(factors, B, trans=int(transpose))
    if library == "torch":
        return import_module("torch").linalg.lu_solve(*factors, B, adjoint=transpose)
    if library == "numpy":
        return import_module("scipy.linalg").lu_solve(factors, B, trans=int(transpose), check_finite=False)
    (A,) = factors
    return array_namespace(A, B).linalg.solve(A.mT if transpose else A, B)


def lu_det(factors: tuple[Any, ...]) -> Any:
    """Determinant of A from what `lu_factor(A)` returned: the product of the diagonal, its sign by the rows interchanged."""
    xp = array_namespace(*factors)
    if len(factors) == 1:
        return xp.linalg.det(factors[0])
    packed, pivots = factors
    first = 1 if _library(packed) == "torch" else 0
    stayed = pivots == xp.arange(first, first + pivots.shape[-1], dtype=pivots.dtype, **placement(pivots))
    diagonal = xp.linalg.diagonal(packed)
    return xp.prod(xp.where(stayed, diagonal, -diagonal), axis=-1)


def lu_packed(A: Any) -> Any:
    """L (its unit diagonal left out) and U in one matrix; rows as partial pivoting puts them."""
    if _library(A) == "other":
        own = getattr(array_namespace(A).linalg, "lu_packed", None)
        if own is not None:
            return own(A)
        raise NotImplementedError(f"lu is not known for arrays of {type(A).__module__}; it is for NumPy, JAX and PyTorch")
    return lu_factor(A)[0]


def eig_real(A: Any) -> tuple[Any, Any]:
    """Eigenvalues and eigenvectors (columns) of a matrix whose spectrum is real, as real arrays."""
    library = _library(A)
    if library == "jax":
        eig = import_module("jax.lax.linalg").eig
        differentiable = {"enable_eigvec_derivs": True} if "enable_eigvec_derivs" in signature(eig).parameters else {}
        complex_lam, complex_V = eig(A, compute_left_eigenvectors=False, **differentiable)
        return complex_lam.real, complex_V.real
    if library in {"torch", "numpy"}:
        complex_lam, complex_V = array_namespace(A).linalg.eig(A)
        return complex_lam.real, complex_V.real
    own = getattr(array_namespace(A).linalg, "eig_real", None)
    if own is not None:
        return own(A)
    raise NotImplementedError(f"eig_real is not known for arrays of {type(A).__module__}; it is for NumPy, JAX and PyTorch")
