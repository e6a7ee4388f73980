"""Routines that the array standard lacks: one entry a library, imported only when an array of that library comes.

`matcalc.array` is the public face; nothing else calls this room.
"""

from __future__ import annotations

from importlib import import_module
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


def erf(x: Any) -> Any:
    """Error function."""
    return _special(x, "erf", "erf")


def log_gamma(x: Any) -> Any:
    """log |Gamma|."""
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
