"""More followers of the event stream: when they have the event of an upload, and the server's memory for each."""

import contextlib
import json
import re
import resource
import selectors
import socket
import statistics
import time

from .jpeg import picture
from .server import EVERYTHING, Failed

EVENT = re.compile(rb'"id":"([0-9a-f-]{36})","status":"(\w+)"')
ENDS = {"ready", "needs_human", "failed"}
# Open files beside the streams.
SPARE = 100
LIMIT = 120


def measure(place, points):
    steps = place.steps([1, 5], [1, 10, 100, 1000], [10_000])
    rounds = 2 if place.small else 9
    room = open_files(steps[-1] + SPARE)
    if room < steps[-1] + SPARE:
        raise Failed(f"{steps[-1]} followers need {steps[-1] + SPARE} open files here; the hard limit is {room} (ulimit -Hn)")
    with place.data() as data, place.start(data, EVERYTHING) as server, Followers(server.port) as followers:
        followers.follow(1)
        for _ in range(rounds):
            # What the first images allocate is no follower's.
            followers.tell()
        before = server.memory()
        for count in steps:
            followers.follow(count)
            told = [followers.tell() for _ in range(rounds)]
            point = {"clients": count}
            for name, since in [("upload sent", "sent"), ("its answer", "answered")]:
                point[f"median since {name}, ms"] = statistics.median(one[since][0] for one in told)
                point[f"last since {name}, ms"] = statistics.median(one[since][1] for one in told)
            point["server, MB"] = server.memory()
            point["KB a client"] = (point["server, MB"] - before) * 1e3 / (count - 1) if count > 1 else 0.0
            points.append(point)
    of = f"`lobar up`, one upload at a time, medians of {rounds}; one thread here reads for all clients"
    return {"of": f"{of}; KB for each after the first"}


def open_files(wanted):
    """Raises this process's limit as far as it may be; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Stream:
    """A connection, the end of what came, and when the first event of each image did."""

    def __init__(self, address, request):
        self.socket = socket.create_connection(address, timeout=LIMIT)
        self.socket.sendall(request)
        self.came, self.first, self.state = b"", {}, {}

    def read(self):
        part = self.socket.recv(1 << 16)
        if not part:
            raise Failed(f"a connection was closed by Lobar: {self.came[-300:].decode(errors='replace')}")
        self.came += part

    def events(self):
        """Notes what came; what may be the beginning of an event is kept."""
        now = time.monotonic()
        for image, state in EVENT.findall(self.came):
            self.first.setdefault(image.decode(), now)
            self.state[image.decode()] = state.decode()
        self.came = self.came[self.came.rfind(b"\n") + 1 :]


class Followers:
    """Clients of `/v1/events`, and what is uploaded for them."""

    def __init__(self, port):
        self.address, self.streams, self.uploads = ("127.0.0.1", port), [], 0
        self.selector = selectors.DefaultSelector()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stream in self.streams:
            stream.socket.close()
        self.selector.close()

    def follow(self, count):
        """Opens streams until there are so many."""
        while len(self.streams) < count:
            stream = Stream(self.address, b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while b": open\n" not in stream.came:
                stream.read()
                if b"\r\n" in stream.came and b" 200 " not in stream.came.partition(b"\r\n")[0]:
                    raise Failed(self.refused(stream))
            self.streams.append(stream)
            self.selector.register(stream.socket, selectors.EVENT_READ, stream)

    def refused(self, stream):
        said = stream.came.decode(errors="replace")
        why = f"the stream of client {len(self.streams) + 1} was refused: {said.partition(chr(13))[0]} … {said[-300:]}. "
        why += "A process takes as many streams as its limit of open files less 512, at most 20,000 (`lobar_sse_clients` in "
        return why + "docs/operating.md), and a caller who signed in 100 (`caller-streams` in docs/network.md)"

    def tell(self):
        """Uploads an image; milliseconds since it was sent, and since the answer, until the median and the last client knew."""
        self.uploads += 1
        body = picture(300_000, 20_000, self.uploads)
        head = "POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
        upload = Stream(self.address, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        sent = time.monotonic()
        self.selector.register(upload.socket, selectors.EVENT_READ, upload)
        try:
            image = answered = None
            waiting = set(self.streams)
            while not image or waiting or self.streams[0].state.get(image) not in ENDS:
                if time.monotonic() > sent + LIMIT:
                    raise Failed(f"{len(waiting)} of {len(self.streams)} clients have no event of an upload after {LIMIT} s")
                for key, _ in self.selector.select(1):
                    key.data.read()
                    if key.data is upload:
                        image, answered = receipt(upload.came) or image, time.monotonic()
                    else:
                        key.data.events()
                if image:
                    waiting = {stream for stream in waiting if image not in stream.first}
        finally:
            self.selector.unregister(upload.socket)
            upload.socket.close()
        had = [stream.first.pop(image) for stream in self.streams]
        ends = {"sent": sent, "answered": answered}
        return {name: [(at - since) * 1e3 for at in (statistics.median(had), max(had))] for name, since in ends.items()}


def receipt(came):
    """The image of an answer that is whole; None until then."""
    head, _, body = came.partition(b"\r\n\r\n")
    if head and b" 202 " not in head.partition(b"\r\n")[0]:
        raise Failed(f"an upload was answered: {came[:300].decode(errors='replace')}")
    try:
        return json.loads(body)["id"]
    except ValueError:
        return None
