"""A user without rights who mounts a file system that he serves himself, in a user namespace of his own, and an overlay on top
of it. Whoever follows a path of his processes into it waits until he answers, even if he is killed."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys

from . import fuse, server

# Opens /dev/fuse for a user namespace that it has joined: there the device is closed to users, so root opens it. The kernel wants
# the device opened in the namespace that mounts it.
OPENER = """
import os, socket, sys
socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b"x"], [os.open("/dev/fuse", os.O_RDWR)])
"""

# Lives in the new namespaces: tells when they are there, gets the device when he is root in them, mounts, waits for the end.
HOLDER = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        peer.send(f"{name} {arguments[:3]}: {os.strerror(ctypes.get_errno())}".encode())
        sys.exit(1)
peer, folder = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
call("unshare", 0x10000000 | 0x00020000)
peer.send(b"unshared")
_, (device,), _, _ = socket.recv_fds(peer, 16, 1)
os.setresgid(0, 0, 0)
os.setresuid(0, 0, 0)
call("mount", b"tmpfs", folder.encode(), b"tmpfs", 0, None)
for name in ("fuse", "overlay", "empty"):
    os.mkdir(f"{folder}/{name}")
options = sys.argv[3].replace("fd=FD", f"fd={device}")
call("mount", b"silent", f"{folder}/fuse".encode(), b"fuse", 0, options.encode())
os.close(device)
peer.send(b"device")
lower = f"lowerdir={folder}/fuse:{folder}/empty"
call("mount", b"overlay", f"{folder}/overlay".encode(), b"overlay", 0, lower.encode())
peer.send(b"mounted")
peer.recv(1)
"""


class Mount:
    """In the namespace of `user` there are, in the block, `fuse` and `overlay`: paths of the folder with the files. What runs by
    `inside(argv)` sees them. `silence(*opcodes)` ends the answers. It serves from the test process, and begins after the kernel
    was lent: the guardian of that must not have the device open (tests/harness/kernel.py)."""

    def __init__(self, user, files):
        self._user, self._files = user, files

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(server.make_directory("/var/tmp"))
            self.fuse, self.overlay = pathlib.Path(folder) / "fuse", pathlib.Path(folder) / "overlay"
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.callback(ours.close)
            ours.settimeout(30)
            options = fuse.mount_options(0).replace("fd=0", "fd=FD")
            self._holder = subprocess.Popen(
                ["/usr/bin/python3", "-c", HOLDER, str(theirs.fileno()), folder, options],
                user=self._user, group=self._user, extra_groups=[], cwd="/", pass_fds=[theirs.fileno()])  # fmt: skip
            stack.callback(self._holder.wait)
            stack.callback(self._holder.kill)
            theirs.close()
            self._expect(ours, b"unshared")
            for kind in ("uid_map", "gid_map"):
                pathlib.Path(f"/proc/{self._holder.pid}/{kind}").write_text(f"0 {self._user} 1")
            device = self._open_device()
            try:
                socket.send_fds(ours, [b"x"], [device])
            except OSError:
                os.close(device)
                raise
            self._expect(ours, b"device", device)  # before that a read of it fails
            self._system = fuse.FileSystem(device, self._files, flags=fuse.ASYNC_READ, valid=0, interruptible=False)
            stack.callback(self._system.close)
            self._expect(ours, b"mounted")
            self.asked, self.silence = self._system.asked, self._system.silence
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _expect(self, peer, word, device=None):
        said = peer.recv(1000)
        if said != word:
            if device is not None:
                os.close(device)
            raise OSError(f"the owner of the namespace said: {said.decode()}")

    def _open_device(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            subprocess.run(["nsenter", "--user", "--preserve-credentials", "--target", str(self._holder.pid), "--",
                            "/usr/bin/python3", "-c", OPENER, str(theirs.fileno())],
                           check=True, pass_fds=[theirs.fileno()], timeout=30)  # fmt: skip
            return socket.recv_fds(ours, 1, 1, socket.MSG_CMSG_CLOEXEC)[1][0]

    def inside(self, *argv, cwd=None, known=None):
        """A command line that runs `argv` as the user, in his namespaces; after it has read the files `known`, else all: so the
        kernel has them, and only who opens one, or wants other bytes, has to wait."""
        files = [folder / name for folder in (self.fuse, self.overlay) for name in (self._files if known is None else known)]
        script = 'reads=$1; cd "$2" || exit; shift 2; while [ $reads -gt 0 ]; do cat "$1" > /dev/null || exit; shift; ' \
                 'reads=$((reads - 1)); done; exec "$@"'  # fmt: skip
        return ["nsenter", "--user", "--mount", "--target", str(self._holder.pid), "--", "/bin/sh", "-c", script, "sh",
                str(len(files)), cwd or "/", *files, *argv]  # fmt: skip
