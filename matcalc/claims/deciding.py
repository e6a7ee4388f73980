"""The verdict on a typed claim: its shape, then one arithmetic after the other until one can tell."""

from __future__ import annotations

from dataclasses import dataclass, replace

from matcalc.claims.layers import UNDEFINED, Layer, by_jax, in_floats, in_the_balls, in_the_field
from matcalc.claims.question import Question
from matcalc.formula.operations import filled, number
from matcalc.formula.size import ONE

NOWHERE = "the claim is defined at no point that was tried, where the function has a derivative"


@dataclass(frozen=True)
class Decision:
    """A verdict with the layers that led to it, the last of which decided."""

    verdict: str  # "proved", "verified", "refuted", "inconclusive"
    layers: tuple[Layer, ...]
    reason: str = ""
    assumed: str = ""  # what was assumed of the variables, because the function is defined nowhere else

    @property
    def wrong(self) -> bool:
        """Whether the claim is wrong."""
        return self.verdict == "refuted"


def decide(question: Question, seed: int = 0) -> Decision:
    """Whether the claim is right on the whole domain.

    Refuted where its shape is wrong, or where some arithmetic shows both sides apart; proved by residues, verified by balls (or by
    differences alone, for what has no exact form); inconclusive with a reason otherwise.
    """
    if not question.fits():
        return Decision("refuted", (Layer("shapes", "different", note=_shapes(question)),))
    found = _decided(question, seed)
    if found.verdict == "inconclusive" and any(v.domain == "real" for v in question.variables):
        positive = tuple(replace(v, domain="positive") if v.domain == "real" else v for v in question.variables)
        wrt = next(v for v in positive if v.name == question.wrt.name)
        if all(UNDEFINED in layer.note or layer.says == "nothing" for layer in found.layers):
            again = _decided(replace(question, variables=positive, wrt=wrt), seed)
            if again.verdict != "inconclusive":
                return replace(again, assumed="all entries are positive, since nothing is defined at random points otherwise")
    if found.verdict == "inconclusive" and _nowhere(found.layers) and _has_a_derivative(question, seed):
        return Decision("refuted", (*found.layers, Layer("finite differences", "different", note=NOWHERE)))
    return found


def _nowhere(tried: tuple[Layer, ...]) -> bool:
    """Whether neither balls nor floats found a point at which both sides are defined."""
    return {"balls", "finite differences"} <= {layer.name for layer in tried if layer.note == UNDEFINED}


def _has_a_derivative(question: Question, seed: int) -> bool:
    """Whether the function alone is defined somewhere, whatever is claimed."""
    nothing = filled("zeros", *question.shape) if question.shape != (ONE, ONE) else number(0)
    return in_floats(question.with_claim(nothing), seed).points > 0


def _decided(question: Question, seed: int) -> Decision:
    field = in_the_field(question, seed)
    if field.says == "different":
        return Decision("refuted", (field,))
    if field.says == "equal" and not field.note:
        return Decision("proved", (field,))
    layers = [field]
    for look in (in_the_balls, in_floats, by_jax):
        layer = look(question, seed)
        layers.append(layer)
        if layer.says == "different":
            return Decision("refuted", tuple(layers))
        if layer.says == "equal":
            return Decision("proved" if field.says == "equal" else "verified", tuple(layers))
        if UNDEFINED in layer.note and layer.name != "balls":
            break
    reason = next((each.note for each in reversed(layers) if each.note), "no arithmetic could tell")
    return Decision("inconclusive", tuple(layers), reason)


def _shapes(question: Question) -> str:
    rows, cols = question.claim.shape
    wanted = question.shape
    return f"the claim is {rows}×{cols}, but a {question.kind} must be {wanted[0]}×{wanted[1]}"
