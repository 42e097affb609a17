"""obit list and obit show: what is printed, for people and for programs."""

import json
import os
import re
import subprocess

import support
from harness import case, programs


class List(support.CliCase):
    def test_an_empty_store_is_an_empty_array(self):
        self.run_obit("import", "absent", code=1)  # makes the store
        self.assertEqual(self.run_obit("list", "--json")[0], "[]\n")
        self.assertEqual(self.run_obit("list")[0], "No crashes.\n")

    def test_json_has_whole_records_oldest_first(self):
        first = self.add(pid=100, comm="first")
        second = self.add(pid=200, comm="second", signal=6)
        records = json.loads(self.run_obit("list", "--json")[0])
        self.assertEqual([record["id"] for record in records], [first["id"], second["id"]])
        self.assertEqual(records[1]["process"]["pid"], 200)
        self.assertEqual(records[1]["process"]["comm"], "second")
        self.assertEqual(records[1]["signal"], {"number": 6, "name": "SIGABRT"} | records[1]["signal"])
        for key in ("transport", "method", "detail", "outcome", "core_bytes", "stored_bytes", "held_seconds"):
            self.assertIn(key, records[0]["capture"])
        self.assertEqual(json.loads(self.run_obit("show", second["id"], "--json")[0]), records[1])

    def test_a_line_for_each_crash_and_a_summary(self):
        record = self.add(pid=4711, comm="imgproxy", memory=b"x" * 8192)
        lines = self.run_obit("list")[0].splitlines()
        self.assertEqual(lines[0].split(), ["TIME", "ID", "PID", "USER", "SIGNAL", "PROGRAM", "CORE", "STORED"])
        self.assertRegex(lines[1], rf"^today ..:..:..  {record['id'][:8]}  4711  root  SIGSEGV  imgproxy  12 KiB +\d")
        self.assertRegex(lines[2], r"^1 crash, .* stored\.$")

    def test_selects_by_program_pid_and_number(self):
        for pid, comm in ((100, "first"), (200, "second"), (300, "first")):
            self.add(pid=pid, comm=comm)

        def pids(*arguments):
            return [record["process"]["pid"] for record in json.loads(self.run_obit("list", "--json", *arguments)[0])]

        self.assertEqual(pids("first"), [100, 300])
        self.assertEqual(pids("200", "@1"), [200, 300])
        self.assertEqual(pids("--last", "2"), [200, 300])
        self.run_obit("list", "third", code=3)

    def test_since_takes_times_and_refuses_others(self):
        old = self.add(pid=100)
        (self.folder / "core").write_bytes(support.make_core(pid=200))
        os.utime(self.folder / "core", (1_000_000_000, 1_000_000_000))
        self.run_obit("import", "core")
        listed = json.loads(self.run_obit("list", "--json", "--since", "1h")[0])
        self.assertEqual([record["id"] for record in listed], [old["id"]])
        self.assertEqual(len(json.loads(self.run_obit("list", "--json", "--since", "2001-09-09")[0])), 2)
        self.run_obit("list", "--since", "soon", code=2)

    def test_broken_records_are_told_and_the_others_listed(self):
        good, bad, newer = self.add(pid=1), self.add(pid=2), self.add(pid=3)
        (self.directory_of(bad) / "crash.json").write_text("{ not json")
        content = json.loads((self.directory_of(newer) / "crash.json").read_text())
        (self.directory_of(newer) / "crash.json").write_text(json.dumps(content | {"schema": 99}))
        self.run_obit("reindex")
        out, err = self.run_obit("list", "--json", code=1)
        self.assertEqual([record["id"] for record in json.loads(out)], [good["id"]])
        self.assertEqual(len(err.splitlines()), 2)
        self.assertIn(f"crash {bad['id']}", err)
        self.assertIn("schema version 99", err)
        self.assertIn("not JSON", self.run_obit("show", bad["id"], code=1)[1])
        self.run_obit("rm", bad["id"], newer["id"])
        self.assertEqual(len(self.records()), 1)

    def test_what_a_process_says_of_itself_cannot_move_the_cursor(self):
        record = self.add(comm="\x1b[2J")
        self.edit_record(record, lambda content: content["process"].update(comm="\x1b[2J\n\x9b", cmdline=["\x1b]0;x\x07"]))
        for verb in ("list", "show"):
            code, got = support.on_terminal([programs.OBIT, "--store", self.store, verb], 100, {"NO_COLOR": "1"})
            self.assertEqual(code, 0)
            self.assertNotRegex(got, "[\x00-\x09\x0b-\x1f\x7f-\x9f]")

    def test_a_terminal_gets_colours_and_lines_that_fit(self):
        for pid in (1, 22, 333):
            self.add(pid=pid, comm="a-rather-long-n")
        record = self.add(pid=4)
        self.edit_record(record, lambda content: content["capture"].update(outcome="truncated", reason="x" * 200))
        for columns in (80, 100, 160):
            code, got = support.on_terminal([programs.OBIT, "--store", self.store, "list"], columns)
            self.assertEqual(code, 0)
            self.assertIn("\x1b[", got)
            rows = re.sub("\x1b\\[[0-9]*m", "", got).splitlines()[:-1]
            self.assertEqual(len(rows), 5)
            for row in rows:
                self.assertLessEqual(len(row), columns, row)
        self.assertNotIn("\x1b", self.run_obit("list")[0])

    def test_a_full_disk_behind_the_output_is_told(self):
        self.add()
        with open("/dev/full", "w") as full:
            done = subprocess.run([programs.OBIT, "--store", self.store, "list"], stdout=full, stderr=subprocess.PIPE,
                                  timeout=60)  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"No space left", done.stderr)


class Show(support.CliCase):
    def test_says_what_is_known(self):
        record = self.add(pid=4711, comm="imgproxy", exe="/opt/imgproxy")
        out = self.run_obit("show")[0]
        self.assertIn("imgproxy died of SIGSEGV; its core file was written today at", out)
        self.assertIn("Program     /opt/imgproxy\n", out)
        self.assertIn("Command     imgproxy --port 8080\n", out)
        self.assertIn(f"gdb {record['id'][:8]}", out)

    def test_says_which_of_several_it_took(self):
        self.add(pid=1)
        record = self.add(pid=2)
        out, err = self.run_obit("show", "imgproxy")
        self.assertIn("Process     2,", out)
        self.assertEqual(err, f"obit: 2 crashes of imgproxy; showing the newest, {record['id'][:8]} (4.0 KiB)\n")

    def test_nothing_matches(self):
        self.add(comm="imgproxy")
        _, err = self.run_obit("show", "zz", code=3)
        self.assertRegex(err, r'^obit: no crash matches "zz". Newest: [0-9a-f]{8} imgproxy \(obit list\)\n$')

    def test_several_match(self):
        first, second = self.add(), self.add()

        def rename(record, to):
            old = self.directory_of(record)
            content = json.loads((old / "crash.json").read_text())
            (old / "crash.json").write_text(json.dumps(content | {"id": to}))
            old.rename(old.parent / to)

        rename(first, "abcd000000000000")
        rename(second, "abce000000000000")
        _, err = self.run_obit("show", "abc", code=4)
        self.assertIn("abcd0000", err)
        self.assertIn("abce0000", err)
        self.assertEqual(len(err.splitlines()), 1)
        self.run_obit("show", "abcd")


class Usage(support.CliCase):
    def test_help_and_version(self):
        out, _ = self.run_obit("--help", store=False)
        self.assertIn("Examples:", out)
        for verb in ("list", "show", "dump", "gdb", "lldb", "rm", "import", "reindex", "enable", "disable", "status", "doctor"):
            self.assertRegex(out, rf"\n  {verb} ")
            self.run_obit(verb, "--help", store=False)
        self.assertRegex(self.run_obit("--version", store=False)[0], r"^obit \d+\.\d+\.\d+\n$")

    def test_wrong_usage_is_two(self):
        for arguments in ([], ["explode"], ["list", "--jsno"], ["rm"], ["import"], ["enable", "--transport", "pigeon"],
                          ["list", "--last", "many"], ["show", "a", "b"]):  # fmt: skip
            _, err = self.run_obit(*arguments, code=2)
            self.assertEqual(len(err.splitlines()), 1, err)

    def test_no_store(self):
        for verb in ("list", "show", "reindex"):
            _, err = self.run_obit(verb, code=1)
            self.assertIn("is no store", err)

    def test_no_permission(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        self.add()
        os.chmod(self.folder, 0o755)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        _, err = self.run_obit("list", code=1, **nobody)
        self.assertIn("Permission denied", err)

    def test_a_store_for_reading_only(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        record = self.add()
        self.run_obit("list")
        for path in (self.folder, *self.store.rglob("*"), self.store):
            path.chmod(0o755 if path.is_dir() else 0o644)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        listed = json.loads(self.run_obit("list", "--json", **nobody)[0])
        self.assertEqual([crash["id"] for crash in listed], [record["id"]])
        self.run_obit("show", **nobody)
        self.assertIn("Permission denied", self.run_obit("rm", "@1", code=1, **nobody)[1])


if __name__ == "__main__":
    case.main()
