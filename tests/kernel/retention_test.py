"""A store that is kept within its limits while crashes come."""

import json
import os
import subprocess

from harness import case, crash, programs, server, store, wait

LIMITS = '[analysis]\nenabled = false\n[retention]\nsize = "20 MiB"\nfree = "off"\n'
MIB = 1 << 20
CRASHES = 20


class Retention(case.KernelCase):
    def setUp(self):
        super().setUp()
        mount = f"{self.directory}/small"
        os.mkdir(mount)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", mount], check=True)
        self.stack.callback(subprocess.run, ["umount", "-l", mount], check=True)
        self.server = server.Server(self.directory, store=f"{mount}/store")
        self.server.configure(LIMITS)
        self.server.start()
        self.stack.callback(lambda: self.server.kill())
        self.lend_kernel("socket-request")

    def cores(self):
        return sorted(self.server.store.glob("crashes/*/*/core.zst"))

    def used(self):
        return sum(path.stat().st_blocks * 512 for path in self.server.store.glob("crashes/*/*/*"))

    def test_cores_go_records_stay(self):
        for _ in range(CRASHES):
            crash.run([programs.CRASHER, "memory", 5, "random"], seconds=60)
        records = store.records(self.server.store, CRASHES)
        wait.until(lambda: self.used() <= 20 * MIB, lambda: f"{self.used()} bytes in the store", seconds=60)
        self.assertEqual(len(store.records(self.server.store, CRASHES)), CRASHES)
        left = {path.parent.name for path in self.cores()}
        self.assertIn(records[0]["id"], left, "the first of the group")
        self.assertIn(records[-1]["id"], left, "the newest of the group")
        self.assertGreaterEqual(len(left), 3)
        gone = [record["id"] for record in records if record["id"] not in left]
        self.assertEqual(gone, [record["id"] for record in records[1 : 1 + len(gone)]], "the oldest of the others")
        shown = json.loads(store.obit(self.server.store, "show", gone[0], "--json").stdout)
        self.assertEqual(shown["removed"]["why"], "the store was larger than 20 MiB")
        self.server.wait_for_log("retention: ")
        wait.until(lambda: self.metric('obit_retention_cores_total{why="size"}') == len(gone), "what was removed, in the metrics")

    def metric(self, name):
        for line in (self.server.store / "metrics.prom").read_text().splitlines():
            if line.startswith(name):
                return float(line.rpartition(" ")[2])
        return None


if __name__ == "__main__":
    case.main()
