#!/usr/bin/env python3
"""How many crashes a second of a crash loop obitd counts, and how many a server rejects that does not look at them: side by side,
in turn, so that both see the same machine. A program forks children that die of a null write, some at a time, the next one when
one is reaped; with --abort they die by turns of two calls of abort(3), which obitd tells apart by their stacks.

usage: bench/loop.py [--build DIR] [--runs N] [--crashes N] [--at-once N] [--abort] [--cpus N] [--json FILE]
                     (as root, on a quiet machine)

For each: crashes a second and CPU seconds of the whole machine a thousand crashes, medians and spread; the ratio is that of
obitd's rate to the other's, of each pair of runs: its median and its spread.
"""

import argparse
import json
import os
import pathlib
import platform
import re
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
    parser.add_argument("--crashes", default=10000, type=int)
    parser.add_argument("--at-once", default=4, type=int)
    parser.add_argument("--abort", action="store_true")
    parser.add_argument("--cpus", type=int, help="use so many processors, the first ones")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def measure(contender_class, options):
    """One loop. It ends by itself; the alarm ends one that hangs."""
    import captures
    from harness import server

    crasher = options.build / "tests/crashers/crasher"
    command = ["/bin/sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", crasher, "loop", str(options.crashes), str(options.at_once),
               *(["abort"] if options.abort else [])]
    with server.make_directory() as directory, contender_class(directory, options.build):
        cpu, begin = captures.cpu_seconds(), time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=140)
        seconds, cpu = time.monotonic() - begin, captures.cpu_seconds() - cpu
    if not re.match(rf"reaped {options.crashes} dumped \d+\n$", done.stdout):
        raise SystemExit(f"{contender_class.name}: {done.stdout}{done.stderr}")
    return {"rate": options.crashes / seconds, "cpu": cpu * 1000 / options.crashes}


def spread(values):
    return f"{min(values):.2f}-{max(values):.2f}" if max(values) < 100 else f"{min(values):.0f}-{max(values):.0f}"


def main():
    options = parse()
    os.environ["OBIT_BIN"] = str(options.build / "bin")
    os.environ["OBIT_CRASHERS"] = str(options.build / "tests/crashers")
    sys.path.insert(0, str(ROOT / "bench"))
    import contenders

    if options.cpus:
        os.sched_setaffinity(0, range(options.cpus))
    cpus = len(os.sched_getaffinity(0))
    print(f"Linux {platform.release()}, {cpus} processor{'s'[: cpus != 1]}, {options.runs} runs of {options.crashes} crashes, "
          f"{options.at_once} at a time, medians\n")  # fmt: skip
    chosen = (contenders.NoCore, contenders.Reject, contenders.ObitCounting)
    results = {contender.name: [] for contender in chosen}
    for _ in range(options.runs):
        for contender in chosen:
            results[contender.name].append(measure(contender, options))
    print("| | crashes a second | spread | CPU, s for 1,000 |")
    print("|---|---|---|---|")
    for name, runs in results.items():
        rates, cpu = [run["rate"] for run in runs], [run["cpu"] for run in runs]
        print(f"| {name} | {statistics.median(rates):.0f} | {spread(rates)} | {statistics.median(cpu):.2f} |")
    pairs = zip(results[contenders.ObitCounting.name], results[contenders.Reject.name])
    ratios = [ours["rate"] / theirs["rate"] for ours, theirs in pairs]
    print(f"\nobitd counts {statistics.median(ratios):.2f} ({spread(ratios)}) times as many as a server rejects unseen.")
    if options.json:
        options.json.write_text(json.dumps({"kernel": platform.release(), "processors": cpus, "runs": results, "ratios": ratios}, indent=2))


if __name__ == "__main__":
    main()
