"""obit release: what there is to say without anything that is kept. The rest needs a crash (tests/kernel/early_release_test.py)."""

import fcntl
import json
import os
import pathlib

import support
from harness import case

ID = "3f9c000000000000"


class Release(support.CliCase):
    def setUp(self):
        super().setUp()
        self.record = self.add()

    def put(self, because):
        """What a worker leaves in incoming/ while it copies."""
        folder = pathlib.Path(self.store) / "incoming" / ID
        folder.mkdir()
        record = self.record | {"id": ID, "capture": self.record["capture"] | {"kept_because": because}}
        record["process"] = record["process"] | {"comm": "imgproxy\x1b[2J", "resident_bytes": 1 << 30}
        lock = os.open(folder, os.O_RDONLY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "begun.json").write_text(json.dumps(record))

    def test_nothing_is_kept(self):
        self.assertIn("no memory is kept", self.run_obit("release", code=3)[1])
        self.assertIn("no memory is kept of crash 3f9c", self.run_obit("release", "3f9c", code=3)[1])
        self.put("")
        self.run_obit("release", code=3)

    def test_status_lists_what_is_kept(self):
        self.assertNotIn("kept memory", self.run_obit("status")[0])
        self.put("there is room for its 1.0 GiB twice")
        out, _ = self.run_obit("status")
        self.assertIn(f"obit release {ID}", out)
        self.assertNotIn("\x1b[2J", out)
        (kept,) = json.loads(self.run_obit("status", "--json")[0])["kept_memory"]
        self.assertEqual((kept["id"], kept["pid"], kept["bytes"]), (ID, 4711, 1 << 30))

    def test_obitd_has_to_listen(self):
        self.put("there is room for its 1.0 GiB twice")
        self.run_obit("release", "3f9c", "--pipe-socket", self.folder / "none", code=1)


if __name__ == "__main__":
    case.main()
