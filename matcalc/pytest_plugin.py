"""Rules as pytest items: one for each rule and property, so that a suite names what is wrong and where.

Three ways to ask for them: `pytest path/to/rules.py`, the ini option `matcalc_rules` (files of rules met while pytest walks the
folders), and `--matcalc TARGET` or the ini option `matcalc_catalogues` (packages). Everything of matcalc is imported inside the
hooks, because pytest loads this module in every environment that has matcalc installed.
"""

from __future__ import annotations

import ast
import os
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from matcalc.catalogue import AnyRule
    from matcalc.verdict import Counterexample, Problem, Verdict

PROPERTIES = (
    *("value", "jvp", "vjp", "adjoint", "linear", "structure", "pure", "shape", "dtype", "empty", "batch", "agreement"),
    *("jacobian", "special", "kink", "layout", "poison", "extremes", "gauge", "second", "float32"),
)
"What an item can be about: every `Evidence.property` the verifier knows."

DEFAULT_SEED = 0  # a suite that was green stays green until a rule changes
_verdicts = pytest.StashKey[dict[Any, Any]]()
_blamed = pytest.StashKey[set[Any]]()


class RuleFailure(Exception):  # noqa: N818  (what it says is about the rule, nothing went wrong here)
    """What the verifier says of a rule that it did not verify, as text."""


@pytest.fixture
def check_derivative(request: pytest.FixtureRequest) -> Callable[..., Verdict]:
    """`matcalc.check` as an assertion: fails the test with the verdict's sentences unless the derivative is proved or verified.

    Takes what `matcalc.check` takes; the seed is that of `--matcalc-seed` unless one is given. Returns the verdict.
    """

    def check(f: Callable[..., Any], *inputs: Any, **claims: Any) -> Verdict:
        from matcalc.checking import check

        __tracebackhide__ = True
        seed = claims.setdefault("seed", _seed(request.config))
        verdict = check(f, *inputs, **claims)
        if not verdict.status.good:
            pytest.fail(f"{verdict}\nseed={seed} repeats it", pytrace=False)
        return verdict

    return check


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which rules, which seed, which profile."""
    group = parser.getgroup("matcalc", "matrix-derivative rules")
    group.addoption(
        "--matcalc", action="append", default=[], metavar="TARGET", help="verify the rules of a package, file or folder (repeatable)"
    )
    group.addoption("--matcalc-seed", metavar="SEED", help=f"seed of the cases (default: ini matcalc_seed, else {DEFAULT_SEED})")
    group.addoption(
        "--matcalc-profile",
        choices=("quick", "default", "thorough"),
        help="how many cases (default: ini matcalc_profile, else default)",
    )
    parser.addini("matcalc_rules", "files of rules: paths, folders or globs, relative to the root folder", type="linelist", default=[])
    parser.addini("matcalc_catalogues", "packages of rules to verify in every run", type="linelist", default=[])
    parser.addini("matcalc_seed", "seed of the cases", default=str(DEFAULT_SEED))
    parser.addini("matcalc_profile", "how many cases: quick, default or thorough", default="default")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse settings that cannot be used; start with no verdicts."""
    config.stash[_verdicts] = {}
    config.stash[_blamed] = set()
    seed = str(_option(config, "seed"))
    if not seed.isdecimal():
        raise pytest.UsageError(f"matcalc_seed must be a whole number that is not negative, but {seed!r} came")
    if config.getini("matcalc_profile") not in {"quick", "default", "thorough"}:
        raise pytest.UsageError(f"matcalc_profile must be quick, default or thorough, but {config.getini('matcalc_profile')!r} came")


def _option(config: pytest.Config, name: str) -> Any:
    given = config.getoption(f"--matcalc-{name}")
    return config.getini(f"matcalc_{name}") if given is None else given


def _seed(config: pytest.Config) -> int:
    return int(_option(config, "seed"))


def _profile(config: pytest.Config) -> str:
    return str(_option(config, "profile"))


# --- which files are files of rules -----------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """A file of rules that was given by its path or by the ini option; pytest's own module of it stays only if it may hold tests."""
    collectors = yield
    if file_path.suffix != ".py" or not _is_asked_for(file_path, parent):
        return collectors
    rules, tests = _what_it_holds(file_path)
    if not rules:
        return collectors
    kept = [collector for collector in collectors if tests or not isinstance(collector, pytest.Module)]
    return [*kept, RuleFile.from_parent(parent, path=file_path)]


def _is_asked_for(path: Path, parent: pytest.Collector) -> bool:
    """Named by the ini option; or given on the command line and not a file of tests, which may hold wrong rules on purpose."""
    config = parent.config
    relative = os.path.relpath(path, config.rootpath).replace(os.sep, "/")
    for pattern in config.getini("matcalc_rules"):
        plain = pattern.removeprefix("./").rstrip("/")
        if relative == plain or relative.startswith(f"{plain}/") or fnmatch(relative, plain):
            return True
    return parent.session.isinitpath(path) and not any(fnmatch(path.name, pattern) for pattern in config.getini("python_files"))


def _what_it_holds(path: Path) -> tuple[bool, bool]:
    """(rules, perhaps tests), from the text alone: nothing is imported to find out."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if "matcalc" not in text or not re.search(r"^@(\w+\.)*rule\b", text, flags=re.MULTILINE):
        return False, False
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return True, False  # the sentence about it is the item
    functions = [part for part in body if isinstance(part, ast.FunctionDef)]
    decorators = [d.func if isinstance(d, ast.Call) else d for part in functions for d in part.decorator_list]
    rules = any((d.attr if isinstance(d, ast.Attribute) else getattr(d, "id", "")) == "rule" for d in decorators)
    return rules, any(isinstance(part, ast.ClassDef) for part in body) or any("test" in part.name for part in functions)


@pytest.hookimpl(tryfirst=True)  # before -k, -m and --lf choose among the items
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the rules of the packages that were asked for."""
    for target in [*(config.getoption("--matcalc") or []), *config.getini("matcalc_catalogues")]:
        items.extend(session.genitems(RulePackage.from_parent(session, name=target, nodeid=target)))


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """The seed, so that any run can be repeated; nothing in a run without rules."""
    if not any(isinstance(item, RuleItem) for item in items):
        return []
    return [f"matcalc: --matcalc-seed={_seed(config)} --matcalc-profile={_profile(config)}"]


# --- collectors and items ---------------------------------------------------------------------------------------------------


def _nodes(parent: pytest.Collector, target: str | Path) -> Iterator[pytest.Item | pytest.Collector]:
    """One collector for each rule of a target, one failing item for each thing in it that could not be read."""
    from matcalc.catalogue import load

    catalogue = load([target])
    for rule in catalogue.rules:
        yield RuleNode.from_parent(parent, name=rule.name, rule=rule, target=target)
    for problem in catalogue.problems:
        yield ProblemItem.from_parent(parent, name=Path(problem.where).name, problem=problem)
    if isinstance(parent, RulePackage) and not catalogue.rules and not catalogue.problems:
        raise parent.CollectError(f"{target} holds no rules")


class RuleFile(pytest.File):
    """A file of rules."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Its rules."""
        return _nodes(self, self.path)


class RulePackage(pytest.Collector):
    """A package of rules."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """The rules of its modules."""
        return _nodes(self, self.name)


class RuleNode(pytest.Collector):
    """One rule, the parent of the items about its properties."""

    def __init__(self, *, rule: AnyRule, target: str | Path, **rest: Any) -> None:
        super().__init__(**rest)
        self.rule = rule
        self.target = target

    def collect(self) -> Iterable[pytest.Item]:
        """One item for each property."""
        for name in PROPERTIES:
            yield RuleItem.from_parent(self, name=name)

    @property
    def verdict(self) -> Verdict:
        """What the verifier says of the rule; all of its items share one verification."""
        from matcalc.verify import verify

        known = self.config.stash[_verdicts]
        if self.rule not in known:
            known[self.rule] = verify(self.rule, seed=_seed(self.config), profile=_profile(self.config))
        verdict: Verdict = known[self.rule]
        return verdict

    @property
    def command(self) -> str:
        """Repeats the verification of this rule in a shell."""
        from matcalc.session import command

        target = os.path.relpath(self.target) if isinstance(self.target, Path) else self.target
        return command([target], keyword=self.rule.name, seed=_seed(self.config), profile=_profile(self.config))


class RuleItem(pytest.Item):
    """One property of one rule."""

    def runtest(self) -> None:
        """Pass, skip with a reason, or raise RuleFailure with the sentence of the verifier."""
        from matcalc.verdict import Status

        node = self.parent
        assert isinstance(node, RuleNode)  # noqa: S101  (tells the type checkers who makes these items)
        verdict = node.verdict
        about = [evidence for evidence in verdict.evidence if evidence.property == self.name]
        refuting = next((evidence for evidence in about if evidence.status is Status.REFUTED), None)
        if refuting:
            raise RuleFailure(_text(verdict, refuting.note, verdict.counterexample, node.command))
        if any(evidence.status.good for evidence in about):
            return
        why = next(
            (evidence.note for evidence in about if evidence.note), f"the verifier has nothing to say about {self.name} for {verdict.rule}"
        )
        if verdict.status.good or any(e.status is Status.REFUTED and e.property in PROPERTIES for e in verdict.evidence):
            pytest.skip(why)
        # The rule is not verified and no property is to blame for it: the first of its items to run says so, for all of them.
        blamed = self.config.stash[_blamed]
        if node.rule in blamed:
            pytest.skip(f"{verdict.rule} is {verdict.status}, as its first item says")
        blamed.add(node.rule)
        raise RuleFailure(_text(verdict, verdict.reason or why, verdict.counterexample, node.command))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The text of the verifier instead of a traceback through it."""
        return str(excinfo.value) if isinstance(excinfo.value, RuleFailure) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the rule stands."""
        from matcalc.session import place

        node = self.parent
        assert isinstance(node, RuleNode)  # noqa: S101
        file, line = place(node.rule)
        return Path(file), line - 1, f"{node.name}.{self.name}"


class ProblemItem(pytest.Item):
    """Something among the rules that could not be read."""

    def __init__(self, *, problem: Problem, **rest: Any) -> None:
        super().__init__(**rest)
        self.problem = problem

    def runtest(self) -> None:
        """Fail with the sentence."""
        raise RuleFailure(self.problem.sentence)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The sentence instead of a traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, RuleFailure) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, None, str]:
        """What could not be read."""
        return self.problem.where, None, self.problem.where


def _text(verdict: Verdict, sentence: str, example: Counterexample | None, command: str) -> str:
    """The sentence, the counterexample if there is one, why it may be, the rule's place, and the command that repeats it."""
    from matcalc.report.words import sentences

    lines = [f"{verdict.rule} is {verdict.status}: {sentence}"]
    if example:
        sizes = ", ".join(f"{name} = {size}" for name, size in example.sizes.items())
        lines += ["", "counterexample" + (f" ({sizes})" if sizes else "")]
        lines += [f"  {name} = {value}" for name, value in example.inputs.items()]
        lines += [f"{example.compared}:", f"  came      {example.got}", f"  expected  {example.expected}"]
        if example.worst:
            lines += [f"worst: {example.worst}"]
    lines += sentences(verdict)
    return "\n".join([*lines, "", f"{verdict.file}:{verdict.line}", f"repeat it with: {command}"])
