"""Trying an explanation: does what it makes equal what came, everywhere or under a condition that can be named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb, isfinite, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc.diagnose.claims import FITS, Claim, Part, is_square
from matcalc.property import norms
from matcalc.verdict import Explanation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

SHARE = 1e-3
"Share of the mistake that an explanation which fits may leave."
NEAR = 1e-2
"The same for one that nearly fits, told only where none fits."
MOST = 5
"Explanations that are told."
CHANCE = 10_000
"A condition must single out the wrong cases among this many choices as good: else it may separate them by luck."


@dataclass(frozen=True)
class Guess:
    """A recipe: what the rule would give if the explanation were true; None where it says nothing."""

    kind: str
    sentence: str  # with {of} for what it is about
    cost: float  # the simplest is told first
    predict: Callable[[Part], Floats | None]


@dataclass(frozen=True)
class Finding:
    """A recipe that was tried on a claim."""

    kind: str
    sentence: str
    of: str
    residual: float
    cost: float
    fits: bool
    conditional: bool = False  # whether it fits at some cases only


def attempt(claim: Claim, guess: Guess) -> Finding | None:
    """The finding, if the recipe makes what the rule gives (or nearly does), everywhere or wherever the rule is wrong."""
    residual, share, everywhere, rows = 0.0, 0.0, True, 0
    for part in claim.parts:
        try:
            made = guess.predict(part)
        except (np.linalg.LinAlgError, ValueError):  # singular, or of no shape that fits here
            made = None
        if made is None:
            if part.beyond.any():
                return None
            continue
        gap = norms(part.got - made, 1)
        gap = np.where(np.isfinite(gap), gap, np.inf)
        wrong = part.beyond
        rows += int(wrong.sum())
        everywhere &= bool(np.all(gap[~wrong] <= 2 * part.slack[~wrong]))
        residual = max(residual, float(np.max((gap / part.size)[wrong], initial=0.0)))
        share = max(share, float(np.max((np.maximum(gap - part.slack, 0) / part.error)[wrong], initial=0.0)))
        if not everywhere:
            continue
        residual = max(residual, float(np.max((gap / part.size)[~wrong & (gap > part.slack)], initial=0.0)))
    fits = residual <= FITS and share <= SHARE
    if not rows or not isfinite(residual) or (not fits and (residual > NEAR or share > 10 * NEAR)):
        return None
    sentence, cost = guess.sentence, guess.cost
    if not everywhere:
        condition = condition_of(claim)
        sentence += f", but only {condition}" if condition else f", but only at {share_of_cases(claim)}"
        cost += 0.5 if condition else 1.5
    return Finding(guess.kind, sentence, claim.of, residual, cost, fits, conditional=not everywhere)


def told(findings: Sequence[Finding]) -> tuple[Explanation, ...]:
    """The findings in order, those that say the same of several derivatives joined."""
    together: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        mine = together.setdefault((finding.kind, finding.sentence), [])
        if finding.of not in [f.of for f in mine]:
            mine.append(finding)
    if any(f.fits for f in findings):
        together = {key: mine for key, found in together.items() if (mine := [f for f in found if f.fits])}
    ranks: dict[str, int] = {}
    ordered = []
    for found in sorted(together.values(), key=lambda found: (found[0].cost, -len(found))):
        rank = min(ranks.get(f.of, 0) for f in found)  # every derivative has its first explanation before any has its second
        for f in found:
            ranks[f.of] = ranks.get(f.of, 0) + 1
        ordered.append((rank, found))
    ordered.sort(key=lambda pair: pair[0])
    explanations = []
    for _, found in ordered[:MOST]:
        of = _together([f.of for f in found])
        nearly = "" if found[0].fits else "nearly: "
        explanations.append(Explanation(found[0].kind, nearly + found[0].sentence.replace("{of}", of), max(f.residual for f in found), of))
    return tuple(explanations)


def _together(names: Sequence[str]) -> str:
    """`the gradient with respect to X`, `each of the gradients with respect to X and W`, `each of the jvp and the gradient ...`."""
    if len(names) == 1:
        return names[0]
    common = "the gradient with respect to "
    if all(name.startswith(common) for name in names):
        names = [name.removeprefix(common) for name in names]
        return f"each of the gradients with respect to {', '.join(names[:-1])} and {names[-1]}"
    return f"each of {', '.join(names[:-1])} and {names[-1]}"


def not_numbers(claim: Claim) -> list[Finding]:
    """Where the rule gives nan or inf."""
    bad = [~np.isfinite(norms(p.got, 1)) for p in claim.parts]
    if not any(b.any() for b in bad):
        return []
    condition = "everywhere" if all(b.all() for b in bad) else ""
    if not condition:
        marked = replace(claim, parts=tuple(replace(p, beyond=b) for p, b in zip(claim.parts, bad, strict=True)))
        condition = f"only {condition_of(marked) or 'at ' + share_of_cases(marked)}"
    return [Finding("not_finite", f"{{of}} is nan or infinite, {condition}", claim.of, 0.0, 0.5, fits=True)]


# --- only where ---


def share_of_cases(claim: Claim) -> str:
    """`13 of 80 cases`."""
    wrong = sum(len(set(p.case[p.beyond])) for p in claim.parts)
    return f"{wrong} of {sum(len(set(p.case)) for p in claim.parts)} cases"


def condition_of(claim: Claim) -> str:
    """The condition that holds at exactly the wrong cases, in words that follow `only`; empty if none does."""
    rows = sum(len(p.case) for p in claim.parts)
    wrong = np.concatenate([p.beyond for p in claim.parts])
    cases = sum(len(set(p.case)) for p in claim.parts)
    share = round(cases * float(wrong.mean()))
    if not rows or wrong.all() or not wrong.any() or comb(cases, min(max(share, 1), cases - 1)) < CHANCE:
        return ""
    flags, levels = _features(claim)
    for text, flag in flags.items():
        if np.array_equal(flag, wrong):
            return f"where {text}"
    for text, level in levels.items():
        low, high = level[~wrong], level[wrong]
        if np.max(low) < np.min(high):
            return f"where {text} is above about {sqrt(abs(np.max(low) * np.min(high))):.2g}"
        if np.max(high) < np.min(low):
            return f"where {text} is below about {sqrt(abs(np.max(high) * np.min(low))):.2g}"
    return ""


def _features(claim: Claim) -> tuple[dict[str, Bools], dict[str, Floats]]:
    """What may tell the wrong cases from the right ones: conditions, and numbers with a threshold. One entry for each row."""
    flags: dict[str, list[Any]] = {"it is not square": [], "it is square": [], "it has more than one entry": []}
    levels: dict[str, list[Any]] = {}
    names = list(claim.parts[0].sizes)
    for p in claim.parts:
        count = len(p.case)

        def every(x: Any, count: int = count) -> Any:
            return np.broadcast_to(np.asarray(x), (count,))

        flags["it is not square"].append(every(p.expected.ndim == 3 and not is_square(p.expected)))
        flags["it is square"].append(every(is_square(p.expected)))
        flags["it has more than one entry"].append(every(p.expected[0].size > 1))
        for name in names:
            flags.setdefault(f"{name} > 1", []).append(every(p.sizes[name] > 1))
            flags.setdefault(f"{name} = 1", []).append(every(p.sizes[name] == 1))
            levels.setdefault(name, []).append(every(float(p.sizes[name])))
        for a, b in combinations(names, 2):
            flags.setdefault(f"{a} ≠ {b}", []).append(every(p.sizes[a] != p.sizes[b]))
            flags.setdefault(f"{a} = {b}", []).append(every(p.sizes[a] == p.sizes[b]))
            flags.setdefault(f"{a} > {b}", []).append(every(p.sizes[a] > p.sizes[b]))
            flags.setdefault(f"{a} < {b}", []).append(every(p.sizes[a] < p.sizes[b]))
        for name, x in [*p.inputs.items(), *zip(p.value_names, p.value, strict=True), *p.pushed.items()]:
            spoken = _spoken(name, claim, p)
            flat = x.reshape(count, -1)
            if flat.shape[1] == 0:
                flat = np.ones((count, 1))
            for text, flag in _conditions_on(spoken, x, flat).items():
                flags.setdefault(text, []).append(flag)
            for text, level in _levels_of(spoken, x, flat).items():
                levels.setdefault(text, []).append(level)
    whole = len(claim.parts)
    return (
        {text: np.concatenate(found) for text, found in flags.items() if len(found) == whole},
        {text: np.concatenate(found) for text, found in levels.items() if len(found) == whole},
    )


def _spoken(name: str, claim: Claim, p: Part) -> str:
    if name in p.direction_names and claim.word == "vjp" and len(p.directions) == 1:
        return claim.what
    return "the value" if name in p.value_names and len(p.value) == 1 else name


def _conditions_on(name: str, x: Floats, flat: Floats) -> dict[str, Bools]:
    """Conditions on one array."""
    if x.ndim == 1:
        return {f"{name} < 0": x < 0, f"{name} > 0": x > 0, f"{name} = 0": x == 0}
    spaced = np.sort(flat, axis=1)
    found: dict[str, Any] = {
        f"{name} has a negative entry": (flat < 0).any(axis=1),
        f"{name} has no negative entry": (flat >= 0).all(axis=1),
        f"{name} has an entry that is zero": (flat == 0).any(axis=1),
        f"{name} has equal entries": (np.diff(spaced, axis=1) == 0).any(axis=1),
    }
    if x.ndim == 3 and is_square(x):
        found[f"det({name}) < 0"] = np.linalg.det(x) < 0
        found[f"det({name}) > 0"] = np.linalg.det(x) > 0
        found[f"tr({name}) < 0"] = np.trace(x, axis1=1, axis2=2) < 0
    if x.ndim == 3:
        found[f"{name} is not square"] = np.full(len(x), x.shape[1] != x.shape[2])
        found[f"{name} is square"] = np.full(len(x), x.shape[1] == x.shape[2])
    return found


def _levels_of(name: str, x: Floats, flat: Floats) -> dict[str, Floats]:
    """Numbers that belong to one array."""
    if x.ndim == 1:
        return {name: x, f"|{name}|": np.abs(x)}
    found = {
        f"the norm of {name}": np.linalg.norm(flat, axis=1),
        f"the largest entry of {name}": flat.max(axis=1),
        f"the smallest entry of {name}": flat.min(axis=1),
        f"the largest |entry| of {name}": np.abs(flat).max(axis=1),
        f"the smallest |entry| of {name}": np.abs(flat).min(axis=1),
        f"the sum of {name}": flat.sum(axis=1),
    }
    if x.ndim == 3 and np.isfinite(x).all() and 0 not in x.shape:
        found[f"the condition number of {name}"] = np.linalg.cond(x)
        if is_square(x):
            found[f"|det({name})|"] = np.abs(np.linalg.det(x))
    return found
