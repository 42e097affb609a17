"""What obitd tells others: its log, the journal, the index, the metrics. Nobody who does not listen, and no lock, holds up a crash;
and what is a cache is whole again without a restart."""

import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import sqlite3

from harness import case, crash, programs, store, wait

QUIET = "[analysis]\nenabled = false\n"
MANY = 40
HELD_MAX = 10  # seconds; who waits for a reader that does not read waits for ever
JOURNAL = "/run/systemd/journal"


class Telling(case.KernelCase):
    def start(self, config=QUIET, **options):
        self.server.configure(config)
        self.server.start(**options)
        self.lend_kernel("socket-request")

    def crash_many(self, count):
        for _ in range(count):
            self.assertTrue(self.crash(programs.CRASHER, "segv", seconds=HELD_MAX).dumped)

    def check(self, count):
        records = store.records(self.server.store, count)
        self.assertEqual({record["capture"]["outcome"] for record in records}, {"full"})
        self.check_core(records[-1], "crash_here")


class Log(Telling):
    def full_pipe(self):
        """A pipe that takes not a byte more: (read end, write end)."""
        read, write = os.pipe()
        self.stack.callback(os.close, read)
        self.stack.callback(os.close, write)
        os.set_blocking(write, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write, bytes(4096))
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write, b"\0")
        os.set_blocking(write, True)
        return read, write

    def test_nobody_reads_it(self):
        _, write = self.full_pipe()
        self.start(log_to=write)
        self.crash_many(MANY)
        self.check(MANY)

    def test_it_is_read_again(self):
        read, write = self.full_pipe()
        self.start(log_to=write)
        self.crash_many(5)
        os.set_blocking(read, False)
        told = bytearray()

        def tells_of_a_crash():
            with contextlib.suppress(BlockingIOError):
                told.extend(os.read(read, 1 << 16))
            return b"SIGABRT" in told

        wait.until(lambda: tells_of_a_crash() or not self.crash_abort(), "a line of a later crash", 60)

    def crash_abort(self):
        return self.crash(programs.CRASHER, "abort", seconds=HELD_MAX).dumped

    def test_journal_that_does_not_read(self):
        """In its own mount namespace it has a journal whose socket is full."""
        if not os.path.isdir("/run/systemd"):
            self.skipTest("there is no /run/systemd to put a journal into")
        folder = pathlib.Path(self.directory) / "systemd/journal"
        folder.mkdir(parents=True)
        journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.stack.callback(journal.close)
        journal.bind(str(folder / "socket"))
        os.chmod(folder / "socket", 0o777)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full, contextlib.suppress(BlockingIOError):
            full.setblocking(False)
            full.connect(str(folder / "socket"))
            while True:
                full.send(b"MESSAGE=x\n")
        script = 'mount --bind "$1" /run/systemd && shift && exec "$@"'
        self.start(through=["unshare", "--mount", "--", "/bin/sh", "-c", script, "sh", folder.parent])
        self.crash_many(MANY)
        self.check(MANY)

    def test_metrics_cannot_be_written(self):
        (pathlib.Path(self.directory) / "store/metrics.prom/in-the-way").mkdir(parents=True)
        self.start()
        self.crash_many(5)
        self.check(5)


class Index(Telling):
    def rows(self):
        """How many crashes index.db has; None: it is no index."""
        with contextlib.suppress(sqlite3.Error), \
                contextlib.closing(sqlite3.connect(f"file:{self.server.store}/index.db?mode=ro", uri=True)) as index:  # fmt: skip
            return index.execute("SELECT count(*) FROM crashes").fetchone()[0]
        return None

    def await_rows(self, count):
        wait.until(lambda: self.rows() == count, lambda: f"{count} rows: there are {self.rows()}", 60)

    def committed(self, count):
        wait.until(lambda: len(store.crash_directories(self.server.store)) == count, f"{count} committed crashes", 30)

    def test_locked_by_somebody_else(self):
        self.start()
        self.crash_many(1)
        self.await_rows(1)
        with contextlib.closing(sqlite3.connect(self.server.store / "index.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            self.crash_many(10)
            self.committed(11)
            other.execute("ROLLBACK")
        self.crash_many(1)
        self.await_rows(12)
        self.check(12)

    def test_overwritten_with_garbage(self):
        self.start()
        self.crash_many(2)
        self.await_rows(2)
        for path in self.server.store.glob("index.db*"):  # rows may lie in the log beside it still
            with open(path, "r+b") as file:
                file.write(b"garbage!" * (os.fstat(file.fileno()).st_size // 8))
        self.assertIsNone(self.rows())
        self.crash_many(3)
        self.committed(5)
        self.await_rows(5)
        self.check(5)

    def test_folder_of_a_crash_locked_by_its_owner(self):
        """Whose crash it is may lock its folder: the report waits for him, no crash does."""
        self.start(config="")
        user = 61001
        self.crash(programs.CRASHER, "segv", user=user)
        folder = os.open(store.directory_of(self.server.store, self.record()), os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        self.crash_many(5)
        self.check(6)


if __name__ == "__main__":
    case.main()
