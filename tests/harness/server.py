"""obitd in the foreground, on a store and sockets of its own."""

import contextlib
import ctypes
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from . import kernel, look, programs, wait

PR_SET_PDEATHSIG = 1
TRANSPORTS = ("socket-request", "socket", "pipe")
SEATS = {"manager": 1, "inspect": 4, "capture": 4, "pump": 4, "clerk": 1, "launch": 1}  # the processes of each role
REPLACED_MAX = 20  # seconds

# Becomes the program given behind "--", with the descriptors before it as the sockets that systemd would pass on.
ACTIVATE = """import fcntl, os, sys
end = sys.argv.index("--")
passed = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 64) for fd in sys.argv[1:end]]
for number, fd in enumerate(passed, 3):
    os.dup2(fd, number)
os.environ |= {"LISTEN_FDS": str(len(passed)), "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[end + 1], sys.argv[end + 1:])"""


def die_with_parent():
    """For a child before exec: no server outlives a test that was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Sockets:
    """The sockets of a server, as a service manager holds them: crashes wait there while no obitd runs."""

    def __init__(self, server):
        self._sockets = []
        for path, kind in ((server.socket, socket.SOCK_STREAM), (server.pipe_socket, socket.SOCK_SEQPACKET)):
            listener = socket.socket(socket.AF_UNIX, kind)
            self._sockets.append(listener)
            listener.bind(str(path))
            listener.listen(4096)

    def options(self):
        """For Server.start()."""
        fds = [listener.fileno() for listener in self._sockets]
        return {"through": [sys.executable, "-c", ACTIVATE, *map(str, fds), "--"], "pass_fds": fds}

    def close(self):
        for listener in self._sockets:
            listener.close()


class Server:
    """One obitd. `directory` holds its sockets and its log; the store is a folder in it unless given."""

    def __init__(self, directory, store=None, config=None):
        self.directory = pathlib.Path(directory)
        self.store = pathlib.Path(store or self.directory / "store")
        self.socket = self.directory / "coredump.socket"
        self.pipe_socket = self.directory / "pipe.socket"
        self.config = self.directory / "obit.toml"
        self.configure(config or "")
        self.log_path = self.directory / "obitd.log"
        self.program = programs.OBITD
        self.process = None
        self.ready_line = ""

    def configure(self, text, limits_loops=False):
        """What obit.toml says. Tests crash one program again and again, on small disks: that is no crash loop, and no store that is
        too large, unless told so."""
        text += "" if limits_loops else "\n[crash_loop]\ncores = 0\n[budget]\nuser_crashes = 0\nunit_crashes = 0\n"
        self.config.write_text(text + ("" if "[retention]" in text else "\n[retention]\nenabled = false\n"))

    def start(self, environment=None, through=(), pass_fds=(), log_to=None):
        """Starts obitd, by the command `through` if given, and returns when it says that it is ready. `log_to`: a descriptor that
        it logs to instead of its file."""
        program = programs.for_every_user(self.program)  # it becomes a user of its own, and so does what it starts
        with open(self.log_path if log_to is None else os.dup(log_to), "ab", buffering=0) as log:
            self.process = subprocess.Popen(
                [*through, program, "--store", self.store, "--socket", self.socket, "--pipe-socket", self.pipe_socket,
                 "--config", self.config],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, pass_fds=pass_fds,
                env=os.environ | {"OBIT_SYSTEM_CALLS": "kill"} | (environment or {}), preexec_fn=die_with_parent)  # fmt: skip
        if self.look not in wait.witnesses:
            wait.witnesses.append(self.look)
        self.ready_line = self._read_line(30)
        if not self.ready_line.startswith("obitd: ready"):
            self.kill()
            raise AssertionError(f'obitd is not ready: "{self.ready_line}"\n{self.log()}')
        return self

    def _read_line(self, seconds):
        line = b""
        out = self.process.stdout.fileno()
        while not line.endswith(b"\n"):
            if not select.select([out], [], [], seconds)[0]:
                raise wait.DeadlineExceeded(f"obitd said nothing for {seconds} s\n{self.log()}")
            piece = os.read(out, 1)
            if not piece:
                break
            line += piece
        return line.decode()

    def log(self):
        """What it wrote to standard error so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_for_log(self, text, seconds=30):
        wait.until(lambda: text in self.log(), lambda: f'"{text}" in the log of obitd:\n{self.log()}', seconds)

    def processes(self):
        """All of obitd's processes, by pid: the first one is the supervisor."""
        return look.descendants(self.process.pid)

    def role(self, name):
        """Those of its processes that bear this name, by pid."""
        return [pid for pid in self.processes() if look.comm(pid) == name]

    def seats(self):
        """How many processes there are of each role."""
        names = [look.comm(pid) for pid in self.processes()]
        return {role: names.count(f"obitd-{role}") for role in SEATS}

    def await_whole(self):
        """Every seat is taken."""
        wait.until(lambda: self.seats() == SEATS, lambda: f"{SEATS}: there are {self.seats()}", REPLACED_MAX)

    @contextlib.contextmanager
    def paused(self, name):
        """Those of its processes that bear this name stand still in the block; and the supervisor, which would replace them."""
        pids = [self.process.pid, *self.role(name)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    def look(self):
        """How its processes stand, for the message of a failed test."""
        return f"obitd's processes:\n{look.at_all(self.processes())}"

    def metrics(self, seconds=30):
        """{name with labels: value} of the numbers that it keeps, once there are any."""
        path = self.store / "metrics.prom"
        text = wait.until(lambda: path.is_file() and path.read_text(), f"{path}", seconds)
        lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def core_pattern(self, transport):
        """The pattern with which the kernel reaches this server."""
        if transport == "pipe-by-pid":  # as of a kernel that does not know %F
            return self.core_pattern("pipe").replace("%F", "")
        if transport == "pipe":
            # By a short name: the kernel takes 127 bytes in all, and a build directory may be deep.
            helper = self.directory / "obit-pipe"
            if not helper.exists() and programs.kernel_finds(programs.OBIT_PIPE.resolve()):
                helper.symlink_to(programs.OBIT_PIPE.resolve())
            elif not helper.exists():  # in a chroot that has /run in common with the system
                shutil.copy(programs.OBIT_PIPE, helper)
            return f"|{helper} {self.pipe_socket} F%F P%P I%I s%s t%t d%d c%c U%u"
        return {"socket-request": "@@", "socket": "@"}[transport] + str(self.socket)

    def wait(self, seconds=60):
        """The exit code, once it has ended."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise wait.DeadlineExceeded(f"obitd did not end within {seconds} s\n{self.log()}") from None
        self.process.stdout.close()
        return code

    def stop(self):
        """Asks it to end, and returns the exit code."""
        self.process.terminate()
        return self.wait()

    def kill(self):
        """Makes sure that it is gone, whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.wait()
        if self.look in wait.witnesses:
            wait.witnesses.remove(self.look)


def make_directory(where=None):
    """A folder for a server, and for programs that every user may execute. Its path is short, and the kernel follows no symlink
    on the way to a socket: so it lies below /run, if that is not mounted with noexec."""
    where = where or ("/run" if programs.may_execute_in("/run") else "/var/tmp")
    directory = tempfile.TemporaryDirectory(dir=where, prefix=kernel.DIRECTORY_PREFIX)
    os.chmod(directory.name, 0o755)  # obitd becomes a user of its own
    return directory
