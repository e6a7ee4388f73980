"""Templates and the words they know.

Every string is escaped; markup comes from the formulas' list, from Pygments and from the plots only.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

from matcalc.report import page, words
from matcalc.report.maths import MathsError, typeset
from matcalc.verdict import Status


@cache
def environment() -> Environment:
    """What the templates are filled in with, and the words they know."""
    found = Environment(
        loader=PackageLoader("matcalc.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )
    filters: dict[str, Any] = {
        "maths": maths,
        "prose": prose,
        "python": python,
        "number": words.number,
        "count": words.count,
        "duration": words.duration,
        "web": web,
        "breakable": breakable,
    }
    shared: dict[str, Any] = {
        "Status": Status,
        "TOLERANCE": page.TOLERANCE,
        "NEAR": page.NEAR,
        "BAR_TOLERANCE": page.BAR_TOLERANCE,
        "ORACLES": words.ORACLES,
    }
    found.filters.update(filters)
    found.globals.update(shared)
    return found


def _seen(value: Any) -> Any:
    """What a template is given to print: nothing in it may hide."""
    return value if isinstance(value, Markup) else words.clean(str(value))


def maths(tex: str, *, display: bool = False) -> Markup:
    """A formula; where it cannot be typeset, its TeX and the reason."""
    try:
        return typeset(tex, display=display)
    except MathsError as error:
        return Markup('<code class="tex">{}</code> <small class="note">not typeset: {}</small>').format(
            words.clean(tex), words.clean(str(error))
        )


def prose(text: str) -> Markup:
    """A sentence whose `$...$` are formulas, and whose numbers are not broken at their minus sign."""
    parts = re.split(r"\$([^$]+)\$|(\d[\d.]*e-\d+)", text)
    shown: list[str] = []
    for plain, formula, exponential in zip(parts[::3], [*parts[1::3], None], [*parts[2::3], None], strict=True):
        shown.append(words.clean(plain))
        if formula:
            shown.append(maths(formula))
        if exponential:
            shown.append(Markup('<span class="whole">{}</span>').format(exponential))
    return Markup("").join(shown)


def python(code: str) -> Markup:
    """Python code with a class on each kind of word."""
    return Markup(highlight(words.clean(code), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)))  # noqa: S704  (Pygments escapes what it marks)


def breakable(name: str) -> Markup:
    """A name that may be broken after its underscores."""
    return Markup("_<wbr>").join(words.clean(name).split("_"))


def web(url: str) -> str:
    """The address if it leads to the web, else nothing: no other kind of link is ever made."""
    return url if re.match(r"https?://", url) else ""
