"""What would fit: every one-edit change of the place where shapes clash after which the whole formula has a meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from matcalc.formula.expression import FormulaError
from matcalc.formula.grammar import Node, node
from matcalc.formula.printing import spell
from matcalc.formula.reading import Reader
from matcalc.formula.tokens import Tokens, spelling_of
from matcalc.formula.vocabulary import Spelling

MAX_REPAIRS = 4
Error = TypeVar("Error", bound=FormulaError)


class Source(Protocol):
    """A text with its tree."""

    @property
    def text(self) -> str:
        """The text."""
        ...

    @property
    def tree(self) -> Node:
        """Its tree."""
        ...

    @property
    def tokens(self) -> Tokens:
        """Its tokens."""
        ...


def with_repairs(error: Error, reader: Reader, sources: Sequence[Source]) -> Error:
    """The error with the repairs that make the formula fit, in the spelling it was written in."""
    if error.repairs or not reader.misfits:
        return error
    broken = reader.misfits[-1]
    source = next((each for each in sources if any(part is broken for part in _all(each.tree))), None)
    if source is None:
        return error
    spelling = _spelling(reader, source)
    found: dict[str, None] = {}
    for changed in _edits(broken, numpy=reader.numpy):
        again = reader.fresh()
        try:
            again.whole(_with(source.tree, broken, changed), source.text)
        except FormulaError:
            continue
        found[spell(again.traced[id(changed)], spelling)] = None
        if len(found) == MAX_REPAIRS:
            break
    error.repairs = tuple(found)
    return error


def _spelling(reader: Reader, source: Source) -> Spelling:
    evidence = source.tokens.evidence
    return "numpy" if reader.numpy else spelling_of(evidence, default="unicode")


def _edits(broken: Node, *, numpy: bool) -> Iterator[Node]:
    """The changes: a transpose more or less on either side, the factors exchanged, the other kind of product."""
    if broken.kind == "call" and len(broken.parts) == 1 and broken.value[0] == "inv":
        yield Node("call", broken.parts, ("pinv", None), broken.start, broken.end, broken.depth)
    if len(broken.parts) != 2 or broken.kind not in {"binary", "juxtaposed"}:
        return
    left, right = broken.parts

    def with_parts(a: Node, b: Node, value: Any = broken.value) -> Node:
        return Node(broken.kind, (a, b), value, broken.start, broken.end, broken.depth)

    for changed in (*_last_turned(left), _turned(left)):
        yield with_parts(changed, right)
    for changed in (*_first_turned(right), _turned(right)):
        yield with_parts(left, changed)
    if broken.kind == "juxtaposed" or broken.value[0] in {"MATMUL", "STAR", "CDOT"}:
        yield with_parts(right, left)
    if broken.kind == "binary":
        other = {"STAR": "MATMUL" if numpy else "HADAMARD", "MATMUL": "HADAMARD", "CDOT": "HADAMARD", "HADAMARD": "MATMUL"}
        if broken.value[0] in other:
            yield with_parts(left, right, (other[broken.value[0]], ""))
    elif broken.kind == "juxtaposed":
        yield Node("binary", (left, right), ("HADAMARD", ""), broken.start, broken.end, broken.depth)
    yield with_parts(_turned(left), _turned(right))


def _turned(tree: Node) -> Node:
    return node("marked", [tree], "TRANSPOSE", tree.start, tree.end)


def _last_turned(tree: Node) -> Iterator[Node]:
    """A product whose last factor is transposed."""
    if tree.kind in {"binary", "juxtaposed"} and (tree.kind == "juxtaposed" or tree.value[0] in {"MATMUL", "STAR", "CDOT"}):
        left, right = tree.parts
        for changed in (*_last_turned(right), _turned(right)):
            yield Node(tree.kind, (left, changed), tree.value, tree.start, tree.end, tree.depth + 1)


def _first_turned(tree: Node) -> Iterator[Node]:
    """A product whose first factor is transposed."""
    if tree.kind in {"binary", "juxtaposed"} and (tree.kind == "juxtaposed" or tree.value[0] in {"MATMUL", "STAR", "CDOT"}):
        left, right = tree.parts
        for changed in (*_first_turned(left), _turned(left)):
            yield Node(tree.kind, (changed, right), tree.value, tree.start, tree.end, tree.depth + 1)


def _with(tree: Node, old: Node, new: Node) -> Node:
    """A tree with one of its nodes replaced."""
    if tree is old:
        return new
    if not tree.parts:
        return tree
    parts = tuple(_with(part, old, new) for part in tree.parts)
    if all(a is b for a, b in zip(parts, tree.parts, strict=True)):
        return tree
    return Node(tree.kind, parts, tree.value, tree.start, tree.end, tree.depth)


def _all(tree: Node) -> Iterator[Node]:
    stack = [tree]
    while stack:
        each = stack.pop()
        yield each
        stack.extend(each.parts)
