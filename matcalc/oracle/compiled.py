"""Functions mapped over many cases, as programs that JAX compiles fast and that do not lock up.

In jaxlib 0.10 and 0.11 a factorisation of many matrices shares its work among the threads of a pool and waits for them in one of
those very threads. As many factorisations at once as there are threads wait for each other for ever: two on a machine of two cores
(docs/decisions/0008-factorisations-that-wait.md). Few matrices at once are factorised where the call stands; so there a program
goes through its cases in as many loops as keep every factorisation small.
"""

from __future__ import annotations

import math
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAST_COMPILE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True, "xla_cpu_use_fusion_emitters": False}
"Each program runs once or twice on small arrays, so compiling it fast matters and running it fast does not (measured: 3 to 8 times)."
LARGE, STEADY_COMPILE = 100, FAST_COMPILE | {"xla_backend_optimization_level": 1}
"From so many entries an array, the products take so long that a little more compiling pays (16 x 16: a quarter of the time)."

LOCKS_UP = (0, 10) <= tuple(int(part) for part in version("jaxlib").split(".")[:2]) < (0, 12)
"Whether this jaxlib's factorisations wait for each other. 0.8.3, 0.9.2 and 0.12.0 were seen not to, 0.10.0, 0.10.2 and 0.11.0 to."
SHARED_FROM = 200_000
"The estimated operations of a batch from which on jaxlib shares them among threads (kMinWorkPerTask of its lapack_kernels.cc)."
MOST_OPERATIONS = 10
"What jaxlib takes the dearest factorisations, SVD and eig, to cost beside the product of two matrices."
FACTORISATIONS = frozenset(
    {"cholesky", "eig", "eigh", "geqp3", "geqrf", "hessenberg", "householder_product", "lu", "ormqr", "qr", "schur", "svd"}
    | {"triangular_solve", "tridiagonal"}
)
"JAX's primitives that jaxlib hands to LAPACK on a CPU."


def quick(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function compiled with those of the fast settings that this JAX knows."""
    return jax.jit(function, compiler_options=_known_options(False))


def mapped(*functions: Callable[..., Any], careful: bool = False) -> Callable[..., tuple[Any, ...]]:
    """One program of several functions, each mapped over the first axis of its arguments.

    The program takes a tuple of arguments for each function and returns an answer for each. Compiled once for each shape, `careful`
    with JAX's own settings.
    """

    def together(loops: int, *arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(in_loops(loops, function, given) for function, given in zip(functions, arguments, strict=True))

    @cache
    def program(large: bool) -> Any:  # noqa: FBT001
        return jax.jit(together, static_argnums=0, compiler_options=None if careful else _known_options(large))

    needed: dict[Any, int] = {}

    def run(*arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        leaves, structure = jax.tree.flatten(arguments)
        fitting = program(any(math.prod(x.shape[1:]) >= LARGE for x in leaves))
        shapes = structure, *((x.shape, x.dtype) for x in leaves)
        if LOCKS_UP and shapes not in needed:
            needed[shapes] = loops_needed(fitting.trace(1, *arguments).jaxpr)
        return fitting(needed.get(shapes, 1), *arguments)

    return run


def in_loops(loops: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """A function mapped over the first axis of its arguments, in so many loops; the last case fills up the last loop."""
    cases = len(jax.tree.leaves(arguments)[0])
    loops = min(loops, cases)
    if loops <= 1:
        return jax.vmap(function)(*arguments)
    each = math.ceil(cases / loops)

    def split(x: Any) -> Any:
        rest = jax.numpy.repeat(x[-1:], each * loops - cases, axis=0)
        return jax.numpy.concatenate([x, rest]).reshape(loops, each, *x.shape[1:])

    found = jax.lax.map(lambda some: jax.vmap(function)(*some), jax.tree.map(split, arguments))
    return jax.tree.map(lambda y: y.reshape(loops * each, *y.shape[2:])[:cases], found)


def loops_needed(jaxpr: Any) -> int:
    """In how many loops a traced program must go for none of its factorisations to be shared among threads."""
    return max((math.ceil(_operations(equation) / SHARED_FROM) for equation in factorisations(jaxpr)), default=1)


def factorisations(jaxpr: Any) -> Iterator[Any]:
    """The equations of a traced program, and of the programs inside it, that jaxlib hands to LAPACK."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in FACTORISATIONS:
            yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")):
            if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                yield from factorisations(getattr(inner, "jaxpr", inner))


def _operations(equation: Any) -> int:
    """At most how many operations jaxlib takes a factorisation of a batch to cost; none where there is one matrix."""
    axes = len(equation.invars[0].aval.shape)
    shapes = [x.aval.shape for x in equation.invars if len(x.aval.shape) == axes]
    batch, longest = max(math.prod(s[:-2]) for s in shapes), max(max(s[-2:], default=1) for s in shapes)
    return MOST_OPERATIONS * batch * longest**3 if batch > 1 else 0


@cache
def _known_options(large: bool) -> dict[str, Any]:  # noqa: FBT001
    """The fast settings for large or small arrays, each tried on a program that does nothing: they come and go with versions of XLA."""

    def known(option: dict[str, Any]) -> bool:
        try:
            jax.jit(lambda x: x + 1, compiler_options=option)(0.0)
        except jax.errors.JaxRuntimeError:
            return False
        return True

    return {name: value for name, value in (STEADY_COMPILE if large else FAST_COMPILE).items() if known({name: value})}
