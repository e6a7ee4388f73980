"""From text to a tree of what was written, without shapes: the grammar of `grammar.lark` over the tokens of `tokens`.

A tree keeps the place of everything in the text, so that a message can point at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, cast

from lark import Lark, Token, UnexpectedToken
from lark.lexer import Lexer

from matcalc.formula.expression import FormulaError, Span

MAX_DEPTH = 200
"How deep a formula may nest: what reads, prints and differentiates it calls itself as often."


@dataclass(slots=True)
class Node:
    """Something that was written: what kind of thing, its parts, what else there is to say, and where it stands."""

    kind: str
    parts: tuple[Node, ...]
    value: Any
    start: int
    end: int
    depth: int

    @property
    def span(self) -> Span:
        """From and to."""
        return self.start, self.end


def node(kind: str, parts: Sequence[Node], value: Any, start: int, end: int) -> Node:
    """A tree above these; FormulaError where it is too deep."""
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > MAX_DEPTH:
        raise FormulaError(f"the formula nests more than {MAX_DEPTH} operations", span=(start, end))
    return Node(kind, tuple(parts), value, start, end, depth)


class _Given(Lexer):
    """The tokens are made before the parser starts, so there is nothing to do here but to hand them over."""

    def __init__(self, lexer_conf: Any) -> None:
        del lexer_conf

    def lex(self, data: Sequence[Token]) -> Iterator[Token]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """The tokens themselves."""
        return iter(data)


def _start(thing: Node | Token) -> int:
    return thing.start if isinstance(thing, Node) else thing.start_pos or 0


def _end(thing: Node | Token) -> int:
    return thing.end if isinstance(thing, Node) else thing.end_pos or 0


def _rule(kind: str, value: Callable[[list[Any]], Any] = lambda _: None) -> Callable[[Any, list[Any]], Node]:
    """What the parser does for a rule: a node of this kind over its parts, with a value read off its tokens."""

    def build(self: Any, children: list[Any]) -> Node:
        del self
        parts = [child for child in children if isinstance(child, Node)]
        if not children:
            return node(kind, (), None, 0, 0)
        return node(kind, parts, value(children), _start(children[0]), _end(children[-1]))

    return build


def _first(children: list[Any]) -> Any:
    return children[0].value


def _first_type(children: list[Any]) -> tuple[str, str]:
    token = next(child for child in children if isinstance(child, Token))
    return token.type, token.value


class _Trees:
    """One method for each rule of the grammar."""

    binary = _rule("binary", _first_type)
    negative = _rule("negative")
    powered = _rule("power", lambda children: children[1].value)
    marked = _rule("marked", lambda children: children[1].type)
    method = _rule("call", lambda children: children[1].value)
    indexed = _rule("indexed")
    name = _rule("name", _first)
    number = _rule("number", _first)
    ones = _rule("ones", _first)
    call = _rule("call", _first)
    tuple = _rule("tuple")
    bars = _rule("bars")
    norm = _rule("norm", lambda children: children[3].value if len(children) > 3 else "")
    fraction = _rule("fraction")
    matrix = _rule("matrix")
    row = _rule("row")
    arguments = _rule("arguments")
    keyword = _rule("keyword", _first)
    string = _rule("string", _first)
    places = _rule("places")
    every = _rule("every")
    juxtaposed = _rule("juxtaposed")
    group = _rule("group")
    big = _rule("big", _first)

    def start(self, children: list[Any]) -> Node:
        return children[0]

    def positive(self, children: list[Any]) -> Node:
        return children[1]

    def raised(self, children: list[Any]) -> Node:
        base, sign = children
        exponent = node("number", (), Fraction(sign.value), _start(sign), _end(sign))
        return node("power", (base, exponent), "^", base.start, exponent.end)


@cache
def _parser() -> Lark:
    text = files("matcalc.formula").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", lexer=_Given, transformer=_Trees(), strict=True)


def tree(tokens: Sequence[Token], text: str) -> Node:
    """What the tokens of a text say; FormulaError, with the place, where they say nothing."""
    if not tokens:
        raise FormulaError("there is no formula", text=text)
    try:
        return cast(Node, _parser().parse(cast(Any, tokens)))
    except UnexpectedToken as error:
        raise _unexpected(error, tokens, text) from None
    except FormulaError as error:
        error.text = text
        raise


_OPERANDS = {"NUMBER", "NAME", "LPAR", "FUNCTION"}
_CLOSING = {"RPAR": ")", "RBRACK": "]", "RBRACE": "}", "BAR_CLOSE": "|", "NORM_CLOSE": "‖", "MATRIX_CLOSE": r"\end{pmatrix}"}


def _unexpected(error: UnexpectedToken, tokens: Sequence[Token], text: str) -> FormulaError:
    token = error.token
    expected = error.expected
    wanted = (
        "a name, a number or a bracket"
        if expected >= _OPERANDS
        else " or ".join(f"“{_CLOSING[word]}”" for word in sorted(expected & _CLOSING.keys())) or "an operator"
    )
    if token.type == "$END":
        end = tokens[-1].end_pos or 0
        return FormulaError(f"the formula ends where {wanted} should follow", text=text, span=(end, end + 1))
    start, end = token.start_pos or 0, token.end_pos or 0
    return FormulaError(f"“{text[start:end]}” stands where {wanted} should follow", text=text, span=(start, end))
