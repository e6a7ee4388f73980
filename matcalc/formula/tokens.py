r"""From text to tokens: all four spellings become one stream, in which every token knows its place in the text.

What only reading further can tell is decided here, before the grammar: whether a bar opens or closes (is an operand before it?),
whether a function stands before a bracket or before a bare factor, where a run of letters such as `AXB` is several names (of
declared ones; where none is declared, of letters), that `1/2` and `\tfrac12` are numbers, and that `x^\top` and the T of `x^TAx`
are a transpose and no power.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from lark import Token

from matcalc.formula.expression import FormulaError
from matcalc.formula.names import ACCENTS, GREEK, LETTERS, SUBSCRIPTS, canonical, surfaces
from matcalc.formula.vocabulary import FUNCTIONS, MATLAB_WORDS, NUMPY_WORDS, SPELLINGS, Spelling, words

MAX_LENGTH = 20_000
"Characters of a formula."
MAX_TOKENS = 4_000
MAX_BRACKETS = 100
"How deep brackets may nest."
MAX_DIGITS = 40
"Digits of a number."
MAX_TENS = 300
"The power of ten of a number, of either sign: what a float can hold."

_TOP = (
    r"(?:\\[!,;:]\s*)*(?:\\(?:top|intercal|prime)(?![A-Za-z])|\\(?:math(?:sf|rm|it|tt|bf|cal)|text(?:rm|sf|it)?|operatorname)\s*"
    r"(?:\{\s*[TH]\s*\}|[TH])|\\(?:rm|sf|it)\s+[TH]|[TH]|[⊤']|\{\s*\\(?:rm|sf|it)\s+[TH]\s*\})"
)
_PLUS = r"(?:\\dagger|\+|†)"
_RAISED_LETTERS = "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴵᴶᴷᴸᴹᴺᴼᴾᴿᵁⱽᵂᵅᵝᵞᵟᵋᶿᵠᵡ"
_RAISED_SIGNS = "⁻⁺⁽⁾⁰¹²³⁴-⁹"
_MARKS = [
    ("EXPONENT", f"[{_RAISED_SIGNS}]*[{_RAISED_LETTERS}][{_RAISED_SIGNS}{_RAISED_LETTERS}]*"),
    ("INVERSE_TRANSPOSE", rf"\^\s*(?:\{{\s*-\s*{_TOP}\s*\}}|-\s*{_TOP})|⁻ᵀ"),
    ("PSEUDO_INVERSE_TRANSPOSE", rf"\^\s*\{{\s*(?:{_PLUS}\s*{_TOP}|{_TOP}\s*{_PLUS})\s*\}}"),
    ("TRANSPOSE", rf"\^\s*(?:\{{\s*{_TOP}\s*\}}|{_TOP})|[ᵀᴴ]|\.(?:mT|T)(?![A-Za-z0-9_(])|\.?['′]"),
    ("INVERSE", r"\^\s*(?:\{\s*-\s*1\s*\}|-\s*1(?![\d.]))|⁻¹(?![⁰¹²³⁴-⁹])"),
    ("PSEUDO_INVERSE", r"\^\s*(?:\{\s*(?:\\dagger|\+)\s*\}|\\dagger(?![A-Za-z])|†|\+(?!\s*[\d.]))|⁺|†"),
    ("RAISED", r"⁻?[⁰¹²³⁴-⁹]+"),
]
_LETTER = "A-Za-zͰ-Ͽᲀ-ᲈℓ"
_TAIL = f"[{''.join(SUBSCRIPTS)}{''.join(ACCENTS.values())}]*"
_LINE = r"_(?!\s*\{)"
_DIGIT = f"0-9{''.join(SUBSCRIPTS)}{''.join(ACCENTS.values())}"
_PLAIN_NAME = f"(?:(?:[{_LETTER}]|{_LINE})(?:[{_LETTER}{_DIGIT}]|{_LINE})*)"
_TEX_NAME = rf"(?:[{_LETTER}]{_TAIL})+"
_SKIPPED = (
    r"\s+|\\[,;:!> ]|~|\\q?quad(?![A-Za-z])|\\left(?![A-Za-z]|\s*\[)\.?"
    r"|\\(?:right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|limits|thinspace)(?![A-Za-z])\.?"
    r"|(?:np|numpy|jnp|jax\.numpy|scipy|sp|torch|tf|math|jax|LA)(?:\.(?:linalg|special|nn|functional|math))*\.(?=[A-Za-z])"
)
_REST = [
    ("STRING", r"'(?:fro|nuc)'|\"(?:fro|nuc)\""),
    *_MARKS,
    ("METHOD", r"\.[A-Za-z_]+(?=\s*\()"),
    ("ATTRIBUTE", r"\.[A-Za-z_]+"),
    ("NUMBER", r"(?:[0-9]+(?:\.(?![*/^'TA-Za-z])[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"),
    ("MATRIX_OPEN", r"\\begin\s*\{\s*[pbvBV]?matrix\s*\}"),
    ("MATRIX_CLOSE", r"\\end\s*\{\s*[pbvBV]?matrix\s*\}"),
    ("NEW_ROW", r"\\\\"),
    ("ONES", r"\\(?:mathbf|mathbb|boldsymbol|bm|mathbbm|vec)\s*(?:\{\s*1\s*\}|1)|𝟏|𝟙|𝟭"),
    ("NORM", r"\\\||\\[lr]?Vert(?![A-Za-z])|‖|∥|\|\|"),
    ("BAR", r"\||∣|\\[lr]?vert(?![A-Za-z])"),
    ("ANGLE_OPEN", r"\\langle(?![A-Za-z])|[⟨〈]"),
    ("ANGLE_CLOSE", r"\\rangle(?![A-Za-z])|[⟩〉]"),
    ("GROUP", r"\\left\s*\["),
    ("COMMAND", r"\\[A-Za-z]+\*?"),
    ("HADAMARD", r"\.\*|⊙|∘|∗"),
    ("OVER", r"\./|⊘"),
    ("ENTRYWISE_POWER", r"\^\s*\{\s*\\(?:odot|circ)(?![A-Za-z])"),
    ("POWER", r"\.\^|\*\*|\^\s*[⊙∘]|\^"),
    ("MATMUL", "@"),
    ("STAR", r"\*|×"),
    ("CDOT", "[·⋅∙•]"),
    ("KRON", "⊗"),
    ("SLASH", "[/÷∕]"),
    ("PLUS", r"\+"),
    ("MINUS", "[-−–]"),
    ("EQUALS", "="),
    ("COMMA", ","),
    ("SEMICOLON", ";"),
    ("COLON", ":"),
    ("AMPERSAND", "&"),
    ("LPAR", r"\("),
    ("RPAR", r"\)"),
    ("LBRACK", r"\["),
    ("RBRACK", r"\]"),
    ("LBRACE", r"\\?\{"),
    ("RBRACE", r"\\?\}"),
    ("SUBSCRIPT", "_"),
    ("SMALL", f"[{''.join(SUBSCRIPTS)}₌]+"),
    ("ROOT", "√"),
    ("BIG", "[∑∏]"),
    ("VULGAR", "[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]"),
]


def _scanner(name: str) -> re.Pattern[str]:
    return re.compile("|".join([f"(?P<SKIP>{_SKIPPED})", f"(?P<NAME>{name})", *(f"(?P<{kind}>{pattern})" for kind, pattern in _REST)]))


_INDEXED = re.compile(f"([{_LETTER}]+)(_[A-Za-z0-9]+|[{''.join(SUBSCRIPTS)}]+)")
_INDEX = re.compile(f"[{''.join(SUBSCRIPTS)}]*(?:_[A-Za-z0-9]+)?")
_CARET = re.compile(r"\^")
_LIKE_GREEK = str.maketrans("ɑɛ", "αε")
_SCANNERS = {False: _scanner(_PLAIN_NAME), True: _scanner(_TEX_NAME)}
_ENDS = words(
    "NUMBER NAME ONES RPAR RBRACE RBRACK BAR_CLOSE NORM_CLOSE NORM_INDEX MATRIX_CLOSE TRANSPOSE INVERSE INVERSE_TRANSPOSE "
    "PSEUDO_INVERSE RAISED"
)
"Tokens that end an operand."
_STARTS = words("NUMBER NAME ONES FUNCTION PREFIX BIG LPAR LBRACK BAR_OPEN NORM_OPEN MATRIX_OPEN")
"Tokens that start one; braces do not, since they hold arguments too."
_OPENING = {"LPAR": "RPAR", "LBRACE": "RBRACE", "LBRACK": "RBRACK", "INDEX": "RBRACK", "MATRIX_OPEN": "MATRIX_CLOSE"}
_COMMANDS = {
    "cdot": "CDOT",
    "times": "STAR",
    "odot": "HADAMARD",
    "circ": "HADAMARD",
    "oslash": "OVER",
    "otimes": "KRON",
    "lbrace": "LBRACE",
    "rbrace": "RBRACE",
    "lbrack": "LBRACK",
    "rbrack": "RBRACK",
}
_FONTS = words("mathbf mathrm mathit mathsf mathcal mathbb boldsymbol bm operatorname operatorname* text textrm textbf vec")
_TEX_ACCENTS = {"bar": "bar", "overline": "bar", "hat": "hat", "widehat": "hat", "tilde": "tilde", "widetilde": "tilde", "dot": "dot"}
_GREEK_FUNCTIONS = {"sigma": "sigmoid", "psi": "digamma", "Gamma": "gamma"}
"Greek letters that are functions where they stand before a bracket and nobody declared them."
_OF_MANY = {"f", "g", "h", "F", "phi", "varphi"}
"Letters that stand for some function where they stand before brackets only."
_MEANT = {
    "sigma": "sigmoid",
    "psi": "digamma",
    "adj": "det(X) inv(X)",
    "adjugate": "det(X) inv(X)",
    "cof": "det(X) inv(X)'",
    "cofactor": "det(X) inv(X)'",
    "sech": "1 / cosh",
    "cot": "1 / tan",
    "mse": "mean",
    "l2": "norm",
    "fro": "norm",
}
"What is written for functions that are not among those that are known."
_WORD = re.compile(r"[a-z]{2,}|.*[a-z]{3}.*")
"Letters that are one name where nobody declared it."
_UNIT = re.compile(f"(?:d(?=[A-ZΑ-Ω]))?[{_LETTER}](?:_?[0-9]+|[{''.join(SUBSCRIPTS)}]+)?[{''.join(ACCENTS.values())}]?")
"One letter with what belongs to it, a differential with its d."
_BRACED = re.compile(r"[\^_]\s*\{")
"What is raised or stands below the line in braces, as only TeX has it."
_PLACE = re.compile(r"[A-Za-z_)\]]\[\s*(?:-?[0-9]+|:)\s*[],:]")
"A place of an array in brackets."
_MARKED = re.compile(r"\^\s*-?\s*([TH]\w+|H)")


@dataclass
class Raw:
    """A piece of text of one kind, before what surrounds it is looked at."""

    kind: str
    value: str
    start: int
    end: int


@dataclass
class Tokens:
    """The tokens of a text, and what its letters and signs give away of its spelling."""

    text: str
    tokens: list[Token]
    evidence: frozenset[Spelling]
    equals: int | None = None
    "The place in `tokens` of the sign of equality that stands outside all brackets."
    juxtaposed: bool = False
    "Whether a product is written by nothing somewhere."
    whole: bool = False
    "Whether every run of letters is one name, as in NumPy and MATLAB, where a product needs a sign."
    notes: tuple[str, ...] = ()
    "Which runs of letters were read as several names."


def tokenize(
    text: str,
    names: Collection[str] = (),
    *,
    spelling: Spelling | None = None,
    undeclared: Literal["refused", "split", "foreign"] = "refused",
    whole: bool = False,
) -> Tokens:
    """The tokens of a text in which these names are declared.

    A run of letters that no names make up stays as it is and is `refused` later, or is `split` into letters, unless it is a word;
    in a claim about a function whose names these are, it is `foreign`, which is an error. Where something tells NumPy or MATLAB, or
    where nothing tells anything and `whole` is true, no run is taken apart.

    Raises FormulaError, with the place, for what belongs to no spelling and for what is too long, too deep or too large.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"the formula has {len(text)} characters, but at most {MAX_LENGTH} are read", text=text[:80])
    return _Filter(text, names, spelling, undeclared, whole=whole).run()


def number_of(text: str) -> Fraction:
    """The number that digits stand for; FormulaError where it is out of all proportion."""
    mantissa, _, tens = text.lower().partition("e")
    if len(mantissa) > MAX_DIGITS:
        raise FormulaError(f"a number has {len(mantissa)} digits, but at most {MAX_DIGITS} are read")
    if len(tens) > 5 or abs(int(tens or 0)) > MAX_TENS:
        raise FormulaError(f"a number has the power of ten {tens[:12]}, but at most {MAX_TENS} is read")
    try:
        value = Fraction(text)
    except ValueError:
        raise FormulaError(f"{text} is no number") from None
    if value > 10**MAX_TENS:
        raise FormulaError(f"the number {text[:12]} is larger than 10 to the power of {MAX_TENS}, the largest that is read")
    return value


def scan(text: str, *, tex: bool, names: Collection[str] = ()) -> list[Raw]:
    """The pieces of a text; FormulaError names a character that belongs to no spelling.

    A T after ^ is a transpose whatever follows it, since only one letter is raised; only where one of the names stands there in
    full, as in `a^Tx` with a name Tx, it is an exponent. An H is a transpose too, unless it is a name.
    """
    pieces: list[Raw] = []
    scanner = _SCANNERS[tex]
    place = 0
    while place < len(text):
        match = scanner.match(text, place)
        if match is None or match.end() == place:
            letter = _plain_letter(text[place])
            if letter is None:
                shown = unicodedata.name(text[place], f"U+{ord(text[place]):04X}")
                raise FormulaError(f"the character {text[place]!r} ({shown}) means nothing here", text=text, span=(place, place + 1))
            index = _INDEX.match(text, place + 1)
            end = place + 1 if tex or index is None else index.end()
            pieces.append(Raw("NAME", letter + text[place + 1 : end], place, end))
            place = end
            continue
        kind = match.lastgroup or ""
        if kind in {"TRANSPOSE", "INVERSE_TRANSPOSE"}:
            marked = _MARKED.match(text, place)
            if marked is not None and marked[1] in names:
                kind, match = "POWER", _CARET.match(text, place) or match
        if kind == "EXPONENT":
            pieces += _lowered(match[0], place)
        elif kind != "SKIP":
            pieces.append(Raw(kind, match[0], place, match.end()))
        if len(pieces) > MAX_TOKENS:
            piece = f"{text[:20]}…{text[place : place + 20]}"
            raise FormulaError(f"the formula “{piece}…” has more than {MAX_TOKENS} signs")
        place = match.end()
    return pieces


def _lowered(raised: str, start: int) -> list[Raw]:
    """What stands for letters and signs above the line: a power and its exponent in braces."""
    end = start + len(raised)
    plain = unicodedata.normalize("NFKC", raised).replace("−", "-").translate(_LIKE_GREEK)
    inside = [Raw(each.kind, each.value, start + each.start, start + each.end) for each in scan(plain, tex=True)]
    return [Raw("POWER", "^", start, start), Raw("LBRACE", "{", start, start), *inside, Raw("RBRACE", "}", end, end)]


def _plain_letter(letter: str) -> str | None:
    """The letter that a mathematical italic or bold one stands for; one with an accent in two signs."""
    apart = unicodedata.normalize("NFD", letter)
    if len(apart) == 2 and apart[1] in ACCENTS.values():
        return apart
    if not unicodedata.decomposition(letter).startswith(("<font>", "<wide>")):  # small letters above and below mean something else
        return None
    plain = unicodedata.normalize("NFKC", letter)
    return plain if len(plain) == 1 and plain != letter and ((plain.isascii() and plain.isalpha()) or plain in LETTERS) else None


def _arranged(pieces: list[Raw], *, tex: bool) -> list[Raw]:
    """The pieces with an index before what is raised: ‖X‖²_F as ‖X‖_F². Of a name only an index of one sign, since X^2_{ij} is asked."""
    out: list[Raw] = []
    at = 0
    while at < len(pieces):
        if [piece.kind for piece in pieces[at : at + 4]] == ["LBRACE", "NAME", "RBRACE", "SUBSCRIPT"] and (
            not out or out[-1].kind not in {"COMMAND", "POWER", "SUBSCRIPT"}
        ):
            out.append(pieces[at + 1])
            at += 3
            continue
        marks = _marks_before(out)
        group = _index_at(pieces, at, tex=tex) if marks else []
        base = out[-marks - 1].kind if 0 < marks < len(out) else ""
        single = group and len(group) <= 4 and len(group[-1 if len(group) < 4 else 2].value) == 1
        if group and (base == "NORM" or (base == "NAME" and single)):
            out[-marks:-marks] = group
            at += len(group)
        else:
            out.append(pieces[at])
            at += 1
    return out


def _marks_before(out: list[Raw]) -> int:
    """How many pieces at the end are raised: a mark, or a power with its number."""
    kinds = [piece.kind for piece in out[-4:]]
    if kinds[-1:] in (["TRANSPOSE"], ["RAISED"]):
        return 1
    if kinds[-2:] == ["POWER", "NUMBER"]:
        return 2
    return 4 if kinds == ["POWER", "LBRACE", "NUMBER", "RBRACE"] else 0


def _index_at(pieces: list[Raw], at: int, *, tex: bool) -> list[Raw]:
    """The pieces of an index that starts here."""
    piece = pieces[at]
    if piece.kind == "SMALL":
        return [piece]
    if piece.kind == "NAME" and piece.value[0] == "_" and len(piece.value) > 1 and not tex:
        return [Raw("SMALL", piece.value[1:], piece.start, piece.end)]
    if piece.kind != "SUBSCRIPT" or at + 1 >= len(pieces):
        return []
    if pieces[at + 1].kind != "LBRACE":
        return pieces[at : at + 2]
    end = next((i for i in range(at, min(at + 12, len(pieces))) if pieces[i].kind == "RBRACE"), None)
    return [] if end is None else pieces[at : end + 1]


class _Filter:
    """One walk over the pieces."""

    def __init__(
        self,
        text: str,
        names: Collection[str],
        spelling: Spelling | None,
        undeclared: Literal["refused", "split", "foreign"],
        *,
        whole: bool,
    ) -> None:
        self.text = text
        self.tex = spelling == "latex" or (spelling is None and "\\" in text)
        self.spelling = spelling
        self.undeclared = undeclared
        self.names = names
        self.by_form = {canonical(name): name for name in names}
        self.spelled = {surface: name for name in names for surface in surfaces(name)}
        self.parts = self.spelled | {word: word for word in ("I", "e", "pi") if word not in self.spelled}
        self.longest = max(map(len, self.parts))
        self.pieces = _arranged(scan(text, tex=self.tex, names=self.spelled), tex=self.tex)
        self.letters = ""  # the indices of sums and products
        self.at = 0
        self.out: list[Token] = []
        self.open: list[str] = []
        self.arguments: list[list[int]] = []  # for every fraction, how many arguments it still takes and at which depth
        self.evidence: set[Spelling] = set()
        self.equals: int | None = None
        self.notes: dict[str, None] = {}
        self._note_spelling()
        self.whole = self._needs_signs(otherwise=whole)

    # --- the walk -----------------------------------------------------------------------------------------------------------

    def run(self) -> Tokens:
        while self.at < len(self.pieces):
            piece = self.pieces[self.at]
            self.at += 1
            before = len(self.out)
            waiting = self.arguments[-1] if self.arguments else None
            bare = waiting is not None and waiting[1] == len(self.open) and piece.kind not in {"LBRACE", "RBRACE"}
            if bare and piece.kind == "NUMBER" and len(piece.value) > 1:  # \frac12 is one half
                self.pieces.insert(self.at, Raw("NUMBER", piece.value[1:], piece.start + 1, piece.end))
                piece = Raw("NUMBER", piece.value[:1], piece.start, piece.start + 1)
            if bare:
                self.emit("LBRACE", "{", piece.start, piece.start)
            self.take(piece)
            if bare and len(self.out) > before:
                self.emit("RBRACE", "}", piece.end, piece.end)
        tokens = self._merged()
        juxtaposed = any(a.type in _ENDS and b.type in _STARTS for a, b in pairwise(tokens))
        return Tokens(self.text, tokens, frozenset(self.evidence), self.equals, juxtaposed, self.whole, tuple(self.notes))

    def emit(self, kind: str, value: object, start: int, end: int) -> None:
        """Hand on a token, and keep the books of what is open."""
        if kind in _OPENING:
            self.open.append(kind)
            if len(self.open) > MAX_BRACKETS:
                raise FormulaError(f"brackets nest more than {MAX_BRACKETS} deep", text=self.text, span=(start, end))
        elif self.open and _OPENING.get(self.open[-1]) == kind:
            self.open.pop()
        self.out.append(Token(kind, value, start, None, None, None, None, end))
        if kind == "RBRACE" and self.arguments and self.arguments[-1][1] == len(self.open):
            self.arguments[-1][0] -= 1
            if not self.arguments[-1][0]:
                self.arguments.pop()

    @property
    def operand_before(self) -> bool:
        return bool(self.out) and self.out[-1].type in _ENDS

    def next_kind(self) -> str:
        return self.pieces[self.at].kind if self.at < len(self.pieces) else ""

    def fail(self, message: str, piece: Raw) -> FormulaError:
        return FormulaError(message, text=self.text, span=(piece.start, piece.end))

    def take(self, piece: Raw) -> None:
        """One piece, with what belongs to it."""
        special = getattr(self, f"_{piece.kind.lower()}", None)
        if special is not None:
            special(piece)
        else:
            self.emit(piece.kind, piece.value, piece.start, piece.end)

    # --- pieces whose meaning depends on what surrounds them ------------------------------------------------------------------

    def _number(self, piece: Raw) -> None:
        try:
            value = number_of(piece.value)
        except FormulaError as error:
            raise self.fail(str(error), piece) from None
        self.emit("NUMBER", value, piece.start, piece.end)

    def _vulgar(self, piece: Raw) -> None:
        value = Fraction(unicodedata.numeric(piece.value)).limit_denominator(10)
        self.emit("NUMBER", value, piece.start, piece.end)

    def _raised(self, piece: Raw) -> None:
        digits = unicodedata.normalize("NFKC", piece.value).replace("−", "-")
        if len(digits) > 4:
            raise self.fail(f"the exponent {digits[:8]} has {len(digits)} digits, but at most 4 are read", piece)
        self.emit("RAISED", digits, piece.start, piece.end)

    def _transpose(self, piece: Raw) -> None:
        if piece.value in {"'", ".'", "′"} and not self.operand_before:
            raise self.fail("a quote that transposes needs something before it", piece)
        self.emit("TRANSPOSE", piece.value, piece.start, piece.end)

    def _pseudo_inverse_transpose(self, piece: Raw) -> None:
        self.emit("PSEUDO_INVERSE", piece.value, piece.start, piece.end)
        self.emit("TRANSPOSE", piece.value, piece.end, piece.end)

    def _equals(self, piece: Raw) -> None:
        if self.open and self.out[-1].type == "NAME":
            last = self.out.pop()
            self.emit("KEYWORD", last.value, last.start_pos or 0, piece.end)
            return
        if self.open or self.equals is not None:
            raise self.fail("this sign of equality means nothing here", piece)
        self.equals = len(self.out)
        self.emit("EQUALS", "=", piece.start, piece.end)

    def _lbrack(self, piece: Raw) -> None:
        """After a number, or around what is no index, a bracket groups."""
        index = self.operand_before and self.out[-1].type != "NUMBER" and self._holds_places()
        self.emit("INDEX" if index else "LBRACK", "[", piece.start, piece.end)

    def _holds_places(self) -> bool:
        """Whether nothing but numbers, colons and single names stand in the bracket that opens here."""
        inside: list[Raw] = []
        for piece in self.pieces[self.at : self.at + 12]:
            if piece.kind == "RBRACK":
                break
            inside.append(piece)
        if len(inside) == 1 and inside[0].kind == "NAME":
            return inside[0].value not in self.spelled
        return any(piece.kind in {"COMMA", "COLON"} for piece in inside) or all(piece.kind in {"NUMBER", "MINUS"} for piece in inside)

    def _group(self, piece: Raw) -> None:
        self.emit("LBRACK", "[", piece.start, piece.end)

    def _lbrace(self, piece: Raw) -> None:
        """A number in braces after a factor is an index whose line was forgotten, no factor."""
        before = self.out[-1] if self.out else None
        if before is not None and before.type == "NAME" and self.next_kind() == "NUMBER" and self.pieces[self.at + 1 : self.at + 2]:
            after = self.pieces[self.at + 1]
            if after.kind in {"RBRACE", "COMMA"}:
                name = self.text[before.start_pos or 0 : before.end_pos]
                raise self.fail(f"a number in braces follows {name}; an index is written as in {name}_{{21}}", piece)
        self.emit("LBRACE", "{", piece.start, piece.end)

    def _angle_open(self, piece: Raw) -> None:
        self.emit("FUNCTION", ("inner_product", None), piece.start, piece.start)
        self.emit("LPAR", "(", piece.start, piece.end)

    def _angle_close(self, piece: Raw) -> None:
        self.emit("RPAR", ")", piece.start, piece.end)

    def _entrywise_power(self, piece: Raw) -> None:
        self.emit("POWER", ".^", piece.start, piece.end - 1)
        self.emit("LBRACE", "{", piece.end - 1, piece.end)

    def _power(self, piece: Raw) -> None:
        self.emit("POWER", ".^" if piece.value[-1] in "⊙∘" else piece.value, piece.start, piece.end)

    def _bar(self, piece: Raw) -> None:
        closes = self.operand_before and "BAR_OPEN" in self.open[-1:]
        if closes:
            self.open.pop()
        else:
            self.open.append("BAR_OPEN")
        self.emit("BAR_CLOSE" if closes else "BAR_OPEN", "|", piece.start, piece.end)

    def _norm(self, piece: Raw) -> None:
        if piece.value == "||" and "BAR_OPEN" in self.open[-1:] and self.operand_before:  # |a||b|
            self._bar(Raw("BAR", "|", piece.start, piece.start + 1))
            self._bar(Raw("BAR", "|", piece.start + 1, piece.end))
            return
        if not (self.operand_before and "NORM_OPEN" in self.open[-1:]):
            self.open.append("NORM_OPEN")
            self.emit("NORM_OPEN", "‖", piece.start, piece.end)
            return
        self.open.pop()
        self.emit("NORM_CLOSE", "‖", piece.start, piece.end)
        index, end = self._below()
        if index is not None:
            self.emit("NORM_INDEX", index, piece.end, end)

    def _below(self) -> tuple[str | None, int]:
        """What stands below the line here, if anything: `_1`, `_{-1}`, `_{ij}`, `_F`, `_*`, and `₁`."""
        if self.at >= len(self.pieces):
            return None, 0
        mark = self.pieces[self.at]
        in_name = mark.kind == "NAME" and mark.value[0] == "_"  # in plain text the line belongs to the name
        if mark.kind not in {"SMALL", "SUBSCRIPT"} and not in_name:
            return None, 0
        self.at += 1
        if mark.kind == "SMALL" or len(mark.value) > 1:
            return canonical(mark.value).replace("₌", "="), mark.end
        if self.at >= len(self.pieces):
            raise self.fail("nothing stands below the line", mark)
        piece = self.pieces[self.at]
        self.at += 1
        if piece.kind != "LBRACE":
            if piece.kind == "NAME" and len(piece.value) > 1 and self.tex:  # x_ij is x_i times j
                self.pieces.insert(self.at, Raw("NAME", piece.value[1:], piece.start + 1, piece.end))
                piece = Raw("NAME", piece.value[:1], piece.start, piece.start + 1)
            return piece.value.lstrip("\\"), piece.end
        return self._braced_index(piece)

    def _braced_index(self, piece: Raw) -> tuple[str, int]:
        inside: list[str] = []
        while self.at < len(self.pieces) and self.pieces[self.at].kind != "RBRACE":
            if len(inside) > 20:
                raise self.fail("an index has more than 20 signs", piece)
            word = self.pieces[self.at].value.lstrip("\\")
            inside.append("≠" if word in {"ne", "neq"} else word)
            self.at += 1
        if self.at >= len(self.pieces):
            raise self.fail("the brace below the line is never closed", piece)
        self.at += 1
        return "".join(inside), self.pieces[self.at - 1].end

    # --- names and commands ---------------------------------------------------------------------------------------------------

    def _name(self, piece: Raw) -> None:
        run, start = piece.value, piece.start
        if self._more_than_a_name(piece):
            return
        known = self.spelled.get(run) or self.by_form.get(canonical(run))
        index: str | None = None
        end = piece.end
        if self.tex or self.next_kind() in {"SUBSCRIPT", "SMALL"}:
            index, end = self._below()
            end = end or piece.end
        if index is not None:
            self._indexed(run, index, start, end)
        elif known is not None:
            self.emit("NAME", known, start, end)
        elif run in FUNCTIONS:
            self.function(FUNCTIONS[run], None, start, end)
        elif run in LETTERS:
            self._letter(LETTERS[run], start, end)
        elif self.next_kind() in {"LPAR", "TRANSPOSE"} and run in _OF_MANY and self._only_called(run):
            raise self.fail(f"{run} is no function that is known; write it out, or a product as in {run} * (x)", piece)
        elif match := _INDEXED.fullmatch(run):
            self._plain_index(match, start, end)
        else:
            self._run(run, start, end)

    def _more_than_a_name(self, piece: Raw) -> bool:
        """Take what begins like a name and is a sum, a differential, or a name with digits; FormulaError for a line below nothing."""
        run = piece.value
        if run[0] == "_" and run not in self.spelled:
            word = "function" if self.next_kind() == "LPAR" else "name"
            raise self.fail(f"{run[:40]} is no {word}, since none begins with a line below", piece)
        if run[0] in "ΣΠ":
            return self._capital_sum(piece)
        return self.tex and ((run == "d" and self._differential(piece)) or self._with_digits(piece))

    def _with_digits(self, piece: Raw) -> bool:
        """In TeX, letters with digits right behind them where that is a name, as in `x1`."""
        after = self.pieces[self.at] if self.at < len(self.pieces) else piece
        if after.kind != "NUMBER" or after.start != piece.end or not after.value.isdigit():
            return False
        run = piece.value + after.value
        if run not in self.spelled and (self._split(run) is None if self.undeclared != "split" else piece.value in self.spelled):
            return False
        self.at += 1
        self._run(run, piece.start, after.end)
        return True

    def _capital_sum(self, piece: Raw) -> bool:
        """A capital Σ or Π as a sum or a product, where it is no name: before a function, or with an index that comes again."""
        letter, run = piece.value[0], piece.value[1:]
        if self.operand_before or any(canonical(name).startswith(LETTERS[letter]) for name in self.names):
            return False
        match = re.match(r"_([ijkl])(?![A-Za-z0-9])|([ᵢⱼₖₗ])", run)
        rest = run[match.end() :] if match else run
        after = [each.kind for each in self.pieces[self.at : self.at + 3]]
        braced = not run and after == ["SUBSCRIPT", "LBRACE", "NAME"] and self.pieces[self.at + 2].value in {*"ijkl"}
        word = rest or (self.pieces[self.at].value if after[:1] == ["NAME"] else "")
        alone = self.undeclared != "split" and bool(word or after[:1] == ["LPAR"])
        sums = bool(match) or braced or (letter == "Σ" and (word in FUNCTIONS or alone))
        if not sums:
            return False
        place = piece.end - len(rest)
        added = [Raw("SMALL", match[1] or match[2], piece.start + 1, place)] if match else []
        added += [Raw("NAME", rest, place, piece.end)] if rest else []
        self.pieces[self.at : self.at] = added
        self._big(Raw("BIG", {"Σ": "∑", "Π": "∏"}[letter], piece.start, piece.start + 1))
        return True

    def _only_called(self, run: str) -> bool:
        """Whether a letter stands before brackets only, or before a prime and a bracket; the f of `f(x) = x'A x` does not count."""
        closed = next((i for i, piece in enumerate(self.pieces) if piece.kind == "RPAR"), 0)
        if self.at == 1 and [piece.kind for piece in self.pieces[closed + 1 : closed + 2]] == ["EQUALS"]:
            return False
        places = [i for i, piece in enumerate(self.pieces) if piece.kind == "NAME" and piece.value == run]
        followers = [[piece.kind for piece in self.pieces[i + 1 : i + 3]] for i in places]
        glued = all(self.pieces[i].end == self.pieces[i + 1].start for i in places if i + 1 < len(self.pieces))
        return glued and all(kinds[:1] == ["LPAR"] or kinds == ["TRANSPOSE", "LPAR"] for kinds in followers)

    def _plain_index(self, match: re.Match[str], start: int, end: int) -> None:
        """`x_1`, `x₁` and `I_n` in plain text: a name that was declared without its index has one, others are names as they stand."""
        stem, index = match[1], canonical(match[2])
        if stem in self.spelled or stem in {"I", "e"} or (index and set(index) <= set(self.letters)):
            self.emit("NAME", (self.spelled.get(stem, stem), index), start, end)
            return
        pieces = None if self.whole else self._split(stem)
        if pieces is not None:
            self._note_split(match[0], [*pieces[:-1], pieces[-1] + match[2]])
            self._emit_all(pieces[:-1], start)
            self.emit("NAME", (self.parts[pieces[-1]], index), start + len(stem) - len(pieces[-1]), end)
        else:
            self._run(match[0], start, end)

    def _differential(self, piece: Raw) -> bool:
        r"""A d before a Greek letter or an accent, as in d\alpha, where that is a name."""
        if self.next_kind() != "COMMAND":
            return False
        at, out = self.at, len(self.out)
        command = self.pieces[self.at]
        self.at += 1
        self._command(command)
        if len(self.out) == out + 1 and self.out[-1].type == "NAME":
            value = self.out[-1].value
            known = self.by_form.get(canonical("d" + (value if isinstance(value, str) else "".join(value))))
            if known is not None:
                last = self.out.pop()
                self.emit("NAME", known, piece.start, last.end_pos or 0)
                return True
        del self.out[out:]
        self.at = at
        return False

    def _indexed(self, run: str, index: str, start: int, end: int) -> None:
        """A name, or a run of names, the last of which has an index."""
        whole = self.by_form.get(canonical(f"{run}_{index}"))
        if whole is not None:
            self.emit("NAME", whole, start, end)
            return
        if run in FUNCTIONS:
            self.function(FUNCTIONS[run], index, start, end)
            return
        if run in self.spelled or len(run) == 1:
            self.emit("NAME", (self.spelled.get(run, run), index), start, end)
            return
        if self.whole:
            self._run(f"{run}_{index}", start, end)
            return
        for cut in range(1, len(run)):  # the longest name that takes the index
            last = self.by_form.get(canonical(f"{run[cut:]}_{index}")) or (run[cut:] if run[cut:] in self.spelled else None)
            if last is not None or cut == len(run) - 1:
                self._note_split(f"{run}_{index}", [run[:cut], f"{run[cut:]}_{index}"])
                self._run(run[:cut], start, start + cut)
                self._indexed(run[cut:], index, start + cut, end)
                return

    def _run(self, run: str, start: int, end: int) -> None:
        """A run of letters that is no name: several declared names side by side, or a name that nobody declared.

        Before a bracket its end may be a function, as in `2Aexp(x)`. Where a product needs a sign, it is one name.
        """
        pieces = self._split(run)
        if pieces is not None and self.whole:
            raise self._unsigned(run, pieces, start, end)
        if pieces is None and run in _MEANT and self._primed():
            raise self._no_function(run, start, end)
        if pieces is None and self.next_kind() == "LPAR" and run.isalpha() and len(run) > 1 and not self.tex:
            cut = next((cut for cut in range(1, len(run) - 1) if run[cut:] in FUNCTIONS and self._letters(run[:cut])), None)
            if cut is None or self.whole:
                raise self._no_function(run, start, end, cut)
            names = self._letters(run[:cut]) or []
            self._note_split(run, [*names, run[cut:]])
            self._emit_all(names, start)
            self.function(FUNCTIONS[run[cut:]], None, start + cut, end)
            return
        pieces = pieces or (None if self.whole else self._letters(run))
        if pieces is None and self.undeclared == "foreign" and run.isalpha() and len(run) > 1 and not self.tex and run not in GREEK:
            known = ", ".join(dict.fromkeys(name for name in self.names if not name.startswith("d")))
            message = f"{run[:40]} is no name of the function and no product of its names, which are {known or 'none'}"
            raise FormulaError(message, text=self.text, span=(start, end))
        pieces = pieces or (_UNIT.findall(run) if self.tex else [run])
        self._note_split(run, pieces)
        self._emit_all(pieces, start)

    def _unsigned(self, run: str, pieces: list[str], start: int, end: int) -> FormulaError:
        """The complaint about names side by side where a product needs a sign."""
        twice = pieces[:1] if len({*pieces}) == 1 else []
        meant = "".join(f"; did you mean {each}" for each in twice)
        what = "no name of the function" if self.undeclared == "foreign" else "not declared"
        message = f"{run[:40]} is {what}{meant}; a product needs a sign between {' and '.join(pieces)[:80]}"
        return FormulaError(message, text=self.text, span=(start, end), repairs=tuple(twice))

    def _note_split(self, run: str, pieces: Sequence[str]) -> None:
        """Say that a run of letters was read as several names, and of which of them alone a power behind it is one."""
        if len(pieces) > 1:
            power = self.next_kind() in {"POWER", "RAISED", "ENTRYWISE_POWER"}
            behind = f", and the power behind it as one of {pieces[-1]} alone" if power else ""
            self.notes[f"I read {run} as {' '.join(pieces)}{behind}"] = None

    def _emit_all(self, pieces: list[str], start: int) -> None:
        """Names side by side."""
        for surface in pieces:
            self.emit("NAME", self.parts.get(surface, LETTERS.get(surface, surface)), start, start + len(surface))
            start += len(surface)

    def _no_function(self, run: str, start: int, end: int, cut: int | None = None) -> FormulaError:
        """The complaint about what no function is called; with a `cut`, it is a name and a function where a product needs a sign."""
        meant = [_MEANT[run]] if run in _MEANT else [] if cut else get_close_matches(run, FUNCTIONS, 1, 0.75)
        message = f"there is no function {run[:40]}" + (f"; did you mean {meant[0]}" if meant else "")
        message += f"; a product needs a sign between {run[:cut][:40]} and {run[cut:]}" if cut else ""
        repairs = tuple(word for word in meant if word.isalpha())
        return FormulaError(message, text=self.text, span=(start, end), repairs=repairs)

    def _letters(self, run: str) -> list[str] | None:
        """The names that make up a run: declared ones, or where none is declared its letters.

        A run of small Latin letters, or one with three of them in a row, is a word and one name, but for two that are the same or
        stand before a transpose, as in x x' and u v'. Digits and small digits belong to the letter before them, a d to a capital
        after it.
        """
        pieces = [run] if run in self.spelled else self._split(run)
        if pieces is not None or self.undeclared != "split":
            return pieces
        if run in GREEK or run == "lam" or run in FUNCTIONS:
            return None
        pieces = _UNIT.findall(run)
        if "".join(pieces) != run or len(run) > 60:
            return None
        twins = len(run) == 2 and (run[0] == run[1] or (self.next_kind() == "TRANSPOSE" and run[0] != "d"))
        lettered = all(len(piece) > 1 for piece in pieces) and len(pieces) > 1
        return None if _WORD.fullmatch(run) and not twins and not lettered else pieces

    def _split(self, run: str) -> list[str] | None:
        """The fewest declared names that make up a run of letters, I, e and pi among them, if any do."""
        if len(run) < 2 or len(run) > 60 or self.undeclared == "split":
            return None
        best: list[list[str] | None] = [[], *([None] * len(run))]
        for end in range(1, len(run) + 1):
            for begin in range(max(0, end - self.longest), end):
                head = best[begin]
                if head is not None and run[begin:end] in self.parts and (best[end] is None or len(head) + 1 < len(best[end] or [])):
                    best[end] = [*head, run[begin:end]]
        return best[-1] if best[-1] is not None and not {*best[-1]} <= {"I", "e", "pi"} else None

    def _command(self, piece: Raw) -> None:
        word = piece.value[1:]
        if word in _COMMANDS:
            self.take(Raw(_COMMANDS[word], piece.value, piece.start, piece.end))
        elif word in {"sum", "prod"}:
            self._big(piece)
        elif word in {"frac", "tfrac", "dfrac", "cfrac"}:
            self.emit("FRACTION", word, piece.start, piece.end)
            self.arguments.append([2, len(self.open)])
        elif word in _TEX_ACCENTS:
            self._accented(_TEX_ACCENTS[word], piece)
        elif word in _FONTS:
            self._font(piece)
        elif word.removeprefix("var") in GREEK:
            self._letter(word.removeprefix("var"), piece.start, piece.end)
        elif word in FUNCTIONS:
            index, end = self._below()
            self.function(FUNCTIONS[word], index, piece.start, end or piece.end)
        else:
            raise self.fail(f"the command {piece.value} means nothing here", piece)

    def _letter(self, word: str, start: int, end: int) -> None:
        """A letter that has a word for a name."""
        index, until = self._below()
        full = word if index is None else f"{word}_{index}"
        known = self.by_form.get(canonical(full))
        if known is not None:
            self.emit("NAME", known, start, until or end)
        elif index is None and word in _GREEK_FUNCTIONS and (self.next_kind() == "LPAR" or self._primed()):
            self.function(_GREEK_FUNCTIONS[word], None, start, end)
        elif index is None and self.next_kind() in {"LPAR", "TRANSPOSE"} and word in _OF_MANY and self._only_called(self.text[start:end]):
            raise FormulaError(f"{self.text[start:end]} is no function that is known", text=self.text, span=(start, end))
        elif index is None:
            self.emit("NAME", word, start, end)
        else:
            self.emit("NAME", (self.by_form.get(canonical(word), word), index), start, until)

    def _accented(self, accent: str, piece: Raw) -> None:
        """A letter with something above it, and the index that may follow."""
        stem, end = self._argument(piece)
        index, until = self._below()
        full = "_".join(word for word in (stem, index, accent) if word)
        known = self.by_form.get(canonical(full))
        whole = self.by_form.get(canonical(f"{stem}_{accent}"))
        if known is None and whole is not None and index is not None:
            self.emit("NAME", (whole, index), piece.start, until)
        else:
            self.emit("NAME", known or full, piece.start, until or end)

    def _font(self, piece: Raw) -> None:
        """A word or a letter in a font: a function, an identity, a name."""
        stem, end = self._argument(piece)
        if stem in FUNCTIONS:
            index, until = self._below()
            self.function(FUNCTIONS[stem], index, piece.start, until or end)
        else:
            self._letter(stem, piece.start, end) if stem in GREEK else self._name(Raw("NAME", stem, piece.start, end))

    def _argument(self, command: Raw) -> tuple[str, int]:
        r"""The word that a command such as \bar or \mathbf is about."""
        if self.at >= len(self.pieces):
            raise self.fail(f"nothing follows {command.value}", command)
        piece = self.pieces[self.at]
        self.at += 1
        if piece.kind != "LBRACE":
            if piece.kind not in {"NAME", "COMMAND"}:
                raise self.fail(f"a letter should follow {command.value}", piece)
            if piece.kind == "NAME" and len(piece.value) > 1:
                self.pieces.insert(self.at, Raw("NAME", piece.value[1:], piece.start + 1, piece.end))
                return piece.value[0], piece.start + 1
            return piece.value.lstrip("\\"), piece.end
        word = ""
        while self.at < len(self.pieces) and self.pieces[self.at].kind in {"NAME", "COMMAND", "SUBSCRIPT", "NUMBER"}:
            word += self.pieces[self.at].value.lstrip("\\")
            self.at += 1
        if not word or self.next_kind() != "RBRACE":
            raise self.fail(f"one name should stand in the braces after {command.value}", piece)
        self.at += 1
        return word, self.pieces[self.at - 1].end

    def _root(self, piece: Raw) -> None:
        self.function("sqrt", None, piece.start, piece.end)

    def _big(self, piece: Raw) -> None:
        r"""A sum or a product over an index: \sum_i, \sum_{i=1}^n, \sum_{ij}; without an index, of all entries."""
        word = {"∑": "sum", "∏": "prod"}.get(piece.value, piece.value[1:])
        index, end = self._below()
        if index is None and self.next_kind() in {"LPAR", "LBRACE", "TRANSPOSE"}:
            self.function(word, None, piece.start, piece.end)
            return
        if index is None:
            self.emit("BIG", (word, "", None), piece.start, piece.end)
            return
        letters, _, first = index.replace(",", "").partition("=")
        until = None
        if self.next_kind() == "POWER" and self.pieces[self.at].value == "^":
            self.at += 1
            mark = self.pieces[self.at - 1]
            self.pieces.insert(self.at, Raw("SUBSCRIPT", "_", mark.start, mark.end))
            until, end = self._below()
        if not letters.isalpha() or first not in {"", "1"}:
            raise FormulaError(f"the range {index} of a sum is not read", text=self.text, span=(piece.start, end))
        self.letters += letters
        self.emit("BIG", (word, letters, until), piece.start, end)

    def _attribute(self, piece: Raw) -> None:
        raise self.fail(f"the attribute {piece.value} is not read; .T is, and functions before brackets", piece)

    def _method(self, piece: Raw) -> None:
        word = piece.value[1:]
        if word not in FUNCTIONS:
            raise self.fail(f"there is no method {word}", piece)
        self.emit("METHOD", (FUNCTIONS[word], None), piece.start, piece.end)

    def function(self, name: str, index: str | None, start: int, end: int) -> None:
        """A function before its bracket, or before the one factor that it takes."""
        if self._primed() and name not in {"eye", "ones"}:
            self.at += 1
            name += "'"
        follows = self.next_kind()
        if follows == "LBRACE":  # \sqrt{x}
            closing = self.pieces[self._behind(self.at) - 1]
            closing.kind = "RPAR" if closing.kind == "RBRACE" else closing.kind
            self.pieces[self.at].kind = follows = "LPAR"
        if follows != "LPAR" and name in {"eye", "ones"}:
            identity = "I" if index is None else ("I", index)
            self.emit("NAME", identity, start, end) if name == "eye" else self.emit("ONES", index or "", start, end)
            return
        if name == "sqrt" and follows == "LBRACK" and self.text[start] == "\\":
            raise FormulaError(r"a root of a higher degree is written as a power, as in x^{1/3}", text=self.text, span=(start, end))
        if follows in {"POWER", "ENTRYWISE_POWER", "RAISED", "INVERSE"}:
            raise self._misplaced_power(name, start, end)
        self.emit("FUNCTION" if follows == "LPAR" else "PREFIX", (name, index), start, end)

    def _behind(self, at: int) -> int:
        """The place behind a piece, or behind the bracket that opens there."""
        depth = 0
        for place in range(at, len(self.pieces)):
            kind = self.pieces[place].kind
            depth += (kind in {"LBRACE", "LPAR", "ENTRYWISE_POWER"}) - (kind in {"RBRACE", "RPAR"})
            if depth <= 0:
                return place + 1
        return len(self.pieces)

    def _misplaced_power(self, name: str, start: int, end: int) -> FormulaError:
        """The complaint about sin^2(x), which is sin(x)^2 here: sin^{-1}(x) may be arcsin(x), or one over sin(x)."""
        kinds = [piece.kind for piece in self.pieces[self.at : self.at + 2]]
        argument = self._behind(self.at + (kinds[0] == "POWER") + (kinds == ["POWER", "MINUS"]))
        before, last = (self.pieces[place - 1].end for place in (argument, self._behind(argument)))
        word, power, inside = self.text[start:end], self.text[end:before].strip(), self.text[before:last].strip()
        repairs = [f"{word}{inside}{power}"]
        if kinds[0] == "INVERSE" and name in {"sin", "tan"}:
            repairs.insert(0, f"{word.replace(name, f'arc{name}')}{inside}")
        bracket = [piece.kind for piece in self.pieces[argument : argument + 1]] == ["LPAR"]
        message = f"the power of {name} stands behind its argument, as in {name}(x)^2"
        return FormulaError(message, text=self.text, span=(start, before), repairs=tuple(repairs) if bracket else ())

    def _primed(self) -> bool:
        """Whether a prime and a bracket follow: the derivative of a function."""
        after = self.pieces[self.at : self.at + 2]
        return [piece.kind for piece in after] == ["TRANSPOSE", "LPAR"] and after[0].value in {"'", "′"}

    def _ones(self, piece: Raw) -> None:
        index, end = self._below()
        self.emit("ONES", index or "", piece.start, end or piece.end)

    # --- what the whole text says ----------------------------------------------------------------------------------------------

    def _merged(self) -> list[Token]:
        """The tokens with a number over a number as one number, and a fraction of numbers too."""
        if not any(token.type in {"SLASH", "FRACTION"} for token in self.out):
            return self.out
        merged: list[Token] = []
        for token in self.out:
            merged.append(token)
            types = [t.type for t in merged[-7:]]
            if types[-7:] == ["FRACTION", "LBRACE", "NUMBER", "RBRACE", "LBRACE", "NUMBER", "RBRACE"]:
                above, below, start = merged[-5], merged[-2], merged[-7]
                self._join(merged, 7, above, below, start.start_pos or 0, token.end_pos or 0)
        out: list[Token] = []
        for i, token in enumerate(merged):
            out.append(token)
            follows = merged[i + 1].type if i + 1 < len(merged) else ""
            if [t.type for t in out[-3:]] != ["NUMBER", "SLASH", "NUMBER"] or follows in {"POWER", "RAISED"}:
                continue
            before = next((t.type for t in reversed(out[:-3]) if t.type not in {"PLUS", "MINUS"}), "")
            if before not in {"SLASH", "POWER", "OVER"}:  # a^-1/2 is one half of 1/a
                self._join(out, 3, out[-3], out[-1], out[-3].start_pos or 0, token.end_pos or 0)
        return out

    def _join(self, tokens: list[Token], count: int, above: Token, below: Token, start: int, end: int) -> None:
        if not below.value:
            raise FormulaError("a number is divided by zero", text=self.text, span=(start, end))
        value: Fraction = above.value / below.value
        del tokens[-count:]
        tokens.append(Token("NUMBER", value, start, None, None, None, None, end))

    def _note_spelling(self) -> None:
        text = self.text
        kinds = {(piece.kind, piece.value) for piece in self.pieces}
        if "\\" in text or (text.isascii() and _BRACED.search(text)):
            self.evidence.add("latex")
        for kind, value in kinds:
            if kind == "MATMUL" or value in {"**", ".T", ".mT"} or kind == "METHOD" or (kind == "NAME" and value in NUMPY_WORDS):
                self.evidence.add("numpy")
            elif value in {"'", ".*", "./", ".^", ".'"} or (kind == "NAME" and value in MATLAB_WORDS):
                self.evidence.add("matlab")
            elif (kind == "TRANSPOSE" and value[0] == "^") or (not value.isascii() and kind not in {"NAME", "MINUS"}):
                self.evidence.add("unicode")
        if re.search(r"(?<![\w.])(?:np|numpy|jnp)\.", text):
            self.evidence.add("numpy")

    def _needs_signs(self, *, otherwise: bool) -> bool:
        """Whether a product needs a sign, as in NumPy and MATLAB; a quote tells nothing, since x'Ax is what many write by hand."""
        if self.spelling is not None:
            return self.spelling in {"numpy", "matlab"}
        if self.evidence & {"latex", "unicode"}:
            return False
        dotted = self.text.isascii() and any(piece.value in {".*", "./", ".^"} for piece in self.pieces)
        return otherwise or dotted or "numpy" in self.evidence or _PLACE.search(self.text) is not None


def spelling_of(evidence: Collection[Spelling], *, default: Spelling = "numpy") -> Spelling:
    """The spelling that a text is most likely in."""
    for spelling in SPELLINGS:
        if spelling in evidence:
            return spelling
    return default


def names_in(tokens: Tokens) -> Mapping[str, None]:
    """The names in a text, in their order."""
    return dict.fromkeys(token.value if isinstance(token.value, str) else token.value[0] for token in tokens.tokens if token.type == "NAME")
