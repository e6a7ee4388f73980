"""Today's gradient checkers, at their defaults, on the derivatives of `wrong_gradients.py`, and what a check costs beside `matcalc.check`.

    python benchmarks/peers.py [--only detection alarms cost] [--problems det softmax] [--seeds 5] [--matcalc results.json]

Peers: torch gradcheck (slow and fast mode) through `autograd.Function`; JAX check_grads at order 1 through `custom_vjp` (`custom_jvp`
for a jvp; reverse or forward mode, whichever the claim has); HIPS autograd check_grads; scipy check_grad, rejecting beyond 1e-5
max(1, ‖g‖); numdifftools, rejecting by `numpy.allclose`. A peer that is not installed is left out with a sentence:
`pip install torch autograd numdifftools`.

Detection: each wrong version at several ordinary points of its domain, one default call each. A peer perturbs every entry of its
inputs, so functions of structured matrices come to it composed with the projection on the structure. An exception that a wrong
version provokes counts as a rejection. `--matcalc` adds a column from what `detection.py --json` wrote.

Alarms: the right versions, over scales and condition numbers as in `detection.py`.

Cost: processor time, warm and per case, of five functions at n = 4 and 16, every checker in every round.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from warnings import catch_warnings, simplefilter

import jax
import jax.numpy as jnp
import numpy as np
from detection import CONDITIONS, SCALES, array_of_condition
from jax.test_util import check_grads
from scipy.optimize import check_grad
from wrong_gradients import PROBLEMS, Function, Point, Problem, gradient_of

from matcalc.array import parts
from matcalc.checking import check
from matcalc.domain import Domain, positive_definite, real, simple_spectrum, symmetric

Peer = Callable[["Claim", int], bool]
"Whether a checker rejects a claim; the number tells the random points apart."
ROUNDS, REPETITIONS = 7, 3


# --- a derivative as the peers take it -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Claim:
    """A function of NumPy arrays at a point, and its claimed vjp or jvp; inputs that are held are bound."""

    problem: Problem
    derivative: Function
    point: Point

    @property
    def forward(self) -> bool:
        """Whether it is a jvp."""
        return self.problem.form == "jvp"

    @cached_property
    def free(self) -> list[Any]:
        """The differentiated inputs."""
        return [np.array(self.point[i], float) for i in self.problem.free]

    def _all(self, free: Sequence[Any]) -> list[Any]:
        inputs = [np.array(x) for x in self.point]
        for i, x in zip(self.problem.free, free, strict=True):
            inputs[i] = x
        return [jnp.asarray(x) for x in inputs] if self.problem.library == "jax" else inputs

    def _structured(self, free: Sequence[Any]) -> list[Any]:
        pairs = zip(self.problem.free, free, strict=True)
        return [x if _whole(d := self.problem.domains[i]) else np.asarray(d.tangent(self.point[i], x)) for i, x in pairs]

    def value(self, *free: Any) -> Any:
        """The function, of structured inputs after projection on their structure."""
        return np.asarray(_compiled(self.problem)(*self._all(self._structured(free))))

    def jvp(self, free: Sequence[Any], tangents: Sequence[Any]) -> Any:
        """The claimed tangent of the value."""
        given = [jnp.asarray(t) for t in tangents] if self.problem.library == "jax" else tangents
        return np.asarray(parts(self.derivative(*self._all(free), *given))[0])

    def vjp(self, free: Sequence[Any], cotangent: Any) -> tuple[Any, ...]:
        """The claimed gradients; projected, unless the projection would hide a mistake."""
        inputs = self._all(free)
        form = self.problem.form
        if form == "vjp":
            answer = parts(self.derivative(*inputs, jnp.asarray(cotangent) if self.problem.library == "jax" else cotangent))
        else:
            answer = parts(self.derivative(*inputs))
            product = np.multiply if form == "grad" else partial(np.tensordot, axes=cotangent.ndim)
            answer = tuple(product(cotangent, np.asarray(g)) for g in answer)
        pairs = zip(self.problem.free, answer, strict=True)
        return tuple(
            np.asarray(g) if _whole(d := self.problem.domains[i]) or d.tangent_only else np.asarray(d.tangent(None, g)) for i, g in pairs
        )

    @cached_property
    def jacobian(self) -> Any:
        """The claimed Jacobian: an entry of the value a row, an entry of all inputs together a column."""
        if self.forward:
            basis = np.eye(sum(x.size for x in self.free))
            return np.stack([self.jvp(self.free, self.split(e)).ravel() for e in basis], axis=1)
        shape = self.value(*self.free).shape
        size = int(np.prod(shape))
        rows = (self.vjp(self.free, np.eye(1, size, k)[0].reshape(shape)) for k in range(size))
        return np.stack(
            [np.concatenate([np.broadcast_to(g, x.shape).ravel() for g, x in zip(row, self.free, strict=True)]) for row in rows]
        )

    def split(self, flat: Any) -> list[Any]:
        """One vector as the differentiated inputs."""
        ends = np.cumsum([x.size for x in self.free])[:-1]
        return [part.reshape(x.shape) for part, x in zip(np.split(flat, ends), self.free, strict=True)]


def _whole(domain: Domain) -> bool:
    return type(domain).tangent is Domain.tangent or domain.word == "probability"


_COMPILED: dict[str, Function] = {}


def _compiled(problem: Problem) -> Function:
    """The function (of a Hessian: the gradient), compiled if JAX can."""
    if problem.name not in _COMPILED:
        function = gradient_of(problem) if problem.form == "hessian" else problem.function
        _COMPILED[problem.name] = jax.jit(function) if problem.library == "jax" else function
    return _COMPILED[problem.name]


# --- the peers -----------------------------------------------------------------------------------------------------------------


def torch_gradcheck(claim: Claim, seed: int, *, fast: bool = False) -> bool:
    """torch.autograd.gradcheck, of `backward` or of `jvp`."""
    import torch

    del seed

    class Claimed(torch.autograd.Function):
        @staticmethod
        def forward(*inputs: Any) -> Any:
            return torch.as_tensor(claim.value(*(x.detach().numpy() for x in inputs)))

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            del output
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, *grad_outputs: Any) -> Any:
            inputs = [x.detach().numpy() for x in ctx.saved_tensors]
            return tuple(torch.as_tensor(g) for g in claim.vjp(inputs, grad_outputs[0].numpy().copy()))

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            inputs = [x.detach().numpy() for x in ctx.saved_tensors]
            pairs = zip(tangents, inputs, strict=True)
            return torch.as_tensor(claim.jvp(inputs, [np.zeros_like(x) if t is None else t.detach().numpy() for t, x in pairs]))

    inputs = tuple(torch.tensor(x, requires_grad=True) for x in claim.free)
    return not torch.autograd.gradcheck(
        Claimed.apply, inputs, fast_mode=fast, raise_exception=False, check_forward_ad=claim.forward, check_backward_ad=not claim.forward
    )


def jax_check_grads(claim: Claim, seed: int) -> bool:
    """jax.test_util.check_grads at order 1, in the mode that the claim has a rule for."""
    del seed
    arrays = [jnp.asarray(x) for x in claim.free]

    def value(*inputs: Any) -> Any:
        return jnp.asarray(claim.value(*(np.asarray(x) for x in inputs)))

    if claim.forward:
        function: Any = jax.custom_jvp(value)
        function.defjvp(
            lambda inputs, tangents: (value(*inputs), jnp.asarray(claim.jvp([*map(np.asarray, inputs)], [*map(np.asarray, tangents)])))
        )
    else:
        function = jax.custom_vjp(value)
        function.defvjp(
            lambda *inputs: (value(*inputs), inputs),
            lambda inputs, u: tuple(jnp.asarray(g) for g in claim.vjp([*map(np.asarray, inputs)], np.array(u))),
        )
    try:
        check_grads(function, arrays, order=1, modes=["fwd" if claim.forward else "rev"])
    except AssertionError:
        return True
    return False


def hips_check_grads(claim: Claim, seed: int) -> bool:
    """autograd.test_util.check_grads at order 1; its direction comes from NumPy's global generator."""
    from autograd.extend import defjvp, defvjp, primitive

    checker: Any = import_module("autograd.test_util").check_grads

    np.random.seed(seed)  # noqa: NPY002  (the generator that autograd draws from)
    function = primitive(lambda *inputs: _plain(claim.value(*inputs)))
    count = len(claim.free)
    if claim.forward:

        def pushed(k: int) -> Function:
            return lambda t, _, *inputs: claim.jvp(inputs, [t if i == k else np.zeros_like(x) for i, x in enumerate(inputs)])

        defjvp(function, *(pushed(k) for k in range(count)))
    else:

        def pulled(k: int) -> Function:
            return lambda _, *inputs: lambda u: _plain(claim.vjp(inputs, np.array(u))[k])

        defvjp(function, *(pulled(k) for k in range(count)))
    try:
        checker(function, tuple(range(count)), modes=["fwd" if claim.forward else "rev"], order=1)(*(_plain(x) for x in claim.free))
    except AssertionError:
        return True
    return False


def _plain(x: Any) -> Any:
    return float(x) if np.ndim(x) == 0 else x


def scipy_check_grad(claim: Claim, seed: int) -> bool:
    """scipy.optimize.check_grad of the value times a random cotangent; it judges nothing, so 1e-5 max(1, ‖g‖) does."""
    cotangent = np.random.default_rng(seed).standard_normal(claim.value(*claim.free).shape)

    def gradient(flat: Any) -> Any:
        if claim.forward:
            return np.tensordot(cotangent.ravel(), claim.jacobian, axes=1)
        free = claim.split(flat)
        return np.concatenate([np.broadcast_to(g, x.shape).ravel() for g, x in zip(claim.vjp(free, cotangent), free, strict=True)])

    x = np.concatenate([x.ravel() for x in claim.free])
    error = check_grad(lambda flat: float(np.sum(cotangent * claim.value(*claim.split(flat)))), gradient, x)
    return not error <= 1e-5 * max(1.0, float(np.linalg.norm(gradient(x))))


_NUMERIC: dict[Any, Any] = {}


def numdifftools_jacobian(claim: Claim, seed: int) -> bool:
    """numdifftools.Jacobian beside the claimed one, by numpy.allclose."""
    import numdifftools

    del seed
    x = np.concatenate([x.ravel() for x in claim.free])
    key = (claim.problem.name, x.tobytes())
    if key not in _NUMERIC:
        _NUMERIC[key] = numdifftools.Jacobian(lambda flat: claim.value(*claim.split(flat)).ravel())(x)
    return not np.allclose(_NUMERIC[key], claim.jacobian)


PEERS: dict[str, tuple[str, Peer]] = {
    "torch slow": ("torch", torch_gradcheck),
    "torch fast": ("torch", partial(torch_gradcheck, fast=True)),
    "JAX check_grads": ("jax", jax_check_grads),
    "HIPS autograd": ("autograd", hips_check_grads),
    "scipy check_grad": ("scipy", scipy_check_grad),
    "numdifftools": ("numdifftools", numdifftools_jacobian),
}


def installed() -> dict[str, Peer]:
    """The peers that can be imported; a sentence about each that cannot."""
    for name, (module, _) in PEERS.items():
        if not find_spec(module):
            print(f"{name} is left out: {module} is not installed.\n")
    return {name: peer for name, (module, peer) in PEERS.items() if find_spec(module)}


def rejects(peer: Peer, claim: Claim, seed: int) -> str:
    """Say "rejected", "accepted", or "raised" for an exception that is no verdict."""
    try:
        return "rejected" if peer(claim, seed) else "accepted"
    except Exception:  # noqa: BLE001  (whatever a wrong derivative provokes)
        return "raised"


# --- detection and alarms ------------------------------------------------------------------------------------------------------


def detection(peers: dict[str, Peer], problems: Sequence[Problem], seeds: int, ours: dict[tuple[str, str], str]) -> None:
    """Print, by class, how many wrong versions are rejected: in one call, and in any of several."""
    once: dict[str, Counter[str]] = defaultdict(Counter)
    ever: dict[str, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    for problem in problems:
        for wrong in problem.wrong:
            total[wrong.kind] += 1
            ever["matcalc.check"][wrong.kind] += ours.get((problem.name, wrong.kind + wrong.note)) == "refuted"
            for name, peer in peers.items():
                points = [problem.point(np.random.default_rng(seed)) for seed in range(seeds)]
                caught = [rejects(peer, Claim(problem, wrong.make(), x), seed) != "accepted" for seed, x in enumerate(points)]
                once[name][wrong.kind] += sum(caught)
                ever[name][wrong.kind] += any(caught)
        print(f"{problem.name}: done", file=sys.stderr, flush=True)
    columns = ["matcalc.check", *peers] if ours else list(peers)
    print(f"## Wrong versions rejected, of {total.total()}: in one call, and in at least one of {seeds}\n")
    print("| class | of | " + " | ".join(columns) + " |\n|---|--:|" + "--:|" * len(columns))
    for kind in [*sorted(total), "all"]:
        chosen = list(total) if kind == "all" else [kind]
        cells = []
        for name in columns:
            any_ = sum(ever[name][k] for k in chosen)
            mean = sum(once[name][k] for k in chosen) / seeds
            cells.append(f"{any_}" if name == "matcalc.check" else f"{mean:.1f}, {any_}")
        print(f"| {kind} | {sum(total[k] for k in chosen)} | " + " | ".join(cells) + " |")


def alarms(peers: dict[str, Peer], problems: Sequence[Problem], seeds: int) -> None:
    """Print how many right versions are rejected, over scales and condition numbers."""
    rejected: dict[tuple[str, str], int] = Counter()
    asked: Counter[str] = Counter()
    for problem in problems:
        for condition in (1.0, *CONDITIONS):
            for scale in SCALES:
                place = f"scale {scale:g}, condition {condition:g}"
                for seed in range(seeds):
                    rng = np.random.default_rng(seed)
                    point = tuple(np.asarray(array_of_condition(d, 1.0 if d.held else scale, condition, rng)) for d in problem.domains)
                    asked[place] += 1
                    for name, peer in peers.items():
                        rejected[name, place] += rejects(peer, Claim(problem, problem.right, point), seed) != "accepted"
        print(f"{problem.name}: done", file=sys.stderr, flush=True)
    print(f"\n## Right versions rejected, in % of {asked.total()} calls\n")
    print("| where | " + " | ".join(peers) + " |\n|---|" + "--:|" * len(peers))
    for place in [*asked, "all"]:
        chosen = list(asked) if place == "all" else [place]
        count = sum(asked[p] for p in chosen)
        print(f"| {place} | " + " | ".join(f"{100 * sum(rejected[name, p] for p in chosen) / count:.1f}" for name in peers) + " |")


# --- cost ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timed:
    """A function and its vjp, written once for NumPy, JAX and PyTorch (the first argument)."""

    function: Function
    vjp: Function
    domains: Callable[[int], tuple[Domain, ...]]


def _softmax(xp: Any, Z: Any) -> Any:
    E = xp.exp(Z - Z.max())
    return E / E.sum(1)[:, None]


def _softmax_vjp(xp: Any, Z: Any, G: Any) -> Any:
    S = _softmax(xp, Z)
    return S * (G - (G * S).sum(1)[:, None])


def _tanh_of(xp: Any, S: Any) -> Any:
    lam, V = xp.linalg.eigh(S)
    return (V * xp.tanh(lam)) @ V.T


def _tanh_of_vjp(xp: Any, S: Any, G: Any) -> Any:
    lam, V = xp.linalg.eigh(S)
    t = xp.tanh(lam)
    same = lam[:, None] == lam[None, :]
    F = xp.where(same, (1 - t * t)[:, None], (t[:, None] - t[None, :]) / xp.where(same, xp.ones_like(S), lam[:, None] - lam[None, :]))
    D = V @ (F * (V.T @ G @ V)) @ V.T
    return (D + D.T) / 2


def _congruence(xp: Any, A: Any, P: Any) -> Any:
    return A.T @ xp.linalg.solve(P, A)


def _congruence_vjp(xp: Any, A: Any, P: Any, G: Any) -> Any:
    Y = xp.linalg.solve(P, A)
    return Y @ (G + G.T), -Y @ G @ Y.T


def _inverse_transposed(xp: Any, P: Any, u: Any) -> Any:
    return u * xp.linalg.inv(P).T


TIMED = {
    "matmul": Timed(lambda _, A, B: A @ B, lambda _, A, B, G: (G @ B.T, A.T @ G), lambda n: (real(f"{n} {n}"), real(f"{n} {n}"))),
    "logdet": Timed(lambda xp, P: xp.linalg.slogdet(P)[1], _inverse_transposed, lambda n: (positive_definite(f"{n}"),)),
    "AᵀP⁻¹A": Timed(_congruence, _congruence_vjp, lambda n: (real(f"{n} {n}"), positive_definite(f"{n}"))),
    "softmax": Timed(_softmax, _softmax_vjp, lambda n: (real(f"{n} {n}"),)),
    "eigh": Timed(_tanh_of, _tanh_of_vjp, lambda n: (simple_spectrum(f"{n}"),)),
}


def _symmetrised(timed: Timed, domains: Sequence[Domain]) -> tuple[Function, Function]:
    """The function and its vjp for a peer that perturbs single entries: symmetric inputs are symmetrised on the way."""
    structured = [isinstance(d, type(symmetric("n"))) for d in domains]

    def sym(x: Any, s: bool) -> Any:  # noqa: FBT001
        return (x + x.T) / 2 if s else x

    def function(xp: Any, *inputs: Any) -> Any:
        return timed.function(xp, *(sym(x, s) for x, s in zip(inputs, structured, strict=True)))

    def vjp(xp: Any, *arguments: Any) -> Any:
        answer = timed.vjp(xp, *arguments)
        answers = answer if isinstance(answer, tuple) else (answer,)
        return tuple(sym(g, s) for g, s in zip(answers, structured, strict=True))

    return function, vjp


def _contestants(timed: Timed, n: int, peers: dict[str, Peer]) -> dict[str, Callable[[int], int]]:
    """Each checker as a function of a seed that checks once with new data and says how many cases that were."""
    domains = timed.domains(n)
    function, vjp = _symmetrised(timed, domains)

    def arrays(seed: int) -> list[Any]:
        rng = np.random.default_rng(seed)
        return [np.asarray(d.point(rng.standard_normal((n, n)))) for d in domains]

    def ours(xp: ModuleType) -> Callable[[int], int]:
        f, claimed = partial(timed.function, xp), partial(timed.vjp, xp)
        return lambda seed: _good(check(f, *domains, vjp=claimed, seed=seed))

    runs = {"matcalc.check, NumPy": ours(np), "matcalc.check, JAX": ours(jnp)}
    if "torch slow" in peers:
        runs |= {f"torch {mode}": _torch_run(function, vjp, arrays, fast=mode == "fast") for mode in ("slow", "fast")}
    runs |= _jax_runs(function, vjp, arrays)
    if "HIPS autograd" in peers:
        runs["HIPS autograd"] = _hips_run(function, vjp, arrays)
    return runs


def _good(verdict: Any) -> int:
    """At how many points the verdict looked, random and special ones."""
    if not verdict.status.good:
        print(f"matcalc.check says {verdict.status}: {verdict.reason}", file=sys.stderr)
    return verdict.cases + sum(line.cases for line in verdict.census)


def _torch_run(function: Function, vjp: Function, arrays: Function, *, fast: bool) -> Callable[[int], int]:
    import torch

    class Claimed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            ctx.save_for_backward(*inputs)
            return function(torch, *inputs)

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            return vjp(torch, *ctx.saved_tensors, *cotangents)

    def run(seed: int) -> int:
        inputs = tuple(torch.tensor(x, requires_grad=True) for x in arrays(seed))
        torch.autograd.gradcheck(Claimed.apply, inputs, fast_mode=fast, raise_exception=False)
        return 1

    return run


def _jax_runs(function: Function, vjp: Function, arrays: Function) -> dict[str, Callable[[int], int]]:
    """check_grads at its defaults (both modes, of the function as JAX differentiates it) and in reverse mode of the claimed vjp."""
    plain = partial(function, jnp)
    claimed: Any = jax.custom_vjp(lambda *inputs: function(jnp, *inputs))
    claimed.defvjp(lambda *inputs: (function(jnp, *inputs), inputs), lambda inputs, u: vjp(jnp, *inputs, u))

    def run(f: Any, seed: int, **modes: Any) -> int:
        with suppress(AssertionError):  # a false alarm costs as much
            check_grads(f, [jnp.asarray(x) for x in arrays(seed)], order=1, **modes)
        return 1

    return {"JAX check_grads": partial(run, plain), "JAX check_vjp": lambda seed: run(claimed, seed, modes=["rev"])}


def _hips_run(function: Function, vjp: Function, arrays: Function) -> Callable[[int], int]:
    from autograd.extend import defvjp, primitive

    checker: Any = import_module("autograd.test_util").check_grads

    wrapped, count = primitive(lambda *inputs: function(np, *inputs)), len(arrays(0))
    defvjp(wrapped, *(lambda _, *inputs, k=k: lambda u: vjp(np, *inputs, u)[k] for k in range(count)))

    def run(seed: int) -> int:
        with suppress(AssertionError):
            checker(wrapped, tuple(range(count)), modes=["rev"], order=1)(*arrays(seed))
        return 1

    return run


def cost(peers: dict[str, Peer]) -> None:
    """Print the warm time of one case for each checker, and how many times that of `matcalc.check` it is."""
    print(f"\n## Warm time per case (of the processor, all threads): median of {ROUNDS} rounds in shuffled order\n")
    header = ""
    for name, timed in TIMED.items():
        for n in (4, 16):
            runs = _contestants(timed, n, peers)
            if not header:
                header = f"| function | n | {' | '.join(runs)} | torch slow / ours | JAX / ours |"
                print(header + "\n|---|--:|" + "--:|" * (len(runs) + 2))
            seconds = _seconds(runs)
            medians = {who: statistics.median(s) for who, s in seconds.items()}
            ratio = "–" if "torch slow" not in medians else f"{medians['torch slow'] / medians['matcalc.check, NumPy']:.1f}"
            cells = " | ".join(f"{1e3 * m:.2f} ms" for m in medians.values())
            print(f"| {name} | {n} | {cells} | {ratio} | {medians['JAX check_grads'] / medians['matcalc.check, JAX']:.1f} |", flush=True)


def _seconds(runs: dict[str, Callable[[int], int]]) -> dict[str, list[float]]:
    """Seconds per case of each checker, one number a round; the first round warms up."""
    seconds: dict[str, list[float]] = {who: [] for who in runs}
    order = list(runs)
    for round_ in range(ROUNDS + 1):
        random.Random(round_).shuffle(order)  # noqa: S311
        for who in order:
            started = time.process_time()
            cases = sum(runs[who](1000 * round_ + k) for k in range(1 if who.startswith("matcalc") else REPETITIONS))
            if round_:
                seconds[who].append((time.process_time() - started) / cases)
    return {who: seconds[who] for who in runs}


def main() -> int:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=["detection", "alarms", "cost"], default=["detection", "alarms", "cost"])
    parser.add_argument("--problems", nargs="*", help="names, or parts of names; all by default")
    parser.add_argument("--seeds", type=int, default=5, help="points for each derivative")
    parser.add_argument("--matcalc", type=Path, help="what detection.py wrote with --json")
    options = parser.parse_args()
    ours = {(a["problem"], a["kind"] + a["note"]): a["answer"] for a in json.loads(options.matcalc.read_text())} if options.matcalc else {}
    problems = [p for p in PROBLEMS if not options.problems or any(part in p.name for part in options.problems)]
    print(f"{platform.machine()}, Python {platform.python_version()}, jax {jax.__version__}, numpy {np.__version__}\n")
    peers = installed()
    with jax.enable_x64(True), catch_warnings():
        simplefilter("ignore")
        if "detection" in options.only:
            detection(peers, problems, options.seeds, ours)
        if "alarms" in options.only:
            alarms(peers, problems, options.seeds)
        if "cost" in options.only:
            cost(peers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
