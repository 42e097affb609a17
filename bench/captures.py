#!/usr/bin/env python3
"""Compares ways to keep a core: the kernel's own file, a server that throws the stream away, obit by stream and direct,
systemd-coredump, gcore, zstd on the finished file. One crash for each, in turn, as often as told.

usage: bench/captures.py [--build DIR] [--runs N] [--cpus N] [--scenario TEXT]... [--only NAME]... [--without NAME]...
                         [--json FILE]     (as root, on a quiet machine)

For each: seconds from the signal until the process is reaped (a service can be restarted then), until the crash is stored,
CPU seconds of the whole machine meanwhile, peak memory of the handler, bytes kept. The medians, and for the time until
reaped also the spread over the runs; ratios are of the medians, to the first contender.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=ROOT / "build/release", type=pathlib.Path)
    parser.add_argument("--runs", default=5, type=int)
    parser.add_argument("--cpus", type=int, help="use so many processors, the first ones")
    parser.add_argument("--scenario", action="append", help="only those whose name holds this")
    parser.add_argument("--only", action="append", help="only this contender")
    parser.add_argument("--without", action="append", default=[], help="not this contender")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def cpu_seconds():
    """CPU seconds of all processors since boot: user, nice, system, irq, softirq."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:7])) / os.sysconf("SC_CLK_TCK")


class Victim:
    """A process that has stopped itself and dies when it goes on."""

    def __init__(self, argv):
        self._process = subprocess.Popen(["/bin/sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", *argv],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        self.pid = self._process.pid
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def reap(self):
        # Without a time-out of subprocess, which looks each 50 ms only. The alarm ends a benchmark that hangs.
        signal.alarm(600)
        self._process.wait()
        signal.alarm(0)

    def end(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def measure(contender_class, scenario, argv, options):
    from harness import server

    with server.make_directory() as directory, contender_class(directory, options.build) as contender:
        victim = Victim(argv)
        try:
            cpu, begin = cpu_seconds(), time.monotonic()
            contender.take(victim)
            reaped = time.monotonic() - begin
            contender.await_stored(scenario.crashes)
            return {"reaped": reaped, "stored": time.monotonic() - begin, "cpu": cpu_seconds() - cpu,
                    "memory": contender.peak_memory(), "bytes": contender.stored_bytes(),
                    "kept": contender.crashes_kept()}  # fmt: skip
        finally:
            victim.end()


def median(runs, what):
    values = [run[what] for run in runs if run[what] is not None]
    return statistics.median(values) if values else None


def mib(value):
    return "-" if value is None else f"{value / (1 << 20):.1f}"


def show(scenario, results):
    print(f"\n{scenario.name}\n")
    many = scenario.crashes > 1
    print("| | reaped, s | spread | ratio | stored, s | CPU, s | peak memory, MiB | kept, MiB |" + " crashes kept | crashes a second |" * many)
    print("|---|---|---|---|---|---|---|---|" + "---|---|" * many)
    base = None
    for name, runs in results.items():
        reaped = median(runs, "reaped")
        base = base or reaped
        values = [run["reaped"] for run in runs]
        print(f"| {name} | {reaped:.3f} | {min(values):.3f}-{max(values):.3f} | {reaped / base:.2f} | "
              f"{median(runs, 'stored'):.3f} | {median(runs, 'cpu'):.2f} | {mib(median(runs, 'memory'))} | "
              f"{mib(median(runs, 'bytes'))} |" + f" {median(runs, 'kept') or '-'} | {scenario.crashes / reaped:.0f} |" * many, flush=True)  # fmt: skip


def main():
    options = parse()
    os.environ["OBIT_BIN"] = str(options.build / "bin")
    os.environ["OBIT_CRASHERS"] = str(options.build / "tests/crashers")
    import contenders
    import scenarios

    if options.cpus:
        os.sched_setaffinity(0, range(options.cpus))
    chosen = [c for c in contenders.ALL if not options.only or c.name in options.only]
    for contender in [c for c in chosen if c.missing]:
        print(f"{contender.name} is left out: {contender.missing}", file=sys.stderr)
    chosen = [c for c in chosen if not c.missing and c.name not in options.without]

    cpus = len(os.sched_getaffinity(0))
    print(f"Linux {platform.release()}, {cpus} processor{'s'[: cpus != 1]}, {options.runs} runs, medians")
    everything = {}
    for scenario in scenarios.ALL:
        if options.scenario and not any(part in scenario.name for part in options.scenario):
            continue
        results = {}
        with scenarios.prepared(scenario, options.build / "tests/crashers") as argv, contextlib.suppress(KeyboardInterrupt):
            for _ in range(options.runs):
                for contender in chosen:
                    if scenarios.takes_part(contender, scenario):
                        results.setdefault(contender.name, []).append(measure(contender, scenario, argv, options))
        show(scenario, results)
        everything[scenario.name] = results
    if options.json:
        options.json.write_text(json.dumps({"kernel": platform.release(), "processors": cpus, "runs": everything}, indent=2))


if __name__ == "__main__":
    main()
