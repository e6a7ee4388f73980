"""Reading a formula, or a function and the claim about its derivative, which share their dialect, names and sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from matcalc.formula.expression import Expr, FormulaError, ShapeError
from matcalc.formula.grammar import Node, tree
from matcalc.formula.names import Variable, as_tex, kind_of, like, surfaces
from matcalc.formula.operations import filled
from matcalc.formula.printing import shape_text, spell
from matcalc.formula.reading import Reader, short, sizes_named
from matcalc.formula.repairs import with_repairs
from matcalc.formula.size import ONE, Size
from matcalc.formula.tokens import Tokens, spelling_of, tokenize
from matcalc.formula.vocabulary import SPELLINGS, Spelling

MAX_READINGS = 24
"Choices of names that are vectors, though by convention they are scalars, which are tried."
MAX_WORK = 30_000
"Tokens that are read in all of them together."
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
) -> Parsed:
    """The formula of a text.

    Names that are not declared follow the convention of `names.kind_of`, unless variables are given: then they are an error.
    `like` is an expression whose shape the formula must have. Raises FormulaError, and ShapeError where operands do not fit.
    """
    job = Job(variables, dimensions, spelling)
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
) -> Pair:
    """A function and the claim about its derivative; what either gives away of the spelling counts for both.

    The claim has the shape of the variable for a scalar f (`gradient`), the rows of f by the rows of the variable for a vector
    (`jacobian`), n by n for a `hessian`, and the shape of f for a `differential`, in which dX is the differential of X. `auto`
    takes the first that is possible. Raises FormulaError for what cannot be read; a claim whose shapes do not fit is returned.
    """
    job = Job(variables, dimensions, spelling, wrt)
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
        spelling: Spelling | None,
        wrt: str = "",
    ) -> None:
        given = variables.values() if isinstance(variables, Mapping) else variables or ()
        self.variables = {each.name: each for each in given}
        self.declared = variables is not None
        self.dimensions = set(dimensions)
        self.spelling: Spelling | None = spelling
        self.sources: list[Source] = []
        self.wrt = wrt

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
        undeclared: Literal["refused", "split", "foreign"] = "refused"
        if not self.declared:
            undeclared = "foreign" if self.sources else "split"
            own = [self.wrt] if self.wrt else []
            own += [name for source in self.sources for name in _names(source.tree)]
            names += [*own, *(f"d{name}" for name in own if self.sources)]
        whole = any(source.tokens.whole for source in self.sources)
        tokens = tokenize(text, names, spelling=self.spelling, undeclared=undeclared, whole=whole)
        body = tokens.tokens if tokens.equals is None else tokens.tokens[tokens.equals + 1 :]
        source = Source(text, tokens, tree(body, text))
        self.sources.append(source)
        return source

    def reader(self, *, numpy: bool, vectors: frozenset[str] = frozenset()) -> Reader:
        """A reader for one dialect, in which some of the scalars by convention are vectors. What is a size once is one everywhere."""
        sure = self.spelling == "numpy" or any("numpy" in source.tokens.evidence for source in self.sources)
        sizes = {name for source in self.sources for name in sizes_named(source.tree) if name.isalpha() and name not in self.variables}
        return Reader(self.variables, self.dimensions | sizes, numpy=numpy, sure=sure, declared=self.declared, vectors=vectors)

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
            result, reader = self.doubtless(sources, work, numpy=numpy)
            if isinstance(result, FormulaError):
                failures.append((result, reader))
            else:
                results.append((result, reader))
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

    def doubtless(
        self, sources: Sequence[Source], work: Callable[[Reader], Result], *, numpy: bool
    ) -> tuple[Result | FormulaError, Reader]:
        """The result with the fewest scalars by convention that are vectors, where some stand as only vectors do.

        A name that is transposed, that is added to an array, or that stands behind one in a product is taken for a vector if the
        whole text has a meaning so. Where no choice removes all doubts, the convention holds.
        """
        tried: dict[frozenset[str], tuple[Result | FormulaError, Reader]] = {}
        waiting: list[frozenset[str]] = [frozenset()]
        most = min(MAX_READINGS, 1 + MAX_WORK // sum(len(source.tokens.tokens) for source in sources))
        names = [name for source in sources for name in _names(source.tree)]
        scalars = [] if self.declared else [name for name in dict.fromkeys(names) if kind_of(name) == "scalar" and name != "pi"]
        best: frozenset[str] | None = None
        while waiting and len(tried) < most:
            vectors: frozenset[str] = waiting.pop(0)
            if vectors in tried:
                continue
            reader = self.reader(numpy=numpy, vectors=vectors)
            try:
                result: Result | FormulaError = work(reader)
            except FormulaError as error:
                result = error
            tried[vectors] = result, reader
            failed = isinstance(result, FormulaError)
            if not failed and not reader.doubts:
                best = vectors
                break
            doubted: list[str] = [name for name in scalars if name in reader.doubts and name not in vectors]
            others: list[str] = [name for name in scalars if name not in {*vectors, *doubted, "e"}] if failed and vectors else []
            waiting = [vectors | {*doubted}, *waiting, *(vectors | {name} for name in [*doubted, *others])]
        if best is None:
            best = next((vectors for vectors, (result, _) in tried.items() if not isinstance(result, FormulaError)), frozenset())
        result, reader = tried[best]
        if isinstance(result, ShapeError) and not best:
            _name_scalars(result, [name for name in scalars if name in reader.doubts])
        return result, reader

    def parsed(self, source: Source, expr: Expr, reader: Reader, notes: Iterable[str]) -> Parsed:
        """What is known of a text in the end."""
        evidence = frozenset[Spelling]().union(*(each.tokens.evidence for each in self.sources))
        guess: Spelling = "unicode" if source.tokens.juxtaposed else "numpy" if reader.numpy else "matlab"
        found = spelling_of(source.tokens.evidence, default=spelling_of(evidence, default=guess))
        if source.tokens.notes and found == "matlab":  # x'Ax is not MATLAB, which would not read it so
            found = "unicode"
        spelling = self.spelling or found
        return Parsed(source.text, expr, (*source.tokens.notes, *notes), spelling, self.variables | reader.inferred)


def _names(tree: Node) -> list[str]:
    """The names in a tree, in their order, with their indices where those are no entries."""
    found: list[tuple[int, str]] = []
    stack = [tree]
    while stack:
        each = stack.pop()
        stack.extend(each.parts)
        if each.kind == "name" and each.value != "I":
            words = [each.value] if isinstance(each.value, str) else ["_".join(each.value), each.value[0]]
            found += [(each.start, word) for word in words]
    return [word for _, word in sorted(found)]


def _name_scalars(error: FormulaError, names: Sequence[str]) -> None:
    """Say which names an error is about only because nobody declared them."""
    names = [name for name in names if len(name) < 20][:3]
    if names:
        taken = f"{' and '.join(names)} {'is taken for a scalar' if len(names) == 1 else 'are taken for scalars'}"
        error.args = (f"{error}; {taken}, which a declaration such as {names[0]}: real(n) changes",)


def _exprs(result: Parsed | Pair) -> tuple[Expr | None, ...]:
    """What two readings differ in, if they do; two claims that do not fit are the same."""
    if isinstance(result, Parsed):
        return (result.expr,)
    return result.f.expr, None if result.claim is None or result.problem else result.claim.expr


def _one(reader: Reader, job: Job, source: Source, like: Expr | None) -> Parsed:
    expr = reader.whole(source.tree, source.text).expr
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
    raise _misshapen(reader, expr, shape, source, word)


def _misshapen(reader: Reader, expr: Expr, shape: tuple[Size, Size], source: Source, word: str) -> ShapeError:
    """The error about an expression that should have another shape."""
    top = reader.sizes.top(expr)
    wanted = shape_text(filled("zeros", reader.sizes.known(shape[0]), reader.sizes.known(shape[1])))
    error = ShapeError(f"{word} is {shape_text(top)}, but {wanted} was expected", text=source.text, span=(0, len(source.text)))
    turned = reader.sizes.known(shape[0]) == top.cols and reader.sizes.known(shape[1]) == top.rows
    error.repairs = (short(reader.transposed(expr), "numpy" if reader.numpy else "unicode"),) if turned else ()
    return error


def _matched(reader: Reader, function: Expr, claim: Expr, expected: tuple[Size, Size], source: Source) -> Expr:
    """The claim with the expected shape; ShapeError if it has another, after which the sizes are those of the function alone."""
    before = reader.sizes.copied(), dict(reader.inferred), dict(reader.notes)
    plain = _plain_sizes(reader, function)
    try:
        fitted = _fitted(reader, claim, expected, source, "the claim")
        if _settled(reader, function, fitted) and (_plain_sizes(reader, function) or not plain):
            return fitted
    except ShapeError:
        pass
    reader.sizes, reader.inferred, reader.notes = before
    reader.finished(function)
    raise _misshapen(reader, claim, expected, source, "the claim")


def _settled(reader: Reader, *exprs: Expr) -> bool:
    """Whether sizes can be had with which expressions fit that have fitted so far."""
    try:
        for expr in exprs:  # the sizes of the function are named first, which may settle those of the claim
            reader.finished(expr)
    except ShapeError:
        return False
    return not reader.sizes.settle()


def _plain_sizes(reader: Reader, function: Expr) -> bool:
    """Whether no undeclared name in a function has a product of sizes for its size: n n rows are what only a misfit leads to."""
    names = [each for name, each in reader.inferred.items() if name in function.names]
    return all(len(factors) < 2 for each in names for size in each.shape for factors, _ in reader.sizes.known(size).terms)


def _because(error: ShapeError, reader: Reader, function: Expr, source: Source) -> ShapeError:
    """The error about a claim, with the shape of a function that is no scalar, since most functions are meant to be."""
    top = reader.sizes.top(function)
    scalars = [name for name in dict.fromkeys(_names(source.tree)) if name in reader.inferred and reader.inferred[name].shape == (ONE, ONE)]
    because = (
        f", because {' and '.join(scalars)} {'is a scalar' if len(scalars) == 1 else 'are scalars'} unless declared" if scalars else ""
    )
    if not top.is_scalar and "expected" in str(error):
        error.args = (f"{error} for the derivative of {short(top)}, which is {shape_text(top)}{because}",)
    return error


def _two(reader: Reader, job: Job, sources: list[Source], wrt: str, kind: Kind) -> Pair:
    function = reader.whole(sources[0].tree, sources[0].text).expr
    notes = list(reader.notes)
    reader.notes.clear()
    variable = reader.variables.get(wrt) or reader.inferred.get(wrt)
    if variable is None:
        meant = "".join(f"; did you mean {each}" for each in like(wrt, function.names))
        raise FormulaError(
            f"the function does not contain {wrt or 'a variable that it could be differentiated by'}{meant}", text=sources[0].text
        )
    problem: ShapeError | None = None
    claim: Expr | None = None
    expected, found = _expected(reader, function, variable, kind)
    before = reader.sizes.copied(), dict(reader.inferred)
    try:
        read = reader.whole(sources[1].tree, sources[1].text)
        claim = read.expr
        for name in sorted(claim.names & reader.inferred.keys() - function.names - {f"d{name}" for name in function.names}):
            reader.note(f"{name} does not occur in f")
        if read.flat and reader.sizes.known(expected[0]) == ONE != reader.sizes.known(expected[1]):
            claim = reader.transposed(claim)  # NumPy's Jacobian of a number is one-dimensional
        claim = _matched(reader, function, claim, expected, sources[1])
    except ShapeError as error:
        problem = with_repairs(_because(error, reader, function, sources[0]) if found == "jacobian" else error, reader, sources)
        if claim is None:  # what it says of sizes says nothing
            reader.sizes, reader.inferred = before
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
