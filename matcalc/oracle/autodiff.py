"""JAX's automatic differentiation, forward and reverse, of a function on many cases at once.

One program is compiled for each function and shape. It computes values, both derivatives at the cases and at their perturbed
neighbours, and the values that finite differences need. Double precision is switched on around each call only: the user's own
setting stays as it is. Only this file imports JAX.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from matcalc.array import parts

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FAST_COMPILE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True, "xla_cpu_use_fusion_emitters": False}
"Each program runs once or twice on small arrays, so compiling it fast matters and running it fast does not (measured: 3 to 8 times)."


@dataclass(frozen=True)
class Autodiff:
    """What JAX says of one batch. Axes: case, place (the case itself, then its neighbours), probe, then the array's own."""

    value: tuple[Floats, ...]  # (cases, places, *value shape), one for each array of the value
    jvp: tuple[Floats, ...]  # (cases, places, probes, *value shape)
    vjp: tuple[Floats, ...]  # (cases, places, probes, *input shape), one for each free input
    stencil: tuple[Floats, ...]  # (cases, probes, offsets, *value shape)


class CannotTraceError(Exception):
    """JAX could not trace the function; its message says why in one sentence."""


@contextmanager
def double_precision() -> Generator[None]:
    """Double precision for the calls inside, in this thread only."""
    with jax.enable_x64(True):
        yield


def use_cache(folder: Path) -> None:
    """Keep compiled programs in a folder between runs. Changes JAX's settings, so only for processes of matcalc's own."""
    config: Any = jax.config
    config.update("jax_compilation_cache_dir", str(folder))
    config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def observe(
    function: Callable[..., Any],
    free: Sequence[int],
    inputs: Sequence[Floats],
    neighbours: Sequence[Floats],
    tangents: Sequence[Floats],
    cotangents: Sequence[Floats],
    offsets: Floats,
) -> Autodiff:
    """Values and derivatives of `function` (arrays in, an array or a tuple of arrays out) at every case.

    Raises CannotTraceError if JAX cannot trace the function.
    """
    cases, probes, distances = offsets.shape
    places = 1 + neighbours[0].shape[1]
    points = [np.concatenate([x[:, None], near], axis=1) for x, near in zip(inputs, neighbours, strict=True)]
    grid = (cases, places, probes)
    questions = [_spread(x, grid, (0, 1)) for x in points], [_spread(v, grid, (0, 2)) for v in (*tangents, *cotangents)]
    moved = [_spread(x, offsets.shape, (0,)) for x in inputs]
    for i, tangent in zip(free, tangents, strict=True):
        moved[i] = moved[i] + offsets.reshape(-1, *(1,) * (tangent.ndim - 2)) * _spread(tangent, offsets.shape, (0, 1))
    with double_precision():
        try:
            answer = _compiled(function, tuple(free))(*questions, moved)
        except Exception as error:
            raise CannotTraceError(f"JAX cannot trace it: {type(error).__name__}: {str(error).partition(chr(10))[0]}") from error
        value, jvp, vjp, stencil = jax.tree.map(np.asarray, answer)
    return Autodiff(
        value=tuple(v.reshape(*grid, *v.shape[1:])[:, :, 0] for v in value),
        jvp=tuple(j.reshape(*grid, *j.shape[1:]) for j in jvp),
        vjp=tuple(g.reshape(*grid, *g.shape[1:]) for g in vjp),
        stencil=tuple(f.reshape(cases, probes, distances, *f.shape[1:]) for f in stencil),
    )


def _spread(x: Floats, grid: tuple[int, ...], axes: tuple[int, ...]) -> Floats:
    """An array whose first axes are those of a grid, repeated over the grid's other axes, the grid as one axis."""
    tail = x.shape[len(axes) :]
    lead = [size if axis in axes else 1 for axis, size in enumerate(grid)]
    return np.broadcast_to(x.reshape(*lead, *tail), (*grid, *tail)).reshape(-1, *tail)


def run(function: Callable[..., Any], arguments: Sequence[Floats]) -> tuple[Floats, ...]:
    """A function of arrays (returning a tuple of arrays) on JAX, compiled and mapped over the first axis of its arguments."""
    with double_precision():
        return jax.tree.map(np.asarray, _mapped(function)(*arguments))


@lru_cache(maxsize=4)
def _mapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return _jit(jax.vmap(function))


@lru_cache(maxsize=4)
def _compiled(function: Callable[..., Any], free: tuple[int, ...]) -> Callable[..., Any]:
    """The program for one function; JAX keeps one compiled version of it for each shape.

    Only the last few functions are kept: compiled programs of all rules together would take gigabytes.

    Everything is mapped over one axis: nested maps would trace the function's batching once for each level.
    """

    def derivatives(point: Sequence[Any], directions: Sequence[Any]) -> Any:
        def of_free(*moved: Any) -> tuple[Any, ...]:
            complete = list(point)
            for i, x in zip(free, moved, strict=True):
                complete[i] = x
            return parts(function(*complete))

        at = tuple(point[i] for i in free)
        tangents, cotangents = tuple(directions[: len(free)]), tuple(directions[len(free) :])
        value, pullback = jax.vjp(of_free, *at)
        return value, jax.jvp(of_free, at, tangents)[1], pullback(cotangents)

    def program(points: Any, directions: Any, moved: Any) -> Any:
        value, jvp, vjp = jax.vmap(derivatives)(points, directions)
        return value, jvp, vjp, jax.vmap(lambda *point: parts(function(*point)))(*moved)

    return _jit(program)


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled with those of the fast settings that this JAX knows."""
    return jax.jit(function, compiler_options=_known_options())


@lru_cache(maxsize=1)
def _known_options() -> dict[str, Any]:
    """The fast settings, each tried on a program that does nothing: they come and go with versions of XLA."""

    def known(option: dict[str, Any]) -> bool:
        try:
            jax.jit(lambda x: x + 1, compiler_options=option)(0.0)
        except jax.errors.JaxRuntimeError:
            return False
        return True

    return {name: value for name, value in FAST_COMPILE.items() if known({name: value})}
