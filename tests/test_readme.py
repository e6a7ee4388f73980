"""What the README and the examples show is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from matcalc.catalogue import load
from matcalc.claims import check_file
from matcalc.rule import Rule
from matcalc.verdict import Status
from matcalc.verify import verify

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.+?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_the_readmes_code_runs(block: int, tmp_path: Path) -> None:
    """Each Python block runs by itself; a rule it declares is verified."""
    file = tmp_path / f"readme_block_{block}.py"
    file.write_text(BLOCKS[block], encoding="utf-8")
    catalogue = load([file])
    assert catalogue.problems == ()
    for rule in catalogue.rules:
        assert verify(rule, seed=1, profile="quick").status.good


def test_the_file_of_claims_is_answered_as_it_says(tmp_path: Path) -> None:
    """docs/claims.md shows a file, and a part of the answer to its first claim; the other holds."""
    asked, answer = re.findall(r"```json\n(.+?)```", (ROOT / "docs" / "claims.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "claims.json").write_text(asked, encoding="utf-8")
    first, second = check_file(tmp_path / "claims.json")
    shown = json.loads(answer)
    assert shown["explanations"] == first["explanations"][:1]
    assert shown["counterexample"].pop("difference") == pytest.approx(first["counterexample"].pop("difference"))
    assert all(first[key] == value for key, value in shown.items() if key != "explanations")
    assert second["verdict"] == "proved"


def test_the_readmes_commands_stand_where_continuous_integration_looks() -> None:
    """`.ci/run` takes the test command from the README by its marker."""
    commands = dict(re.findall(r"<!-- (main|test) command -->\n```sh\n(.+?)\n```", README))
    assert commands["main"].endswith(".venv/bin/matcalc verify")
    assert ".venv/bin/python -m pytest -q" in commands["test"]


@pytest.mark.parametrize(("name", "status"), [("my_rules", Status.VERIFIED), ("broken_rule", Status.REFUTED)])
def test_the_examples_are_what_they_say(name: str, status: Status) -> None:
    """One example holds, the other is the one to read a failing report by."""
    rules: tuple[Rule[Any, Any], ...] = load([ROOT / "examples" / f"{name}.py"]).rules
    assert [verify(rule, seed=1, profile="quick").status for rule in rules] == [status]
