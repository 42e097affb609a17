"""A malware scanner: every open of a file of one mount waits until it has agreed (fanotify(7), permission events)."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

from . import crash, server, wait

# Marks a mount and says "marked". "crash": does not answer, says "asked" at the first question, and dies of a null read when it
# gets SIGUSR1. "slow": answers each question after so many seconds, one after the other.
PROGRAM = r"""
import ctypes, os, select, signal, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
path, way, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
content, nonblock, large = 0x04, 0x02, 0o100000
group = libc.fanotify_init(content | nonblock, large | os.O_CLOEXEC)
if group < 0:
    sys.exit(f"fanotify_init: {os.strerror(ctypes.get_errno())}")
add, of_mount, open_perm = 0x01, 0x10, 0x00010000
if libc.fanotify_mark(group, add | of_mount, ctypes.c_uint64(open_perm), -100, path.encode()) != 0:
    sys.exit(f"fanotify_mark: {os.strerror(ctypes.get_errno())}")
def die(*_):
    ctypes.string_at(0)
signal.signal(signal.SIGUSR1, die)
print("marked", flush=True)
while True:
    select.select([group], [], [])
    if way == "crash":
        print("asked", flush=True)
        while True:
            signal.pause()
    events = os.read(group, 4096)
    while events:
        length, _, _, _, _, fd, _ = struct.unpack_from("<IBBHQii", events)
        time.sleep(seconds)
        os.write(group, struct.pack("<iI", fd, 1))
        os.close(fd)
        events = events[length:]
"""


class Scanner:
    """`folder` is a mount of its own in the block, and everything below it is scanned. The scanner runs from it, too: who looks at
    the program of a scanner that has crashed asks that scanner."""

    def __init__(self, folder=None):
        self._folder = folder

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.folder = pathlib.Path(self._folder or stack.enter_context(server.make_directory("/var/tmp")))
            subprocess.run(["mount", "--bind", self.folder, self.folder], check=True, timeout=60)
            stack.callback(subprocess.run, ["umount", "-l", self.folder], timeout=60)
            subprocess.run(["mount", "--make-private", self.folder], check=True, timeout=60)
            self._python = shutil.copy(os.path.realpath("/usr/bin/python3"), self.folder / "scanner")
            self._stack = stack.pop_all()
        return self

    def start(self, way, seconds=0):
        """Begins to scan. What the test itself opens there from now on waits as everybody's does."""
        self.process = crash.Running([self._python, "-c", PROGRAM, self.folder, way, seconds],
                                     environment=os.environ | {"PYTHONHOME": "/usr"})  # fmt: skip
        self._stack.callback(self.process.end)
        wait.until(lambda: "marked" in self.process.output() or crash.state(self.process.pid) == "Z", "scanner ready")
        if "marked" not in self.process.output():
            raise OSError(self.process.output())

    def ask(self):
        """Somebody opens a file, and waits for the scanner."""
        asking = subprocess.Popen(["cat", self._python], stdout=subprocess.DEVNULL)
        self._stack.callback(asking.wait)
        self._stack.callback(asking.kill)
        wait.until(lambda: "asked" in self.process.output(), "question to the scanner")

    def crash(self):
        self.process.kill(signal.SIGUSR1)
        return self.process

    def __exit__(self, *_):
        self._stack.close()
