"""Is my `jax.custom_vjp` right? `pytest examples/check_custom_vjp.py` tells.

The log-determinant through a Cholesky factor, with a backward pass that reuses the factor instead of differentiating through it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve

from matcalc import Verdict
from matcalc.domain import positive_definite


@jax.custom_vjp
def logdet(K: jax.Array) -> jax.Array:
    """Log of the determinant of a symmetric positive definite matrix."""
    return logdet_forward(K)[0]


def logdet_forward(K: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The value, and the factor for the way back."""
    L = jnp.linalg.cholesky(K)
    return 2 * jnp.sum(jnp.log(jnp.diagonal(L))), L


def logdet_backward(L: jax.Array, g: jax.Array) -> tuple[jax.Array]:
    """The cotangent of K: g K⁻¹."""
    return (g * cho_solve((L, True), jnp.eye(L.shape[0])),)


logdet.defvjp(logdet_forward, logdet_backward)


def test_logdet(check_derivative: Callable[..., Verdict]) -> None:
    """The backward pass that `logdet` carries is the derivative of its value."""
    check_derivative(logdet, positive_definite("n"))
