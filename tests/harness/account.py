"""What became of the crashes that a test made: each is recorded, counted as a repeat, or told as lost in the log."""

import collections
import concurrent.futures
import contextlib
import json
import re
import subprocess
import threading

from . import programs, store, wait

TOLD = re.compile(r"\b([0-9a-f]{16}) \S+\[\d+\] SIG\w+: (?:full|minimal|event|truncated|failed)\b")
LOST = "crash not recorded: "
UNNOTED = re.compile(r"\b(\d+) more crashes like ([0-9a-f]{16}), which is not in the store, were counted")
READERS = 2  # at once


class Account:
    """The account of one store, from its first crash on, over all servers that it had: their log is one. Programs of others crash,
    too, while the core pattern leads to the server: they are left out, by where their program lies."""

    def __init__(self, server):
        self._server = server
        self.made = 0
        self.records = {}  # by id, those that were removed too
        self._removed = set()
        self._removed_repeats = collections.Counter()  # by id, as far as they were noted
        self._unnoted_repeats = collections.Counter()  # by id, of crashes that were removed, as the log told them
        self._read = set()  # ids of cores that were found to be readable
        self._log_read = 0  # bytes
        self._told, self._lost = set(), 0  # by the log so far

    def _read_log(self):
        with open(self._server.log_path, "rb") as log:
            log.seek(self._log_read)
            whole, end, _ = log.read().rpartition(b"\n")
        self._log_read += len(whole) + len(end)
        text = whole.decode(errors="replace")
        self._told.update(TOLD.findall(text))
        self._lost += text.count(LOST)
        for count, crash in UNNOTED.findall(text):
            self._unnoted_repeats[crash] = max(self._unnoted_repeats[crash], int(count))

    def lost(self):
        self._read_log()
        return self._lost

    def repeats(self):
        count = (self._removed_repeats | self._unnoted_repeats).total()
        for path in self._server.store.glob("crashes/*/*/repeats.json"):
            with contextlib.suppress(FileNotFoundError):
                count += json.loads(path.read_text())["crashes"]
        return count

    def known(self):
        """What was there of records when they were last listed, and what was counted and lost."""
        return len(self._crashes()) + self.repeats() + self.lost()

    def _crashes(self):
        """The records of each crash, by its process: mostly one. One that was given up, and whose core came all the same, has two."""
        crashes = collections.defaultdict(list)
        for record in self.records.values():
            if self._is_own(record):
                crashes[record["process"]["pid"], record["time"]].append(record)
        return crashes

    def _is_own(self, record):
        program = record["process"].get("exe", "")  # there is none if nobody could look
        return not program or program == str(programs.CRASHER) or program.startswith(f"{self._server.directory}/")

    def _list(self):
        listed = {record["id"]: record for record in json.loads(store.obit(self._server.store, "list", "--json").stdout)}
        self.records |= listed
        return listed

    def _list_all(self):
        """Nothing unless there may be enough: it costs a process."""
        there = len(self._removed) + len(store.crash_directories(self._server.store)) + self.repeats() + self.lost()
        listed = self._list() if there >= self.made else None
        return listed if self.known() >= self.made else None

    def _missing(self):
        self._list()
        return f"{self.made} crashes accounted for: {self.summary()}"

    def settle(self, seconds=90):
        """Until each crash is accounted for, once: the records that there are then."""
        listed = wait.until(self._list_all, self._missing, seconds)
        if self.known() != self.made:
            pids = collections.Counter(record["process"]["pid"] for record in listed.values())
            twice = [record for record in listed.values() if pids[record["process"]["pid"]] > 1]
            raise AssertionError(f"{self.made} crashes were made: {self.summary()}\n{twice}")
        folders = {folder.name for folder in store.crash_directories(self._server.store)}
        if set(listed) != folders:
            raise AssertionError(f"folders that are not listed, or the other way round: {set(listed) ^ folders}")
        self._read_log()
        unlisted = self._told - set(self.records)
        if unlisted:
            raise AssertionError(f"crashes that were told and are not listed: {unlisted}")
        for records in self._crashes().values():
            if sum("core" in record["files"] for record in records) < len(records) - 1:
                raise AssertionError(f"one crash has two records without a core: {records}")
            if len(records) > 1 and not any("core" not in record["files"] for record in records):
                raise AssertionError(f"one crash has two cores: {records}")
        return list(listed.values())

    def check_readable(self, records, folder):
        """Each core of these records can be read, however much of it there is."""

        def wrong(record):
            return store.unreadable(self._server.store, record, f"{folder}/core.{threading.get_ident()}")

        unread = [record for record in records if record["id"] not in self._read]
        cores = [store.directory_of(self._server.store, record) / "core.zst" for record in store.sealed(unread)]
        if cores:
            subprocess.run(["zstd", "-tq", *cores], check=True, timeout=300)
        with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
            for record, why in zip(unread, pool.map(wrong, unread)):
                if why:
                    raise AssertionError(f"core of {record['id']}: {why}: {record['capture']}")
                if record["capture"]["outcome"] != "full" and not record["capture"].get("reason"):
                    raise AssertionError(f"less than a full core, and no reason: {record}")
        self._read |= {record["id"] for record in unread}
        return len(unread)

    def remove(self, records):
        """Removes crashes from the store, that have been settled; their repeats stay counted."""
        for record in records:
            with contextlib.suppress(FileNotFoundError):
                path = store.directory_of(self._server.store, record) / "repeats.json"
                self._removed_repeats[record["id"]] += json.loads(path.read_text())["crashes"]
            self._removed.add(record["id"])
        if records:
            store.obit(self._server.store, "rm", *[record["id"] for record in records])

    def summary(self):
        outcomes = collections.Counter(record["capture"]["outcome"] for record in self.records.values())
        kinds = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        crashes = self._crashes()
        twice = sum(len(records) > 1 for records in crashes.values())
        return (f"{self.made} made, {len(crashes)} recorded ({kinds}), {twice} of them twice, "
                f"{self.repeats()} counted as repeats, {self.lost()} told as lost, {len(self._read)} looked at")
