"""The commands about formulas: check, graph, notes, serve.

Each imports what it needs when it runs: a claim that exact arithmetic decides waits for neither JAX nor Jinja.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matcalc.refusal import FAILED, Refusal

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from matcalc.claims import ClaimVerdict
    from matcalc.claims.way import Way
    from matcalc.notes import Finding, JudgedNotes

KINDS = ("auto", "gradient", "jacobian", "derivative", "differential", "hessian")
SPELLINGS = ("latex", "unicode", "numpy", "matlab")
COLOURS = {"proved": "green", "verified": "green", "refuted": "red", "inconclusive": "yellow"}

wrt_option = click.option("--wrt", metavar="NAME", help="The variable to differentiate by.")
variables_option = click.option(
    "--var", "variables", multiple=True, metavar='"K: spd(n)"', help='A variable: its set and sizes, as in "A: real(m, n)" (repeatable).'
)
spelling_option = click.option("--spelling", type=click.Choice(SPELLINGS), help="How it is written; found out where it is not given.")


# --- check ------------------------------------------------------------------------------------------------------------------


@click.command(context_settings={"ignore_unknown_options": True})  # a function may start with a minus
@click.argument("f", required=False)
@wrt_option
@click.option("--claim", metavar="FORMULA", help="What is said to be the derivative; without it, it is derived.")
@variables_option
@click.option("--kind", type=click.Choice(KINDS), default="auto", show_default=True, help="Which derivative is meant.")
@spelling_option
@click.option(
    "--file", "file", type=click.Path(path_type=Path), metavar="JSON", help="Judge a file of claims; prints one JSON object a line."
)
@click.option("--steps", is_flag=True, help="Show how the derivative is found.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the points.")
@click.pass_context
def check(
    ctx: click.Context,
    f: str | None,
    wrt: str | None,
    claim: str | None,
    variables: tuple[str, ...],
    kind: str,
    spelling: Any,
    file: Path | None,
    *,
    steps: bool,
    as_json: bool,
    seed: int,
) -> None:
    """Judge a CLAIM about the derivative of F, or derive it.

    \b
    matcalc check "log(det(K))" --wrt K --claim "inv(K)'" --var "K: spd(n)"
    matcalc check "norm(A @ x - y)**2" --wrt x --steps
    matcalc check --file claims.json

    F and the claim are typed as in NumPy, MATLAB or matrixcalculus.org, LaTeX, or plain Unicode; they are read, never run. The exit
    status is 0 if the claim is right (all claims of a file), 1 if it is wrong or cannot be decided, 2 if it cannot be read.
    """  # noqa: D301  (click takes the sign for a paragraph that is not filled)
    from matcalc.claims import check_claim
    from matcalc.formula import FormulaError

    if file is not None:
        if f or wrt or claim:
            raise Refusal("--file brings its own functions and claims; leave out F, --wrt and --claim")
        ctx.exit(0 if _check_all(file, spelling, seed) else FAILED)
    if f and f.startswith("--"):
        raise Refusal(f"there is no option {f}; `matcalc check --help` shows those that there are")
    if not f or not wrt:
        raise Refusal("a function and --wrt are needed, as in: matcalc check 'log(det(K))' --wrt K --claim 'inv(K).T'")
    try:
        verdict = check_claim(f, wrt, claim, list(variables) or None, kind=kind, spelling=spelling, seed=seed)
    except FormulaError as error:
        raise Refusal(error.shown()) from None
    except ValueError as error:
        raise Refusal(str(error)) from None
    if as_json:
        click.echo(json.dumps(verdict.json(), ensure_ascii=False))
    else:
        click.echo("\n".join(_verdict(verdict)))
        if steps:
            from matcalc.claims.way import Way, understood

            way = Way(understood(f, wrt, claim, variables or None, kind=kind, spelling=spelling), wrt, verdict.kind)
            click.echo("\n".join(_steps(verdict, way)))
    ctx.exit(0 if verdict.right else FAILED)


def _check_all(file: Path, spelling: Any, seed: int) -> bool:
    """Print the verdict on every claim of a file as it comes; whether all are right."""
    right = True
    for found in _found_in(file, spelling, seed):
        right &= found["verdict"] in {"proved", "verified"}
        click.echo(json.dumps(found, ensure_ascii=False))
    return right


def _found_in(file: Path, spelling: Any, seed: int) -> Iterator[dict[str, Any]]:
    """The verdicts on a file of claims; a refusal if it is none."""
    from matcalc.claims import check_file

    with _reading(file):
        yield from check_file(file, spelling=spelling, seed=seed)


@contextmanager
def _reading(file: Path | str) -> Generator[None]:
    """A refusal for a file, or what is called so, that cannot be read, or does not hold what it should."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except json.JSONDecodeError as error:
        raise Refusal(f"{file} is no JSON: {error}") from None
    except RecursionError:
        raise Refusal(f"{file} nests too deeply to be read") from None
    except ValueError as error:
        raise Refusal(str(error)) from None


def _verdict(verdict: ClaimVerdict) -> Iterator[str]:
    """A verdict as lines: the sentence, how it was read, why not, what is right."""
    head, colon, rest = str(verdict).partition(":")
    for what, spelled in verdict.reading.items():
        yield click.style(f"I read {what} as {spelled.get('unicode', '')}", dim=True)
    yield click.style(head, fg=COLOURS.get(head), bold=True) + colon + rest


def _steps(verdict: ClaimVerdict, way: Way) -> Iterator[str]:
    """How the derivative is found, a line for each step; where a wrong claim leaves the way is marked."""
    from matcalc.derivation import prepared
    from matcalc.formula import FormulaError, spell

    yield ""
    try:
        derivation = way.derivation
    except FormulaError as error:
        yield f"     there are no steps to show: {error}"
        return
    left = way.left(verdict.explanations)
    for number, step in enumerate(derivation.steps, start=1):
        line = f"{number:>3}. {spell(step.visit.node, 'unicode')}: its adjoint is {spell(step.visit.adjoint, 'unicode')}"
        here = left is not None and left.node is not None and step.visit.node == prepared(left.node)
        yield line + (f"   [{step.rule}]" if step.rule else "") + (click.style("   ← here the claim leaves", fg="red") if here else "")
    for path in derivation.paths:
        here = left is not None and path in left.paths
        line = f"     {path.description} brings {spell(path.adjoint, 'unicode')}"
        yield line + (click.style("   ← this is what the claim has not, or not so", fg="red") if here else "")
    for one in derivation.simplifications:
        tick = {True: "✓", False: "✗", None: "?"}[one.agrees]
        yield f"   {tick} {spell(one.before, 'unicode')} = {spell(one.after, 'unicode')}   ({one.reason})"


# --- graph ------------------------------------------------------------------------------------------------------------------


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("f")
@click.option("--at", "values", metavar="JSON", help="The inputs, as in '{\"x\": [1, 2]}', or a file that holds such an object.")
@click.option("--wrt", "wanted", multiple=True, metavar="NAME", help="Inputs whose adjoints are asked for (repeatable); all by default.")
@click.option("--claim", metavar="FORMULA", help="What is said to be the derivative by the one --wrt; where it goes wrong is marked.")
@variables_option
@spelling_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of random inputs, where none are given.")
@click.option("--html", "html", type=click.Path(path_type=Path), required=True, metavar="OUT.html", help="The page to write: one file.")
@click.pass_context
def graph(
    ctx: click.Context,
    f: str,
    values: str | None,
    wanted: tuple[str, ...],
    claim: str | None,
    variables: tuple[str, ...],
    spelling: Any,
    seed: int,
    html: Path,
) -> None:
    """Draw the computational graph of F with forward values and backward adjoints.

    \b
    matcalc graph "log(det(A @ inv(P) @ A.T))" --var "A: real(m, n)" --var "P: spd(n)" --html graph.html

    With --claim the exit status is 0 if the claim is right, 1 if it is wrong or cannot be decided.
    """  # noqa: D301  (the same)
    from matcalc.drawing import draw
    from matcalc.formula import FormulaError
    from matcalc.report import ReportError
    from matcalc.report.words import count

    try:
        drawing = draw(f, _values(values) if values else None, wanted, variables or None, claim=claim, spelling=spelling, seed=seed)
        drawing.save(html)
    except FormulaError as error:
        raise Refusal(error.shown()) from None
    except (ReportError, ValueError) as error:
        raise Refusal(str(error)) from None
    if drawing.verdict:
        click.echo("\n".join(_verdict(drawing.verdict)))
    nodes, edges = (count(len(those), noun) for those, noun in ((drawing.graph.nodes, "node"), (drawing.graph.edges, "edge")))
    click.echo(f"{nodes}, {edges}: {html}", err=True)
    ctx.exit(0 if drawing.verdict is None or drawing.verdict.right else FAILED)


def _values(given: str) -> dict[str, Any]:
    """The inputs as they were typed, or those of a file."""
    typed = given.lstrip().startswith(("{", "["))
    source = "--at" if typed else given
    with _reading(source):
        found = json.loads(given if typed else Path(given).read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise Refusal(f'{source} must hold an object such as {{"x": [1, 2]}}, but it holds {type(found).__name__}')
    return {str(name): value for name, value in found.items()}


# --- notes ------------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--html", "html", type=click.Path(path_type=Path), metavar="OUT.html", help="The judged document: one file.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as one JSON object.")
@click.pass_context
def notes(ctx: click.Context, file: Path, html: Path | None, *, as_json: bool) -> None:
    """Judge every claim and every number of a Markdown FILE.

    Claims stand in fenced blocks of the kind `claim`, worked examples in blocks of the kind `example`; docs/notes.md tells how. The
    exit status is 1 if anything is false or cannot be read.
    """
    from matcalc.notes import NotesError, judge, read

    with _reading(file):
        text = file.read_text(encoding="utf-8")
    try:
        judged = judge(read(text))
    except NotesError as error:
        raise Refusal(f"{file}: {error}") from None
    if html is not None:
        from matcalc.notes.page import write_notes
        from matcalc.report import ReportError

        try:
            write_notes(judged, html)
        except ReportError as error:
            raise Refusal(str(error)) from None
    if as_json:
        found = {name: str(judgement) for name, judgement in judged.verdicts.items()}
        click.echo(json.dumps({"verdicts": found, "findings": [_finding_as_json(one) for one in judged.findings]}, ensure_ascii=False))
    else:
        click.echo("\n".join(_findings(judged, file)))
    ctx.exit(0 if judged.good else FAILED)


def _findings(judged: JudgedNotes, file: Path) -> Iterator[str]:
    """What is not as it should be, a line each, and how many there are of each kind."""
    colours = {"true": "green", "false": "red", "worked": None}
    for one in judged.findings:
        line = f"{file}:{one.line}: {click.style(str(one.judgement), fg=colours.get(one.judgement, 'yellow'))}"
        line += f"  {one.id}: {one.printed}" if one.id else f"  {one.printed}"
        yield line + (f"; right is {one.right}" if one.right else "") + (f" ({one.note})" if one.note else "")
    yield ", ".join(f"{count} {judgement}" for judgement, count in judged.counts.items() if count) or "nothing is claimed"


def _finding_as_json(one: Finding) -> dict[str, Any]:
    return {"id": one.id, "line": one.line, "judgement": str(one.judgement), "printed": one.printed, "right": one.right, "note": one.note}


# --- serve ------------------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="The port; a free one if 0.")
@click.option("--no-browser", is_flag=True, help="Do not open the page.")
def serve(port: int | None, *, no_browser: bool) -> None:
    """Open a page on this machine on which claims can be typed and judged."""
    from matcalc.serve.server import ServeError, run

    try:
        run(port, open_browser=not no_browser, announce=lambda address: click.echo(f"matcalc is at {address} (Ctrl-C ends it)", err=True))
    except ServeError as error:
        raise Refusal(str(error)) from None


COMMANDS = (check, graph, notes, serve)
