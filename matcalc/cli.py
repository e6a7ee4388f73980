"""The command line: list, show, verify; what is about formulas stands in `commands`.

Data goes to stdout, progress and problems to stderr. Exit status: 0 all verified, 1 a rule is not, 2 wrong usage or settings,
3 a fault of matcalc itself, 5 nothing selected, 130 interrupted. What verifies and what draws is imported by the command that
needs it, so that `matcalc --help`, `list`, `show` and the shell's completion wait for neither JAX nor NumPy nor Rich.
"""

from __future__ import annotations

import errno
import os
import platform
import secrets
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matcalc import config, session
from matcalc.commands import COMMANDS
from matcalc.particulars import versions
from matcalc.refusal import BROKEN, FAILED, INTERRUPTED, NOTHING_SELECTED, Refusal
from matcalc.verdict import Run, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from click.shell_completion import CompletionItem

    from matcalc.catalogue import AnyRule, Catalogue
    from matcalc.verdict import Verdict

COLOURS = {Status.PROVED: "green", Status.VERIFIED: "green", Status.REFUTED: "red", Status.INCONCLUSIVE: "yellow", Status.VACUOUS: "yellow"}
WORST_FIRST = (Status.REFUTED, Status.INCONCLUSIVE, Status.VACUOUS)


class Commands(click.Group):
    """The commands, with one sentence for an exception that nobody expected."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; exit with 130 after Ctrl-C and with 3 after a fault of matcalc."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:  # `matcalc list | head`
                raise
            what = f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
            if os.environ.get("MATCALC_TRACEBACK"):
                traceback.print_exc()
                click.echo(f"matcalc failed, which is its own fault: {what}", err=True)
            else:
                with tempfile.NamedTemporaryFile("w", prefix="matcalc-", suffix=".txt", delete=False, encoding="utf-8") as file:
                    traceback.print_exc(file=file)
                click.echo(f"matcalc failed, which is its own fault: {what}; the traceback is in {file.name}", err=True)
            ctx.exit(BROKEN)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="matcalc-rules", prog_name="matcalc")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Matrix-derivative rules written by hand, and the tool that verifies them.

    Settings are read from [tool.matcalc] in the nearest pyproject.toml; MATCALC_SEED and the like beat it, and options beat those.
    NO_COLOR is honoured. MATCALC_TRACEBACK=1 shows where matcalc itself failed.
    """
    ctx.color = False if os.environ.get("NO_COLOR") else True if os.environ.get("FORCE_COLOR") else None
    try:
        settings = config.read(Path.cwd())
    except config.ConfigError as error:
        raise Refusal(str(error)) from None
    targets = {"targets": settings["targets"]} if "targets" in settings else {}
    ctx.default_map = {"verify": settings, "list": targets, "show": targets}


for command in COMMANDS:
    main.add_command(command)


# --- which rules ------------------------------------------------------------------------------------------------------------


def _rule_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem | str]:
    del ctx, param
    return [rule.name for rule in session.load([]).rules if rule.name.startswith(incomplete)]


def _topics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem | str]:
    del ctx, param
    return [*sorted({rule.topic for rule in session.load([]).rules if rule.topic.startswith(incomplete)})]


targets_argument = click.argument("targets", nargs=-1, envvar="MATCALC_TARGETS")
keyword_option = click.option(
    "-k", "keyword", default="", metavar="WORDS", help="Only rules whose name or topic holds the words, joined by and, or, not."
)
topic_option = click.option(
    "--topic", "topics", multiple=True, metavar="NAME", shell_complete=_topics, help="Only rules of this topic (repeatable)."
)


def _load(targets: Sequence[str]) -> Catalogue:
    """The rules of the targets; a refusal if a target does not exist or there is no rule in any."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # a package of one's own is found from its folder, and shadows nothing
    for target in targets:
        path = Path(target)
        if path.is_file() and path.suffix != ".py":
            raise Refusal(f"{target} is not a Python file; give a .py file, a folder, or the name of a package")
        if not path.exists() and (path.suffix == ".py" or len(path.parts) != 1):
            raise Refusal(f"there is no file or folder {target}")
        if not path.exists() and not _is_importable(target.partition(".")[0]):
            raise Refusal(f"no file, folder or package is called {target}")
    try:
        catalogue = session.load(targets)
    except LookupError as error:
        raise Refusal(str(error)) from None
    if not catalogue.rules and not catalogue.problems:
        raise Refusal(f"there are no rules in {', '.join(targets)}; a rule is a function under @rule(...)")
    return catalogue


def _is_importable(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:
        return False


def _select(catalogue: Catalogue, keyword: str, topics: Sequence[str]) -> Catalogue:
    """The rules that were asked for; a refusal if the request cannot be read or asks for a topic that is not there."""
    try:
        return catalogue.select(keyword, topics)
    except ValueError as error:
        _echo_problems(catalogue)
        raise Refusal(str(error)) from None


def _require_subject(subject: str, *, wrong: bool) -> None:
    if wrong and subject != "hand":
        raise Refusal("--wrong makes wrong versions of rules written by hand; leave out --subject")
    if subject == "torch" and find_spec("torch") is None:
        raise Refusal("--subject torch needs PyTorch, which is not installed here; pip install torch")


def _echo_problems(catalogue: Catalogue) -> None:
    for problem in catalogue.problems:
        click.echo(f"{click.style('problem', fg='red')}  {problem.sentence}", err=True)


@main.command("list")
@targets_argument
@keyword_option
@topic_option
@click.pass_context
def list_rules(ctx: click.Context, targets: tuple[str, ...], keyword: str, topics: tuple[str, ...]) -> None:
    """List rules: name, topic, summary.

    TARGETS are .py files, folders or packages; without any, the installed catalogues.
    """
    chosen = _select(_load(targets), keyword, topics)
    _echo_problems(chosen)
    names = max((len(rule.name) for rule in chosen.rules), default=0)
    topic = max((len(rule.topic) for rule in chosen.rules), default=0)
    for rule in chosen.rules:
        click.echo(f"{rule.name:<{names}}  {rule.topic:<{topic}}  {rule.summary}")
    if chosen.problems:
        ctx.exit(FAILED)
    if not chosen.rules:
        _nothing_selected(ctx)


def _nothing_selected(ctx: click.Context) -> None:
    click.echo("no rule is selected; `matcalc list` shows what there is", err=True)
    ctx.exit(NOTHING_SELECTED)


@main.command()
@click.argument("rule", shell_complete=_rule_names)
@targets_argument
def show(rule: str, targets: tuple[str, ...]) -> None:
    """Show one RULE: its inputs, its equations in TeX, where it is from and where it stands.

    TARGETS are .py files, folders or packages; without any, the installed catalogues.
    """
    catalogue = _load(targets)
    try:
        found = catalogue[rule]
    except KeyError as error:
        _echo_problems(catalogue)
        raise Refusal(error.args[0]) from None
    click.echo("\n".join(_description(found)))


def _description(rule: AnyRule) -> Iterator[str]:
    """A rule as lines of plain text."""
    file, line = session.place(rule)
    width = max(len(name) for name in rule.domains)
    yield f"{rule.name}({', '.join(rule.domains)}), topic {rule.topic}"
    yield rule.summary
    yield "\nInputs"
    for name, domain in rule.domains.items():
        yield f"  {name:<{width}}  {domain}"
    yield "\nEquations"
    for equation in rule.equations:
        yield f"  {equation}"
    yield "\nSources"
    for source in rule.sources:
        yield f"  {source}" + (f", {source.url}" if source.url else "")
    yield f"\n{file}:{line}"


# --- verify -----------------------------------------------------------------------------------------------------------------


@main.command()
@targets_argument
@keyword_option
@topic_option
@click.option(
    "--seed",
    type=click.IntRange(0, config.MOST_SEED),
    metavar="N",
    envvar="MATCALC_SEED",
    help="Seed of the cases; the same seed repeats a run. Random if absent, and always printed.",
)
@click.option(
    "--profile", type=click.Choice(config.PROFILES), default="default", envvar="MATCALC_PROFILE", show_default=True, help="How many cases."
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    envvar="MATCALC_JOBS",
    help=f"Worker processes; one for each CPU, at most {session.MOST_JOBS}.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    default=config.DEFAULT_TIMEOUT,
    envvar="MATCALC_TIMEOUT",
    show_default=True,
    help="Time after which a rule is given up.",
)
@click.option(
    "--subject",
    type=click.Choice(("hand", "jax", "torch")),
    default="hand",
    show_default=True,
    help="Whose derivative is judged: the rule's, or what a framework finds for the rule's function.",
)
@click.option("--wrong", is_flag=True, help="Judge wrong versions of every good rule too, and tell how many are refuted.")
@click.option("-x", "stop_at_first", is_flag=True, help="Stop at the first rule that is not verified.")
@click.option("--maxfail", type=click.IntRange(1), metavar="N", help="Stop when so many rules are not verified.")
@click.option("--html", default="reports", envvar="MATCALC_HTML", metavar="DIR", show_default=True, help="Write pages into this folder.")
@click.option("--no-html", is_flag=True, help="Write no pages.")
@click.option("--json", "json_path", metavar="PATH", help="Write all results as JSON; - for stdout.")
@click.option("--junitxml", metavar="PATH", help="Write the verdicts as JUnit XML.")
@click.option("--no-progress", is_flag=True, help="No progress on stderr.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even if a rule is not verified.")
@click.pass_context
def verify(
    ctx: click.Context,
    targets: tuple[str, ...],
    *,
    keyword: str,
    topics: tuple[str, ...],
    seed: int | None,
    profile: str,
    jobs: int | None,
    timeout: float,
    subject: str,
    wrong: bool,
    stop_at_first: bool,
    maxfail: int | None,
    html: str,
    no_html: bool,
    json_path: str | None,
    junitxml: str | None,
    no_progress: bool,
    exit_zero: bool,
) -> None:
    """Verify rules against independent oracles and write the report.

    TARGETS are .py files, folders or packages; without any, the installed catalogues.
    """
    from matcalc import report

    pages = None if no_html or not html else Path(html)
    _require_subject(subject, wrong=wrong)
    more = [*(["--subject", subject] if subject != "hand" else []), *(["--wrong"] if wrong else [])]
    files = [Path(path) for path in (json_path, junitxml) if path and path != "-"]
    try:
        if pages:
            report.check_folder(pages)
    except report.ReportError as error:
        raise Refusal(str(error)) from None
    for file in files:
        if file.is_dir():
            raise Refusal(f"{file} is a folder; give the path of a file")

    catalogue = _load(targets)
    chosen = _select(catalogue, keyword, topics)
    if not chosen.rules and not chosen.problems:
        _nothing_selected(ctx)
    seed = secrets.randbits(32) if seed is None else seed
    most = 1 if stop_at_first else maxfail or len(chosen.rules) + 1
    started, began = datetime.now(UTC).astimezone(), time.monotonic()
    failures = 0
    if not no_progress:
        click.echo(f"{len(chosen.rules)} rule{'s' * (len(chosen.rules) != 1)}, seed {seed}, profile {profile}", err=True)
    with _progress(chosen, shown=not no_progress) as tell:

        def on_verdict(verdict: Verdict) -> bool:
            nonlocal failures
            failures += not verdict.status.good
            tell(verdict)
            return failures < most

        names = [rule.name for rule in chosen.rules]
        verdicts, interrupted = session.verify_many(
            targets, names, seed=seed, profile=profile, jobs=jobs, timeout=timeout, subject=subject, wrong=wrong, on_verdict=on_verdict
        )
    run = Run(
        verdicts=tuple(verdicts),
        problems=chosen.problems,
        seed=seed,
        profile=profile,
        command=session.command(targets, seed=seed, profile=profile, keyword=keyword, topics=topics, more=more),
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - began,
        versions=versions(),
        machine=f"{platform.system()} {platform.machine()}, {session.usable_cpus()} CPUs",
        interrupted=interrupted,
        selected=len(names),
    )
    to_stderr = json_path == "-"
    for line in _summary(run):
        click.echo(line, err=to_stderr)
    _write(run, pages=pages, json_path=json_path, junitxml=junitxml)
    if pages:
        click.echo(f"Report: {(pages / 'index.html').resolve().as_uri()}", err=to_stderr)
    click.echo(run.command, err=to_stderr)
    ctx.exit(INTERRUPTED if interrupted else 0 if exit_zero else FAILED if failures or chosen.problems else 0)


def _write(run: Run, *, pages: Path | None, json_path: str | None, junitxml: str | None) -> None:
    """Write what was asked for; a refusal if a place cannot be written to."""
    from matcalc import report

    try:
        if pages:
            report.write_html(run, pages)
        if json_path == "-":
            with tempfile.TemporaryDirectory() as room:
                report.write_json(run, Path(room) / "results.json")
                click.echo((Path(room) / "results.json").read_text(encoding="utf-8"), nl=False)
        elif json_path:
            report.write_json(run, Path(json_path))
        if junitxml:
            report.write_junit(run, Path(junitxml))
    except report.ReportError as error:
        raise Refusal(str(error)) from None
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise Refusal(f"the results could not be written: {error}") from None


@contextmanager
def _progress(chosen: Catalogue, *, shown: bool) -> Generator[Callable[[Verdict], None]]:
    """Something to call with each verdict: a bar where someone watches, a line for each finished topic where it goes to a file.

    Whether someone watches is asked of stderr itself: FORCE_COLOR must not fill a log with redrawn bars.
    """
    topics = {rule.name: rule.topic for rule in chosen.rules}
    left = Counter(topics.values())
    counts: dict[str, Counter[Status]] = {topic: Counter() for topic in left}
    if not shown:
        yield lambda _: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("starting", total=len(chosen.rules))
            yield lambda verdict: bar.update(task, advance=1, description=f"{verdict.rule} {verdict.status}")
    else:

        def tell(verdict: Verdict) -> None:
            topic = topics[verdict.rule]
            left[topic] -= 1
            counts[topic][verdict.status] += 1
            if not left[topic]:
                click.echo(f"{topic}: {_counted(counts[topic])}", err=True)

        yield tell


def _counted(counts: Counter[Status]) -> str:
    """`12 verified, 1 refuted`."""
    return ", ".join(f"{counts[status]} {status}" for status in (Status.PROVED, Status.VERIFIED, *WORST_FIRST) if counts[status])


def _kill_scores(run: Run) -> Iterator[str]:
    """How many wrong versions of each rule were refuted, and those that were not."""
    scores = {verdict.rule: verdict.wrong for verdict in run.verdicts if verdict.wrong}
    for rule, score in scores.items():
        yield f"{score.killed:>5} of {score.total:<5} wrong versions of {rule} refuted" + (f"; {score.reason}" if score.reason else "")
        for survivor in score.survivors:
            yield f"{click.style('    survivor', fg='red')}  {survivor}"
    if scores:
        killed, total = sum(score.killed for score in scores.values()), sum(score.total for score in scores.values())
        unreached, same = sum(score.unreached for score in scores.values()), sum(score.equivalents for score in scores.values())
        yield f"{killed} of {total} wrong versions refuted; {same} edits changed nothing, {unreached} stand where no case comes by"


def _findings(run: Run) -> Iterator[str]:
    """What was found out about rules that are not good, worst first."""
    from matcalc.report.words import sentences

    for status in WORST_FIRST:
        for verdict in run.verdicts:
            if verdict.status is status:
                yield f"{click.style(f'{status:<12}', fg=COLOURS[status])}  {verdict.rule}: {verdict.reason}"
                if verdict.counterexample and verdict.counterexample.worst:
                    yield f"{'':12}  {verdict.counterexample.worst}"
                for sentence in sentences(verdict):
                    yield f"{'':12}  {sentence}"
                yield f"{'':12}  {verdict.file}:{verdict.line}"


def _summary(run: Run) -> Iterator[str]:
    """What a run found out, worst first."""
    from matcalc.report.words import executed

    yield from _findings(run)
    for problem in run.problems:
        yield f"{click.style('problem     ', fg='red')}  {problem.sentence}"
    yield from _kill_scores(run)
    if said := executed(run.verdicts):
        yield said
    counts = Counter(verdict.status for verdict in run.verdicts)
    line = _counted(counts) or "nothing verified"
    if run.problems:
        line += f", {len(run.problems)} problem" + ("s" if len(run.problems) > 1 else "")
    line += f" in {run.seconds:.1f} s"
    if len(run.verdicts) < run.selected:
        line += f"; {'interrupted' if run.interrupted else 'stopped'} after {len(run.verdicts)} of {run.selected} rules"
    good = run.verdicts and len(run.verdicts) == run.selected and all(v.status.good for v in run.verdicts) and not run.problems
    yield click.style(line, fg="green" if good else "red", bold=True)
    closest = sorted((v for v in run.verdicts if v.status.good and v.margin), key=lambda v: -v.margin)[:3]
    if closest:
        yield "Closest to their tolerance: " + ", ".join(f"{v.rule} {v.margin:.2g}" for v in closest)
