"""Larger files: images per second of the whole journey, and the most memory that the process took."""

import json

from .jpeg import picture
from .server import QUICK, memory

# Bytes, pixels, and how many of it: as sensors have them, from a thumbnail to the largest film.
SMALL = [(20_000, 300_000, 4), (200_000, 1_400_000, 4)]
USUAL = [(20_000, 300_000, 400), (200_000, 1_400_000, 400), (1_400_000, 6_300_000, 200)]
USUAL += [(6_000_000, 16_000_000, 96), (18_000_000, 36_000_000, 48)]
FULL = [(48_000_000, 62_000_000, 32)]


def measure(place, points):
    stored = []
    for size, pixels, images in place.steps(SMALL, USUAL, FULL):
        file = place.folder / "picture.jpg"
        file.write_bytes(picture(pixels, size))
        most = [0.0]

        def watch(pid, most=most):
            most[0] = max(most[0], memory(pid, "VmHWM"))

        words = ["--images", images, *(QUICK if place.small else []), "--json", file]
        said = json.loads(place.run("bench", "pipeline", *words, watch=watch))
        points.append(
            {
                "MB a file": file.stat().st_size / 1e6,
                "megapixels": pixels / 1e6,
                "decoding alone, ms": said["decode_alone_ms"],
                "images/s": said["images_per_second"],
                "most memory, MB": most[0],
            }
        )
        stored.append(images)
        file.unlink()
    of = f"one made grey JPEG each time, {', '.join(map(str, stored))} times; the process's memory, with the bench's own engine"
    return {"of": of, "images": stored}
