"""obit rule test: which rule wins, why others do not, and what comes of it."""

import json
import re

import support
from harness import case

RULES = """
[capture]
core_limit_zero = "reject"

[[rule]]
title = "databases"
unit = "postgresql@*.service"
detail = "minimal"
retention = "keep"

[[rule]]
exe = "/opt/*"
user = 0
cores = 9

[[rule]]
title = "all"
environment = "none"
"""


class RuleTest(support.CliCase):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "obit.toml"
        self.file.write_text(RULES)

    def rule_test(self, *arguments, **options):
        return self.run_obit("rule", "test", *arguments, "--config", self.file, **options)

    def lines(self, *arguments):
        """Without the spaces that align them."""
        return [re.sub(" +", " ", line.strip()) for line in self.rule_test(*arguments)[0].splitlines()]

    def test_says_which_rule_wins_and_why_others_do_not(self):
        lines = self.lines("--exe", "/opt/app", "--user", "root")
        self.assertIn(f"1 databases {self.file}:5 does not match: unit", lines)
        self.assertIn(f"2 - {self.file}:11 wins", lines)
        self.assertIn(f"3 all {self.file}:16 matches too, but comes later", lines)
        self.assertIn(f"{self.file}:11 wins:", lines)
        self.assertIn("cores 9 the rule", lines)
        self.assertIn('detail "full" capture.detail', lines)
        self.assertIn('with RLIMIT_CORE 0 "reject" capture.core_limit_zero', lines)
        self.assertIn('retention "normal"', lines)

    def test_a_detail_leaves_nothing_to_the_process(self):
        lines = self.lines("--cgroup", "/system.slice/postgresql@15-main.service")
        self.assertIn("databases wins:", lines)
        self.assertIn('detail "minimal" the rule', lines)
        self.assertIn('retention "keep" the rule', lines)
        self.assertFalse([line for line in lines if "RLIMIT_CORE" in line])

    def test_each_fact_is_taken(self):
        for key, value, option in (("exe", '"/a"', ("--exe", "/a")), ("name", '"b"', ("--name", "b")),
                                   ("unit", '"c.service"', ("--unit", "c.service")),
                                   ("slice", '"d.slice"', ("--slice", "d.slice")),
                                   ("container", '"e"', ("--container", "e")), ("pod", '"f"', ("--pod", "f")),
                                   ("user", "7", ("--user", "7")), ("signal", '"SIGABRT"', ("--signal", "6")),
                                   ("signal", "11", ("--signal", "SIGSEGV")),
                                   ("larger_than", '"1 GiB"', ("--size", "1.1G")),
                                   ("smaller_than", '"1 GiB"', ("--size", "1M")),
                                   ("dump_mode", '"root"', ("--dump-mode", "root"))):
            self.file.write_text(f"[[rule]]\n{key} = {value}\n")
            self.assertIn(f"1 - {self.file}:1 wins", self.lines(*option), key)
            other = ("--name", "other") if key != "name" else ("--exe", "/other")
            self.assertIn(f"1 - {self.file}:1 does not match: {key}", self.lines(*other))
            self.assertIn("no rule matches:", self.lines(*other))

    def test_a_stored_crash_is_tried_by_its_record(self):
        record = self.add()
        lines = self.lines()
        self.assertIn("all wins:", lines)
        self.assertIn("When it came, no rule was known of it.", lines)

        def change(content):
            content["process"]["cgroup"] = "/system.slice/postgresql@15-main.service"
            content["capture"]["rule"] = "all"

        self.edit_record(record, change)
        lines = self.lines(record["id"])
        self.assertIn("databases wins:", lines)
        self.assertIn("When it came, all won.", lines)

    def test_wrong_values_are_wrong_usage(self):
        for arguments in (("--user", "nobody-is-called-so"), ("--signal", "SEGV"), ("--signal", "0"),
                          ("--size", "much"), ("--dump-mode", "suid"), ("@1", "--exe", "/a")):
            self.rule_test(*arguments, code=2)
        self.run_obit("rule", code=2)
        self.run_obit("rule", "tests", code=2)

    def test_says_what_is_wrong_with_a_rule(self):
        self.file.write_text('[[rule]]\nunits = "a"\n')
        _, err = self.rule_test("--exe", "/a", code=1)
        self.assertIn(f'{self.file}:2: unknown key "units" in [[rule]]; did you mean "unit"?', err)

    def test_warns_of_a_user_whom_the_host_has_not(self):
        self.file.write_text('[[rule]]\nuser = "nobody-is-called-so"\n')
        out, err = self.rule_test("--exe", "/a")
        self.assertIn("does not match: user", out)
        self.assertIn(f'{self.file}:1: there is no user "nobody-is-called-so"', err)

    def test_obit_config_shows_rules(self):
        out, _ = self.run_obit("config", "--config", self.file, store=False)
        self.assertIn(f'\n[[rule]]  # {self.file}:5\ntitle = "databases"\nunit = "postgresql@*.service"\n', out)
        rules = [one for one in json.loads(self.run_obit("config", "--config", self.file, "--json", store=False)[0])
                 if one["key"] == "rule"]
        self.assertEqual(rules[1], {"key": "rule", "value": {"exe": "/opt/*", "user": 0, "cores": 9},
                                    "from": f"{self.file}:11"})
        self.file.write_text(out)
        again, _ = self.run_obit("config", "--config", self.file, store=False)
        self.assertEqual(re.sub("#.*", "", again), re.sub("#.*", "", out))


if __name__ == "__main__":
    case.main()
