"""Claims as people type them: a function, a variable and a derivative as text, one at a time or a file of them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from matcalc.claims.counterexample import smallest
from matcalc.claims.deciding import decide
from matcalc.claims.explain import explain
from matcalc.claims.layers import Layer
from matcalc.claims.points import Variable
from matcalc.claims.question import KINDS, Question, all_equal, kind_of, named
from matcalc.claims.search import COSTS, Reason, Spell
from matcalc.claims.terms import aligned
from matcalc.claims.verdict import ClaimVerdict
from matcalc.derivation import clock, derive, differential, hessian, simplified
from matcalc.formula import names
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import make
from matcalc.formula.parsing import Job, Kind, Pair, Parsed, echo, parse, parse_pair
from matcalc.formula.printing import spell
from matcalc.formula.size import ONE, Size
from matcalc.formula.vocabulary import SPELLINGS, Spelling

Declared = Mapping[str, Any] | Iterable[Any] | None
Declarations = dict[str, names.Variable] | None
TROUBLE = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"What computing with somebody's formula may end in; FormulaError, RecursionError and OutOfTimeError are some of them."
TOO_MUCH = (clock.OutOfTimeError, MemoryError, RecursionError)
"What ends a computation that is too long, too large or too deep."
LARGEST = 1000
"The largest size of a dimension that can be told."
MOST_DERIVING, MOST_TELLING = 3.0, 1.0
"Seconds for the right formula, and for each of the other things that are told beside a verdict, which is known without them."


def check_claim(
    f: str,
    wrt: str,
    claim: str | None = None,
    variables: Declared = None,
    *,
    kind: str = "auto",
    dims: Sequence[Mapping[str, int]] | None = None,
    spelling: Spelling | None = None,
    seed: int = 0,
    seconds: float = clock.SECONDS,
) -> ClaimVerdict:
    """Whether `claim` is the derivative of `f` with respect to `wrt`; without a claim, what the derivative is, verified.

    `variables` are declarations such as `"K: spd(n)"`, `"A: real(m, n)"`, `"a: positive"`, or a mapping from names to them or to
    their shapes; names that are not declared follow matrixcalculus.org's convention if none is. `kind` is one of gradient,
    jacobian, differential (a claim in which dX stands for the differential of X), hessian, or auto. `dims` are the sizes to look
    at; what is not known after about so many `seconds` is inconclusive. A wrong claim is a verdict, and so is one whose shapes do not
    fit; FormulaError is raised for a text that cannot be read, ValueError for a question that makes no sense.
    """
    started = time.perf_counter()
    if kind not in {"auto", *KINDS}:
        raise ValueError(f"kind is one of auto, {', '.join(KINDS)}, but {kind!r} came")
    for word, number in (("seconds", seconds), ("seed", seed)):
        if not 0 <= number < math.inf:
            raise ValueError(f"{word} must be a number from 0 on, but {number} came")
    spelling = _told_spelling(spelling)
    declared = declarations(variables)
    sizes = _sizes(dims)
    asked = ClaimVerdict(f, wrt, claim, kind, "inconclusive")
    try:
        with clock.within(seconds):
            answered = _derived if claim is None else _judged
            verdict = answered(asked, declared, sizes, spelling, seed)
    except TOO_MUCH as error:
        verdict = replace(asked, reason=_too_much(error))
    return replace(verdict, seconds=time.perf_counter() - started)


def declarations(variables: Declared) -> Declarations:
    """Declarations in any of the forms that are understood, by name; ValueError for one that is none, TypeError for what is no text."""
    if variables is None:
        return None
    items: Iterable[tuple[str, Any]]
    if isinstance(variables, Mapping):
        items = variables.items()
    else:
        items = (("", each) for each in ([variables] if isinstance(variables, str) else variables))
    found: dict[str, names.Variable] = {}
    for name, given in items:
        if isinstance(given, names.Variable):
            variable = given
        elif isinstance(given, str):
            variable = names.variable(given if ":" in given else f"{name}: {given}")
        elif isinstance(given, Mapping):
            variable = names.from_sample({name: given})[name]
        else:
            raise TypeError(f'{name or "a variable"} is declared as in "K: spd(n)", but {given!r} came')
        if found.get(variable.name, variable) != variable:
            raise ValueError(f"{variable.name} is declared in two ways")
        found[variable.name] = variable
    return found


# --- a claim -----------------------------------------------------------------------------------------------------------------------


def _begun(asked: ClaimVerdict, f: Parsed, claim: Parsed | None = None) -> tuple[ClaimVerdict, tuple[Variable, ...], Spell]:
    """What can be told of a question as soon as it is read, its inputs, and how an expression is written in its spelling."""
    variables = _variables(f.variables, claim.variables if claim else {})
    wrt = named(variables, asked.wrt)
    kind = _kind(asked.kind, f.expr, wrt, claim.expr if claim else None)
    order = [f"rows and columns of the Hessian are in the order of vec({wrt.name}), columns first"]
    ordered = order if kind == "hessian" and ONE not in (wrt.rows, wrt.cols) else []
    notes = tuple(dict.fromkeys([*f.notes, *(claim.notes if claim else ()), *ordered]))
    reading = {"f": _echoed(f)} | ({"claim": _echoed(claim)} if claim else {})
    verdict = replace(asked, kind=kind, spelling=str(f.spelling), notes=notes, reading=reading)
    return verdict, variables, partial(_spelled, spelling=f.spelling)


def _judged(
    asked: ClaimVerdict, declared: Declarations, dims: tuple[dict[str, int], ...], spelling: Spelling | None, seed: int
) -> ClaimVerdict:
    kind = _kind_for_parser(asked.kind)
    pair = parse_pair(asked.f, asked.claim or "", declared, asked.wrt, kind=kind, spelling=spelling, dimensions=_named_in(dims))
    verdict, variables, spelled = _begun(asked, pair.f, pair.claim)
    f, wrt = pair.f.expr, named(variables, asked.wrt)
    if pair.claim is None:
        shapes = Layer("shapes", "different", note=str(pair.problem))
        reasons = _untyped(verdict, pair, declared, spelled, seed)
        truth = _truth(f, wrt, variables, verdict.kind)
        verdict = replace(verdict, verdict="refuted", layers=(shapes,), explanations=reasons, derivative=truth)
    else:
        verdict = judge(_complete(Question(f, wrt, pair.claim.expr, variables, verdict.kind, dims)), verdict, spelled, seed)
        if verdict.right:
            return replace(verdict, derivative=pair.claim.expr, derivative_text=verdict.claim or "")
    truth = verdict.derivative if verdict.wrong else _truth(f, wrt, variables, verdict.kind)
    return verdict if truth is None else replace(verdict, derivative=truth, derivative_text=spelled(truth))


def judge(question: Question, verdict: ClaimVerdict | None = None, spelled: Spell = repr, seed: int = 0) -> ClaimVerdict:
    """The verdict on a typed question, with explanations and a counterexample where it is wrong; `verdict` is what is known before."""
    verdict = verdict or ClaimVerdict(spelled(question.f), question.wrt.name, spelled(question.claim), question.kind, "inconclusive")
    try:
        decision = decide(question, seed)
    except TOO_MUCH as error:
        return replace(verdict, verdict="inconclusive", reason=_too_much(error))
    notes = (*verdict.notes, *([f"I assumed that {decision.assumed}"] if decision.assumed else []))
    verdict = replace(verdict, verdict=decision.verdict, reason=decision.reason, layers=decision.layers, notes=notes)
    if not verdict.wrong:
        return verdict
    question = decision.question
    with suppress(*TROUBLE):  # whatever goes wrong in an explanation, the verdict stands
        verdict = replace(verdict, explanations=explain(question, spelled, seed))
    with suppress(*TROUBLE), clock.within(MOST_TELLING):
        verdict = replace(verdict, counterexample=smallest(question, seed))
    truth = _truth(question.f, question.wrt, question.variables, question.kind)
    if truth is None or truth.shape != question.claim.shape:
        return replace(verdict, derivative=truth)
    with suppress(*TROUBLE), clock.within(MOST_TELLING):
        beside = aligned(question.claim, truth, [v.name for v in question.variables if v.is_symmetric])
        missing, extra = (tuple(spelled(term) for term in some) for some in (beside.missing, beside.extra))
        changed = tuple((spelled(claimed), spelled(right)) for claimed, right in beside.changed)
        verdict = replace(verdict, missing=missing, extra=extra, changed=changed)
    return replace(verdict, derivative=truth)


def _untyped(verdict: ClaimVerdict, pair: Pair, declared: Declarations, spelled: Spell, seed: int) -> tuple[Reason, ...]:
    """Explanations of a claim whose parts do not fit together, found where all dimensions are equal."""
    problem = str(pair.problem)
    shape = (Reason("shape", problem, COSTS["shape"]),)
    known = declared if declared is not None else dict(pair.f.variables)
    by = {name: Size.of("n") for v in known.values() for name in v.rows.names | v.cols.names}
    equal = {name: replace(v, rows=v.rows.replaced(by), cols=v.cols.replaced(by)) for name, v in known.items()}
    kind = _kind_for_parser(verdict.kind)
    try:
        again = parse_pair(verdict.f, verdict.claim or "", equal, verdict.wrt, kind=kind, spelling=pair.f.spelling)
    except FormulaError:
        return shape
    if again.claim is None:
        return shape
    variables = _variables(again.f.variables, again.claim.variables)
    question = all_equal(Question(again.f.expr, named(variables, verdict.wrt), again.claim.expr, variables, verdict.kind))
    if question.misfit:
        return shape
    with suppress(*TROUBLE):
        return explain(question, spelled, seed, untyped=problem)
    return shape


# --- without a claim -----------------------------------------------------------------------------------------------------------------


def _derived(
    asked: ClaimVerdict, declared: Declarations, dims: tuple[dict[str, int], ...], spelling: Spelling | None, seed: int
) -> ClaimVerdict:
    parsed = parse(asked.f, declared, spelling=spelling, dimensions=_named_in(dims))
    verdict, variables, spelled = _begun(asked, parsed)
    wrt = named(variables, asked.wrt)
    truth = _right(parsed.expr, wrt, variables, verdict.kind)
    found = judge(_complete(Question(parsed.expr, wrt, truth, variables, verdict.kind, dims)), verdict, spelled, seed)
    if found.wrong:
        found = replace(found, verdict="inconclusive", reason="the derivation did not stand the test", explanations=(), counterexample=None)
    return replace(found, derivative=truth, derivative_text=spelled(truth))


def _right(f: Expr, wrt: names.Variable, variables: Iterable[Variable], kind: str) -> Expr:
    """The right derivative, in the form that a person would write; FormulaError where there is none in matrix form."""
    symmetric = [v.name for v in variables if v.is_symmetric]
    with clock.within(MOST_DERIVING):
        match kind:
            case "hessian" if ONE in wrt.shape:
                return hessian(f, wrt.name, symmetric)
            case "hessian":
                return _by_a_matrix(f, wrt, symmetric)
            case "differential":
                return differential(f, wrt.name, symmetric)
            case _:
                found = derive(f, wrt.name, symmetric, checked=False).gradient
                if kind != "jacobian" or not f.is_scalar or wrt.rows == wrt.cols == ONE:
                    return found
                return simplified(make("transpose", found if wrt.cols == ONE else make("vec", found)), frozenset(symmetric))


def _by_a_matrix(f: Expr, wrt: names.Variable, symmetric: list[str]) -> Expr:
    """The Hessian by a matrix where it is zero; FormulaError, with what can be done, where it is not."""
    try:
        return hessian(f, wrt.name, symmetric)
    except FormulaError:
        entries = wrt.rows * wrt.cols
        raise FormulaError(
            f"the Hessian with respect to the matrix {wrt.name} can be told only where it is zero, "
            f"but a claim that is {entries}×{entries}, for the entries of vec({wrt.name}), can be checked"
        ) from None


def _truth(f: Expr, wrt: names.Variable, variables: Iterable[Variable], kind: str) -> Expr | None:
    """The same; None where there is none."""
    with suppress(*TROUBLE):
        return _right(f, wrt, variables, kind)
    return None


# --- a file of claims ------------------------------------------------------------------------------------------------------------------


def check_file(path: str | Path, *, spelling: Spelling | None = None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """The verdicts on a file of claims, a JSON list in the format of the benchmark, one object for each entry in order.

    What can be read in two ways is read as NumPy, unless a `spelling` is told, or stands in the entry. An entry that cannot be
    judged gives an object with the verdict `inconclusive` and an `error`, and the run goes on. ValueError if the file is no list.
    """
    entries = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(entries, list):
        raise ValueError(f"{path} must hold a JSON list of claims, but it holds {type(entries).__name__}")  # noqa: TRY004  (a file's fault)
    for number, entry in enumerate(entries):
        yield check_entry(entry, str(number), spelling=spelling, seed=seed).json()


def check_entry(entry: Any, default: str = "", *, spelling: Spelling | None = None, seed: int = 0) -> ClaimVerdict:
    """The verdict on one entry of a file, which may tell its own spelling; never raises for what stands in it."""
    if not isinstance(entry, Mapping):
        return _not_judged({}, default, f"an entry must be an object, but {type(entry).__name__} came")
    given = cast("Mapping[str, Any]", entry)
    name = str(given.get("id", default))
    absent = [word for word in ("f", "wrt") if not isinstance(given.get(word), str)]
    if absent:
        return _not_judged(given, name, f"the entry has no {' and no '.join(absent)}")
    ask = partial(
        check_claim,
        given["f"],
        given["wrt"],
        given.get("claim"),
        given.get("vars"),
        kind=given.get("kind", "auto"),
        dims=given.get("dims"),
        seed=seed,
    )
    try:
        told = given.get("spelling", spelling)
        try:
            found = ask(spelling=told)
        except FormulaError:
            if told is not None or not _tells_no_spelling(given):
                raise
            found = ask(spelling="numpy")
    except Exception as error:  # noqa: BLE001  (whatever stands in a file of somebody's, the others are judged)
        return _not_judged(given, name, str(error).partition("\n")[0] or type(error).__name__)
    return replace(found, id=name)


def _told_spelling(word: Any) -> Spelling | None:
    """A spelling that somebody told; ValueError for what is none."""
    if word is None or word in SPELLINGS:
        return word
    raise ValueError(f"spelling is one of {', '.join(SPELLINGS)}, but {word!r} came")


def _tells_no_spelling(entry: Mapping[str, Any]) -> bool:
    """Whether the texts of an entry are open to both meanings of `*`."""
    job = Job(declarations(entry.get("vars")), _named_in(_sizes(entry.get("dims"))), None)
    texts = [text for text in (entry["f"], entry.get("claim")) if isinstance(text, str)]
    return len(job.dialects([job.source(text) for text in texts])) > 1


def _not_judged(entry: Mapping[str, Any], name: str, error: str) -> ClaimVerdict:
    claim = entry.get("claim")
    text = None if claim is None else str(claim)
    return ClaimVerdict(
        str(entry.get("f", "")), str(entry.get("wrt", "")), text, "auto", "inconclusive", reason=error, id=name, error=error
    )


# --- sizes -------------------------------------------------------------------------------------------------------------------


def _sizes(dims: Any) -> tuple[dict[str, int], ...]:
    """The sizes to look at; ValueError for what is none."""
    given: Any = [] if dims is None else dims
    if not isinstance(given, (list, tuple)) or not all(isinstance(each, Mapping) for each in cast("list[Any]", given)):
        raise ValueError(f'dims is a list of sizes such as [{{"m": 3, "n": 4}}], but {dims!r} came')
    found: list[dict[str, Any]] = [dict(each) for each in cast("list[Any]", given)]
    for sizes in found:
        for name, size in sizes.items():
            if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST:
                raise ValueError(f"{name} must be a whole number from 1 to {LARGEST}, but {size!r} came")
    return tuple(found)


def _complete(question: Question) -> Question:
    """The question, if its sizes are told for all dimensions; ValueError otherwise."""
    for sizes in question.dims:
        if missing := [name for name in question.names if name not in sizes]:
            raise ValueError(f"dims must tell {' and '.join(missing)} too, but only {', '.join(sizes) or 'nothing'} came")
    return question


# --- small things ------------------------------------------------------------------------------------------------------------------------


def _too_much(error: BaseException) -> str:
    """Why a computation was ended, in a sentence."""
    if isinstance(error, MemoryError):
        return "the arrays do not fit into memory"
    return "the formula nests too deeply" if isinstance(error, RecursionError) else str(error)


def _spelled(expr: Expr, *, spelling: Spelling) -> str:
    """An expression in somebody's own spelling."""
    try:
        return spell(expr, spelling)
    except (FormulaError, KeyError):
        return repr(expr)


def _echoed(parsed: Parsed) -> dict[str, str]:
    """What was read, in all spellings, or as it was typed where that takes too long."""
    with suppress(*TROUBLE), clock.within(MOST_TELLING):
        return {str(spelling): text for spelling, text in echo(parsed).items()}
    return {str(parsed.spelling): parsed.text}


def _variables(*found: Mapping[str, names.Variable]) -> tuple[Variable, ...]:
    """The inputs of both texts; differentials are none."""
    together = {name: v for some in found for name, v in some.items()}
    return tuple(Variable.of(v) for name, v in together.items() if not (name[0] == "d" and name[1:] in together))


def _kind(kind: str, f: Expr, wrt: Variable, claim: Expr | None) -> str:
    """What is meant: a derivative by a number has the shape of f, whatever it is called; ValueError for a gradient of an array."""
    if kind in {"gradient", "hessian"} and not f.is_scalar:
        raise ValueError(f"a {kind} is of a scalar, but f is {f.rows}×{f.cols}; ask for a jacobian")
    if kind == "auto" or (kind in {"jacobian", "derivative"} and not f.is_scalar):
        return kind_of(f, wrt, claim if kind == "auto" else None)
    return kind


def _kind_for_parser(kind: str) -> Kind:
    return cast("Kind", "jacobian" if kind == "derivative" else kind)


def _named_in(dims: Iterable[Mapping[str, int]]) -> list[str]:
    return list(dict.fromkeys(name for sizes in dims for name in sizes))
