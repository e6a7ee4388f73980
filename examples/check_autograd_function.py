"""Is my `torch.autograd.Function` right? `pytest examples/check_autograd_function.py` tells.

The quadratic form xᵀ A x, for a matrix that need not be symmetric: forgetting one of the two terms is the classic mistake.
"""

from collections.abc import Callable
from typing import Any

import pytest

from matcalc import Verdict
from matcalc.domain import real

torch = pytest.importorskip("torch")


class QuadraticForm(torch.autograd.Function):  # type: ignore[misc]
    """xᵀ A x."""

    @staticmethod
    def forward(ctx: Any, x: Any, A: Any) -> Any:
        """The value."""
        ctx.save_for_backward(x, A)
        return x @ A @ x

    @staticmethod
    def backward(ctx: Any, g: Any) -> tuple[Any, Any]:
        """The cotangents of x and A: g (A + Aᵀ) x and g x xᵀ."""
        x, A = ctx.saved_tensors
        return g * (A + A.mT) @ x, g * torch.outer(x, x)


def test_quadratic_form(check_derivative: Callable[..., Verdict]) -> None:
    """The backward pass is the derivative of the forward pass."""
    check_derivative(QuadraticForm.apply, real("n"), real("n n"))
