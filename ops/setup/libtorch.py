"""Fetches libtorch with pip and cuts out what Lobar needs.

usage: libtorch.py cpu|cuda LINK

The package index has libtorch for Linux only inside the CUDA build of PyTorch. `cpu` keeps the
five libraries that work without a GPU, and the headers. `cuda` keeps all libraries in the layout
of the wheels (`torch/lib` beside `nvidia/*/lib`), because they look for one another by relative
paths; the executable, which is linked with the `cpu` part, opens `libtorch_cuda.so` there itself.

What to fetch is named with its SHA-256 in `libtorch-cpu.txt` and `libtorch-cuda.txt`; pip refuses
anything else. Folders get their final name only when complete, so a kill leaves nothing half done.
"""

import ctypes
import os
import pathlib
import shutil
import subprocess
import sys
import time
import venv
import zipfile

import cache

VERSION = "2.11.0"

# The wheels are cut open, never imported: any Python here fetches the same ones, so that one
# set of hashes is enough.
WHEELS = ["--python-version", "311", "--implementation", "cp"]
for glibc in ["_2_28", "_2_27", "_2_25", "_2_24", "_2_18", "_2_17", "2014"]:
    WHEELS += ["--platform", f"manylinux{glibc}_x86_64"]

CPU_LIBRARIES = {
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libc10.so",
    "torch/lib/libgomp.so.1",
    "nvidia/cu13/lib/libcudart.so.13",
    "nvidia/cu13/lib/libcupti.so.13",
}
HEADERS = "torch/include/"

# CUDA 13's libraries need a driver of at least this version, as cuDriverGetVersion counts.
DRIVER_WANTED = 13000


def cpu_place(name):
    """Where a file of a wheel goes in the `cpu` folder; None: not needed."""
    if name in CPU_LIBRARIES:
        return "lib/" + name.rsplit("/", 1)[1]
    if name.startswith(HEADERS):
        return "include/" + name[len(HEADERS):]
    return None


def cuda_place(name):
    """The same for the `cuda` folder: every shared library, where the wheel has it."""
    if name.startswith(("torch/lib/", "nvidia/")) and ".so" in name.rsplit("/", 1)[1]:
        return name
    return None


def finish_cpu(built):
    # The names that the linker looks for.
    os.symlink("libtorch_cpu.so", built / "lib/libtorch.so")
    os.symlink("libgomp.so.1", built / "lib/libgomp.so")


def download(requirements, scratch):
    wheels = scratch / "wheels"
    # pip unpacks in TMPDIR, which may be a small memory disk.
    (scratch / "tmp").mkdir()
    environment = dict(os.environ, TMPDIR=str(scratch / "tmp"))
    venv.create(scratch / "venv", with_pip=True)
    command = [scratch / "venv/bin/python", "-m", "pip", "download", "--disable-pip-version-check",
               "--no-input", "--no-cache-dir", "--no-deps", "--only-binary=:all:",
               "--require-hashes", "-r", requirements, "-d", wheels, *WHEELS]
    if subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode:
        cache.stop("libtorch could not be fetched; pip says above why. Nothing was kept: run this again.")
    return sorted(wheels.glob("*.whl"))


def cut(wheel, place, built):
    """Takes the files that `place` names out of one wheel; zipfile checks their CRC."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            goes_to = None if entry.is_dir() else place(entry.filename)
            if goes_to is None:
                continue
            path = built / goes_to
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, open(path, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    wheel.unlink()


def install(kind, place, finish, gigabytes, announcement):
    final = cache.folder() / f"libtorch-{VERSION}-{kind}"
    if final.exists():
        return final
    with cache.locked():
        if final.exists():  # another set-up made it while this one waited
            return final
        cache.say(announcement)
        started = time.monotonic()
        requirements = pathlib.Path(__file__).parent / f"libtorch-{kind}.txt"
        with cache.workspace(gigabytes) as scratch:
            built = scratch / "built"
            for wheel in download(requirements, scratch):
                cut(wheel, place, built)
            finish(built)
            (built / "build-version").write_text(VERSION)
            os.sync()  # a name must not survive a power cut that its bytes did not
            built.rename(final)
        cache.say(f"libtorch {VERSION} ({kind}) is in {final} after {time.monotonic() - started:.0f} s.")
    return final


def check_driver():
    """Stops unless an NVIDIA driver answers, has a device, and is new enough."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        cache.stop("There is no NVIDIA driver on this machine, so nothing was fetched: run without CUDA=1.")
    count, version = ctypes.c_int(0), ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1:
        cache.stop("The NVIDIA driver finds no device, so nothing was fetched: run without CUDA=1.")
    if driver.cuDriverGetVersion(ctypes.byref(version)) or version.value < DRIVER_WANTED:
        cache.stop(f"The NVIDIA driver is too old, so nothing was fetched: CUDA {DRIVER_WANTED // 1000} is needed, "
                   f"it has {version.value // 1000}.{version.value % 1000 // 10}.")


def main():
    kind, link = sys.argv[1:]
    if kind == "cpu":
        final = install("cpu", cpu_place, finish_cpu, 1.3,
                        f"Fetching libtorch {VERSION}, once: 544 MB. This takes half a minute at 200 Mbit/s.")
    else:
        check_driver()
        final = install("cuda", cuda_place, lambda built: None, 6.5,
                        f"Fetching libtorch {VERSION} for CUDA, once: 2.5 GB. This takes two minutes at 200 Mbit/s.")
    cache.link(link, final)


if __name__ == "__main__":
    main()
