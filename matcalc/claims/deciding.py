"""The verdict on a typed claim: its shape, then one arithmetic after the other until one can tell."""

from __future__ import annotations

from dataclasses import dataclass, replace

from matcalc.claims.layers import NOWHERE, UNDEFINED, Layer, by_jax, in_floats, in_the_balls, in_the_field
from matcalc.claims.question import Question, named
from matcalc.formula.operations import filled, number
from matcalc.formula.size import ONE

POSITIVE = "all entries are positive, since nothing is defined at random points otherwise"


@dataclass(frozen=True)
class Decision:
    """A verdict with the layers that led to it, the last of which decided."""

    question: Question  # as it was decided: `assumed` of its variables, because the function is defined nowhere else
    verdict: str  # "proved", "verified", "refuted", "inconclusive"
    layers: tuple[Layer, ...]
    reason: str = ""
    assumed: str = ""


def decide(question: Question, seed: int = 0) -> Decision:
    """Whether the claim is right on the whole domain.

    Refuted where its shape is wrong, or where some arithmetic shows both sides apart; proved by residues, verified by balls (or by
    differences alone, for what has no exact form); inconclusive with a reason otherwise.
    """
    if question.misfit:
        return Decision(question, "refuted", (Layer("shapes", "different", note=question.misfit),))
    found = _decided(question, seed)
    if found.verdict != "inconclusive" or found.layers[-1].note != UNDEFINED:
        return found
    if any(v.domain == "real" for v in question.variables):
        positive = tuple(replace(v, domain="positive") if v.domain == "real" else v for v in question.variables)
        again = _decided(replace(question, variables=positive, wrt=named(positive, question.wrt.name)), seed)
        if again.verdict != "inconclusive":
            return replace(again, assumed=POSITIVE)
    if _has_a_derivative(question, seed):
        return Decision(question, "refuted", (*found.layers, Layer("finite differences", "different", note=NOWHERE)))
    return found


def _has_a_derivative(question: Question, seed: int) -> bool:
    """Whether the function alone is defined somewhere, whatever is claimed."""
    nothing = filled("zeros", *question.shape) if question.shape != (ONE, ONE) else number(0)
    return in_floats(question.with_claim(nothing), seed).points > 0


def _decided(question: Question, seed: int) -> Decision:
    field = in_the_field(question, seed)
    if field.says == "different":
        return Decision(question, "refuted", (field,))
    if field.says == "equal" and not field.note:
        return Decision(question, "proved", (field,))
    layers = [field]
    for look in (in_the_balls, in_floats, by_jax):
        layer = look(question, seed)
        layers.append(layer)
        if layer.says == "different":
            return Decision(question, "refuted", tuple(layers))
        if layer.says == "equal":
            return Decision(question, "proved" if field.says == "equal" else "verified", tuple(layers))
        if look is in_floats and layer.note == UNDEFINED:
            break  # JAX would find no point either
    reason = next((each.note for each in reversed(layers) if each.note), "no arithmetic could tell")
    return Decision(question, "inconclusive", tuple(layers), reason)
