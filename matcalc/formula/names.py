r"""Names of inputs: how they are declared, what they are when nobody declared them, and how each spelling writes them.

A name is kept as it was declared. `W1`, `W_1`, W₁ and the TeX `W_1` are one name; so are `lam`, `lambda`, λ and `\lambda`.
`X_bar` is an X with a bar, `dX` a differential.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from matcalc.formula.expression import FormulaError
from matcalc.formula.size import ONE, Size

_GREEK_WORDS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell"
)
GREEK: dict[str, str] = dict(zip(_GREEK_WORDS.split(), "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩℓ", strict=True))
LETTERS = {letter: word for word, letter in GREEK.items()} | {"ϵ": "epsilon", "ϑ": "theta", "ϕ": "phi", "ϱ": "rho", "ς": "sigma"}
ACCENTS = {"bar": "̄", "hat": "̂", "tilde": "̃", "dot": "̇"}
"Words behind an underscore that are written above the letter, with the mark that Unicode puts there."
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₗₘₙₚₐₑₒₓₕₛₜᵣᵤᵥ", "0123456789ijklmnpaeoxhstruv", strict=True))

SCALARS = "abcdefg"
COUNTS = {"m", "n"}


@dataclass(frozen=True)
class Variable:
    """An input: its shape, the set it is taken from, and whether NumPy would hold it as a one-dimensional array."""

    name: str
    rows: Size = ONE
    cols: Size = ONE
    domain: str = "real"
    one_dimensional: bool = False

    @property
    def shape(self) -> tuple[Size, Size]:
        """Rows and columns."""
        return self.rows, self.cols

    @property
    def is_symmetric(self) -> bool:
        """Whether its set has symmetric matrices only."""
        return self.domain in _SYMMETRIC and not (self.rows == ONE and self.cols == ONE)


_SYMMETRIC = {"spd", "positive_definite", "symmetric"}
_SQUARE = {*_SYMMETRIC, "invertible", "posdet", "posquad", "orthogonal"}
_DECLARATION = re.compile(r"\s*([^\s:]+)\s*:\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*")


def variable(text: str) -> Variable:
    """A declaration such as `K: spd(n)`, `A: real(m, n)`, `x: real(n)`, `a: positive`; ValueError where it is none.

    `x: real(n, 1)` is a column that NumPy holds as a matrix, `x: real(n)` one that it holds as a one-dimensional array.
    """
    match = _DECLARATION.fullmatch(text)
    if match is None:
        raise ValueError(f'a variable is declared as in "K: spd(n)", "A: real(m, n)" or "a: positive", but {text!r} came')
    name, domain, inside = match[1], match[2], match[3]
    sizes = [size(word) for word in re.split(r"[,\s]+", inside.strip())] if inside and inside.strip() else []
    if len(sizes) > 2:
        raise ValueError(f"{name} has {len(sizes)} dimensions, but a scalar, a vector or a matrix was expected")
    if len(sizes) == 1 and domain in _SQUARE:
        sizes *= 2
    return declared(name, sizes, domain)


def size(word: str | int) -> Size:
    """A dimension as it is declared: a name or a number; ValueError for anything else."""
    if isinstance(word, int) or word.isdecimal():
        if int(word) < 1:
            raise ValueError(f"a dimension is a name or a number from 1 on, but {word} came")
        return Size.of(int(word))
    if not re.fullmatch(r"[A-Za-z]\w*", word):
        raise ValueError(f"a dimension is a name or a number, but {word!r} came")
    return Size.of(word)


def declared(name: str, shape: list[Size], domain: str = "real") -> Variable:
    """A variable of a shape of no, one or two dimensions."""
    rows, cols = [*shape, ONE, ONE][:2]
    return Variable(name, rows, cols, domain, one_dimensional=len(shape) == 1)


def from_sample(variables: Mapping[str, Mapping[str, Any]]) -> dict[str, Variable]:
    """The variables of a claim of the benchmark."""
    return {
        name: declared(name, [size(length) for length in entry["shape"]], entry.get("domain", "real")) for name, entry in variables.items()
    }


def kind_of(name: str) -> str:
    """What a name is that nobody declared: matrixcalculus.org's convention, a to g scalars, h to z vectors, capitals matrices.

    But m and n are scalars, since they count something in nearly every formula, as in sum(x)/n. Greek letters are scalars when small,
    matrices when capital; a differential and a bar are of the kind of what they stand with. A scalar by this convention that stands
    as only a vector does, as the b of x'b, is taken for a vector by `parsing`.
    """
    stem = name.lstrip("_").partition("_")[0] or "x"
    if stem in GREEK:
        return "matrix" if stem[0].isupper() else "scalar"
    if len(stem) > 1 and stem[0] == "d" and stem[1].isalpha():
        return kind_of(stem[1:])
    if stem[0].isupper():
        return "matrix"
    return "scalar" if stem[0] in SCALARS or stem in COUNTS else "vector"


def canonical(text: str) -> str:
    """What two ways to write one name have in common."""
    apart = text if text.isascii() else unicodedata.normalize("NFD", text)
    plain = "".join(LETTERS.get(letter, SUBSCRIPTS.get(letter, letter)) for letter in apart)
    for word, mark in ACCENTS.items():
        if mark in plain:
            plain = plain.replace(mark, "") + word
    return plain.replace("_", "").replace("lambda", "lam")


@dataclass(frozen=True)
class Parts:
    """A name taken apart: a d before it, the letter or word, an index, a word that stands above."""

    differential: bool
    stem: str
    index: str
    accent: str


@cache
def parts(name: str) -> Parts:
    """Take a name apart."""
    words = name.split("_")
    accent = words.pop() if len(words) > 1 and words[-1] in ACCENTS else ""
    stem, index = words[0], "_".join(words[1:])
    differential = False
    rest = stem[1:]
    if stem[0] == "d" and rest and (rest.rstrip("0123456789") in GREEK or rest[0].isupper() or len(rest.rstrip("0123456789")) == 1):
        differential, stem = bool(rest.rstrip("0123456789")), rest if rest.rstrip("0123456789") else stem
    digits = re.fullmatch(r"(.*?[^\d])(\d+)", stem)
    if digits:
        stem, index = digits[1], digits[2] + index
    return Parts(differential, "lambda" if stem == "lam" else stem, index, accent)


@cache
def as_tex(name: str) -> str:
    """As in TeX: `beta` as a Greek letter, `W1` with an index, `X_bar` with a bar."""
    its = parts(name)
    head = f"\\{its.stem}" if its.stem in GREEK else its.stem if len(its.stem) == 1 else rf"\mathrm{{{its.stem}}}"
    if its.accent:
        head = f"\\{its.accent}{head}" if head[0] == "\\" else f"\\{its.accent} {head}"
    if its.index:
        head += f"_{its.index}" if len(its.index) == 1 else f"_{{{its.index}}}"
    return f"d{head}" if its.differential else head


@cache
def as_unicode(name: str) -> str:
    """As in plain text with Greek letters, small digits and bars."""
    its = parts(name)
    head = GREEK.get(its.stem, its.stem)
    if its.accent:
        head += ACCENTS[its.accent]
    small = {digit: mark for mark, digit in SUBSCRIPTS.items() if digit.isdigit()}
    head += "".join(small[digit] for digit in its.index) if its.index.isdigit() else f"_{its.index}" if its.index else ""
    return f"d{head}" if its.differential else head


@cache
def surfaces(name: str) -> frozenset[str]:
    """The ways to write a name in one run of letters, digits and marks."""
    its = parts(name)
    found = {name, as_unicode(name), name.replace("lambda", "lam") if "lambda" in name else name}
    if its.stem in GREEK:
        found |= {surface.replace(its.stem, GREEK[its.stem]) for surface in tuple(found)}
        if its.stem == "lambda":
            found |= {surface.replace("lam", "λ") for surface in tuple(found) if "lambda" not in surface}
    return frozenset(found) | {re.sub(r"(?<=[^\W\d_])_?(\d+)", rf"{mark}\1", surface) for surface in tuple(found) for mark in ("", "_")}


def unknown_name(name: str, known: Collection[str]) -> FormulaError:
    """The complaint about a name that stands for nothing: the name that is meant, if one is like it, and a declaration that adds it."""
    shown = name if len(name) <= 40 else f"{name[:37]}…"
    near = like(name, known)
    meant = "".join(f"; did you mean {each}" for each in near)
    sizes = {"scalar": "", "vector": "(n)", "matrix": "(m, n)"}[kind_of(name)]
    among = f"declared are {', '.join(known) or 'no names'}"
    message = f'{shown} is not declared{meant}; {among}, and a declaration such as "{shown}: real{sizes}" adds it'
    return FormulaError(message, repairs=tuple(near))


def like(name: str, known: Collection[str]) -> list[str]:
    """The name that is most like another, if any is."""
    return get_close_matches(name, list(known), 1)
