"""Verdicts as pages, as JSON and as JUnit XML: presents what was found, and computes nothing about rules.

A report is a folder of plain files that works offline, from disk and without script.
"""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

from matcalc.report import html
from matcalc.report.claims import claims_page
from matcalc.report.files import MARKER, ReportError, check_folder, encoded, read_file, replaced_folder, write_file
from matcalc.report.junit import junit
from matcalc.report.page import index_page
from matcalc.verdict import Run, from_json, to_json

__all__ = ["ReportError", "check_folder", "read_json", "write_html", "write_json", "write_junit"]

_ASSETS = Path(__file__).parent / "assets"


def write_html(run: Run, folder: Path) -> Path:
    """Writes the pages of a run and returns the path of the first, `index.html`.

    The folder appears whole or not at all. One that holds an older report is replaced, and what else lies in it is kept.
    Raises ReportError if the folder holds other things and no report, or cannot be written.
    """
    whole = index_page(run)
    with replaced_folder(folder) as new:
        shutil.copytree(_ASSETS, new / "assets", ignore=shutil.ignore_patterns("serve.*", "notes.*"))
        (new / "rules").mkdir()
        for page in whole.pages:
            (new / "rules" / f"{page.slug}.html").write_bytes(encoded(html.rule(page, whole)))
        (new / "index.html").write_bytes(encoded(html.index(whole)))
        results = encoded(_as_json(run))
        (new / "results.json").write_bytes(results)
        (new / "claims.html").write_bytes(encoded(html.claims_of(claims_page(whole, sha256(results).hexdigest()))))
        (new / ".gitignore").write_text("*\n!README.md\n", encoding="utf-8")
        (new / MARKER).write_text("This folder was written by matcalc, which may replace its report.\n", encoding="utf-8")
    return folder / "index.html"


def write_json(run: Run, path: Path) -> None:
    """Writes the run as standard JSON, whole or not at all; raises ReportError if the place cannot be written."""
    write_file(path, _as_json(run))


def write_junit(run: Run, path: Path) -> None:
    """Writes the run as JUnit XML, whole or not at all; raises ReportError if the place cannot be written."""
    write_file(path, junit(run))


def read_json(path: Path) -> Run:
    """The run that `write_json` wrote; raises ReportError for a file that is missing, damaged or of another version."""
    text = read_file(path)
    try:
        return from_json(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        detail = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ReportError(f"{path} holds no results of matcalc: {detail}") from error


def _as_json(run: Run) -> str:
    return json.dumps(to_json(run), allow_nan=False, separators=(",", ":")) + "\n"
