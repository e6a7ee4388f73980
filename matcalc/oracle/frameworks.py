"""The same code on another array library: an oracle for nothing but portability."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray


TOLD = frozenset(
    {"all", "allclose", "any", "bool", "clamp", "clip", "eq", "equal", "ge", "greater", "greater_equal", "gt", "isclose", "le", "less"}
    | {"argmax", "argmin", "argsort", "less_equal", "lt", "max", "maximum", "median", "min", "minimum", "ne", "nonzero", "not_equal"}
    | {"quantile", "sort", "top_k"}
)
"Functions and methods of PyTorch's that compare."


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    return find_spec("torch") is not None


def on_torch(function: Callable[..., Any], arguments: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], ...]:
    """A function of arrays (returning a tuple of arrays) on PyTorch, once for each entry of the first axis of its arguments."""
    torch = import_module("torch")
    rows = [function(*(torch.tensor(x[k]) for x in arguments)) for k in range(len(arguments[0]))]
    return tuple(np.stack([np.asarray(part.detach().numpy()) for part in parts]) for parts in zip(*rows, strict=True))


@contextmanager
def telling(note: Callable[[str, list[Any]], None]) -> Generator[None]:
    """While this lasts, each call of PyTorch's is told: its name, and its arguments with NumPy's arrays in place of tensors."""
    if "torch" not in sys.modules:
        yield
        return
    mode: Any = import_module("torch.overrides").TorchFunctionMode

    class Telling(mode):  # type: ignore[misc]
        def __torch_function__(self, function: Any, types: Any, arguments: Any = (), settings: Any = None) -> Any:
            name = getattr(function, "__name__", "").strip("_").replace("topk", "top_k")
            if name in TOLD:
                given = [*arguments, *(settings or {}).values()]
                note(name, [x.detach().numpy() if hasattr(x, "detach") else x for x in given])
            return function(*arguments, **(settings or {}))

    with Telling():
        yield


def as_tuple(value: Any) -> tuple[Any, ...]:
    """What a function of somebody's own returns, as a tuple: its parts if it is a tuple or a list, else itself."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def may_carry(function: Callable[..., Any]) -> bool:
    """Whether a function may have a derivative of PyTorch's: if it is `apply` of a `torch.autograd.Function`, or code that names one."""
    if not has_torch():
        return False
    named = getattr(getattr(function, "__code__", None), "co_names", ())
    scope = getattr(function, "__globals__", {})
    candidates = [function, *(scope.get(name) for name in named)]
    return any(_is_autograd(c) or autograd_function(c) for c in candidates) or "torch" in named


def _is_autograd(thing: Any) -> bool:
    return isinstance(thing, type) and has_torch() and issubclass(thing, import_module("torch").autograd.Function)


def autograd_function(function: Any) -> Any:
    """The `torch.autograd.Function` whose `apply` a function is; None if it is none."""
    owner = getattr(function, "__self__", None)
    return owner if _is_autograd(owner) else None


def forward_of(owner: Any) -> Callable[..., Any]:
    """What a `torch.autograd.Function` computes, its inputs alone as its arguments: the context, if it takes one, comes first."""
    with_context = owner.setup_context is import_module("torch").autograd.Function.setup_context
    return partial(owner.forward, None) if with_context else owner.forward


def lent_to_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of PyTorch tensors as one of NumPy arrays."""
    torch = import_module("torch")

    def on_numpy(*arrays: Any) -> Any:
        value = function(*(torch.tensor(x) for x in arrays))
        answers = [v.detach().numpy() if hasattr(v, "detach") else v for v in as_tuple(value)]
        return tuple(answers) if isinstance(value, (tuple, list)) else answers[0]

    return on_numpy


def carried_by_torch(function: Callable[..., Any], free: Sequence[int]) -> tuple[None, Callable[..., Any]]:
    """The vjp that PyTorch finds for a function, its own `backward` included, on NumPy arrays; an input it does not reach gets zeros."""
    torch = import_module("torch")

    def pull(inputs: Sequence[Any], cotangents: Sequence[Any]) -> tuple[Any, ...]:
        tensors = [torch.tensor(x, requires_grad=i in free) for i, x in enumerate(inputs)]
        values = as_tuple(function(*tensors))
        wanted = [tensors[i] for i in free]
        found = torch.autograd.grad(values, wanted, [torch.tensor(u) for u in cotangents], allow_unused=True)
        return tuple(np.zeros(x.shape) if g is None else g.detach().numpy() for g, x in zip(found, wanted, strict=True))

    return None, pull


def pushed_by_torch(function: Callable[..., Any], free: Sequence[int]) -> Callable[..., tuple[Any, ...]]:
    """PyTorch's forward derivative of a function along tangents of its free inputs, on NumPy arrays."""
    torch = import_module("torch")
    with catch_warnings(action="ignore", category=DeprecationWarning):  # its first use loads code that PyTorch itself deprecates
        torch.func.jvp(torch.sin, (torch.zeros(()),), (torch.zeros(()),))

    def push(inputs: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
        tensors = [torch.tensor(x) for x in inputs]

        def of_free(*moved: Any) -> tuple[Any, ...]:
            for i, x in zip(free, moved, strict=True):
                tensors[i] = x
            return as_tuple(function(*tensors))

        along = torch.func.jvp(of_free, tuple(tensors[i] for i in free), tuple(torch.tensor(t) for t in tangents))[1]
        return tuple(x.detach().numpy() for x in along)

    return push
