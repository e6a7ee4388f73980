"""From the text of a document to its claims and worked examples, as they were written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from markdown_it import MarkdownIt

LARGEST = 1_000_000
"Characters of a document."
MOST_REPEATS = 10_000

Kind = Literal["formula", "update", "look", "edge", "graph", "repeat", "unreadable"]


class NotesError(ValueError):
    """A document that cannot be read at all; the message is one sentence."""


@dataclass(frozen=True)
class Statement:
    """One line of an example.

    A `formula` is `target = text`, where the text may be mere numbers; `look` asks for the value of `text`, `edge` for what comes
    back from `target` to `text`. `claimed` is what stands behind `?=`. `problem` says why a line is unreadable.
    """

    line: int
    id: str
    kind: Kind
    source: str
    target: str = ""
    text: str = ""
    claimed: str = ""
    remark: str = ""
    times: int = 0
    body: tuple[Statement, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Claim:
    """A fenced `claim` block: a derivative (`wrt` and `claim`) or an equation (`equals`) that is said to hold for all values."""

    line: int
    id: str
    f: str = ""
    wrt: str = ""
    claim: str = ""
    equals: str = ""
    kind: str = ""
    says: str = ""
    where: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Example:
    """A fenced `example` block: statements from top to bottom; `continued` goes on with the names of the one before."""

    line: int
    id: str
    title: str = ""
    says: str = ""
    continued: bool = False
    statements: tuple[Statement, ...] = ()
    problem: str = ""


Block = Claim | Example


@dataclass(frozen=True)
class Notes:
    """A document: its text, its title, and the blocks in it in their order; `line` of a block counts from 1."""

    text: str
    title: str
    blocks: tuple[Block, ...]


def markdown() -> MarkdownIt:
    """The Markdown that documents are written in: CommonMark and tables, without HTML."""
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def read(text: str) -> Notes:
    """The claims and examples in a document. What is wrong with one of them is noted in it, and the others are read all the same.

    Raises NotesError for a document that is too large.
    """
    if len(text) > LARGEST:
        raise NotesError(f"the document has {len(text)} characters, more than the {LARGEST} that are read")
    blocks: list[Block] = []
    title = ""
    lines = lines_of(text)
    tokens = markdown().parse(text)
    for k, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h1" and not title:
            title = tokens[k + 1].content
        if token.type != "fence" or token.map is None:
            continue
        word, _, rest = token.info.strip().partition(" ")
        if word not in {"claim", "example"}:
            continue
        first, after = token.map
        problem = ""
        if after - first < 2 or lines[min(after, len(lines)) - 1].lstrip(" >").rstrip() != token.markup:
            problem = f"the {word} that begins in line {first + 1} is not closed; {token.markup} on a line of its own closes it"
        own = list(enumerate(lines_of(token.content), start=first + 2))
        if word == "claim":
            above = [block for block in blocks if isinstance(block, Claim)]
            blocks.append(_claim(first + 1, own, problem, len(blocks) + 1, above))
        else:
            blocks.append(_example(first + 1, own, problem, rest.strip(), len(blocks) + 1))
    return Notes(text, title, tuple(blocks))


def lines_of(text: str) -> list[str]:
    """The lines of a document, as Markdown counts them."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


# --- claims -----------------------------------------------------------------------------------------------------------------------

_KEYS = ("id", "like", "f", "wrt", "claim", "equals", "kind", "says", "where")
_DECLARATION = re.compile(r"\w+\s*(\([^()]*\))?")


class _Keys:
    """What the lines of a claim say; the first thing that is wrong is kept."""

    def __init__(self, lines: list[tuple[int, str]], problem: str) -> None:
        self.problem = problem
        self.found: dict[str, str] = {}
        self.where: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        for key, value in _pairs(lines):
            self.add(key, value)

    def complain(self, problem: str) -> None:
        self.problem = self.problem or problem

    def add(self, key: str, value: str) -> None:
        if not key:
            self.complain(value)
        elif key == "where":
            name, equals, formula = (part.strip() for part in value.partition("="))
            if not equals:
                self.complain(f"“where” defines a name, as in “where: r = A x - b”, but “{value}” came")
            self.where[name] = formula
        elif key in _KEYS:
            if key in self.found:
                self.complain(f"“{key}” is given twice")
            self.found[key] = value
        elif _DECLARATION.fullmatch(value):
            self.variables[key] = value
        else:
            known = ", ".join(_KEYS)
            self.complain(f"“{key}” is not a key of a claim ({known}), and “{value}” declares no variable, as “{key}: real(m, n)” would")

    def inherit(self, above: Sequence[Claim]) -> None:
        """Take over from an earlier claim what is not said here; another kind of claim than its displaces it."""
        like = self.found.pop("like", "")
        if not like:
            return
        model = next((each for each in reversed(above) if like in {"above", each.id}), None)
        if model is None:
            self.complain(f"there is no claim “{like}” above")
            return
        own = self.found.keys()
        displaced = {"wrt", "claim"} if "equals" in own else {"equals"} if own & {"wrt", "claim"} else set[str]()
        displaced |= {"claim"} if "wrt" in own else set()
        inherited = {key: getattr(model, key) for key in ("f", "wrt", "claim", "equals", "kind") if key not in displaced}
        self.found = {**{key: value for key, value in inherited.items() if value}, **self.found}
        self.where, self.variables = {**dict(model.where), **self.where}, {**dict(model.variables), **self.variables}


def _claim(line: int, lines: list[tuple[int, str]], problem: str, position: int, above: Sequence[Claim]) -> Claim:
    """A claim block: `key: value`, where what is indented continues the value above it."""
    keys = _Keys(lines, problem)
    keys.inherit(above)
    said = {"id": f"claim {position}", **keys.found}
    problem = keys.problem or _lacking(keys.found)
    return Claim(line, **said, where=tuple(keys.where.items()), variables=tuple(keys.variables.items()), problem=problem)


def _pairs(lines: list[tuple[int, str]]) -> list[tuple[str, str]]:
    """Keys and values; without a key, the complaint about a line that has none."""
    pairs: list[tuple[str, str]] = []
    for number, text in lines:
        stripped = text.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key, colon, value = (part.strip() for part in text.partition(":"))
        if text[0].isspace() and pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]} {stripped}")
        elif colon and key:
            pairs.append((key, value))
        else:
            pairs.append(("", f"line {number} is not of the form “key: value”: {stripped}"))
    return pairs


def _lacking(found: dict[str, str]) -> str:
    if "f" not in found:
        return "the claim does not say what f is"
    if "equals" in found:
        return "" if "wrt" not in found and "claim" not in found else "a claim has either “equals” or “wrt” and “claim”"
    for key in ("wrt", "claim"):
        if key not in found:
            return f"the claim has no “{key}”; it needs “wrt” and “claim”, or “equals”"
    return ""


# --- examples ---------------------------------------------------------------------------------------------------------------------

_RAISED = "ᵀ⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ"  # letters and digits to Python, but no part of a name
NAME = rf"\\?[^\W\d_{_RAISED}](?:[^\W{_RAISED}]|[\u0300-\u036f])*(?:(?<=_)\{{[\w\s,]+\}})?"
_KEY = re.compile(r"([A-Za-z]\w*)\s*:\s*(.*)")
_REPEAT = re.compile(r"repeat\s+(\d+)(?:\s+times)?\s*:?")
_EDGE = re.compile(rf"edge\s+({NAME})\s*(?:->|→)\s*({NAME})")
_GRAPH = re.compile(rf"graph\s+({NAME})(?:\s+(?:wrt|by)\s+(.+))?")
_UPDATE = re.compile(rf"({NAME})\s*(?:<-|←|\\leftarrow)\s*(.+)")
_SET = re.compile(rf"({NAME})\s*=\s*(.+)")


def _example(line: int, lines: list[tuple[int, str]], problem: str, info: str, position: int) -> Example:
    found: dict[str, str] = {}
    own: list[tuple[int, str, str]] = []  # line, text with its indentation, id
    current = ""
    for number, text in lines:
        stripped = text.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key = _KEY.fullmatch(stripped)
        if key is None or _REPEAT.fullmatch(stripped):
            own.append((number, text.rstrip(), current))
        elif key[1] == "id":
            current = key[2]
            found.setdefault("id", key[2])
        elif key[1] in {"title", "says"}:
            found[key[1]] = key[2]
        else:
            own.append((number, f"\0“{key[1]}” is not a key of an example (id, title, says)", current))
    name = found.get("id", f"example {position}")
    if info not in {"", "continued"}:
        problem = problem or f"an example may be “continued”, but not “{info}”"
    statements = tuple(_statements([(number, text, id_ or name) for number, text, id_ in own]))
    return Example(line, name, found.get("title", ""), found.get("says", ""), info == "continued", statements, problem)


def _statements(lines: list[tuple[int, str, str]]) -> Iterator[Statement]:
    k = 0
    while k < len(lines):
        number, text, name = lines[k]
        k += 1
        repeat = _REPEAT.fullmatch(text.strip())
        if repeat is None:
            yield from _on_a_line(number, text, name)
            continue
        indent = len(text) - len(text.lstrip())
        body: list[tuple[int, str, str]] = []
        while k < len(lines) and len(lines[k][1]) - len(lines[k][1].lstrip()) > indent:
            body.append(lines[k])
            k += 1
        times = int(repeat[1])
        problem = "" if body else "repeat needs the lines that are repeated, indented, below it"
        if times > MOST_REPEATS:
            problem = f"{times} repetitions are more than the {MOST_REPEATS} that are allowed"
        kind: Kind = "unreadable" if problem else "repeat"
        yield Statement(number, name, kind, text.strip(), times=times, body=tuple(_statements(body)), problem=problem)


def _on_a_line(number: int, text: str, name: str) -> Iterator[Statement]:
    if text.startswith("\0"):
        yield Statement(number, name, "unreadable", "", problem=text[1:])
        return
    text, _, remark = text.partition(" # ")
    parts = list(_apart(text))
    for k, part in enumerate(parts, start=1):
        one = _statement(number, part.strip(), name)
        yield replace(one, remark=remark.strip() if k == len(parts) else "")


def _apart(text: str) -> Iterator[str]:
    """What stands between semicolons outside brackets."""
    depth, start = 0, 0
    for k, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == ";" and depth == 0:
            yield text[start:k]
            start = k + 1
    if text[start:].strip():
        yield text[start:]


def _statement(line: int, text: str, name: str) -> Statement:
    left, asks, claimed = (part.strip() for part in text.partition("?="))
    if asks and not (left and claimed):
        return Statement(
            line, name, "unreadable", text, problem=f"?= stands between a formula and what is printed for it, but “{text}” came"
        )
    if edge := _EDGE.fullmatch(left):
        return Statement(line, name, "edge", text, target=edge[2], text=edge[1], claimed=claimed)
    if (graph := _GRAPH.fullmatch(left)) and not asks:
        return Statement(line, name, "graph", text, target=graph[1], text=graph[2] or "")
    if update := _UPDATE.fullmatch(left):
        return Statement(line, name, "update", text, target=update[1], text=update[2], claimed=claimed)
    if given := _SET.fullmatch(left):
        return Statement(line, name, "formula", text, target=given[1], text=given[2], claimed=claimed)
    return Statement(line, name, "look", text, text=left, claimed=claimed)
