"""How Lobar grows: each of five things is made larger step by step, and what it costs is measured at each step.

usage: growth.py --lobar FILE [--json FILE] [--small] [--full] [--only NAME…]

  workers   1 to 8 workers: queues and store alone, on the services that the environment names, or else embedded ones
  stored    10³ to 10⁶ stored images (10⁷ with --full): pages of the list, and one image
  clients   1 to 1,000 followers of the event stream (10,000 with --full): when they have an event, and memory
  files     JPEGs of 20 KB to 18 MB (48 MB with --full): images per second and memory of the whole journey
  sites     1 to 1,000 sites that share 20,000 stored images: pages of the list, and the figures of all sites

Each curve is printed as a table. Its last row has the exponent: the slope of the least-squares line through the logarithms of a
figure and of what was made larger. It is 0 where a figure does not grow and 1 where it grows in proportion; figures that are not
above 0 have no part in it. Every curve but `workers` starts a Lobar of its own, whatever the environment says, on ports of
loopback that the kernel gives out, with its data in a temporary folder (TMPDIR).

Each curve stands alone: one that fails is named with its reason, what was measured of it is kept, and the next one runs. The
figures are written as JSON to --json after every curve. The exit code is 1 when a curve failed.

--small does everything in small: a rehearsal, whose figures mean nothing.
"""

import argparse
import http.client
import json
import math
import os
import pathlib
import platform
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from growing import clients, files, sites, stored, workers
from growing.server import Failed, Workplace

CURVES = {"workers": workers, "stored": stored, "clients": clients, "files": files, "sites": sites}
# What ends a curve and not the others.
FAILURES = (Failed, OSError, ValueError, LookupError, http.client.HTTPException, sqlite3.Error, subprocess.SubprocessError)


def main():
    arguments = parse()
    # Ended from outside, it ends what it started and removes its folders.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    figures, failed = {"machine": None, "curves": {}}, False
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        place = Workplace(pathlib.Path(arguments.lobar).resolve(), pathlib.Path(folder), arguments.small, arguments.full)
        figures["machine"] = machine(place)
        for name in arguments.only or CURVES:
            print(f"{name} …", file=sys.stderr, flush=True)
            began = time.monotonic()
            curve = {"points": []}
            try:
                # It adds its points one by one: those before a failure are kept.
                curve.update(CURVES[name].measure(place, curve["points"]))
            except FAILURES as error:
                failed, curve["failed"] = True, f"{type(error).__name__}: {error}"[:1500]
            curve["exponents"] = exponents(curve["points"])
            print(table(name, curve), flush=True)
            curve["took_seconds"] = round(time.monotonic() - began, 1)
            figures["curves"][name] = curve
            if arguments.json:
                pathlib.Path(arguments.json).write_text(json.dumps(figures, indent=2), encoding="utf-8")
    sys.exit(1 if failed else 0)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lobar", required=True, help="the executable")
    parser.add_argument("--json", help="file for the figures")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--small", action="store_true", help="a rehearsal")
    size.add_argument("--full", action="store_true", help="one step further; ten million images take some 20 GB of disk")
    parser.add_argument("--only", nargs="+", choices=CURVES, metavar="NAME", help="these curves alone")
    return parser.parse_args()


def machine(place):
    try:
        version = place.run("--version").strip()
    except (Failed, OSError, subprocess.SubprocessError) as error:
        version = f"failed: {error}"
    return {
        "lobar": version,
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
    }


def exponents(points):
    """Of each column, how it grows with the first one."""
    if not points:
        return {}
    x, *columns = points[0]
    return {name: exponent([(point[x], point[name]) for point in points]) for name in columns}


def exponent(pairs):
    """The slope of the least-squares line through the logarithms; None where fewer than two pairs have one."""
    logs = [(math.log(x), math.log(y)) for x, y in pairs if x > 0 and y > 0]
    middle = [sum(values) / len(logs) for values in zip(*logs)]
    spread = sum((x - middle[0]) ** 2 for x, _ in logs)
    return sum((x - middle[0]) * (y - middle[1]) for x, y in logs) / spread if spread else None


def table(name, curve):
    title = f"{name}: {curve.get('of') or curve['failed']}\n"
    if not curve["points"]:
        return title
    columns = list(curve["points"][0])
    rows = [columns, ["---"] * len(columns)]
    rows += [[shown(point[column]) for column in columns] for point in curve["points"]]
    known = [curve["exponents"][column] for column in columns[1:]]
    rows.append(["**exponent**", *("–" if value is None else f"{value:+.2f}" for value in known)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([title, *lines, ""])


def shown(value):
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2}f}"


if __name__ == "__main__":
    main()
