"""Time: whatever is asked, an answer comes within seconds.

Loops ask whether time is up. Where one step alone takes too long a signal ends it, which only the main thread can be sent, and only
where nobody else waits for that signal.
"""

from __future__ import annotations

import gc
import math
import signal
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

SECONDS = 10.0
"The time that a claim has."
GRACE = 0.5
"Seconds from the end of the time to the first signal, and from one signal to the next, for what goes on after the first."
LATE = "it takes too long"
POSIX = hasattr(signal, "setitimer")


class OutOfTimeError(RuntimeError):
    """Something takes longer than it may."""


_END: ContextVar[float] = ContextVar("_END", default=math.inf)


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Something that may take so long; OutOfTimeError from `check`, and in the main thread from anywhere, after that."""
    token = _END.set(min(_END.get(), time.perf_counter() + seconds))
    try:
        with _alarm(seconds):
            yield
    finally:
        _END.reset(token)


def is_up() -> bool:
    """Whether no time is left."""
    return time.perf_counter() > _END.get()


def check() -> None:
    """OutOfTimeError if no time is left."""
    if is_up():
        raise OutOfTimeError(LATE)


def _ring(_: int, frame: FrameType | None) -> None:
    collecting = [getattr(callback, "__code__", None) for callback in gc.callbacks]  # JAX, Hypothesis and others have some
    while frame is not None:
        if frame.f_code.co_name == "__del__" or frame.f_code.co_filename == weakref.__file__ or frame.f_code in collecting:
            return  # Python would print what is raised here and go on: the next signal is for us
        frame = frame.f_back
    raise OutOfTimeError(LATE)


@contextmanager
def _alarm(seconds: float) -> Generator[None]:
    """Signals after so many seconds and from then on, if they can be had; whoever had the signal before has it again in the end."""
    before = signal.getsignal(signal.SIGALRM) if threading.current_thread() is threading.main_thread() and POSIX else None
    if before not in {signal.SIG_DFL, _ring}:
        yield
        return
    started = time.perf_counter()
    left = signal.getitimer(signal.ITIMER_REAL)[0]  # of whoever is waiting for us; a timer without a handler is nobody's
    signal.signal(signal.SIGALRM, _ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, min(seconds + GRACE, left or math.inf), GRACE)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, max(left - (time.perf_counter() - started), GRACE / 10) if before is _ring else 0.0, GRACE)
        signal.signal(signal.SIGALRM, before)
