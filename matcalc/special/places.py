"""Which points are special: those that the domains own, those made of the numbers in somebody's code, sizes and scales."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, pairwise, permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc.cases import PROFILES, admitted, empty_groups, generator, groups, symbols
from matcalc.domain import Distinct
from matcalc.verdict import Coverage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from matcalc.domain import Domain, Sizes
    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Arrays = tuple[Floats, ...]

SCALES = (1e-6, 1e6)
EXTREMES = (1e-150, 1e150)
PLAIN = "nothing special"
EQUAL = "equal to each other"
CONSTANTS = "constants of the code"
MOST_CONSTANTS = 4
"Numbers of the code that inputs are made of; the first ones, which are those of the claim."
NAMED_ENTRIES = 8
"Entries of an array of fixed size that may each be zero alone; the first one is so by its domain."
CLOSE = 1e-6
"Distance of neighbours, as a part of that of others."
ILL_CONDITIONED = ("condition 1e", "scale")
"Kinds at which a library may refuse to factor a matrix."
BACKWARDS = "reversed in memory"
LAYOUTS = ("Fortran order", "strided", BACKWARDS)
POISON = "NaN in the entries that are not read"


@dataclass(frozen=True)
class Place:
    """One special point of a rule: which input is special (all of them where no name stands), how, and all inputs."""

    input: str
    kind: str
    sizes: Sizes
    inputs: Arrays
    room: float = np.inf
    "How far off what is special about it ends, in units of the inputs' sizes."

    @property
    def label(self) -> str:
        """In words: `K: repeated eigenvalues`."""
        return f"{self.input}: {self.kind}" if self.input else self.kind

    def __str__(self) -> str:
        """The same with its sizes: `K: repeated eigenvalues; n = 3`."""
        return self.label + "".join(f"{', ' if k else '; '}{name} = {size}" for k, (name, size) in enumerate(self.sizes.items()))


def places(subject: Subject, *, seed: int = 0) -> list[Place]:
    """Every special point of the rule's domains, at a few sizes. Which kinds there are does not depend on the seed."""
    found = [place for sizes in _shapes(subject) for place in _distinct(_places(subject, sizes, seed))]
    return found if subject.strict else [*found, *_meeting(subject, seed)]  # it takes a shape of its own, which costs a compilation


def _shapes(subject: Subject) -> list[Sizes]:
    """Sizes from 3 up and from the top down, so that no matrix is square by chance; all ones; each of them zero.

    A size that is alone is 4 in somebody's code, which is even: among random cases only 2 is, where much is special.
    """
    names = symbols(subject)
    first = 4 if len(names) == 1 and not subject.strict else 3
    wanted = [{name: first + k for k, name in enumerate(names)}, {name: first - 1 + len(names) - k for k, name in enumerate(names)}]
    found = [sizes for sizes in wanted if admitted(subject, sizes)] or groups(subject, PROFILES["quick"])[:2]
    ones = [dict.fromkeys(names, 1)] if admitted(subject, dict.fromkeys(names, 1)) else []
    if subject.mapped:
        found = found[:1]  # each shape costs JAX a compilation
    empty = empty_groups(subject) if subject.strict else []  # who writes for himself need not think of nothing
    return list({tuple(sizes.items()): sizes for sizes in [*found, *ones, *empty]}.values())


def _places(subject: Subject, sizes: Sizes, seed: int) -> Iterable[Place]:
    """The special points of one shape, the plain one first: one input special at a time, then all of them alike."""
    rng = generator(subject, seed, sizes)
    domains = subject.domains
    noises, plain = _plain(domains, sizes, rng)

    def place(input_: str, kind: str, changed: dict[str, Any]) -> Place:
        return Place(input_, kind, sizes, tuple(as_floats(x) for x in {**plain, **changed}.values()))

    yield from (place(input_, kind, {}) for input_, kind in _of_size(subject, sizes))
    if 0 in sizes.values():
        return
    alike: dict[str, dict[str, Any]] = {}
    for name, domain in domains.items():
        fresh = rng.standard_normal(domain.shape(sizes))
        found = domain.special(fresh)
        for scale in SCALES if has_scales(domain) and fresh.size else ():
            found[f"scale {scale:.0e}"] = replace(domain, scale=domain.scale * scale).point(noises[name])
        for kind, point in found.items():
            yield place(name, kind, {name: point})
            if kind.startswith(("zero", "scale", "integers")):
                alike.setdefault(kind, {})[name] = point
    yield from (place("", kind, points) for kind, points in alike.items() if len(points) > 1)
    for name in alike.get("zero", {}) if len(alike.get("zero", {})) > 2 else ():
        yield place(name, "all others zero", {other: point for other, point in alike["zero"].items() if other != name})
    yield from (place(*found) for found in _of_the_code(subject, sizes, alike.get("zero", {})))
    yield from (place(*found) for found in _equal_inputs(domains, plain))
    yield from (place(*found) for found in _single_zeros(domains, plain))
    if not subject.strict:
        yield from (place(*found) for found in _close_pairs(domains, plain))


def _plain(domains: dict[str, Domain], sizes: Sizes, rng: np.random.Generator) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """A point of each domain, and the noise that it was made from."""
    noises = {name: rng.standard_normal(domain.shape(sizes)) for name, domain in domains.items()}
    return noises, {name: as_floats(domain.point(noises[name])) for name, domain in domains.items()}


def _meeting(subject: Subject, seed: int) -> list[Place]:
    """Inputs that are equal to each other where only equal sizes let them be."""
    domains, sizes = subject.domains, dict.fromkeys(symbols(subject), 3)
    pairs = combinations(domains.values(), 2)
    meet = [a for a, b in pairs if a.dims != b.dims and _alike(a, b) and a.shape(sizes) == b.shape(sizes)]
    if not meet or not admitted(subject, sizes):
        return []
    _, plain = _plain(domains, sizes, generator(subject, seed, sizes))
    found = [(both, changed) for both, kind, changed in _equal_inputs(domains, plain) if kind == EQUAL]
    return [Place(both, EQUAL, sizes, tuple({**plain, **changed}.values())) for both, changed in found]


def _alike(one: Domain, other: Domain) -> bool:
    """Whether two domains are the same set but for their sizes."""
    return replace(one, dims=other.dims, held=other.held) == other


def _of_size(subject: Subject, sizes: Sizes) -> list[tuple[str, str]]:
    """What is special about sizes alone."""
    if 0 in sizes.values():
        return [("", "size 0")]
    if sizes and set(sizes.values()) == {1}:
        return [("", "size 1")]
    shapes = {name: domain.shape(sizes) for name, domain in subject.domains.items() if len(domain.dims) == 2}
    return [(name, "wide" if m < n else "tall") for name, (m, n) in shapes.items() if m != n] or [("", PLAIN)]


def _equal_inputs(domains: dict[str, Domain], plain: dict[str, Floats]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Two inputs from one set that are the same, or whose rows or entries are, or each of which is the other's transpose."""
    order = list(domains)
    for (one, first), (two, second) in permutations(domains.items(), 2):
        x, shape, both = plain[one], plain[two].shape, f"{one}, {two}"
        if not _alike(first, second) or not x.size or (x.ndim and order.index(one) > order.index(two)):
            continue
        entry = float(x.reshape(-1)[0])
        free = first.allows(entry)  # each entry by itself is what the set asks for
        if x.shape == shape:
            yield both, EQUAL, {two: x}
        elif free and not x.ndim:
            yield f"{two}, {one}", EQUAL, {two: np.full(shape, x)}
        elif free and x.ndim == len(shape) and x.shape[1:] == shape[1:]:
            yield both, "equal rows", {two: np.resize(x, shape)}
        if free and x.ndim == 2 and x.shape[::-1] == shape:
            yield both, "each other's transpose", {two: x.T}
        if free and x.shape == shape and first.allows(-entry):
            yield both, "opposite to each other", {two: -x}


def _single_zeros(domains: dict[str, Domain], plain: dict[str, Floats]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Single entries that are zero, where each has a meaning of its own since the size is fixed; the domains own the first one's."""
    for name, domain in domains.items():
        if domain.dims and all(d.fixed for d in domain.dims) and domain.allows(0.0):
            entries = np.arange(plain[name].size).reshape(plain[name].shape)
            for k in range(1, min(entries.size, NAMED_ENTRIES)):
                yield name, f"entry {k + 1} zero", {name: np.where(entries == k, 0.0, plain[name])}


def _close_pairs(domains: dict[str, Domain], plain: dict[str, Floats]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Entries that must not be equal, in pairs that nearly are; every two neighbours in order are one of the pairs once."""
    for name, domain in domains.items():
        if isinstance(domain, Distinct):
            ranks = np.argsort(np.argsort(plain[name]))
            for first in range(min(2, ranks.size - 1)):
                yield (
                    name,
                    "other " * first + f"pairs {CLOSE:.0e} apart",
                    {name: domain.scale * (ranks - (ranks + first) % 2 * (1 - CLOSE))},
                )


def _of_the_code(subject: Subject, sizes: Sizes, zeros: dict[str, Any]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """One input made of the numbers of the code; another one zero besides, so that what it is subtracted from stays such a number."""
    for name, domain in subject.domains.items():
        own = _at_constants(subject, domain, domain.shape(sizes))
        yield from ((name, CONSTANTS, {name: x}) for x in own)
        each = own[: 2 * MOST_CONSTANTS : own[0].size] if own else []
        yield from ((name, f"{CONSTANTS}, {other} zero", {name: x, other: zeros[other]}) for other in zeros if other != name for x in each)


def _at_constants(subject: Subject, domain: Domain, shape: tuple[int, ...]) -> list[Floats]:
    """Points whose entries are numbers of the subject's code, others between and beyond them, of both signs, as the domain allows.

    What a branch is taken for lies at such a number, between two, or beyond the largest. First another number stands at each place,
    in turn, then the same one at all.
    """
    numbers = sorted(subject.constants[:MOST_CONSTANTS])
    middles = [(a + b) / 2 for a, b in pairwise([0.0, *numbers, *(2 * x for x in numbers[-1:])])]
    pool = [x for number in (*numbers, *middles) for x in (number, -number) if domain.allows(x)]
    entries = np.arange(int(np.prod(shape)))
    if not entries.size:
        return []
    turns = [np.take(pool, (entries + k) % len(pool)).reshape(shape) for k in range(len(pool))]
    return [*turns, *(np.full(shape, x) for x in pool if x > 0)]


def _distinct(found: Iterable[Place]) -> list[Place]:
    """Each point once for each input that it is special in: at size 1 many kinds are one."""
    seen: set[Any] = set()
    kept = []
    for place in found:
        key = (place.input, *(x.tobytes() for x in place.inputs))
        if key not in seen or not any(x.size for x in place.inputs) or place.kind in {"wide", "tall"}:
            seen.add(key)
            kept.append(place)
    return kept


def as_floats(x: Any) -> Floats:
    """An array of any library as one of NumPy, in double precision."""
    return np.asarray(x, dtype=np.float64)


def has_scales(domain: Domain) -> bool:
    """Whether the domain has points of every scale."""
    shape = tuple(d.fixed or 2 for d in domain.dims)
    probe = np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape)
    return not np.array_equal(as_floats(domain.point(probe)), as_floats(replace(domain, scale=2 * domain.scale).point(probe)))


def _kinds(subject: Subject, found: Iterable[Place]) -> dict[tuple[str, str], None]:
    """Everything a census of the rule must name: its special points, and how its inputs may lie in memory."""
    named = dict.fromkeys((place.input, place.kind) for place in found if place.kind != PLAIN)
    if not subject.mapped and any(domain.dims for domain in subject.domains.values()):
        named |= dict.fromkeys(("", layout) for layout in LAYOUTS)
    named |= dict.fromkeys((name, POISON) for name, domain in subject.domains.items() if domain.tangent_only)
    scaled = (place for place in found if place.kind.startswith("scale"))
    return named | dict.fromkeys((place.input, f"scale {scale:.0e}") for place in scaled if place.input for scale in EXTREMES)


def missing(subject: Subject, census: Iterable[Coverage]) -> list[str]:
    """The special kinds that the rule's domains contain and the census lacks, as "K: repeated eigenvalues"."""
    covered = {(line.input, line.kind) for line in census if line.cases}
    return [f"{input_}: {kind}" if input_ else kind for input_, kind in _kinds(subject, places(subject)) if (input_, kind) not in covered]
