"""What all other tests rely on."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import case, crash, programs, wait

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


if __name__ == "__main__":
    case.main()
