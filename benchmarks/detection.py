"""Ask `matcalc.check` about every derivative of `wrong_gradients.py`: what it refutes, what it misses, whom it accuses wrongly.

    python benchmarks/detection.py [--problems det softmax] [--seeds 20] [--first 0] [--jobs 2] [--only wrong] [--json results.json]

Detection: each wrong version once, with the domains of its problem and seed 0. A version counts as detected if the verdict is
"refuted"; what is left is listed with the verdict it got.

False alarms: each right version over seeds, over scales 1e-3, 1 and 1e3 of the inputs that are differentiated, and over condition
numbers 10, 1e4 and 1e8: as bare arrays where the domain is the whole space, through a domain that has no better points where it is
not (a bare array would not be known to be symmetric). "refuted" is a false alarm; "inconclusive" is counted beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from wrong_gradients import PROBLEMS, SIZES, Function, Problem

from matcalc.checking import check
from matcalc.domain import Domain, FullRank, held, near, scaled
from matcalc.verdict import Status

SCALES = (1e-3, 1.0, 1e3)
CONDITIONS = (10.0, 1e4, 1e8)


@dataclass(frozen=True)
class Asked:
    """One question to the checker, and its answer: a status, or the exception that it raised."""

    problem: str
    kind: str  # the class of the wrong version, or where the right one was looked at
    note: str
    answer: str
    reason: str
    seconds: float
    cases: int


def ask(problem: Problem, inputs: Sequence[Any], derivative: Function, kind: str, note: str, seed: int = 0) -> Asked:
    """What the checker says of one derivative."""
    started = time.perf_counter()
    cases = 0
    try:
        verdict = check(problem.function, *inputs, seed=seed, **problem.claim(derivative))
        answer, reason, cases = str(verdict.status), verdict.reason, verdict.cases
    except Exception as error:  # noqa: BLE001  (a checker that raises has not answered, whatever it raises)
        answer, reason = type(error).__name__, str(error).partition("\n")[0]
    return Asked(problem.name, kind, note, answer, reason, time.perf_counter() - started, cases)


def detection(index: int) -> list[Asked]:
    """The checker's answers about the wrong versions of one problem."""
    problem = PROBLEMS[index]
    return [ask(problem, problem.domains, wrong.make(), wrong.kind, wrong.note) for wrong in problem.wrong]


# --- right derivatives, in hard places -----------------------------------------------------------------------------------------


def of_condition(domain: Domain, condition: float) -> Domain:
    """The same set, every point drawn with this condition number."""
    kind = type(domain)

    def point(self: Domain, noise: Any, spread: float = 1.0) -> Any:
        del spread
        return kind.point(self, noise, condition)

    return type(kind.__name__, (kind,), {"point": point})(**vars(domain))


def array_of_condition(domain: Domain, scale: float, condition: float, rng: np.random.Generator) -> Any:
    """A point of the domain with this condition number if it is a matrix, else with entries that far apart."""
    noise = rng.standard_normal(domain.shape(SIZES))
    domain = scaled(scale, domain)
    if type(domain) is Domain and noise.ndim == 2:
        return FullRank(domain.dims, scale=scale).point(noise, condition)
    if noise.ndim == 1 and len(noise) > 1:
        noise = noise * condition ** -np.linspace(0, 1, len(noise))
    return domain.point(noise, condition)


def whole(domain: Domain) -> bool:
    """Whether any array near a point is a point, so that a bare array may stand for it."""
    return type(domain).tangent is Domain.tangent


def hard_inputs(problem: Problem, scale: float, condition: float, seed: int) -> list[Any]:
    """What the checker is given in place of the problem's domains; a condition of 0 leaves it to the domains."""
    rng = np.random.default_rng(seed)
    given: list[Any] = []
    for domain in problem.domains:
        if condition and whole(domain):
            array = np.asarray(array_of_condition(domain, 1.0 if domain.held else scale, condition, rng))
            given.append(held(near(array)) if domain.held else array)
        else:
            sized = domain if domain.held else scaled(scale, domain)
            given.append(of_condition(sized, condition) if condition else sized)
    if condition and any(isinstance(x, Domain) and not x.held for x in given):  # sizes have to agree: domains for all
        given = [d if d.held else of_condition(scaled(scale, d), condition) for d in problem.domains]
    return given


def alarms(index: int, seeds: range) -> list[Asked]:
    """The checker's answers about one right version, in hard places."""
    problem = PROBLEMS[index]
    return [
        ask(problem, hard_inputs(problem, scale, condition, seed), problem.right, _place(scale, condition), f"seed {seed}", seed)
        for condition in (0.0, *CONDITIONS)
        for scale in SCALES
        for seed in seeds
    ]


def _place(scale: float, condition: float) -> str:
    return f"scale {scale:g}, " + (f"condition {condition:g}" if condition else "domains")


# --- the report ----------------------------------------------------------------------------------------------------------------


def show_detection(asked: Sequence[Asked]) -> None:
    """The table of classes, and the survivors."""
    missed = [a for a in asked if a.answer != Status.REFUTED]
    print(f"## Detection: {len(asked) - len(missed)} of {len(asked)} wrong versions refuted\n")
    print("| class | refuted | of |\n|---|--:|--:|")
    total, survivors = Counter(a.kind for a in asked), Counter(a.kind for a in missed)
    for kind, count in sorted(total.items()):
        print(f"| {kind} | {count - survivors[kind]} | {count} |")
    seconds = sorted(a.seconds for a in asked)
    print(f"\n{sum(seconds):.0f} s in all, {seconds[len(seconds) // 2]:.2f} s for the median version, {seconds[-1]:.1f} s at most.\n")
    for a in missed:
        print(f"* {a.problem}: {a.kind}: {a.note}: {a.answer}" + (f" ({a.reason})" if a.reason else ""))


def show_alarms(asked: Sequence[Asked]) -> None:
    """The table of places, and the right versions that were refuted."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for a in asked:
        answers[a.kind][a.answer if a.answer in set(Status) else "raised"] += 1
    accused = [a for a in asked if a.answer == Status.REFUTED]
    print(f"\n## False alarms: {len(accused)} in {len(asked)} questions about right versions\n")
    print("| where | refuted | inconclusive | vacuous | raised | of |\n|---|--:|--:|--:|--:|--:|")
    for place, found in answers.items():
        cells = (found[word] for word in ("refuted", "inconclusive", "vacuous", "raised"))
        print(f"| {place} | {' | '.join(str(n) for n in cells)} | {found.total()} |")
    print(f"\n{sum(a.seconds for a in asked):.0f} s in all.\n")
    for answer, some in _grouped(asked):
        places = Counter(a.kind for a in some)
        where = "; ".join(f"{place}: {count}" for place, count in places.items())
        print(f"* {some[0].problem}: {answer} {len(some)} times ({where}): {some[0].reason}")


def _grouped(asked: Sequence[Asked]) -> Iterator[tuple[str, list[Asked]]]:
    """What was not good, by problem and answer."""
    groups: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for a in asked:
        if a.answer not in {Status.PROVED, Status.VERIFIED}:
            groups[a.problem, a.answer].append(a)
    for (_, answer), some in groups.items():
        yield answer, some


def main() -> int:
    """Ask, and print the answers as Markdown; 1 if a wrong version survived or a right one was refuted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="*", help="names, or parts of names; all by default")
    parser.add_argument("--seeds", type=int, default=20, help="for the false alarms")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--only", choices=["wrong", "right"], help="ask about wrong or about right versions only")
    parser.add_argument("--json", type=Path, help="every answer, as a list")
    options = parser.parse_args()
    chosen = [i for i, p in enumerate(PROBLEMS) if not options.problems or any(part in p.name for part in options.problems)]
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        wrong = [] if options.only == "right" else [a for some in pool.map(detection, chosen) for a in _shown(some)]
        right = [] if options.only == "wrong" else [a for some in pool.map(alarms, chosen, [seeds] * len(chosen)) for a in _shown(some)]
    if wrong:
        show_detection(wrong)
    if right:
        show_alarms(right)
    if options.json:
        options.json.write_text(json.dumps([asdict(a) for a in [*wrong, *right]], indent=1))
    return 1 if any(a.answer != Status.REFUTED for a in wrong) or any(a.answer == Status.REFUTED for a in right) else 0


def _shown(asked: list[Asked]) -> list[Asked]:
    """The same, after a line to say that they are done."""
    answers = Counter(a.answer for a in asked)
    print(f"{asked[0].problem}: {', '.join(f'{n} {word}' for word, n in answers.items())}", file=sys.stderr, flush=True)
    return asked


if __name__ == "__main__":
    raise SystemExit(main())
