"""The ways to keep a core that bench/captures.py compares. Each is a context manager class: `with Contender(directory):`
crashes are its to take. It says how to take one (`take`), when it has stored it, and what it cost."""

import contextlib
import os
import pathlib
import resource
import shutil
import subprocess
import threading
import time

from harness import kernel, server as obitd, store as obit_store, wait

SYSTEMD_COREDUMP = pathlib.Path("/usr/lib/systemd/systemd-coredump")


def resident(pid):
    """Bytes; 0 if it is gone."""
    with contextlib.suppress(OSError, IndexError):
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def peak_resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def bytes_on_disk(path):
    """The disk space of a file, or of everything below a folder."""
    path = pathlib.Path(path)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_blocks * 512 for file in files)


class Contender:
    """One process, stopped and about to die, is taken by `take(process)`, which lets it go on and returns when it is
    reaped. `await_stored(count)` returns once that many crashes are kept."""

    name = ""
    missing = ""  # why it cannot run here
    only_if_named = False  # it takes part only in scenarios that name it

    def __init__(self, directory, build):
        self.directory, self.build = pathlib.Path(directory), build
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.stack = stack
            self.start()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def point_kernel(self, pattern, pipe_limit="0"):
        self.stack.enter_context(kernel.settings({kernel.CORE_PATTERN: pattern, kernel.CORE_PIPE_LIMIT: pipe_limit}))

    def start(self):
        raise NotImplementedError

    def take(self, process):
        process.go_on()
        process.reap()

    def await_stored(self, count):
        """What is stored when the process is reaped needs no waiting."""

    def peak_memory(self):
        """The handler's, in bytes; None if there is no handler."""

    def stored_bytes(self):
        return None

    def crashes_kept(self):
        return None


class KernelFile(Contender):
    """The kernel alone: a plain file on tmpfs."""

    name = "kernel-file"

    def start(self):
        self.folder = self.stack.enter_context(temporary_folder("/dev/shm"))
        self.point_kernel(f"{self.folder}/core.%p")

    def stored_bytes(self):
        return bytes_on_disk(self.folder)

    def crashes_kept(self):
        return len(list(self.folder.iterdir()))


class NoCore(Contender):
    """The kernel alone, and no core at all: what it takes to fork, to crash and to be reaped."""

    name = "no-core"

    def start(self):
        self.point_kernel(f"{self.directory}/none/core")  # a folder that is not there


class Discard(Contender):
    """A coredump server that throws the stream away."""

    name = "discard"

    def start(self):
        path = self.directory / "bare.socket"
        self.server = subprocess.Popen([self.build / "bench/bare-server", self.name, path], stdout=subprocess.PIPE)
        self.stack.callback(end_process, self.server)
        self.server.stdout.readline()
        self.point_kernel(f"@@{path}")

    def peak_memory(self):
        return peak_resident(self.server.pid)


class Reject(Discard):
    """A coredump server that rejects each crash unseen."""

    name = "reject"
    only_if_named = True


class Obit(Contender):
    """obitd on the request socket. What it reads from a core later is not measured here (bench/analyze.py does)."""

    config = "[analysis]\nenabled = false\n"
    limits_loops = False

    def start(self):
        self.store = self.stack.enter_context(temporary_folder("/var/tmp"))
        self.server = obitd.Server(self.directory, store=self.store)
        self.server.configure(self.config, self.limits_loops)
        self.server.start()
        self.stack.callback(self.server.stop)
        self.point_kernel(self.server.core_pattern("socket-request"))

    def await_stored(self, count):
        wait.until(lambda: len(obit_store.crash_directories(self.store)) >= count, "crashes stored", 600)

    def peak_memory(self):
        return sum(peak_resident(pid) for pid in self.server.processes())

    def stored_bytes(self):
        return bytes_on_disk(self.store / "crashes")

    def crashes_kept(self):
        return len(obit_store.crash_directories(self.store))


class ObitStream(Obit):
    name = "obit-stream"
    config = Obit.config + "[capture]\ndirect = false\n"


class ObitHeld(Obit):
    """Each process is held until it was copied."""

    name = "obit-held"
    config = Obit.config + '[capture]\nearly_release = "never"\n'


class ObitEarly(Obit):
    """As obitd is: a large process goes first."""

    name = "obit-early"


class ObitCounting(Obit):
    """obitd that takes what comes for a crash loop from the beginning."""

    name = "obit-counting"
    only_if_named = True
    config = Obit.config + "[crash_loop]\ncores = 4\n"
    limits_loops = True

    def await_stored(self, count):
        """What is counted is not stored."""


class SystemdCoredump(Contender):
    """systemd-coredump as its distribution ships it; its socket is served by systemd-socket-activate, so that it needs no
    systemd as PID 1."""

    name = "systemd-coredump"
    missing = "" if SYSTEMD_COREDUMP.exists() and shutil.which("systemd-socket-activate") else \
        "install systemd-coredump (and set core_pattern back, which its installation changes)"  # fmt: skip
    cores = pathlib.Path("/var/lib/systemd/coredump")
    listening = pathlib.Path("/run/systemd/coredump")

    def start(self):
        self.cores.mkdir(parents=True, exist_ok=True)
        self.before = set(self.cores.iterdir())
        self.stack.callback(lambda: [path.unlink() for path in self.kept()])
        self.listening.parent.mkdir(exist_ok=True)
        self.listening.unlink(missing_ok=True)
        with open(self.directory / "systemd.log", "wb") as log:
            self.activator = subprocess.Popen(
                ["systemd-socket-activate", "--seqpacket", "--accept", "-l", self.listening, SYSTEMD_COREDUMP],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # fmt: skip
        self.stack.callback(end_process, self.activator)
        wait.until(self.listening.exists, "the socket of systemd-coredump")
        self.peak = Sampler(self.handlers)
        self.stack.enter_context(self.peak)
        self.point_kernel(f"|{SYSTEMD_COREDUMP} %P %u %g %s %t %c %h %d", pipe_limit="16")

    def handlers(self):
        """The helpers that the kernel started and the services that they talk to."""
        for folder in pathlib.Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    if (folder / "comm").read_text().startswith("systemd-coredum"):
                        yield int(folder.name)

    def kept(self):
        return [path for path in self.cores.iterdir() if path not in self.before]

    def await_stored(self, count):
        # If there are many at once, the kernel drops those beyond core_pipe_limit: they are not waited for.
        wait.until(lambda: self.kept() and not any(self.handlers()), "cores kept by systemd-coredump", 600)

    def peak_memory(self):
        return self.peak.bytes

    def stored_bytes(self):
        return sum(bytes_on_disk(path) for path in self.kept())

    def crashes_kept(self):
        return len(self.kept())


class Gcore(Contender):
    """gdb's gcore on the stopped process, which is then let go without a dump."""

    name = "gcore"
    missing = "" if shutil.which("gcore") else "install gdb"

    def start(self):
        self.folder = self.stack.enter_context(temporary_folder("/dev/shm"))
        self.point_kernel(f"{self.folder}/none/core")  # a folder that is not there: the kernel keeps nothing
        self.peak = Sampler(lambda: children_of(self.gcore.pid))
        self.gcore = None

    def take(self, process):
        self.gcore = subprocess.Popen(["gcore", "-o", self.folder / "core", str(process.pid)],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        with self.peak:
            self.gcore.wait()
        super().take(process)

    def peak_memory(self):
        return self.peak.bytes

    def stored_bytes(self):
        return bytes_on_disk(self.folder)


class KernelFileZstd(KernelFile):
    """The kernel's file, and then zstd over it."""

    name = "file+zstd"
    missing = "" if shutil.which("zstd") else "install zstd"

    def await_stored(self, count):
        for core in self.folder.iterdir():
            zstd = subprocess.Popen(["zstd", "-1", "-T0", "-q", "--rm", core])
            with Sampler(lambda: [zstd.pid]) as peak:
                zstd.wait()
            self.peak = peak.bytes

    def peak_memory(self):
        return self.peak


class Sampler:
    """The largest sum of resident bytes that some processes were seen with, looked at a hundred times a second."""

    def __init__(self, pids):
        self._pids, self.bytes = pids, 0

    def __enter__(self):
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self):
        while not self._done.wait(0.01):
            self.bytes = max(self.bytes, sum(resident(pid) for pid in self._pids()))

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


def children_of(pid):
    with contextlib.suppress(OSError):
        return [pid] + [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextlib.contextmanager
def temporary_folder(where):
    path = pathlib.Path(where) / f"obit-bench.{os.getpid()}.{time.monotonic_ns()}"
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def end_process(process):
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


ALL = (NoCore, KernelFile, Discard, Reject, ObitStream, ObitHeld, ObitEarly, ObitCounting, SystemdCoredump, Gcore, KernelFileZstd)
