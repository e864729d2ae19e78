"""What is compared: how each is started, and how its answers are counted."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psycopg

HERE = os.path.dirname(os.path.abspath(__file__))
# Seconds until a contender must be ready: `torch.compile` takes its time.
PATIENCE = 300
# Of an image that Lobar has ended with.
LOBAR_ANSWERS = "select count(*) from image where finished_at is not null"
PEER_ANSWERS = "select count(*) from answer"
PEER_TABLE = """create table answer (
    key text primary key, probability double precision not null, made_at timestamptz not null default now())"""


class Contender:
    """Processes with a database of their own in the one PostgreSQL. `with` runs them."""

    answers = PEER_ANSWERS

    def __init__(self, name, services, log):
        self.name, self.services, self.log = name, services, log
        self.database = "peer_" + "".join(c if c.isalnum() else "_" for c in name)
        self.processes = []

    def __enter__(self):
        dsn = self.services.database(self.database)
        self.services.new_queue()
        self.store = psycopg.connect(dsn, autocommit=True)
        try:
            self.start(dsn)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.store.close()
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []

    def spawn(self, command, **environment):
        process = subprocess.Popen(
            command, env={**os.environ, **self.services.environment, **environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if command[0] == sys.executable else self.log, stderr=self.log, text=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def count(self):
        return self.store.execute(self.answers).fetchone()[0]

    def core_seconds(self):
        """Processor time of its processes by now."""
        ticks = 0
        for process in self.processes:
            with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


class Lobar(Contender):
    """Ingest, worker and API in one process, with the settings that it comes with."""

    answers = LOBAR_ANSWERS

    def __init__(self, name, executable, services, log, settings=()):
        super().__init__(name, services, log)
        self.executable, self.settings = executable, dict(settings)

    def start(self, dsn):
        port = self.services.free_port()
        settings = {
            "LOBAR_STORE": dsn,
            "LOBAR_UPLOADS": self.services.uploads,
            "LOBAR_BUCKET": self.services.bucket,
            "LOBAR_LISTEN": f"127.0.0.1:{port}",
            "LOBAR_DATA": f"{self.services.folder}/{self.database}",
            **self.settings,
        }
        subprocess.run(
            [self.executable, "migrate"], env={**os.environ, **self.services.environment, **settings},
            check=True, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        process = self.spawn([self.executable, "run", "--roles", "ingest,worker,api"], **settings)
        until_answers(f"http://127.0.0.1:{port}/readyz", process)


class Consumer(Contender):
    """The careful consumer."""

    def __init__(self, network, processes, threads, exports, services, log):
        super().__init__(f"consumer {network} {processes}×{threads}", services, log)
        self.network, self.number, self.threads, self.exports = network, processes, threads, exports

    def start(self, dsn):
        self.store.execute(PEER_TABLE)
        command = [sys.executable, f"{HERE}/consumer.py", self.network, self.exports]
        command += ["--queue", self.services.queue_url, "--store", dsn, "--threads", str(self.threads)]
        started = [self.spawn(command, OMP_NUM_THREADS=str(self.threads)) for _ in range(self.number)]
        for process in started:
            for line in process.stdout:
                if line == "ready\n":
                    break
            else:
                raise RuntimeError(f"{self.name} ended before it was ready; its log says why")


class Flask(Contender):
    """One image a request, over HTTP."""

    def __init__(self, network, threads, exports, services, log):
        super().__init__(f"flask {network}", services, log)
        self.network, self.threads, self.exports = network, threads, exports

    def start(self, dsn):
        self.store.execute(PEER_TABLE)
        self.port = self.services.free_port()
        command = [sys.executable, f"{HERE}/flask_app.py", self.network, self.exports]
        command += ["--store", dsn, "--port", str(self.port), "--threads", str(self.threads)]
        process = self.spawn(command)
        until_answers(f"http://127.0.0.1:{self.port}/", process)


def until_answers(url, process):
    """Waits until an address answers, with whatever status but 503."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode} before it was ready; its log says why")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer within {PATIENCE} s")
