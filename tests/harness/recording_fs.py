"""A file system in memory that a test serves itself. It keeps each change in its order: what was written, named, synced."""

import contextlib
import errno
import os
import pathlib
import stat
import struct
import time

from . import changes, fuse
from .changes import Change

GETATTR, SETATTR, READLINK, SYMLINK, MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK = 3, 4, 5, 6, 8, 9, 10, 11, 12, 13
SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR, READDIR, FSYNCDIR = 21, 22, 23, 24, 28, 30
ACCESS, CREATE, RENAME2, SYNCFS = 34, 35, 45, 50
RENAME_NOREPLACE = 1
SET_MODE, SET_UID, SET_GID, SET_SIZE, SET_MTIME, SET_MTIME_NOW = 1, 2, 4, 8, 32, 256
ACL_SHIFT = {0x01: 6, 0x04: 3, 0x10: 3, 0x20: 0}  # where the permissions of an ACL's entry stand in the mode; the mask comes later


class Refused(Exception):
    """With the errno."""


def words(body, count):
    """The strings that end a request, each with its NUL."""
    return [word.decode(errors="surrogateescape") for word in body.split(b"\0")[:count]]


class RecordingFileSystem(fuse.FileSystem):
    """`changes` is all that was changed so far; `failure` what this class did not expect. Never forgets a node."""

    def __init__(self, device):
        self.tree, self.changes, self.failure = changes.Tree(), [], None
        self._next, self._listings = changes.ROOT, {}
        self._calls = {
            fuse.LOOKUP: self._lookup, GETATTR: self._getattr, SETATTR: self._setattr, ACCESS: lambda *_: b"",
            MKNOD: self._mknod, MKDIR: self._mkdir, CREATE: self._create, SYMLINK: self._symlink, READLINK: self._readlink,
            LINK: self._link, UNLINK: self._unlink, RMDIR: self._rmdir, RENAME: self._rename, RENAME2: self._rename2,
            fuse.READ: self._read, fuse.WRITE: self._write,
            fuse.FSYNC: self._sync, FSYNCDIR: self._sync, SYNCFS: self._syncfs,
            SETXATTR: self._setxattr, GETXATTR: self._getxattr, LISTXATTR: self._listxattr, REMOVEXATTR: self._removexattr,
            fuse.OPENDIR: self._opendir, READDIR: self._readdir, fuse.RELEASEDIR: self._releasedir,
        }  # fmt: skip
        super().__init__(device, {}, flags=fuse.ASYNC_READ | fuse.BIG_WRITES)

    def result(self, opcode, node, body):
        call = self._calls.get(opcode)
        if call is None:
            return super().result(opcode, node, body)
        try:
            return 0, call(node, body)
        except Refused as refused:
            return -refused.args[0], b""
        except Exception as error:  # noqa: BLE001: who waits for an answer would wait forever
            self.failure = error
            return -errno.EIO, b""

    def _change(self, kind, node, *values):
        change = Change(kind, node, values, time.time_ns())
        self.tree.apply(change)
        self.changes.append(change)

    def _named(self, parent, name):
        found = self.tree.nodes[parent].names.get(name)
        if found is None:
            raise Refused(errno.ENOENT)
        return found

    def _attributes(self, number):
        node = self.tree.nodes[number]
        seconds, rest = divmod(node.mtime, 10**9)
        size = len(node.data) or len(node.target)
        links = 2 if node.is_folder else len(node.places)
        return struct.pack("<6Q10I", number, size, (size + 511) // 512, seconds, seconds, seconds, rest, rest, rest, node.mode,
                           links, node.uid, node.gid, 0, 4096, 0)  # fmt: skip

    def _entry(self, number):
        return struct.pack("<4Q2I", number, 0, 0, 0, 0, 0) + self._attributes(number)

    def _make(self, parent, name, mode, target=b""):
        if name in self.tree.nodes[parent].names:
            raise Refused(errno.EEXIST)
        self._next += 1
        self._change("make", self._next, parent, name, mode, *self.caller, target)
        return self._entry(self._next)

    def _lookup(self, node, body):
        return self._entry(self._named(node, *words(body, 1)))

    def _getattr(self, node, _):
        return struct.pack("<Q2I", 0, 0, 0) + self._attributes(node)

    def _setattr(self, node, body):
        valid, _, _, size, _, _, mtime, _, _, mtime_ns, _, mode, _, uid, gid, _ = struct.unpack_from("<2I6Q8I", body)
        new = {}
        if valid & SET_MODE:
            new["mode"] = stat.S_IFMT(self.tree.nodes[node].mode) | stat.S_IMODE(mode)
        if valid & SET_UID:
            new["uid"] = uid
        if valid & SET_GID:
            new["gid"] = gid
        if valid & SET_MTIME:
            new["mtime"] = time.time_ns() if valid & SET_MTIME_NOW else mtime * 10**9 + mtime_ns
        if valid & SET_SIZE:
            self._change("size", node, size)
        if new:
            self._change("attributes", node, new)
        return self._getattr(node, b"")

    def _readlink(self, node, _):
        return self.tree.nodes[node].target

    def _symlink(self, node, body):
        name, target = words(body, 2)
        return self._make(node, name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def _mknod(self, node, body):
        mode, = struct.unpack_from("<I", body)
        return self._make(node, *words(body[16:], 1), mode)

    def _mkdir(self, node, body):
        mode, = struct.unpack_from("<I", body)
        return self._make(node, *words(body[8:], 1), stat.S_IFDIR | stat.S_IMODE(mode))

    def _create(self, node, body):
        _, mode = struct.unpack_from("<2I", body)
        return self._make(node, *words(body[16:], 1), mode) + struct.pack("<Q2I", 0, fuse.KEEP_CACHE, 0)

    def _unlink(self, node, body):
        name, = words(body, 1)
        self._change("unlink", self._named(node, name), node, name)
        return b""

    def _rmdir(self, node, body):
        if self.tree.nodes[self._named(node, *words(body, 1))].names:
            raise Refused(errno.ENOTEMPTY)
        return self._unlink(node, body)

    def _rename(self, node, body, flags=0, header=8):
        new_parent, = struct.unpack_from("<Q", body)
        old, new = words(body[header:], 2)
        moved, there = self._named(node, old), self.tree.nodes[new_parent].names.get(new)
        if there is not None and (flags & RENAME_NOREPLACE or self.tree.nodes[there].names):
            raise Refused(errno.EEXIST if flags else errno.ENOTEMPTY)
        if there != moved:
            self._change("move", moved, node, old, new_parent, new)
        return b""

    def _rename2(self, node, body):
        flags, = struct.unpack_from("<I", body, 8)
        if flags & ~RENAME_NOREPLACE:
            raise Refused(errno.EINVAL)
        return self._rename(node, body, flags, 16)

    def _link(self, node, body):
        linked, = struct.unpack_from("<Q", body)
        name, = words(body[8:], 1)
        if name in self.tree.nodes[node].names:
            raise Refused(errno.EEXIST)
        self._change("link", linked, node, name)
        return self._entry(linked)

    def _read(self, node, body):
        _, offset, size = struct.unpack_from("<QQI", body)
        return bytes(self.tree.nodes[node].data[offset : offset + size])

    def _write(self, node, body):
        _, offset, size = struct.unpack_from("<QQI", body)
        self._change("write", node, offset, body[40 : 40 + size])
        return struct.pack("<2I", size, 0)

    def _sync(self, node, _):
        self._change("sync", node)
        return b""

    def _syncfs(self, *_):
        for node in list(self.tree.nodes):
            self._change("sync", node)
        return b""

    def _setxattr(self, node, body):
        size, = struct.unpack_from("<I", body)
        name, = words(body[8:], 1)
        value = body[len(body) - size :]
        self._change("xattr", node, name, value)
        if name == changes.ACL_ACCESS:  # its permissions are those of the mode, too
            mode = self.tree.nodes[node].mode
            for at in range(4, size, 8):
                tag, permissions = struct.unpack_from("<2H", value, at)
                if tag in ACL_SHIFT:
                    mode = mode & ~(7 << ACL_SHIFT[tag]) | permissions << ACL_SHIFT[tag]
            self._change("attributes", node, {"mode": mode})
        return b""

    def _getxattr(self, node, body):
        size, = struct.unpack_from("<I", body)
        value = self.tree.nodes[node].xattrs.get(words(body[8:], 1)[0])
        if value is None:
            raise Refused(errno.ENODATA)
        return self._sized(size, value)

    def _listxattr(self, node, body):
        size, = struct.unpack_from("<I", body)
        return self._sized(size, b"".join(name.encode() + b"\0" for name in self.tree.nodes[node].xattrs))

    def _sized(self, size, value):
        if size == 0:
            return struct.pack("<2I", len(value), 0)
        if size < len(value):
            raise Refused(errno.ERANGE)
        return value

    def _removexattr(self, node, body):
        name, = words(body, 1)
        if name not in self.tree.nodes[node].xattrs:
            raise Refused(errno.ENODATA)
        self._change("xattr", node, name, None)
        return b""

    def _opendir(self, node, _):
        names = [(".", node), ("..", node), *self.tree.nodes[node].names.items()]
        handle = max(self._listings, default=0) + 1
        self._listings[handle] = [(name.encode(errors="surrogateescape"), number) for name, number in names]
        return struct.pack("<Q2I", handle, 0, 0)

    def _readdir(self, _, body):
        handle, offset, size = struct.unpack_from("<QQI", body)
        listed = b""
        for at, (name, number) in enumerate(self._listings[handle][offset:], offset + 1):
            entry = struct.pack("<2Q2I", number, at, len(name), stat.S_IFMT(self.tree.nodes[number].mode) >> 12) + name
            entry += bytes(-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed

    def _releasedir(self, _, body):
        self._listings.pop(struct.unpack_from("<Q", body)[0], None)
        return b""


@contextlib.contextmanager
def mounted(folder):
    """Such a file system at `folder`, in the block. Who has files on it must be gone before its end."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        fuse.mount(device, pathlib.Path(folder))
    except OSError:
        os.close(device)
        raise
    system = RecordingFileSystem(device)
    try:
        yield system
    finally:
        fuse.libc.umount2(os.fsencode(folder), fuse.MNT_DETACH)
        system.close()
