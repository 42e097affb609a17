"""Waiting for what another process does."""

import contextlib
import signal
import time


witnesses = []  # functions without arguments, each of which says how things stand when something did not come


class DeadlineExceeded(AssertionError):
    """What was waited for did not come. The message ends with what the witnesses say."""

    def __init__(self, message):
        super().__init__("\n".join([message, *(witness() for witness in witnesses)]))


def until(condition, what, seconds=60):
    """Returns the first true value of `condition()`; fails with `what` once the deadline has passed.

    The pause between two looks only spares the processor: no test depends on how long it is.
    """
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() >= deadline:
            raise DeadlineExceeded(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.01)


@contextlib.contextmanager
def limit(seconds, what):
    """Fails with `what` if the block takes longer. In another such block: that one's time stands still meanwhile."""

    def passed(*_):
        raise DeadlineExceeded(f"not within {seconds} s: {what}")

    handler = signal.signal(signal.SIGALRM, passed)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left)
