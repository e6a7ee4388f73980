"""TeX -> MathML that a page can trust: every element, attribute and value of it stands on a list."""

from __future__ import annotations

import re
from functools import lru_cache
from html.entities import html5
from xml.etree import ElementTree as ET

from markupsafe import Markup
from math_core import LatexError, LatexToMathML

_CONVERTER = LatexToMathML(fancy_error=False)

# Chromium sometimes draws these signs without their line, which changes what a formula says; \bar is drawn reliably.
_UNRELIABLE = re.compile(r"\\(overline|underline|overbrace)(?![A-Za-z])")

_ELEMENTS = frozenset({
    "math", "mfrac", "mi", "mn", "mo", "mover", "mpadded", "mroot", "mrow", "mspace", "msqrt", "msub", "msubsup", "msup", "mtable", "mtd",
    "mtext", "mtr", "munder", "munderover",
})  # fmt: skip
_LENGTH = re.compile(r"-?\d*\.?\d+(em|ex|pt|px)?")
_TRUTH = re.compile("true|false")
_ATTRIBUTES = {
    "accent": _TRUTH,
    "accentunder": _TRUTH,
    "display": re.compile("block"),
    "displaystyle": _TRUTH,
    "fence": _TRUTH,
    "form": re.compile("prefix|infix|postfix"),
    "largeop": _TRUTH,
    "linethickness": _LENGTH,
    "lspace": _LENGTH,
    "mathvariant": re.compile("normal"),
    "maxsize": _LENGTH,
    "minsize": _LENGTH,
    "movablelimits": _TRUTH,
    "rspace": _LENGTH,
    "scriptlevel": re.compile(r"[+-]?\d"),
    "separator": _TRUTH,
    "stretchy": _TRUTH,
    "symmetric": _TRUTH,
    "width": _LENGTH,
}
# What the converter says in style attributes, which our pages forbid, as classes of report.css.
_CLASSES = {
    "text-align:left": "m-left",
    "text-align:right": "m-right",
    "justify-items:start": "",
    "justify-items:end": "",
    "padding-left:0": "m-pl0",
    "padding-left:1em": "m-pl1",
    "padding-right:0": "m-pr0",
    "padding-right:0.1667em": "m-pr1",
    "border-top:0.05em solid currentcolor": "m-top",
    "border-right:0.05em solid currentcolor": "m-edge",
}
_BINARY = "⊗⊙⊕"  # Firefox draws these at twice their size in a displayed formula unless told otherwise


class MathsError(ValueError):
    """A formula that cannot be typeset; the message is one sentence."""


@lru_cache(maxsize=4096)
def typeset(tex: str, *, display: bool = False) -> Markup:
    """The formula as MathML, with its TeX as alternative text; `display` sets it as large as one on a line of its own.

    Raises MathsError for TeX that the converter does not know, or that asks for more than a formula (links, colours).
    """
    if unreliable := _UNRELIABLE.search(tex):
        raise MathsError(rf"{unreliable[0]} is not drawn reliably by browsers; write \bar or \underbrace instead")
    try:
        source = _CONVERTER.convert_with_local_state(tex, displaystyle=display)
    except LatexError as error:
        message = re.sub(r"^\d+: ", "", str(error)).rstrip(".")
        raise MathsError(f"{_excerpt(tex)} is not understood: {message[:1].lower()}{message[1:]}") from error
    try:
        root = ET.fromstring(re.sub(r"&(\w+);", _character, source))  # noqa: S314  (the converter's own output; what is in it is checked next)
    except ET.ParseError as error:
        raise MathsError(f"{_excerpt(tex)} holds characters that no formula may hold") from error
    for element in root.iter():
        _tame(element)
    root.set("alttext", tex)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704  (serialised from a checked tree)


def _character(match: re.Match[str]) -> str:
    """A named character such as &ApplyFunction; as itself: XML knows only five names."""
    name = match[1]
    return match[0] if name in {"lt", "gt", "amp", "quot", "apos"} else html5.get(f"{name};", match[0])


def _tame(element: ET.Element) -> None:
    """Checks one element, and replaces its style by classes."""
    if element.tag not in _ELEMENTS:
        raise MathsError(f"a formula may not hold a {element.tag} element")
    style = element.attrib.pop("style", "")
    for name, value in element.attrib.items():
        allowed = _ATTRIBUTES.get(name)
        if allowed is None or not allowed.fullmatch(value):
            raise MathsError(f"a formula may not say {name}={value!r}")
    classes: list[str] = []
    for declaration in filter(None, (part.strip() for part in style.split(";"))):
        known = _CLASSES.get(re.sub(r"\s*:\s*", ":", declaration).lower())
        if known is None:
            raise MathsError(f"a formula may not ask for the style {declaration!r}")
        classes.append(known)
    if any(classes):
        element.set("class", " ".join(filter(None, classes)))
    if element.tag == "mo" and element.text and element.text in _BINARY:
        element.set("largeop", "false")


def _excerpt(tex: str) -> str:
    return repr(tex if len(tex) <= 60 else f"{tex[:57]}...")
