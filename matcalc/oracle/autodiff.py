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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
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
def double_precision() -> Iterator[None]:
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
    places = tuple(np.concatenate([x[:, None], near], axis=1) for x, near in zip(inputs, neighbours, strict=True))
    with double_precision():
        try:
            parts = _compiled(function, tuple(free))(places, tuple(tangents), tuple(cotangents), offsets)
        except Exception as error:
            raise CannotTraceError(f"JAX cannot trace it: {type(error).__name__}: {str(error).partition(chr(10))[0]}") from error
        value, jvp, vjp, stencil = jax.tree.map(np.asarray, parts)
    return Autodiff(value, jvp, vjp, stencil)


def run(function: Callable[..., Any], arguments: Sequence[Floats]) -> tuple[Floats, ...]:
    """A function of arrays (returning a tuple of arrays) on JAX, compiled and mapped over the first axis of its arguments."""
    with double_precision():
        return jax.tree.map(np.asarray, _mapped(function)(*arguments))


@lru_cache(maxsize=64)
def _mapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return _jit(jax.vmap(function))


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)


@lru_cache(maxsize=64)
def _compiled(function: Callable[..., Any], free: tuple[int, ...]) -> Callable[..., Any]:
    """The program for one function; JAX keeps one compiled version of it for each shape."""

    def split(point: Sequence[Any]) -> tuple[Callable[..., tuple[Any, ...]], tuple[Any, ...]]:
        def of_free(*moved: Any) -> tuple[Any, ...]:
            complete = list(point)
            for i, x in zip(free, moved, strict=True):
                complete[i] = x
            return _as_tuple(function(*complete))

        return of_free, tuple(point[i] for i in free)

    def derivatives(point: Any, tangents: Any, cotangents: Any) -> Any:
        of_free, at = split(point)
        jvp = jax.vmap(lambda *t: jax.jvp(of_free, at, t)[1])(*tangents)
        value, pullback = jax.vjp(of_free, *at)
        return value, jvp, jax.vmap(lambda *c: pullback(c))(*cotangents)

    def one_case(places: Any, tangents: Any, cotangents: Any, offsets: Any) -> Any:
        value, jvp, vjp = jax.vmap(lambda point: derivatives(point, tangents, cotangents))(places)
        of_free, at = split(tuple(x[0] for x in places))

        def along(probe: Any, distances: Any) -> Any:
            return jax.vmap(lambda distance: of_free(*(x + distance * t for x, t in zip(at, probe, strict=True))))(distances)

        return value, jvp, vjp, jax.vmap(along)(tangents, offsets)

    return _jit(jax.vmap(one_case))


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled with the fast settings where this JAX knows them."""
    fast, plain = jax.jit(function, compiler_options=FAST_COMPILE), jax.jit(function)
    known = True

    def call(*arguments: Any) -> Any:
        nonlocal known
        if known:
            try:
                return fast(*arguments)
            except jax.errors.JaxRuntimeError as error:
                if "compilation" not in str(error).lower() and "option" not in str(error).lower():
                    raise
                known = False
        return plain(*arguments)

    return call
