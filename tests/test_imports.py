"""What a user waits for: importing matcalc, asking for help and listing rules load no framework."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = {"hypothesis", "jax", "jinja2", "numpy", "rich", "scipy", "torch"}


def heavy_modules_after(code: str, **environment: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded once it has run some code."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit as stop:\n    assert not stop.code, stop\nfinally:\n"
    script += "    import json\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, **environment}, timeout=60
    )
    return HEAVY & set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("module", ["matcalc", "matcalc.cli", "matcalc.session", "matcalc.pytest_plugin", "matcalc.catalogue"])
def test_importing_loads_no_framework(module: str) -> None:
    """Neither the package, nor the command line, nor what pytest loads in every environment."""
    assert heavy_modules_after(f"import {module}") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["verify", "--help"], ["list"], ["show", "logdet"]])
def test_asking_loads_no_framework(arguments: list[str]) -> None:
    """Help, the list of rules and the page of one rule are plain text, made of the declarations alone."""
    assert heavy_modules_after(f"from matcalc.cli import main; main({arguments!r})") == set()


def test_completing_loads_no_framework() -> None:
    """The shell waits for the names of rules at every tab."""
    code = "from matcalc.cli import main; main(prog_name='matcalc')"
    environment = {"_MATCALC_COMPLETE": "bash_complete", "COMP_WORDS": "matcalc show log", "COMP_CWORD": "2"}
    assert heavy_modules_after(code, **environment) == set()


def test_these_tests_can_fail() -> None:
    """The same helper sees a framework that is loaded."""
    assert heavy_modules_after("import numpy") == {"numpy"}
