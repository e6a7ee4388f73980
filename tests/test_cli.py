"""The command line: what it prints where, how it exits, and that no rule, however bad, costs another its verdict."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rule_files import HEAD, IN_WORKERS, LOST, REFUTED, RIGHT, UNREADABLE, a_rule, verdict_on, write_all

from matcalc import config, session
from matcalc.cli import main
from matcalc.verdict import Evidence, Status, Verdict

COMMAND = [sys.executable, "-m", "matcalc"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled programs of these tests, which leave the user's own cache alone."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test runs in an empty folder, without settings from outside, and leaves no module of its files behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("NO_COLOR", "FORCE_COLOR", *(name for name in os.environ if name.startswith("MATCALC_"))):
        monkeypatch.delenv(name, raising=False)
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def matcalc(*arguments: str) -> Result:
    """The command in this process."""
    return CliRunner().invoke(main, list(arguments))


Verdicts = dict[str, tuple[Status, str, float]]


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> Verdicts:
    """What `verify` is to find out, by name of rule: status, reason, margin. Nothing is computed, no process is started."""
    wanted: Verdicts = {}

    def verify_many(
        targets: Sequence[str], names: Sequence[str], *, on_verdict: Callable[[Verdict], bool], **settings: Any
    ) -> tuple[list[Verdict], bool]:
        verify_many.settings = settings  # type: ignore[attr-defined]
        rules, found = session.load(targets), []
        for name in names:
            status, reason, margin = wanted.get(name, (Status.VERIFIED, "", 0.1))
            evidence = Evidence("vjp", "JAX reverse", status, 3, margins=(margin,))
            found.append(verdict_on(rules[name], status, reason, (evidence,)))
            if not on_verdict(found[-1]):
                break
        return found, False

    monkeypatch.setattr(session, "verify_many", verify_many)
    monkeypatch.setattr("matcalc.cli.versions", lambda: {"python": "3"})
    return wanted


def settings_of_last_run() -> dict[str, Any]:
    """What `verify_many` was given."""
    return session.verify_many.settings  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def rules() -> None:
    """A file of three rules."""
    Path("rules.py").write_text(HEAD + a_rule("first") + a_rule("second") + a_rule("third"))


# --- list and show ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("rules")
def test_list_gives_a_line_for_each_rule() -> None:
    """Name, topic, summary; chosen by -k."""
    assert matcalc("list", "rules.py").stdout.splitlines()[1] == "second  rules  Squared norm of a vector."
    assert len(matcalc("list", "rules.py", "-k", "first or third").stdout.splitlines()) == 2


def test_list_reads_the_installed_catalogue() -> None:
    """Without a target, everything that is installed."""
    done = matcalc("list")
    assert done.exit_code == 0
    assert re.search(r"^logdet +determinants +Log-determinant", done.stdout, flags=re.MULTILINE)


def test_list_says_what_cannot_be_read() -> None:
    """The rules that can be read are listed, the sentence goes to stderr, the exit status is 1."""
    Path("good.py").write_text(RIGHT)
    Path("bad.py").write_text("import no_such_module_at_all")
    done = matcalc("list", "good.py", "bad.py")
    assert done.exit_code == 1
    assert done.stdout.startswith("right")
    assert "No module named 'no_such_module_at_all'" in done.stderr


def test_show_tells_all_of_a_rule() -> None:
    """Inputs with their domains, equations in TeX, sources, and the line of the file."""
    done = matcalc("show", "logdet")
    for said in ("positive definite matrix (n x n)", r"\ell = \log\det K", "Petersen and Pedersen 2012, eq. (57)"):
        assert said in done.stdout
    file, _, line = done.stdout.splitlines()[-1].rpartition(":")
    assert Path(file).read_text().splitlines()[int(line) - 1].startswith("@rule(")


@pytest.mark.usefixtures("rules")
def test_show_names_the_nearest_rule() -> None:
    """A name that is not there is wrong usage, and the sentence helps."""
    done = matcalc("show", "frist", "rules.py")
    assert done.exit_code == 2
    assert done.stderr == "Error: no rule is called 'frist'; did you mean first?\n"


def test_list_into_a_closed_pipe_is_quiet() -> None:
    """`matcalc list | head -1` is no fault of anyone."""
    done = subprocess.run(f"{shlex.join(COMMAND)} list | head -1", shell=True, capture_output=True, text=True, check=True)
    assert "traceback" not in done.stderr


# --- what was asked for cannot be done --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no_such.py"], "there is no file or folder no_such.py"),
        (["no/such/folder"], "there is no file or folder no/such/folder"),
        (["no_such_package_at_all"], "no file, folder or package is called no_such_package_at_all"),
        (["notes.txt"], "notes.txt is not a Python file"),
        (["empty.py"], "there are no rules in empty.py"),
        (["rules.py", "-k", "(first"], "-k '(first' cannot be read"),
        (["rules.py", "--topic", "rule"], "no topic is called 'rule'; there are rules"),
        (["rules.py", "--json", "."], ". is a folder; give the path of a file"),
        (["rules.py", "--profile", "slow"], "'slow' is not one of 'quick', 'default', 'thorough'"),
        (["rules.py", "--seed", "-1"], "-1 is not in the range"),
    ],
)
@pytest.mark.usefixtures("rules")
def test_wrong_usage_is_one_sentence_and_2(arguments: list[str], said: str, verdicts: Verdicts) -> None:
    """The sentence names the culprit; nothing is verified."""
    verdicts["first"] = (Status.REFUTED, "it was verified", 2.0)
    Path("notes.txt").write_text("notes")
    Path("empty.py").write_text("x = 1\n")
    done = matcalc("verify", *arguments, "--no-html")
    assert done.exit_code == 2
    assert said in done.stderr
    assert not done.stdout


@pytest.mark.usefixtures("rules", "verdicts")
def test_nothing_selected_is_5() -> None:
    """A keyword that matches no rule is not a success."""
    assert matcalc("verify", "rules.py", "-k", "absent", "--no-html").exit_code == 5
    assert matcalc("list", "rules.py", "-k", "absent").exit_code == 5


@pytest.mark.usefixtures("rules", "verdicts")
def test_a_folder_of_someone_else_is_left_alone() -> None:
    """Pages are not written among other files; this is found out before anything is verified."""
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("mine")
    done = matcalc("verify", "rules.py", "--html", "mine")
    assert done.exit_code == 2
    assert "thesis.txt" in done.stderr
    assert not done.stdout
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.txt"]


@pytest.mark.usefixtures("rules")
def test_a_fault_of_matcalc_is_3(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence and the place of the traceback; or the traceback itself, if asked for."""

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("we did this")

    monkeypatch.setattr(session, "verify_many", fail)
    done = matcalc("verify", "rules.py", "--no-html", "--no-progress")
    assert done.exit_code == 3
    (said,) = done.stderr.splitlines()
    assert said.startswith("matcalc failed, which is its own fault: ZeroDivisionError: we did this; the traceback is in ")
    kept = Path(said.rpartition(" in ")[2])
    assert "in fail" in kept.read_text()
    kept.unlink()
    monkeypatch.setenv("MATCALC_TRACEBACK", "1")
    done = matcalc("verify", "rules.py", "--no-html")
    assert done.exit_code == 3
    assert "in fail" in done.stderr


# --- verify: what is printed ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("rules", "verdicts")
def test_all_verified_is_0_and_the_last_line_repeats_the_run() -> None:
    """A random seed is printed in a command that can be pasted."""
    done = matcalc("verify", "rules.py", "-k", "first or second", "--no-html")
    assert done.exit_code == 0
    seed = shlex.split(done.stdout.splitlines()[-1])[-3]
    assert done.stderr.splitlines() == [f"2 rules, seed {seed}, profile default", "rules: 2 verified"]
    counts, closest, command = done.stdout.splitlines()
    assert counts.startswith("2 verified in ")
    assert closest == "Closest to their tolerance: first 0.1, second 0.1"
    assert re.fullmatch(r"matcalc verify rules\.py -k 'first or second' --seed \d+ --profile default", command)
    again = matcalc(*shlex.split(command)[1:], "--no-html")
    assert again.stdout.splitlines()[-1] == command


@pytest.mark.usefixtures("rules")
def test_the_worst_comes_first(verdicts: Verdicts) -> None:
    """Refuted, inconclusive, vacuous, problems, counts; any of them makes the exit status 1, unless --exit-zero is given."""
    Path("broken.py").write_text("import no_such_module_at_all")
    verdicts["first"] = (Status.VACUOUS, "there is no case", 0.0)
    verdicts["second"] = (Status.INCONCLUSIVE, "the oracles were too weak", 0.0)
    verdicts["third"] = (Status.REFUTED, "its vjp is transposed", 1e9)
    done = matcalc("verify", "rules.py", "broken.py", "--no-html", "--seed", "7")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")][:4] == ["refuted", "inconclusive", "vacuous", "problem"]
    assert lines[0] == "refuted       third: its vjp is transposed"
    assert lines[-2].startswith("1 refuted, 1 inconclusive, 1 vacuous, 1 problem in ")
    assert lines[-1] == "matcalc verify rules.py broken.py --seed 7 --profile default"
    assert matcalc("verify", "rules.py", "--no-html", "--exit-zero").exit_code == 0


@pytest.mark.parametrize("status", [Status.REFUTED, Status.INCONCLUSIVE, Status.VACUOUS])
@pytest.mark.usefixtures("rules")
def test_whatever_is_not_verified_is_1(status: Status, verdicts: Verdicts) -> None:
    """A rule that could not be verified is no success."""
    verdicts["first"] = (status, "for some reason", 0.0)
    assert matcalc("verify", "rules.py", "--no-html").exit_code == 1


@pytest.mark.usefixtures("rules")
def test_x_stops_at_the_first(verdicts: Verdicts) -> None:
    """-x and --maxfail stop, and the counts say so."""
    verdicts["first"] = verdicts["second"] = (Status.REFUTED, "wrong", 2.0)
    assert "1 refuted in 0.0 s; stopped after 1 of 3 rules" in matcalc("verify", "rules.py", "--no-html", "-x").stdout
    assert "2 refuted in 0.0 s; stopped after 2 of 3 rules" in matcalc("verify", "rules.py", "--no-html", "--maxfail", "2").stdout


@pytest.mark.usefixtures("rules", "verdicts")
def test_pages_are_written_and_their_address_can_be_clicked() -> None:
    """The line before the last is a file URL of a page that exists; a second run replaces the first."""
    for _ in range(2):
        done = matcalc("verify", "rules.py", "--html", "some pages", "--seed", "1")
        assert done.exit_code == 0
        assert done.stdout.splitlines()[-2] == f"Report: {Path('some pages/index.html').resolve().as_uri()}"
        assert Path("some pages/index.html").stat().st_size > 0


@pytest.mark.usefixtures("rules", "verdicts")
def test_data_goes_where_it_is_sent() -> None:
    """JSON on stdout is alone there; JSON and JUnit go to files in folders that need not exist."""
    done = matcalc("verify", "rules.py", "--no-html", "--json", "-", "--seed", "5")
    data = json.loads(done.stdout)
    assert (data["seed"], data["selected"], len(data["verdicts"])) == (5, 3, 3)
    assert done.stderr.endswith("matcalc verify rules.py --seed 5 --profile default\n")
    matcalc("verify", "rules.py", "--no-html", "--json", "new/results.json", "--junitxml", "new/junit.xml")
    assert len(json.loads(Path("new/results.json").read_text())["verdicts"]) == 3
    assert "<testsuite" in Path("new/junit.xml").read_text()


def in_a_terminal(code: str, **environment: str) -> str:
    """What a program writes to stderr where that is a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stderr=follower, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    os.close(follower)
    said = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    os.close(leader)
    assert process.wait(30) == 0
    return said.decode()


TELLING = """
from rule_files import verdict_on
from matcalc.catalogue import load
from matcalc.cli import _progress
found = load(["rules.py"])
with _progress(found, shown=True) as tell:
    for rule in found.rules:
        tell(verdict_on(rule))
"""


@pytest.mark.usefixtures("rules")
def test_a_bar_is_drawn_only_where_someone_watches() -> None:
    """On a terminal a bar that is redrawn; in a log one line for each topic, whatever FORCE_COLOR says."""
    path = {"PYTHONPATH": str(Path(__file__).parent)}
    watched = in_a_terminal(TELLING, TERM="xterm", COLUMNS="80", **path)
    assert "\x1b[?25l" in watched
    assert "3/3" in watched
    logged = subprocess.run(
        [sys.executable, "-c", TELLING], capture_output=True, text=True, check=True, env={**os.environ, **path, "FORCE_COLOR": "1"}
    )
    assert logged.stderr == "rules: 3 verified\n"
    assert not logged.stdout


@pytest.mark.usefixtures("rules", "verdicts")
def test_no_progress_is_silent() -> None:
    """--no-progress leaves stderr to errors."""
    assert not matcalc("verify", "rules.py", "--no-html", "--no-progress").stderr


@pytest.mark.usefixtures("rules")
def test_colour_can_be_forced_and_refused(verdicts: Verdicts, monkeypatch: pytest.MonkeyPatch) -> None:
    """No colour in a pipe; FORCE_COLOR forces it, NO_COLOR beats that."""
    verdicts["first"] = (Status.REFUTED, "wrong", 2.0)
    assert "\x1b" not in matcalc("verify", "rules.py", "--no-html").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[31mrefuted" in matcalc("verify", "rules.py", "--no-html").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in matcalc("verify", "rules.py", "--no-html").stdout


# --- settings ---------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("rules", "verdicts")
def test_the_command_line_beats_the_environment_beats_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest pyproject.toml is read from any folder below it, and its paths are its own."""
    Path("pyproject.toml").write_text('[tool.matcalc]\nseed = 1\nprofile = "quick"\njobs = 3\nhtml = false\ntargets = ["rules.py"]\n')
    Path("below").mkdir()
    monkeypatch.chdir("below")
    done = matcalc("verify")
    assert done.stdout.splitlines()[-1] == f"matcalc verify {Path('..', 'rules.py')} --seed 1 --profile quick"
    assert settings_of_last_run()["jobs"] == 3
    assert not any(Path().iterdir())
    assert "first" in matcalc("list").stdout
    monkeypatch.setenv("MATCALC_SEED", "2")
    assert matcalc("verify").stdout.splitlines()[-1].endswith("--seed 2 --profile quick")
    assert matcalc("verify", "--seed", "3").stdout.splitlines()[-1].endswith("--seed 3 --profile quick")
    monkeypatch.setenv("MATCALC_SEED", "many")
    assert matcalc("verify").exit_code == 2


def test_the_folder_of_pages_is_the_files_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """`html` is relative to the file that says it."""
    Path("pyproject.toml").write_text('[tool.matcalc]\nhtml = "pages"\n')
    Path("below").mkdir()
    monkeypatch.chdir("below")
    assert config.read(Path.cwd())["html"] == str(Path("..", "pages"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sede = 1", "has no setting 'sede'; did you mean 'seed'?"),
        ("colour = 1", "has no setting 'colour'; there are profile, seed,"),
        ('seed = "1"', "seed in [tool.matcalc] must be a whole number from 0 to 4294967295, but '1' came"),
        ("seed = true", "seed in [tool.matcalc] must be a whole number"),
        ("jobs = 0", "jobs in [tool.matcalc] must be a whole number above 0, but 0 came"),
        ('profile = "slow"', "profile in [tool.matcalc] must be quick, default or thorough, but 'slow' came"),
        ("html = true", "html in [tool.matcalc] must be the path of a folder, or false for no pages, but True came"),
        ('targets = "rules.py"', "targets in [tool.matcalc] must be a list"),
        ("timeout = -1", "timeout in [tool.matcalc] must be a number of seconds above 0, but -1 came"),
        ("seed = ", "pyproject.toml cannot be read: Invalid value"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(text: str, said: str) -> None:
    """One sentence with the file, the setting, what came and what was expected; exit status 2."""
    Path("pyproject.toml").write_text(f"[tool.matcalc]\n{text}\n")
    done = matcalc("list")
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_without_our_table_settles_nothing() -> None:
    """A pyproject.toml need not know matcalc; one whose `tool` is no table is not ours to judge."""
    for text in ('[project]\nname = "x"\n', "tool = 1\n"):
        Path("pyproject.toml").write_text(text)
        assert config.read(Path.cwd()) == {}
    Path("pyproject.toml").write_text("tool.matcalc = 1\n")
    with pytest.raises(config.ConfigError, match=r"tool\.matcalc must be a table of settings, but 1 came"):
        config.read(Path.cwd())


def test_the_names_of_profiles_are_those_of_the_verifier() -> None:
    """The command line knows them without importing what verifies."""
    from matcalc.cases import PROFILES

    assert tuple(PROFILES) == config.PROFILES


# --- with the real verifier -------------------------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, without pages, as a user runs it."""
    words = [*COMMAND, "verify", *arguments, "--no-html", "--profile", "quick"]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)


def test_every_bad_rule_costs_its_own_verdict_and_nothing_else() -> None:
    """Declarations that are refused, files that do not import, rules that are wrong, raise, mutate, crash: one sentence each."""
    folder = Path("all")
    folder.mkdir()
    write_all(folder)
    done = run("all", "--seed", "1", "--jobs", "2", "--json", "results.json")
    assert done.returncode == 1
    results = json.loads(Path("results.json").read_text())
    found = {verdict["rule"]: verdict for verdict in results["verdicts"]}
    assert set(found) == {"right", *REFUTED, *LOST}
    assert found["right"]["status"] == "proved"
    for expected, rules in (("refuted", REFUTED), ("inconclusive", LOST)):
        for name, (_, said) in rules.items():
            assert found[name]["status"] == expected, found[name]["reason"]
            assert said in found[name]["reason"]
            assert "\n" not in found[name]["reason"]
            assert f"{name}: {found[name]['reason']}" in done.stdout
    assert len(results["problems"]) == len(UNREADABLE)
    for _, said in UNREADABLE.values():
        assert sum(said in problem["sentence"] for problem in results["problems"]) == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_the_printed_command_finds_the_same_numbers() -> None:
    """A run is repeated by its last line, in another number of processes, to the last digit."""
    Path("rules.py").write_text(HEAD + a_rule("first") + a_rule("second"))
    once = run("rules.py", "--jobs", "2", "--json", "results.json")
    command = shlex.split(once.stdout.splitlines()[-1])
    again = run(*command[2:], "--jobs", "1", "--json", "-")
    found = [json.loads(text)["verdicts"] for text in (Path("results.json").read_text(), again.stdout)]
    for verdict in [*found[0], *found[1]]:
        del verdict["seconds"]
    assert found[0] == found[1]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has workers run a line of code in the place of the verifier."""

    def install(body: str) -> None:
        Path("sitecustomize.py").write_text(IN_WORKERS.format(body=body))
        monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))

    return install


@pytest.mark.slow
def test_a_rule_that_hangs_is_given_up(stand_in: Callable[[str], None]) -> None:
    """After the time limit its worker is ended and replaced, and the next rule is verified."""
    stand_in("import time; time.sleep(60 * (rule.name == 'hanging'))")
    Path("rules.py").write_text(HEAD + a_rule("hanging") + a_rule("after"))
    done = run("rules.py", "--jobs", "1", "--timeout", "3")
    assert done.returncode == 1
    assert "inconclusive  hanging: hanging took longer than 3 seconds and was ended" in done.stdout
    assert "1 verified, 1 inconclusive" in done.stdout


def test_a_rule_that_kills_its_process_is_said_to(stand_in: Callable[[str], None]) -> None:
    """The signal is named, and every other rule is verified by a new worker."""
    stand_in("import os; rule.name == 'deadly' and os.kill(os.getpid(), 11)")
    Path("rules.py").write_text(HEAD + a_rule("before") + a_rule("deadly") + a_rule("after"))
    done = run("rules.py", "--jobs", "1")
    assert "inconclusive  deadly: deadly ended the process that verified it (signal SIGSEGV)" in done.stdout
    assert "2 verified, 1 inconclusive" in done.stdout


def test_workers_have_one_thread_and_keep_stdout_clean(stand_in: Callable[[str], None]) -> None:
    """NumPy's threads are limited before it is loaded, and what a rule prints is not data."""
    stand_in("import os; print('printed with', os.environ['OMP_NUM_THREADS'], os.environ['OPENBLAS_NUM_THREADS'])")
    Path("rules.py").write_text(RIGHT)
    done = run("rules.py", "--json", "-")
    assert json.loads(done.stdout)["verdicts"][0]["rule"] == "right"
    assert "printed with 1 1" in done.stderr


def test_ctrl_c_keeps_what_is_done(stand_in: Callable[[str], None]) -> None:
    """The rules that were verified are reported, the exit status is 130, and no worker is left."""
    stand_in("import time; time.sleep(60 * (rule.name == 'hanging'))")
    Path("a.py").write_text(RIGHT)
    Path("b.py").write_text(HEAD + a_rule("hanging"))
    words = [*COMMAND, "verify", "a.py", "b.py", "--no-html", "--profile", "quick", "--jobs", "1", "--json", "results.json"]
    heard = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    words = [sys.executable, "-c", heard, *words]  # a job in the background of a shell ignores the signal, and so do its children
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("2 rules, seed ")
    assert process.stderr.readline() == "a: 1 verified\n"
    os.killpg(process.pid, signal.SIGINT)  # the whole group, as a terminal does
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert not err
    assert "1 verified in" in out
    assert "; interrupted after 1 of 2 rules" in out
    assert json.loads(Path("results.json").read_text())["interrupted"] is True
    for _ in range(50):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("a worker is left")


def test_a_fault_of_the_verifier_is_said_of_the_rule(stand_in: Callable[[str], None]) -> None:
    """If matcalc itself fails on a rule, the others are verified all the same, and the sentence blames matcalc."""
    stand_in("1 / (rule.name != 'unlucky')")
    Path("rules.py").write_text(HEAD + a_rule("unlucky") + a_rule("after"))
    done = run("rules.py")
    assert done.returncode == 1
    assert "matcalc itself failed while verifying unlucky (ZeroDivisionError: division by zero)" in done.stdout
    assert "1 verified, 1 inconclusive" in done.stdout
