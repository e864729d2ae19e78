"""Makes the Python environment of the tests.

usage: test_venv.py REQUIREMENTS ALONE LINK

ALONE names packages of which only a file is used: they are installed without what they would need to run.
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
    requirements, alone, link = sys.argv[1:]
    digest = digest_of(b"".join(pathlib.Path(file).read_bytes() for file in (requirements, alone)))
    cache.link(link, complete(f"venv-{digest}", lambda final: build(final, requirements, alone)))


def digest_of(wanted):
    """A short name for what is wanted, on this Python."""
    python = os.path.realpath(sys.executable) + sys.version
    return hashlib.sha256(wanted + python.encode()).hexdigest()[:16]


def complete(name, make):
    """The folder `name` in the cache, made once."""
    final = cache.folder() / name
    # A venv cannot be moved, so it is built in place, and this file says that it is complete.
    mark = final / "complete"
    if not mark.exists():
        with cache.locked():
            if not mark.exists():
                make(final)
                mark.touch()
    return final


def build(final, requirements, alone):
    cache.say("Making the tests' Python environment, once. This takes a minute or two.")
    started = time.monotonic()
    install(final, requirements)
    add(final, alone, "--no-deps", "--require-hashes")
    cache.say(f"The tests' Python environment is ready after {time.monotonic() - started:.0f} s.")


def install(final, requirements, *arguments):
    """Makes a venv of the packages named in `requirements`."""
    shutil.rmtree(final, ignore_errors=True)
    venv.create(final, with_pip=True)
    add(final, requirements, *arguments)


def add(final, requirements, *arguments):
    """Installs the packages named in `requirements` into a venv."""
    command = [final / "bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
               "--quiet", "--only-binary=:all:", "--no-compile", *arguments, "-r", requirements]
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode:
        cache.stop("Python packages could not be installed; pip says above why. Run this again.")


if __name__ == "__main__":
    main()
