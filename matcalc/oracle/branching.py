"""What code compares: how far each comparison in it is from coming out the other way.

Search-based testing calls it the branch distance (McMinn, "Search-based software test data generation: a survey", Software Testing,
Verification and Reliability 14(2), 2004). Of code that JAX can trace the comparisons are those in the traced program; other code
is run on NumPy arrays that tell what they are compared with.
"""

from __future__ import annotations

import linecache
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.core
import numpy as np

from matcalc.oracle import frameworks
from matcalc.oracle.compiled import mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ORDERS = frozenset({"gt", "ge", "lt", "le", "max", "min", "greater", "greater_equal", "less", "less_equal", "maximum", "minimum"})
EQUALITIES = frozenset({"eq", "ne", "equal", "not_equal", "array_equal", "array_equiv"})
RANKINGS = frozenset({"argmax", "argmin", "argpartition", "argsort", "median", "partition", "percentile", "quantile", "sort", "top_k"})
TRUTHS = frozenset({"all", "any", "bool", "count_nonzero", "flatnonzero", "logical_and", "logical_not", "logical_or", "nonzero"})
"Questions whether numbers are other than zero."
CALLS = frozenset({"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2"})
"JAX's primitives that do nothing but call a traced function."
AT_ONCE = 64
"Points of one call, filled up where there are fewer: every number of them is a program of its own."


@dataclass(frozen=True)
class Site:
    """One place in code where numbers are compared: for equality, by their order, or all entries of an array for their ranks."""

    number: Any
    line: str
    "The line of the source, where it can be had."
    kind: Literal["equality", "order", "ranks"]


Gaps = dict[Site, "Floats"]
"""Left side less right side, entry by entry: (points, entries); nan where a point does not come to the comparison. Of ranks it is how far
each entry is from the next one in order."""


def traced(function: Callable[..., Any], points: Sequence[Floats]) -> Gaps:
    """What a function of JAX arrays compares at points stacked along the first axis; an exception of JAX's if it cannot be traced."""
    count = len(points[0])
    with jax.enable_x64(True):
        sites, program = _program(function, tuple((x.shape[1:], x.dtype) for x in points))
        if not sites:
            return {}
        blocks = []
        for start in range(0, count, AT_ONCE):
            some = [x[start : start + AT_ONCE] for x in points]
            filled = tuple(np.concatenate([x, np.repeat(x[-1:], AT_ONCE - len(x), axis=0)]) for x in some)
            (found,) = program(filled)
            blocks.append([np.asarray(gap).reshape(AT_ONCE, -1)[: len(some[0])] for gap in found])
    return {site: np.concatenate(gaps) for site, gaps in zip(sites, zip(*blocks, strict=True), strict=True)}


@lru_cache(maxsize=8)
def _program(function: Callable[..., Any], shapes: tuple[Any, ...]) -> tuple[tuple[Site, ...], Callable[..., Any]]:
    """The comparisons of a function, and a program of their gaps."""
    examples = [np.zeros(*each) for each in shapes]
    closed = jax.make_jaxpr(function)(*examples)
    sites: list[Site] = []
    jax.eval_shape(lambda *arrays: _compared(closed, arrays, sites), *examples)
    return tuple(sites), mapped(lambda *arrays: _compared(closed, arrays, []))


def _compared(closed: Any, arrays: Sequence[Any], sites: list[Site]) -> list[Any]:
    """The gaps of a traced program at arrays, the programs it calls included, and their sites; what is in its loops is left out."""
    gaps: list[Any] = []

    def note(line: str, gap: Any, kind: Any) -> None:
        sites.append(Site(len(sites), line, kind))
        gaps.append(gap)

    def run(jaxpr: Any, constants: Sequence[Any], given: Sequence[Any], called_at: str) -> list[Any]:
        known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *given], strict=True))

        def read(atom: Any) -> Any:
            return atom.val if hasattr(atom, "val") else known[atom]

        for equation in jaxpr.eqns:
            values, name = [read(atom) for atom in equation.invars], equation.primitive.name
            line = _line_of(equation) or called_at
            if _within(equation, "linalg"):  # how a factorisation goes about it is not a branch of anybody's own
                name = ""
            floating = all(jax.numpy.issubdtype(jax.numpy.result_type(x), jax.numpy.floating) for x in values)
            if name in ORDERS | EQUALITIES and floating and equation.invars[0] is not equation.invars[1]:
                note(line, values[0] - values[1], "equality" if name in EQUALITIES else "order")
            if name in RANKINGS and jax.numpy.issubdtype(values[0].dtype, jax.numpy.floating) and values[0].ndim:
                along = equation.params.get("dimension", equation.params.get("axes", (-1,)))
                axis = along if isinstance(along, int) else along[0]
                note(line, jax.numpy.diff(jax.numpy.sort(values[0], axis=axis), axis=axis), "ranks")
            if name == "clamp" and floating:
                low, x, high = values
                note(line, x - low, "order")
                note(line, x - high, "order")
            called = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
            inner = called if equation.primitive.name in CALLS else None
            if inner is not None:
                results = run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), values, line)
            else:
                variables = list(dict.fromkeys(atom for atom in equation.invars if not hasattr(atom, "val")))
                alone = jaxpr.replace(constvars=[], invars=variables, outvars=equation.outvars, eqns=[equation], effects=equation.effects)
                results = jax.core.eval_jaxpr(alone, (), *map(read, variables))
            known.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    run(closed.jaxpr, closed.consts, arrays, "")
    return gaps


@cache
def _libraries() -> tuple[str, ...]:
    """The folders of code that is nobody's own."""
    found = [find_spec(name) for name in ("contextlib", "jax", "jaxlib", "matcalc", "numpy", "scipy", "torch")]
    return tuple(str(Path(each.origin).parent if each.parent else each.origin) for each in found if each and each.origin)


def _frames(equation: Any) -> Sequence[Any]:
    """Where an equation comes from, the innermost call first."""
    return getattr(getattr(equation.source_info, "traceback", None), "frames", ())


def _within(equation: Any, module: str) -> bool:
    """Whether an equation comes from a module of a library, of whatever package."""
    return any(Path(f.file_name).stem == module and f.file_name.startswith(_libraries()) for f in _frames(equation))


def _line_of(equation: Any) -> str:
    """The line of somebody's own code that an equation comes from."""
    frames = _frames(equation)
    return next((_line(frame.file_name, frame.line_num) for frame in frames if not frame.file_name.startswith(_libraries())), "")


def _line(file: str, number: int) -> str:
    return linecache.getline(file, number).strip()


def watched(function: Callable[..., Any], points: Sequence[Floats]) -> Gaps:
    """What a function of NumPy arrays compares at points stacked along the first axis; where it raises, what it has compared before.

    It may go on with PyTorch's tensors; what it compares of JAX's arrays nobody tells.
    """
    rows = [Notes({}) for _ in points[0]]
    for notes, point in zip(rows, zip(*points, strict=True), strict=True):
        with suppress(Exception), jax.enable_x64(True), frameworks.telling(notes.of_torch):  # of code that does not take such arrays
            function(*(notes.watch(np.array(x)) for x in point))
    found: Gaps = {}
    for site in dict.fromkeys(site for notes in rows for site in notes.seen):
        flat = [np.concatenate(notes.seen.get(site, [np.empty(0)])) for notes in rows]
        gaps = np.full((len(rows), max(map(len, flat))), np.nan)
        for gap, entries in zip(gaps, flat, strict=True):
            gap[: len(entries)] = entries
        found[site] = gaps
    return found


@dataclass(frozen=True)
class Notes:
    """What was compared in one run of some code."""

    seen: dict[Site, list[Floats]]

    def note(self, left: Any, right: Any, kind: Literal["equality", "order", "ranks"]) -> None:
        """Remember a comparison, and the line of somebody's own code that it stands in."""
        frame: Any = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (inspect.stack reads the files of all frames)
        while frame is not None and frame.f_code.co_filename.startswith(_libraries()):
            frame = frame.f_back
        if frame is None:
            return
        with suppress(TypeError, ValueError):  # texts, truth values, arrays of two shapes
            gaps = np.asarray(np.subtract(left, right), dtype=np.float64).reshape(-1)
            site = Site((frame.f_code, frame.f_lasti), _line(frame.f_code.co_filename, frame.f_lineno), kind)
            self.seen.setdefault(site, []).append(gaps)

    def of_numpy(self, name: str, arguments: Sequence[Any]) -> None:
        """The same of a call of NumPy's, if it compares anything."""
        if name in ORDERS | EQUALITIES and len(arguments) > 1:  # max and min may be those of one array
            left, right = map(_plain, arguments[:2])
            self.note(left, right, "equality" if name in EQUALITIES else "order")
        elif name in TRUTHS:
            self.note(_plain(arguments[0]), 0.0, "equality")
        elif name in RANKINGS:
            ordered = np.sort(_plain(arguments[0]), axis=-1)
            self.note(ordered[..., 1:], ordered[..., :-1], "ranks")

    def of_torch(self, name: str, arguments: Sequence[Any]) -> None:
        """The same of a call of PyTorch's, on NumPy arrays."""
        if name in {"isclose", "allclose"}:
            self.note(np.abs(arguments[0] - arguments[1]), 1e-8 + 1e-5 * np.abs(arguments[1]), "order")
        elif name in {"clamp", "clip"}:
            for bound in arguments[1:3]:
                self.note(arguments[0], bound, "order")
        else:
            self.of_numpy(name, arguments)

    def watch(self, x: Any) -> Any:
        """An array of numbers, watched; anything else as it is."""
        if not isinstance(x, (np.floating, np.ndarray)) or np.asarray(x).dtype.kind != "f":
            return x
        found = np.asarray(x).view(Watched)
        found.notes = self
        return found

    def watch_all(self, answer: Any) -> Any:
        """What a function of NumPy's returns, its arrays watched."""
        return tuple(map(self.watch, answer)) if type(answer) is tuple else self.watch(answer)


class Watched(np.ndarray[Any, Any]):
    """An array that notes what it, and what NumPy computes from it, is compared with."""

    notes: Notes

    def __array_finalize__(self, of: Any) -> None:
        self.notes = getattr(of, "notes", Notes({}))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple[Any, ...] = (), **settings: Any) -> Any:
        given = [_plain(x) for x in inputs]
        if method == "__call__" or ufunc.__name__ in TRUTHS:
            self.notes.of_numpy(ufunc.__name__, given)
        if any(x is not None for x in out):
            getattr(ufunc, method)(*given, out=tuple(_plain(x) for x in out), **settings)
            return out[0] if len(out) == 1 else out
        return self.notes.watch_all(getattr(ufunc, method)(*given, **settings))

    def __array_function__(self, function: Any, types: Any, arguments: Any, settings: Any) -> Any:
        if function.__name__ not in {"argmax", "argmin", "argsort"}:  # these are told by their methods; others look at plain arrays within
            self.notes.of_numpy(function.__name__, arguments)
        return self.notes.watch_all(super().__array_function__(function, types, arguments, settings))

    def __getitem__(self, key: Any) -> Any:
        return self.notes.watch(super().__getitem__(key))

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def argsort(self, *arguments: Any, **settings: Any) -> Any:
        """As of any array; `numpy.argsort` comes here too, and so it is with the others."""
        self.notes.of_numpy("argsort", [self])
        return _plain(self).argsort(*arguments, **settings)

    def argmax(self, *arguments: Any, **settings: Any) -> Any:
        """As of any array."""
        self.notes.of_numpy("argmax", [self])
        return _plain(self).argmax(*arguments, **settings)

    def argmin(self, *arguments: Any, **settings: Any) -> Any:
        """As of any array."""
        self.notes.of_numpy("argmin", [self])
        return _plain(self).argmin(*arguments, **settings)

    def __bool__(self) -> bool:
        self.notes.of_numpy("any", [self])
        return bool(_plain(self))


def _plain(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, Watched) else x
