"""Makes the Python environment of the tests.

usage: test_venv.py REQUIREMENTS LINK

It lies in the cache under the hash of its requirements, so that all checkouts with the same
requirements share one, and an old checkout keeps the one that it was tested with.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import venv

import cache


def main():
    requirements, link = sys.argv[1:]
    wanted = pathlib.Path(requirements).read_bytes()
    python = os.path.realpath(sys.executable) + sys.version
    digest = hashlib.sha256(wanted + python.encode()).hexdigest()[:16]
    final = cache.folder() / f"venv-{digest}"
    # A venv cannot be moved, so it is built in place, and this file says that it is complete.
    complete = final / "complete"
    if not complete.exists():
        with cache.locked():
            if not complete.exists():
                build(final, requirements)
                complete.touch()
    cache.link(link, final)


def build(final, requirements):
    cache.say("Making the tests' Python environment, once. This takes a minute or two.")
    started = time.monotonic()
    shutil.rmtree(final, ignore_errors=True)
    venv.create(final, with_pip=True)
    command = [final / "bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
               "--quiet", "--only-binary=:all:", "--no-compile", "-r", requirements]
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode:
        cache.stop("The tests' Python packages could not be installed; pip says above why. Run this again.")
    cache.say(f"The tests' Python environment is ready after {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
