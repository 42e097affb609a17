"""Programs that die."""

import dataclasses
import os
import pathlib
import resource
import signal
import subprocess
import tempfile

from . import look, programs, wait

UNLIMITED = resource.RLIM_INFINITY


@dataclasses.dataclass
class Death:
    """How a program ended, as its parent sees it."""

    pid: int
    status: int  # of wait(2)
    output: str

    @property
    def signal(self):
        return os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else 0

    @property
    def dumped(self):
        return os.WIFSIGNALED(self.status) and os.WCOREDUMP(self.status)


def allow_cores():
    """Lets the programs of this test have any limit for cores: false if this process may not, because its hard limit is lower and
    it has not CAP_SYS_RESOURCE. Its own soft limit stays."""
    soft, _ = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, UNLIMITED))
    except (OSError, ValueError):
        return False
    return True


class Running:
    """A started program: how a test crashes something at a moment of its choice."""

    def __init__(self, argv, core_limit=UNLIMITED, user=None, cwd="/", stdin=subprocess.DEVNULL,
                 environment=None):  # fmt: skip
        self._output = tempfile.TemporaryFile()
        if user:
            argv = [programs.for_every_user(word) if isinstance(word, pathlib.Path) else word for word in argv]

        allow_cores()

        def limit():
            resource.setrlimit(resource.RLIMIT_CORE, (core_limit, UNLIMITED))

        try:
            self._process = subprocess.Popen(
                [str(argument) for argument in argv], stdin=stdin, stdout=self._output, stderr=self._output, cwd=cwd,
                user=user, group=user, env=environment, preexec_fn=limit)  # fmt: skip
        except OSError:
            self._output.close()
            raise
        self.pid = self._process.pid

    def output(self):
        """What it wrote so far, standard output and standard error in one."""
        return os.pread(self._output.fileno(), 1 << 20, 0).decode(errors="replace")

    def kill(self, number=signal.SIGSEGV):
        os.kill(self.pid, number)
        return self

    def end(self):
        """Makes sure that it is gone, in whatever state it is: for the end of a test that failed."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()

    def reap(self, seconds=60):
        """Waits for its end. One that does not come is the failure that all of obit must avoid: a process that hangs."""
        status = []

        def ended():
            pid, how = os.waitpid(self.pid, os.WNOHANG)
            status.append(how)
            return pid

        try:
            wait.until(ended, lambda: f"end of process {self.pid}: {self.output()}\n{look.at_all(look.descendants(self.pid))}",
                       seconds)  # fmt: skip
        except wait.DeadlineExceeded:
            os.kill(self.pid, signal.SIGKILL)  # frees a process that is parked in its dump
            self._process.wait()
            raise
        self._process.returncode = status[-1]  # reaped here, not by Popen: it would drop the core bit
        if self._process.stdin is not None:
            self._process.stdin.close()
        death = Death(self.pid, status[-1], self.output())
        self._output.close()
        return death


def state(pid):
    """The letter of proc_pid_stat(5), or "gone"."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def await_stop(process):
    """Waits until it has stopped itself, as the crashers do with "stop" at their end."""
    wait.until(lambda: state(process.pid) == "T", "process stopped")


def java_ready():
    """A java that waits for a debugger in its very first moment: no program to compile."""
    java = Running(["java", "-XX:ErrorFile=/dev/null", "-Xmx64m",
                    "-agentlib:jdwp=transport=dt_socket,server=y,suspend=y,address=127.0.0.1:0", "-version"])  # fmt: skip
    wait.until(lambda: "Listening" in java.output(), "java ready")
    return java


def run(argv, seconds=60, **options):
    """Runs a program to its end."""
    return Running(argv, **options).reap(seconds)
