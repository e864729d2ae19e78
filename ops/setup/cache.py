"""The folder in which set-up keeps what it fetched, shared by all checkouts of one user.

Everything in it was fetched and can be deleted at any time; the next set-up fetches it again.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import sys
import tempfile


def say(sentence):
    print(f"set-up: {sentence}", file=sys.stderr, flush=True)


def stop(sentence):
    """Ends set-up with one sentence that says what to do."""
    say(sentence)
    sys.exit(2)


def folder():
    """`$LOBAR_CACHE`, or `lobar` in the user's cache directory."""
    named = os.environ.get("LOBAR_CACHE")
    if named:
        path = pathlib.Path(named).absolute()
    else:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        path = pathlib.Path(base) / "lobar"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        stop(f"Please set LOBAR_CACHE to a folder that can be written: {path} cannot be made ({error.strerror}).")
    return path


@contextlib.contextmanager
def locked():
    """Only one set-up works in the cache at a time; the kernel drops the lock of a killed one."""
    path = folder() / "lock"
    try:
        lock = open(path, "w")
    except OSError as error:
        stop(f"Please set LOBAR_CACHE to a folder that can be written: {path} cannot ({error.strerror}).")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is at work in the same cache; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def workspace(gigabytes):
    """A scratch folder in the cache, gone afterwards. Call it under the lock: it also clears what
    a killed set-up left behind. Stops when the disk has less room than `gigabytes`."""
    cache = folder()
    for left_over in cache.glob("partial-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    free = shutil.disk_usage(cache).free / 1e9
    if free < gigabytes:
        stop(f"Please free some disk space: {gigabytes} GB are needed in {cache}, and {free:.1f} GB are left.")
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="partial-", dir=cache))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def link(name, target):
    """Makes `name` a symbolic link to `target`, in one step, unless it is one already."""
    name = pathlib.Path(name)
    if name.is_symlink() and os.readlink(name) == str(target):
        return
    if name.exists() and not name.is_symlink():
        stop(f"Please move {name} away: set-up wants to put a link there.")
    fresh = name.with_name(f"{name.name}.{os.getpid()}")
    try:
        os.symlink(target, fresh)
        os.replace(fresh, name)
    except OSError as error:
        stop(f"Please make the checkout writable: the link {name} cannot be made ({error.strerror}).")
