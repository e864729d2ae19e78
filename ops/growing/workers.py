"""More workers: images per second through queues and store, and what they take of the cores."""

import json
import os

SERVICES = ["LOBAR_STORE", "LOBAR_UPLOADS", "LOBAR_JOBS", "LOBAR_SIGNAL"]


def measure(place, points):
    images = 200 if place.small else 4000
    for workers in place.steps([1, 2], [1, 2, 4, 8], []):
        words = ["--null", "--images", images, "--workers", workers, "--batch", 32, "--json"]
        # The one curve that uses the services which the environment names.
        said = json.loads(place.run("bench", "pipeline", *words, env=dict(os.environ)))
        points.append(
            {
                "workers": workers,
                "images/s": said["images_per_second"],
                "own core-ms per image": said["own_core_ms_per_image"],
            }
        )
    return {"of": f"{images:,} images each, network and object store left out; {services()}", "images": images}


def services():
    """Of a URL only what kind of service it names: the rest may hold a password."""
    named = {name: os.environ[name].partition(":")[0] for name in SERVICES if os.environ.get(name)}
    if not named:
        return "embedded SQLite"
    return ", ".join(f"{name} {kind}" for name, kind in named.items()) + "; the rest embedded SQLite"
