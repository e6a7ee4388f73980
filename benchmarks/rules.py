"""Time hand-written rules against `jax.vjp`: value and gradient together, jitted, float64, on the CPU.

    python benchmarks/rules.py [--sizes 64 256 1024] [--rules attention det] [--budget 180] [--json results.json]

A rule competes with the fastest of several ways to write its function, the rule's own value among them, so that nothing is won
by a clumsy rival; ways that overflow, cancel or round to float32 are no rivals. The first way listed is the one of a text. All
ways are timed in shuffled order within a round, and a ratio is the median of the ratios of the rounds. That all ways agree is
checked and shown. A timing is no test: the exit code is 0.

Other processes and threads that wait for each other spoil the numbers; see README.md here for how to measure on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve, expm, solve_triangular

from matcalc.array import fix_signs
from matcalc.catalogue import AnyRule, installed

Function = Callable[..., Any]
PARITY = 1 / 1.1
"A rule may not be slower than 1.1 times the best rival."
LEAST_ROUNDS, MOST_ROUNDS = 5, 100
LEAST_SECONDS = 0.5
"Rounds are made for at least this time, whatever the budget says."
LEAST_SAMPLE = 1e-3
"Short programs are called again and again until a sample takes this many seconds."


@dataclass(frozen=True)
class Bar:
    """How many times as fast as its best rival, and as the textbook's form, a rule has to be, from some size on."""

    best: float = PARITY
    textbook: float = 0.0
    least_n: int = 0


@dataclass(frozen=True)
class Case:
    """A rule, the ways to write its function (the textbook's first), sizes other than n, inputs that need care, the bar."""

    rule: str
    forms: dict[str, Function]
    sizes: dict[str, int] = field(default_factory=dict)
    prepare: Function = lambda *inputs: inputs
    bar: Bar = Bar()


@dataclass(frozen=True)
class Row:
    """What was measured of one rule at one size; times in seconds, ratios to the hand-written rule (above 1: slower than it)."""

    rule: str
    n: int
    rounds: int
    hand: float
    best: str
    best_ratio: float
    textbook: str
    textbook_ratio: float
    ratios: dict[str, float]
    disagreement: float
    bar: str
    passed: bool


# --- the ways to write each function -----------------------------------------------------------------------------------------


def _trace_by_cholesky(P: Any, B: Any) -> Any:
    V = solve_triangular(jnp.linalg.cholesky(P), B, lower=True)
    return jnp.sum(V * V)


def _logdet_by_cholesky(K: Any) -> Any:
    return 2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(K))))


def _eigh(S: Any) -> Any:
    lam, V = jnp.linalg.eigh(S)
    return lam, V * jax.lax.stop_gradient(fix_signs(V))


def _softmax(Z: Any) -> Any:
    E = jnp.exp(Z - jnp.max(Z, axis=1, keepdims=True))
    return E / jnp.sum(E, axis=1, keepdims=True)


def _layer_norm(X: Any, gamma: Any, beta: Any) -> Any:
    centred = X - jnp.mean(X, axis=1, keepdims=True)
    return centred / jnp.sqrt(jnp.var(X, axis=1, keepdims=True) + 1e-5) * gamma + beta


def _layer_norm_by_squares(X: Any, gamma: Any, beta: Any) -> Any:
    centred = X - jnp.mean(X, axis=1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(centred * centred, axis=1, keepdims=True) + 1e-5) * gamma + beta


def _attention(Q: Any, K: Any, V: Any) -> Any:
    return jax.nn.softmax(Q @ K.T / jnp.sqrt(Q.shape[1]), axis=1) @ V


def _rbf_by_differences(X: Any, gamma: Any) -> Any:
    differences = X[:, None, :] - X[None, :, :]
    return jnp.sum(jnp.exp(-gamma * jnp.sum(differences * differences, axis=2)))


def _rbf_by_product(X: Any, gamma: Any) -> Any:
    squares = jnp.sum(X * X, axis=1)
    return jnp.sum(jnp.exp(-gamma * (squares[:, None] + squares[None, :] - 2 * X @ X.T)))


def _autoencoder(reconstruct: Function) -> Function:
    def loss(W: Any, x: Any) -> Any:
        r = reconstruct(W, x) - x
        return r @ r

    return loss


def _relu_network(activation: Function) -> Function:
    def loss(X: Any, W1: Any, w2: Any, t: Any) -> Any:
        return jnp.mean((activation(X @ W1.T) @ w2 - t) ** 2) / 2

    return loss


CASES = (
    Case("matmul", {"X W": lambda X, W: X @ W}),
    Case("inverse", {"inv": jnp.linalg.inv, "solve(X, I)": lambda X: jnp.linalg.solve(X, jnp.eye(X.shape[0]))}),
    Case("linear_solve", {"inv(A) B": lambda A, B: jnp.linalg.inv(A) @ B, "solve": jnp.linalg.solve}),
    Case(
        "det",
        {"det": jnp.linalg.det},
        prepare=lambda X: (X * jnp.exp(-jnp.linalg.slogdet(X)[1] / X.shape[0]),),  # else it overflows at 1024
    ),
    Case(
        "logdet",
        {"slogdet": lambda K: jnp.linalg.slogdet(K)[1], "cholesky": _logdet_by_cholesky},
        prepare=lambda K: (2 * K / jnp.linalg.norm(K, 2),),  # a logarithm near zero would have no relative accuracy
    ),
    Case(
        "inverse_quadratic",
        {
            "A' inv(P) A": lambda A, P: A.T @ jnp.linalg.inv(P) @ A,
            "A' solve": lambda A, P: A.T @ jnp.linalg.solve(P, A),
            "A' cho_solve": lambda A, P: A.T @ cho_solve(cho_factor(P), A),
        },
        bar=Bar(best=1.6),
    ),
    Case(
        "trace_inverse_product",
        {
            "tr(inv(P) BB')": lambda P, B: jnp.trace(jnp.linalg.inv(P) @ (B @ B.T)),
            "sum(B * inv(P) B)": lambda P, B: jnp.sum(B * (jnp.linalg.inv(P) @ B)),
            "sum(B * solve)": lambda P, B: jnp.sum(B * jnp.linalg.solve(P, B)),
            "sum(B * cho_solve)": lambda P, B: jnp.sum(B * cho_solve(cho_factor(P), B)),
            "|inv(L) B|^2": _trace_by_cholesky,
        },
        bar=Bar(best=1.9),
    ),
    Case(
        "trace_axbxt",
        {
            "tr(A X B X')": lambda A, X, B: jnp.trace(A @ X @ B @ X.T),
            "sum(AXB * X)": lambda A, X, B: jnp.sum((A @ X @ B) * X),
            "sum(AX * XB')": lambda A, X, B: jnp.sum((A @ X) * (X @ B.T)),
        },
    ),
    Case("cholesky", {"cholesky": jnp.linalg.cholesky}),
    Case("eigenvalues_symmetric", {"eigvalsh": jnp.linalg.eigvalsh}),
    Case("eigh", {"eigh, signs fixed": _eigh}),
    Case(
        "nuclear_norm",
        {"sum(svd)": lambda A: jnp.sum(jnp.linalg.svd(A, compute_uv=False)), "norm nuc": lambda A: jnp.linalg.norm(A, "nuc")},
    ),
    Case(
        "softmax_rows",
        {"shifted exp / sum": _softmax, "jax.nn": lambda Z: jax.nn.softmax(Z, axis=1)},
    ),
    Case(
        "softmax_cross_entropy_rows",
        {
            "-Y log_softmax": lambda Z, Y: -jnp.sum(Y * jax.nn.log_softmax(Z, axis=1)) / Z.shape[0],
            "logsumexp": lambda Z, Y: jnp.mean(jax.nn.logsumexp(Z, axis=1) - jnp.sum(Y * Z, axis=1)),
        },
    ),
    Case("layer_norm", {"mean, var": _layer_norm, "mean of squares": _layer_norm_by_squares}),
    Case("attention", {"softmax": _attention}, sizes={"d": 64, "v": 64}),
    Case(
        "rbf_kernel_sum",
        {"differences": _rbf_by_differences, "product": _rbf_by_product},
        sizes={"d": 32},
        prepare=lambda X, gamma: (X, 0 * gamma + 1 / (2 * X.shape[1])),  # else all rows are far apart
        bar=Bar(best=2, textbook=20, least_n=256),
    ),
    Case(
        "tied_autoencoder",
        {
            "(W'W) x": _autoencoder(lambda W, x: (W.T @ W) @ x),
            "W'(W x)": _autoencoder(lambda W, x: W.T @ (W @ x)),
            "(W x) W": _autoencoder(lambda W, x: (W @ x) @ W),
        },
    ),
    Case("relu_network", {"maximum": _relu_network(lambda A: jnp.maximum(A, 0)), "jax.nn": _relu_network(jax.nn.relu)}),
    Case("quadratic_form", {"x' (B x)": lambda x, B: x @ (B @ x), "(x' B) x": lambda x, B: (x @ B) @ x}),
    Case("matrix_exponential", {"expm": expm}, prepare=lambda A: (A / jnp.sqrt(A.shape[0]),)),
)


# --- measuring ---------------------------------------------------------------------------------------------------------------


def _inputs(case: Case, rule: AnyRule, n: int, seed: int) -> tuple[Any, ...]:
    """A point of the rule's domains with all sizes n but those the case fixes; gains and signs of no consequence."""
    generator = np.random.default_rng(seed)
    points = []
    for domain in rule.domains.values():
        sizes = {dimension.name: case.sizes.get(dimension.name, n) for dimension in domain.dims}
        points.append(domain.point(jnp.asarray(generator.standard_normal(domain.shape(sizes)))))
    return tuple(jnp.asarray(x, dtype=jnp.float64) for x in case.prepare(*points))


def _programs(case: Case, rule: AnyRule) -> dict[str, Function]:
    """Jitted functions of inputs and cotangent that return value and gradient, the hand-written one first."""

    def by_hand(inputs: tuple[Any, ...], cotangent: Any) -> Any:
        at = rule.function(*inputs)
        return at.value, at.vjp(*(cotangent if isinstance(cotangent, tuple) else (cotangent,)))

    def by_autodiff(form: Function) -> Function:
        def program(inputs: tuple[Any, ...], cotangent: Any) -> Any:
            value, pull = jax.vjp(form, *inputs)
            return value, pull(jax.tree.unflatten(jax.tree.structure(value), jax.tree.leaves(cotangent)))

        return jax.jit(program)

    forms = case.forms | {"the rule's value": lambda *inputs: rule.function(*inputs).value}
    return {"hand": jax.jit(by_hand)} | {name: by_autodiff(form) for name, form in forms.items()}


def _disagreement(rule: AnyRule, inputs: Sequence[Any], outputs: dict[str, Any]) -> float:
    """The largest relative difference of value or gradient from the hand-written one, gradients seen along tangents only."""

    def leaves(output: Any) -> list[Any]:
        value, gradients = output
        free = jax.tree.leaves(gradients)
        domains = rule.domains.values()
        return jax.tree.leaves(value) + [d.tangent(x, g) for d, x, g in zip(domains, inputs, free, strict=True)]

    hand = leaves(outputs["hand"])
    differences = [
        float(jnp.linalg.norm(jnp.ravel(a - b)) / jnp.maximum(jnp.linalg.norm(jnp.ravel(b)), 1e-300))
        for output in outputs.values()
        for a, b in zip(leaves(output), hand, strict=True)
    ]
    return float(np.max(differences))  # NaN, if one is


def _sample(program: Function, arguments: tuple[Any, ...], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        jax.block_until_ready(program(*arguments))
    return (time.perf_counter() - start) / calls


def _measure(case: Case, rule: AnyRule, n: int, seconds: float, seed: int) -> Row:
    """Compile, compare, and time in shuffled rounds until the seconds are over."""
    end = time.perf_counter() + seconds
    inputs = _inputs(case, rule, n, seed)
    programs = _programs(case, rule)
    shapes = jax.eval_shape(lambda *inputs: rule.function(*inputs).value, *inputs)
    generator = np.random.default_rng(seed + 1)
    cotangent = tuple(jnp.asarray(generator.standard_normal(leaf.shape)) for leaf in jax.tree.leaves(shapes))
    arguments = (inputs, cotangent if len(cotangent) > 1 else cotangent[0])

    outputs = {name: jax.block_until_ready(program(*arguments)) for name, program in programs.items()}
    disagreement = _disagreement(rule, inputs, outputs)
    del outputs
    calls = {name: max(1, round(LEAST_SAMPLE / _sample(program, arguments, 1))) for name, program in programs.items()}

    times: dict[str, list[float]] = {name: [] for name in programs}
    order, shuffle = list(programs), random.Random(seed)  # noqa: S311  (no secret)
    rounds = 0
    end = max(end, time.perf_counter() + LEAST_SECONDS)
    while rounds < LEAST_ROUNDS or (rounds < MOST_ROUNDS and time.perf_counter() < end):
        shuffle.shuffle(order)
        for name in order:
            times[name].append(_sample(programs[name], arguments, calls[name]))
        rounds += 1

    ratios = {
        name: statistics.median(a / b for a, b in zip(times[name], times["hand"], strict=True)) for name in programs if name != "hand"
    }
    best, textbook = min(ratios, key=ratios.__getitem__), next(iter(ratios))
    bar = case.bar if n >= case.bar.least_n else Bar()
    return Row(
        rule=case.rule,
        n=n,
        rounds=rounds,
        hand=statistics.median(times["hand"]),
        best=best,
        best_ratio=ratios[best],
        textbook=textbook,
        textbook_ratio=ratios[textbook],
        ratios=ratios,
        disagreement=disagreement,
        bar=f"{bar.best:.2f}" + (f", textbook {bar.textbook:g}" if bar.textbook else ""),
        passed=ratios[best] >= bar.best and ratios[textbook] >= bar.textbook,
    )


# --- showing -----------------------------------------------------------------------------------------------------------------


def _duration(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms"


def _table_row(row: Row) -> str:
    cells = [
        row.rule,
        str(row.n),
        str(row.rounds),
        _duration(row.hand),
        row.best,
        f"{row.best_ratio:.2f}",
        f"{row.textbook_ratio:.2f}",
        row.bar,
        "pass" if row.passed else "MISS",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = "| rule | n | rounds | hand | best of autodiff | best / hand | textbook / hand | bar | |\n|---|--:|--:|--:|---|--:|--:|--:|---|"


def _machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS") or name == "XLA_FLAGS"},
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
        "device": str(jax.devices()[0]),
    }


def main() -> None:
    """Read the command line, measure, print a Markdown table."""
    parser = argparse.ArgumentParser(description="Time hand-written rules against jax.vjp (value and gradient, jitted, float64).")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 1024], metavar="N")
    parser.add_argument("--rules", nargs="+", default=[], metavar="WORD", help="only rules whose name holds one of the words")
    parser.add_argument("--budget", type=float, default=180, metavar="SECONDS", help="about how long all may take (default: 180)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="PATH", help="write all ratios as JSON; - for stdout, the table then goes to stderr")
    options = parser.parse_args()
    out = sys.stderr if options.json == "-" else sys.stdout

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    catalogue = installed()
    cases = [case for case in CASES if not options.rules or any(word in case.rule for word in options.rules)]
    machine = _machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items() if value not in ({}, None)), file=out)
    print(f"\n{HEAD}", file=out, flush=True)

    end = time.perf_counter() + options.budget
    jobs = [(case, n) for n in sorted(options.sizes) for case in cases]
    rows = []
    for position, (case, n) in enumerate(jobs):
        share = (256 + n) / sum(
            256 + size for _, size in jobs[position:]
        )  # compiling takes its time at any size, rounds more at a large one
        row = _measure(case, catalogue[case.rule], n, share * max(end - time.perf_counter(), 0), options.seed)
        rows.append(row)
        print(_table_row(row), file=out, flush=True)

    if rows:
        worst = max(rows, key=lambda row: row.disagreement if row.disagreement == row.disagreement else float("inf"))
        print(f"\nLargest relative disagreement of two forms: {worst.disagreement:.1e} ({worst.rule}, n = {worst.n})", file=out)
    missed = [f"{row.rule} at {row.n}" for row in rows if not row.passed]
    print(f"Missed: {', '.join(missed)}" if missed else "Every bar is met.", file=out)
    if options.json:
        text = json.dumps({"machine": machine, "seed": options.seed, "rows": [asdict(row) for row in rows]}, indent=1) + "\n"
        if options.json == "-":
            print(text, end="")
        else:
            Path(options.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
