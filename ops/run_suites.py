"""Runs every suite of the workspace, some of them side by side: most of their time they wait.

    python3 ops/run_suites.py [--at-once N]

A suite is one test executable, or the unit tests of all crates together. `cargo metadata` names them, so that a
new one is run without being written down here. Each one's output is printed whole when it has ended, and why some
failed again at the end. Ctrl-C ends all of them; so does SIGTERM. The exit status is 0 when all passed, 1 when some
failed, 2 when they do not compile, 130 when they were interrupted.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

# Begun first, the longest first, so that none of them is left alone at the end. Others may stand in any order.
LONGEST_FIRST = ["system", "rabbitmq", "services", "backends", "ops", "api", "suite", "sql", "roles"]
# Seconds after which a suite hangs: several times what the longest takes on a busy machine.
LIMIT = 30 * 60
# Seconds between two lines that say what is still running.
REMINDER = 60
# How many letters of a failed suite's output are repeated at the end.
WORDS = 6000
CARGO = os.environ.get("CARGO", "cargo")
TEST = [CARGO, "test", "--locked", "--workspace"]


def suites():
    """Each suite's name, and what selects it among `cargo test`'s targets."""
    metadata = [CARGO, "metadata", "--locked", "--no-deps", "--format-version", "1"]
    packages = json.loads(subprocess.run(metadata, stdout=subprocess.PIPE, check=True).stdout)["packages"]
    targets = [target for package in packages for target in package["targets"]]
    names = {target["name"] for target in targets if "test" in target["kind"]}
    order = [name for name in LONGEST_FIRST if name in names] + sorted(names.difference(LONGEST_FIRST))
    return {name: ["--test", name] for name in order} | {"unit tests": ["--lib", "--bins"]}


class Suites:
    """What runs now, and what came of those that have ended."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = {}
        self.stopped = False
        self.ended = []
        self.said = {}

    def run(self, name, selection):
        """Runs a suite and prints its output. Whether it passed."""
        began = time.monotonic()
        with tempfile.TemporaryFile() as output:
            with self.lock:
                if self.stopped:
                    return False
                # A process group of its own: what ends the suite also ends what it started.
                process = subprocess.Popen(
                    [*TEST, "--no-fail-fast", *selection],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                )
                self.running[name] = (process, began)
            hung = threading.Event()
            limit = threading.Timer(LIMIT, lambda: (hung.set(), end(process)))
            limit.start()
            _, status, used = os.wait4(process.pid, 0)
            limit.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            took, worked = time.monotonic() - began, used.ru_utime + used.ru_stime
            passed = process.returncode == 0
            word = "passed" if passed else f"HUNG, ended after {LIMIT // 60} minutes" if hung.is_set() else "FAILED"
            with self.lock:
                del self.running[name]
                if self.stopped:
                    return False
                self.ended.append((name, word, took, worked))
                print(f"\n==== {name}: {word}, {took:.0f} s", flush=True)
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout.buffer)
                sys.stdout.flush()
                if not passed:
                    output.seek(0)
                    self.said[name] = why(output.read().decode(errors="replace"))
            return passed

    def still_running(self):
        with self.lock:
            now = time.monotonic()
            return ", ".join(f"{name} ({now - began:.0f} s)" for name, (_, began) in self.running.items())

    def stop(self):
        with self.lock:
            self.stopped = True
            for process, _ in self.running.values():
                end(process)


def why(output):
    """What a suite says of its failures, or the last that it said; the end of it where it is long."""
    begin = output.find("\nfailures:\n")
    return output[begin if begin >= 0 else -WORDS:].strip()[-WORDS:]


def end(process):
    """Ends a suite. Its servers are ended by their guards (testkit/src/services/guard.rs)."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--at-once", type=int, default=2, help="how many run side by side (2)")
    at_once = options.parse_args().at_once

    wanted = suites()
    if subprocess.run([*TEST, "--no-run"], stdin=subprocess.DEVNULL).returncode != 0:
        return 2
    signal.signal(signal.SIGTERM, interrupted)
    running, began = Suites(), time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            left = {pool.submit(running.run, name, selection) for name, selection in wanted.items()}
            every = set(left)
            while left:
                done, left = wait(left, timeout=REMINDER, return_when=FIRST_COMPLETED)
                if not done:
                    print(f"==== still running: {running.still_running()}", flush=True)
        except KeyboardInterrupt:
            # Once is enough: the second one would leave suites behind.
            for again in (signal.SIGINT, signal.SIGTERM):
                signal.signal(again, signal.SIG_IGN)
            running.stop()
            print("Interrupted.", file=sys.stderr)
            return 130

    # Again at the end, where people and tools look first.
    for name, said in running.said.items():
        print(f"\n==== {name} failed:\n{said}")
    print(f"\n{'suite':16}{'seconds':>8}{'of a core':>11}")
    for name, word, took, worked in sorted(running.ended, key=lambda one: -one[2]):
        print(f"{name:16}{took:8.0f}{worked:11.0f}  {'' if word == 'passed' else word}".rstrip())
    failed = [name for name, word, _, _ in running.ended if word != "passed"]
    print(f"{len(wanted)} suites in {time.monotonic() - began:.0f} s, {at_once} at once: "
          + (f"failed: {', '.join(failed)}" if failed else "all passed"))
    # A suite that could not even be begun has not passed.
    return 0 if all(one.result() for one in every) else 1


if __name__ == "__main__":
    sys.exit(main())
