"""More stored images: how long pages of the list and one image take."""

import base64
import itertools
import math
import statistics

from .database import Database
from .server import PAGES, Failed

PAGE = "/v1/images?limit=50"
# Answers before those that count: of a process that has just been started.
COLD = 3


def measure(place, points):
    sizes = place.steps([100, 400], [1_000, 10_000, 100_000, 1_000_000], [10_000_000])
    rounds = 5 if place.small else 100
    with place.data() as data:
        database = Database(data, sizes[-1], 20)
        for size in sizes:
            database.grow(size)
            with place.start(data, PAGES) as server:
                check(server, PAGE, size)
                check(server, f"{PAGE}&flagged=true", database.flagged)
                points.append({"stored images": size, **times(server, database, rounds)})
    return {"of": f"pages of 50 images, over one kept connection, {rounds} of each; SQLite, 20 sites; ms"}


def check(server, path, images):
    """What was filled in must be what Lobar sees."""
    page = server.ask(path)[0]
    if page["total"] != images:
        raise Failed(f"{path}: {page['total']} images in all, {images} were stored")
    unreadable = [item["reason"] for item in page["items"] if item["reason"] in ("result_unreadable", "record_unreadable")]
    if unreadable or not any(item["result"] for item in page["items"]):
        raise Failed(f"{path}: results that were stored cannot be read {unreadable}")


def times(server, database, rounds):
    some = database.some(rounds + COLD)
    asked = {
        "first page": [PAGE],
        "page anywhere": [f"{PAGE}&after={token(at, image)}" for image, at in some],
        "flagged": [f"{PAGE}&flagged=true"],
        "one image": [f"/v1/images/{image}" for image, _ in some],
    }
    figures = {}
    for name, paths in asked.items():
        took = [server.ask(path)[1] for path in itertools.islice(itertools.cycle(paths), rounds + COLD)][COLD:]
        figures[f"{name}, median"] = statistics.median(took)
        figures[f"{name}, p95"] = sorted(took)[math.ceil(len(took) * 0.95) - 1]
    return figures


def token(at, image):
    """The `next` of a page that ends with this image (api/src/page_token.rs): no need to turn thousands of pages to get there."""
    return base64.urlsafe_b64encode(f"1:{at}:{image}".encode()).decode().rstrip("=")
