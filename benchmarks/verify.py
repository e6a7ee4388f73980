"""Measure `matcalc verify` on the whole catalogue: wall time and memory, with no cache and again with the cache it left.

    python benchmarks/verify.py [--seeds 0 1 2] [--profile default] [--jobs N]

Each seed gets a fresh cache (a temporary XDG_CACHE_HOME), a cold run and a second one. Memory is the largest sum, over all
processes of the run together, of the resident set sizes in /proc, looked at twenty times a second: pages that processes share
count for each of them, so that the sum errs upwards. Without /proc (other systems than Linux) no memory is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PROC = Path("/proc")
INTERVAL = 0.05
"Seconds between two looks at the memory."


@dataclass(frozen=True)
class Measurement:
    """One run: seconds, bytes (None where unknown), how many rules of each verdict, the exit code."""

    seconds: float
    peak: int | None
    verdicts: dict[str, int]
    code: int


def _resident(root: int) -> int:
    """Bytes in memory of a process and all that descend from it."""
    pages: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            after_name = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        children.setdefault(int(after_name[1]), []).append(int(folder.name))
        pages[int(folder.name)] = int(after_name[21])
    family = [root]
    for process in family:
        family += children.get(process, [])
    return sum(pages.get(process, 0) for process in family) * os.sysconf("SC_PAGE_SIZE")


def _run(arguments: list[str], cache: Path, results: Path) -> Measurement:
    """`matcalc verify` with these arguments in a process of its own."""
    results.unlink(missing_ok=True)
    command = [sys.executable, "-m", "matcalc", "verify", *arguments, "--no-html", "--no-progress", "--json", str(results)]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    peak = 0 if PROC.is_dir() else None
    start = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        while process.poll() is None:
            if peak is not None:
                peak = max(peak, _resident(process.pid))
            time.sleep(INTERVAL)
        seconds = time.perf_counter() - start
        complaint = process.stderr.read() if process.stderr else ""
    if not results.exists():
        raise SystemExit(f"matcalc verify ended with code {process.returncode} and wrote no results:\n{complaint}")
    return Measurement(seconds, peak, _verdicts(results), process.returncode)


def _verdicts(results: Path) -> dict[str, int]:
    verdicts = json.loads(results.read_text(encoding="utf-8"))["verdicts"]
    return dict(Counter(verdict["status"] for verdict in verdicts))


def main() -> None:
    """Read the command line, measure, print a Markdown table; exit with 1 if a rule was not verified."""
    parser = argparse.ArgumentParser(description="Measure matcalc verify on the whole catalogue.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N")
    parser.add_argument("--profile", choices=["quick", "default", "thorough"], default="default")
    parser.add_argument("--jobs", type=int, metavar="N", help="worker processes; matcalc decides if absent")
    options = parser.parse_args()

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    print(f"{cores} cores, Python {platform.python_version()}, JAX {version('jax')}, profile {options.profile}{load}")
    print("\n| seed | cache | wall time | peak memory, all processes | verdicts |\n|--:|---|--:|--:|---|", flush=True)
    failed = False
    for seed in options.seeds:
        arguments = ["--seed", str(seed), "--profile", options.profile] + (["--jobs", str(options.jobs)] if options.jobs else [])
        with tempfile.TemporaryDirectory() as folder:
            for cache in ("cold", "warm"):
                run = _run(arguments, Path(folder) / "cache", Path(folder) / "results.json")
                memory = "unknown" if run.peak is None else f"{run.peak / 2**20:.0f} MiB"
                verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(run.verdicts.items()))
                print(f"| {seed} | {cache} | {run.seconds:.1f} s | {memory} | {verdicts} |", flush=True)
                failed |= run.code != 0
    print("\nNot every rule was verified." if failed else "\nEvery rule was verified.")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
