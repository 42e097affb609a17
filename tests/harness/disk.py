"""A disk whose speed a test decides: an ext4 on a loop device, whose file lies on a file system that the test serves itself. What
waits for this disk waits as for any other: not even SIGKILL ends that."""

import contextlib
import os
import pathlib
import struct
import subprocess
import threading
import time

from . import fuse, server, wait

SIZE = 192 << 20  # bytes
CACHE = 4 << 20  # bytes that may wait to be written
TICK = 0.02  # seconds
STOPPED_MAX = 60  # seconds: a test that comes near the disk while it stands would wait for itself


class Image(fuse.FileSystem):
    """One file, in memory. A write costs time; it may have to wait, and so may a sync."""

    def __init__(self, device):
        self._bytes = bytearray(SIZE)
        self.rate = None  # bytes a second; None: as fast as it goes
        self.goes, self.syncs = threading.Event(), threading.Event()
        self.waiting = threading.Event()  # somebody wrote or synced since the disk stopped
        self.goes.set()
        self.syncs.set()
        super().__init__(device, {"image": self._bytes}, flags=fuse.BIG_WRITES)

    def content(self, node):
        return memoryview(self._bytes)

    def result(self, opcode, node, body):
        if opcode in (fuse.READ, fuse.WRITE):
            self._await(self.goes)
        if opcode == fuse.WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            self._bytes[offset : offset + size] = body[40 : 40 + size]
            if self.rate:
                time.sleep(size / self.rate)  # what it stands for: a slow disk
            return 0, struct.pack("<2I", size, 0)
        if opcode == fuse.FSYNC:
            self._await(self.goes)
            self._await(self.syncs)
            return 0, b""
        return super().result(opcode, node, body)

    def _await(self, event):
        deadline = time.monotonic() + STOPPED_MAX
        while not event.is_set() and not self._closing and time.monotonic() < deadline:
            self.waiting.set()
            event.wait(TICK)


class Disk:
    """`folder` is where it is mounted, in the block. Who has files on it must be gone before the end of that."""

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            back, self.folder = (pathlib.Path(stack.enter_context(server.make_directory("/var/tmp"))) for _ in range(2))
            device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
            try:
                fuse.mount(device, back)
            except OSError:
                os.close(device)
                raise
            self._image = Image(device)
            stack.callback(self._image.close)
            stack.callback(fuse.libc.umount2, bytes(back), fuse.MNT_DETACH)
            subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", "-J", "size=4", back / "image"], check=True, capture_output=True, timeout=60)
            loop = subprocess.run(["/sbin/losetup", "--find", "--show", back / "image"], check=True, capture_output=True, text=True,
                                  timeout=60).stdout.strip()  # fmt: skip
            stack.callback(subprocess.run, ["/sbin/losetup", "--detach", loop])
            subprocess.run(["mount", "-o", "noatime", loop, self.folder], check=True, timeout=60)
            stack.callback(self._unmount)
            os.chmod(self.folder, 0o755)
            bounds = pathlib.Path("/sys/block") / pathlib.Path(loop).name / "bdi"
            # Memory takes no more of what is written than a disk that has as little cache: who writes waits for the disk.
            (bounds / "strict_limit").write_text("1")
            (bounds / "max_bytes").write_text(str(CACHE))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.go_on()
        self._stack.close()

    def _unmount(self):
        self.go_on()
        if subprocess.run(["umount", self.folder], timeout=60).returncode != 0:
            subprocess.run(["umount", "-l", self.folder], timeout=60)

    def slow_down(self, rate):
        self._image.rate = rate

    def stop(self):
        """No read and no write ends before `go_on`, or a minute has passed."""
        self._image.waiting.clear()
        self._image.goes.clear()

    def stop_syncing(self):
        """Writes end, but nothing that has to be on the disk."""
        self._image.waiting.clear()
        self._image.syncs.clear()

    def go_on(self):
        self._image.rate = None
        self._image.goes.set()
        self._image.syncs.set()

    def await_waiting(self, seconds=60):
        """Until somebody waits for the disk."""
        if not self._image.waiting.wait(seconds):
            raise wait.DeadlineExceeded(f"nobody waited for the disk within {seconds} s")
