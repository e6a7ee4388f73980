"""Anyone's derivative: a function, the derivative that somebody claims for it, and a verdict on the two.

    matcalc.check(logdet, positive_definite("n"), grad=lambda K: np.linalg.inv(K))

The function may be written with NumPy, JAX or PyTorch. What is claimed takes the place that the linearization has in a rule, so
everything that judges rules judges it too. Given nothing but the function, the derivative that it carries itself is judged: that
of `jax.custom_vjp`, `jax.custom_jvp` or `torch.autograd.Function`.
"""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from operator import is_
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from matcalc.array import is_array, is_floating, kind, parts, reshape
from matcalc.cases import Profile, draw, groups
from matcalc.domain import Domain, Near, near
from matcalc.oracle import autodiff, complex_step, frameworks
from matcalc.property import FaultError, first_line
from matcalc.rule import Linearization, unclaimed
from matcalc.subjects import linearized
from matcalc.verdict import Verdict
from matcalc.verify import examine, quietly

PROFILE = Profile(cases=384, probes=2, perturbations=2, equal=7, apart=2, differenced=12)
"How hard `check` looks unless it is told otherwise. Special points are of sizes that differ by one."
LIBRARIES = {"jax", "numpy", "scipy", "torch"}
CONSTANTS, LARGE = (1e-3, 1e4), 32.0
"""Numbers in somebody's code that count: smaller ones keep denominators from zero and nobody's entries are as small, larger ones stand
for infinity. Those from `LARGE` on often count iterations, and come after the others. One and two are everywhere, as exponents and
factors: they come last, where the code branches."""
BRANCHES = frozenset({"clip", "cond", "max", "maximum", "min", "minimum", "piecewise", "select", "where"})
TRIED = 8
"Points at which it is tried on which library a function runs."
KINDS = ("grad", "jvp", "vjp", "jacobian", "hessian")
NOUNS = {"grad": "gradient", "jacobian": "Jacobian", "hessian": "Hessian"}
"What is claimed as arrays, and judged as maps; to these the verdict must not leave the words for maps."
Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Claim:
    """A function and the derivative claimed for it, as a subject to be judged."""

    name: str
    domains: dict[str, Domain]
    function: Callable[..., Linearization[Any]]
    value: Function
    mapped: bool
    constants: tuple[float, ...] = ()
    strict: bool = False

    @property
    def differentiated(self) -> tuple[str, ...]:
        """The names of the inputs that are not held."""
        return tuple(name for name, domain in self.domains.items() if not domain.held)


def check(
    f: Function,
    *inputs: Any,
    grad: Function | None = None,
    jvp: Function | None = None,
    vjp: Function | None = None,
    jacobian: Function | None = None,
    hessian: Function | None = None,
    seed: int = 0,
    profile: Profile = PROFILE,
) -> Verdict:
    """Whether a derivative of `f` is right.

    Each of `inputs` is the domain an argument of `f` is from (`real("n p")`, `positive_definite("n")`, `held(one_hot("k"))` for one
    that is not differentiated), or an array, which stands for "near here": nothing is assumed of it, not that it is symmetric, nor
    that its entries are positive; an array of integers or truth values is held and handed on as it came, and `held` takes any other
    array. `f` returns an array or a tuple of arrays.

    What is claimed, one or several of: `grad(*inputs)`, the gradient of a scalar; `jvp(*inputs, *tangents)`, shaped like the value;
    `vjp(*inputs, *cotangents)`, shaped like the inputs; `jacobian(*inputs)`, of shape value.shape + input.shape; `hessian(*inputs)`,
    of shape input.shape + input.shape for a scalar function of one input. All but `jvp` give a tuple if several inputs are
    differentiated. If nothing is claimed, the derivative that `f` carries for JAX or PyTorch is judged.

    Raises TypeError or ValueError, one sentence each, if the question makes no sense: an input that is neither, an `f` that cannot be
    called on its own inputs, a gradient claimed for a value that is no scalar. A wrong derivative is never an exception, but a verdict.
    """
    started = time.perf_counter()
    claims = {word: claim for word, claim in zip(KINDS, (grad, jvp, vjp, jacobian, hessian), strict=True) if claim is not None}
    name, parameters = _signature(f)
    domains = _domains(parameters, inputs, name)
    with quietly():
        made_of = _Parts.of(f, *claims.values())
        kept = tuple(_kept(domain) for domain in domains.values())
        points = _first_points(domains, name, seed)
        library, traceable = _library(f, domains, claims, made_of, kept, name, [x[0] for x in points])
        alone = library == "NumPy" and "hessian" in claims and "grad" not in claims
        copy = _copy(f, kept, points) if alone else None
        free = tuple(i for i, domain in enumerate(domains.values()) if not domain.held)
        subjects = _subjects(f, tuple(claims.items()), library, free, name, made_of, kept, copy, traceable=traceable)
        if alone and copy is None:
            _require_a_gradient(subjects[-1][1][1], points, name)
        verdicts = [
            _as_claimed(
                examine(Claim(name, domains, *subject, made_of.constants), seed=seed, profile=profile, traced=traced, whole=False), noun
            )
            for noun, subject, traced in subjects
        ]
    worst = next((v for v in verdicts if not v.status.good), verdicts[0])
    return replace(worst, seconds=time.perf_counter() - started)


# --- what is asked about -------------------------------------------------------------------------------------------------------


def _signature(f: Function) -> tuple[str, list[str]]:
    """The name of a function, or of the one that `functools.partial` binds, and those of its arguments, as far as they are known."""
    function: Any = f
    while isinstance(function, partial):
        function = function.func
    of_torch = frameworks.autograd_function(function)
    name = getattr(of_torch or function, "__name__", type(function).__name__)
    try:
        arguments = inspect.signature(frameworks.forward_of(of_torch) if of_torch else f).parameters.values()
        parameters = [p.name for p in arguments if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    except (TypeError, ValueError):
        parameters = []
    return "f" if name == "<lambda>" else name, parameters


def _domains(parameters: list[str], inputs: tuple[Any, ...], name: str) -> dict[str, Domain]:
    """The domain of each argument, by the argument's own name where it has one."""
    if not inputs:
        raise TypeError(f'check({name}) needs the inputs of {name}: a domain such as real("n") or an array for each of its arguments')
    names = parameters[: len(inputs)] if len(parameters) >= len(inputs) else [f"x{i}" for i in range(len(inputs))]
    domains: dict[str, Domain] = {}
    for argument, given in zip(names, inputs, strict=True):
        if isinstance(given, Near):
            domains[argument] = replace(given, centre=_as_numpy(given.centre))
        elif isinstance(given, Domain):
            domains[argument] = given
        elif isinstance(given, float) or is_array(given):
            domains[argument] = near(_as_numpy(given))
        else:
            raise TypeError(
                f'check({name}): {argument} must be a domain such as real("n") or an array, but a {type(given).__name__} came; '
                f"bind other arguments beforehand, with functools.partial or a lambda"
            )
    if all(domain.held for domain in domains.values()):
        raise TypeError(f"check({name}): every input is held (arrays of integers are); give at least one to differentiate")
    return domains


def _as_numpy(x: Any) -> Any:
    """An array of any library on NumPy; a tensor that records its history without it."""
    return np.asarray(x.detach() if hasattr(x, "detach") else x)


@dataclass(frozen=True)
class _Kept:
    """A held array of integers or truth values, compared by its content."""

    dtype: Any
    shape: tuple[int, ...]
    content: bytes

    def array(self) -> Any:
        """The array as it came, on NumPy."""
        return np.frombuffer(self.content, self.dtype).reshape(self.shape).copy()


def _kept(domain: Domain) -> _Kept | None:
    """What a domain keeps from becoming floating-point numbers; None for all others."""
    if not isinstance(domain, Near) or is_floating(domain.centre):
        return None
    return _Kept(domain.centre.dtype, domain.centre.shape, domain.centre.tobytes())


def _as_they_came(arrays: Sequence[Any], kept: tuple[_Kept | None, ...]) -> tuple[Any, ...]:
    """Inputs, and what follows them, with arrays of integers in the places of the numbers that stand for them."""
    return (*(x if k is None else k.array() for x, k in zip(arrays, kept, strict=False)), *arrays[len(kept) :])


def _given(function: Function, kept: tuple[_Kept | None, ...]) -> Function:
    """The function as one that takes floating-point numbers alone: in the places of integers it is a constant of them."""
    return (lambda *arrays: function(*_as_they_came(arrays, kept))) if any(kept) else function


def _first_points(domains: dict[str, Domain], name: str, seed: int) -> list[Any]:
    """A few points of all domains, stacked, at which the function is tried."""
    probe = Claim(name, domains, lambda *_: Linearization(0.0, unclaimed, unclaimed), lambda *_: 0.0, mapped=False)
    sizes = next(iter(groups(probe, PROFILE)), None)
    if sizes is None:
        raise ValueError(f"check({name}): the domains of {', '.join(domains)} admit no size in common")
    return list(draw(probe, sizes, TRIED, seed, Profile(TRIED, 1, 1)).inputs)


def _library(
    f: Function,
    domains: dict[str, Domain],
    claims: dict[str, Function],
    made_of: _Parts,
    kept: tuple[_Kept | None, ...],
    name: str,
    point: list[Any],
) -> tuple[str, bool]:
    """The array library that `f` is written for, and whether JAX can push tangents through it, as far as anybody asks.

    That is asked of NumPy code, which JAX may follow by chance, and of JAX code that carries its own derivative.
    It is the first of NumPy, JAX and PyTorch that it runs on, the one it answers with, or the one that a claim names.
    """
    tried: dict[str, Exception] = {}
    lenders = [("NumPy", _as_it_is), ("JAX", autodiff.lent), *([("PyTorch", frameworks.lent_to_torch)] if frameworks.has_torch() else [])]
    if not claims:  # code may run on any library by chance; the one whose derivative it carries is meant
        by_torch, by_jax = "torch" in made_of.modules, autodiff.without_custom_rule(f) is not None
        lenders = lenders[1:2] if by_jax else [*lenders[2:], *lenders[:2]] if by_torch else lenders[:2]
    for library, lent in lenders:
        try:
            with autodiff.double_precision():
                value = _given(f if library == "NumPy" else lent(f), kept)(*point)
        except Exception as error:  # noqa: BLE001  (a function may do anything with arrays it was not written for)
            tried[library] = error
            continue
        answered = kind(parts(value)[0]) if is_array(parts(value)[0]) else "NumPy"
        found = answered if library == "NumPy" and answered in {"JAX", "PyTorch"} else library
        if found == "NumPy":  # code may run on any library; what is claimed for it names the one that is meant
            named = made_of.modules
            found = "JAX" if "jax" in named else "PyTorch" if "torch" in named else found
        _require_numbers(parts(value), name)
        _require_a_question(claims, found, parts(value), name)
        if found == "NumPy":
            return found, autodiff.has_forward(_given(f, kept), range(len(point)), point)
        free = [i for i, domain in enumerate(domains.values()) if not domain.held]
        return found, found == "JAX" and not claims and autodiff.has_forward(_given(autodiff.lent(f), kept), free, point)
    library, raised = next(iter(tried.items()))
    at = ", ".join(f"{k} of shape {x.shape}" for k, x in zip(domains, point, strict=True))
    raise TypeError(f"check({name}): {name} raises {type(raised).__name__} on {library} arrays ({at}): {first_line(raised)}")


def _require_numbers(value: tuple[Any, ...], name: str) -> None:
    for each in value:
        came = f"a {type(each).__name__}"
        if isinstance(each, (bool, int, float, complex)) or is_array(each):
            x = _as_numpy(each)
            if x.dtype.kind not in "bcOSU" or (x.dtype.kind == "c" and not np.any(x.imag)):
                continue
            came = "complex numbers" if x.dtype.kind == "c" else f"an array of {x.dtype}"
        raise TypeError(f"check({name}): {name} must return real numbers, an array of them or a tuple of arrays, but returned {came}")


def _require_a_question(claims: dict[str, Function], library: str, value: tuple[Any, ...], name: str) -> None:
    if not claims and library == "NumPy":
        spellings = "grad=, jvp=, vjp=, jacobian= or hessian="
        raise TypeError(f"check({name}): {name} is written with NumPy and carries no derivative; claim one with {spellings}")
    for word in claims:
        shapes = [np.shape(v) for v in value]
        if word in {"grad", "hessian"} and shapes != [()]:
            came = ", ".join(str(shape) for shape in shapes)
            raise ValueError(f"check({name}): {word}= is for a scalar, but {name} has a value of shape {came}; use vjp= or jacobian=")


def _copy(f: Function, kept: tuple[_Kept | None, ...], points: list[Any]) -> Function | None:
    """NumPy code in JAX's words, if JAX can trace that and it has the same values."""
    copy = autodiff.translated(f)
    try:
        (there,) = autodiff.run(_given(copy, kept), points) if copy else ((),)
        return copy if np.allclose(there, [f(*_as_they_came(point, kept)) for point in zip(*points, strict=True)], equal_nan=True) else None
    except Exception:  # noqa: BLE001  (JAX cannot run what it was not written for)
        return None


def _require_a_gradient(gradient: Function, points: list[Any], name: str) -> None:
    """A Hessian is judged beside a gradient, which must be had."""
    try:
        gradient(*(x[0] for x in points))
    except complex_step.NotAnalyticError as error:
        takes = "takes neither complex numbers nor JAX's arrays"
        raise TypeError(f"check({name}): hessian= needs the gradient of {name}, which {takes}; give grad= too") from error


# --- what is claimed, as a linearization ----------------------------------------------------------------------------------------


def _looked_up(function: FunctionType) -> list[Any]:
    """What a function closes over, and what it finds by name."""
    cells = [cell.cell_contents for cell in function.__closure__ or () if cell != CellType()]
    return [*cells, *(function.__globals__[name] for name in autodiff.names(function.__code__) if name in function.__globals__)]


@dataclass(frozen=True, eq=False)
class _Parts:
    """Everything that functions are made of, compared by identity: they are the same as long as none of it has been replaced.

    In a notebook a helper is mended, or a rule attached anew to a `jax.custom_vjp`, and the function that uses it stays the object
    that it was.
    """

    things: tuple[Any, ...]

    @classmethod
    def of(cls, *functions: Any) -> _Parts:
        """The functions, what they look up by name, what they close over, and so on."""
        things: dict[int, Any] = {}
        waiting = list(functions)
        while waiting:
            thing = waiting.pop()
            if id(thing) in things:
                continue
            things[id(thing)] = thing
            if isinstance(thing, FunctionType) and not (thing.__module__ or "").startswith("matcalc."):
                waiting += [thing.__code__, *_looked_up(thing)]
            elif isinstance(thing, type) and thing.__module__.partition(".")[0] not in {*LIBRARIES, "builtins"}:
                waiting += [getattr(method, "__func__", method) for method in vars(thing).values()]
            elif isinstance(thing, partial):
                waiting += [thing.func, *thing.args]
            elif isinstance(thing, MethodType):
                waiting += [thing.__func__, thing.__self__]
            elif autodiff.without_custom_rule(thing) is not None:
                waiting += list(vars(thing).values())
            elif callable(thing) and (inner := _wrapped(thing)) is not None:
                waiting.append(inner)
        return cls(tuple(things.values()))

    @property
    def modules(self) -> set[str]:
        """The packages that are named in them, those whose rules they carry included."""
        named = {thing.__name__.partition(".")[0] for thing in self.things if isinstance(thing, ModuleType)}
        by_jax = any(autodiff.without_custom_rule(thing) is not None for thing in self.things)
        return named | ({"jax"} if by_jax else set()) | ({"torch"} if any(map(frameworks.may_carry, self.things)) else set())

    @property
    def asks_for_equality(self) -> bool:
        """Whether NumPy is asked if two arrays are equal, which it denies of arrays that JAX traces, where others raise."""
        names = (autodiff.names(thing.__code__) for thing in self.things if isinstance(thing, FunctionType))
        return any(not found.isdisjoint({"array_equal", "array_equiv"}) for found in names)

    @property
    def constants(self) -> tuple[float, ...]:
        """The numbers in code that is nobody's library, as far as an entry or a size may well be one of them; each once, no signs."""
        found: list[Any] = []
        branches = False
        for thing in self.things:
            if isinstance(thing, partial):
                found += [*thing.args, *thing.keywords.values()]
            elif isinstance(thing, FunctionType) and (thing.__module__ or "").partition(".")[0] not in LIBRARIES:
                found += [*autodiff.constants(thing.__code__), *_looked_up(thing)]
                code = thing.__code__
                branches = branches or autodiff.compares(code) or not BRANCHES.isdisjoint(autodiff.names(code))
        sizes = (abs(float(x)) for x in found if isinstance(x, (int, float)) and not isinstance(x, bool))
        numbers = dict.fromkeys(x for x in sizes if CONSTANTS[0] <= x <= CONSTANTS[1])
        common = [x for x in (1.0, 2.0) if x in numbers]
        return (*sorted((x for x in numbers if x not in common), key=lambda x: x > LARGE), *(common if branches else ()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Parts) and len(self.things) == len(other.things) and all(map(is_, self.things, other.things))

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.things)))


def _wrapped(thing: Any) -> Any:
    """What `jax.jit` or the like was made of; None if it is a library's own or there is none."""
    inner = getattr(thing, "__wrapped__", None)
    return None if (getattr(inner, "__module__", None) or "").partition(".")[0] in LIBRARIES else inner


@lru_cache(maxsize=16)
def _subjects(
    f: Function,
    claims: tuple[tuple[str, Function], ...],
    library: str,
    free: tuple[int, ...],
    name: str,
    made_of: _Parts,
    kept: tuple[_Kept | None, ...],
    copy: Function | None,
    *,
    traceable: bool,
) -> list[tuple[str, tuple[Callable[..., Linearization[Any]], Function, bool], bool]]:
    """(function, value, mapped) of each subject that the claims make, after what it is called, and whether JAX may differentiate its value.

    Kept from call to call, because JAX compiles once for each function object, but only as long as nothing in them is replaced.
    """
    lender = {"NumPy": _as_it_is, "JAX": autodiff.lent, "PyTorch": frameworks.lent_to_torch}[library]

    def lent(function: Function) -> Function:
        return _given(lender(function), kept)

    value = lent(f)
    of = {word: lent(claim) for word, claim in claims}
    jax = library == "JAX"
    mapped = (jax or (library == "NumPy" and traceable)) and not made_of.asks_for_equality
    found: list[tuple[str, tuple[Callable[..., Linearization[Any]], Function, bool], bool]] = []
    for group in (("jvp", "vjp"), ("grad",), ("jacobian",)):
        together: dict[str, Function] = {word: of[word] for word in group if word in of}
        if together:
            found.append((NOUNS.get(group[0], ""), (_linearization(value, together, free, name), value, mapped), True))
    if not of:
        plain = autodiff.without_custom_rule(f) if jax else None
        push, pull = autodiff.carried(f, free, with_forward=traceable) if jax else frameworks.carried_by_torch(f, free)
        carried = linearized(value, _pair_given(push, kept) if push else None, _pair_given(pull, kept))
        found.append(("", (carried, lent(plain) if plain else value, jax), plain is not None))
    if "hessian" in of:
        found.append((NOUNS["hessian"], *_hessian(copy or f, value, of, "JAX" if copy else library, free, kept, name)))
    return found


def _pair_given(derivative: Function, kept: tuple[_Kept | None, ...]) -> Function:
    """The same as `_given` for a derivative that takes all inputs and all directions."""
    return (lambda inputs, directions: derivative(_as_they_came(inputs, kept), directions)) if any(kept) else derivative


def _as_it_is(function: Function) -> Function:
    """The function as a new object, so that nothing known of it outlives the subject it is part of."""
    return lambda *arrays: function(*arrays)  # noqa: PLW0108  (a new object is what is wanted)


def _linearization(
    value: Function, of: dict[str, Function], free: tuple[int, ...], name: str, noun: str = NOUNS["jacobian"]
) -> Callable[..., Linearization[Any]]:
    """What is claimed in one of the spellings that `check` takes, as value, jvp and vjp."""

    def function(*inputs: Any) -> Linearization[Any]:
        y = value(*inputs)
        jvp: Function = unclaimed
        vjp: Function = unclaimed
        if "grad" in of:
            gradients = frameworks.as_tuple(of["grad"](*inputs))
            if len(gradients) != len(free):
                raise FaultError(
                    "shape", f"{name}: its gradient must be {_arrays(len(free))}, one for each input, but {len(gradients)} came"
                )
            vjp = lambda u: tuple(u * g for g in gradients)  # noqa: E731
        if "jacobian" in of:
            jvp, vjp = _maps(
                _matrices(frameworks.as_tuple(of["jacobian"](*inputs)), parts(y), [inputs[i] for i in free], name, noun), y, inputs, free
            )
        if "vjp" in of:
            vjp = lambda *cotangents: frameworks.as_tuple(of["vjp"](*inputs, *cotangents))  # noqa: E731
        if "jvp" in of:
            jvp = lambda *tangents: _pushed(of["jvp"](*inputs, *tangents), y)  # noqa: E731
        return Linearization(y, jvp, vjp)

    return function


def _pushed(answer: Any, y: Any) -> Any:
    """The tangent of the value; JAX's custom rules answer with a pair of value and tangent."""
    answers = frameworks.as_tuple(answer)
    return answers[-1] if not isinstance(y, tuple) and len(answers) == 2 else answers


def _arrays(count: int) -> str:
    return f"{count} array" if count == 1 else f"{count} arrays"


def _matrices(jacobians: tuple[Any, ...], values: tuple[Any, ...], inputs: list[Any], name: str, noun: str) -> list[Any]:
    """The Jacobian with respect to each input as a matrix: an entry of the value a row."""
    if len(values) != 1:
        raise FaultError("shape", f"{name}: jacobian= is for a value of one array, but it has {len(values)}; use vjp=")
    if len(jacobians) != len(inputs):
        raise FaultError("shape", f"{name}: its {noun} must be {_arrays(len(inputs))}, one for each input, but {len(jacobians)} came")
    matrices: list[Any] = []
    (value,) = values
    rows: tuple[int, ...] = np.shape(value)
    for J, x in zip(jacobians, inputs, strict=True):
        wanted = (*rows, *x.shape)
        if np.shape(J) != wanted:
            raise FaultError("shape", f"{name}: its {noun} has shape {np.shape(J)}, but must have shape {wanted}, value before input")
        matrices.append(reshape(J, (int(np.prod(rows)), int(np.prod(x.shape)))))
    return matrices


def _maps(matrices: list[Any], y: Any, inputs: tuple[Any, ...], free: tuple[int, ...]) -> tuple[Function, Function]:
    """The jvp and the vjp, by products with the Jacobian."""

    def jvp(*tangents: Any) -> Any:
        columns = [J @ reshape(t, (-1,)) for J, t in zip(matrices, tangents, strict=True)]
        total: Any = sum(columns[1:], columns[0])
        return reshape(total, np.shape(y))

    def vjp(u: Any) -> Any:
        return tuple(reshape(reshape(u, (-1,)) @ J, inputs[i].shape) for i, J in zip(free, matrices, strict=True))

    return jvp, vjp


def _hessian(
    f: Function,
    value: Function,
    of: dict[str, Function],
    library: str,
    free: tuple[int, ...],
    kept: tuple[_Kept | None, ...],
    name: str,
) -> tuple[Any, bool]:
    """The Hessian as the Jacobian of the gradient: of the one that is claimed too, or of that which the library itself finds."""
    if len(free) != 1:
        raise ValueError(f"check({name}): hessian= is for one differentiated input, but {len(free)} came; hold the others")
    (which,) = free
    if "grad" in of:
        gradient, traced = of["grad"], True
    elif library == "JAX":
        pull = _pair_given(autodiff.lent(autodiff.reverse(f, free), compiled=True), kept)
        gradient, traced = (lambda *inputs: pull(inputs, (np.ones(()),))[0]), True
    elif library == "PyTorch":
        pull = _pair_given(frameworks.carried_by_torch(f, free)[1], kept)
        gradient, traced = (lambda *inputs: pull(inputs, (np.ones(()),))[0]), False
    else:
        gradient, traced = (lambda *inputs: complex_step.gradient(value, inputs, which)), False
    return (_linearization(gradient, {"jacobian": of["hessian"]}, free, name, NOUNS["hessian"]), gradient, library == "JAX"), traced


# --- what is said of it ---------------------------------------------------------------------------------------------------------


def _as_claimed(verdict: Verdict, noun: str) -> Verdict:
    """The verdict in the words of the claim: who gave a gradient, a Jacobian or a Hessian has said nothing of jvp and vjp."""
    if not noun:
        return verdict
    name, of_it = re.escape(verdict.rule), f"the {noun} of {verdict.rule}"
    gradient = "the gradient with respect to"
    words = [
        (rf"the (?:jvp or the vjp|jvp|vjp) of {name}(?! is not the adjoint)", of_it),
        (rf"\b{name}\.(?:jvp|vjp)\b", of_it),
        (r"\bits (?:jvp|vjp)\b", f"its {noun}"),
        (r"the vjp with the tangent", f"the {noun} with the tangent"),
    ]
    if noun != NOUNS["grad"]:
        words += [
            (rf"each of the jvp(?:(?:,| and) {gradient} \w+)+", f"the {noun}"),
            (r"the gradient(s?) with respect to", rf"the {noun}\1 with respect to"),
            (r"the inner product of", "the inner product of the cotangent and"),
            (r"the jvp", f"the {noun} along a tangent"),
        ]
    if noun == NOUNS["hessian"]:
        words.append((r"the value", "the gradient"))

    def said(sentence: str) -> str:
        for pattern, word in words:
            sentence = re.sub(pattern, word, sentence)
        return sentence

    example = verdict.counterexample
    if example:
        worst = replace(example.worst, of=said(example.worst.of)) if example.worst else None
        example = replace(example, compared=said(example.compared), worst=worst)
    return replace(
        verdict,
        reason=said(verdict.reason),
        evidence=tuple(replace(e, note=said(e.note)) for e in verdict.evidence),
        explanations=tuple(replace(e, sentence=said(e.sentence), of=said(e.of)) for e in verdict.explanations),
        counterexample=example,
    )
