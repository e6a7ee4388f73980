"""Processes that do the work, so that what takes too long or too much can be ended: nothing they do stops whoever asked.

A question that takes longer than it may, or that brings its process down, costs that process, and another takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

STARTED = 60.0
"Seconds in which a process must be up."
MEMORY = 6 * 2**30
"Bytes of address space that a process may use, where the system can see to it."

_CONTEXT = multiprocessing.get_context("spawn")  # a fork would copy the threads of the server in whatever state they are


class TooLongError(Exception):
    """The question took longer than it may; the process that worked on it was killed."""


class BrokenError(Exception):
    """The question brought the process that worked on it down."""


class BusyError(Exception):
    """As many questions as may wait are waiting already."""


class Workers:
    """A few processes that answer questions by one function, which must be found by its name in a module.

    Each answers the question `first` for itself before it is ready, so that what is slow once has been done.
    """

    def __init__(self, answer: Callable[[Any], Any], *, count: int, waiting: int, first: Any) -> None:
        self._answer, self._first = answer, first
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()  # the last one is the warmest
        self._room = threading.BoundedSemaphore(count + waiting)
        self._lock = threading.Lock()
        self._all: set[_Worker] = set()
        self._closed = False
        for _ in range(count):
            self._idle.put(self._another())

    def ask(self, question: Any, seconds: float) -> Any:
        """The answer, waited for in this thread; TooLongError, BrokenError or BusyError if there is none."""
        if not self._room.acquire(blocking=False):
            raise BusyError
        try:
            worker = self._idle.get()
            try:
                return worker.ask(question, seconds)
            except (TooLongError, BrokenError):
                worker = self._instead_of(worker)
                raise
            finally:
                self._idle.put(worker)
        finally:
            self._room.release()

    def close(self) -> None:
        """Kills the processes; whoever waits for an answer gets a BrokenError."""
        with self._lock:
            self._closed = True
            for worker in self._all:
                worker.end()

    def processes(self) -> list[int]:
        """The numbers of the processes there are."""
        with self._lock:
            return [worker.process.pid or 0 for worker in self._all]

    def _another(self) -> _Worker:
        worker = _Worker(self._answer, self._first)
        self._all.add(worker)
        return worker

    def _instead_of(self, worker: _Worker) -> _Worker:
        worker.end()
        with self._lock:
            if self._closed:
                return worker
            worker.pipe.close()
            self._all.discard(worker)
            return self._another()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, answer: Callable[[Any], Any], first: Any) -> None:
        self.pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_work, args=(theirs, answer, first), daemon=True)
        with _deaf_to_interrupts():
            self.process.start()
        theirs.close()
        self.ready = False

    def ask(self, question: Any, seconds: float) -> Any:
        try:
            if not self.ready:  # the time it takes to start is not the question's
                if not self.pipe.poll(STARTED):
                    raise BrokenError
                self.pipe.recv()
                self.ready = True
            self.pipe.send(question)
            if not self.pipe.poll(seconds):
                raise TooLongError
            return self.pipe.recv()
        except (EOFError, OSError) as error:
            raise BrokenError from error

    def end(self) -> None:
        """Kills the process. The pipe is left to whoever reads from it, who is told of its end."""
        self.process.kill()
        self.process.join(5)


@contextmanager
def _deaf_to_interrupts() -> Generator[None, None, None]:
    """Ctrl-C goes to all processes of a terminal; one that is started here does not hear it, and is ended by the server."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it hears interrupts again once it has been started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Any, answer: Callable[[Any], Any], first: Any) -> None:
    """What a process does all its life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _confine()
    answer(first)
    with suppress(EOFError, OSError):
        pipe.send("ready")
        while True:
            pipe.send(answer(pipe.recv()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _confine() -> None:
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limits, macOS does not keep them
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
