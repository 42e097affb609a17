"""What must be there after a power cut, and whether it is: a server starts on what the cut left."""

import json
import os
import pathlib
import shutil
import struct
import subprocess

from . import programs, server, store, wait

SETTLE_SECONDS = 60
BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
CONFIG = "[analysis]\nenabled = false\n[capture]\nslots = 2\n"


def is_prepared(folder):
    """For a crash that is still to come."""
    return not (folder / "crash.json").exists() and store.size_of(folder / "begun.json") == 0


def left_in(where):
    """What the server has still to do something about."""
    return [folder for folder in (where / "incoming").iterdir() if not is_prepared(folder)]


def essence(record):
    """What every state of a record tells in the same way. Whether the process was privileged is told by the ledger, which no cut
    leaves: without it the crash is for root only."""
    capture = record["capture"]
    return {
        "process": {key: value for key, value in record["process"].items() if key != "privileged"},
        "signal": record["signal"], "time": record["time"], "files": record["files"],
        "capture": {key: capture.get(key) for key in ("outcome", "core_bytes", "stored_bytes", "method", "detail", "transport")},
    }  # fmt: skip


def memory_of(core):
    """(address, content) of each segment that has some: 64 bit."""
    table, count = struct.unpack_from("<Q", core, 32)[0], struct.unpack_from("<H", core, 56)[0]
    for at in range(table, table + 56 * count, 56):
        kind, _, offset, address, _, size = struct.unpack_from("<2I4Q", core, at)
        if kind == 1 and size > 0:  # PT_LOAD
            yield address, core[offset : offset + size]


def is_part_of(minimal, full):
    """All that a minimal core has of the memory is in the full one, too."""
    there, kept = list(memory_of(full)), list(memory_of(minimal))

    def has(address, content):
        return any(begin <= address and content == memory[address - begin :][: len(content)] for begin, memory in there)

    return len(kept) > 0 and all(has(address, content) for address, content in kept)


class Promises:
    """What must be there after a cut, by the changes before it."""

    def __init__(self, history, cores, pinned):
        self.cores = cores  # {id: (record, core)} as they were without a cut
        self.pinned, self.removed, self.stored = pinned, {}, {}  # {id: change}
        folders, complete = {}, set()
        for number, change in enumerate(history.changes):
            if change.kind == "move" and change.values[3] == "crash.json":
                complete.add(change.values[2])
            if change.kind == "move" and change.values[3] in cores:
                folders[change.node] = change.values[3]
            if change.kind == "make" and change.values[1] in cores:
                folders[change.node] = change.values[1]
            if change.kind == "move" and change.values[3].endswith(".removed"):
                self.removed[change.values[3].removesuffix(".removed")] = number
            if change.kind == "sync" and change.node in complete and change.node in folders:
                self.stored.setdefault(folders[change.node], number)

    def at(self, cut):
        return {name for name, number in self.stored.items() if number < cut.at and self.removed.get(name, cut.at) >= cut.at}

    def every_core(self):
        return [core for _, core in self.cores.values()]

    def pinned_at(self, cut):
        return {name for name, number in self.pinned.items() if number <= cut.at}


class Trial:
    """Tries one state after the other, each in a folder of its own below `directory`."""

    def __init__(self, history, promises, directory):
        self.history, self.promises, self.parent = history, promises, pathlib.Path(directory)
        self._count, self._good = 0, set()

    def run(self, cut):
        """What is wrong after this cut."""
        self.problems, self._count = [], self._count + 1
        self.directory = self.parent / f"{os.getpid()}.{self._count}"
        disk = self.directory / "disk"
        disk.mkdir(parents=True)
        self.history.tree(cut).write_to(disk)
        for begun in disk.glob("store/incoming/*/begun.json"):  # after a power cut this is another boot
            begun.write_bytes(begun.read_bytes().replace(BOOT_ID, BOOT_ID[::-1]))
        obitd = server.Server(self.directory, store=disk / "store", config=CONFIG)
        try:
            self._recover(obitd)
            self._look(obitd.store, cut)
        except Exception as error:  # noqa: BLE001: each is a finding
            self.problems.append(f"{type(error).__name__}: {error}")
        finally:
            obitd.kill()
        if self.problems:
            self.problems += [self.history.describe(cut), obitd.log()]
        shutil.rmtree(self.directory)
        return self.problems

    def _recover(self, obitd):
        obitd.start()
        wait.until(lambda: not left_in(obitd.store), lambda: f"incoming done: {left_in(obitd.store)}", SETTLE_SECONDS)
        if (code := obitd.stop()) != 0:
            self.problems.append(f"obitd ended with {code}")
        if left := left_in(obitd.store):  # prepared folders of workers that had just begun may be
            self.problems.append(f"left in incoming: {left}")

    def _look(self, where, cut):
        listed = self._list(where)
        for name in self.promises.at(cut):
            if name not in listed:
                self.problems.append(f"crash {name} is lost")
            else:
                self._compare(name, listed[name], self.promises.cores[name][0])
        for name, record in listed.items():
            self._look_at_core(where, record)
        for key in ("number", "commit"):
            numbers = [number for number in self._numbers(where, listed, key) if number]
            if len(set(numbers)) != len(numbers):
                self.problems.append(f"{key}: a number was given twice: {numbers}")
        for name in self.promises.pinned_at(cut):
            if not (store.directory_of(where, {"id": name}) / "pinned").exists():
                self.problems.append(f"crash {name} is not pinned")
        for name in sorted(listed)[cut.at % max(len(listed), 1) :][:1]:  # each in its turn
            store.obit(where, "show", name)
        store.obit(where, "reindex")
        again = set(self._list(where))
        if again != set(listed):
            self.problems.append(f"listed after reindex: {again}, before: {set(listed)}")

    def _list(self, where):
        """What is listed. Names do not vanish in their order: of the crash that was removed there may be a part, which is told."""
        done = store.obit(where, "list", "--json", check=False)
        for line in done.stderr.splitlines():
            if not any(name in line for name in self.promises.removed):
                self.problems.append(f"obit list: {line}")
        return {record["id"]: record for record in json.loads(done.stdout)}

    def _compare(self, name, found, expected):
        if expected["process"]["privileged"] and not found["process"]["privileged"]:
            self.problems.append(f"crash {name} was privileged")
        found = essence(found)
        for key, value in essence(expected).items():
            if found[key] != value:
                self.problems.append(f"crash {name} has another {key}: {found[key]}, not {value}")

    @staticmethod
    def _numbers(where, listed, key):
        if key == "number":
            return [record.get("number") for record in listed.values()]
        found = []
        for path in pathlib.Path(where).glob("crashes/*/*/commit.json"):
            try:
                found.append(json.loads(path.read_text())["number"])
            except ValueError:
                continue
        return found

    def _look_at_core(self, where, record):
        """A core that a record tells of is as the record says, also of a crash that nothing was promised of."""
        name, outcome = record["id"], record["capture"]["outcome"]
        path = store.directory_of(where, record) / "core.zst"
        if "core" not in record["files"]:
            return
        if not path.exists():
            if name not in self.promises.removed:
                self.problems.append(f"crash {name} has no core.zst")
            return
        seen = name, store.sha256_of(path), outcome
        if seen in self._good:
            return
        before = len(self.problems)
        if "its core is damaged, and is kept" in record["capture"].get("reason", ""):  # its writer had come to the end, and a page had not
            self._look_at_damaged(where, record, outcome)
            return
        tested = subprocess.run(["zstd", "-tq", path], capture_output=True, text=True)
        if tested.returncode != 0 and store.sealed([record]):
            self.problems.append(f"core of {name}, {record['capture']}: {tested.stderr}")
        dumped = store.obit(where, "dump", name, "-o", self.directory / "core", check=False)
        if dumped.returncode != 0:
            self.problems.append(f"core of {name}, {record['capture']}: {dumped.stderr}")
        else:
            core = (self.directory / "core").read_bytes()
            # Whose id was lost with its begun.json has another one.
            captured = [self.promises.cores[name][1]] if name in self.promises.cores else self.promises.every_core()
            judge = {"full": bytes.__eq__, "minimal": is_part_of}.get(outcome, lambda core, one: one.startswith(core))
            if not any(judge(core, one) for one in captured):
                self.problems.append(f"core of {name}, {record['capture']}: it is not what was captured")
        if len(self.problems) == before:
            self._good.add(seen)

    def _look_at_damaged(self, where, record, outcome):
        """Nothing but a truncated core may be, and what is before the damage is what was captured."""
        name = record["id"]
        if outcome != "truncated":
            self.problems.append(f"core of {name} is damaged and {outcome}")
        dumped = subprocess.run([programs.OBIT, "--store", where, "dump", name], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        if dumped.returncode == 0:
            self.problems.append(f"core of {name}, {record['capture']}: it is read as if it were whole")
        captured = [self.promises.cores[name][1]] if name in self.promises.cores else self.promises.every_core()
        if not any(one.startswith(dumped.stdout) for one in captured):
            self.problems.append(f"core of {name}, {record['capture']}: it is not what was captured")
