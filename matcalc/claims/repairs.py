"""Explanations by repair: one thing changed in the claim makes it right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from matcalc.claims import edits
from matcalc.claims.restrictions import circulant, is_square_array
from matcalc.claims.search import Search
from matcalc.formula.expression import Expr

_EDITS: tuple[tuple[str, Callable[[Expr], Iterator[edits.Edit]]], ...] = (
    ("inner_transpose", edits.toggled),
    ("product_order", edits.reordered),
    ("term_sign", edits.resigned),
    ("term_factor", edits.renumbered),
    ("elementwise_derivative", edits.refunctioned),
)
"Changes that are tried two at a time, where one is not enough."
MOST_FIRST = 40
"First ones of two changes."


def turned(search: Search) -> None:
    """One or two parts of the claim transposed."""
    claim = search.question.claim
    first = list(edits.toggled(claim))
    if search.repaired("inner_transpose", iter(first), "right after transposing {old}"):
        return
    for one in first[:14]:
        if search.late:
            return
        for two in edits.toggled(one.expr):
            if search.makes_right(two.expr):
                texts = search.spell(one.old), search.spell(two.old)
                says = f"right after transposing {texts[0]} and {texts[1]}"
                search.add("inner_transpose", says, 0.2, about=", ".join(texts), repair=two.expr)
                return


def orders(search: Search) -> None:
    """A product in another order."""
    claim = search.question.claim
    if search.repaired("product_order", edits.reordered(claim), "right with {new} in the place of {old}"):
        return
    if search.holds_where(lambda inputs, _: {k: circulant(x) if is_square_array(x) else x for k, x in inputs.items()}):
        search.add("product_order", "right where all square matrices commute with each other: the order of a product is wrong", 0.3)


def kinds(search: Search) -> None:
    """Products of entries and of matrices confused, in the claim or in the function."""
    claim = search.question.claim
    search.repaired("elementwise_vs_matrix", edits.otherwise_multiplied(claim), "right with {new} in the place of {old}")
    for edit in edits.otherwise_multiplied(search.question.target):
        if search.late:
            return
        if edit.expr.shape != search.question.target.shape:
            continue
        derivative = search.bench.derived(of=edit.expr)
        if search.bench.is_claimed(derivative) is not None:
            old, new = search.spell(edit.old), search.spell(edit.new)
            search.add(
                "elementwise_vs_matrix",
                f"the claim is the derivative of the function with {new} in the place of {old}",
                0.05,
                about=old,
            )


def names(search: Search) -> None:
    """Another name in the claim."""
    says = "right with {new} in the place of {old}"
    search.repaired("wrong_operand", edits.renamed(search.question.claim, search.question.variables), says)
    search.repaired("wrong_operand", edits.upside_down(search.question.claim), says, 0.05)
    if not any(r.kind == "wrong_operand" for r in search.found):
        parts = [node for node in search.question.target.nodes() if node.op != "name"]
        search.repaired("wrong_operand", edits.reread(search.question.claim, parts), says, 0.35)


def inverses(search: Search) -> None:
    """An inverse too many or too few in the claim."""
    search.repaired("inverse_rule", edits.inverted(search.question.claim), "right with {new} in the place of {old}", 0.25)


def functions(search: Search) -> None:
    """Another function of entries in the claim."""
    search.repaired("elementwise_derivative", edits.refunctioned(search.question.claim), "right with {new} in the place of {old}", 0.15)


def signs_and_numbers(search: Search) -> None:
    """A sign or a number inside the claim."""
    search.repaired("term_sign", edits.resigned(search.question.claim), "right with {new} in the place of {old}", 0.05)
    if not any(r.kind in {"scalar_factor", "sign", "dimension_factor"} for r in search.found):
        search.repaired("term_factor", edits.renumbered(search.question.claim), "right with {new} in the place of {old}", -0.8)


def exchanged(search: Search) -> None:
    """Two names exchanged, at one place each or everywhere."""
    claim = search.question.claim
    for edit in edits.exchanged(claim, search.question.variables):
        if search.makes_right(edit.expr):
            old, new = search.spell(edit.old), search.spell(edit.new)
            search.add("wrong_operand", f"right with {old} and {new} exchanged", 0.2, about=f"{old}, {new}", repair=edit.expr)
            return


def two_edits(search: Search) -> None:
    """Two changes of the claim at once."""
    claim = search.question.claim
    first = [(kind, e) for kind, make_ in _EDITS for e in make_(claim)][:MOST_FIRST]
    for kind, one in first:
        for kind2, make_ in _EDITS:
            for two in make_(one.expr):
                if search.late:
                    return
                if search.makes_right(two.expr):
                    texts = (search.spell(one.old), search.spell(one.new)), (search.spell(two.old), search.spell(two.new))
                    says = f"right with {texts[0][1]} in the place of {texts[0][0]}, and {texts[1][1]} in the place of {texts[1][0]}"
                    search.add(kind, says, 1.0, repair=two.expr)
                    if kind2 != kind:
                        says = f"right with {texts[1][1]} in the place of {texts[1][0]}, and {texts[0][1]} in the place of {texts[0][0]}"
                        search.add(kind2, says, 1.1, repair=two.expr)
                    return
