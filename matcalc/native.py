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


def expm(A: Any) -> Any:
    """Matrix exponential."""
    library = _library(A)
    if library == "jax":
        return import_module("jax.scipy.linalg").expm(A)
    if library == "torch":
        return import_module("torch").linalg.matrix_exp(A)
    if library == "numpy":
        return import_module("scipy.linalg").expm(A)
    raise NotImplementedError(f"expm is not known for arrays of {type(A).__module__}; it is for NumPy, JAX and PyTorch")


def expm_and_differential(A: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Matrix exponential, and its differential at A as a function of the tangent."""
    library = _library(A)
    if library == "jax":
        return _jax_expm_and_differential(A)
    if library == "numpy":
        expm_frechet = import_module("scipy.linalg").expm_frechet
        return expm(A), lambda E: expm_frechet(A, E, compute_expm=False).astype(A.dtype) if A.size else E

    def differential(E: Any) -> Any:
        """The corner of exp([[A, E], [0, A]])."""
        xp, n = array_namespace(A, E), A.shape[-1]
        rows = [xp.concat([A, E], axis=-1), xp.concat([xp.zeros_like(A), A], axis=-1)]
        return expm(xp.concat(rows, axis=-2))[..., :n, n:]

    return expm(A), differential


PADE_13 = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0, 10559470521600.0,
    670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
"Coefficients of the [13/13] Padé approximant of exp."
PADE_13_REACH = 4.74
"1-norm up to which that approximant and its derivative are exact to 53 bits (Al-Mohy and Higham 2009)."
SQUARINGS = 16


def _jax_expm_and_differential(A: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Scaling and squaring with the [13/13] Padé approximant, and its derivative (Al-Mohy and Higham 2009, algorithm 6.4).

    JAX's own expm is differentiated by running it again; here the differential takes over powers, factorisation and squarings.
    """
    jnp, lax, linalg = import_module("jax.numpy"), import_module("jax.lax"), import_module("jax.scipy.linalg")
    b = PADE_13
    identity = jnp.eye(A.shape[-1], dtype=A.dtype)
    norm = jnp.max(jnp.sum(jnp.abs(A), axis=0), initial=0)
    halvings = lax.stop_gradient(jnp.ceil(jnp.log2(jnp.maximum(norm / PADE_13_REACH, 1))))
    scale = jnp.where(halvings > SQUARINGS, jnp.nan, 2.0**-halvings).astype(A.dtype)
    A1 = A * scale
    A2 = A1 @ A1
    A4 = A2 @ A2
    A6 = A2 @ A4
    W1 = b[13] * A6 + b[11] * A4 + b[9] * A2
    Z1 = b[12] * A6 + b[10] * A4 + b[8] * A2
    W = A6 @ W1 + b[7] * A6 + b[5] * A4 + b[3] * A2 + b[1] * identity
    U = A1 @ W
    V = A6 @ Z1 + b[6] * A6 + b[4] * A4 + b[2] * A2 + b[0] * identity
    factors = linalg.lu_factor(V - U)
    R = linalg.lu_solve(factors, V + U)
    steps = jnp.arange(SQUARINGS)

    def square(X: Any, k: Any) -> tuple[Any, Any]:
        return lax.cond(k < halvings, lambda X: X @ X, lambda X: X, X), X

    value, powers = lax.scan(square, R, steps)

    def differential(E: Any) -> Any:
        E1 = E * scale
        M2 = A1 @ E1 + E1 @ A1
        M4 = A2 @ M2 + M2 @ A2
        M6 = A4 @ M2 + M4 @ A2
        LW = A6 @ (b[13] * M6 + b[11] * M4 + b[9] * M2) + M6 @ W1 + b[7] * M6 + b[5] * M4 + b[3] * M2
        LU = A1 @ LW + E1 @ W
        LV = A6 @ (b[12] * M6 + b[10] * M4 + b[8] * M2) + M6 @ Z1 + b[6] * M6 + b[4] * M4 + b[2] * M2
        first = linalg.lu_solve(factors, LU + LV + (LU - LV) @ R)

        def double(L: Any, step: Any) -> tuple[Any, None]:
            X, k = step
            return lax.cond(k < halvings, lambda X, L: X @ L + L @ X, lambda _, L: L, X, L), None

        return lax.scan(double, first, (powers, steps))[0]

    return value, differential


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


def lu_packed(A: Any) -> Any:
    """L (its unit diagonal left out) and U in one matrix; rows as partial pivoting puts them."""
    if _library(A) == "other":
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
    raise NotImplementedError(f"eig_real is not known for arrays of {type(A).__module__}; it is for NumPy, JAX and PyTorch")
