"""Waiting for what another process does."""

import time


class DeadlineExceeded(AssertionError):
    """What was waited for did not come."""


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
