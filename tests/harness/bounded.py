"""Programs that get damaged input: each runs with little memory and little time, and what it prints is looked at."""

import dataclasses
import os
import re
import resource
import signal
import subprocess
import tempfile
import threading

from . import server

# Whatever could move a cursor, hide text or begin a line of its own.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
ADDRESSES, PROCESSOR_SECONDS, SECONDS, FILE_BYTES = 1 << 30, 20, 60, 1 << 30
SANITIZED = "ASAN_OPTIONS" in os.environ  # it reserves terabytes of addresses


@dataclasses.dataclass
class End:
    """How a program ended."""

    status: int  # as subprocess has it: negative after a signal
    out: bytes
    err: bytes
    seconds: float  # of processor time
    resident: int  # bytes, the most that it or a child of it had
    hung: bool

    def text(self):
        return (self.out + self.err).decode(errors="replace")

    def complaints(self, allowed=""):
        """What no input may bring about. `allowed`: characters that may be printed, though they are not safe."""
        if self.hung:
            yield f"it did not end within {SECONDS} s"
        elif self.status < 0:
            yield f"it died of {signal.Signals(-self.status).name}"
        try:
            text = (self.out + self.err).decode().translate(dict.fromkeys(map(ord, allowed), " "))
        except UnicodeDecodeError as error:
            yield f"it printed what is not UTF-8: {error}"
            return
        if found := UNSAFE.search(text):
            yield f"it printed {found[0]!r}: {text[max(found.start() - 60, 0) : found.end() + 60]!r}"


def _limit():
    os.setsid()
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    server.die_with_parent()


def run(command, cwd, environment=None):
    """Runs a program to its end, and whatever it has started."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen([os.fspath(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                   cwd=cwd, env=environment, preexec_fn=_limit)  # fmt: skip
        hung = threading.Event()

        def end():
            hung.set()
            os.killpg(process.pid, signal.SIGKILL)

        alarm = threading.Timer(SECONDS, end)
        alarm.start()
        _, status, usage = os.wait4(process.pid, 0)
        alarm.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)  # reaped here, not by Popen
        out.seek(0)
        err.seek(0)
        seconds = usage.ru_utime + usage.ru_stime
        return End(process.returncode, out.read(), err.read(), seconds, usage.ru_maxrss * 1024, hung.is_set())
