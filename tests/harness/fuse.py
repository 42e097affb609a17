"""File systems that a test serves itself, and that need not answer: who asks one then waits, as for a dead network server."""

import contextlib
import ctypes
import errno
import os
import pathlib
import select
import struct
import threading
import time

LOOKUP, GETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT, OPENDIR, RELEASEDIR, INTERRUPT = \
    1, 3, 14, 15, 16, 17, 18, 20, 25, 26, 27, 29, 36  # fmt: skip
NO_ANSWER = {2, 42}  # FORGET, BATCH_FORGET
ASYNC_READ, BIG_WRITES = 1 << 0, 1 << 5
KEEP_CACHE = 1 << 1
MNT_DETACH = 2
FOREVER = 1 << 30
PIECE = 1 << 17  # bytes of one read or write

DIRECTORY, REGULAR = 0o040755, 0o100755
ROOT_NODE, FILE_NODE = 1, 2

libc = ctypes.CDLL(None, use_errno=True)


def attributes(node, mode, size):
    """struct fuse_attr of include/uapi/linux/fuse.h."""
    return struct.pack("<6Q10I", node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def mount_options(device):
    return f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"


def mount(device, folder):
    if libc.mount(b"silent", bytes(folder), b"fuse", 0, mount_options(device).encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount a FUSE file system")


class FileSystem:
    """Serves a folder with files, {name: bytes}, on an open /dev/fuse: a thread of the test, until `close`. Once told to be silent
    it answers some requests no more, and `asked` is set as soon as somebody waits for that. `flags` of INIT; `valid`: seconds that
    the kernel may believe in names and attributes without asking again."""

    def __init__(self, device, files, flags=0, valid=FOREVER, interruptible=True):
        self.asked = threading.Event()
        self._device, self._files = device, files
        self._names = {name: node for node, name in enumerate(files, FILE_NODE)}
        self._flags, self._valid, self._interruptible = flags, valid, interruptible
        self._silent_on, self._closing = frozenset(), False
        self.caller = 0, 0  # user and group of whom `result` answers
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def silence(self, *opcodes):
        """From now on, and for all opcodes if none is given."""
        self._silent_on = frozenset(opcodes or range(1, 64)) - {INTERRUPT} - NO_ANSWER

    def close(self):
        """Ends the connection, if no other process has the device open, and with it everybody's wait."""
        self._closing = True
        self._thread.join(10)
        os.close(self._device)

    def _serve(self):
        with contextlib.suppress(OSError):
            while not self._closing:
                # A read that waits would keep the device open.
                if not select.select([self._device], [], [], 0.1)[0]:
                    continue
                try:
                    request = os.read(self._device, 1 << 20)
                except PermissionError:  # nobody has mounted it yet
                    time.sleep(0.01)
                    continue
                _, opcode, unique, node, *self.caller = struct.unpack_from("<IIQQ2I", request)
                if opcode in self._silent_on:
                    self.asked.set()
                elif opcode == INTERRUPT:
                    interrupted, = struct.unpack_from("<Q", request, 40)
                    if self._interruptible:
                        self._answer(interrupted, -errno.EINTR, b"")
                elif opcode not in NO_ANSWER:
                    self._answer(unique, *self.result(opcode, node, request[40:]))

    def result(self, opcode, node, body):
        """(error, payload)"""
        if opcode == INIT:
            return 0, struct.pack("<4I2H2I2H8I", 7, 31, PIECE, self._flags, 0, 0, PIECE, 0, 0, 0, *[0] * 8)
        if opcode == LOOKUP:
            found = self._names.get(body.rstrip(b"\0").decode())
            if found is None:
                return -errno.ENOENT, b""
            return 0, struct.pack("<4Q2I", found, 0, self._valid, self._valid, 0, 0) + self._attributes(found)
        if opcode == GETATTR:
            return 0, struct.pack("<Q2I", self._valid, 0, 0) + self._attributes(node)
        if opcode == STATFS:
            return 0, struct.pack("<5Q10I", *[1 << 20] * 3, 1 << 10, 1 << 10, 4096, 255, 4096, *[0] * 7)
        if opcode in (OPEN, OPENDIR):
            return 0, struct.pack("<Q2I", 0, KEEP_CACHE, 0)
        if opcode == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return 0, bytes(self.content(node)[offset : offset + size])
        if opcode in (RELEASE, RELEASEDIR, FLUSH):
            return 0, b""
        return -errno.ENOSYS, b""

    def content(self, node):
        return list(self._files.values())[node - FILE_NODE]

    def _attributes(self, node):
        if node == ROOT_NODE:
            return attributes(node, DIRECTORY, 0)
        return attributes(node, REGULAR, len(self.content(node)))

    def _answer(self, unique, error, payload):
        os.write(self._device, struct.pack("<IiQ", 16 + len(payload), error, unique) + payload)


class SilentFile:
    """`path` is a file of `size` bytes whose content nobody gets; `asked` is set once somebody waits for it. If the file system
    heeds interrupts, a signal ends the wait; if not, not even SIGKILL does before the end of the block."""

    def __init__(self, folder, size, heeds_interrupts):
        self._folder, self._size, self._heeds_interrupts = pathlib.Path(folder), size, heeds_interrupts
        self.path = self._folder / "file"

    def __enter__(self):
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        try:
            mount(device, self._folder)
        except OSError:
            os.close(device)
            raise
        self._files = FileSystem(device, {"file": bytes(self._size)}, interruptible=self._heeds_interrupts)
        self._files.silence(READ)
        self.asked = self._files.asked
        return self

    def __exit__(self, *_):
        libc.umount2(bytes(self._folder), MNT_DETACH)
        self._files.close()
