"""How processes stand: what a failed test says of those that hang, and of obitd's own."""

import contextlib
import pathlib
import re

FIELDS = re.compile(r"^(State|Threads|SigPnd|ShdPnd|CoreDumping):\s+(.*)$", re.M)


def _read(path):
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace").strip()
    return ""


def comm(pid):
    """The name of a process; "" if it is gone."""
    return _read(pathlib.Path(f"/proc/{pid}/comm"))


def threads(pid):
    with contextlib.suppress(OSError):
        return sorted(int(path.name) for path in pathlib.Path(f"/proc/{pid}/task").iterdir())
    return []


def descriptors(pid):
    """How many it has open."""
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def proportional_bytes(pid):
    """Its memory: of what it shares, its share."""
    return int(re.search(r"^Pss: +(\d+) kB", _read(pathlib.Path(f"/proc/{pid}/smaps_rollup")), re.M)[1]) * 1024


def at(pid):
    """One paragraph: its state and, of each thread, where in the kernel it stands. Reads nothing that can wait."""
    folder = pathlib.Path(f"/proc/{pid}")
    status = _read(folder / "status")
    if not status:
        return f"  {pid}: gone\n"
    fields = ", ".join(f"{name} {value}" for name, value in FIELDS.findall(status))
    text = f"  {pid} {comm(pid)}: {fields}\n"
    for thread in threads(pid)[:8]:
        task = folder / "task" / str(thread)
        calls = [line.partition("] ")[2] for line in _read(task / "stack").splitlines()[:8]]
        text += f"    {thread} {_read(task / 'wchan') or '-'}; system call {_read(task / 'syscall') or '-'}; {' < '.join(calls)}\n"
    return text


def at_all(pids):
    return "".join(at(pid) for pid in pids)


def descendants(pid):
    """A process and all that descend from it, those first whose parents come first."""
    found = [pid]
    for parent in found:
        for thread in threads(parent):
            found += map(int, _read(pathlib.Path(f"/proc/{parent}/task/{thread}/children")).split())
    return found
