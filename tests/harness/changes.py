"""What is changed in a file system, one step after the other, and what a power cut may leave of it.

A `Tree` is a file system in memory. Each `Change` can be left out, and all others still be applied: what needs one that is missing
then does nothing. Which ones must be there says `durable`, by these rules. They promise less than ext4 does, where a sync commits
all changes of names and attributes that were made before it, and leaves those after it in their order; so what survives here
survives there, too, with data=ordered and auto_da_alloc off.

* A sync of a file: all its bytes, its size, its attributes; its own name; that the folders on the way to it were made. But not
  that these were renamed, and nothing of other files.
* A sync of a folder: its attributes and all changes of names in it (of a rename both sides, or neither); that the folders on the
  way to it were made. But not what is in the files, nor the names in folders below it.
* Everything else is there or not, each for itself and not in order. A write may be there in part: some pages from its beginning,
  the rest never written, or zeros.
"""

import dataclasses
import hashlib
import os
import stat

PAGE = 4096
ROOT = 1
ACL_ACCESS = "system.posix_acl_access"
# What says nothing about a crash: numbers for monitoring, and what SQLite makes anew when it opens the index.
UNIMPORTANT = ("metrics.prom", "metrics.prom.new", "index.db-shm")


@dataclasses.dataclass(frozen=True)
class Change:
    """`kind` is one of
    make (parent, name, mode, uid, gid, target of a symlink), link and unlink (parent, name),
    move (old parent, old name, parent, name), write (offset, bytes), size (bytes,), attributes ({name: value},),
    xattr (name, value or None); and sync (), which changes nothing.
    """

    kind: str
    node: int
    values: tuple
    when: int  # ns since 1970

    def parents(self):
        """The folders whose names it changes."""
        if self.kind in ("make", "link", "unlink"):
            return (self.values[0],)
        return (self.values[0], self.values[2]) if self.kind == "move" else ()


@dataclasses.dataclass
class Node:
    mode: int
    uid: int
    gid: int
    mtime: int
    target: bytes = b""
    data: bytearray = dataclasses.field(default_factory=bytearray)
    names: dict = dataclasses.field(default_factory=dict)  # of a folder
    xattrs: dict = dataclasses.field(default_factory=dict)
    places: list = dataclasses.field(default_factory=list)  # (parent, name)

    @property
    def is_folder(self):
        return stat.S_ISDIR(self.mode)


class Tree:
    def __init__(self):
        self.nodes = {ROOT: Node(stat.S_IFDIR | 0o755, 0, 0, 0)}

    def apply(self, change, pages=None, zeros=False):
        """`pages`: how many of a write are there; `zeros`: and as many zeros as the rest is long."""
        node = self.nodes.get(change.node)
        if change.kind == "make" or node is not None:
            part = {"pages": pages, "zeros": zeros} if change.kind == "write" else {}
            getattr(self, f"_{change.kind}")(change, node, *change.values, **part)

    def _make(self, change, _, parent, name, mode, uid, gid, target):
        if parent in self.nodes:
            self.nodes[change.node] = Node(mode, uid, gid, change.when, target)
            self._enter(change, parent, name)

    def _link(self, change, _, parent, name):
        if parent in self.nodes:
            self._enter(change, parent, name)

    def _unlink(self, change, _, parent, name):
        self._leave(change, parent, name)

    def _move(self, change, node, old_parent, old_name, parent, name):
        if parent not in self.nodes or not node.places:
            return
        # If it never got the name that it had before, it has an older one.
        here = (old_parent, old_name) if (old_parent, old_name) in node.places else node.places[-1]
        self._leave(change, *here)
        self._enter(change, parent, name)

    def _enter(self, change, parent, name):
        folder = self.nodes[parent]
        if name in folder.names:
            self.nodes[folder.names[name]].places.remove((parent, name))
        folder.names[name] = change.node
        folder.mtime = change.when
        self.nodes[change.node].places.append((parent, name))

    def _leave(self, change, parent, name):
        folder = self.nodes.get(parent)
        if folder is not None and folder.names.get(name) == change.node:
            del folder.names[name]
            folder.mtime = change.when
            self.nodes[change.node].places.remove((parent, name))

    def _write(self, change, node, offset, data, pages=None, zeros=False):
        if pages is not None:
            kept = max(0, (offset // PAGE + pages) * PAGE - offset)
            data = data[:kept] + bytes(max(0, len(data) - kept) if zeros else 0)
        if data and len(node.data) < offset:
            node.data.extend(bytes(offset - len(node.data)))
        node.data[offset : offset + len(data)] = data
        node.mtime = change.when

    def _size(self, change, node, size):
        del node.data[size:]
        node.data.extend(bytes(size - len(node.data)))
        node.mtime = change.when

    def _attributes(self, _, node, values):
        for name, value in values.items():
            setattr(node, name, value)

    def _xattr(self, _, node, name, value):
        node.xattrs[name] = value
        if value is None:
            del node.xattrs[name]

    def _sync(self, *_):
        pass

    def walk(self, node=ROOT, path=""):
        """(path, node number) of all that is in a folder, parents first."""
        for name, child in sorted(self.nodes[node].names.items()):
            yield f"{path}{name}", child
            if self.nodes[child].is_folder:
                yield from self.walk(child, f"{path}{name}/")

    def write_to(self, folder):
        """Makes real files of it."""
        written = []
        for path, number in self.walk():
            node, real = self.nodes[number], f"{folder}/{path}"
            if node.is_folder:
                os.mkdir(real)
            elif stat.S_ISLNK(node.mode):
                os.symlink(node.target, real)
                continue
            elif len(node.places) > 1 and node.places[0] != node.places[-1] and any(number == other for _, other in written):
                os.link(next(there for there, other in written if other == number), real)
                continue
            else:
                with open(real, "wb") as file:
                    file.write(node.data)
            written.append((real, number))
        for real, number in reversed(written):  # what is made in a folder changes its times
            node = self.nodes[number]
            os.chown(real, node.uid, node.gid)
            os.chmod(real, stat.S_IMODE(node.mode))
            for name, value in node.xattrs.items():
                os.setxattr(real, name, value)
            os.utime(real, ns=(node.mtime, node.mtime))


class Outline(Tree):
    """Only to be compared: of the bytes in a file it has which writes they came from."""

    def _write(self, change, node, offset, data, pages=None, zeros=False):
        node.data += f"{change.when} {pages} {zeros};".encode()

    def _size(self, change, node, size):
        node.data += f"{change.when};".encode()

    def digest(self):
        """The same for trees in which everybody finds the same, but for times."""
        digest = hashlib.sha256()
        for path, number in self.walk():
            node = self.nodes[number]
            if not path.endswith(UNIMPORTANT):
                digest.update(repr((path, node.mode, node.uid, node.gid, sorted(node.xattrs.items()), node.data)).encode())
        return digest.digest()


class Durability:
    """Takes changes in their order; `durable` are the numbers of those that must be there."""

    def __init__(self):
        self.durable = set()
        self._changes, self._made = [], {ROOT: None}
        self._of_node, self._of_folder = {}, {ROOT: []}  # changes of itself, and of the names in it, since its last sync

    def take(self, change):
        number = len(self._changes)
        self._changes.append(change)
        if change.kind == "sync":
            self._sync(change.node)
        if change.kind == "make":
            self._made[change.node] = number
            if stat.S_ISDIR(change.values[2]):
                self._of_folder[change.node] = []
        self._of_node.setdefault(change.node, []).append(number)
        for parent in change.parents():
            self._of_folder[parent].append(number)

    def _sync(self, node):
        is_folder = node in self._of_folder
        self._keep(self._made[node])
        for number in self._of_node.pop(node, []):
            # The name of a folder, once it was made, is the matter of its parent.
            if not is_folder or self._changes[number].kind in ("attributes", "xattr"):
                self._keep(number)
        if is_folder:
            for number in self._of_folder[node]:
                self._keep(number)
            self._of_folder[node] = []

    def _keep(self, number):
        """And all that it needs."""
        if number is None or number in self.durable:
            return
        self.durable.add(number)
        change = self._changes[number]
        for needed in (change.node, *change.parents()):
            self._keep(self._made[needed])
