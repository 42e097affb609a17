"""The store that the configuration names: every verb that needs a store takes it, unless --store names another."""

import os
import pathlib
import shutil
import subprocess
import unittest

import support
from harness import case, programs


class StoreKey(unittest.TestCase):
    """/etc/obit is the test's own, in a mount namespace of its own."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root: it mounts")
        self.folder = pathlib.Path(support.tempfile.mkdtemp(dir="/run", prefix="obit-store."))
        self.addCleanup(shutil.rmtree, self.folder)
        self.core = self.folder / "core"
        self.core.write_bytes(support.make_core())
        self.configure(f'server.store = "{self.folder}/configured"\n')

    def configure(self, text):
        (self.folder / "etc").mkdir(exist_ok=True)
        (self.folder / "etc/obit.toml").write_text(text)

    def obit(self, *arguments, code=0):
        mount = 'mkdir -p /etc/obit 2>/dev/null; mount --bind "$0" /etc/obit && exec "$@"'
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, self.folder / "etc",
                               programs.OBIT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=100, env=support.ENVIRONMENT)  # fmt: skip
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout, done.stderr

    def test_every_verb_takes_it(self):
        self.obit("import", str(self.core))
        self.assertEqual(len(list(self.folder.glob("configured/crashes/*/*"))), 1)
        for verb in (["list"], ["list", "--json"], ["show", "--no-pager"], ["groups"], ["dump", "-o", str(self.folder / "plain")], ["analyze"],
                     ["pin", "@1"], ["unpin", "@1"], ["reindex"], ["gdb", "--", "-nx", "-batch"], ["status"]):  # fmt: skip
            if verb[0] != "gdb" or shutil.which("gdb"):
                self.obit(*verb)
        self.assertIn(f"{self.folder}/configured: 1 crash", self.obit("status")[0])
        self.assertIn(f"{self.folder}/configured: 1 crash", self.obit("doctor", code=1)[0])
        self.obit("rm", "@1")
        self.assertEqual(self.obit("list", "--json")[0], "[]\n")

    def test_the_command_line_is_stronger(self):
        self.obit("--store", str(self.folder / "other"), "import", str(self.core))
        self.obit("import", str(self.core))
        self.obit("import", str(self.core))
        self.assertIn(f"{self.folder}/other: 1 crash", self.obit("--store", str(self.folder / "other"), "status")[0])
        self.assertIn(f"{self.folder}/configured: 2 crashes", self.obit("status")[0])

    def test_a_wrong_configuration_is_said(self):
        self.configure("server.stor = 1\n")
        self.assertIn('did you mean "store"?', self.obit("status")[1])
        self.assertIn("/var/lib/obit", self.obit("status")[0])


if __name__ == "__main__":
    case.main()
