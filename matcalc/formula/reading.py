"""From a tree of what was written to a typed expression: what each sign means for operands of these shapes.

Sizes that nobody gave are unknown and found by unification. Where a text can mean two things, the rule that decides is written at
the method that applies it, and what was decided is kept as a note; where no rule decides, an error offers the readings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import chain, count
from typing import Any, NamedTuple

from matcalc.formula.expression import Expr, FormulaError, OpenSizeError, ShapeError
from matcalc.formula.grammar import MAX_DEPTH, Node, node
from matcalc.formula.names import GREEK, Variable, kind_of, parts, unknown_name
from matcalc.formula.operations import CONSTANTS, constant, dimension, filled, make, number
from matcalc.formula.operations import name as named
from matcalc.formula.printing import shape_text, spell
from matcalc.formula.size import ONE, Size
from matcalc.formula.unification import Unknowns, open_names, too_large
from matcalc.formula.vocabulary import ENTRYWISE

MAX_POWER = 64
"The largest power of a matrix, which is computed factor by factor."
MAX_EXPONENT = 1_000
"The largest power of a number."
MAX_LENGTH = 10_000
"The operations of a formula that is written out; as each sym(X) has X twice, thirty of them in one another cannot be."


class Read(NamedTuple):
    """An expression, and whether NumPy would hold its value as a one-dimensional array."""

    expr: Expr
    flat: bool = False


class Reader:
    """Reads trees that share their variables, unknown sizes and dialect.

    `numpy` decides whether `*` is the product entry by entry and vectors may be one-dimensional, or `*` is the matrix product;
    `sure` says that this is known and no guess, `declared` that every name has to be. Names among `vectors` are taken for vectors
    though by convention they are scalars; `doubts` collects the scalars by convention that stand where a vector should.
    """

    def __init__(
        self,
        variables: Mapping[str, Variable],
        dimensions: Collection[str],
        *,
        numpy: bool,
        sure: bool,
        declared: bool,
        vectors: frozenset[str] = frozenset(),
    ) -> None:
        self.variables = dict(variables)
        self.dimensions = set(dimensions)
        for variable in variables.values():
            self.dimensions |= variable.rows.names | variable.cols.names
        self.numpy = numpy
        self.sure = numpy and sure
        self.declared = declared
        self.sizes = Unknowns()
        self.notes: dict[str, None] = {}
        self.inferred: dict[str, Variable] = {}
        self.traced: dict[int, Expr] = {}
        self.text = ""
        self.stars: list[tuple[str, Node]] = []
        self.zero_based: set[str] = set()
        self.misfits: list[Node] = []
        self.indices: dict[str, int] = {}
        self.wide: tuple[Size, Size] = (ONE, ONE)
        self.vectors = vectors
        self.doubts: dict[str, None] = {}
        self.around: dict[int, str] = {}

    def fresh(self) -> Reader:
        """A reader of the same names in the same dialect that has read nothing."""
        return Reader(self.variables, self.dimensions, numpy=self.numpy, sure=self.sure, declared=self.declared, vectors=self.vectors)

    # --- a whole text -----------------------------------------------------------------------------------------------------------

    def whole(self, tree: Node, text: str) -> Read:
        """What a tree says, a one-dimensional array as a column; its unknown sizes stay open until `finished`."""
        self.text = text
        self.zero_based = {each.value[0] for each in _walk(tree) if each.kind == "name" and _indices(each.value)[:1] == ("0",)}
        try:
            read = self.read(tree)
            return Read(self.column(read), read.flat)
        except FormulaError as error:
            error.text = error.text or text
            raise

    def finished(self, *exprs: Expr) -> list[Expr]:
        """Expressions with all sizes known; sizes that stay open for undeclared names get names. FormulaError where one is a guess."""
        if not self.sizes.count:
            return list(exprs)
        self._settle()
        self._name_sizes()
        self._take_the_only_size(exprs)
        closed = [self.sizes.everywhere(expr) for expr in exprs]
        for expr in closed:
            for each in expr.nodes():
                if open_names(each.rows) | open_names(each.cols):
                    shown = {"eye": "I", "ones": "the vector of ones", "zeros": "the zero", "unit": "the unit vector"}.get(
                        each.op, "a part"
                    )
                    raise OpenSizeError(
                        f"nothing says which size {shown} has; write it, as in eye(n), ones(n) or I_n", text=self.text, span=each.span
                    )
        self.inferred = {
            name: replace(each, rows=self.sizes.known(each.rows), cols=self.sizes.known(each.cols)) for name, each in self.inferred.items()
        }
        return closed

    def _settle(self) -> None:
        if self.sizes.settle():
            raise ShapeError("the sizes of a Kronecker product do not fit together", text=self.text)

    def _name_sizes(self) -> None:
        taken = self.dimensions | self.variables.keys() | self.inferred.keys()
        open_ = list(
            dict.fromkeys(
                name
                for each in self.inferred.values()
                for size in (self.sizes.known(each.rows), self.sizes.known(each.cols))
                for name in sorted(open_names(size), key=lambda unknown: int(unknown[1:]))
            )
        )
        letters = chain("n" if len(open_) == 1 else "", "mnpqkrstuvw", (f"n{i}" for i in count()))
        free = (letter for letter in letters if letter not in taken)
        for unknown in open_:
            if unknown not in self.sizes.bound:  # a name that is given settles what waits for it
                self.sizes.bound[unknown] = Size.of(next(free))
                self._settle()

    def _take_the_only_size(self, exprs: tuple[Expr, ...]) -> None:
        """Where the whole problem has one dimension, an identity of which nothing says the size has that one."""
        sizes = {size.name for each in (*self.variables.values(), *self.inferred.values()) for size in map(self.sizes.known, each.shape)}
        sizes |= self.dimensions
        sizes.discard(None)
        open_ = {name for expr in exprs for each in expr.nodes() for size in each.shape for name in open_names(self.sizes.known(size))}
        if open_ and len(sizes) == 1:
            (only,) = sizes
            self.note(f"I take {only} for the size that is not written")
            self.sizes.bound.update(dict.fromkeys(open_, Size.of(str(only))))

    # --- sums over an index -------------------------------------------------------------------------------------------------------

    def _big(self, tree: Node) -> Read:
        """A sum or a product over one index or two, of a body that is read entry by entry."""
        word, letters, until = tree.value
        if not letters:
            return Read(self.build(word, self.column(self.read(tree.parts[0])), tree=tree))
        before, wide = self.indices, self.wide
        if len(before) + len(letters) > 2 or set(letters) & before.keys() or len(set(letters)) < len(letters):
            raise self.fail(f"at most two different indices are read, but {', '.join([*before, *letters])} came", tree)
        self.indices = {index: place for place, index in enumerate([*before, *letters])}
        self.wide = (wide[0] if before else self.sizes.new(), self.sizes.new() if len(self.indices) > 1 else ONE)
        try:
            body = self.spread(self.read(tree.parts[0]).expr, self.wide)
        finally:
            inner, self.indices, self.wide = self.wide, before, wide
        if until is not None:
            limit = self.size_named(until, tree)
            if not all(self.sizes.same(inner[place], limit) for place in range(len(before), len(before) + len(letters))):
                raise self.fail(f"the sum ends at {until}, but there are {self.sizes.known(inner[len(before)])} entries", tree, shape=True)
        if not before:
            return Read(self.build(word, body, tree=tree))
        if word == "prod":
            raise self.fail("a product over one of two indices is not read", tree)
        return Read(self.build("matmul", body, filled("ones", inner[1], 1), tree=tree))

    def spread(self, expr: Expr, shape: tuple[Size, Size]) -> Expr:
        """A number as an array whose entries it is."""
        return self.build("scale", expr, filled("ones", *shape), tree=node("ones", (), "", 0, 0)) if self.scalar(expr) else expr

    def entries(self, name: str, index: str, tree: Node) -> Expr:
        """An array that has its indices in the order of the equation, repeated along the index that it lacks."""
        if name not in self.variables:
            self._undeclared(name, tree, "vector" if len(index) == 1 else "matrix")
        variable = self.variables.get(name) or self.inferred[name]
        array = self.sizes.top(named(name, *variable.shape, tree.span))
        places = [self.indices[letter] for letter in index]
        if len(places) != (1 if variable.cols == ONE else 2):
            raise self.fail(f"{name} is {shape_text(array)}, so it has no entry with the index {index}", tree)
        if len(places) == 1:
            self.sizes.same(self.wide[places[0]], variable.rows)
            if len(self.indices) == 1:
                return array
            ones = filled("ones", self.wide[1 - places[0]], 1)
            pair = (array, self.transposed(ones)) if places[0] == 0 else (ones, self.transposed(array))
            return self.build("matmul", *pair, tree=tree)
        if places[0] == places[1]:
            diagonal = self.build("diagonal", array, tree=tree)
            self.sizes.same(self.wide[places[0]], variable.rows)
            return diagonal
        turned = array if places == [0, 1] else self.transposed(array)
        self.sizes.same(self.wide[0], turned.rows)
        self.sizes.same(self.wide[1], turned.cols)
        return turned

    # --- pieces of work that many signs share ---------------------------------------------------------------------------------------

    def read(self, tree: Node) -> Read:
        """The expression of a tree."""
        result: Read = getattr(self, f"_{tree.kind}")(tree)
        self.traced[id(tree)] = result.expr
        return result

    def note(self, text: str) -> None:
        """Say how something was read that could have been read otherwise."""
        self.notes[text] = None

    def fail(self, message: str, tree: Node, *repairs: str, shape: bool = False) -> FormulaError:
        """The error about a part of the text."""
        return (ShapeError if shape else FormulaError)(message, text=self.text, span=tree.span, repairs=repairs)

    def build(self, op: str, *args: Expr, tree: Node, data: Any = None) -> Expr:
        """An operation; a misfit is told with both operands and their shapes."""
        args = tuple(self.sizes.top(arg) for arg in args)
        self.sizes.place = tree
        try:
            built = make(op, *args, data=data, same=self.sizes.same, span=tree.span)
        except ShapeError as error:
            raise self.misfit(str(error), tree, *args) from None
        if too_large(built.rows) or too_large(built.cols):
            raise self.fail("the array is larger than any that is read, with more than 7 dimensions multiplied or 10^9 rows", tree)
        if built.length > MAX_LENGTH:
            raise self.fail(f"the formula has more than {MAX_LENGTH} operations where it is written out", tree)
        if built.depth > MAX_DEPTH:  # tanh'(x) is three operations in one another
            raise self.fail(f"the formula nests more than {MAX_DEPTH} operations where it is written out", tree)
        hash(built)  # from the inputs upwards, so that no later hash has far to go
        return built

    def misfit(self, message: str, tree: Node, *args: Expr) -> FormulaError:
        """Operands that do not fit, with their shapes."""
        error = self.fail(f"{message}: {', '.join(map(self.shaped, args))}", tree, shape=True)
        self.misfits.append(tree)
        return error

    def shaped(self, expr: Expr) -> str:
        """An expression and its shape in a message."""
        by_convention = expr.op == "name" and expr.data in self.inferred and not expr.is_scalar
        return f"{short(expr)} is {shape_text(self.sizes.top(expr))}{' unless declared' if by_convention else ''}"

    def scalar(self, expr: Expr) -> bool:
        """Whether it is known to be one number."""
        return self.sizes.top(expr).is_scalar

    def column(self, read: Read) -> Expr:
        """What was read, a one-dimensional array as a column."""
        expr = self.sizes.top(read.expr)
        if not read.flat or expr.cols == ONE or expr.rows != ONE:
            return read.expr
        return self.flipped(expr)

    def flipped(self, row: Expr) -> Expr:
        """A row as a column, its transpose moved to where it stands best."""
        match row.op:
            case "matmul":
                left, right = row.args
                return make("matmul", self.transposed(right), self.flipped(left), span=row.span, same=self.sizes.same)
            case "neg":
                return make("neg", self.flipped(row.args[0]), span=row.span)
            case "scale":
                return make("scale", row.args[0], self.flipped(row.args[1]), span=row.span)
            case _:
                return self.transposed(row)

    def transposed(self, expr: Expr) -> Expr:
        """The transpose; two of them are none, and a number has none."""
        if self.scalar(expr):
            return expr
        if expr.op == "scale":
            return make("scale", expr.args[0], self.transposed(expr.args[1]), span=expr.span)
        return expr.args[0] if expr.op == "transpose" else make("transpose", self.sizes.top(expr), span=expr.span)

    def filled_like(self, value: Expr, like: Expr, tree: Node) -> Expr:
        """An array of the shape of another, full of one number."""
        like = self.sizes.top(like)
        if value.op == "number" and value.data in {0, 1}:
            return filled("ones" if value.data else "zeros", like.rows, like.cols, span=tree.span)
        return self.build("scale", value, filled("ones", like.rows, like.cols, span=tree.span), tree=tree)

    def beside(self, left: Read, right: Read) -> tuple[Expr, Expr]:
        """Two operands of something entry by entry, as they stand; NumPy would make a matrix of a column and a one-dimensional array."""
        a, b = self.column(left), self.column(right)
        if self.sure and left.flat != right.flat and self.sizes.top(a).is_vector and self.sizes.top(b).is_vector:
            flat, column = (short(x, "numpy") for x in ((a, b) if left.flat else (b, a)))
            self.note(f"I read {flat} as a column beside {column}; NumPy would make a matrix of the one-dimensional {flat} and the column")
        return a, b

    def together(self, left: Read, right: Read, tree: Node) -> tuple[Expr, Expr, bool]:
        """Two operands of something entry by entry. Only a literal may stand for an array full of it: `1 - y`.

        NumPy would also add a scalar to every entry; of a vector it may, with a note. For a matrix that is asked, since `A + a`
        so often means a multiple of the identity.
        """
        a, b = self.beside(left, right)
        flat = left.flat or right.flat
        if self.scalar(a) == self.scalar(b):
            return a, b, flat
        number_, array = (a, b) if self.scalar(a) else (b, a)
        self.doubt(number_)
        if not is_literal(number_):
            shape = self.sizes.top(array)
            if not (self.sure and shape.cols == ONE):
                value, other = short(number_, "numpy"), short(array)
                rows, cols = shape.rows, shape.cols
                repairs = [f"{value} * ones({rows})" if cols == ONE else f"{value} * ones(({rows}, {cols}))"]
                if shape.is_square:
                    repairs.append(f"{value} * eye({rows})")
                if open_names(rows) | open_names(cols):
                    repairs = []
                raise self.fail(
                    f"{value} is a scalar and {other} is {shape_text(shape)}; say which entries it is added to", tree, *repairs, shape=True
                )
        self.note(f"I read {short(number_)} beside {short(array)} as an array full of it")
        wide = self.filled_like(number_, array, tree)
        return (wide, b, flat) if number_ is a else (a, wide, flat)

    # --- leaves -------------------------------------------------------------------------------------------------------------------

    def _number(self, tree: Node) -> Read:
        return Read(number(Fraction(tree.value), tree.span))

    def _name(self, tree: Node) -> Read:
        name = tree.value
        if not isinstance(name, str):
            return self._with_index(tree)
        if name in self.variables:
            variable = self.variables[name]
            return Read(named(name, variable.rows, variable.cols, tree.span), self.numpy and variable.one_dimensional)
        if name in self.dimensions:
            return Read(dimension(name, tree.span))
        if name == "I":
            size = self.sizes.new()
            return Read(filled("eye", size, size, span=tree.span))
        if name == "pi" or (name == "e" and self.declared):
            return Read(constant(name, tree.span))
        return self._undeclared(name, tree)

    def _undeclared(self, name: str, tree: Node, kind: str = "") -> Read:
        """By matrixcalculus.org's convention, with a note; sizes are found from what it stands with."""
        if self.declared:
            unknown = unknown_name(name, self.variables)
            raise self.fail(str(unknown), tree, *unknown.repairs)
        kind = kind or ("vector" if name in self.vectors else kind_of(name))
        variable = self.inferred.get(name)
        if variable is None:
            rows = ONE if kind == "scalar" else self.sizes.new(proper=True)
            cols = self.sizes.new(proper=True) if kind == "matrix" else ONE
            variable = self.inferred[name] = Variable(name, rows, cols, one_dimensional=kind == "vector")
            self.note(f"I take {name} for a {kind}")
            if is_word(name):
                self.note(f"I take {name} for one name")
        return Read(named(name, variable.rows, variable.cols, tree.span), self.numpy and variable.one_dimensional)

    def _with_index(self, tree: Node) -> Read:
        """An entry of a declared array, a unit vector e_1, or an identity I_n; counted from 1, or from 0 where the text says x_0."""
        name, index = tree.value
        if self.indices and all(letter in self.indices for letter in index):
            return Read(self.entries(name, index, tree))
        if name == "I" and name not in self.variables:
            size = self.size_named(index, tree)
            return Read(filled("eye", size, size, span=tree.span))
        places = _indices(tree.value)
        if not places:
            raise self.fail(f"the index {index} of {name} is no number", tree)
        first = 0 if name in self.zero_based else 1
        numbers = tuple(int(place) - first for place in places if len(place) <= 4)
        if len(numbers) < len(places) or min(numbers) < 0:
            raise self.fail(f"{name} has no entry {index[:20]}", tree)
        if name == "e" and name not in self.variables:
            return Read(filled("unit", self.sizes.new(), 1, numbers[0], span=tree.span))
        if name not in self.variables:
            return self._undeclared(f"{name}_{index}", tree)
        variable = self.variables[name]
        limits = (variable.rows.number, variable.cols.number)
        if any(limit is not None and place >= limit for place, limit in zip(numbers, limits, strict=False)):
            raise self.fail(f"{name} is {shape_text(named(name, *variable.shape))}, so it has no entry {index}", tree)
        if variable.shape == (ONE, ONE) or len(numbers) != (1 if variable.cols == ONE else 2):
            raise self.fail(f"{name} is {shape_text(named(name, *variable.shape))}, so {index} is no entry of it", tree)
        return Read(self.build("entry", named(name, *variable.shape, tree.span), data=numbers, tree=tree))

    def size_named(self, word: str, tree: Node) -> Size:
        """A size that is written as an index."""
        if word.isdecimal() and len(word) <= 6:
            return Size.of(int(word))
        if word.isalpha() and word not in self.variables:
            self.dimensions.add(word)
            return Size.of(word)
        raise self.fail(f"the size {word} is no name and no number", tree)

    def _ones(self, tree: Node) -> Read:
        size = self.size_named(tree.value, tree) if tree.value else self.sizes.new()
        return Read(filled("ones", size, 1, span=tree.span))

    def doubt(self, *exprs: Expr) -> None:
        """Scalars by convention, or sums and multiples of them, that stand where an array should."""
        for expr in exprs:
            if self.inferred and self.scalar(expr) and all(each.op in _LINEAR for each in expr.nodes()):
                self.doubts.update(dict.fromkeys(name for name in expr.names if name in self.inferred))

    # --- signs --------------------------------------------------------------------------------------------------------------------

    def _group(self, tree: Node) -> Read:
        return self.read(tree.parts[0])

    def _negative(self, tree: Node) -> Read:
        read = self.read(tree.parts[0])
        return Read(self.negated(read.expr, tree), read.flat)

    def negated(self, expr: Expr, tree: Node) -> Expr:
        """The sign goes into a number at the front: -2 A is the product of -2 and A."""
        if expr.op == "number" and expr.data > 0:
            return number(-expr.data, tree.span)
        inner = tree.parts[0]
        if inner.kind != "group" and expr.op in {"scale", "matmul", "hadamard"}:
            first = expr.args[0]
            if first.op == "number" or (first.op in {"scale", "matmul", "hadamard"} and _leading(first).op == "number"):
                return _with_leading(expr, lambda value: number(-value.data, value.span))
        return self.build("neg", expr, tree=tree)

    def _binary(self, tree: Node) -> Read:
        kind, _ = tree.value
        left, right = self.read(tree.parts[0]), self.read(tree.parts[1])
        if kind in {"PLUS", "MINUS"}:
            return self.added("add" if kind == "PLUS" else "sub", left, right, tree)
        if kind in {"SLASH", "OVER"}:
            if kind == "SLASH" and tree.parts[1].kind == "juxtaposed":
                above, *below = (short(self.read(part).expr) for part in (tree.parts[0], *tree.parts[1].parts))
                repairs = (f"{above}/({' '.join(below)})", f"({above}/{below[0]}) {below[1]}")
                raise self.fail("it is not clear what the stroke divides by; put parentheses", tree, *repairs)
            return self.divided(left, right, tree, entrywise=kind == "OVER" or self.numpy)
        if kind == "KRON":
            return Read(self.build("kron", self.column(left), self.column(right), tree=tree))
        if kind == "HADAMARD":
            return self.hadamard(left, right, tree)
        if kind == "STAR" and not self.scalar(left.expr) and not self.scalar(right.expr):
            self.stars.append((self.text, tree))
            if self.numpy:
                return self.hadamard(left, right, tree)
        return self.product(left, right, tree, dot=kind == "CDOT")

    def _juxtaposed(self, tree: Node) -> Read:
        if tree.parts[1].kind == "number" and self.text[tree.parts[1].start] in "0123456789.":
            raise self.fail("a number stands after a factor without a sign between them", tree.parts[1])
        left, right = self.read(tree.parts[0]), self.read(tree.parts[1])
        self._reach(tree)
        place = _integer(right.expr) if tree.parts[0].kind == "name" and tree.parts[1].kind == "group" else None
        if place is not None and not self.scalar(left.expr):  # MATLAB's x(1)
            entry = f"{short(left.expr)}_{place}"
            raise self.fail(f"an array stands before a number in parentheses; an entry is {entry}", tree, entry)
        return self.product(left, right, tree)

    def _reach(self, tree: Node) -> None:
        """Say that a function without brackets takes one factor, as in tr B x; of log 2π hardly anybody means that, so it is asked."""
        before, after = tree.parts
        while before.kind == "juxtaposed":
            before = before.parts[1]
        if before.kind != "call" or before.parts[-1].end != before.end or before.parts[-1].parts[0].kind == "call":
            return
        (argument,) = before.parts[-1].parts
        word, inside, behind = (
            self.text[start:end].strip()
            for start, end in ((before.start, argument.start), (argument.start, argument.end), (after.start, after.end))
        )
        if argument.kind == "number":
            repairs = f"{word}({inside} {behind})", f"{word}({inside}) {behind}"
            message = f"it is not clear how far {word} reaches; put parentheses"
            raise FormulaError(message, text=self.text, span=(before.start, after.end), repairs=repairs)
        self.note(f"I read {word} as a function of {inside} alone, and {behind} as a factor behind it")

    def added(self, op: str, left: Read, right: Read, tree: Node) -> Read:
        """A sum or a difference."""
        a, b, flat = self.together(left, right, tree)
        return Read(self.build(op, a, b, tree=tree), flat)

    def hadamard(self, left: Read, right: Read, tree: Node) -> Read:
        """The product entry by entry. NumPy would repeat a vector along a matrix; that is asked."""
        a, b = self.beside(left, right)
        if self.scalar(a) or self.scalar(b):
            if tree.kind == "binary" and tree.value[0] == "HADAMARD":
                self.doubt(a, b)
            return self.product(left, right, tree)
        wide, vector = (b, a) if self.sizes.top(a).is_vector else (a, b)
        if self.sizes.top(vector).is_vector and not self.sizes.top(wide).is_vector and not open_names(self.sizes.top(wide).cols):
            matrix, x = short(wide, "numpy"), short(vector, "numpy")
            rows, length = self.sizes.top(wide).rows, self.sizes.top(vector).rows
            repairs = {f"{matrix} @ diag({x})": self.sizes.top(wide).cols == length, f"diag({x}) @ {matrix}": rows == length}
            raise self.fail(
                f"a matrix and a vector have no product entry by entry: {self.shaped(a)}, {self.shaped(b)}",
                tree,
                *(repair for repair, fits in repairs.items() if fits),
                shape=True,
            )
        return Read(self.scaled("hadamard", a, b, tree), left.flat or right.flat)

    def product(self, left: Read, right: Read, tree: Node, *, dot: bool = False) -> Read:
        """The product of matrices, or of a scalar and anything.

        A one-dimensional array has no transpose, so NumPy's `x @ A` is x'A and `x @ y` is x'y. `x @ x.T` is a number there but a
        matrix to whoever thinks of columns: that is asked.
        """
        a, b = left.expr, right.expr
        if tree.kind == "binary" and tree.value[0] == "MATMUL":
            self.doubt(a, b)
        elif not self.scalar(a) and not (self.numpy and tree.kind == "binary"):
            self.doubt(b)  # a scalar is written before what it multiplies
        if self.scalar(a):
            return Read(self.build("scale", a, b, tree=tree), right.flat)
        if self.scalar(b):
            return Read(self.build("scale", b, a, tree=tree), left.flat)
        if self.indices:
            return Read(self.scaled("hadamard", a, b, tree))
        if left.flat or right.flat:
            return self._flat_product(left, right, tree)
        if dot and self.sizes.top(a).is_vector and self.sizes.top(b).is_vector:
            self.note(f"I read {short(a)} · {short(b)} as the inner product of two vectors")
            a = self.transposed(a)
        return Read(self.dropped_ones(a, b, tree))

    def _flat_product(self, left: Read, right: Read, tree: Node) -> Read:
        a, b = left.expr, right.expr
        if left.flat and right.flat:
            if self.sizes.top(a).cols == ONE and self.sizes.top(b).rows == ONE:
                x, y = short(a, "numpy"), short(self.transposed(b), "numpy")
                raise self.fail(
                    f"{x} @ {y}.T is a number in NumPy and a matrix for columns; say which", tree, f"outer({x}, {y})", f"dot({x}, {y})"
                )
            if self.sizes.top(a).cols == ONE:
                self.note(f"I read {short(a, 'numpy')} @ {short(self.column(right), 'numpy')} as the inner product of two vectors")
                a = self.transposed(a)
            return Read(self.dropped_ones(a, self.column(right), tree))
        if left.flat and self.sizes.top(a).cols == ONE:
            row = self.scaled("matmul", self.transposed(a), b, tree)
            self.note(f"I read {short(a, 'numpy')} @ {short(b, 'numpy')} as {short(row)}")
            return Read(row, flat=True)
        return Read(self.scaled("matmul", a, b if left.flat else self.column(right), tree), flat=True)

    def dropped_ones(self, a: Expr, b: Expr, tree: Node) -> Expr:
        """The product; ones times ones transposed is the matrix of ones."""
        if a.op == "ones" and b.op == "transpose" and b.args[0].op == "ones" and a.cols == ONE == b.args[0].cols:
            return filled("ones", self.sizes.top(a).rows, self.sizes.top(b.args[0]).rows, span=tree.span)
        return self.scaled("matmul", a, b, tree)

    def divided(self, left: Read, right: Read, tree: Node, *, entrywise: bool) -> Read:
        """A quotient. An array under a stroke is divided by entry by entry where the dialect does so, or where a literal stands above."""
        a, b = self.beside(left, right)
        if self.scalar(b):
            if b.op == "number" and not b.data:
                raise self.fail("a number is divided by zero", tree)
            if a.op == b.op == "number":
                return Read(number(a.data / b.data, tree.span))
            return Read(self.build("divide", a, b, tree=tree), left.flat)
        if self.scalar(a):
            if not (entrywise or self.indices or is_literal(a)):
                raise self.fail(f"{short(a)} is divided by an array: {self.shaped(b)}", tree, shape=True)
            self.note(f"I read {short(a)} over {short(b)} entry by entry")
            a = self.filled_like(a, b, tree)
        elif not (entrywise or self.indices):
            repairs = [f"{short(a)} ⊘ {short(b)}"] + ([f"{short(a)} {short(b)}⁻¹"] if self.sizes.top(b).is_square else [])
            raise self.fail(f"{self.shaped(b)}, and nothing divides by an array", tree, *repairs, shape=True)
        return Read(self.scaled("quotient", a, b, tree), left.flat or right.flat)

    def scaled(self, op: str, a: Expr, b: Expr, tree: Node) -> Expr:
        """A product, the scalar factor of its first operand before the whole: 2 A x is twice A x."""
        if a.op == "scale" and a.args[1].op != "ones":
            return self.build("scale", a.args[0], self.scaled(op, a.args[1], b, tree), tree=tree)
        return self.build(op, a, b, tree=tree)

    def _fraction(self, tree: Node) -> Read:
        return self.divided(self.read(tree.parts[0]), self.read(tree.parts[1]), tree, entrywise=False)

    def _marked(self, tree: Node) -> Read:
        """A transpose, an inverse, or both."""
        read = self.read(tree.parts[0])
        expr, mark = read.expr, tree.value
        if mark == "TRANSPOSE":
            return Read(self.transposed_of(expr, tree), read.flat)
        if mark == "PSEUDO_INVERSE":
            return Read(self.build("pinv", self.column(read), tree=tree))
        inverse = self.inverse(self.column(read), tree)
        return Read(self.transposed_of(inverse, tree) if mark == "INVERSE_TRANSPOSE" else inverse)

    def transposed_of(self, expr: Expr, tree: Node) -> Expr:
        """The transpose that was written; `a^T` of a scalar is a power where T is a name or a size."""
        if self.scalar(expr):
            self.doubt(expr)
            written = self.text[tree.parts[0].end : tree.end].strip("^{} ") if tree.parts else ""
            if written in {"T", "H"} and (written in self.variables or written in self.dimensions):
                exponent = self.read(node("name", (), written, tree.end - 1, tree.end)).expr
                return self.build("power", expr, exponent, tree=tree)
            if tree.parts and tree.parts[0].kind == "number":
                raise self.fail("a number has no transpose", tree)
            return expr
        return expr.args[0] if expr.op == "transpose" else self.build("transpose", expr, tree=tree)

    def inverse(self, expr: Expr, tree: Node) -> Expr:
        """The inverse of a square matrix, or one over a scalar."""
        if self.scalar(expr):
            return self.divided(Read(number(1, tree.span)), Read(expr), tree, entrywise=False).expr
        return self.build("inv", expr, tree=tree)

    def _power(self, tree: Node) -> Read:
        """`**` and `.^` work entry by entry. `^` is the power of a scalar or of a square matrix; a vector has no square."""
        if tree.value == "^" and _is_e(tree.parts[0], self.variables):
            exponent = self.column(self.read(tree.parts[1]))
            self.note_entrywise("exp", exponent)
            return Read(self.build("exp", exponent, tree=tree))
        base, power = self.read(tree.parts[0]), self.read(tree.parts[1])
        expr, exponent = base.expr, self.column(power)
        self.refuse_large(expr, exponent, tree)
        whole = _integer(exponent)
        limit = MAX_EXPONENT if self.scalar(expr) or tree.value != "^" else MAX_POWER
        if whole is not None and abs(whole) > limit:
            raise self.fail(f"the exponent {str(whole)[:12]} is larger than {limit}", tree)
        if tree.value != "^" or self.scalar(expr) or self.indices:
            if self.scalar(expr) and whole == -1:
                return Read(self.inverse(expr, tree))
            return Read(self.build("power", *self.beside(base, power), tree=tree), base.flat or power.flat)
        if ONE in self.sizes.top(expr).shape:
            return self._power_of_vector(base, exponent, tree)
        return Read(self.power_of_matrix(expr, exponent, whole, tree))

    def refuse_large(self, base: Expr, exponent: Expr, tree: Node) -> None:
        """FormulaError for a power of numbers, or an exponent made of numbers, that is out of all proportion."""
        if not is_literal(exponent):
            return
        power = approximately(exponent)
        if exponent.op != "number" and not abs(power) <= MAX_EXPONENT:
            raise self.fail(f"the exponent {short(exponent)} is larger than {MAX_EXPONENT}", tree)
        if is_literal(base) and digits(base) * abs(power) > MAX_EXPONENT:
            raise self.fail(f"the power {short(base)} to the {short(exponent)} has more than {MAX_EXPONENT} digits", tree)

    def power_of_matrix(self, expr: Expr, exponent: Expr, whole: int | None, tree: Node) -> Expr:
        """A product of a square matrix with itself, its inverse, or a root of it."""
        shape = self.sizes.top(expr)
        if not self.scalar(exponent):
            raise self.fail(f"{short(exponent)} is no exponent of a matrix", tree, shape=True)
        if not self.sizes.same(shape.rows, shape.cols):
            raise self.fail(
                f"a power needs a square matrix: {self.shaped(expr)}",
                tree,
                f"{short(expr, 'matlab')}.^{short(exponent, 'matlab')}",
                shape=True,
            )
        if whole is None:
            return self.matrix_root(expr, exponent, tree)
        if whole in {1, -1}:
            return expr if whole == 1 else self.build("inv", expr, tree=tree)
        return self.build("matpow", expr, data=whole, tree=tree)

    def _power_of_vector(self, base: Read, exponent: Expr, tree: Node) -> Read:
        vector = self.column(base)
        if is_literal(exponent):
            text, power = short(vector, "matlab"), short(exponent, "matlab")
            raise self.fail(
                f"a vector has no power {power}: {self.shaped(vector)}",
                tree,
                f"{text}.^{power}",
                f"norm({text})^{power}",
                shape=True,
            )
        self.note(f"I read the power of {short(vector)} entry by entry")
        return Read(self.build("power", vector, exponent, tree=tree), base.flat)

    def matrix_root(self, expr: Expr, exponent: Expr, tree: Node) -> Expr:
        """A power of a matrix that is no whole number."""
        if exponent == number(Fraction(1, 2)):
            return self.build("sqrtm", expr, tree=tree)
        if exponent == number(Fraction(-1, 2)):
            return self.build("inv", self.build("sqrtm", expr, tree=tree), tree=tree)
        if not is_literal(exponent):
            return self.build("expm", self.build("scale", exponent, self.build("logm", expr, tree=tree), tree=tree), tree=tree)
        raise self.fail(f"the power {short(exponent)} of a matrix is not read", tree)

    # --- brackets of all kinds ------------------------------------------------------------------------------------------------------

    def _bars(self, tree: Node) -> Read:
        """|X| is the determinant of a square matrix, the absolute value of a scalar, and entry by entry of a vector, with a note.

        Where all entries are added, or the largest is asked for, it is entry by entry of a matrix too.
        """
        read = self.read(tree.parts[0])
        expr = self.sizes.top(self.column(read))
        if self.around.get(id(tree)) in _OF_ENTRIES and not expr.is_scalar:
            self.note(f"I read |{short(expr)}| entry by entry")
            return Read(self.build("abs", expr, tree=tree), read.flat)
        if expr.is_scalar:
            return Read(self.build("abs", expr, tree=tree))
        if ONE in expr.shape:
            self.note(f"I read |{short(expr)}| entry by entry")
            return Read(self.build("abs", expr, tree=tree), read.flat)
        if expr.is_square or (open_names(expr.rows) | open_names(expr.cols) and self.sizes.same(expr.rows, expr.cols)):
            self.note(f"I read |{short(expr)}| as the determinant")
            return Read(self.build("det", expr, tree=tree))
        text = short(expr)
        raise self.fail(f"the bars can mean several things: {text} is {shape_text(expr)}", tree, f"abs({text})", f"‖{text}‖", shape=True)

    def _norm(self, tree: Node) -> Read:
        return Read(self.norm_of(self.column(self.read(tree.parts[0])), tree.value, tree))

    def norm_of(self, expr: Expr, which: str, tree: Node) -> Expr:
        """‖x‖ and ‖X‖_F are the root of the sum of squares, ‖·‖₁ the sum of absolute values, ‖X‖₂ the largest singular value."""
        vector = ONE in self.sizes.top(expr).shape
        self.doubt(expr)
        operation = {"": "norm", "F": "norm", "fro": "norm", "1": "norm1", "*": "nuclear", "nuc": "nuclear"}.get(which)
        if which == "2":
            operation = "norm" if vector else "spectral"
        if operation is None:
            raise self.fail(f"the norm with the index {which} is not read", tree)
        return self.build(operation, expr, tree=tree)

    def _matrix(self, tree: Node) -> Read:
        rows = tree.parts
        if len(rows) == 1 and all(cell.kind == "matrix" and len(cell.parts) == 1 for cell in rows[0].parts):
            rows = tuple(cell.parts[0] for cell in rows[0].parts)  # NumPy writes a matrix as a list of its rows
        return Read(self.block([[self.column(self.read(cell)) for cell in row.parts] for row in rows], tree))

    def block(self, rows: list[list[Expr]], tree: Node) -> Expr:
        """A matrix of blocks. A zero is as large as its neighbours make it."""
        if len({len(row) for row in rows}) > 1:
            raise self.fail("the rows of the matrix have different lengths", tree)
        blocks = [cell for row in rows for cell in row]
        if not all(self.scalar(cell) for cell in blocks):
            blocks = [
                filled("zeros", self.sizes.new(), self.sizes.new(), span=cell.span) if cell.op == "number" and not cell.data else cell
                for cell in blocks
            ]
        return blocks[0] if len(blocks) == 1 else self.build("block", *blocks, data=len(rows[0]), tree=tree)

    def _tuple(self, tree: Node) -> Read:
        raise self.fail("a list in parentheses stands only where sizes are given, as in ones((m, n))", tree)

    def _indexed(self, tree: Node) -> Read:
        """NumPy's x[0], X[0, 1], X[:, 0], X[0, :] and x[:, None], counted from 0."""
        places = tree.parts[1].parts
        if tree.parts[0].kind == "call" and tree.parts[0].value[0] == "slogdet":
            return self._of_slogdet(tree.parts[0], places, tree)
        read = self.read(tree.parts[0])
        expr = self.sizes.top(self.column(read))
        if expr.is_scalar:
            self.doubt(expr)
            raise self.fail(f"{short(expr)} is a scalar and has no entries", tree)
        kinds = ["every" if place.kind == "every" else "new" if place.value == "None" else "at" for place in places]
        if read.flat and kinds in (["every", "new"], ["new", "every"]):
            return Read(expr if kinds[0] == "every" else self.transposed(expr))
        at = tuple(self._place(place) if kind == "at" else -1 for place, kind in zip(places, kinds, strict=True))
        if expr.rows == ONE and kinds == ["at"]:
            expr = self.transposed(expr)
        vector = expr.cols == ONE
        if (vector and kinds == ["at"]) or kinds == ["at", "at"]:
            return Read(self.build("entry", expr, data=at[:1] if vector and not any(at[1:]) else at, tree=tree))
        if kinds == ["every", "at"] and not vector:
            unit = filled("unit", expr.cols, 1, at[1], span=tree.span)
            return Read(unit if expr.op == "eye" else self.build("matmul", expr, unit, tree=tree), flat=self.numpy)
        if kinds in (["at", "every"], ["at"]) and not vector:
            unit = filled("unit", expr.rows, 1, at[0], span=tree.span)
            return Read(self.build("matmul", self.transposed(expr), unit, tree=tree), flat=self.numpy)
        raise self.fail("this index is not read; x[0], X[0, 1], X[:, 0] and X[0, :] are", tree)

    def _of_slogdet(self, called: Node, places: tuple[Node, ...], tree: Node) -> Read:
        """NumPy's pair: the sign of a determinant at 0, the logarithm of its absolute value at 1."""
        functions: dict[int | None, str] = {0: "det", 1: "logabsdet"}
        function = functions.get(_whole_number(places[0])) if len(places) == 1 else None
        if function is None:
            raise self.fail("slogdet gives two values: slogdet(X)[0], a sign, and slogdet(X)[1], a logarithm", tree)
        value = self.read(node("call", called.parts, (function, called.value[1]), called.start, called.end))
        return value if function == "logabsdet" else Read(self.build("sign", value.expr, tree=tree))

    def _f_slogdet(self, call: Call) -> Read:
        raise self.fail("slogdet gives two values: slogdet(X)[0], a sign, and slogdet(X)[1], a logarithm", call.tree)

    def _place(self, tree: Node) -> int:
        place = _whole_number(tree)
        if place is None or not 0 <= place < 10_000:
            raise self.fail("an index is a number that is not negative", tree)
        return place

    def _string(self, tree: Node) -> Read:
        raise self.fail("a word in quotes stands only where a norm is named, as in norm(X, 'nuc')", tree)

    # --- functions ------------------------------------------------------------------------------------------------------------------

    def _call(self, tree: Node) -> Read:
        """A function of its arguments: `f(x)`, `f x`, `x.f()`."""
        function, index = tree.value
        first = [tree.parts[0]] if tree.parts[0].kind != "arguments" else []
        given = [*first, *(part for parts in tree.parts if parts.kind == "arguments" for part in parts.parts)]
        plain = [part for part in given if part.kind != "keyword"]
        words = {part.value: part.parts[0] for part in given if part.kind == "keyword"}
        if not plain and function not in {"eye", "ones", "zeros"}:
            if given:
                message = f"{function} takes its argument without a name, but {self.text[given[0].start : given[0].end]} came"
                raise self.fail(message, given[0])
            raise self.fail(f"{function} needs an argument", tree)
        if index is not None and function not in {"tril", "triu"}:
            repairs = (
                (f"log({self.text[plain[0].start : plain[0].end]}) / log({index})",) if function == "log" and index.isdecimal() else ()
            )
            raise self.fail(f"the index {index} of {function} is not read", tree, *repairs)
        if function.endswith("'"):
            return self.primed(Call(function.removesuffix("'"), tree, plain, words, index))
        for part in plain:
            self.around[id(_inside(part))] = function
        handler: Callable[[Call], Read] = getattr(self, f"_f_{function}", self.entrywise if function in ENTRYWISE else self.plain)
        return handler(Call(function, tree, plain, words, index))

    def counted(self, call: Call, *counts: int, words: Collection[str] = ()) -> list[Node]:
        """The arguments of a function, as many as it takes; FormulaError for more, fewer, and words that it does not know."""
        if len(call.given) not in counts:
            raise self.fail(f"{call.function} takes {_COUNTS[counts]}, but {len(call.given)} came", call.tree)
        for word, given in call.words.items():
            if word not in words:
                raise self.fail(f"the argument {word} of {call.function} is not read", given)
        return call.given

    def arguments(self, call: Call, *counts: int) -> list[Read]:
        """The arguments of a function, read. An axis may be named where the first is a vector, which has but one."""
        reads = [self.read(part) for part in self.counted(call, *counts, words=("axis",))]
        for read in reads:
            if self.sure and call.function in _OF_VECTORS and not read.flat and self.sizes.top(read.expr).is_vector:
                self.note(f"I read {call.function} of the column {short(read.expr)} as one of a vector; NumPy takes it for a matrix")
        axis = call.words.get("axis")
        if axis is not None and not (reads[0].flat or (self.sizes.top(reads[0].expr).is_vector and _whole_number(axis) == 0)):
            raise self.fail(
                f"{call.function} along an axis is read of a vector only, but {self.shaped(reads[0].expr)}", call.tree, shape=True
            )
        return reads

    def columns(self, call: Call, *counts: int) -> list[Expr]:
        """The same as expressions, one-dimensional arrays as columns."""
        return [self.column(read) for read in self.arguments(call, *counts)]

    def entrywise(self, call: Call) -> Read:
        """A function of every entry."""
        (read,) = self.arguments(call, 1)
        expr = self.sizes.top(self.column(read))
        if call.function == "log" and expr.op == "exp" and expr.args[0].op == "log_gamma":
            return Read(expr.args[0], read.flat)  # the logarithm of the gamma function is an operation of its own
        self.note_entrywise(call.function, expr)
        return Read(self.build(call.function, expr, tree=call.tree), read.flat)

    def note_entrywise(self, function: str, expr: Expr) -> None:
        """Say that the function of a square matrix, or of one that may be square, is taken of every entry."""
        expr = self.sizes.top(expr)
        known = expr.is_square
        if function in _OF_MATRICES and (known or open_names(expr.cols)) and not expr.is_scalar and not self.indices:
            kind = "the square matrix " if known else ""
            self.note(f"I read {function} of {kind}{short(expr)} entry by entry; {_OF_MATRICES[function]} is the function of the matrix")

    def primed(self, call: Call) -> Read:
        """The derivative of a function of every entry, as in σ'(x)."""
        (expr,) = self.columns(call, 1)
        tree = call.tree

        def of(function: str) -> Read:
            return Read(self.build(function, expr, tree=tree))

        match call.function:
            case "sigmoid":
                value = of("sigmoid")
                return self.hadamard(value, self.added("sub", Read(number(1)), value, tree), tree)
            case "tanh":
                square = Read(self.build("power", of("tanh").expr, number(2), tree=tree))
                return self.added("sub", Read(number(1)), square, tree)
            case "exp" | "sin" | "sinh" | "cosh" | "relu" | "softplus" | "abs":
                return of(_DERIVATIVES[call.function])
            case _:
                raise self.fail(f"the derivative {call.function}' is not among those that are read with a prime; write it out", tree)

    def plain(self, call: Call) -> Read:
        """An operation that is called by its own name."""
        columns = self.columns(call, 1)
        if call.function in _OF_ARRAYS:
            self.doubt(*columns)
        return Read(self.build(call.function, *columns, tree=call.tree), self.numpy and call.function in _FLAT)

    def _f_gamma(self, call: Call) -> Read:
        (read,) = self.arguments(call, 1)
        logarithm = self.build("log_gamma", self.column(read), tree=call.tree)
        return Read(self.build("exp", logarithm, tree=call.tree), read.flat)

    def _f_log1p(self, call: Call) -> Read:
        (read,) = self.arguments(call, 1)
        total = self.added("add", Read(number(1)), read, call.tree)
        return Read(self.build("log", total.expr, tree=call.tree), total.flat)

    def _f_expm1(self, call: Call) -> Read:
        (read,) = self.arguments(call, 1)
        power = Read(self.build("exp", read.expr, tree=call.tree), read.flat)
        return self.added("sub", power, Read(number(1)), call.tree)

    def _f_square(self, call: Call) -> Read:
        (read,) = self.arguments(call, 1)
        return Read(self.build("power", self.column(read), number(2), tree=call.tree), read.flat)

    def _f_inv(self, call: Call) -> Read:
        (expr,) = self.columns(call, 1)
        return Read(self.inverse(expr, call.tree))

    def _f_transpose(self, call: Call) -> Read:
        (read,) = self.arguments(call, 1)
        return Read(self.transposed_of(read.expr, call.tree), read.flat)

    def _f_sum(self, call: Call) -> Read:
        return self.reduced(call)[0]

    def _f_mean(self, call: Call) -> Read:
        total, count = self.reduced(call)
        return Read(self.build("divide", total.expr, dimension(count, call.tree.span), tree=call.tree), total.flat)

    def reduced(self, call: Call) -> tuple[Read, Size]:
        """The sum of all entries, or along an axis, and how many are added: `sum(X, axis=0)` adds the rows."""
        given, *others = self.counted(call, 1, 2, words=("axis",))
        read = self.read(given)
        expr = self.sizes.top(self.column(read))
        self.doubt(expr)
        axis = self.axis(call.words["axis"], first=0) if call.words else None
        if others:
            axis = self.axis(others[0], first=0 if self.numpy else 1)
        if axis is None or read.flat or expr.is_scalar:
            return Read(self.build("sum", expr, tree=call.tree)), expr.rows * expr.cols
        if others:
            self.note(f"I read {call.function}({short(expr)}, {_whole_number(others[0])}) as one for each {'row' if axis else 'column'}")
        count = expr.cols if axis else expr.rows
        ones = filled("ones", count, 1, span=call.tree.span)
        return Read(self.build("matmul", expr if axis else self.transposed(expr), ones, tree=call.tree), flat=self.numpy), count

    def axis(self, given: Node, first: int) -> int:
        """The axis that is asked for, from 0; NumPy counts them from 0, or back from -1, and MATLAB from 1."""
        axes: dict[int | None, int] = {1: 0, 2: 1} if first else {0: 0, 1: 1, -1: 1, -2: 0}
        axis = axes.get(_whole_number(given))
        if axis is None:
            raise self.fail(f"an axis is {first} or {first + 1}", given)
        return axis

    def extreme(self, call: Call) -> Read:
        """The largest or smallest entry of one array, or of two arrays the larger or smaller of each two entries."""
        reads = self.arguments(call, 1, 2)
        word = call.function[:3]
        if self.sure and call.function == word and len(reads) == 2 and reads[1].expr.op == "number" and not self.scalar(reads[0].expr):
            x, place = short(reads[0].expr, "numpy"), short(reads[1].expr, "numpy")
            repairs = f"{word}imum({x}, {place})", f"{word}({x})"
            raise self.fail(f"{word}({x}, {place}) would name an axis in NumPy, and {repairs[0]} goes entry by entry", call.tree, *repairs)
        if len(reads) == 1:
            return Read(self.build(word, self.column(reads[0]), tree=call.tree))
        return Read(self.build(f"{word}imum", *self.beside(*reads), tree=call.tree), any(read.flat for read in reads))

    _f_max = _f_min = _f_maximum = _f_minimum = extreme

    def _f_norm(self, call: Call) -> Read:
        given, *others = self.counted(call, 1, 2, words=("ord",))
        others += call.words.values()
        which = self.text[others[-1].start : others[-1].end].strip("'\"") if others else ""
        expr = self.column(self.read(given))
        if which == "1" and ONE not in self.sizes.top(expr).shape:
            text = short(expr, "numpy")
            message = (
                f"norm({text}, 1) is the largest sum of a column in NumPy and MATLAB, which is not read; the sum of all is norm1({text})"
            )
            raise self.fail(message, call.tree, f"norm1({text})")
        return Read(self.norm_of(expr, which, call.tree))

    def _f_diag(self, call: Call) -> Read:
        """The diagonal matrix of a vector, or the diagonal of a matrix."""
        (expr,) = self.columns(call, 1)
        expr = self.sizes.top(expr)
        self.doubt(expr)
        if expr.is_scalar:
            return Read(expr)
        if expr.cols == ONE:
            return Read(self.build("diag", expr, tree=call.tree))
        if expr.rows == ONE:
            return Read(self.build("diag", self.transposed(expr), tree=call.tree))
        return Read(self.build("diagonal", expr, tree=call.tree), flat=self.numpy)

    def triangle(self, call: Call) -> Read:
        """A triangle with its offset: `tril(X)`, `tril(X, -1)`, and in TeX an index."""
        given, *others = self.counted(call, 1, 2, words=("k",))
        others += call.words.values()
        offset = _whole_number(others[-1]) if others else 0
        if call.below is not None:
            offset = int(call.below) if re.fullmatch("-?[0-9]{1,4}", call.below) else None
        if offset is None or abs(offset) > 10_000:
            shown = call.below or self.text[others[-1].start : others[-1].end]
            raise self.fail(f"the offset {shown[:20]} of a triangle is no number", call.tree)
        read = self.read(given)
        if read.flat:
            raise self.fail(f"a triangle is one of a matrix: {self.shaped(self.column(read))}", call.tree, shape=True)
        return Read(self.build(call.function, read.expr, data=offset or None, tree=call.tree))

    _f_tril = _f_triu = triangle

    def part(self, call: Call) -> Read:
        """The symmetric part of a square matrix, or the other."""
        (expr,) = self.columns(call, 1)
        both = self.build("add" if call.function == "sym" else "sub", expr, self.transposed(expr), tree=call.tree)
        return Read(self.build("scale", number(Fraction(1, 2)), both, tree=call.tree))

    _f_sym = _f_skew = part

    def _f_kron(self, call: Call) -> Read:
        """The Kronecker product; NumPy takes a one-dimensional array for a row where the other is a matrix."""
        left, right = self._two(call)
        a, b = self._factor(left, right), self._factor(right, left)
        return Read(self.build("kron", a, b, tree=call.tree), flat=left.flat and right.flat)

    def _factor(self, read: Read, other: Read) -> Expr:
        """A factor of a Kronecker product."""
        expr = self.column(read)
        if not (self.sure and read.flat and not other.flat and self.sizes.top(expr).is_vector and not self.scalar(other.expr)):
            return expr
        self.note(f"I read {short(read.expr)} as a row, as kron in NumPy does")
        return self.transposed(expr)

    def _f_outer(self, call: Call) -> Read:
        a, b = self.columns(call, 2)
        self.doubt(a, b)
        if not (self.sizes.same(self.sizes.top(a).cols, ONE) and self.sizes.same(self.sizes.top(b).cols, ONE)):
            raise self.misfit("the outer product is one of two columns", call.tree, a, b)
        if self.scalar(a) or self.scalar(b):
            return self.product(Read(a), Read(self.transposed(b)), call.tree)
        return Read(self.dropped_ones(a, self.transposed(b), call.tree))

    def _f_inner(self, call: Call) -> Read:
        """Of two vectors; of matrices it is A Bᵀ in NumPy and tr(AᵀB) elsewhere, which is asked."""
        left, right = self._two(call)
        if ONE not in self.sizes.top(right.expr).shape and not self.scalar(left.expr):
            A, B = short(left.expr, "numpy"), short(right.expr, "numpy")
            message = f"inner({A}, {B}) is {A} @ {B}.T in NumPy and the trace of {A}.T @ {B} elsewhere; say which"
            raise self.fail(message, call.tree, f"{A} @ {B}.T", f"vdot({A}, {B})")
        return self.dotted(left, right, call.tree)

    def _f_dot(self, call: Call) -> Read:
        return self.dotted(*self._two(call), call.tree)

    def dotted(self, left: Read, right: Read, tree: Node) -> Read:
        """The inner product of two columns, or the product of matrices."""
        a, b = self.sizes.top(self.column(left)), self.sizes.top(self.column(right))
        self.doubt(a, b)
        if a.cols == ONE == b.cols and not a.is_scalar:
            return Read(self.build("matmul", self.transposed(a), b, tree=tree))
        return self.product(left, right, tree)

    def _f_inner_product(self, call: Call) -> Read:
        """⟨x, y⟩ is x'y, and of matrices the sum of the products of their entries."""
        a, b = map(self.sizes.top, self.columns(call, 2))
        self.doubt(a, b)
        if a.is_scalar or b.is_scalar or a.cols == ONE:
            return self.product(Read(self.transposed(a)), Read(b), call.tree)
        return Read(self.build("sum", self.build("hadamard", a, b, tree=call.tree), tree=call.tree))

    def _two(self, call: Call) -> tuple[Read, Read]:
        left, right = self.arguments(call, 2)
        return left, right

    def _f_matmul(self, call: Call) -> Read:
        return self.product(*self._two(call), call.tree)

    def _f_multiply(self, call: Call) -> Read:
        return self.hadamard(*self._two(call), call.tree)

    def _f_divide(self, call: Call) -> Read:
        return self.divided(*self._two(call), call.tree, entrywise=True)

    def _f_add(self, call: Call) -> Read:
        return self.added("add", *self._two(call), call.tree)

    def _f_subtract(self, call: Call) -> Read:
        return self.added("sub", *self._two(call), call.tree)

    def _f_power(self, call: Call) -> Read:
        return self._power(node("power", self.counted(call, 2), "**", *call.tree.span))

    def _f_matrix_power(self, call: Call) -> Read:
        return self._power(node("power", self.counted(call, 2), "^", *call.tree.span))

    def _f_solve(self, call: Call) -> Read:
        left, right = self.arguments(call, 2)
        inverse = self.inverse(self.column(left), call.tree)
        return self.product(Read(inverse), right, call.tree)

    # --- arrays that are made of a size ---------------------------------------------------------------------------------------------

    def size_of(self, tree: Node) -> Size:
        """A size that is written as a number, a name, a product or a sum of them."""
        match tree.kind:
            case "number" if tree.value.denominator == 1 and 0 <= tree.value < 10**6:
                return Size.of(int(tree.value))
            case "name" if isinstance(tree.value, str) and tree.value not in self.variables:
                self.dimensions.add(tree.value)
                return Size.of(tree.value)
            case "group":
                return self.size_of(tree.parts[0])
            case "juxtaposed":
                return self.size_of(tree.parts[0]) * self.size_of(tree.parts[1])
            case "binary" if tree.value[0] in {"STAR", "CDOT", "PLUS", "MINUS"}:
                a, b = self.size_of(tree.parts[0]), self.size_of(tree.parts[1])
                size = a + b if tree.value[0] == "PLUS" else a - b if tree.value[0] == "MINUS" else a * b
                if too_large(size) or (size.number is not None and size.number < 1):
                    raise self.fail(f"an array of the size {size} is not read", tree)
                return size
            case _:
                raise self.fail("a size is the name of a dimension or a number of at most six digits", tree)

    def filled_by(self, call: Call) -> Read:
        """`ones(n)`, `ones(m, n)`, `ones((m, n))`; without a size, as large as what it stands with."""
        if len(call.given) == 1 and call.given[0].kind == "tuple":
            call = call._replace(given=list(call.given[0].parts))
        sizes = [self.size_of(part) for part in self.counted(call, 0, 1, 2, words=("dtype",))]
        if call.function == "eye":
            square = sizes or [self.sizes.new()]
            return Read(filled("eye", square[0], square[-1], span=call.tree.span))
        flat = self.numpy and len(sizes) == 1
        rows, cols = [*(sizes or [self.sizes.new()]), ONE][:2]
        return Read(filled(call.function, rows, cols, span=call.tree.span), flat)

    _f_eye = _f_ones = _f_zeros = filled_by

    def _f_unit(self, call: Call) -> Read:
        """The column with a one at a place that is counted as the spelling counts: from 0 in NumPy, from 1 elsewhere."""
        size, index = self.counted(call, 2)
        place = self._place(index) - (0 if self.numpy else 1)
        return Read(filled("unit", self.size_of(size), 1, place, span=call.tree.span), self.numpy)

    def _f_vector(self, call: Call) -> Read:
        """matrixcalculus.org's vector(1): a column full of a number, as long as it must be."""
        (value,) = self.columns(call, 1)
        return Read(self.filled_like(value, filled("ones", self.sizes.new(), 1), call.tree))

    def _f_matrix(self, call: Call) -> Read:
        (value,) = self.columns(call, 1)
        return Read(self.filled_like(value, filled("ones", self.sizes.new(), self.sizes.new()), call.tree))

    def _f_block(self, call: Call) -> Read:
        if len(call.given) != 1 or call.given[0].kind != "matrix":
            raise self.fail("block takes a list of lists, as in block([[A, B], [C, D]])", call.tree)
        return self.read(call.given[0])

    _f_array = _f_block


class Call(NamedTuple):
    """A function as it was called."""

    function: str
    tree: Node
    given: list[Node]
    words: dict[str, Node]
    below: str | None
    "What stood below the line after its name."


_COUNTS: dict[tuple[int, ...], str] = {
    (1,): "one argument",
    (2,): "2 arguments",
    (1, 2): "one argument or two",
    (0, 1, 2): "at most two sizes",
}
_OF_MATRICES = {"exp": "expm", "log": "logm", "sqrt": "sqrtm"}
_OF_ENTRIES = {"sum", "mean", "max", "min", "norm", "norm1"}
"Functions of all entries, before which bars around a matrix are no determinant."
_OF_VECTORS = {"diag", "sort", "inner"}
"Functions for which NumPy does not take a matrix with one column for a vector."
_OF_ARRAYS = {"softmax", "logsumexp", "cumsum", "sort", "norm1", "vec", "nuclear", "spectral"}
"Functions that nobody writes of a scalar."
_LINEAR = {"name", "number", "neg", "add", "sub", "scale", "divide"}
_DERIVATIVES = {"exp": "exp", "sin": "cos", "sinh": "cosh", "cosh": "sinh", "relu": "step", "softplus": "sigmoid", "abs": "sign"}
_FLAT = {"softmax", "cumsum", "sort", "diagonal", "vec"}
"Functions whose value NumPy holds as a one-dimensional array."


def short(expr: Expr, spelling: Any = "unicode") -> str:
    """An expression in a message, cut where it is long."""
    text = spell(expr, spelling)
    return text if len(text) <= 60 else f"{text[:57]}…"


def is_literal(expr: Expr) -> bool:
    """Whether it is a number that was written out, not a name or a size."""
    return not expr.names and expr.is_scalar and all(each.op in _LITERAL for each in expr.nodes())


_LITERAL = {"number", "constant", "neg", "add", "sub", "scale", "divide", "power", "sqrt", "log", "exp"}


def approximately(expr: Expr) -> float:
    """About the value of a literal; an infinity where it is larger than a float can hold, or none."""
    try:
        if expr.op in {"number", "constant"}:
            return CONSTANTS[expr.data] if expr.op == "constant" else float(expr.data)
        return _ARITHMETIC[expr.op](*map(approximately, expr.args))
    except (ArithmeticError, ValueError, TypeError):
        return math.inf


_ARITHMETIC: dict[str, Callable[..., float]] = {
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "scale": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": math.pow,
    "sqrt": math.sqrt,
    "log": math.log,
    "exp": math.exp,
}


def digits(expr: Expr) -> float:
    """About how many digits a literal has before or after the point."""
    size = abs(approximately(expr))
    return abs(math.log10(size)) if size else 0.0


def is_word(name: str) -> bool:
    """Whether a name is several small letters that are no name of a Greek letter and no differential."""
    stem = name.partition("_")[0]
    return len(stem) > 1 and stem.isalpha() and parts(name).stem not in GREEK and len(parts(name).stem) > 1


def _inside(tree: Node) -> Node:
    """What stands in parentheses."""
    while tree.kind == "group":
        (tree,) = tree.parts
    return tree


def sizes_named(tree: Node) -> Iterator[str]:
    """The names that stand as sizes in a tree, as the n of ones(n), I_n, and a sum up to n."""
    for each in _walk(tree):
        match each:
            case Node(kind="call", value=("eye" | "ones" | "zeros" | "unit", _)):
                yield from (part.value for part in _walk(each) if part.kind == "name" and isinstance(part.value, str))
            case Node(kind="ones", value=str(size)) | Node(kind="name", value=("I", size)) | Node(kind="big", value=(_, _, str(size))):
                yield size
            case _:
                pass


def _whole_number(tree: Node) -> int | None:
    """The whole number that is written, with its sign."""
    if tree.kind == "negative":
        opposite = _whole_number(tree.parts[0])
        return None if opposite is None else -opposite
    return int(tree.value) if tree.kind == "number" and tree.value.denominator == 1 else None


def _integer(expr: Expr) -> int | None:
    value = expr.data if expr.op == "number" else None
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else None


def _indices(value: Any) -> tuple[str, ...]:
    """The numbers of an index: `21` and `2,1` are two."""
    if isinstance(value, str):
        return ()
    words = value[1].split(",")
    words = list(words[0]) if len(words) == 1 and len(words[0]) == 2 else words
    return tuple(words) if all(word.isdecimal() for word in words) else ()


def _is_e(tree: Node, variables: Mapping[str, Variable]) -> bool:
    return tree.kind == "name" and tree.value == "e" and "e" not in variables


def _leading(expr: Expr) -> Expr:
    """The number that a product starts with when it is printed, if it does."""
    return _leading(expr.args[0]) if expr.op in {"scale", "matmul", "hadamard"} else expr


def _with_leading(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    if expr.op in {"scale", "matmul", "hadamard"}:
        return replace(expr, args=(_with_leading(expr.args[0], change), *expr.args[1:]))
    return change(expr)


def _walk(tree: Node) -> Iterator[Node]:
    stack = [tree]
    while stack:
        each = stack.pop()
        yield each
        stack.extend(each.parts)
