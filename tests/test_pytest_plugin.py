"""Rules as pytest items: which files are rules, what passes, what fails, and with which words."""

from dataclasses import replace
from typing import Any

import pytest
from rule_files import HEAD, REFUTED, RIGHT, UNREADABLE, a_rule, verdict_on

import matcalc.verify  # loaded before pytester takes its picture of sys.modules: NumPy cannot be loaded twice
from matcalc.catalogue import AnyRule
from matcalc.pytest_plugin import PROPERTIES
from matcalc.verdict import Counterexample, Evidence, Status, Verdict, Worst

pytest_plugins = ["pytester"]

PLAIN = "def test_plain():\n    assert True\n"


@pytest.fixture(autouse=True)
def no_other_plugins(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-playwright refuses a run inside a run; the other two take seconds for each (Hypothesis is imported again)."""
    del pytester  # which clears the environment
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:playwright -p no:hypothesispytest -p no:unraisableexception")


def evidence(about: str, status: Status = Status.VERIFIED, note: str = "") -> Evidence:
    """One property, judged by nobody."""
    return Evidence(about, "JAX reverse", status, 3, note=note)


def all_good(rule: AnyRule) -> Verdict:
    """Every property verified."""
    return verdict_on(rule, evidence=tuple(evidence(about) for about in PROPERTIES))


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `verify` is to find out: a function from rule to verdict, by name of rule. `calls` lists what it was asked."""
    wanted: dict[str, Any] = {"calls": []}

    def verify(rule: AnyRule, *, seed: int, profile: str) -> Verdict:
        wanted["calls"].append((rule.name, seed, profile))
        verdict: Verdict = wanted.get(rule.name, all_good)(rule)
        return verdict

    monkeypatch.setattr(matcalc.verify, "verify", verify)
    return wanted


# --- which rules ------------------------------------------------------------------------------------------------------------


def test_a_file_of_rules_gives_an_item_for_each_property(pytester: pytest.Pytester, verdicts: dict[str, Any]) -> None:
    """`pytest rules.py` needs no setting; all items of a rule share one verification, whose seed is shown."""
    pytester.makepyfile(rules=HEAD + a_rule("first") + a_rule("second"))
    result = pytester.runpytest("rules.py", "-v")
    result.assert_outcomes(passed=2 * len(PROPERTIES))
    result.stdout.fnmatch_lines(["matcalc: --matcalc-seed=0 --matcalc-profile=default", "rules.py::first::vjp PASSED*"])
    assert verdicts["calls"] == [("first", 0, "default"), ("second", 0, "default")]


@pytest.mark.usefixtures("verdicts")
def test_one_item_can_be_asked_for(pytester: pytest.Pytester) -> None:
    """By its node id and by -k."""
    pytester.makepyfile(rules=HEAD + a_rule("first") + a_rule("second"))
    pytester.runpytest("rules.py::second::vjp").assert_outcomes(passed=1)
    pytester.runpytest("rules.py", "-k", "first and jvp").assert_outcomes(passed=1, deselected=2 * len(PROPERTIES) - 1)


def test_seed_and_profile_come_from_the_option_or_the_ini_file(pytester: pytest.Pytester, verdicts: dict[str, Any]) -> None:
    """The option beats the ini file."""
    pytester.makepyfile(rules=RIGHT)
    pytester.makeini("[pytest]\nmatcalc_seed = 4\nmatcalc_profile = quick\n")
    pytester.runpytest("rules.py")
    pytester.runpytest("rules.py", "--matcalc-seed", "5", "--matcalc-profile", "thorough")
    assert verdicts["calls"] == [("right", 4, "quick"), ("right", 5, "thorough")]


@pytest.mark.parametrize(("line", "said"), [("matcalc_seed = x", "whole number"), ("matcalc_profile = slow", "quick, default or thorough")])
def test_a_setting_that_cannot_be_used_is_refused(line: str, said: str, pytester: pytest.Pytester) -> None:
    """As wrong usage, in one sentence."""
    pytester.makeini(f"[pytest]\n{line}\n")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {line.partition(' ')[0]} must be *{said}*"])


def test_a_seed_that_cannot_be_used_is_refused(pytester: pytest.Pytester) -> None:
    """Also on the command line."""
    result = pytester.runpytest("--matcalc-seed=-1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: matcalc_seed must be *, but '-1' came"])


@pytest.mark.parametrize("pattern", ["formulas", "./formulas/norms.py", "formulas/*.py"])
@pytest.mark.usefixtures("verdicts")
def test_files_named_in_the_ini_file_are_met_on_the_way(pattern: str, pytester: pytest.Pytester) -> None:
    """A folder, a path or a glob; other files are left alone."""
    for folder in ("formulas", "others"):
        pytester.mkdir(folder)
        (pytester.path / folder / "norms.py").write_text(HEAD + a_rule(f"in_{folder}"))
    pytester.makepyfile(test_plain=PLAIN)
    pytester.makeini(f"[pytest]\nmatcalc_rules = {pattern}\n")
    result = pytester.runpytest("-v")
    result.assert_outcomes(passed=len(PROPERTIES) + 1)
    result.stdout.no_fnmatch_line("*in_others*")


@pytest.mark.parametrize("way", ["option", "ini"])
@pytest.mark.usefixtures("verdicts")
def test_packages_are_verified_by_name(way: str, pytester: pytest.Pytester) -> None:
    """By --matcalc or by the ini file, beside the tests of the suite; -k chooses among them."""
    package = pytester.mkpydir("a_catalogue")
    (package / "topic.py").write_text(RIGHT)
    pytester.makepyfile(test_plain=PLAIN)
    pytester.syspathinsert()
    if way == "ini":
        pytester.makeini("[pytest]\nmatcalc_catalogues = a_catalogue\n")
    arguments = ["--matcalc", "a_catalogue"] if way == "option" else []
    result = pytester.runpytest("-v", *arguments)
    result.assert_outcomes(passed=len(PROPERTIES) + 1)
    result.stdout.fnmatch_lines(["a_catalogue::right::vjp PASSED*"])
    pytester.runpytest("-k", "right and value", *arguments).assert_outcomes(passed=1, deselected=len(PROPERTIES))


def test_a_package_that_is_not_there_fails(pytester: pytest.Pytester) -> None:
    """A mistyped name is no empty suite."""
    pytester.makepyfile(test_plain=PLAIN)
    result = pytester.runpytest("--matcalc", "no_such_package_at_all")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*No module named 'no_such_package_at_all'*"])


def test_a_package_without_rules_is_an_error(pytester: pytest.Pytester) -> None:
    """It is not a catalogue whose rules are all right."""
    result = pytester.runpytest("--matcalc", "json")
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*json holds no rules*"])


# --- what stays pytest's own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "import matcalc\n" + PLAIN,
        f"TEXT = '''\n{RIGHT.replace(chr(39) * 3, '')}\n'''\n# matcalc and @rule in a string\n{PLAIN}",
        "def rule(f):\n    return f\n\n@rule\ndef check():\n    'nothing of m-a-t-c-a-l-c'\n\n" + PLAIN,
    ],
)
def test_a_file_without_rules_is_an_ordinary_file(text: str, pytester: pytest.Pytester) -> None:
    """Words about rules do not make a file of rules."""
    pytester.makepyfile(checks=text)
    result = pytester.runpytest("checks.py")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*--matcalc-seed*")


def test_a_file_of_tests_may_hold_rules_of_its_own(pytester: pytest.Pytester) -> None:
    """A test file is not verified, even given by its path: it may hold wrong rules on purpose."""
    pytester.makepyfile(test_held_rules=RIGHT + "\n\n" + PLAIN)
    pytester.runpytest("test_held_rules.py").assert_outcomes(passed=1)


@pytest.mark.usefixtures("verdicts")
def test_tests_beside_rules_are_run(pytester: pytest.Pytester) -> None:
    """A file of rules keeps the tests that stand in it."""
    pytester.makepyfile(rules=RIGHT + "\n\n" + PLAIN)
    pytester.runpytest("rules.py").assert_outcomes(passed=1 + len(PROPERTIES))


# --- what an item says ------------------------------------------------------------------------------------------------------


def test_a_refuted_property_fails_and_the_others_do_not(pytester: pytest.Pytester, verdicts: dict[str, Any]) -> None:
    """Its item says the sentence, the counterexample and how to repeat it, without a traceback; no evidence is a skip."""
    example = Counterexample(
        {"n": 2}, {"x": [1.0, 0.0]}, [-2.0, 0.0], [2.0, 0.0], "the gradient with respect to x", Worst("the gradient", (0,), -2.0, 2.0)
    )
    verdicts["right"] = lambda rule: replace(
        verdict_on(rule, Status.REFUTED, "wrong", (evidence("value"), evidence("vjp", Status.REFUTED, "the vjp has the wrong sign"))),
        counterexample=example,
    )
    pytester.makepyfile(rules=RIGHT)
    result = pytester.runpytest("rules.py", "--matcalc-seed", "9", "-rs")
    result.assert_outcomes(passed=1, failed=1, skipped=len(PROPERTIES) - 2)
    result.stdout.fnmatch_lines(
        [
            "*_ right.vjp _*",
            "right is refuted: the vjp has the wrong sign",
            "counterexample (n = 2)",
            "  x = [[]1.0, 0.0[]]",
            "the gradient with respect to x:",
            "  came      [[]-2.0, 0.0[]]",
            "  expected  [[]2.0, 0.0[]]",
            "worst: entry (0,) of the gradient: -2 came, 2 was expected",
            "a/file.py:7",
            "repeat it with: matcalc verify rules.py -k right --seed 9 --profile default",
            "*SKIPPED*nothing to say about jvp for right*",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_plugin.py*Error*")
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("status", [Status.REFUTED, Status.INCONCLUSIVE, Status.VACUOUS])
def test_a_rule_that_is_not_verified_fails_once(status: Status, pytester: pytest.Pytester, verdicts: dict[str, Any]) -> None:
    """Where no property is to blame, the first item that runs says why, whichever that is."""
    verdicts["right"] = lambda rule: verdict_on(rule, status, "it could not be judged")
    pytester.makepyfile(rules=RIGHT)
    result = pytester.runpytest("rules.py")
    result.assert_outcomes(failed=1, skipped=len(PROPERTIES) - 1)
    result.stdout.fnmatch_lines([f"right is {status}: it could not be judged"])
    pytester.runpytest("rules.py::right::dtype").assert_outcomes(failed=1)


def test_evidence_of_an_unknown_property_is_not_lost(pytester: pytest.Pytester, verdicts: dict[str, Any]) -> None:
    """A rule refuted by a property without an item fails all the same."""
    verdicts["right"] = lambda rule: verdict_on(rule, Status.REFUTED, "it is too blue", (evidence("colour", Status.REFUTED, "blue"),))
    pytester.makepyfile(rules=RIGHT)
    pytester.runpytest("rules.py").assert_outcomes(failed=1, skipped=len(PROPERTIES) - 1)


def test_an_oracle_that_cannot_judge_is_a_skip_with_its_reason(pytester: pytest.Pytester, verdicts: dict[str, Any]) -> None:
    """If the rule is verified by others."""
    weak = evidence("agreement", Status.INCONCLUSIVE, "right does not run on PyTorch")
    verdicts["right"] = lambda rule: verdict_on(rule, evidence=(evidence("vjp"), weak))
    pytester.makepyfile(rules=RIGHT)
    result = pytester.runpytest("rules.py", "-rs")
    result.assert_outcomes(passed=1, skipped=len(PROPERTIES) - 1)
    result.stdout.fnmatch_lines(["*SKIPPED*right does not run on PyTorch*"])


@pytest.mark.parametrize("name", [name for name, (text, _) in UNREADABLE.items() if "@rule" in text])
def test_a_file_that_cannot_be_read_is_one_failing_item(name: str, pytester: pytest.Pytester) -> None:
    """With the sentence, and without a second error from pytest itself."""
    text, said = UNREADABLE[name]
    pytester.makepyfile(**{name: text.replace("\n\n\n", "\n\n")}, test_plain=PLAIN)
    result = pytester.runpytest(f"{name}.py", "test_plain.py")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"*{said.partition(',')[0]}*"])


def test_a_fault_of_the_verifier_shows_where(pytester: pytest.Pytester, verdicts: dict[str, Any]) -> None:
    """An exception that is nobody's sentence keeps its traceback."""

    def fail(rule: AnyRule) -> Verdict:
        raise ZeroDivisionError(rule.name)

    verdicts["right"] = fail
    pytester.makepyfile(rules=RIGHT)
    result = pytester.runpytest("rules.py::right::vjp")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError: right*"])


# --- with the real verifier -------------------------------------------------------------------------------------------------


def test_real_rules_pass_and_fail(pytester: pytest.Pytester) -> None:
    """A right rule passes, one with a wrong sign fails by its vjp, one that raises fails with the sentence; pytest goes on."""
    text = HEAD + a_rule("right") + REFUTED["wrong_sign"][0] + REFUTED["raising"][0]
    pytester.makepyfile(rules=text, test_plain=PLAIN)
    result = pytester.runpytest_subprocess("rules.py", "test_plain.py", "-v", "--matcalc-profile", "quick", "-W", "error")
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] > 8
    result.stdout.fnmatch_lines(
        [
            "rules.py::right::value PASSED*",
            "rules.py::right::vjp PASSED*",
            "rules.py::wrong_sign::jvp PASSED*",
            "rules.py::wrong_sign::vjp FAILED*",
            "rules.py::raising::value FAILED*",
            "test_plain.py::test_plain PASSED*",
            "*raising raises ZeroDivisionError*",
            "repeat it with: matcalc verify rules.py -k raising --seed 0 --profile quick",
        ]
    )
    result.stdout.no_fnmatch_line("*rules.py::right::* FAILED*")
    result.stdout.no_fnmatch_line("*Traceback*")
