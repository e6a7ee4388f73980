"""The same code on another array library: an oracle for nothing but portability."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    return find_spec("torch") is not None


def on_torch(function: Callable[..., Any], arguments: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], ...]:
    """A function of arrays (returning a tuple of arrays) on PyTorch, once for each entry of the first axis of its arguments."""
    torch = import_module("torch")
    rows = [function(*(torch.tensor(x[k]) for x in arguments)) for k in range(len(arguments[0]))]
    return tuple(np.stack([np.asarray(part.detach().numpy()) for part in parts]) for parts in zip(*rows, strict=True))
