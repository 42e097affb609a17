"""obit list and obit show: what is printed, for people and for programs."""

import json
import os
import re
import subprocess

import support
from harness import case, programs


class List(support.CliCase):
    def test_an_empty_store_is_an_empty_array(self):
        self.run_obit("rm", self.add()["id"])
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
        self.assertEqual(json.loads(self.run_obit("show", second["id"], "--json")[0]), {"record": records[1]})

    def test_a_loop_is_one_line_whatever_is_cut(self):
        kept = self.add(comm="looper")
        self.add_report(kept)
        other = self.add(comm="other")
        for _ in range(3):
            event = self.add(comm="looper")
            self.edit_record(event, lambda known: known["capture"].update(
                detail="event", outcome="event", stored_bytes=0,
                reason=f"a crash loop: this place of the program has had 1 core, of 9 bytes; like {kept['id']}"))  # fmt: skip
        (self.directory_of(kept) / "repeats.json").write_text(json.dumps(
            {"schema": 1, "id": kept["id"], "crashes": 7, "first": kept["time"], "last": event["time"]}))  # fmt: skip
        for options in ((), ("--last", "2"), ("--last", "1"), ("--since", "1h")):
            lines = self.run_obit("list", *options)[0].splitlines()
            loop = next(line for line in lines if "looper" in line)
            self.assertIn(kept["id"][:8], loop)
            self.assertIn(" 11, 4 kept ", loop)
            self.assertEqual(any("other" in line for line in lines), options != ("--last", "1"), options)
        self.assertIn(other["id"][:8], self.run_obit("list")[0])
        self.assertRegex(self.run_obit("groups")[0], r"a71c09 +11, 4 kept ")
        self.assertIn("Null pointer read", self.run_obit("show", "a71c09")[0])

    def test_a_line_for_each_crash_and_a_summary(self):
        record = self.add(pid=4711, comm="imgproxy", memory=b"x" * 8192)
        lines = self.run_obit("list")[0].splitlines()
        self.assertEqual(lines[0].split(), ["TIME", "ID", "PID", "USER", "SIGNAL", "PROGRAM", "CORE", "STORED"])
        self.assertRegex(lines[1], rf"^today ..:..:..  {record['id'][:8]}  4711  root  SIGSEGV  imgproxy  12 KiB +\d")
        self.assertRegex(lines[2], r"^1 crash, .* stored\.$")

    def test_tells_what_crash_loops_repeated(self):
        for program, counts in (("imgproxy", (30, 1)), ("nginx", (5,)), ("quiet", ())):
            for count in counts or (0,):
                record = self.add(comm=program)
                repeats = {"schema": 1, "id": record["id"], "crashes": count,
                           "first": "2026-11-23T14:02:12.000000000Z", "last": "2026-11-23T14:05:00.000000000Z"}  # fmt: skip
                if count:
                    (self.directory_of(record) / "repeats.json").write_text(json.dumps(repeats))
        footer = "36 more of imgproxy, nginx were counted, not kept (crash loop)."
        self.assertIn(f"4 crashes, {footer}"[11:], self.run_obit("list")[0])
        lines = self.run_obit("list")[0].splitlines()
        self.assertEqual(len(lines), 6, lines)
        for line, count in zip(lines[1:], ("31, 1 kept", "2, 1 kept", "6, 1 kept")):
            self.assertIn(f" {count}  ", line)
        listed = json.loads(self.run_obit("list", "--json", "--last", "2")[0])
        self.assertEqual([record.get("repeats", {}).get("crashes") for record in listed], [5, None])
        self.assertEqual(len(self.run_obit("list", "--all")[0].splitlines()), 6)
        self.assertIn("31 more of imgproxy were counted", self.run_obit("list", "imgproxy")[0])
        self.assertNotIn("more of", self.run_obit("list", "quiet")[0])
        page = self.run_obit("show", "nginx")[0]
        self.assertRegex(page, r"Repeats +5 more until .* were counted, not kept \(crash loop\)")
        self.assertEqual(json.loads(self.run_obit("show", "nginx", "--json")[0])["repeats"]["crashes"], 5)
        self.assertNotIn("repeats", json.loads(self.run_obit("show", "quiet", "--json")[0]))
        (self.directory_of(record) / "repeats.json").write_text("{")
        self.assertIn(f"crash {record['id']}: repeats.json: count is not JSON", self.run_obit("show", "quiet")[1])

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


class Order(support.CliCase):
    """The newest crash is the one that came last, whatever the clock said."""

    def set_time(self, record, time):
        self.edit_record(record, lambda content: content.update(time=time))

    def pids(self, *arguments):
        return [record["process"]["pid"] for record in json.loads(self.run_obit("list", *arguments, "--json")[0])]

    def jump(self):
        """Three crashes, the last two after the clock was set back by a day."""
        records = [self.add(pid=pid, comm="imgproxy") for pid in (1, 2, 3)]
        for record, time in zip(records, ("2026-11-24T10:00:00Z", "2026-11-23T10:00:00Z", "2026-11-23T10:00:01Z")):
            self.set_time(record, time)
        return records

    def test_a_clock_that_jumps_back_does_not_change_what_is_newest(self):
        first, second, third = self.jump()
        self.assertEqual(self.pids(), [1, 2, 3])
        self.assertEqual(self.pids("--last", "2"), [2, 3])
        lines = self.run_obit("list")[0].splitlines()
        self.assertEqual([re.split("  +", line)[2] for line in lines[1:4]], ["1", "2", "3"])
        for selector in ([], ["@1"], ["imgproxy"]):
            self.assertEqual(json.loads(self.run_obit("show", *selector, "--json")[0])["record"]["id"], third["id"])
        self.assertEqual(json.loads(self.run_obit("show", "@3", "--json")[0])["record"]["id"], first["id"])
        (self.store / "index.db").unlink()
        self.assertEqual(self.pids(), [1, 2, 3])

    def test_groups_go_by_it_too(self):
        first, second, third = self.jump()
        for record in (first, second, third):
            self.add_report(record, group="a" * 16 if record is not second else "b" * 16)
        groups = json.loads(self.run_obit("groups", "--json")[0])
        self.assertEqual([group["newest"] for group in groups], [second["id"], third["id"]])
        self.assertEqual([group["first"][:10] for group in groups], ["2026-11-23", "2026-11-24"])
        self.assertEqual([group["last"][:10] for group in groups], ["2026-11-23", "2026-11-23"])
        self.assertIn("the 2nd time since", self.run_obit("show", third["id"])[0])
        self.assertIn("the 1st of 2 times since", self.run_obit("show", first["id"])[0])

    def test_crashes_of_a_store_without_numbers_are_older_and_go_by_time(self):
        first, second, third = self.jump()
        for record in (first, second):
            self.edit_record(record, lambda content: content.pop("number"))
            (self.directory_of(record) / "commit.json").unlink()
        self.run_obit("reindex")
        self.assertEqual(self.pids(), [2, 1, 3])
        self.add(pid=4)
        self.assertEqual(self.pids(), [2, 1, 3, 4])

    def test_odd_numbers_do_no_harm(self):
        first, second, third = self.jump()
        for number, order in ((2**64 - 1, [1, 2, 3]), (2**52 + 1, [1, 2, 3]), ("7", [1, 2, 3]), (-1, [1, 2, 3]), (1.5, [1, 2, 3]),
                              (None, [1, 2, 3]), (third["number"], [2, 1, 3])):  # fmt: skip
            self.edit_record(first, lambda content: content.update(number=number))
            self.assertEqual(sorted(self.pids()), sorted(order), number)
            self.assertEqual(self.pids()[-1], 3 if number != third["number"] else 1, number)
        self.edit_record(first, lambda content: content.update(number=2**64 - 1))
        for name in ("accepted", "committed"):
            (self.store / "numbers" / name).write_text("damaged")
        self.assertEqual(self.add(pid=4)["number"], third["number"] + 1)
        self.assertEqual(self.pids()[-1], 4)

    def test_numbers_go_on_after_damage_and_are_not_given_twice(self):
        numbers = [self.add(pid=pid)["number"] for pid in (1, 2)]
        self.assertEqual(numbers, [1, 2])
        for damage in (b"", b"\0" * 16, b"1", b"99999999999999999999\n"):
            for name in ("accepted", "committed"):
                (self.store / "numbers" / name).write_bytes(damage)
            numbers.append(self.add(pid=len(numbers) + 1)["number"])
        self.assertEqual(numbers, [1, 2, 3, 4, 5, 6])
        commits = [json.loads((self.directory_of(record) / "commit.json").read_text()) for record in self.records()]
        self.assertEqual([commit["number"] for commit in commits], [1, 2, 3, 4, 5, 6])
        self.assertEqual([commit["id"] for commit in commits], [record["id"] for record in self.records()])
        self.run_obit("rm", commits[-1]["id"])
        self.assertEqual(self.add(pid=7)["number"], 7, "the number of a crash that was removed is not given again")

    def test_imports_at_the_same_time(self):
        paths = []
        for pid in range(1, 9):
            paths.append(self.folder / f"core.{pid}")
            paths[-1].write_bytes(support.make_core(pid=pid))
        running = [subprocess.Popen([programs.OBIT, "--store", self.store, "import", *paths[part::4]], stdout=subprocess.DEVNULL)
                   for part in range(4)]  # fmt: skip
        self.assertEqual([process.wait() for process in running], [0] * 4)
        records = self.records()
        numbers = [record["number"] for record in records]
        commits = [json.loads((self.directory_of(record) / "commit.json").read_text())["number"] for record in records]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(len(set(numbers)), 8)
        self.assertEqual(len(set(commits)), 8)


class Reports(support.CliCase):
    """obit list, show and groups of crashes that were analysed."""

    def columns(self, *arguments):
        """The lines of the table that obit prints, as lists of columns."""
        lines = self.run_obit(*arguments)[0].splitlines()[1:-1]
        return [re.split("  +", line) for line in lines]

    def test_a_list_says_the_cause_once_a_group(self):
        first, second, other, plain = (self.add(pid=pid) for pid in (1, 2, 3, 4))
        for record in (first, second):
            self.add_report(record)
        self.add_report(other, group="b" * 16, sentence="divided by zero",
                        cause={"kind": "divide-by-zero", "sentence": "divided by zero", "guess": True})  # fmt: skip
        out = self.run_obit("list")[0].splitlines()
        self.assertIn("CAUSE", out[0])
        self.assertIn("null pointer read at 0x18: the object in rdi is null", out[1])
        self.assertIn(f"same as {first['id'][:8]}, 2nd", out[2])
        self.assertIn("probably: divided by zero", out[3])
        self.assertRegex(out[4], rf"{plain['id'][:8]} +4  root  SIGSEGV  imgproxy +4.0 KiB")
        self.assertRegex(out[5], r"^4 crashes, 3 of them in 2 groups, .* stored\.$")
        self.assertIn("null pointer", self.run_obit("list", second["id"])[0], "the first of the group is not in the list")

    def test_a_report_is_seen_when_it_comes_and_when_it_is_replaced(self):
        record = self.add()
        self.run_obit("list")
        for sentence in ("first", "second"):
            self.add_report(record, sentence=sentence)
            self.assertIn(sentence, self.run_obit("list")[0])
        (self.store / "index.db").unlink()
        self.assertIn("second", self.run_obit("list")[0])
        self.run_obit("reindex")
        self.assertIn("second", self.run_obit("list")[0])

    def test_a_list_of_one_group(self):
        records = [self.add(pid=pid) for pid in (1, 2, 3)]
        self.add_report(records[0])
        self.add_report(records[2])
        self.add_report(records[1], group="a71d" + "0" * 12)
        listed = json.loads(self.run_obit("list", "--json", "--group", "a71c")[0])
        self.assertEqual([record["process"]["pid"] for record in listed], [1, 3])
        self.assertIn("in 1 group", self.run_obit("list", "--group", "a71c09", "--last", "1")[0])
        self.assertIn("no group matches", self.run_obit("list", "--group", "bb", code=3)[1])
        self.assertIn("a71c09, a71d00", self.run_obit("list", "--group", "a71", code=4)[1])

    def test_groups(self):
        first, second, other = self.add(pid=1), self.add(pid=2, comm="imgproxy-cli"), self.add(pid=3, comm="python3")
        self.assertEqual(self.run_obit("groups")[0], "No groups; 3 crashes in none.\n")
        self.assertEqual(self.run_obit("groups", "--json")[0], "[]\n")
        self.add_report(first)
        self.add_report(other, group="b" * 16, sentence="divided by zero")
        self.add_report(second, sentence="null pointer read at 0x20")
        rows = self.columns("groups")
        self.assertEqual([(row[0], row[1].strip(), row[4], row[6]) for row in rows],
                         [("a71c09", "2", second["id"][:8], "null pointer read at 0x20"),
                          ("bbbbbb", "1", other["id"][:8], "divided by zero")])  # fmt: skip
        self.assertEqual(rows[0][5], "imgproxy, imgproxy-cli")
        group = json.loads(self.run_obit("groups", "--json")[0])[0]
        self.assertEqual(group, {"group": "a71c0900b04d6e58", "version": 2, "count": 2, "kept": 2, "first": first["time"],
                                 "last": second["time"], "kind": "null-read", "cause": "null pointer read at 0x20",
                                 "guess": False, "programs": ["imgproxy", "imgproxy-cli"], "newest": second["id"]})  # fmt: skip
        self.assertEqual(self.run_obit("groups", "--since", "2999-01-01")[0], "No groups.\n")
        self.run_obit("groups", "--since", "soon", code=2)

    def test_later_versions_of_the_fingerprint_are_groups_of_their_own(self):
        for version, pid in ((2, 1), (3, 2)):
            value = {"version": version, "value": "a71c0900b04d6e58", "frames": []}
            self.add_report(self.add(pid=pid), fingerprint=value)
        groups = json.loads(self.run_obit("groups", "--json")[0])
        self.assertEqual([(group["version"], group["count"]) for group in groups], [(2, 1), (3, 1)])
        listed = json.loads(self.run_obit("list", "--json", "--group", "a71c09")[0])
        self.assertEqual([record["process"]["pid"] for record in listed], [2], "the newer version")

    def test_an_older_version_of_the_fingerprint_is_in_a_group_of_today(self):
        for version in (1, 2):
            record = self.add()
            self.add_report(record, fingerprint={"version": version, "value": "a71c0900b04d6e58", "frames": []})
            if version == 1:
                self.assertEqual(json.loads(self.run_obit("show", record["id"], "--json")[0])["report"]["fingerprint"]["version"], 2)
        groups = json.loads(self.run_obit("groups", "--json")[0])
        self.assertEqual([(group["version"], group["count"]) for group in groups], [(2, 1), (2, 1)])

    def test_show_of_a_group(self):
        first, second = self.add(pid=1), self.add(pid=2)
        for record in (first, second):
            self.add_report(record)
        out = self.run_obit("show", "a71c09")[0]
        self.assertRegex(out, r"^Group a71c09: 2 crashes of imgproxy, the first today at .*, the last today at ")
        self.assertIn("\n  Null pointer read at 0x18", out)
        self.assertIn("\n    Handler::serve\n", out)
        for record in (first, second):
            self.assertIn(record["id"][:8], out)
        listed = json.loads(self.run_obit("show", "a71c09", "--json")[0])
        self.assertEqual((listed["count"], listed["crashes"]), (2, [first["id"], second["id"]]))

    def test_a_crash_comes_before_a_group(self):
        record = self.add()
        self.add_report(record, group=record["id"][:8] + "0" * 8)
        out, err = self.run_obit("show", record["id"][:6])
        self.assertIn("imgproxy died", out)
        self.assertIn(f"{record['id'][:6]} is the beginning of a group's id, too", err)
        self.assertEqual(self.run_obit("show", record["id"])[1], "")

    def test_show_of_a_report(self):
        record = self.add()
        report = self.add_report(record)
        out = self.run_obit("show")[0]
        self.assertRegex(out, r"^imgproxy died of SIGSEGV.*, the only one of its kind \(group a71c09\)\n")
        self.assertIn("  in Cache::find(std::string const&) const, /nowhere/src/cache.cc:112\n", out)
        self.assertIn("  #1  Handler::lookup (inlined)              handler.cc:77\n", out)
        self.assertIn("15 alike in epoll_wait < worker_loop; 1 in clock_nanosleep < Stats::run\n", out)
        self.assertNotIn("Cgroup", out)
        shown = json.loads(self.run_obit("show", "--json")[0])
        self.assertEqual(shown, {"record": record, "report": report})

    def test_show_of_more(self):
        self.add_report(self.add())
        for option, heading in (("--all-threads", "15 threads alike: 4720"), ("--registers", "Registers"),
                                ("--modules", "Modules"), ("--maps", "Mappings"), ("--record", "Recorded at the crash")):  # fmt: skip
            self.assertIn("\n\n" + heading, self.run_obit("show", option)[0])
            self.assertNotIn("\n\n" + heading, self.run_obit("show")[0])

    def test_show_says_why_there_is_no_report(self):
        record = self.add()
        self.assertIn(f"analyze {record['id'][:8]}\n", self.run_obit("show")[0].replace("\n              ", " "))
        nothing = {"cause": {"kind": "unknown"}, "fingerprint": {"version": 1}, "threads": 0, "stacks": []}
        self.add_report(record, failure="the core has no threads", **nothing)
        self.assertIn("Analysis    failed: the core has no threads\n", self.run_obit("show")[0])
        (self.directory_of(record) / "report.json").write_text("{}")
        self.assertIn("Analysis    not readable: crash", self.run_obit("show")[0])
        self.run_obit("show", "--json", code=1)
        self.assertIn("1 crash may not be in a group of today", self.run_obit("reindex", code=1)[1])
        (self.directory_of(record) / "report.json").unlink()
        self.edit_record(record, lambda content: content.update(files={}))
        self.assertIn("Analysis    none: there is no core to analyse\n", self.run_obit("show")[0])


class Terminal(support.CliCase):
    """What a terminal gets that a pipe does not: colours, lines that fit, a pager."""

    def show(self, *arguments, columns=100, lines=200, **environment):
        command = [programs.OBIT, "--store", self.store, *arguments]
        code, got = support.on_terminal(command, columns, environment, lines)
        self.assertEqual(code, 0, got)
        return got

    def pager(self, script):
        path = self.folder / "pager"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        return str(path)

    def test_lines_fit_and_have_colours_unless_those_are_unwanted(self):
        long = "web::Router<web::Request, std::map<int, web::Handler>>::serve(web::Request const&, int) const"
        frames = [support.make_frame(long, f"/nowhere/{'long' * 20}.cc", line) for line in range(500)]
        self.add_report(self.add(comm="a-rather-long-n"), stacks=[{"tids": [1], "frames": frames}],
                        sentence="a sentence of many words " + "x" * 60)  # fmt: skip
        for verb in (["list"], ["groups"], ["show", "--all-threads", "--registers", "--modules"], ["show", "a71c09"]):
            for columns in (80, 100, 140):
                got = self.show(*verb, columns=columns)
                self.assertIn("\x1b[", got)
                plain = re.sub("\x1b\\[[0-9]*m", "", got)
                for line in plain.splitlines():
                    if f"--store {self.store}" not in line:  # commands stay whole
                        self.assertLessEqual(len(line), columns, line)
                self.assertEqual(self.show(*verb, columns=columns, NO_COLOR="1"), plain)
            self.assertNotIn("\x1b", self.run_obit(*verb)[0])

    def test_a_narrow_list_keeps_the_cause(self):
        self.add_report(self.add())
        titles = re.sub("\x1b\\[[0-9]*m", "", self.show("list", columns=80)).splitlines()[0].split()
        self.assertIn("CAUSE", titles)
        titles = re.sub("\x1b\\[[0-9]*m", "", self.show("list", columns=140)).splitlines()[0].split()
        self.assertEqual(titles[-3:], ["CAUSE", "CORE", "STORED"])

    def test_a_page_that_is_longer_than_the_screen_goes_to_the_pager(self):
        self.add_report(self.add())
        self.add_report(self.add())
        pager = self.pager("sed 's/^/paged: /'")
        for selector in ("@1", "a71c09"):
            self.assertTrue(self.show("show", selector, lines=10, PAGER=pager).startswith("paged: "))
            for arguments, options in ((["show", selector], {"lines": 200, "PAGER": pager}),
                                       (["show", selector, "--no-pager"], {"lines": 10, "PAGER": pager}),
                                       (["show", selector], {"lines": 10, "PAGER": "cat"}),
                                       (["show", selector], {"lines": 10, "PAGER": ""})):  # fmt: skip
                got = self.show(*arguments, **options)
                self.assertNotIn("paged", got)
                self.assertIn("Next", got)

    def test_a_pager_that_is_left_early_is_no_failure(self):
        frames = [support.make_frame("f" * 200, found="cfi") for _ in range(20_000)]
        self.add_report(self.add(), stacks=[{"tids": [n], "frames": frames} for n in range(2)])
        got = self.show("show", "--all-threads", lines=10, PAGER=self.pager("read line; echo \"left after: $line\""))
        self.assertEqual(len(got.splitlines()), 1)
        self.assertIn("left after:", got)

    def test_a_pager_that_is_not_there_is_done_without(self):
        self.add_report(self.add())
        self.assertIn("imgproxy died", self.show("show", lines=10, PAGER=str(self.folder / "absent")))
        self.assertIn("imgproxy died", self.show("show", lines=10, PAGER="cat", PATH="/nonexistent"))


class Usage(support.CliCase):
    def test_help_and_version(self):
        out, _ = self.run_obit("--help", store=False)
        self.assertIn("Examples:", out)
        for verb in ("list", "show", "groups", "dump", "gdb", "lldb", "rm", "vacuum", "pin", "unpin", "import", "reindex", "enable",
                     "disable", "status", "doctor", "config"):  # fmt: skip
            self.assertRegex(out, rf"\n  {verb} ")
            self.run_obit(verb, "--help", store=False)
        self.assertRegex(self.run_obit("--version", store=False)[0], r"^obit \d+\.\d+\.\d+\n$")

    def test_wrong_usage_is_two(self):
        for arguments in ([], ["explode"], ["list", "--jsno"], ["rm"], ["import"], ["enable", "--transport", "pigeon"],
                          ["list", "--last", "many"], ["show", "a", "b"]):  # fmt: skip
            _, err = self.run_obit(*arguments, code=2)
            self.assertEqual(len(err.splitlines()), 1, err)

    def test_the_message_says_what_is_wrong_and_what_is_near(self):
        for arguments, text in (
            (["lst"], 'there is no verb "lst"; did you mean "list"?'),
            (["--store", "x", "shwo"], 'there is no verb "shwo"; did you mean "show"?'),
            (["lst", "--json"], 'there is no verb "lst"; did you mean "list"?'),
            (["frobnicate"], 'there is no verb "frobnicate"'),
            ([], "what is to be done? Give a verb, such as list or show"),
            (["list", "--lats", "3"], 'there is no option "--lats"; did you mean "--last"?'),
            (["list", "--jsno"], 'there is no option "--jsno"; did you mean "--json"?'),
            (["--stroe=x", "list"], 'there is no option "--stroe"; did you mean "--store"?'),
            (["show", "a", "b"], '"b" is too much'),
            (["list", "--last"], "--last needs a value"),
            (["--store", "a", "--store", "b", "list"], "--store is given more than once"),
            (["enable", "--transport", "pigeon"], "--transport: pigeon is none of auto, request, socket, pipe"),
            (["analyze", "--environment", "some"], "--environment: some is none of none, allow-list, all"),
        ):
            _, err = self.run_obit(*arguments, code=2, store=False)
            self.assertEqual(err, f"obit: {text} (obit --help)\n", arguments)

    def test_a_bad_number_names_the_range_of_a_person(self):
        for number in ("x", "0", "-1", "1.5", "1e3", "0x10", " 3", "1000001", "99999999999999999999", "3k"):
            _, err = self.run_obit("list", f"--last={number}", code=2, store=False)
            self.assertEqual(err, f"obit: --last: {number} is not a whole number from 1 to 1000000 (obit --help)\n")
        self.add()
        for number in ("1", "1000000", "007"):
            self.run_obit("list", "--last", number)

    def test_obitd_says_so_too(self):
        for arguments, text in ((["--stor", "x"], 'there is no option "--stor"; did you mean "--store"?'),
                                (["--store"], "--store needs a value"), (["serve"], '"serve" is too much')):  # fmt: skip
            done = subprocess.run([programs.OBITD, *arguments], capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (2, "", f"obitd: {text} (obitd --help)\n"))

    def test_what_is_escaped_is_escaped_once(self):
        self.add()
        _, err = self.run_obit("show", "a\\b\x1b[2J", code=3)
        self.assertIn("a\\b\\x1b[2J", err)
        _, err = self.run_obit("import", "no\\such\nfile", code=1)
        self.assertIn("no\\such\\nfile", err)

    def test_no_store(self):
        for verb in ("list", "show", "groups", "reindex"):
            _, err = self.run_obit(verb, code=1)
            self.assertIn("is no store", err)

    def test_no_permission(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        self.add()
        os.chmod(self.folder, 0o755)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        self.assertEqual(self.run_obit("list", **nobody)[0].strip(), "No crashes of yours, 1 crash of others.")
        self.store.chmod(0o700)
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
