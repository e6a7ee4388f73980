"""The displayed equations of a rule, executed: what is printed is what was verified.

Every equation is read, evaluated at random points and compared with what the rule's code says there. A name that stands alone on
the left of an equation and is neither an input nor a part of the value is thereby defined; so are the factors in A = U diag(s) Vᵀ and
functions such as Φ(X) = tril(X) - ½ I ⊙ X. An equation between entries, F_ij = ..., is executed entry by entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc import array as words
from matcalc.array import parts
from matcalc.cases import PROFILES, draw, groups
from matcalc.derivation.graphing import graph
from matcalc.domain import Symmetric
from matcalc.formula import Expr, FormulaError, OpenSizeError, ShapeError, Variable, parse
from matcalc.formula.names import canonical
from matcalc.formula.operations import CONSTANTS, Point, evaluate
from matcalc.formula.operations import name as formula_name
from matcalc.formula.size import ONE, Size
from matcalc.formula.tokens import names_in, tokenize
from matcalc.verdict import Statement, Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matcalc.cases import Batch
    from matcalc.domain import Domain
    from matcalc.graph import Graph
    from matcalc.rule import Rule, Subject

    Floats = NDArray[np.float64]

AGREES = 1e-7
"Relative difference up to which the two sides of an equation agree: both are computed in double precision, at tame points."
GROUPS, CASES = 2, 2
"Sizes at which a statement is executed, and points of each."
SYMBOL = (
    r"(?:(?<![A-Za-z\\])(d)(?=\\[A-Za-z]|[A-Za-z](?![A-Za-z])))?(?:(\\bar)\s*)?"
    r"(\\[A-Za-z]+|(?:(?<![A-Za-z\\])|(?<=(?<![A-Za-z\\])d))[A-Za-z])(?:_(\w|\{[\w+-]+\}))?"
)
"A d, a bar, a letter, an index."
MOST_ROUNDS = 40
"How often the equations are gone through: each time something new must have become known."


class NotExecutableError(Exception):
    """An equation that cannot be evaluated, for a reason that is one sentence."""


@dataclass(frozen=True)
class Equation:
    """One equation of a display; `line` is the display's number."""

    line: int
    left: str
    right: str

    @cached_property
    def symbol(self) -> str:
        """The name that its left side is, if it is one."""
        return symbol(self.left)

    @property
    def tex(self) -> str:
        """As it is printed."""
        return f"{self.left} = {self.right}" if self.left else self.right


def equations(displays: Sequence[str]) -> Iterator[Equation]:
    """The equations of the displays: those of one display are separated by a comma and a quad."""
    for line, display in enumerate(displays):
        for tex in re.split(r",\s*\\quad", display):
            left, equals, right = _at_top_level(tex.strip(), "=")
            yield Equation(line, left.strip() if equals else "", right.strip() if equals else left.strip())


def execute(rule: Rule[Any, Any], seed: int = 0) -> tuple[Statement, ...]:
    """What became of every equation of a rule; one statement each, in their order.

    Nothing is raised for a bad rule: what its code cannot be asked about is not executable.
    """
    stated = list(equations(rule.equations))
    found: list[_Outcome] = [_Outcome() for _ in stated]
    declared = _declared(rule, stated)
    try:
        for sizes in _sizes(rule):
            batch = draw(rule, sizes, CASES, seed, PROFILES["quick"])
            called = _value_names(rule, stated, len(batch.cotangents))
            for case in range(batch.count):
                seen = [_Execution(rule, stated, batch, case, names, names=dict(declared)).outcomes() for names in called]
                best = min(seen, key=lambda outcomes: sum(not o.status.good for o in outcomes))  # what the parts are called, then
                for one, outcome in zip(best, found, strict=True):
                    outcome.add(one)
    except Exception as error:  # noqa: BLE001  (whatever a rule's code does)
        found = [_Outcome(note=f"{rule.name} raises {type(error).__name__}: {' '.join(str(error).split())}") for _ in stated]
    return tuple(Statement(e.tex, e.line, o.status, o.error, o.note) for e, o in zip(stated, found, strict=True))


def picture(rule: Rule[Any, Any], seed: int = 0) -> Graph | None:
    """The computational graph of the printed value at a small random point, with what the statement defines put in its place.

    None where the value is not printed as a formula of the inputs, or has no derivative in matrix form.
    """
    f = _value_of(rule)
    sizes = next(iter(_sizes(rule)), None)
    if f is None or sizes is None:
        return None
    batch = draw(rule, sizes, 1, seed, PROFILES["quick"])
    values = {name: np.round(x, 2) for name, x in zip(rule.domains, batch.point(0), strict=True)}
    symmetric = [name for name, domain in rule.domains.items() if isinstance(domain, Symmetric)]
    try:
        return graph(f, values, [name for name in rule.differentiated if name in f.names], symmetric)
    except (FormulaError, ArithmeticError, ValueError):
        return None


def _value_of(rule: Rule[Any, Any]) -> Expr | None:
    """The printed value as one expression in the inputs."""
    known = {name: _input(name, domain) for name, domain in rule.domains.items()}
    stated = list(equations(rule.equations))
    waiting = [e for e in stated if e.symbol]
    dimensions = tuple(dict.fromkeys(size for x in known.values() for s in x.shape for size in s.names))
    for _ in range(len(waiting)):
        for e in waiting:
            if canonical(e.symbol) in {canonical(name) for name in known}:
                continue
            try:
                variables = tuple(Variable(name, *x.shape) for name, x in known.items())
                known[e.symbol] = _read(e.right, variables, dimensions, None).replaced({n: x for n, x in known.items() if x.op != "name"})
            except FormulaError:
                continue
    return known.get(stated[0].symbol) if stated[0].symbol not in rule.domains else None


def _input(name: str, domain: Domain) -> Expr:
    """An input as an expression."""
    sizes = [Size.of(int(d.name) if d.name.isdigit() else d.name) for d in domain.dims]
    rows, cols = (*sizes, ONE, ONE)[:2]
    return formula_name(name, rows, cols)


def _sizes(rule: Rule[Any, Any]) -> list[dict[str, int]]:
    """Sizes at which no two dimensions are equal, and none is 1 where that can be helped."""
    found = sorted(groups(rule, PROFILES["quick"]), key=lambda sizes: (-len(set(sizes.values())), min(sizes.values(), default=0) < 2))
    return [dict(sizes) for sizes in found[:GROUPS]]


# --- one point -----------------------------------------------------------------------------------------------------------------


@dataclass
class _Outcome:
    """What is known of one equation so far: the worst error, or why it could not be executed."""

    error: float | None = None
    defines: bool = False
    misfits: bool = False  # its shapes do not fit together
    note: str = ""

    def add(self, other: _Outcome) -> None:
        """Take another point into account; a reason why not is kept only if no point gave an answer."""
        self.defines |= other.defines
        self.misfits |= other.misfits
        if other.error is not None:
            self.error = max(self.error or 0.0, other.error)
            self.note = ""
        elif self.error is None and not self.defines:
            self.note = other.note

    @property
    def status(self) -> Status:
        """Agreed, disagreed, or not executable."""
        if self.error is None:
            return Status.VERIFIED if self.defines else Status.VACUOUS
        if self.misfits:  # it holds at some sizes, and at others its shapes do not even fit
            return Status.REFUTED
        return Status.VERIFIED if self.error <= AGREES else Status.REFUTED


def _value_names(rule: Rule[Any, Any], stated: Sequence[Equation], count: int) -> list[tuple[str, ...]]:
    """What the parts of the value may be called: they have differentials and bars, though they are no inputs."""
    found = [m for e in stated for m in re.finditer(SYMBOL, _without_indices(e.tex))]
    bars = {canonical(symbol(m[0]).removesuffix("_bar")) for m in found if m[2]}
    own = {canonical(name) for name in rule.domains}
    defined = {canonical(e.symbol.removesuffix("_bar")) for e in stated if e.symbol.endswith("_bar")}
    order = [symbol(m[0]).removesuffix("_bar").removeprefix(m[1] or "") for m in found]
    used = [n for n in dict.fromkeys(order) if canonical(n) in bars - own]
    used = [n for n in used if canonical(n) not in defined] or used
    if len(used) < count:  # what stands alone on the left of an equation, then; or names that nobody writes
        used = list(dict.fromkeys([*used, *(e.symbol for e in stated if e.symbol and canonical(e.symbol) not in own)]))
        used += [f"value_{k}" for k in range(count - len(used))]
    return list(permutations(used[: count + 1], count))


def _declared(rule: Rule[Any, Any], stated: Sequence[Equation]) -> dict[str, str]:
    """Every name of a rule's statement, by its canonical form: those that equations define, inputs, and what goes with them."""
    stems = [*rule.domains, *(f"{name}_0" for name in rule.domains if re.search(rf"(?<![A-Za-z\\]){name}_0", " ".join(rule.equations)))]
    given = [name for stem in stems for name in (stem, f"d{stem}", f"{stem}_bar")]
    return {canonical(name): name for name in (*given, *(symbol(_without_indices(e.left)) for e in stated)) if name}


@dataclass
class _Execution:
    """The equations of a rule being executed at one point: what is known there, by canonical name."""

    rule: Subject
    stated: Sequence[Equation]
    batch: Batch
    case: int
    value_names: tuple[str, ...]
    known: dict[str, tuple[str, Floats]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # all that the statement speaks of, known or not
    written_out: dict[str, str] = field(default_factory=dict)  # names that stand for a text, as T for tril(1 1ᵀ): its size hangs on its use
    functions: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        batch, case = self.batch, self.case
        for name in self.value_names:
            self.names |= {canonical(word): word for word in (name, f"d{name}", f"{name}_bar")}
        inputs = batch.point(case)
        at = self.rule.function(*inputs)
        tangents = [np.asarray(t[case, 0]) for t in batch.tangents]
        cotangents = [np.asarray(c[case, 0]) for c in batch.cotangents]
        for name, x in zip(self.rule.domains, inputs, strict=True):
            self.know(name, x)
        for name, dx, x_bar in zip(self.rule.differentiated, tangents, parts(at.vjp(*cotangents)), strict=True):
            self.know(f"d{name}", dx)
            self.know(f"{name}_bar", x_bar)
        for name, y, dy, y_bar in zip(self.value_names, parts(at.value), parts(at.jvp(*tangents)), cotangents, strict=True):
            self.know(name, y)
            self.know(f"d{name}", dy)
            self.know(f"{name}_bar", y_bar)
        for name, x in list(self.known.values()):  # entries that are counted from 0, as coefficients of polynomials are
            stem = name.removesuffix("_bar")
            if x.ndim == 1 and canonical(f"{stem.removeprefix('d')}_0") in self.names:
                for k, entry in enumerate(x):
                    self.know(f"{stem}_{k}" + name.removeprefix(stem), entry)

    def know(self, name: str, value: Any) -> None:
        """A name and its value."""
        self.known[canonical(name)] = (name, np.asarray(value, dtype=np.float64))

    def outcomes(self) -> list[_Outcome]:
        """What comes of every equation; those that define something others need are executed first."""
        found = [_Outcome(note="nothing was tried") for _ in self.stated]
        waiting = list(range(len(self.stated)))
        for _ in range(MOST_ROUNDS):
            left = [k for k in waiting if not self.take(k, found)]
            if left == waiting:
                break
            waiting = left
        return found

    def take(self, k: int, found: list[_Outcome]) -> bool:
        """Execute one equation if all that it needs is known; whether it is done with."""
        try:
            found[k] = self.executed(self.stated[k])
        except (NotExecutableError, FormulaError, ArithmeticError, LookupError) as reason:
            found[k] = _Outcome(misfits=isinstance(reason, ShapeError), note=" ".join(str(reason).split()))
            return False
        return True

    # --- kinds of equations ----------------------------------------------------------------------------------------------------

    def executed(self, equation: Equation) -> _Outcome:
        """Define what it defines, or compare its sides."""
        if not equation.left:
            raise NotExecutableError("there is no equals sign in it")
        for attempt in (self.partial, self.defines_function, self.factors, self.indexed):
            outcome = attempt(equation)
            if outcome is not None:
                return outcome
        name = equation.symbol
        if name and canonical(name) not in self.known:
            try:
                self.know(name, self.value(equation.right))
            except OpenSizeError:
                self.written_out[name] = equation.right
            return _Outcome(defines=True)
        left, right = self.value(equation.left, equation.right), self.value(equation.right, equation.left)
        return _Outcome(error=_difference(*self.tangential(name, left, right)))

    def tangential(self, name: str, left: Floats, right: Floats) -> tuple[Floats, Floats]:
        """A gradient is known on the tangent space of its domain only."""
        for free in self.rule.differentiated:
            if name and canonical(name) == canonical(f"{free}_bar"):
                domain: Domain = self.rule.domains[free]
                x = self.batch.point(self.case)[list(self.rule.domains).index(free)]
                return tuple(np.asarray(domain.tangent(x, side.reshape(x.shape))) for side in (left, right))  # type: ignore[return-value]
        return left, right

    def partial(self, equation: Equation) -> _Outcome | None:
        r"""\frac{\partial y}{\partial x} = ...: the rule's derivative by one input; entry by entry where there are indices."""
        match = re.fullmatch(r"\\frac\{\\partial (\w+?)(?:_(\w|\{\w+\}))?\}\{\\partial (\w+?)(?:_(\w|\{\w+\}))?\}", equation.left)
        if match is None:
            return None
        of, by = match[1], match[3]
        rows, cols = ((match[k] or "").strip("{}") for k in (2, 4))
        position = self.rule.differentiated.index(by)
        at = self.rule.function(*self.batch.point(self.case))
        value, x = self.known[canonical(of)][1], self.known[canonical(by)][1]

        def moved(place: tuple[int, ...]) -> Floats:
            tangents = [np.zeros(t.shape[2:]) for t in self.batch.tangents]
            tangents[position][place] = 1.0
            return np.asarray(at.jvp(*tangents))

        true = np.stack([moved(place) for place in np.ndindex(*x.shape)], axis=-1)
        if not rows:
            return _Outcome(error=_difference(true, self.value(equation.right)))
        ranges = dict(zip(rows + cols, value.shape + x.shape, strict=True))
        entries = [self.scalar(equation.right, dict(zip(ranges, at, strict=True))) for at in product(*map(range, ranges.values()))]
        return _Outcome(error=_difference(true.ravel(), np.asarray(entries)))

    def defines_function(self, equation: Equation) -> _Outcome | None:
        r"""\Phi(X) = ...: a function that other equations use; where it is used its argument takes the place of X."""
        match = re.fullmatch(r"(\\[A-Z]\w+)\((\w)\)", equation.left)
        if match is None:
            return None
        self.functions[match[1]] = (match[2], equation.right)
        return _Outcome(defines=True)

    def factors(self, equation: Equation) -> _Outcome | None:
        r"""A = V \operatorname{diag}(\lambda) V^\top and its like, where the factors are not known yet."""
        match = re.fullmatch(rf"({SYMBOL}) \\operatorname\{{diag\}}\(({SYMBOL})\) ({SYMBOL})(\^\\top|\^\{{-1\}})", equation.right)
        if match and canonical(equation.symbol) in self.known:
            names = [symbol(match[k]) for k in (1, 6, 11)]
            if all(canonical(name) in self.known for name in names):
                return None
            for name, factor in zip(names, _factors(self.known[canonical(equation.symbol)][1], names, match[16]), strict=True):
                if canonical(name) not in self.known:
                    self.know(name, factor)
            return _Outcome(defines=True)
        if re.fullmatch(r"[A-Z] v", equation.left) and any(e.left == rf"{equation.left[0]}^\top u" for e in self.stated):
            U, _, Vt = words.thin_svd(self.known[equation.left[0]][1])
            self.know("u", U[:, 0])
            self.know("v", Vt[0])
        return None

    def indexed(self, equation: Equation) -> _Outcome | None:
        r"""F_{ij} = ...: an array by its entries; F_{ii} = ... in another equation says what stands on the diagonal."""
        match = re.fullmatch(SYMBOL, equation.left)
        indices = match[4].strip("{}") if match and match[4] else ""
        if not indices or not set(indices) <= set("ijkl"):
            if re.match(r"\\(sum|prod)_", equation.right):
                return _Outcome(error=_difference(self.value(equation.left), np.asarray(self.scalar(equation.right, {}))))
            return None
        tex = equation.left[: equation.left.rindex("_")]
        name = symbol(tex)
        if len(set(indices)) < len(indices):  # the diagonal, which is executed with the rest
            if canonical(name) not in self.known:
                raise NotExecutableError(f"{tex} is not known")
            size = len(self.known[canonical(name)][1])
            entries = [self.scalar(equation.right, {indices[0]: k}) for k in range(size)]
            return _Outcome(error=_difference(np.diagonal(self.known[canonical(name)][1]), np.asarray(entries)))
        ranges = {index: self.range(index, equation) for index in indices}
        diagonal = next((e.right for e in self.stated if re.fullmatch(re.escape(tex) + r"_\{(\w)\1\}", e.left)), None)
        value = np.empty(tuple(ranges.values()))
        for place in np.ndindex(*value.shape):
            same = diagonal is not None and len(set(place)) < len(place)
            value[place] = self.scalar(diagonal if same and diagonal is not None else equation.right, dict(zip(ranges, place, strict=True)))
        if canonical(name) not in self.known:
            self.know(name, value)
            return _Outcome(defines=True)
        return _Outcome(error=_difference(self.known[canonical(name)][1], value))

    def range(self, index: str, equation: Equation) -> int:
        """How far an index runs: as far as that axis of an array which it is an index of."""
        for match in re.finditer(SYMBOL, f"{equation.left} {equation.right}"):
            indices = (match[4] or "").strip("{}")
            array = self.known.get(canonical(symbol(_without_indices(match[0]))))
            if index in indices and array is not None and array[1].ndim == len(indices):
                return array[1].shape[indices.index(index)]
        other = re.search(rf"_\{{(\w) \\ne {index}\}}", equation.right)
        if other:
            return self.range(other[1], equation)
        raise NotExecutableError(f"nothing says how far {index} runs")

    # --- values ----------------------------------------------------------------------------------------------------------------

    def value(self, tex: str, beside: str = "") -> Floats:
        """The value of one side; where it does not say how large it is, as large as the other, if that is a name."""
        other = self.known.get(canonical(symbol(beside))) if symbol(beside) else None
        like = _variable(*other) if other else None
        return self.evaluated(self.expanded(tex), dict(self.known.values()), like)

    def evaluated(self, tex: str, values: Mapping[str, Floats], like: Variable | None = None) -> Floats:
        """The value of a text, of the shape of `like`; NotExecutableError names what is not known yet."""
        sizes = dict(self.batch.sizes)
        names = {**self.names, **{canonical(name): name for name in values}}
        known = {canonical(name) for name in values} | ({canonical(name) for name in (*sizes, *CONSTANTS, "I")} - self.names.keys())
        for name in _names(tex, (*names.values(), *sizes)):
            if canonical(name) not in known:
                raise NotExecutableError(f"{name} is not known")
        expr = _read(tex, tuple(_variable(name, x) for name, x in values.items()), tuple(sizes), like)
        return np.asarray(evaluate(expr, Point(values, sizes, np.zeros(()))), dtype=np.float64)

    def expanded(self, tex: str) -> str:
        """The same with what other equations define as a function, or without a size, written out."""
        for name, body in self.written_out.items():
            tex = re.sub(rf"(?<![A-Za-z\\_]){re.escape(name)}(?![A-Za-z_])", f"({body})".replace("\\", "\\\\"), tex)
        for _ in range(10):
            for head, (argument, body) in self.functions.items():
                start = tex.find(f"{head}(")
                if start < 0:
                    continue
                inside, end = _bracketed(tex, start + len(head))
                written = re.sub(rf"(?<![A-Za-z\\]){argument}(?![A-Za-z])", f"({inside})".replace("\\", "\\\\"), body)
                tex = f"{tex[:start]}({written}){tex[end:]}"
                break
            else:
                return tex
        raise NotExecutableError("a function is defined by itself")

    def scalar(self, tex: str, place: Mapping[str, int]) -> float:
        """The value of an entry: sums and products are written out, entries stand for arrays with an index."""
        text = self.unrolled(tex, place)
        entries: dict[str, Floats] = {}

        def entry(match: re.Match[str]) -> str:
            if not match[4]:
                return match[0]
            indices = _index_values(match[4].strip("{}"), place)
            known = self.known.get(canonical(symbol(match[0][: match.start(4) - match.start() - 1])))
            if match[3] == r"\delta" and known is None:
                return str(int(len(set(indices)) == 1))
            if known is None or known[1].ndim != len(indices):
                return match[0]
            inside = all(0 <= i < n for i, n in zip(indices, known[1].shape, strict=True))
            entries[f"q_{len(entries)}"] = known[1][tuple(indices)] if inside else np.zeros(())  # beyond its ends an array is zero
            return f" q_{{{len(entries) - 1}}} "

        text = re.sub(SYMBOL, entry, text)
        scalars = {name: x for name, x in self.known.values() if x.ndim == 0}
        return float(self.evaluated(text, {**scalars, **entries}))

    def unrolled(self, tex: str, place: Mapping[str, int]) -> str:
        r"""\sum_{j=1}^3 and \prod_{j \ne i} written out: each takes all that follows it."""
        match = re.search(r"\\(sum|prod)_(\{.*?\}|\w)(?:\^(\{.*?\}|\w))?", tex)
        if match is None:
            return tex
        head, condition, body = tex[: match.start()], match[2].strip("{}").strip(), tex[match.end() :]
        index = condition[0]
        bounds = re.fullmatch(rf"{index}\s*=\s*1", condition)
        if bounds and match[3]:
            top = int(np.asarray(self.value(match[3].strip("{}"))))
            values = range(top)
        else:
            values = range(self.range(index, Equation(0, "", body)))
        other = re.fullmatch(rf"{index}\s*\\ne\s*(\w)", condition)
        terms = ["(" + self.entries_named(body, {**place, index: k}) + ")" for k in values if other is None or k != place[other[1]]]
        joined = (" + " if match[1] == "sum" else " ").join(terms) or ("0" if match[1] == "sum" else "1")
        return f"{head}({joined})"

    def entries_named(self, body: str, place: Mapping[str, int]) -> str:
        """The body of a sum with its indices as numbers, counted from 1 as in print."""
        return re.sub(
            r"_(\w|\{[\w+-]+\})",
            lambda m: (
                "_{" + ",".join(str(v + 1) for v in _index_values(m[1].strip("{}"), place)) + "}" if any(c in place for c in m[1]) else m[0]
            ),
            body,
        )


# --- text ----------------------------------------------------------------------------------------------------------------------


def _at_top_level(tex: str, sign: str) -> tuple[str, str, str]:
    """The text before and after the first such sign outside of all braces."""
    depth = 0
    for k, letter in enumerate(tex):
        depth += (letter == "{") - (letter == "}")
        if letter == sign and depth == 0:
            return tex[:k], sign, tex[k + 1 :]
    return tex, "", ""


def _bracketed(tex: str, start: int) -> tuple[str, int]:
    """What stands between the bracket at `start` and its partner, and where that ends."""
    depth = 0
    for k in range(start, len(tex)):
        depth += (tex[k] == "(") - (tex[k] == ")")
        if depth == 0:
            return tex[start + 1 : k], k + 1
    raise NotExecutableError("a bracket is not closed")


def _index_values(indices: str, place: Mapping[str, int]) -> list[int]:
    """Indices from 0: letters by their values, digits as they are counted in print, sums such as i+j-1."""
    if "," in indices:
        return [int(word) - 1 for word in indices.split(",")]
    if not set("+-") & set(indices):
        return [place[letter] if letter in place else int(letter) - 1 for letter in indices if letter in place or letter.isdigit()]
    total = -1
    for sign, word in re.findall(r"([+-]?)(\w+)", indices):
        total += (-1 if sign == "-" else 1) * (place[word] + 1 if word in place else int(word))
    return [total]


@lru_cache(maxsize=4096)
def _names(tex: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The names in a text."""
    return tuple(names_in(tokenize(tex, known, spelling="latex")))


@lru_cache(maxsize=4096)
def _read(tex: str, variables: tuple[Variable, ...], dimensions: tuple[str, ...], like: Variable | None) -> Expr:
    """The formula of a text; the same equations are met at every point of one shape."""
    shape = formula_name(like.name, like.rows, like.cols) if like else None
    return parse(tex, variables, spelling="latex", dimensions=dimensions, like=shape).expr


def symbol(tex: str) -> str:
    r"""The name that a text is: `W_1_bar` for \bar W_1, `dmu_0` for d\mu_0; empty for anything else."""
    match = re.fullmatch(SYMBOL, tex.strip())
    if match is None or match[3] in {r"\bar", r"\operatorname", r"\mathbf"}:
        return ""
    index = (match[4] or "").strip("{}")
    return (match[1] or "") + match[3].lstrip("\\") + (f"_{index}" if index else "") + ("_bar" if match[2] else "")


def _without_indices(tex: str) -> str:
    """The same without indices that are letters, or sums of them."""
    return re.sub(r"_(?:[ijkl]|\{[ijkl][ijkl\d+-]*\})", "", tex)


def _factors(A: Floats, names: Sequence[str], last: str) -> tuple[Floats, Floats, Floats]:
    """The factors of a matrix that have these names: of an eigen- or of a singular value decomposition."""
    if names[0] != names[2]:
        U, s, Vt = words.thin_svd(A)
        return U, s, Vt.T
    spectrum, V = words.eigh(A) if last == r"^\top" else words.eig_real(A)
    return V, spectrum, V


def _variable(name: str, x: Floats) -> Variable:
    rows = Size.of(x.shape[0]) if x.ndim else ONE
    return Variable(name, rows, Size.of(x.shape[1]) if x.ndim > 1 else ONE)


def _difference(left: Floats, right: Floats) -> float:
    """The largest difference of two arrays relative to their size; infinite if their shapes differ."""
    left, right = (x.reshape(x.shape[:-1]) if x.ndim == 2 and x.shape[-1] == 1 else x for x in (left, right))
    if left.shape != right.shape:
        return np.inf
    size = max((float(np.max(np.abs(x), initial=0.0)) for x in (left, right)), default=0.0)
    return float(np.max(np.abs(left - right), initial=0.0)) / (size or 1.0)
