"""obit rm by what crashes have in common, obit vacuum, and what is said of a crash whose core was removed."""

import json
import os
import pty
import re
import shutil
import time

import support
from harness import case, programs

DAY = 86400


class Removal(support.CliCase):
    def ids(self):
        return {record["id"] for record in self.records()}

    def add_old(self, days, **core):
        """A crash of so many days ago, which came into the store then: obit takes the time of the file."""
        path = self.folder / "core.old"
        path.write_bytes(support.make_core(**core))
        then = (time.time() - days * DAY,) * 2
        os.utime(path, then)
        before = self.ids() if self.store.exists() else set()
        self.run_obit("import", path)
        path.unlink()
        (record,) = (record for record in self.records() if record["id"] not in before)
        for file in self.directory_of(record).glob("*.json"):
            os.utime(file, then)
        return record


class Rm(Removal):
    def test_a_program_goes_by_its_exact_name(self):
        first = self.add(comm="imgproxy")
        second = self.add(comm="imgproxy", exe="/usr/bin/imgproxy")
        other = self.add(comm="imgproxy2")
        out, _ = self.run_obit("rm", "--program", "imgproxy", "--dry-run")
        self.assertEqual(len(re.findall(r"(?m)^would remove [0-9a-f]{8} imgproxy, .* freed$", out)), 2, out)
        self.assertEqual(self.ids(), {first["id"], second["id"], other["id"]})
        self.run_obit("rm", "--program", "/usr/bin/imgproxy")
        self.assertEqual(self.ids(), {first["id"], other["id"]})
        self.run_obit("rm", "--program", "imgproxy")
        self.assertEqual(self.ids(), {other["id"]})
        self.run_obit("rm", "--program", "imgproxy", code=3)

    def test_all_options_must_fit(self):
        old, new = self.add_old(40, comm="old"), self.add(comm="new")
        self.run_obit("rm", "--before", "30d", "--program", "new", code=3)
        self.run_obit("rm", "--before", "30d", "--since", "50d")
        self.assertEqual(self.ids(), {new["id"]})
        self.assertIn("not a time", self.run_obit("rm", "--before", "whenever", code=2)[1])
        self.assertNotEqual(old["id"], new["id"])

    def test_a_group_a_unit_a_user(self):
        grouped, of_unit, of_user, plain = (self.add(comm=comm) for comm in ("grouped", "of-unit", "of-user", "plain"))
        self.add_report(grouped)
        self.edit_record(of_unit, lambda record: record["process"].update(cgroup="/system.slice/imgproxy.service"))
        self.edit_record(of_user, lambda record: record["process"].update(uid=65534))
        self.run_obit("rm", "--group", "a71c", "--unit", "imgproxy", code=3)
        self.run_obit("rm", "--group", "a71c")
        self.run_obit("rm", "--unit", "imgproxy")
        self.assertEqual(self.ids(), {of_user["id"], plain["id"]})
        self.run_obit("rm", "--user", "nobody")
        self.assertEqual(self.ids(), {plain["id"]})

    def test_a_group_has_the_crashes_of_its_loop(self):
        kept, plain = self.add(comm="looper"), self.add(comm="plain")
        self.add_report(kept)
        self.edit_record(self.add(comm="looper"), lambda record: record["capture"].update(
            detail="event", outcome="event", stored_bytes=0,
            reason=f"a crash loop: this place of the program has had 1 core, of 9 bytes; like {kept['id']}"))  # fmt: skip
        self.run_obit("rm", "--group", "a71c")
        self.assertEqual(self.ids(), {plain["id"]})

    def test_pinned_crashes_stay(self):
        pinned, other = self.add(comm="same"), self.add(comm="same")
        self.run_obit("pin", pinned["id"])
        self.assertIn("1 is pinned and stays", self.run_obit("rm", "--program", "same")[1])
        self.assertEqual(self.ids(), {pinned["id"]})
        self.run_obit("rm", "--program", "same", "--force")
        self.assertEqual(self.ids(), set())
        self.assertNotEqual(pinned["id"], other["id"])

    def test_a_program_is_meant_rather_than_an_id(self):
        record = self.add(comm="other")
        named = self.add(comm=record["id"][:4])
        self.run_obit("rm", record["id"][:4])
        self.assertEqual(self.ids(), {record["id"]})
        self.assertNotEqual(named["id"], record["id"])

    def test_which_crashes_must_be_said_in_one_way(self):
        record = self.add()
        self.run_obit("rm", code=2)
        self.run_obit("rm", "@1", "--program", "imgproxy", code=2)
        self.assertEqual(self.ids(), {record["id"]})

    def test_asks_on_a_terminal(self):
        record = self.add(comm="imgproxy")
        for answer, left in ((b"n\n", {record["id"]}), (b"\n", {record["id"]}), (b"y\n", set())):
            said = self.answer(answer, "rm", "--program", "imgproxy")
            self.assertRegex(said, r"Remove 1 crash, .*\? \[y/N\]")
            self.assertEqual(self.ids(), left)
        self.add(comm="imgproxy")
        self.assertNotIn("[y/N]", self.answer(b"", "rm", "--program", "imgproxy", "--yes"))
        self.assertEqual(self.ids(), set())

    def answer(self, answer, *arguments):
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.execve(programs.OBIT, [str(programs.OBIT), "--store", str(self.store), *arguments], support.ENVIRONMENT)
            finally:
                os._exit(127)
        os.write(terminal, answer)
        said = b""
        while True:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                piece = b""
            if not piece:
                break
            said += piece
        os.close(terminal)
        os.waitpid(pid, 0)
        return said.decode()


class Vacuum(Removal):
    def test_old_cores_go_and_their_records_stay(self):
        old, new = self.add_old(40, comm="old", memory=os.urandom(8192)), self.add(comm="new")
        self.add_report(old)
        folder = self.directory_of(old)
        out, _ = self.run_obit("vacuum", "--age", "30d", "--dry-run")
        self.assertIn(f"would remove the core of {old['id'][:8]} old", out)
        self.assertTrue((folder / "core.zst").exists())
        out, _ = self.run_obit("vacuum", "--age", "30d")
        self.assertIn(f"removed the core of {old['id'][:8]} old", out)
        self.assertRegex(out, r"1 core: .* freed, .* stay\.")
        self.assertFalse((folder / "core.zst").exists())
        self.assertEqual(self.ids(), {old["id"], new["id"]})
        removed = json.loads((folder / "removed.json").read_text())
        self.assertEqual(removed["id"], old["id"])
        self.assertGreaterEqual(removed["bytes"], old["capture"]["stored_bytes"])
        self.assertIn("Nothing to remove", self.run_obit("vacuum", "--age", "30d")[0])

    def test_what_is_said_of_a_crash_without_its_core(self):
        record = self.add_old(40, comm="old")
        self.assertIn(record["id"][:8], self.run_obit("list")[0])  # an index knows it with its core
        self.run_obit("vacuum", "--age", "30d")
        row = self.run_obit("list")[0].splitlines()[1]
        self.assertRegex(row, r" removed +- *$")
        page = self.run_obit("show")[0]
        self.assertRegex(page, r"Removed +today at .*: it was older than asked for")
        self.assertNotIn("obit gdb", page)
        self.assertNotIn("core.zst", page)
        shown = json.loads(self.run_obit("show", "--json")[0])
        self.assertEqual(shown["removed"]["why"], "it was older than asked for")
        for verb in (("dump", "@1", "-o", "core"), ("gdb",), ("lldb",), ("analyze",)):
            self.assertIn(f"the core of crash {record['id'][:8]} was removed on 20", self.run_obit(*verb, code=1)[1])
        self.run_obit("analyze", "--all")
        self.assertRegex(self.run_obit("list")[0], r"1 crash, 0 B stored")

    def test_a_store_that_is_too_large_loses_the_oldest(self):
        first, second = (self.add_old(days, comm=f"of{days}", memory=os.urandom(100_000)) for days in (3, 2))
        out, _ = self.run_obit("vacuum", "--size", "150K")
        self.assertRegex(out, rf"{first['id'][:8]} of3, \d+ KiB: the store was larger than 150 KiB")
        self.assertNotIn(second["id"][:8], out)

    def test_a_damaged_record_counts_and_goes_like_others(self):
        damaged, pinned, sound = (self.add_old(days, comm=f"of{days}", memory=os.urandom(100_000)) for days in (4, 3, 2))
        self.run_obit("pin", pinned["id"])
        for record in (damaged, pinned):
            (self.directory_of(record) / "crash.json").write_text("?")
        self.run_obit("reindex")
        out, _ = self.run_obit("vacuum", "--size", "1T")
        self.assertRegex(out, r"Nothing to remove: 3 crashes, \d+ KiB on the disk")
        out, _ = self.run_obit("vacuum", "--size", "300K")
        self.assertRegex(out, rf"removed the core of {damaged['id'][:8]} \(its record cannot be read\), \d+ KiB")
        self.assertFalse((self.directory_of(damaged) / "core.zst").exists())
        for record in (pinned, sound):
            self.assertTrue((self.directory_of(record) / "core.zst").exists())
        self.run_obit("vacuum", "--size", "1M", "--age", "1d")
        self.assertTrue((self.directory_of(pinned) / "core.zst").exists())

    def test_only_the_limits_that_are_given_hold(self):
        record = self.add_old(40, memory=os.urandom(100_000))
        self.assertIn("Nothing to remove", self.run_obit("vacuum", "--size", "1T", "--dry-run")[0])
        self.assertIn("Nothing to remove", self.run_obit("vacuum", "--age", "50d", "--dry-run")[0])
        self.assertIn(record["id"][:8], self.run_obit("vacuum", "--dry-run")[0])

    def test_pinned_cores_stay(self):
        pinned, other = self.add_old(50, comm="pinned"), self.add_old(40, comm="other")
        self.run_obit("pin", pinned["id"])
        out, _ = self.run_obit("vacuum", "--age", "30d")
        self.assertIn(other["id"][:8], out)
        self.assertNotIn(pinned["id"][:8], out)

    def test_a_copy_that_cannot_be_written_can_be_looked_at(self):
        record = self.add_old(40)
        copy = self.folder / "copy"
        shutil.copytree(self.store, copy)
        (copy / "index.db").unlink(missing_ok=True)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        self.folder.chmod(0o755)
        out, _ = self.run_obit("--store", copy, "vacuum", "--age", "30d", "--dry-run", store=False, user=65534)
        self.assertIn(record["id"][:8], out)
        for path in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
            path.chmod(0o755)

    def test_wrong_limits_are_refused(self):
        self.add()
        for option, value in (("--size", "many"), ("--free", "101%"), ("--age", "whenever"), ("--age", "2999-01-01")):
            self.assertIn(option, self.run_obit("vacuum", option, value, code=2)[1])


if __name__ == "__main__":
    case.main()
