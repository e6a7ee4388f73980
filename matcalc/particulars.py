"""What can be said of a rule before anything is found out about it, and of the environment it is looked at in.

Light: no array library is imported, so that the process that only hands out work need not wait for one.
"""

from __future__ import annotations

import inspect
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from matcalc.rule import Rule, name_as_tex
from matcalc.verdict import Status, Verdict

if TYPE_CHECKING:
    from matcalc.rule import Subject


def unjudged(subject: Subject) -> Verdict:
    """A verdict that says only what it is about: all that a rule says of itself, or the name and inputs of anything else."""
    rule = subject if isinstance(subject, Rule) else getattr(subject, "rule", None)
    function = rule.function if rule else subject.value
    try:
        lines, line = inspect.getsourcelines(function)
        file = inspect.getsourcefile(function) or ""
    except (OSError, TypeError):
        lines, line, file = [], 0, ""
    return Verdict(
        rule=subject.name,
        topic=rule.topic if rule else "",
        status=Status.VACUOUS,
        summary=rule.summary if rule else "",
        equations=rule.equations if rule else (),
        inputs={
            name: {
                "tex": name_as_tex(name),
                "set": domain.latex,
                "domain": str(domain),
                "shape": "(" + ", ".join(d.name for d in domain.dims) + ")",
                "held": domain.held,
            }
            for name, domain in subject.domains.items()
        },
        sources=tuple({"short": source.short, "full": str(source), "url": source.url} for source in (rule.sources if rule else ())),
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
