"""The table `[tool.matcalc]` of the user's pyproject.toml: settings that need not be typed.

The command line beats the environment (MATCALC_SEED, ...), which beats the file; the first two are click's affair, in `cli`.
"""

from __future__ import annotations

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

PROFILES = ("quick", "default", "thorough")
"The names of `matcalc.verify.PROFILES`, known here without importing what verifies."

DEFAULT_TIMEOUT = 120.0
MOST_SEED = 2**32 - 1

EXPECTED = {
    "profile": "quick, default or thorough",
    "seed": f"a whole number from 0 to {MOST_SEED}",
    "jobs": "a whole number above 0",
    "html": "the path of a folder, or false for no pages",
    "targets": "a list of paths and package names",
    "timeout": "a number of seconds above 0",
}


class ConfigError(Exception):
    """A setting that cannot be used, in one sentence."""


def find(start: Path) -> Path | None:
    """The pyproject.toml in this folder or the nearest one above it that has one."""
    return next((folder / "pyproject.toml" for folder in [start, *start.parents] if (folder / "pyproject.toml").is_file()), None)


def read(start: Path) -> dict[str, Any]:
    """The settings that hold in a folder; paths in them, which are relative to their file, made relative to that folder.

    Raises ConfigError for a file that cannot be read, a setting that does not exist, or a value of the wrong kind.
    """
    file = find(start)
    if file is None:
        return {}
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    tools = document.get("tool", {})
    table = tools.get("matcalc", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: tool.matcalc must be a table of settings, but {table!r} came")
    for key, value in table.items():
        if key not in EXPECTED:
            near = get_close_matches(key, EXPECTED, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(EXPECTED)}"
            raise ConfigError(f"{file}: [tool.matcalc] has no setting {key!r}; {hint}")
        if not _fits(key, value):
            raise ConfigError(f"{file}: {key} in [tool.matcalc] must be {EXPECTED[key]}, but {value!r} came")
    settings = dict(table)
    if "html" in table:
        settings["html"] = os.path.relpath(file.parent / table["html"], start) if table["html"] else ""
    if "targets" in table:
        settings["targets"] = [_from_here(target, file.parent, start) for target in table["targets"]]
    return settings


def _fits(key: str, value: Any) -> bool:
    """Whether a value is of the kind its setting needs."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    match key:
        case "profile":
            return value in PROFILES
        case "seed":
            return whole and 0 <= value <= MOST_SEED
        case "jobs":
            return whole and value > 0
        case "html":
            return value is False or (isinstance(value, str) and value != "")
        case "targets":
            return isinstance(value, list) and all(isinstance(target, str) and target for target in value)
        case _:
            return (whole or isinstance(value, float)) and value > 0


def _from_here(target: str, folder: Path, start: Path) -> str:
    """A target that is a path beside the file, as seen from here; a package's name as it is."""
    return os.path.relpath(folder / target, start) if target.endswith(".py") or (folder / target).exists() else target
