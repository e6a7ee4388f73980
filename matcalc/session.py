"""Verifying many rules at once, each in a process that may die without taking the run with it.

Every run goes through worker processes, one job included: a rule that crashes, hangs or exits must cost its own verdict and
nothing else, and one way of running is one way to trust. Whoever wants a rule in this process (for a debugger) calls
`matcalc.verify.verify`, or pytest with the plugin, which do just that.
"""

from __future__ import annotations

import inspect
import os
import shlex
import signal
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import connection, get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matcalc import catalogue
from matcalc.particulars import unjudged
from matcalc.verdict import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from multiprocessing.context import SpawnProcess

    from matcalc.catalogue import AnyRule, Catalogue

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"One each: small matrices gain nothing from threads, and workers beside each other lose by them. Read when NumPy is loaded."

MOST_JOBS = 8
"As many workers as are started unasked: each holds a JAX of its own, some 400 MB."


def load(targets: Sequence[str]) -> Catalogue:
    """The rules of the targets, or of the installed catalogues if there are none."""
    return catalogue.load(targets) if targets else catalogue.installed()


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder() -> Path:
    """Where compiled code is kept between runs: `matcalc` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "matcalc"  # noqa: PTH111  (never raises)


def place(rule: AnyRule) -> tuple[str, int]:
    """File and line of a rule."""
    code = inspect.unwrap(rule.function).__code__
    return code.co_filename, code.co_firstlineno


def command(
    targets: Sequence[str], *, seed: int, profile: str, keyword: str = "", topics: Sequence[str] = (), more: Sequence[str] = ()
) -> str:
    """The shell command that verifies the same rules in the same cases again."""
    words = ["matcalc", "verify", *targets]
    words += ["-k", keyword] if keyword else []
    for topic in topics:
        words += ["--topic", topic]
    words += more
    return shlex.join([*words, "--seed", str(seed), "--profile", profile])


def verify_many(
    targets: Sequence[str],
    names: Sequence[str],
    *,
    seed: int,
    profile: str,
    jobs: int | None = None,
    timeout: float = 120.0,
    subject: str = "hand",
    wrong: bool = False,
    on_verdict: Callable[[Verdict], bool] = lambda _: True,
) -> tuple[list[Verdict], bool]:
    """Verify the rules of these names; returns their verdicts in the order of the names, and whether Ctrl-C ended the run.

    `subject` says whose derivative it is: "hand" for the rule's, "jax" or "torch" for what a framework finds for its function. With
    `wrong`, wrong versions of every good rule are judged too.

    A rule that ends its process, or takes longer than `timeout` seconds, is inconclusive and its worker is replaced.
    `on_verdict` is called with each verdict as it comes; if it returns False, no more are waited for.
    """
    rules = load(targets)
    verdicts: dict[str, Verdict] = {}
    crew = _Crew(tuple(targets), seed, profile, subject, wrong, timeout, deque(rules[name] for name in names))
    try:
        crew.start(min(jobs or min(usable_cpus(), MOST_JOBS), len(names)))
        for verdict in crew.work():
            verdicts[verdict.rule] = verdict
            if not on_verdict(verdict):
                break
    except KeyboardInterrupt:
        interrupted = True
    else:
        interrupted = False
    finally:
        crew.end()
    return [verdicts[name] for name in names if name in verdicts], interrupted


# --- this side of the pipe --------------------------------------------------------------------------------------------------


@dataclass
class _Worker:
    """A process, our end of its pipe, and the rule it has in hand (none once all have been handed out)."""

    process: SpawnProcess
    pipe: connection.Connection[Any, Any]
    rule: AnyRule
    started: float
    deadline: float


@dataclass
class _Crew:
    """The workers and what is left for them; each has its own pipe, so that one that is killed can break nothing shared."""

    targets: tuple[str, ...]
    seed: int
    profile: str
    subject: str
    wrong: bool
    timeout: float
    waiting: deque[AnyRule]
    workers: list[_Worker] = field(default_factory=list)

    def start(self, count: int) -> None:
        """Start workers, each with its first rule in hand, so that one that dies while it starts has a rule to answer for."""
        for _ in range(count):
            ours, theirs = get_context("spawn").Pipe()
            process = get_context("spawn").Process(
                target=_serve,
                args=(theirs, self.targets, self.seed, self.profile, self.subject, self.wrong),
                name="matcalc worker",
                daemon=True,
            )
            with _interrupts_held():
                process.start()
            theirs.close()
            worker = _Worker(process, ours, self.waiting.popleft(), 0.0, 0.0)
            self.workers.append(worker)
            self._hand(worker)

    def work(self) -> Iterator[Verdict]:
        """Hand out the rules one at a time, give the verdicts as they come, replace workers that are lost."""
        while self.workers:
            soonest = min(worker.deadline for worker in self.workers)
            heard = connection.wait([worker.pipe for worker in self.workers], max(0.0, soonest - time.monotonic()))
            now = time.monotonic()
            for worker in list(self.workers):
                if worker.pipe in heard:
                    yield from self._hear(worker)
                elif now > worker.deadline:
                    yield self._lose(worker, f"{worker.rule.name} took longer than {self.timeout:g} seconds and was ended")

    def _hear(self, worker: _Worker) -> Iterator[Verdict]:
        """What a worker says: that it is ready, a verdict, why there is none, or nothing more because it is gone."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(5)
            yield self._lose(worker, f"{worker.rule.name} ended the process that verified it ({_ending(worker.process.exitcode)})")
            return
        if message is None:  # it is ready
            worker.started = time.monotonic()
            worker.deadline = worker.started + self.timeout
            return
        verdict = _unfinished(worker.rule, message, time.monotonic() - worker.started) if isinstance(message, str) else message
        if self.waiting:
            worker.rule = self.waiting.popleft()
            self._hand(worker)
        else:
            self._dismiss(worker)
        yield verdict

    def _hand(self, worker: _Worker) -> None:
        """Give a worker the rule it has in hand; one that is gone is noticed when it is listened to."""
        worker.started = time.monotonic()
        worker.deadline = worker.started + self.timeout
        try:
            worker.pipe.send(worker.rule.name)
        except OSError:
            return

    def _lose(self, worker: _Worker, reason: str) -> Verdict:
        """End a worker, put another in its place if rules are left, and say so of the rule it had in hand."""
        self.workers.remove(worker)
        worker.process.kill()
        worker.process.join(5)
        worker.pipe.close()
        if self.waiting:
            self.start(1)
        return _unfinished(worker.rule, reason, time.monotonic() - worker.started)

    def _dismiss(self, worker: _Worker) -> None:
        """Let a worker that has done its part go: it ends when its pipe is closed."""
        self.workers.remove(worker)
        worker.pipe.close()

    def end(self) -> None:
        """End those that are still at work; their rules have no verdict."""
        for worker in self.workers:
            worker.process.kill()
            worker.pipe.close()
        self.workers.clear()


@contextmanager
def _interrupts_held() -> Generator[None]:
    """Ctrl-C waits until a worker is started: a new process inherits the held signal, so that only this one hears it."""
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "no exit status"
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _unfinished(rule: AnyRule, reason: str, seconds: float) -> Verdict:
    """The verdict on a rule that the verifier could not finish."""
    return replace(unjudged(rule), status=Status.INCONCLUSIVE, reason=reason, seconds=seconds)


# --- the other side ---------------------------------------------------------------------------------------------------------


def _with_wrong_versions(rule: AnyRule, verdict: Verdict, seed: int) -> Verdict:
    from matcalc.wrong import score, summary

    return replace(verdict, wrong=summary(score(rule, seed=seed)))


def _serve(pipe: connection.Connection[Any, Any], targets: Sequence[str], seed: int, profile: str, subject: str, wrong: bool) -> None:  # noqa: FBT001  (a process takes no names)
    """A worker's life: prepare, load the rules (functions cannot be sent), say so, answer each name with a verdict or a sentence."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to decide
    os.dup2(2, 1)  # what a rule prints is not data
    os.environ.update(dict.fromkeys(THREADS, "1"))
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # many small programs: a GPU is slow at them, and each worker would claim its memory
    from matcalc.subjects import by
    from matcalc.verify import prepare, verify

    prepare(cache=cache_folder())
    rules = load(targets)
    pipe.send(None)
    while True:
        try:
            rule = rules[pipe.recv()]
        except EOFError:
            return
        try:
            verdict = verify(by(subject, rule), seed=seed, profile=profile)
            pipe.send(_with_wrong_versions(rule, verdict, seed) if wrong and verdict.status.good else verdict)
        except Exception as error:  # noqa: BLE001  (a fault of the verifier must not stop the run)
            if os.environ.get("MATCALC_TRACEBACK"):
                sys.excepthook(type(error), error, error.__traceback__)
            what = f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
            pipe.send(f"matcalc itself failed while verifying {rule.name} ({what}); MATCALC_TRACEBACK=1 shows where")
