"""JAX's automatic differentiation, forward and reverse, of a function on many cases at once.

One program is compiled for each function and shape. It computes values, both derivatives at the cases and at their perturbed
neighbours, and the values that finite differences need. Second derivatives, forward over whatever gradient is given,
are a program of their own. Double precision is switched on around each call only:
the user's own setting stays as it is. Only this file, `branching` and `compiled` import JAX.
"""

from __future__ import annotations

import builtins
import math
from contextlib import contextmanager
from dataclasses import dataclass
from dis import get_instructions
from functools import lru_cache, partial
from importlib import import_module
from types import CellType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from matcalc.array import parts
from matcalc.oracle.branching import Watched
from matcalc.oracle.compiled import LARGE, mapped, quick
from matcalc.oracle.differences import moved_along

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


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
    *,
    single: bool = False,
) -> Autodiff:
    """Values and derivatives of `function` (arrays in, an array or a tuple of arrays out) at every case.

    `offsets` has the axes case, probe, offset, and may have fewer cases than there are: the stencil is for the first ones. Where
    `single` is asked for, everything is computed in single precision.

    Raises CannotTraceError if JAX cannot trace the function.
    """
    differenced, probes, distances = offsets.shape
    cases = len(inputs[0])
    places = 1 + neighbours[0].shape[1]
    points = [np.concatenate([x[:, None], near], axis=1) for x, near in zip(inputs, neighbours, strict=True)]
    grid, stacked = (cases, places, probes), any(math.prod(x.shape[1:]) >= LARGE for x in inputs)
    if stacked:
        directions = [np.repeat(v, places, axis=0) for v in (*tangents, *cotangents)]
        questions = [x.reshape(cases * places, *x.shape[2:]) for x in points], directions
    else:
        questions = [_spread(x, grid, (0, 1)) for x in points], [_spread(v, grid, (0, 2)) for v in (*tangents, *cotangents)]
    moved = moved_along([x[:differenced] for x in inputs], free, [t[:differenced] for t in tangents], offsets)
    along = tuple(p.reshape(offsets.size, *p.shape[3:]) for p in moved)
    (value, jvp, vjp), stencil = _traced(_compiled(function, tuple(free), stacked), questions, along, single=single)
    return Autodiff(
        value=tuple(v.reshape(cases, places, 1 if stacked else probes, *v.shape[1:])[:, :, 0] for v in value),
        jvp=tuple(j.reshape(*grid, *v.shape[1:]) for j, v in zip(jvp, value, strict=True)),
        vjp=tuple(g.reshape(*grid, *inputs[i].shape[1:]) for g, i in zip(vjp, free, strict=True)),
        stencil=tuple(f.reshape(differenced, probes, distances, *f.shape[1:]) for f in stencil),
    )


def _spread(x: Floats, grid: tuple[int, ...], axes: tuple[int, ...]) -> Floats:
    """An array whose first axes are those of a grid, repeated over the grid's other axes, the grid as one axis."""
    tail = x.shape[len(axes) :]
    lead = [size if axis in axes else 1 for axis, size in enumerate(grid)]
    return np.broadcast_to(x.reshape(*lead, *tail), (*grid, *tail)).reshape(math.prod(grid), *tail)


def reverse(function: Callable[..., Any], free: Sequence[int]) -> Callable[..., tuple[Any, ...]]:
    """JAX's reverse derivative of `function` with respect to its free inputs, as a function of all inputs, then all cotangents."""

    def gradient(inputs: Sequence[Any], cotangents: Sequence[Any]) -> tuple[Any, ...]:
        return jax.vjp(_of_free(function, free, inputs), *(inputs[i] for i in free))[1](tuple(cotangents))

    return gradient


def forward(function: Callable[..., Any], free: Sequence[int]) -> Callable[..., tuple[Any, ...]]:
    """JAX's forward derivative of `function` with respect to its free inputs, as a function of all inputs, then all tangents."""

    def push(inputs: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
        return jax.jvp(_of_free(function, free, inputs), tuple(inputs[i] for i in free), tuple(tangents))[1]

    return push


def lent(function: Callable[..., Any], *, compiled: bool = False) -> Callable[..., Any]:
    """A function of JAX arrays as one of NumPy arrays, in double precision; for JAX's own arrays, traced ones too, as it is.

    So are arrays that are watched, which it may well compare. NumPy's arrays among JAX's own are constants. Compiled, one program for
    each shape, it answers fast where it is asked often; code that asks for the numbers runs as it is.
    """
    program = quick(function) if compiled else function

    def on_numpy(*arguments: Any) -> Any:
        leaves = jax.tree.leaves(arguments)
        if any(isinstance(x, Watched) for x in leaves):
            return function(*arguments)
        if any(isinstance(x, jax.Array) for x in leaves):
            return function(*jax.tree.map(lambda x: jax.numpy.asarray(x) if isinstance(x, np.ndarray) else x, arguments))
        with double_precision():
            given = jax.tree.map(jax.numpy.asarray, arguments)
            try:
                answer = program(*given)
            except jax.errors.ConcretizationTypeError:
                answer = function(*given)
            return jax.tree.map(np.asarray, answer)

    return on_numpy


@lru_cache(maxsize=16)
def translated(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """A copy of a function written with NumPy or SciPy that calls JAX's functions of the same names; None if it is no plain function.

    The copy must be seen to give the same values before anything that it says about derivatives counts.
    """
    return _copied(function, {}) if isinstance(function, FunctionType) else None


def _copied(function: FunctionType, made: dict[int, Any]) -> FunctionType:
    """A function whose globals and closure name JAX's modules, and copies of the functions that they name."""
    if id(function) in made:
        return made[id(function)]
    scope: dict[str, Any] = {}
    cells = tuple(CellType() for _ in function.__closure__ or ())
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells)
    copy.__kwdefaults__ = function.__kwdefaults__
    made[id(function)] = copy
    scope.update({name: _translation(value, made) for name, value in function.__globals__.items() if name in names(function.__code__)})
    scope["__builtins__"] = function.__globals__.get("__builtins__", builtins)
    for cell, old in zip(cells, function.__closure__ or (), strict=True):
        cell.cell_contents = _translation(old.cell_contents, made)
    return copy


def names(code: CodeType) -> set[str]:
    """The names that a piece of code and the functions defined in it look up."""
    inner = (names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def compares(code: CodeType) -> bool:
    """Whether a piece of code, or a function defined in it, compares one thing with another."""
    inner = (compares(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return any(step.opname == "COMPARE_OP" for step in get_instructions(code)) or any(inner)


def constants(code: CodeType) -> list[Any]:
    """The constants of a piece of code and of the functions defined in it; those that stand in a tuple too."""
    found: list[Any] = []
    for constant in code.co_consts:
        found += constants(constant) if isinstance(constant, CodeType) else constant if isinstance(constant, tuple) else [constant]
    return found


def _translation(value: Any, made: dict[int, Any]) -> Any:
    """What JAX calls by the same name, for a module or a function of NumPy or SciPy; a copy of a function; anything else as it is."""
    name = getattr(value, "__name__", "")
    if isinstance(value, ModuleType):
        theirs = name.partition(".")[0]
        return _found("jax." + name) or value if theirs in {"numpy", "scipy"} else value
    if isinstance(value, np.ufunc) or (getattr(value, "__module__", None) or "").partition(".")[0] in {"numpy", "scipy"}:
        homes = (jax.numpy, jax.numpy.linalg, jax.scipy.special, jax.scipy.linalg)
        return next((getattr(home, name) for home in homes if hasattr(home, name)), value)
    if isinstance(value, partial):
        bound = {word: _translation(x, made) for word, x in value.keywords.items()}
        return partial(_translation(value.func, made), *(_translation(x, made) for x in value.args), **bound)
    return _copied(value, made) if isinstance(value, FunctionType) else value


def _found(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        return None


def without_custom_rule(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """What stands under `jax.custom_vjp` or `jax.custom_jvp`; None if the function is neither."""
    custom = (jax.custom_vjp, jax.custom_jvp)
    return getattr(function, "fun", None) if isinstance(function, custom) else None


def has_forward(function: Callable[..., Any], free: Sequence[int], point: Sequence[Any]) -> bool:
    """Whether JAX has a forward derivative of a function at a point: it has none of `jax.custom_vjp`, however deep inside.

    A rule of `jax.custom_jvp` that raises is not passed over thereby: reverse mode is made of it, and raises too. `jax.eval_shape` is
    not asked, since it was seen to crash the process.
    """
    try:
        lent(forward(function, free))(point, tuple(np.zeros_like(point[i]) for i in free))
    except Exception:  # noqa: BLE001  (whatever a rule of somebody's own raises)
        return False
    return True


def carried(
    function: Callable[..., Any], free: Sequence[int], *, with_forward: bool
) -> tuple[Callable[..., Any] | None, Callable[..., Any]]:
    """The jvp (None unless it is asked for) and the vjp that a function carries, on NumPy arrays."""
    return lent(forward(function, free)) if with_forward else None, lent(reverse(function, free))


def pushing(
    gradients: Sequence[Callable[..., tuple[Any, ...]]], free: Sequence[int], *, careful: bool = False
) -> Callable[..., list[tuple[tuple[Floats, ...], ...]]]:
    """A program that differentiates gradients, given as `reverse` gives them, along tangents of the free inputs.

    It takes inputs (cases, *shape), neighbours (cases, neighbours, *shape), tangents (cases, probes, *shape) and one cotangent a
    case (cases, *shape), and returns for each gradient a pair: its arrays and their derivatives, all (cases, places, probes,
    *shape), the first place the case itself. Compiled once for each shape, `careful` with JAX's own settings. Raises
    CannotTraceError if JAX cannot differentiate one.
    """

    def pushed(point: Sequence[Any], tangents: Sequence[Any], cotangents: Sequence[Any]) -> list[tuple[tuple[Any, ...], ...]]:
        at = tuple(point[i] for i in free)

        def along(gradient: Callable[..., tuple[Any, ...]]) -> tuple[tuple[Any, ...], ...]:
            return jax.jvp(_of_free(lambda *inputs: gradient(inputs, cotangents), free, point), at, tuple(tangents))

        return [along(gradient) for gradient in gradients]

    program = mapped(pushed, careful=careful)

    def run_on(
        inputs: Sequence[Floats], neighbours: Sequence[Floats], tangents: Sequence[Floats], cotangents: Sequence[Floats]
    ) -> list[tuple[tuple[Floats, ...], ...]]:
        grid = (*neighbours[0].shape[:1], 1 + neighbours[0].shape[1], tangents[0].shape[1])
        places = [np.concatenate([x[:, None], near], axis=1) for x, near in zip(inputs, neighbours, strict=True)]
        spread = [_spread(x, grid, (0, 1)) for x in places], [_spread(v, grid, (0, 2)) for v in tangents]
        (found,) = _traced(program, (*spread, [_spread(u, grid, (0,)) for u in cotangents]))
        return [tuple(tuple(x.reshape(*grid, *x.shape[1:]) for x in arrays) for arrays in pair) for pair in found]

    return run_on


def in_format(x: Floats, dtype: str) -> Any:
    """The nearest numbers of a floating-point format given by name: NumPy itself knows "float32" but not "bfloat16"."""
    return x.astype(jax.numpy.dtype(dtype))


def _of_free(function: Callable[..., Any], free: Sequence[int], inputs: Sequence[Any]) -> Callable[..., tuple[Any, ...]]:
    """The arrays of a function's value as a function of its free inputs alone, the others as they are."""

    def of_free(*moved: Any) -> tuple[Any, ...]:
        complete = list(inputs)
        for i, x in zip(free, moved, strict=True):
            complete[i] = x
        return parts(function(*complete))

    return of_free


def _traced(program: Callable[..., Any], *arguments: Any, single: bool = False) -> Any:
    """What a compiled program returns, as NumPy arrays; CannotTraceError if JAX cannot trace or compile it."""
    with jax.enable_x64(not single):
        try:
            return jax.tree.map(np.asarray, program(*arguments))
        except Exception as error:
            raise CannotTraceError(f"JAX cannot trace it: {type(error).__name__}: {str(error).partition(chr(10))[0]}") from error


def run(function: Callable[..., Any], arguments: Sequence[Floats]) -> tuple[Floats, ...]:
    """A function of arrays (returning an array or a tuple of them) on JAX, compiled and mapped over the first axis of its arguments."""
    (answer,) = _traced(_mapped(function), tuple(arguments))
    return parts(answer)


def over_probes(derivative: Callable[..., Any]) -> Callable[..., Any]:
    """A derivative at one point, of JAX arrays, as one of many directions stacked along the first axis."""
    return jax.vmap(derivative)


@lru_cache(maxsize=4)
def _mapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return mapped(function)


@lru_cache(maxsize=4)
def _compiled(function: Callable[..., Any], free: tuple[int, ...], stacked: bool) -> Callable[..., Any]:  # noqa: FBT001
    """The program for one function; JAX keeps one compiled version of it for each shape.

    Only the last few functions are kept: compiled programs of all rules together would take gigabytes.

    Everything is mapped over one axis: nested maps take longer to compile. `stacked`, the function is mapped over points, and only its
    derivatives there over directions, the first axis of each: what these share is computed once, which pays for large arrays.
    """
    over: Callable[..., Any] = jax.vmap if stacked else lambda derivative: derivative

    def derivatives(point: Sequence[Any], directions: Sequence[Any]) -> Any:
        of_free = _of_free(function, free, point)
        at = tuple(point[i] for i in free)
        tangents, cotangents = tuple(directions[: len(free)]), tuple(directions[len(free) :])
        value, pullback = jax.vjp(of_free, *at)
        return value, over(lambda *along: jax.jvp(of_free, at, along)[1])(*tangents), over(pullback)(cotangents)

    return mapped(derivatives, lambda *point: parts(function(*point)))
