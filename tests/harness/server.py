"""obitd in the foreground, on a store and sockets of its own."""

import ctypes
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile

from . import kernel, programs, wait

PR_SET_PDEATHSIG = 1
TRANSPORTS = ("socket-request", "socket", "pipe")


def die_with_parent():
    """For a child before exec: no server outlives a test that was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


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
        """What obit.toml says. Tests crash one program again and again: that is no crash loop unless told so."""
        self.config.write_text(text + ("" if limits_loops else "\n[crash_loop]\ncrashes = 0\n"))

    def start(self, environment=None, through=(), pass_fds=()):
        """Starts obitd, by the command `through` if given, and returns when it says that it is ready."""
        program = programs.for_every_user(self.program)  # it becomes a user of its own, and so does what it starts
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*through, program, "--store", self.store, "--socket", self.socket, "--pipe-socket", self.pipe_socket,
                 "--config", self.config],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, pass_fds=pass_fds,
                env=os.environ | {"OBIT_SYSTEM_CALLS": "kill"} | (environment or {}), preexec_fn=die_with_parent)  # fmt: skip
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
        """The manager and its workers, by pid."""
        pid = self.process.pid
        return [pid] + [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def core_pattern(self, transport):
        """The pattern with which the kernel reaches this server."""
        if transport == "pipe":
            # By a short name: the kernel takes 127 bytes in all, and a build directory may be deep.
            helper = self.directory / "obit-pipe"
            if not helper.exists() and programs.kernel_finds(programs.OBIT_PIPE.resolve()):
                helper.symlink_to(programs.OBIT_PIPE.resolve())
            elif not helper.exists():  # in a chroot that has /run in common with the system
                shutil.copy(programs.OBIT_PIPE, helper)
            return f"|{helper} {self.pipe_socket} F%F P%P I%I s%s t%t d%d c%c"
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


def make_directory():
    """A folder for a server, and for programs that every user may execute. Its path is short, and the kernel follows no symlink
    on the way to a socket: so it lies below /run, if that is not mounted with noexec."""
    directory = tempfile.TemporaryDirectory(dir="/run" if programs.may_execute_in("/run") else "/var/tmp", prefix=kernel.DIRECTORY_PREFIX)
    os.chmod(directory.name, 0o755)  # obitd becomes a user of its own
    return directory
