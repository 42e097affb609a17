"""Settings of the running kernel, lent for a test; and the kernel's log.

The core pattern is one for the whole machine, and one that points at a server which no longer answers makes every later
crash hang. So whoever changes it holds the lock on LOCK, and a guardian puts everything back: a process of its own that
is no child of the test, so that it outlives whatever kills the test, and that does not wait longer than the lease.
What somebody else has set meanwhile, without the lock, stays: only values that a test wrote are taken back.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import select
import signal
import time

from . import wait

LOCK = "/run/lock/obit-core-pattern"
LOCK_SECONDS = 900  # others hold it for seconds each, but there may be many of them
TEST_SECONDS = 180  # without the wait for the lock; ctest waits for both (tests/CMakeLists.txt)
LEASE_SECONDS = 150

DIRECTORY_PREFIX = "obit-test."  # of the folder of each server of a test: what obit enable sets for it has that in it


class Sysctl(type(pathlib.Path())):
    """A setting of the kernel. What is written through it, the guardian of the test knows as its own."""

    guardian = None  # the pipe to it

    def write_text(self, text):
        if Sysctl.guardian is not None:
            os.write(Sysctl.guardian, f"{self}\t{text.strip()}\n".encode())
        with open(self, "w", encoding="utf-8") as file:
            file.write(text)


CORE_PATTERN = Sysctl("/proc/sys/kernel/core_pattern")
CORE_PIPE_LIMIT = Sysctl("/proc/sys/kernel/core_pipe_limit")
SUID_DUMPABLE = Sysctl("/proc/sys/fs/suid_dumpable")


def _take_lock():
    pathlib.Path(LOCK).parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with wait.limit(LOCK_SECONDS, f"{LOCK} free"):
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _guard(old, kept_open, done):
    """The guardian: sleeps until its test ends, in whatever way, or the lease is over; then restores."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):  # ctest waits for whoever holds its pipes
        os.dup2(null, fd)
    Sysctl.guardian = None
    told = b""
    deadline = time.monotonic() + LEASE_SECONDS
    while select.select([kept_open], [], [], max(deadline - time.monotonic(), 0))[0]:
        piece = os.read(kept_open, 4096)
        if not piece:
            break
        told += piece
    written = {tuple(line.split("\t", 1)) for line in told.decode().splitlines()}
    enabled = CORE_PATTERN.exists() and f"/{DIRECTORY_PREFIX}" in CORE_PATTERN.read_text()  # by obit, for a server of a test
    for path, value in reversed(old.items()):
        with contextlib.suppress(OSError):
            if enabled or (str(path), path.read_text().strip()) in written:
                path.write_text(value)
    os.close(done)


@contextlib.contextmanager
def settings(values):
    """Sets sysctls, {path: text}, in this order for the duration of the block, under the machine-wide lock."""
    lock = _take_lock()
    old = {path: path.read_text() for path in values}
    kept_open, test_ends = os.pipe()
    Sysctl.guardian = test_ends
    restored, done = os.pipe()
    first = os.fork()
    if first == 0:
        os.setsid()
        if os.fork() == 0:  # an orphan: no descendant of the test, which ctest kills with all its descendants
            os.close(test_ends)
            os.close(restored)
            _guard(old, kept_open, done)
        os._exit(0)
    os.waitpid(first, 0)
    os.close(kept_open)
    os.close(done)
    try:
        for path, value in values.items():
            path.write_text(value)
        yield
    finally:
        Sysctl.guardian = None
        os.close(test_ends)
        os.read(restored, 1)
        os.close(restored)
        os.close(lock)  # the guardian held it too


@contextlib.contextmanager
def more_settings(values):
    """Sets further sysctls inside a `settings` block. The test is skipped by what it then lacks, if a value is not taken."""
    old = {path: path.read_text() for path in values}
    try:
        for path, value in values.items():
            path.write_text(value)
        yield
    finally:
        for path, value in reversed(old.items()):
            path.write_text(value)


class Log:
    """The kernel's log from now on."""

    def __init__(self):
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._fd, 0, os.SEEK_END)
        self._lines = []

    def lines(self):
        """All lines since the log was opened, without prefix."""
        while True:
            try:
                record = os.read(self._fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return self._lines
            except OSError as error:
                if error.errno != errno.EPIPE:  # older lines were overwritten before they were read
                    raise
                continue
            self._lines.append(record.partition(";")[2].splitlines()[0])

    def close(self):
        os.close(self._fd)
