"""A Lobar of our own, and how it is asked."""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

# Seconds that one command, and one start, may take.
LIMIT = 900
START = 120
# Seconds between two requests. A caller may ask 50 times a second (docs/network.md): who asks faster measures refusals.
PAUSE = 1 / 40
# What is started: everything, or what answers about stored images alone, which is there in a moment.
EVERYTHING = ["up"]
PAGES = ["run", "--roles", "s3,api", "--signal", "poll:"]
# The least that computes, for a rehearsal.
QUICK = ["--threads", 1, "--replicas", 1, "--batch", 2]
# Settings that say how images are computed, and not where anything is kept.
KEPT = ["DEVICE", "PRECISION", "MODEL", "THREADS", "REPLICAS", "BATCH", "UNLIKE", "LIBTORCH_CUDA"]


class Failed(Exception):
    """What could not be measured, and why."""


class Workplace:
    """What all curves share: the executable, a folder that is removed at the end, and how much is measured."""

    def __init__(self, lobar, folder, small, full):
        self.lobar, self.folder, self.small, self.full = lobar, folder, small, full
        self.fresh = None

    def steps(self, small, usual, further):
        """The steps of a curve: those of a rehearsal, or the usual ones, and with --full those that go on."""
        return small if self.small else usual + further if self.full else usual

    def environment(self):
        """Without settings of another Lobar: nothing of its services may be touched."""
        kept = {f"LOBAR_{name}" for name in KEPT}
        return {name: value for name, value in os.environ.items() if not name.startswith("LOBAR_") or name in kept}

    def process(self, words, **more):
        """Starts the executable, which the kernel ends when this script has ended, however that was."""
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": self.environment(), **more}
        command = [str(self.lobar), *(str(word) for word in words)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=self.folder, preexec_fn=end_with_parent, **more)

    def run(self, *words, watch=None, **more):
        """What a command says. `watch` is called with its number many times while it runs."""
        with self.process(words, **more) as process:
            until = time.monotonic() + LIMIT
            try:
                while True:
                    try:
                        said, error = process.communicate(timeout=0.05 if watch else LIMIT)
                        break
                    except subprocess.TimeoutExpired:
                        if time.monotonic() > until:
                            raise Failed(f"{' '.join(map(str, words[:6]))} …: no end in {LIMIT} s") from None
                    watch(process.pid)
            finally:
                process.kill()
        if process.returncode != 0:
            raise Failed(f"{' '.join(map(str, words[:6]))} …: {error.strip()[-600:]}")
        return said

    @contextlib.contextmanager
    def data(self):
        """A data folder as a first start leaves it; removed afterwards."""
        if self.fresh is None:
            folder = self.folder / "fresh"
            with self.start(folder, PAGES):
                pass
            self.fresh = folder
        folder = self.folder / "data"
        shutil.copytree(self.fresh, folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    @contextlib.contextmanager
    def start(self, data, what):
        """A Lobar on these data, ready."""
        ports = free_ports(3)
        listen = [f"127.0.0.1:{port}" for port in ports]
        words = [*what, "--data", data, "--listen", listen[0], "--s3-listen", listen[1], *(QUICK if self.small else [])]
        words += ["--dicom-listen", listen[2]] if what == EVERYTHING else []
        log = self.folder / "lobar.log"
        with log.open("w", encoding="utf-8") as out, self.process(words, stdout=out, stderr=out) as process:
            try:
                server = Server(process, ports[0], log)
                server.wait()
                yield server
            finally:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()


class Server:
    """A running Lobar, asked over one connection that is kept."""

    def __init__(self, process, port, log):
        self.process, self.port, self.log = process, port, log
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.next = 0.0

    def wait(self):
        until = time.monotonic() + START
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Failed(f"it did not start: {self.log.read_text(encoding='utf-8').strip()[-600:]}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.connection.request("GET", "/readyz")
                answer = self.connection.getresponse()
                answer.read()
                if answer.status == 200:
                    return
            self.connection.close()
            time.sleep(0.1)
        raise Failed(f"not ready in {START} s")

    def ask(self, path):
        """What is answered, and the milliseconds until all of it is here."""
        time.sleep(max(0.0, self.next - time.monotonic()))
        began = time.monotonic()
        self.next = began + PAUSE
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = answer.read()
        took = (time.monotonic() - began) * 1e3
        if answer.status != 200:
            raise Failed(f"{path}: {answer.status} {body[:300].decode(errors='replace')}")
        return json.loads(body), took

    def memory(self):
        return memory(self.process.pid, "VmRSS")


def memory(pid, figure):
    """A figure of proc_pid_status(5), in MB; 0 where the process is gone."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name == figure:
                return int(value.split()[0]) / 1e3
    return 0.0


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def end_with_parent():
    """prctl(2) with PR_SET_PDEATHSIG: no program is left over, even when this one is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
