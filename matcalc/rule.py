"""What a rule is: a function that returns its linearization, declared with its domains and its sources."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import WRAPPER_ASSIGNMENTS, cached_property
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar

from matcalc.array import as_array, is_array, is_floating, kind, like, ones_like, parts, reshape, stack, zeros_like
from matcalc.domain import Domain
from matcalc.source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

Inputs = ParamSpec("Inputs")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Linearization(Generic[Value]):
    """A function near one point: its value there, its differential, and the adjoint of that.

    `jvp` takes one tangent for each input that is differentiated and returns what `value` is; `vjp` takes one cotangent for
    each array of `value` and returns one array for each such input (a bare one for a single input). `jacobian`, where the rule
    knows a closed form, is a function of no arguments.
    """

    value: Value
    jvp: Callable[..., Value]
    vjp: Callable[..., Any]
    jacobian: Callable[[], Any] | None = None


def unclaimed(*arguments: Any) -> Any:
    """Stands in a linearization for a jvp or vjp that nobody claims to know."""
    raise NotImplementedError(f"this derivative is not claimed, but was asked for at {len(arguments)} arguments")


class Subject(Hashable, Protocol):
    """Whatever can be judged: a function with a derivative that is claimed for it, on domains. Every rule is one."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        raise NotImplementedError

    @property
    def domains(self) -> dict[str, Domain]:
        """The set each input is from, in the order in which they are given."""
        raise NotImplementedError

    @property
    def differentiated(self) -> tuple[str, ...]:
        """The names of the inputs that are not held."""
        raise NotImplementedError

    @property
    def function(self) -> Callable[..., Linearization[Any]]:
        """Value and claimed derivative at the inputs; nothing is checked on the way."""
        raise NotImplementedError

    @property
    def value(self) -> Callable[..., Any]:
        """The function alone, which is all that an oracle may see."""
        raise NotImplementedError

    @property
    def mapped(self) -> bool:
        """Whether JAX can run function and value at many points at once; otherwise they are asked one by one, on NumPy."""
        raise NotImplementedError

    @property
    def strict(self) -> bool:
        """Whether it is held to all that a rule promises, and not to a right derivative alone.

        A rule runs on every array library, in single precision, on inputs of size zero, in any order in memory and at the ends of
        the range of numbers, and gives an answer at every point of its domains.
        """
        raise NotImplementedError

    @property
    def constants(self) -> tuple[float, ...]:
        """Numbers written in its code, at which it may take another branch."""
        raise NotImplementedError


@dataclass(frozen=True)
class Built:
    """A second way to the same function: factors are chosen first, and the inputs are built from them.

    `domains` are those of what is chosen. `factors`, where given, takes that to the factors as the rule would return them (in its
    order, with its signs); `build` takes the factors to the inputs, and `value` to the rule's value there, which is all of the
    factors unless it is given. All three are differentiated by a complex step, so no conjugate may hide in them (as in `inner` of
    two vectors).
    """

    domains: dict[str, Domain]
    build: Callable[..., Any]
    factors: Callable[..., Any] | None = None
    value: Callable[..., Any] | None = None

    def graph(self, *chosen: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The inputs that are built from what is chosen, and the value that the rule must have there."""
        factors = chosen if self.factors is None else parts(self.factors(*chosen))
        value = factors if self.value is None else parts(self.value(*factors))
        return parts(self.build(*factors)), value


@dataclass(frozen=True, eq=False)
class Rule(Generic[Inputs, Value]):
    """A derivative written by hand: where it holds, who wrote it down, and the code.

    Called like the function it differentiates, on arrays of any library matcalc speaks to. Every method raises TypeError for
    an input that is not an array or holds no floating-point numbers, and ValueError for one of the wrong shape.
    """

    function: Callable[Inputs, Linearization[Value]]
    domains: dict[str, Domain]
    sources: tuple[Source, ...]
    built: tuple[Built, ...] = ()
    differentiated: tuple[str, ...] = field(init=False)
    value: Callable[..., Any] = field(init=False)
    "The function alone, its inputs not checked: all that an oracle may see. One object for each rule."

    def __post_init__(self) -> None:
        self.__dict__.update({name: getattr(self.function, name) for name in WRAPPER_ASSIGNMENTS if hasattr(self.function, name)})
        self.__dict__["__wrapped__"] = self.function  # so that `inspect.signature(logdet)` and `help(logdet)` tell
        parameters = list(inspect.signature(self.function).parameters)
        if parameters != list(self.domains):
            raise TypeError(
                f"{self.name} takes ({', '.join(parameters)}) but gives domains for ({', '.join(self.domains)}); "
                "name the same inputs in the same order"
            )
        for name, domain in self.domains.items():
            if not isinstance(domain, Domain):  # pyright: ignore[reportUnnecessaryIsInstance]  (an author may run no type checker)
                raise TypeError(f'{self.name}: the domain of {name} must be a Domain such as real("n"), but {domain!r} came')
        for source in self.sources:
            if not isinstance(source, Source):  # pyright: ignore[reportUnnecessaryIsInstance]  (the same)
                raise TypeError(f"{self.name}: a source must be a Source, but {source!r} came; give domains by name, as in K=real('n')")
        if not self.sources:
            raise TypeError(f"{self.name} has no source; name the work it is taken from, as in @rule(GILES, ...)")
        if not self.equations:
            raise TypeError(f"{self.name} states nothing; write its equations in its docstring, each between $$ and $$")
        free = tuple(name for name, domain in self.domains.items() if not domain.held)
        if not free:
            raise TypeError(f"{self.name} holds all of its inputs; leave at least one to differentiate")
        object.__setattr__(self, "differentiated", free)
        function: Callable[..., Linearization[Value]] = self.function
        object.__setattr__(self, "value", lambda *inputs: function(*inputs).value)  # pyright: ignore[reportUnknownLambdaType]

    # --- what it says of itself ---------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name of its function."""
        return self.function.__name__

    @property
    def topic(self) -> str:
        """The name of the module it stands in."""
        return self.function.__module__.rpartition(".")[2]

    @cached_property
    def summary(self) -> str:
        """The first paragraph of its docstring: what the function is, and its hypotheses."""
        return " ".join(inspect.cleandoc(self.function.__doc__ or "").partition("\n\n")[0].partition("$$")[0].split())

    @cached_property
    def equations(self) -> tuple[str, ...]:
        """Its statement: the displayed equations of its docstring, in TeX, in the order value, differential, adjoint."""
        return tuple(" ".join(text.split()) for text in re.findall(r"\$\$(.+?)\$\$", self.function.__doc__ or "", flags=re.DOTALL))

    @property
    def mapped(self) -> bool:
        """A rule is asked at one point after the other, on NumPy."""
        return False

    @property
    def strict(self) -> bool:
        """A rule is held to all that rules promise."""
        return True

    @property
    def constants(self) -> tuple[float, ...]:
        """None: the domains of a rule own its special points."""
        return ()

    def __repr__(self) -> str:
        return f"<rule {self.name}({', '.join(self.domains)})>"

    def _repr_markdown_(self) -> str:
        inputs = ", ".join(f"${name_as_tex(name)} \\in {domain.latex}$" for name, domain in self.domains.items())
        lines = [f"**{self.name}**: {self.summary}", "", f"for {inputs}", ""]
        lines += [f"$$ {equation} $$" for equation in self.equations]
        return "\n".join([*lines, "", "; ".join(source.short for source in self.sources)])

    # --- the function and its derivatives -----------------------------------------------------------------------------------

    def __call__(self, *inputs: Inputs.args, **named: Inputs.kwargs) -> Value:
        """The value at the inputs."""
        return self.linearize(*inputs, **named).value

    def linearize(self, *inputs: Inputs.args, **named: Inputs.kwargs) -> Linearization[Value]:
        """Value, differential and adjoint at the inputs, sharing their work."""
        return self._at(inspect.signature(self.function).bind(*inputs, **named).args if named else inputs)

    def _at(self, inputs: Sequence[Any]) -> Linearization[Value]:
        function: Callable[..., Linearization[Value]] = self.function
        at = function(*self._checked(inputs))
        return replace(at, value=_tidy(at.value))

    def jvp(self, *inputs_then_tangents: Any) -> Value:
        """The differential: `logdet.jvp(K, dK)`, one tangent for each input that is not held."""
        inputs, tangents = self._split(inputs_then_tangents, self.differentiated, "tangent", "d{}")
        at = self._at(inputs)
        points = dict(zip(self.domains, inputs, strict=True))
        for name, tangent in zip(self.differentiated, tangents, strict=True):
            self._require_like(f"d{name}", tangent, points[name], name)
        return _tidy(at.jvp(*tangents))

    def vjp(self, *inputs_then_cotangents: Any) -> Any:
        """The adjoint: `logdet.vjp(K, l_bar)`, one cotangent for each array of the value.

        Returns an array like the input that is differentiated, or a tuple of them if there are several.
        """
        count = len(self.domains)
        inputs, cotangents = inputs_then_cotangents[:count], inputs_then_cotangents[count:]
        at = self._at(inputs)
        values = parts(at.value)
        if len(cotangents) == 1 and isinstance(cotangents[0], tuple):
            (cotangents,) = cotangents
        if len(cotangents) != len(values):
            raise TypeError(
                f"{self.name}.vjp takes {_count(count, 'input')} ({', '.join(self.domains)}) then {_count(len(values), 'cotangent')}, "
                f"but {_count(len(inputs_then_cotangents), 'argument')} came"
            )
        for index, (cotangent, value) in enumerate(zip(cotangents, values, strict=True)):
            label = "the cotangent" if len(values) == 1 else f"cotangent {index + 1} of {len(values)}"
            self._require_like(label, cotangent, value, "the value")
        return _tidy(at.vjp(*cotangents))

    def grad(self, *inputs: Inputs.args, **named: Inputs.kwargs) -> Any:
        """The gradient of a scalar value: an array like the input, or a tuple of them if several are differentiated."""
        return self.value_and_grad(*inputs, **named)[1]

    def value_and_grad(self, *inputs: Inputs.args, **named: Inputs.kwargs) -> tuple[Value, Any]:
        """A scalar value and its gradient, sharing their work."""
        at = self.linearize(*inputs, **named)
        value = parts(at.value)
        if len(value) != 1 or value[0].shape != ():
            shapes = ", ".join(str(tuple(v.shape)) for v in value)
            raise ValueError(
                f"{self.name}.grad needs a scalar value, but the value of {self.name} has shape {shapes}; "
                f"use {self.name}.vjp with a cotangent, or {self.name}.jacobian"
            )
        return at.value, _tidy(at.vjp(ones_like(value[0])))

    def jacobian(self, *inputs: Inputs.args, **named: Inputs.kwargs) -> Any:
        """All partial derivatives: an array of shape value.shape + input.shape.

        A tuple of them if several inputs are differentiated, and a tuple of those if the value has several arrays.
        """
        at = self.linearize(*inputs, **named)
        if at.jacobian is not None:
            return _tidy(at.jacobian())
        values = parts(at.value)
        rows = [_rows(at.vjp, values, which) for which in range(len(values))]
        return rows[0] if len(values) == 1 else tuple(rows)

    # --- checks of what comes -----------------------------------------------------------------------------------------------

    def _split(self, arrays: Sequence[Any], followers: Sequence[str], word: str, spelling: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        count = len(self.domains)
        if len(arrays) != count + len(followers):
            names = ", ".join(spelling.format(name) for name in followers)
            raise TypeError(
                f"{self.name}.jvp takes {_count(count, 'input')} ({', '.join(self.domains)}) "
                f"then {_count(len(followers), word)} ({names}), but {_count(len(arrays), 'argument')} came"
            )
        return tuple(arrays[:count]), tuple(arrays[count:])

    def _checked(self, inputs: Sequence[Any]) -> list[Any]:
        """The inputs, or one sentence about the first that cannot be used."""
        if len(inputs) != len(self.domains):
            wanted = f"{_count(len(self.domains), 'input')} ({', '.join(self.domains)})"
            raise TypeError(f"{self.name} takes {wanted}, but {_count(len(inputs), 'argument')} came")
        first = next((x for x in inputs if is_array(x)), None)
        sizes: dict[str, tuple[int, str]] = {}
        checked: list[Any] = []
        for (name, domain), given in zip(self.domains.items(), inputs, strict=True):
            x = given
            if not domain.dims and first is not None and _is_number(x):
                x = like(x, first)  # a plain number among arrays
            self._require_floats(name, x)
            if first is not None and kind(x) != kind(first):
                both = f"{name} is a {kind(x)} array but another input is a {kind(first)} array"
                raise TypeError(f"{self.name}: {both}; give all of one library")
            self._require_shape(name, domain, x, sizes)
            checked.append(as_array(x))
        return checked

    def _require_floats(self, name: str, x: Any) -> None:
        if not is_array(x):
            raise TypeError(
                f"{self.name}: {name} must be an array of floating-point numbers (NumPy, JAX or PyTorch), but a {type(x).__name__} came"
            )
        if not is_floating(x):
            raise TypeError(f"{self.name}: {name} must hold real floating-point numbers, but came with dtype {x.dtype}")

    def _require_shape(self, name: str, domain: Domain, x: Any, sizes: dict[str, tuple[int, str]]) -> None:
        expected = "(" + ", ".join(d.name for d in domain.dims) + ("," if len(domain.dims) == 1 else "") + ")"
        came = tuple(x.shape)
        if len(came) != len(domain.dims):
            raise ValueError(f"{self.name}: {name} must have shape {expected}, but came with shape {came}")
        for dimension, length in zip(domain.dims, came, strict=True):
            known, where = sizes.setdefault(dimension.name, (length if dimension.fixed is None else dimension.fixed, name))
            if length != known:
                reason = f" where {dimension.name} = {known}" + (f" as in {where}" if where != name else "")
                raise ValueError(f"{self.name}: {name} must have shape {expected}{reason}, but came with shape {came}")
            if length < dimension.least:
                least = f"{dimension.name} at least {dimension.least}"
                raise ValueError(f"{self.name}: {name} must have shape {expected} with {least}, but came with shape {came}")

    def _require_like(self, label: str, x: Any, model: Any, what: str) -> None:
        if _is_number(x) and model.shape == ():
            return
        self._require_floats(label, x)
        if kind(x) != kind(model):
            raise TypeError(f"{self.name}: {label} is a {kind(x)} array but {what} is a {kind(model)} array; give both of one library")
        if tuple(x.shape) != tuple(model.shape):
            wanted, came = tuple(model.shape), tuple(x.shape)
            raise ValueError(f"{self.name}: {label} must have the shape of {what}, {wanted}, but came with shape {came}")


def rule(*sources: Source, **domains: Domain) -> Callable[[Callable[Inputs, Linearization[Value]]], Rule[Inputs, Value]]:
    """Declare a rule: `@rule(GILES.at("2.2.3"), K=positive_definite("n"))` above a function that returns its linearization.

    Raises TypeError if a domain names no argument, a source is missing, or the docstring states no equation.
    """

    def declare(function: Callable[Inputs, Linearization[Value]]) -> Rule[Inputs, Value]:
        return Rule(function, domains, sources)

    return declare


def built_from(
    build: Callable[..., Any],
    /,
    *,
    factors: Callable[..., Any] | None = None,
    value: Callable[..., Any] | None = None,
    **domains: Domain,
) -> Callable[[Rule[Inputs, Value]], Rule[Inputs, Value]]:
    """Declare how the inputs of a rule are built from its value, above `@rule`; see `Built` for what the arguments mean.

    `@built_from(lambda L: L @ L.mT, L=lower_triangular("n"))` says what a Cholesky factor is without computing one, so that the
    rule can be asked to give back factors, and tangents of factors, that are known beforehand.
    May stand several times, for instance once for tall matrices and once for wide ones.
    Raises TypeError if the domains are not those of the arguments or an input is held, ValueError if a factor has a size that no
    input has.
    """

    def declare(built: Rule[Inputs, Value]) -> Rule[Inputs, Value]:
        chosen = list(inspect.signature(factors or build).parameters)
        if chosen != list(domains):
            raise TypeError(
                f"{built.name} is built from ({', '.join(chosen)}) but gives domains for ({', '.join(domains)}); "
                "name the same factors in the same order"
            )
        held = [name for name, domain in built.domains.items() if domain.held]
        if held:
            raise TypeError(f"{built.name} holds {held[0]}, so that its inputs cannot be built: their tangents could not be chosen")
        known = {d.name for domain in built.domains.values() for d in domain.dims}
        for name, domain in domains.items():
            for d in domain.dims:
                if d.fixed is None and d.name not in known:
                    raise ValueError(f"{built.name} is built from {name} with the size {d.name}, which none of its inputs has")
        return replace(built, built=(*built.built, Built(domains, build, factors, value)))

    return declare


# --- values that are one array or several ------------------------------------------------------------------------------------


def name_as_tex(name: str) -> str:
    """An argument's name as it is written in the statement: `beta` as a Greek letter, `W1` with an index."""
    greek = [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "eta",
        "theta",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "psi",
        "omega",
        "Sigma",
        "Lambda",
        "Omega",
    ]
    stem, _, rest = name.partition("_")
    letters = stem.rstrip("0123456789")
    index = stem[len(letters) :] + rest
    letters = {"lam": "lambda"}.get(letters, letters)
    head = f"\\{letters}" if letters in greek else letters if len(letters) == 1 else rf"\mathrm{{{letters}}}"
    return head + (f"_{{{index}}}" if index else "")


def _tidy(value: Any) -> Any:
    """The same value with NumPy's scalars as arrays without axes."""
    if not isinstance(value, tuple):
        return as_array(value)
    arrays = [as_array(part) for part in value]
    return type(value)(*arrays) if hasattr(value, "_fields") else tuple(arrays)


def _rows(vjp: Callable[..., Any], values: tuple[Any, ...], which: int) -> Any:
    """The Jacobian of one array of the value, a row (an entry of it) at a time."""
    value = values[which]
    size = 1
    for length in value.shape:
        size *= length
    flat = zeros_like(reshape(value, (size,)))
    gradients = []
    for k in range(size):
        basis = reshape(stack([like(float(i == k), flat) for i in range(size)]), value.shape)
        cotangents = [zeros_like(v) for v in values]
        cotangents[which] = basis
        gradients.append(parts(_tidy(vjp(*cotangents))))
    jacobians = tuple(reshape(stack(rows), (*value.shape, *rows[0].shape)) for rows in zip(*gradients, strict=True))
    return jacobians[0] if len(jacobians) == 1 else jacobians


def _is_number(x: Any) -> bool:
    """Whether it is a plain number, which may stand for an array without axes."""
    return isinstance(x, (int, float)) and not isinstance(x, bool)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
