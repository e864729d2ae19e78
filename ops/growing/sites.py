"""More sites over as many images: how long pages and the figures of all sites take."""

import statistics
import time

from .database import Database
from .server import PAGES
from .stored import COLD, PAGE, check

# Seconds for which the figures of all sites are answered from memory, and a little more.
FRESH = 1.1


def measure(place, points):
    images, rounds = (200, 3) if place.small else (20_000, 50)
    for sites in place.steps([1, 10], [1, 10, 100, 1000], []):
        with place.data() as data:
            database = Database(data, images, sites)
            database.grow(images)
            with place.start(data, PAGES) as server:
                one = f"{PAGE}&site=site0"
                check(server, PAGE, images)
                check(server, one, images // sites)
                figures = {}
                for name, path in [("first page of all", PAGE), ("first page of one", one)]:
                    took = [server.ask(path)[1] for _ in range(rounds + COLD)]
                    figures[name] = statistics.median(took[COLD:])
                figures["figures of all"] = statistics.median(overview(server, 1 if place.small else 9))
                points.append({"sites": sites, **figures})
    of = f"{images:,} stored images, pages of 50, `/v1/queues` for the figures (200 sites at most are in it); medians, SQLite; ms"
    return {"of": of}


def overview(server, rounds):
    for _ in range(rounds):
        time.sleep(FRESH)
        yield server.ask("/v1/queues")[1]
