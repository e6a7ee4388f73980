r"""From a typed expression to text, as a person would write it in each of the four spellings.

Reading the text again gives the same expression, up to what means the same: (2A)x and 2(Ax), a + (b + c) and (a + b) + c, and a
sign that stands inside a product or before it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from functools import reduce
from math import prod
from typing import ClassVar, NamedTuple

from matcalc.formula.expression import Expr
from matcalc.formula.names import ACCENTS, as_tex, as_unicode
from matcalc.formula.operations import filled, make, number
from matcalc.formula.size import ONE, Size
from matcalc.formula.vocabulary import Spelling, words

SUM, PRODUCT, CHAIN, POSTFIX, ATOM = range(5)
"How tightly a text holds together: a + b, a ⊙ b, A B, Aᵀ, A."

Known = tuple[bool, bool]
"Whether a reader can tell the rows and the columns from what stands around, so that `I` needs no index."


_SQUARE = words("inv matpow expm logm sqrtm hollow")
_TOGETHER = words("add sub hadamard quotient maximum minimum power")
"Operations whose operands are square, and whose operands have one shape."


class Text(NamedTuple):
    """A text without its sign, how tightly it holds together, and whether a minus stands before it."""

    body: str
    level: int = ATOM
    negative: bool = False
    products: frozenset[str] = frozenset()
    "The kinds of products that stand in it outside of all brackets."

    @property
    def whole(self) -> str:
        """With its sign."""
        return f"-{self.body}" if self.negative else self.body


def spell(expr: Expr, spelling: Spelling, *, shape_known: bool = False) -> str:
    """The expression in a spelling; with `shape_known`, the reader knows its shape, so that `I` alone is enough."""
    printer = {"latex": _Tex, "unicode": _Unicode, "numpy": _Numpy, "matlab": _Matlab}[spelling](expr)
    return printer.text(expr, (shape_known, shape_known)).whole


def shape_text(expr: Expr) -> str:
    """A shape in a message: `m×n`, or `a scalar`."""
    if expr.is_scalar:
        return "a scalar"
    return "×".join("?" if "?" in str(size) else f"({size})" if " " in str(size) else str(size) for size in expr.shape)


class _Printer:
    """What the spellings have in common; each says how it writes products, powers, marks and functions."""

    def __init__(self, expr: Expr) -> None:
        self.names = expr.names
        self.sizes_: dict[Expr, Known] = {}

    # --- what all have in common ---------------------------------------------------------------------------------------------------

    def text(self, expr: Expr, known: Known = (False, False)) -> Text:
        """The text of an expression."""
        method: Callable[[Expr, Known], Text] | None = getattr(self, f"_{expr.op}", None)
        return method(expr, known) if method else self.function(expr)

    def inside(self, text: Text, level: int) -> str:
        """A text as a part of a larger one: in parentheses where it holds together less than needed."""
        return self.group(text.whole) if text.negative or text.level < level else text.body

    def group(self, text: str) -> str:
        """In parentheses."""
        return f"({text})"

    def operand(self, expr: Expr, level: int, known: Known = (False, False)) -> str:
        """An expression as a part of a larger one."""
        return self.inside(self.text(expr, known), level)

    def arguments(self, *exprs: Expr) -> str:
        """What stands in the parentheses of a function."""
        return ", ".join(self.text(each).whole for each in exprs)

    def function(self, expr: Expr) -> Text:
        """An operation that is written as a function."""
        return Text(f"{self.word(expr.op)}({self.arguments(*expr.args)})")

    def word(self, op: str) -> str:
        """The word for a function."""
        return op

    def determined(self, expr: Expr) -> Known:
        """Whether rows and columns of an expression can be told from what is in it, though `I` and 𝟏 say no size."""
        if expr not in self.sizes_:
            self.sizes_[expr] = self._determined(expr)
        return self.sizes_[expr]

    def _determined(self, expr: Expr) -> Known:
        of = [self.determined(arg) for arg in expr.args]
        op = expr.op
        if op in {"eye", "ones", "unit"}:
            return op != "eye" and expr.rows == ONE, op != "eye" and expr.cols == ONE
        if expr.is_scalar or not of:
            return True, True
        if op in _SQUARE:
            return any(of[0]), any(of[0])
        rows, cols = zip(*of, strict=True)
        match op:
            case "transpose":
                known = cols[0], rows[0]
            case "matmul":
                known = rows[0], cols[1]
            case "scale":
                known = of[1]
            case "diag":
                known = rows[0], rows[0]
            case "divide":
                known = of[0]
            case _ if op in _TOGETHER:
                known = any(rows), any(cols)
            case _:
                known = all(rows), all(cols)
        return known

    def _add(self, expr: Expr, known: Known) -> Text:
        a, b = expr.args
        of = (self.determined(a), self.determined(b))
        left = self.term(a, b, _either(known, of[1]))
        right = self.term(b, a, _either(known, of[0]))
        minus = right.negative != (expr.op == "sub")
        body = right.body if right.level > SUM or (not right.negative and expr.op == "add") else self.group(right.body)
        if left.negative and not minus and left.level > SUM and right.level > SUM:
            return Text(f"{right.body} - {left.body}", SUM)
        first = self.group(left.body) if left.negative and left.level == SUM else left.body
        return Text(f"{'-' if left.negative else ''}{first} {'-' if minus else '+'} {body}", SUM)

    _sub = _add

    def term(self, expr: Expr, beside: Expr, known: Known) -> Text:
        """An operand of a sum, an array full of a number as that number where the other operand tells the shape."""
        filled_by = _full_of(expr)
        if filled_by is not None and _full_of(beside) is None and all(self.determined(beside)):
            return self.text(filled_by)
        return self.text(expr, known)

    def _neg(self, expr: Expr, known: Known) -> Text:
        text = self.text(expr.args[0], known)
        if text.level == SUM:
            return Text(self.group(text.whole), ATOM, negative=True)
        return text._replace(negative=not text.negative)

    def _number(self, expr: Expr, known: Known) -> Text:
        del known
        value: Fraction = expr.data
        text = self.fraction(abs(value))
        return text._replace(negative=value < 0)

    def fraction(self, value: Fraction) -> Text:
        """A number that is not negative."""
        if value.denominator == 1 and value < 10**16:
            return Text(str(value.numerator))
        decimal = _decimal(value)
        if decimal is not None:
            return Text(decimal)
        if max(value.numerator, value.denominator) < 10**16:
            return Text(f"{value.numerator} / {value.denominator}", PRODUCT)
        return Text(f"{Context(prec=17).divide(Decimal(value.numerator), Decimal(value.denominator)).normalize():e}")

    def _constant(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(str(expr.data))

    def _size(self, expr: Expr, known: Known) -> Text:
        del known
        size: Size = expr.data
        terms = [(coefficient, self.monomial(abs(coefficient), names)) for names, coefficient in size.terms]
        body = "".join(f" {'+' if c > 0 else '-'} {text}" for c, text in terms)
        body = body[3:] if body.startswith(" + ") else "-" + body[3:]
        single = PRODUCT if self.times.strip() else CHAIN
        level = SUM if len(terms) > 1 or body.startswith("-") else single if self.times in body else ATOM
        return Text(body, level)

    times = " * "
    "Between the factors of a size."

    def monomial(self, coefficient: int, names: tuple[str, ...]) -> str:
        """A product of dimensions."""
        return self.times.join([*([str(coefficient)] if coefficient != 1 or not names else []), *names])

    def size(self, size: Size) -> str:
        """A size as an argument of a function."""
        return self._size(Expr("size", data=size), (False, False)).body

    def _scale(self, expr: Expr, known: Known) -> Text:
        """Numbers stand first, as one number; then scalars; what is one over something becomes what stands over it."""
        *factors, array = _factors(expr)
        coefficient = number(prod((each.data for each in factors if each.op == "number"), start=Fraction(1)))
        scalars = [each for each in factors if each.op != "number"]
        if array.op == "number":
            coefficient = number(coefficient.data * array.data)
            array = scalars.pop() if scalars else number(1)
        for i, each in enumerate(scalars):  # a (1 / b) is a / b
            if each.op == "divide" and each.args[0] == number(1) and (i or abs(coefficient.data) != 1):
                above = [*([coefficient] if abs(coefficient.data) != 1 else []), *scalars[:i]]
                quotient = make("divide", reduce(lambda a, b: make("scale", a, b), above), each.args[1])
                rest = reduce(lambda a, b: make("scale", a, b), [quotient, *scalars[i + 1 :], array])
                return self.text(rest if abs(coefficient.data) != 1 or coefficient.data > 0 else make("neg", rest), known)
        if array.op == "divide" and array.args[0] == number(1):
            above = [*([] if coefficient == number(1) else [coefficient]), *scalars] or [number(1)]
            return self._divide(make("divide", reduce(lambda a, b: make("scale", a, b), above), array.args[1]), known)
        if array == number(1) and not scalars:
            return self._number(coefficient, known)
        first = coefficient if abs(coefficient.data) != 1 else scalars.pop(0) if scalars else None
        text = self.text(array, known)
        if first is not None:
            left = reduce(self._times, map(self.text, scalars), self.text(first))
            text = self._times(left, text)
        if first is coefficient or coefficient.data > 0:
            return text
        return Text(self.group(text.whole), ATOM, negative=True) if text.level == SUM else text._replace(negative=not text.negative)

    def _times(self, left: Text, right: Text) -> Text:
        return self.multiplied(left, right, "scale", negative=left.negative != right.negative)

    def multiplied(self, left: Text, right: Text, op: str, *, negative: bool) -> Text:
        """A product of two texts, whose signs are in `negative`."""
        raise NotImplementedError

    def _matmul(self, expr: Expr, known: Known) -> Text:
        a, b = expr.args
        left = self.text(a, (known[0], self.determined(b)[0]))
        right = self.text(b, (self.determined(a)[1], known[1]))
        if _starts_with_number(b):  # A (x'y B), where A x' would be read first
            right = Text(self.group(right.body), ATOM, right.negative)
        return self.multiplied(left, right, "matmul", negative=left.negative != right.negative)

    def _hadamard(self, expr: Expr, known: Known) -> Text:
        left, right = self.both(expr, known)
        return self.multiplied(left, right, "hadamard", negative=left.negative != right.negative)

    def both(self, expr: Expr, known: Known) -> tuple[Text, Text]:
        """The texts of two operands of one shape."""
        a, b = expr.args
        return self.text(a, _either(known, self.determined(b))), self.text(b, _either(known, self.determined(a)))

    def _quotient(self, expr: Expr, known: Known) -> Text:
        a, b = expr.args
        left = self.term(a, b, _either(known, self.determined(b)))
        right = self.text(b, _either(known, self.determined(a)))
        return self.multiplied(left, right, "quotient", negative=left.negative != right.negative)

    def _divide(self, expr: Expr, known: Known) -> Text:
        left, right = self.text(expr.args[0], known), self.text(expr.args[1])
        return self.multiplied(left, right, "divide", negative=left.negative != right.negative)

    def _tril(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(f"{expr.op}({self.arguments(*expr.args)}{'' if expr.data is None else f', {expr.data}'})")

    def _triu(self, expr: Expr, known: Known) -> Text:
        return self._tril(expr, known)

    def _block(self, expr: Expr, known: Known) -> Text:
        del known
        rows = [self.arguments(*expr.args[i : i + expr.data]) for i in range(0, len(expr.args), expr.data)]
        return Text(f"[{'; '.join(rows)}]")

    def square(self, expr: Expr, known: Known) -> Known:
        """What is known of the operand of something that takes square matrices."""
        either = any(known) or any(self.determined(expr.args[0]))
        return either, either


class _Lines(_Printer):
    """NumPy and MATLAB: every product has a sign, and an array says its size."""

    signs: ClassVar[dict[str, str]]
    words: ClassVar[dict[str, str]]

    def word(self, op: str) -> str:
        return self.words.get(op, op)

    def multiplied(self, left: Text, right: Text, op: str, *, negative: bool) -> Text:
        """All signs bind alike and to the left, but a mixture of entrywise and matrix products gets parentheses, for the reader."""
        mixed = {"hadamard": {"matmul"}, "quotient": {"matmul"}, "matmul": {"hadamard", "quotient"}}.get(op, set[str]())
        keeps = left.level >= PRODUCT and not left.products & mixed
        joins = {"matmul": {"matmul"}, "hadamard": {"hadamard"}, "scale": right.products}.get(op, set[str]())
        follows = right.level > PRODUCT or (right.level == PRODUCT and right.products and right.products <= joins)
        products = {op} | (left.products if keeps else set()) | (right.products if follows else set())
        a = left.body if keeps else self.group(left.body)
        b = right.body if follows else self.group(right.body)
        return Text(f"{a}{self.signs[op]}{b}", PRODUCT, negative, frozenset(products))

    def _name(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(str(expr.data))

    def _eye(self, expr: Expr, known: Known) -> Text:
        del known
        same = expr.rows == expr.cols
        return Text(f"eye({self.size(expr.rows)})" if same else f"eye({self.size(expr.rows)}, {self.size(expr.cols)})")

    def _transpose(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(f"{self.operand(expr.args[0], POSTFIX)}{self.signs['transpose']}", POSTFIX)

    def _power(self, expr: Expr, known: Known) -> Text:
        del known
        base, exponent = expr.args
        sign = self.signs["power" if base.is_scalar and exponent.is_scalar else "powers"]
        return Text(f"{self.operand(base, POSTFIX)}{sign}{self.operand(exponent, ATOM)}", PRODUCT + 1)


class _Numpy(_Lines):
    signs: ClassVar[dict[str, str]] = {
        "scale": " * ",
        "hadamard": " * ",
        "matmul": " @ ",
        "divide": " / ",
        "quotient": " / ",
        "transpose": ".T",
        "power": " ** ",
        "powers": " ** ",
    }
    words: ClassVar[dict[str, str]] = {"diagonal": "diag"}

    def _matmul(self, expr: Expr, known: Known) -> Text:
        a, b = expr.args
        if a.is_vector and b.rows == ONE and b.cols != ONE:
            left, right = self.text(a), self.text(_turned(b))
            return Text(f"outer({left.body}, {right.body})", ATOM, left.negative != right.negative)
        return super()._matmul(expr, known)

    def _matpow(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(f"matrix_power({self.arguments(*expr.args)}, {expr.data})")

    def _ones(self, expr: Expr, known: Known) -> Text:
        del known
        if expr.cols == ONE:
            return Text(f"{expr.op}({self.size(expr.rows)})")
        return Text(f"{expr.op}(({self.size(expr.rows)}, {self.size(expr.cols)}))")

    _zeros = _ones

    def _unit(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(f"eye({self.size(expr.rows)})[:, {expr.data}]", POSTFIX)

    def _entry(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(f"{self.operand(expr.args[0], POSTFIX)}[{', '.join(map(str, expr.data))}]", POSTFIX)

    def _block(self, expr: Expr, known: Known) -> Text:
        del known
        rows = [f"[{self.arguments(*expr.args[i : i + expr.data])}]" for i in range(0, len(expr.args), expr.data)]
        return Text(f"block([{', '.join(rows)}])")


class _Matlab(_Lines):
    signs: ClassVar[dict[str, str]] = {
        "scale": "*",
        "hadamard": ".*",
        "matmul": "*",
        "divide": "/",
        "quotient": "./",
        "transpose": "'",
        "power": "^",
        "powers": ".^",
    }
    words: ClassVar[dict[str, str]] = {"trace": "tr", "norm": "norm2", "maximum": "max", "minimum": "min", "diagonal": "diag"}
    times = "*"

    def _matpow(self, expr: Expr, known: Known) -> Text:
        exponent = str(expr.data) if expr.data >= 0 else f"({expr.data})"
        return Text(f"{self.operand(expr.args[0], POSTFIX, self.square(expr, known))}^{exponent}", PRODUCT + 1)

    def _ones(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(f"{expr.op}({self.size(expr.rows)}, {self.size(expr.cols)})")

    _zeros = _ones

    def _unit(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(f"unit({self.size(expr.rows)}, {expr.data + 1})")

    def _entry(self, expr: Expr, known: Known) -> Text:
        return self.text(_as_product(expr), known)


class _Mathematics(_Printer):
    """LaTeX and Unicode: the product of matrices is written by nothing and binds tighter than ⊙ and ⊗."""

    times = " "
    signs: ClassVar[dict[str, str]]

    def multiplied(self, left: Text, right: Text, op: str, *, negative: bool) -> Text:
        if op in {"matmul", "scale"}:
            if op == "scale" and right.products and self.inner(right, PRODUCT, first=False) == right.body:  # 2 a ⊙ b
                return Text(self.beside(self.inner(left, CHAIN), right.body), PRODUCT, negative, right.products)
            return Text(self.beside(self.inner(left, CHAIN), self.inner(right, CHAIN, first=False)), CHAIN, negative)
        keeps = left.level > PRODUCT or (left.products == frozenset({op}) and op == "hadamard")
        follows = right.level >= (POSTFIX if op == "divide" else CHAIN) or (right.products == frozenset({op}) and op == "hadamard")
        a = left.body if keeps else self.group(left.body)
        b = right.body if follows else self.group(right.body)
        return Text(f"{a} {self.signs[op]} {b}", PRODUCT, negative, frozenset({op}))

    def inner(self, text: Text, level: int, *, first: bool = True) -> str:
        """A factor of a product that is written by nothing; only the first may start with a digit."""
        digit = text.body.startswith((*"0123456789.½⅓⅔¼¾⅛", r"\tfrac"))
        return self.group(text.body) if text.level < level or (digit and not first) else text.body

    def beside(self, left: str, right: str) -> str:
        """Two factors side by side."""
        return f"{left} {right}"

    def _transpose(self, expr: Expr, known: Known) -> Text:
        inner = expr.args[0]
        if inner.op == "inv":
            return self.mark(inner.args[0], self.square(inner, known), "inverse transpose")
        return self.mark(inner, (known[1], known[0]), "transpose")

    def _inv(self, expr: Expr, known: Known) -> Text:
        return self.mark(expr.args[0], self.square(expr, known), "inverse")

    def mark(self, expr: Expr, known: Known, which: str) -> Text:
        """A transpose, an inverse or both."""
        return Text(f"{self.operand(expr, ATOM, known)}{self.marks[which]}", POSTFIX)

    marks: ClassVar[dict[str, str]]

    def _power(self, expr: Expr, known: Known) -> Text:
        del known
        base, exponent = expr.args
        text = self.text(exponent).whole
        plain = base.is_scalar or (base.cols == ONE and exponent.op != "number" and exponent.names)
        return Text(f"{self.operand(base, ATOM)}{self.raised(text, entrywise=not plain)}", POSTFIX)

    def raised(self, text: str, *, entrywise: bool = False) -> str:
        """An exponent."""
        raise NotImplementedError

    def _matpow(self, expr: Expr, known: Known) -> Text:
        return Text(f"{self.operand(expr.args[0], ATOM, self.square(expr, known))}{self.raised(str(expr.data))}", POSTFIX)

    def _entry(self, expr: Expr, known: Known) -> Text:
        (array,) = expr.args
        places = [place + 1 for place in expr.data]
        if array.op != "name" or max(places) > 9:
            return self.text(_as_product(expr), known)
        name = self._name(array, known).body
        index = "".join(map(str, places))
        if self.braces:  # TeX knows no second index
            return Text(f"{{{name}}}_{{{index}}}" if "_" in name else f"{name}_{{{index}}}", ATOM)
        return Text(f"{name}_{index}", ATOM)

    braces = False

    def _name(self, expr: Expr, known: Known) -> Text:
        raise NotImplementedError

    def _det(self, expr: Expr, known: Known) -> Text:
        del known
        (inner,) = expr.args
        text = self.text(inner, self.square(expr, (False, False))).whole
        return Text(f"{self.word(expr.op)}({text})")

    _trace = _det

    def _log(self, expr: Expr, known: Known) -> Text:
        del known
        (inner,) = expr.args
        text = self.text(inner)
        if inner.op == "det" or (inner.op == "abs" and inner.is_scalar and inner.args[0].op == "det"):
            return Text(f"{self.word('log')}{'' if self.braces and inner.op != 'abs' else ' '}{text.whole}", POSTFIX)
        return Text(f"{self.word('log')}({text.whole})")

    def _logdet(self, expr: Expr, known: Known) -> Text:
        return self._log(make("log", _determinant(expr)), known)

    def _logabsdet(self, expr: Expr, known: Known) -> Text:
        return self._log(make("log", make("abs", _determinant(expr))), known)

    def _abs(self, expr: Expr, known: Known) -> Text:
        del known
        (inner,) = expr.args
        text = self.text(inner).whole
        if ONE not in inner.shape or "|" in text:
            return Text(f"{self.word('abs')}({text})")
        return Text(f"|{text}|")

    def _norm(self, expr: Expr, known: Known) -> Text:
        """Bars on both sides, and an index where there are several norms."""
        del known
        text = self.text(expr.args[0]).whole
        bar = self.signs["norm"]
        vector = ONE in expr.args[0].shape
        if bar in text or (expr.op == "spectral" and vector):
            return Text(f"{self.word(expr.op)}({text})")
        index = {"norm": "" if vector else "_F", "norm1": "_1", "nuclear": "_*", "spectral": "_2"}[expr.op]
        return Text(f"{bar}{text}{bar}{index}")

    _norm1 = _nuclear = _spectral = _norm

    def _sigmoid(self, expr: Expr, known: Known) -> Text:
        """A function by its Greek letter, unless an input has that name."""
        del known
        letter = {"sigmoid": "sigma", "digamma": "psi"}[expr.op]
        word = self.word(expr.op) if letter in self.names else self.greek(letter)
        return Text(f"{word}({self.arguments(*expr.args)})")

    _digamma = _sigmoid

    def greek(self, word: str) -> str:
        """A Greek letter."""
        raise NotImplementedError

    def _eye(self, expr: Expr, known: Known) -> Text:
        if "I" in self.names or expr.rows != expr.cols or (not any(known) and expr.rows.name is None and expr.rows.number is None):
            sizes = self.size(expr.rows) if expr.rows == expr.cols else f"{self.size(expr.rows)}, {self.size(expr.cols)}"
            return Text(f"{self.word('eye')}({sizes})")
        return Text("I" if any(known) else f"I{self.index(str(expr.rows))}")

    def _ones(self, expr: Expr, known: Known) -> Text:
        if expr.cols == ONE:
            return self.one(expr.rows, known=known[0])
        return Text(
            self.beside(self.one(expr.rows, known=known[0]).body, self.one(expr.cols, known=known[1]).body + self.marks["transpose"]), CHAIN
        )

    def one(self, size: Size, *, known: bool) -> Text:
        """A column of ones."""
        if not known and size.name is None and size.number is None:
            return Text(f"{self.word('ones')}({self.size(size)})")
        return Text(self.signs["one"] + ("" if known else self.index(str(size))))

    def _unit(self, expr: Expr, known: Known) -> Text:
        if "e" in self.names or not known[0] or expr.data > 8:
            eye = filled("eye", expr.rows, expr.rows)
            return Text(f"{self.word('unit')}({self.size(eye.rows)}, {expr.data + 1})")
        return Text(f"e{self.index(str(expr.data + 1))}")

    def index(self, text: str) -> str:
        """Below the line."""
        return f"_{text}" if len(text) == 1 or not self.braces else f"_{{{text}}}"

    def _zeros(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(f"{self.word('zeros')}({self.size(expr.rows)}, {self.size(expr.cols)})")

    def _kron(self, expr: Expr, known: Known) -> Text:
        del known
        left, right = self.text(expr.args[0]), self.text(expr.args[1])
        return self.multiplied(left, right, "kron", negative=left.negative != right.negative)

    def _diagonal(self, expr: Expr, known: Known) -> Text:
        return Text(f"{self.word('diag')}({self.text(expr.args[0], self.square(expr, known)).whole})")


class _Tex(_Mathematics):
    braces = True
    words: ClassVar[dict[str, str]] = {"trace": "tr", "log_gamma": "gammaln"}
    signs: ClassVar[dict[str, str]] = {
        "hadamard": r"\odot",
        "quotient": r"\oslash",
        "kron": r"\otimes",
        "divide": "/",
        "norm": r"\|",
        "one": r"\mathbf 1",
    }
    marks: ClassVar[dict[str, str]] = {"transpose": r"^\top", "inverse": "^{-1}", "inverse transpose": r"^{-\top}"}

    def multiplied(self, left: Text, right: Text, op: str, *, negative: bool) -> Text:
        if op == "divide":
            return Text(rf"\frac{{{left.body}}}{{{right.body}}}", CHAIN, negative)
        return super().multiplied(left, right, op, negative=negative)

    def word(self, op: str) -> str:
        if op in {"log", "exp", "det", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arctan", "max", "min"}:
            return f"\\{op}"
        if op in {"maximum", "minimum"}:
            return f"\\{op[:3]}"
        return rf"\operatorname{{{self.words.get(op, op)}}}"

    def greek(self, word: str) -> str:
        return f"\\{word}"

    def _name(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(as_tex(str(expr.data)))

    def _constant(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(r"\pi" if expr.data == "pi" else str(expr.data))

    def fraction(self, value: Fraction) -> Text:
        above, below = value.numerator, value.denominator
        if 1 < below < 10 and above < 1000:
            return Text(rf"\tfrac{above}{below}" if above < 10 else rf"\tfrac{{{above}}}{{{below}}}", CHAIN)
        text = super().fraction(value)
        return Text(rf"\frac{{{value.numerator}}}{{{value.denominator}}}", CHAIN) if text.level == PRODUCT else text

    def raised(self, text: str, *, entrywise: bool = False) -> str:
        if entrywise:
            return rf"^{{\odot {text}}}"
        return f"^{text}" if len(text) == 1 else f"^{{{text}}}"

    def _sqrt(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(rf"\sqrt{{{self.arguments(*expr.args)}}}")

    def _log_gamma(self, expr: Expr, known: Known) -> Text:
        del known
        if "Gamma" in self.names:
            return self.function(expr)
        return Text(rf"\log(\Gamma({self.arguments(*expr.args)}))")

    def _tril(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(f"{self.word(expr.op)}{'' if expr.data is None else self.index(str(expr.data))}({self.arguments(*expr.args)})")

    def _block(self, expr: Expr, known: Known) -> Text:
        del known
        rows = [" & ".join(self.text(cell).whole for cell in expr.args[i : i + expr.data]) for i in range(0, len(expr.args), expr.data)]
        body = r" \\ ".join(rows)
        return Text(rf"\begin{{pmatrix}} {body} \end{{pmatrix}}")


class _Unicode(_Mathematics):
    signs: ClassVar[dict[str, str]] = {"hadamard": "⊙", "quotient": "⊘", "kron": "⊗", "divide": "/", "norm": "‖", "one": "𝟏"}
    marks: ClassVar[dict[str, str]] = {"transpose": "ᵀ", "inverse": "⁻¹", "inverse transpose": "⁻ᵀ"}

    def beside(self, left: str, right: str) -> str:
        """No space after a digit, a mark or a bracket, nor before a bracket."""
        number = left[-1] in "0123456789" and "_" not in left and "^" not in left and right[0].isalpha()
        tight = not (left[-1].isalnum() or left[-1] in ACCENTS.values()) or left[-1] in "ᵀ⁰¹²³⁴⁵⁶⁷⁸⁹½⅓¼𝟏" or right[0] == "(" or number
        apart = right[0] in "0123456789|‖[" or left[-1] in "|‖"
        return f"{left} {right}" if apart or not tight else f"{left}{right}"

    def word(self, op: str) -> str:
        return {"trace": "tr", "maximum": "max", "minimum": "min"}.get(op, op)

    def greek(self, word: str) -> str:
        return as_unicode(word)

    def _name(self, expr: Expr, known: Known) -> Text:
        del known
        return Text(as_unicode(str(expr.data)))

    def _constant(self, expr: Expr, known: Known) -> Text:
        del known
        return Text("π" if expr.data == "pi" else str(expr.data))

    def fraction(self, value: Fraction) -> Text:
        vulgar = {
            Fraction(1, 2): "½",
            Fraction(1, 4): "¼",
            Fraction(3, 4): "¾",
            Fraction(1, 3): "⅓",
            Fraction(2, 3): "⅔",
            Fraction(1, 8): "⅛",
        }
        return Text(vulgar[value], CHAIN) if value in vulgar else super().fraction(value)

    def raised(self, text: str, *, entrywise: bool = False) -> str:
        if entrywise:
            return f".^{text}" if text.isalnum() else f".^({text})"
        digits = text.removeprefix("-")
        if digits.isdigit() and digits.isascii() and len(digits) < 4 and text != "-1":
            return text.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"^{text}" if text.isalnum() and text.isascii() else f"^({text})"


def _either(a: Known, b: Known) -> Known:
    return a[0] or b[0], a[1] or b[1]


def _full_of(expr: Expr) -> Expr | None:
    """The number that an array is full of, if it was written as one."""
    if expr.op == "ones":
        return number(1)
    if expr.op == "neg":
        inner = _full_of(expr.args[0])
        return None if inner is None else make("neg", inner)
    if expr.op == "scale" and expr.args[1].op == "ones" and expr.args[0].op == "number":
        return expr.args[0]
    return None


def _factors(expr: Expr) -> list[Expr]:
    """What a multiple is made of: its scalar factors, and last what they multiply."""
    if expr.op != "scale":
        return [expr]
    return [each for arg in expr.args for each in _factors(arg)]


def _starts_with_number(product: Expr) -> bool:
    """Whether the first factors of a product, as it is printed, make up a number, as in x'y B."""
    match product.op:
        case "scale":
            *factors, array = _factors(product)
            return any(each.op == "matmul" for each in factors) or _starts_with_number(array)
        case "matmul" | "neg":
            return _starts_with_number(product.args[0])
        case _:
            return False


def _turned(row: Expr) -> Expr:
    """The transpose, moved inwards."""
    if row.op == "transpose":
        return row.args[0]
    if row.op == "matmul":
        return make("matmul", _turned(row.args[1]), _turned(row.args[0]))
    if row.op == "scale":
        return make("scale", row.args[0], _turned(row.args[1]))
    return make("transpose", row)


def _determinant(expr: Expr) -> Expr:
    """The determinant in a logarithm, also of a matrix of which it is not known yet that it is square."""
    return Expr("det", expr.args)


def _as_product(entry: Expr) -> Expr:
    """An entry as a product with unit vectors."""
    (array,) = entry.args
    row = make("transpose", filled("unit", array.rows, 1, entry.data[0]))
    product = make("matmul", row, array)
    return product if len(entry.data) == 1 else make("matmul", product, filled("unit", array.cols, 1, entry.data[1]))


def _decimal(value: Fraction, places: int = 6) -> str | None:
    """The digits of a number that has few of them."""
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    if rest != 1 or value.denominator == 1:
        return None
    digits = next((k for k in range(1, places + 1) if (value * 10**k).denominator == 1), None)
    return None if digits is None or value > 10**12 else f"{float(value):.{digits}f}"
