"""What can be said of a rule before anything is found out about it, and of the environment it is looked at in.

Light: no array library is imported, so that the process that only hands out work need not wait for one.
"""

from __future__ import annotations

import inspect
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from matcalc.rule import Rule, name_as_tex
from matcalc.verdict import Status, Verdict


def unjudged(rule: Rule[Any, Any]) -> Verdict:
    """A verdict that says only which rule it is about."""
    try:
        lines, line = inspect.getsourcelines(rule.function)
        file = inspect.getsourcefile(rule.function) or ""
    except (OSError, TypeError):
        lines, line, file = [], 0, ""
    return Verdict(
        rule=rule.name,
        topic=rule.topic,
        status=Status.VACUOUS,
        summary=rule.summary,
        equations=rule.equations,
        inputs={
            name: {
                "tex": name_as_tex(name),
                "set": domain.latex,
                "domain": str(domain),
                "shape": "(" + ", ".join(d.name for d in domain.dims) + ")",
                "held": domain.held,
            }
            for name, domain in rule.domains.items()
        },
        sources=tuple({"short": source.short, "full": str(source), "url": source.url} for source in rule.sources),
        file=_portable(file),
        line=line,
        code="".join(lines),
        cases=0,
        seconds=0.0,
    )


def _portable(file: str) -> str:
    """A path as it is from the working folder or from the folder that holds the package: no machine's own places in a report."""
    for root in (os.getcwd(), *sys.path):  # noqa: PTH109
        if root and file.startswith(root.rstrip(os.sep) + os.sep):
            return os.path.relpath(file, root)
    return file


def versions() -> dict[str, str]:
    """Versions of Python and of every package whose numbers stand in a verdict."""
    found = {"python": platform.python_version()}
    for name in ("matcalc-rules", "numpy", "scipy", "jax", "jaxlib", "torch", "hypothesis"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
