"""What the tests of the command share: a store of cores that the test makes itself, and ways to run obit."""

import json
import os
import pathlib
import pty
import select
import struct
import subprocess
import tempfile
import unittest

from harness import programs

ENVIRONMENT = os.environ | {"TZ": "UTC", "TERM": "xterm"}
ENVIRONMENT.pop("NO_COLOR", None)

PAGE = 4096


def make_core(pid=4711, comm="imgproxy", signal=11, memory=b"", exe=None):
    """An ELF core of x86-64 in the kernel's layout: header, program headers, notes, memory."""

    def note(kind, payload):
        payload += bytes(-len(payload) % 4)
        return struct.pack("<III8s", 5, len(payload), kind, b"CORE") + payload

    status = struct.pack("<iiih", signal, 0, 0, signal).ljust(32, b"\0") + struct.pack("<i", pid)
    info = struct.pack("<4bxxxxQIIiiii", 0, ord("R"), 0, 0, 0, 0, 0, pid, 1, pid, pid)
    info += comm.encode().ljust(16, b"\0") + f"{comm} --port 8080".encode().ljust(80, b"\0")
    notes = note(1, status.ljust(336, b"\0")) + note(3, info)
    if exe:  # NT_FILE, and AT_PHDR to say which of the files is the program
        notes += note(0x46494C45, struct.pack("<QQQQQ", 1, PAGE, 0x400000, 0x401000, 0) + exe.encode() + b"\0")
        notes += note(6, struct.pack("<QQQQ", 3, 0x400040, 0, 0))
    begin = 64 + 2 * 56
    memory_at = (begin + len(notes) + PAGE - 1) // PAGE * PAGE
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    header += struct.pack("<IIQQQQQQ", 4, 0, begin, 0, 0, len(notes), 0, 4)
    header += struct.pack("<IIQQQQQQ", 1, 6, memory_at, 0x10000, 0, len(memory), len(memory), PAGE)
    return (header + notes).ljust(memory_at, b"\0") + memory


class CliCase(unittest.TestCase):
    """A test with a folder and a store of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="obit-cli.")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.store = self.folder / "store"

    def run_obit(self, *arguments, code=0, store=True, **options):
        """Runs obit, which must end with `code`; returns its standard output and standard error."""
        command = [programs.OBIT, *(["--store", self.store] if store else []), *arguments]
        options = {"env": ENVIRONMENT, "stdin": subprocess.DEVNULL, "cwd": self.folder} | options
        done = subprocess.run(command, capture_output=True, timeout=120, **options)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{arguments}:\n{out}{err}")
        if code != 0:
            self.assert_one_line_each(err)
        return out, err

    def assert_one_line_each(self, err):
        """What goes wrong is told in whole lines that begin with the name of the program."""
        self.assertTrue(err.endswith("\n"), err)
        for line in err.splitlines():
            self.assertTrue(line.startswith("obit: "), err)

    def add(self, **core):
        """Takes a core into the store; returns its record."""
        known = {record["id"] for record in self.records()}
        path = self.folder / "core.to-import"
        path.write_bytes(make_core(**core))
        self.run_obit("import", path)
        path.unlink()
        (record,) = (record for record in self.records() if record["id"] not in known)
        return record

    def records(self):
        """All records, oldest first."""
        return json.loads(self.run_obit("list", "--json")[0]) if self.store.exists() else []

    def directory_of(self, record):
        (found,) = self.store.glob(f"crashes/*/{record['id']}")
        return found

    def edit_record(self, record, change):
        """Rewrites crash.json after change(record), as another writer of the format may."""
        path = self.directory_of(record) / "crash.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        self.run_obit("reindex")


def on_terminal(command, columns, environment=None):
    """Runs a command on a terminal of that width; returns its exit code and what the terminal got."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            import fcntl, termios  # only the child sets the size: before the program asks for it

            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
            os.execvpe(command[0], [str(part) for part in command], ENVIRONMENT | (environment or {}))
        finally:
            os._exit(127)
    got = b""
    while True:
        if not select.select([terminal], [], [], 60)[0]:
            raise AssertionError(f"{command} says nothing more")
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not piece:
            break
        got += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), got.decode().replace("\r\n", "\n")
