"""A file system whose only file never gives its content: who reads it waits, as for a dead network server."""

import contextlib
import ctypes
import errno
import os
import pathlib
import select
import struct
import threading

LOOKUP, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT, INTERRUPT = 1, 3, 14, 15, 18, 25, 26, 36
NO_ANSWER = {2, 42}  # FORGET, BATCH_FORGET
MNT_DETACH = 2
FOREVER = 1 << 30

DIRECTORY, REGULAR = 0o040755, 0o100644
ROOT_NODE, FILE_NODE = 1, 2

libc = ctypes.CDLL(None, use_errno=True)


def attributes(node, mode, size):
    """struct fuse_attr of include/uapi/linux/fuse.h."""
    return struct.pack("<6Q10I", node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


class SilentFile:
    """`path` is a file of `size` bytes; `asked` is set once somebody waits for its content. If the file system heeds
    interrupts, a signal ends the wait; if not, not even SIGKILL does before the end of the block."""

    def __init__(self, folder, size, heeds_interrupts):
        self._folder, self._size, self._heeds_interrupts = pathlib.Path(folder), size, heeds_interrupts
        self.path = self._folder / "file"
        self.asked = threading.Event()

    def __enter__(self):
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if libc.mount(b"silent", bytes(self._folder), b"fuse", 0, options) != 0:
            os.close(self._device)
            raise OSError(ctypes.get_errno(), "mount a FUSE file system")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        libc.umount2(bytes(self._folder), MNT_DETACH)
        os.close(self._device)  # the last one: ends the connection, and with it everybody's wait
        self._thread.join(10)

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                # A read that waits would keep the device open.
                if not select.select([self._device], [], [], 0.1)[0]:
                    continue
                request = os.read(self._device, 1 << 20)
                _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
                if opcode == READ:
                    self.asked.set()
                elif opcode == INTERRUPT:
                    interrupted, = struct.unpack_from("<Q", request, 40)
                    if self._heeds_interrupts:
                        self._answer(interrupted, -errno.EINTR, b"")
                elif opcode not in NO_ANSWER:
                    self._answer(unique, *self._result(opcode, node))

    def _result(self, opcode, node):
        """(error, payload)"""
        is_file = node == FILE_NODE
        attribute = attributes(node, REGULAR if is_file else DIRECTORY, self._size if is_file else 0)
        if opcode == INIT:
            return 0, struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 0, 0, 1 << 17, 0, 0, 0, *[0] * 8)
        if opcode == LOOKUP:
            found = attributes(FILE_NODE, REGULAR, self._size)
            return 0, struct.pack("<4Q2I", FILE_NODE, 0, FOREVER, FOREVER, 0, 0) + found
        if opcode == GETATTR:
            return 0, struct.pack("<Q2I", FOREVER, 0, 0) + attribute
        if opcode == OPEN:
            return 0, struct.pack("<Q2I", 0, 0, 0)
        if opcode in (RELEASE, FLUSH):
            return 0, b""
        return -errno.ENOSYS, b""

    def _answer(self, unique, error, payload):
        os.write(self._device, struct.pack("<IiQ", 16 + len(payload), error, unique) + payload)
