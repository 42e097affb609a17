"""What all other tests rely on."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import case, changes, crash, power_cut, programs, recording_fs, wait

NOBODY = 65534


class ForEveryUser(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        folder = tempfile.TemporaryDirectory(prefix="obit-test.")  # only for root, as mkdtemp(3) makes it
        self.addCleanup(folder.cleanup)
        self.private = pathlib.Path(shutil.copy("/bin/true", folder.name))
        self.folder = pathlib.Path(folder.name)

    def test_a_program_in_a_private_folder(self):
        with self.assertRaises(PermissionError):
            subprocess.run([self.private], user=NOBODY, check=True)
        subprocess.run([programs.for_every_user(self.private)], user=NOBODY, check=True)
        if crash.allow_cores():
            self.assertEqual(crash.run([self.private], user=NOBODY).status, 0)

    def test_a_program_that_everybody_reaches_is_not_copied(self):
        self.folder.chmod(0o755)
        self.assertEqual(programs.for_every_user(self.private), self.private)

    def test_a_program_that_only_its_owner_executes(self):
        self.folder.chmod(0o755)
        self.private.chmod(0o700)
        subprocess.run([programs.for_every_user(self.private)], user=NOBODY, check=True)
        self.assertEqual(self.private.stat().st_mode & 0o777, 0o700)

    def test_programs_of_obit_stay_together(self):
        (self.folder / "other").touch()
        self.addCleanup(setattr, programs, "BIN", programs.BIN)
        programs.BIN = self.folder
        copy = programs.for_every_user(self.private)
        self.assertEqual({path.name for path in copy.parent.iterdir()}, {"true", "other"})


class Limit(unittest.TestCase):
    def test_ends_what_takes_longer(self):
        with self.assertRaisesRegex(wait.DeadlineExceeded, "not within 0.01 s: the pause"), wait.limit(0.01, "the pause"):
            time.sleep(60)

    def test_stands_still_in_an_inner_one(self):
        with self.assertRaisesRegex(wait.DeadlineExceeded, "outer"), wait.limit(1000, "outer"):
            with wait.limit(60, "inner"):
                self.assertLessEqual(signal.getitimer(signal.ITIMER_REAL)[0], 60)
            self.assertGreater(signal.getitimer(signal.ITIMER_REAL)[0], 60, "the outer one goes on")
            signal.setitimer(signal.ITIMER_REAL, 0.01)  # the rest of it
            time.sleep(60)


class PowerCuts(unittest.TestCase):
    """What is recorded of a few changes, and what a cut may leave of them."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to mount")

    def record(self, act):
        with tempfile.TemporaryDirectory(prefix="obit-test.") as folder:
            try:
                with recording_fs.mounted(folder) as system:
                    act(pathlib.Path(folder))
                    self.assertIsNone(system.failure)
            except PermissionError as error:
                self.skipTest(f"no file system of its own: {error}")
        return power_cut.History(system.changes)

    @staticmethod
    def sync(path):
        opened = os.open(path, os.O_RDONLY)
        os.fsync(opened)
        os.close(opened)

    def left(self, history, kept=(), parts=()):
        """{path: content} at the end, if of what was not synced nothing else is there."""
        tree = history.tree(power_cut.Cut(len(history.changes), power_cut.bits(kept), dict(parts)))
        return {path: None if tree.nodes[node].is_folder else bytes(tree.nodes[node].data) for path, node in tree.walk()}

    def test_nothing_is_left_without_a_sync(self):
        history = self.record(lambda folder: (folder / "file").write_text("x"))
        self.assertEqual(self.left(history), {})
        self.assertEqual(self.left(history, range(len(history.changes))), {"file": b"x"})

    def test_a_synced_file_has_its_name_and_folders_but_not_their_new_names(self):
        def act(folder):
            (folder / "old").mkdir()
            (folder / "old").rename(folder / "new")
            (folder / "new/file").write_text("x")
            (folder / "new/other").write_text("y")
            self.sync(folder / "new/file")

        self.assertEqual(self.left(self.record(act)), {"old": None, "old/file": b"x"})

    def test_a_synced_folder_has_its_names_but_not_the_bytes(self):
        def act(folder):
            for name in ("from", "to", "from/moved"):
                (folder / name).mkdir()
            (folder / "from/moved/file").write_text("x")
            self.sync(folder / "from/moved/file")
            (folder / "from/moved").rename(folder / "to/moved")
            (folder / "to/file").write_text("y")
            self.sync(folder / "to")

        expected = {"from": None, "to": None, "to/file": b"", "to/moved": None, "to/moved/file": b"x"}
        self.assertEqual(self.left(self.record(act)), expected)

    def test_a_torn_write(self):
        history = self.record(lambda folder: (folder / "file").write_bytes(b"x" * 3 * changes.PAGE))
        (write,) = [number for number, change in enumerate(history.changes) if change.kind == "write"]
        every, page = range(len(history.changes)), b"x" * changes.PAGE
        self.assertEqual(self.left(history, every, {write: (1, False)}), {"file": page})
        self.assertEqual(self.left(history, every, {write: (2, True)}), {"file": 2 * page + bytes(changes.PAGE)})

    def test_all_combinations_of_few_changes(self):
        def act(folder):
            for name in "abc":
                (folder / name).touch()
            self.sync(folder)

        history = self.record(act)
        cuts = list(history.cuts(seed=1))[:8]
        seen = {tuple(path for path, _ in history.tree(cut).walk()) for cut in cuts}
        for names in ((), ("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")):
            self.assertIn(names, seen)


if __name__ == "__main__":
    case.main()
