"""The derivative that a framework finds for a rule's function, in the place of the one written by hand.

    matcalc verify --subject jax

Everything that judges rules judges these too: the same function on the same domains, with `jax.jvp` and `jax.vjp`, or
`torch.func.jvp` and PyTorch's backward pass, as the claim. What the framework's own words compute (its determinant, its Cholesky
factor) it differentiates by its own rules, so a fault in one of those is found like a fault in a rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from matcalc.oracle import autodiff, frameworks
from matcalc.rule import Linearization, unclaimed

if TYPE_CHECKING:
    from collections.abc import Callable

    from matcalc.domain import Domain
    from matcalc.rule import Subject


@dataclass(frozen=True, eq=False)
class Differentiated:
    """A function with the derivative that a framework finds for it; inputs and answers are NumPy arrays.

    What came by JAX takes JAX's own arrays as well, traced ones too (`mapped`).
    """

    name: str
    domains: dict[str, Domain]
    differentiated: tuple[str, ...]
    function: Callable[..., Linearization[Any]]
    value: Callable[..., Any]
    mapped: bool
    rule: Subject
    "Whose function it is."
    strict: bool = False
    constants: tuple[float, ...] = ()


def by(framework: str, rule: Subject) -> Subject:
    """The rule itself for "hand", the derivative of its function by "jax" or "torch"."""
    if framework == "hand":
        return rule
    return by_jax(rule) if framework == "jax" else by_torch(rule)


@lru_cache(maxsize=4)
def by_jax(rule: Subject) -> Differentiated:
    """The function of a rule with `jax.jvp` and `jax.vjp` of it, in double precision.

    Kept from call to call, because JAX compiles once for each function object.
    """
    free = _free(rule)
    push, pull = (autodiff.lent(direction(rule.value, free), compiled=True) for direction in (autodiff.forward, autodiff.reverse))
    value = autodiff.lent(rule.value, compiled=True)
    return Differentiated(rule.name, rule.domains, rule.differentiated, linearized(value, push, pull), value, mapped=True, rule=rule)


@lru_cache(maxsize=4)
def by_torch(rule: Subject) -> Differentiated:
    """The function of a rule with PyTorch's forward and backward derivative of it, in double precision.

    `value` is the function as the rule itself computes it, so that what judges the derivative does not ask PyTorch. Raises
    ModuleNotFoundError if PyTorch is not installed.
    """
    free = _free(rule)
    push, (_, pull) = frameworks.pushed_by_torch(rule.value, free), frameworks.carried_by_torch(rule.value, free)
    function = linearized(frameworks.lent_to_torch(rule.value), push, pull)
    return Differentiated(rule.name, rule.domains, rule.differentiated, function, rule.value, mapped=False, rule=rule)


def _free(rule: Subject) -> tuple[int, ...]:
    """The positions of the inputs that are differentiated."""
    names = tuple(rule.domains)
    return tuple(names.index(name) for name in rule.differentiated)


def linearized(value: Callable[..., Any], push: Callable[..., Any] | None, pull: Callable[..., Any]) -> Callable[..., Linearization[Any]]:
    """Value and differentials at the inputs, as a rule returns them; each differential takes all inputs and all directions.

    Without `push`, no jvp is claimed.
    """

    def function(*inputs: Any) -> Linearization[Any]:
        jvp: Callable[..., Any] = partial(_along, push, inputs) if push else unclaimed
        return Linearization(value(*inputs), jvp, partial(_along, pull, inputs))

    return function


def _along(derivative: Callable[..., Any], inputs: tuple[Any, ...], *directions: Any) -> Any:
    return derivative(inputs, directions)
