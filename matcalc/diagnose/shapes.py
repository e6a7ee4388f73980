"""Explanations of arrays of the wrong shape."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from matcalc.diagnose.claims import FITS, Seen, asked
from matcalc.diagnose.trying import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matcalc.rule import Subject

    Floats = NDArray[np.float64]


def misshapen(subject: Subject, one: Seen) -> Iterator[Finding]:
    """How an array of the wrong shape becomes the right one, at the first case of a batch."""
    batch = one.batch
    for word, directions, shapes in (
        ("vjp", [c[0, 0] for c in batch.cotangents], [batch.inputs[i].shape[1:] for i in batch.free]),
        ("jvp", [t[0, 0] for t in batch.tangents], [c.shape[2:] for c in batch.cotangents]),
    ):
        answer = asked(subject, word, batch.point(0), directions)
        if answer is None:
            continue
        names = [f"the gradient with respect to {batch.names[i]}" for i in batch.free]
        if word == "jvp":
            names = ["the jvp"] * len(shapes) if len(shapes) == 1 else [f"array {k + 1} of the jvp" for k in range(len(shapes))]
        if len(answer) != len(shapes):
            continue  # the reason of the verdict says so
        oracle = one.autodiff
        for k, (got, shape) in enumerate(zip(answer, shapes, strict=True)):
            if got.shape != tuple(shape):
                expected = None if oracle is None else (oracle.vjp[k][0, 0, 0] if word == "vjp" else oracle.jvp[k][0, 0, 0])
                yield from _repairs(names[k], got, tuple(shape), expected)


def _repairs(of: str, got: Floats, shape: tuple[int, ...], expected: Floats | None) -> Iterator[Finding]:
    """The ways to bring an array to its shape that give the right numbers; where none does, the only one that there is."""
    ways = list(_ways(got, shape))
    for does, array, cost in ways:
        words = f"{{of}} has shape {got.shape}, but must have {shape}: {does}"
        if expected is None or not np.isfinite(array).all():
            yield Finding("shape", words, of, 0.0, cost + 0.3, fits=True)
            continue
        distance = float(np.linalg.norm(array - expected)) / (float(np.linalg.norm(expected)) or 1.0)
        if distance <= FITS:
            yield Finding("shape", words, of, distance, cost, fits=True)
        elif len(ways) == 1:
            yield Finding("shape", f"{words}, and it is wrong even then", of, 0.0, cost + 0.5, fits=True)


def _ways(got: Floats, shape: tuple[int, ...]) -> Iterator[tuple[str, Floats, float]]:
    """What may be done to an array to bring it to a shape: in words, what comes out, and how simple it is."""
    if got.ndim == 2 and got.T.shape == shape:
        yield "transpose it", got.T, 1.0
        return
    sums = [
        (axes, total)
        for count in range(1, got.ndim + 1)
        for axes in combinations(range(got.ndim), count)
        for keep in (False, True)
        if (total := np.asarray(got.sum(axis=axes, keepdims=keep))).shape == shape
    ]
    for axes, total in sums:
        named = f"ax{'e' if len(axes) > 1 else 'i'}s {' and '.join(map(str, axes))}"
        yield f"sum it over {named}, over which the input was broadcast", total, 1.1
    entries = int(np.prod(shape))
    if not sums and got.size == entries:
        yield "reshape it", got.reshape(shape), 1.2
    elif not sums and 0 < got.size < entries:
        yield "it has too few entries, each entry of the input needs its own", np.full(shape, np.nan), 1.5
