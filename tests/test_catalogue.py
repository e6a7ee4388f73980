"""Finding rules: installed, by path, by name; choosing among them; what cannot be read becomes one sentence."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rule_files import HEAD, RIGHT, UNREADABLE, a_rule

from matcalc import catalogue
from matcalc.catalogue import Catalogue, installed, load
from matcalc.rule import Rule


@pytest.fixture(autouse=True)
def forget_modules(tmp_path: Path) -> Iterator[None]:
    """The files of one test are unknown to the next, which has others of the same name."""
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def names(found: Catalogue) -> list[str]:
    """The names of the rules."""
    return [rule.name for rule in found.rules]


def test_the_installed_catalogue_is_read_whole() -> None:
    """Every module of `matcalc_rules` can be read, and no two rules share a name."""
    found = installed()
    assert not found.problems
    assert len(names(found)) == len(set(names(found))) > 0
    assert all(isinstance(rule, Rule) for rule in found.rules)


def test_an_empty_catalogue_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no package stands under the entry-point group, that is said, not passed over."""
    monkeypatch.setattr(catalogue, "entry_points", lambda **_: ())
    with pytest.raises(LookupError, match=r"no rules are installed.*matcalc\.catalogues"):
        installed()


def test_rules_are_read_from_a_file_a_folder_and_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target is a file, a folder of files, or a package by name; hidden and dunder files are not read."""
    (tmp_path / "some_rules.py").write_text(RIGHT)
    (tmp_path / "__main__.py").write_text("raise SystemExit")
    package = tmp_path / "a_package_of_rules"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "topic.py").write_text(HEAD + a_rule("packed"))
    monkeypatch.syspath_prepend(tmp_path)
    assert names(load([tmp_path / "some_rules.py"])) == ["right"]
    assert sorted(names(load([tmp_path]))) == ["packed", "right"]
    assert names(load(["a_package_of_rules"])) == ["packed"]
    assert load(["a_package_of_rules"])["packed"].topic == "topic"


def test_a_rule_belongs_to_the_file_that_writes_it(tmp_path: Path) -> None:
    """A rule that is imported from another file is not listed twice."""
    (tmp_path / "first_file.py").write_text(RIGHT)
    (tmp_path / "second_file.py").write_text("from first_file import right\n" + HEAD + a_rule("other"))
    found = load([tmp_path])
    assert sorted(names(found)) == ["other", "right"]
    assert not found.problems


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    """Both are read, although Python knows modules by name."""
    for number in (1, 2):
        (tmp_path / f"folder{number}").mkdir()
        (tmp_path / f"folder{number}" / "same_name.py").write_text(HEAD + a_rule(f"rule{number}"))
    assert names(load([tmp_path])) == ["rule1", "rule2"]


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_one_sentence_and_the_rest_is_read(name: str, tmp_path: Path) -> None:
    """The sentence names the file and what is wrong with it."""
    text, said = UNREADABLE[name]
    (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "zzz_good.py").write_text(RIGHT)
    found = load([tmp_path])
    assert names(found) == ["right"]
    (problem,) = found.problems
    assert said in problem.sentence
    assert f"{name}.py" in problem.sentence
    assert "\n" not in problem.sentence


def test_two_rules_of_one_name_are_a_problem(tmp_path: Path) -> None:
    """The first is kept, and the sentence names both modules."""
    (tmp_path / "one.py").write_text(RIGHT)
    (tmp_path / "two.py").write_text(RIGHT)
    found = load([tmp_path])
    assert names(found) == ["right"]
    assert [problem.sentence for problem in found.problems] == ["two rules are called right: one in one, one in two; rename one"]


@pytest.mark.parametrize("target", ["no_such_package_at_all", "no_such_file.py"])
def test_a_target_that_does_not_exist_is_a_problem(target: str) -> None:
    """The sentence names it."""
    found = load([target])
    assert not found.rules
    assert target in found.problems[0].sentence


def test_a_folder_without_python_is_a_problem(tmp_path: Path) -> None:
    """It is not taken for a folder whose rules are all right."""
    assert "holds no Python file" in load([tmp_path]).problems[0].sentence


@pytest.fixture
def three(tmp_path: Path) -> Catalogue:
    """Three rules in two topics."""
    (tmp_path / "norms_here.py").write_text(HEAD + a_rule("long_norm") + a_rule("short_norm"))
    (tmp_path / "traces_here.py").write_text(HEAD + a_rule("long_trace"))
    return load([tmp_path])


@pytest.mark.parametrize(
    ("keyword", "chosen"),
    [
        ("", "long_norm short_norm long_trace"),
        ("LONG", "long_norm long_trace"),
        ("traces", "long_trace"),
        ("long and not trace", "long_norm"),
        ("not (long or trace)", "short_norm"),
        ("trace or short", "short_norm long_trace"),
        ("absent", ""),
    ],
)
def test_a_keyword_chooses_by_name_and_topic(keyword: str, chosen: str, three: Catalogue) -> None:
    """Words are joined by `and`, `or`, `not` and parentheses; capitals do not matter."""
    assert names(three.select(keyword)) == chosen.split()


@pytest.mark.parametrize("keyword", ["and", "long and", "(long", "long)", "long trace", "not", "()"])
def test_a_keyword_that_cannot_be_read_is_refused(keyword: str, three: Catalogue) -> None:
    """One sentence, with the expression in it."""
    with pytest.raises(ValueError, match=r"-k .* (cannot be read|parenthesis)"):
        three.select(keyword)


def test_topics_choose_and_must_exist(three: Catalogue) -> None:
    """A topic is a module; one that is not there is refused with those that are."""
    assert names(three.select(topics=["traces_here"])) == ["long_trace"]
    with pytest.raises(ValueError, match="no topic is called 'norm'; there are norms_here, traces_here"):
        three.select(topics=["norm"])


def test_a_rule_is_found_by_name_or_the_nearest_are_named(three: Catalogue) -> None:
    """A wrong letter is no dead end."""
    assert three["long_norm"].name == "long_norm"
    with pytest.raises(KeyError, match=r"no rule is called 'long_nrom'; did you mean long_norm"):
        three["long_nrom"]


def test_a_file_has_one_topic_in_every_process(tmp_path: Path) -> None:
    """A worker and the process that started it speak of the same topics, also for two files of one name."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(HEAD + a_rule(f"in_{folder}"))
    code = f"from matcalc.catalogue import load; print([rule.topic for rule in load([{str(tmp_path)!r}]).rules])"
    said = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(said) == 1
