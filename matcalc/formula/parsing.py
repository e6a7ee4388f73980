"""Reading a formula, or a function and the claim about its derivative, which share their dialect, names and sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from matcalc.formula.expression import Expr, FormulaError, ShapeError
from matcalc.formula.grammar import Node, tree
from matcalc.formula.names import Variable, as_tex, surfaces
from matcalc.formula.operations import filled
from matcalc.formula.printing import shape_text, spell
from matcalc.formula.reading import Hook, Reader, short
from matcalc.formula.repairs import with_repairs
from matcalc.formula.size import ONE, Size
from matcalc.formula.tokens import Tokens, spelling_of, tokenize
from matcalc.formula.vocabulary import SPELLINGS, Spelling

Kind = Literal["auto", "gradient", "jacobian", "hessian", "differential"]


@dataclass(frozen=True)
class Parsed:
    """A formula as it was understood: the expression, how it was read where it could be read otherwise, and its variables."""

    text: str
    expr: Expr
    notes: tuple[str, ...]
    spelling: Spelling
    variables: Mapping[str, Variable] = field(hash=False)
    "The declared ones and those that were taken by convention, with the sizes that were found."


@dataclass(frozen=True)
class Pair:
    """A function and a claimed derivative. `claim` is None where the claim's own parts do not fit together.

    `problem` says so, or says that the claim's shape is not the `expected` one; it is None where all is well.
    """

    f: Parsed
    claim: Parsed | None
    wrt: Variable
    kind: Kind
    expected: tuple[Size, Size]
    problem: ShapeError | None = None


def parse(
    text: str,
    variables: Mapping[str, Variable] | Iterable[Variable] | None = None,
    *,
    spelling: Spelling | None = None,
    like: Expr | None = None,
    dimensions: Collection[str] = (),
    functions: Mapping[str, Hook] | None = None,
) -> Parsed:
    """The formula of a text.

    Names that are not declared follow the convention of `names.kind_of`, unless variables are given: then they are an error.
    `like` is an expression whose shape the formula must have. Raises FormulaError, and ShapeError where operands do not fit.
    """
    job = Job(variables, dimensions, functions, spelling)
    source = job.source(text)
    return job.decided([source], lambda reader: _one(reader, job, source, like))


def parse_pair(
    f: str,
    claim: str,
    variables: Mapping[str, Variable] | Iterable[Variable] | None = None,
    wrt: str = "",
    *,
    kind: Kind = "auto",
    spelling: Spelling | None = None,
    dimensions: Collection[str] = (),
    functions: Mapping[str, Hook] | None = None,
) -> Pair:
    """A function and the claim about its derivative; what either gives away of the spelling counts for both.

    The claim has the shape of the variable for a scalar f (`gradient`), the rows of f by the rows of the variable for a vector
    (`jacobian`), n by n for a `hessian`, and the shape of f for a `differential`, in which dX is the differential of X. `auto`
    takes the first that is possible. Raises FormulaError for what cannot be read; a claim whose shapes do not fit is returned.
    """
    job = Job(variables, dimensions, functions, spelling)
    if kind == "auto" and wrt and wrt in job.variables and f"d{wrt}" not in job.variables and _mentions(f"d{wrt}", claim):
        kind = "differential"
    if kind == "differential":
        job.add_differentials(wrt)
    sources = [job.source(f), job.source(claim)]
    return job.decided(sources, lambda reader: _two(reader, job, sources, wrt, kind))


def echo(parsed: Parsed) -> dict[Spelling, str]:
    """The formula as it was understood, in all four spellings."""
    return {spelling: spell(parsed.expr, spelling) for spelling in SPELLINGS}


def _mentions(name: str, text: str) -> bool:
    """Whether a name, in one of its spellings, stands in a text."""
    return any(re.search(rf"(?<![A-Za-z\\\\]){re.escape(form)}(?![A-Za-z])", text) for form in {*surfaces(name), as_tex(name)})


Result = TypeVar("Result", Parsed, Pair)


# --- how it is done -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A text with its tokens and its tree."""

    text: str
    tokens: Tokens
    tree: Node


class Job:
    """What is given beside the texts."""

    def __init__(
        self,
        variables: Mapping[str, Variable] | Iterable[Variable] | None,
        dimensions: Collection[str],
        functions: Mapping[str, Hook] | None,
        spelling: Spelling | None,
    ) -> None:
        given = variables.values() if isinstance(variables, Mapping) else variables or ()
        self.variables = {each.name: each for each in given}
        self.declared = variables is not None
        self.dimensions = set(dimensions)
        self.functions = functions or {}
        self.spelling: Spelling | None = spelling
        self.sources: list[Source] = []

    def add_differentials(self, wrt: str) -> None:
        """A name dX for every variable X, or for the one that is asked about."""
        for name in [wrt] if wrt in self.variables else list(self.variables):
            each = self.variables[name]
            self.variables.setdefault(f"d{name}", Variable(f"d{name}", each.rows, each.cols, "real", each.one_dimensional))

    def source(self, text: str) -> Source:
        """A text as a tree; of `f = x + y` the right side is read."""
        names = [*self.variables, *self.dimensions]
        for each in self.variables.values():
            names += each.rows.names | each.cols.names
        tokens = tokenize(text, names, spelling=self.spelling, functions=self.functions)
        body = tokens.tokens if tokens.equals is None else tokens.tokens[tokens.equals + 1 :]
        source = Source(text, tokens, tree(body, text))
        self.sources.append(source)
        return source

    def reader(self, *, numpy: bool) -> Reader:
        """A reader for one dialect."""
        sure = self.spelling == "numpy" or any("numpy" in source.tokens.evidence for source in self.sources)
        return Reader(self.variables, self.dimensions, self.functions, numpy=numpy, sure=sure, declared=self.declared)

    def dialects(self, sources: Sequence[Source]) -> list[bool]:
        """Which meanings of `*` are possible, by what all texts give away: entry by entry, the product of matrices, or both."""
        if self.spelling is not None:
            return [self.spelling == "numpy"]
        evidence = {spelling for source in sources for spelling in source.tokens.evidence}
        numpy = "numpy" in evidence
        other = bool(evidence - {"numpy"}) or any(source.tokens.juxtaposed for source in sources)
        return [numpy] if numpy != other else [True, False]

    def decided(self, sources: Sequence[Source], work: Callable[[Reader], Result]) -> Result:
        """The result of the one dialect in which the texts have a meaning; an error offers the readings where they have two."""
        results: list[tuple[Result, Reader]] = []
        failures: list[tuple[FormulaError, Reader]] = []
        for numpy in self.dialects(sources):
            reader = self.reader(numpy=numpy)
            try:
                results.append((work(reader), reader))
            except FormulaError as error:
                failures.append((error, reader))
        clean = [(result, reader) for result, reader in results if not isinstance(result, Pair) or result.problem is None] or results
        if not clean:
            failure, reader = failures[0]
            raise with_repairs(failure, reader, sources)
        (result, reader), *others = clean
        if others and _exprs(others[0][0]) != _exprs(result) and reader.stars:
            source, star = reader.stars[0]
            start, end = star.span
            left, right = star.parts
            a, b = source[left.start : left.end], source[right.start : right.end]
            raise FormulaError(
                f"{source[start:end]} can be the product of matrices or the product entry by entry; say which",
                text=source,
                span=star.span,
                repairs=(f"{a} @ {b}", f"{a} .* {b}"),
            )
        return result

    def parsed(self, source: Source, expr: Expr, reader: Reader, notes: Iterable[str]) -> Parsed:
        """What is known of a text in the end."""
        evidence = frozenset[Spelling]().union(*(each.tokens.evidence for each in self.sources))
        guess: Spelling = "unicode" if source.tokens.juxtaposed else "numpy" if reader.numpy else "matlab"
        spelling = self.spelling or spelling_of(source.tokens.evidence, default=spelling_of(evidence, default=guess))
        return Parsed(source.text, expr, tuple(notes), spelling, self.variables | reader.inferred)


def _exprs(result: Parsed | Pair) -> tuple[Expr | None, ...]:
    if isinstance(result, Parsed):
        return (result.expr,)
    return result.f.expr, None if result.claim is None else result.claim.expr


def _one(reader: Reader, job: Job, source: Source, like: Expr | None) -> Parsed:
    expr = reader.whole(source.tree, source.text)
    if like is not None:
        expr = _fitted(reader, expr, like.shape, source, "it")
    (expr,) = reader.finished(expr)
    return job.parsed(source, expr, reader, reader.notes)


def _fitted(reader: Reader, expr: Expr, shape: tuple[Size, Size], source: Source, word: str) -> Expr:
    """The expression with this shape; ShapeError if it has another. A bare 0 is a zero of every shape."""
    top = reader.sizes.top(expr)
    if top.op == "number" and not top.data and shape != (ONE, ONE):
        reader.note("I read 0 as an array of zeros")
        return filled("zeros", *shape, span=top.span)
    if reader.sizes.same(top.rows, shape[0]) and reader.sizes.same(top.cols, shape[1]):
        return expr
    wanted = shape_text(filled("zeros", *shape))
    error = ShapeError(
        f"{word} is {shape_text(reader.sizes.top(expr))}, but {wanted} was expected", text=source.text, span=(0, len(source.text))
    )
    turned = reader.sizes.known(shape[0]) == top.cols and reader.sizes.known(shape[1]) == top.rows
    error.repairs = (short(reader.transposed(expr), "numpy" if reader.numpy else "unicode"),) if turned else ()
    raise error


def _two(reader: Reader, job: Job, sources: list[Source], wrt: str, kind: Kind) -> Pair:
    function = reader.whole(sources[0].tree, sources[0].text)
    notes = list(reader.notes)
    reader.notes.clear()
    variable = reader.variables.get(wrt) or reader.inferred.get(wrt)
    if variable is None:
        raise FormulaError(f"the function does not contain {wrt or 'a variable that it could be differentiated by'}", text=sources[0].text)
    problem: ShapeError | None = None
    claim: Expr | None = None
    expected, found = _expected(reader, function, variable, kind)
    try:
        claim = reader.whole(sources[1].tree, sources[1].text)
        claim = _fitted(reader, claim, expected, sources[1], "the claim")
    except ShapeError as error:
        problem = with_repairs(error, reader, sources)
    (f_expr,) = reader.finished(function)
    expected = (reader.sizes.known(expected[0]), reader.sizes.known(expected[1]))
    f_parsed = job.parsed(sources[0], f_expr, reader, notes)
    claimed = None if claim is None else job.parsed(sources[1], reader.finished(claim)[0], reader, reader.notes)
    return Pair(f_parsed, claimed, f_parsed.variables[wrt], found, expected, problem)


def _expected(reader: Reader, function: Expr, variable: Variable, kind: Kind) -> tuple[tuple[Size, Size], Kind]:
    """The shape of a derivative, and which kind of derivative it is."""
    function = reader.sizes.top(function)
    if kind == "auto":
        kind = "gradient" if function.is_scalar else "jacobian"
    inputs = reader.sizes.known(variable.rows * variable.cols)
    match kind:
        case "gradient":
            return variable.shape, kind
        case "hessian":
            return (inputs, inputs), kind
        case "differential":
            return function.shape, kind
        case _:
            return (function.rows * function.cols, inputs), kind
