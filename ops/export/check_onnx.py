"""Compares an ONNX export with what `lobar predict` answers, on any pictures, through onnxruntime.

usage: check_onnx.py MODEL.onnx PREDICTIONS [--tolerance T]

PREDICTIONS is what `lobar predict --json FILE…` printed, one object a line. Every picture is run
alone, in threes and in sixteens, by one session. The largest differences in probability are
printed; the exit code is 1 when one of them is above the tolerance (0.02: what a CPU that computes
in bf16 may differ by).

Needs onnxruntime and onnx (with numpy), and pillow, all of them in `tests/requirements.txt`.
"""

import argparse
import json
import sys

import numpy
import onnx
import onnxruntime
from PIL import Image

BATCHES = [1, 3, 16]
OUTPUTS = ["probability", "bacterial_probability", "logit"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("predictions")
    parser.add_argument("--tolerance", type=float, default=0.02)
    arguments = parser.parse_args()

    onnx.checker.check_model(arguments.model, full_check=True)
    session = onnxruntime.InferenceSession(arguments.model, providers=["CPUExecutionProvider"])
    properties = session.get_modelmeta().custom_metadata_map
    card = json.loads(properties["lobar.card"])
    print(f"model {card['version']}, threshold {card['threshold']:.4f}")
    if float(properties["lobar.threshold"]) != card["threshold"]:
        sys.exit("the threshold beside the card is not the card's")

    rows = [json.loads(line) for line in open(arguments.predictions, encoding="utf-8")]
    rows = [row for row in rows if row["status"] == "ready"]
    if not rows:
        sys.exit("no picture of these predictions was assessed")
    images = numpy.stack([picture(row["file"]) for row in rows])
    expected = {
        "probability": [row["result"]["probability"] for row in rows],
        "bacterial_probability": [bacterial(row["result"]["subtype"]) for row in rows],
    }

    worst = 0.0
    alone = None
    for size in BATCHES:
        found = run(session, images, size)
        for name, values in expected.items():
            pairs = [(f, v) for f, v in zip(found[name], values) if v is not None]
            away = max((abs(f - v) for f, v in pairs), default=0.0)
            print(f"batch {size}: {name} differs from `lobar predict` by at most {away:.1e} ({len(pairs)} pictures)")
            worst = max(worst, away)
        alone = alone or found
        apart = max(numpy.abs(found[name] - alone[name]).max() for name in OUTPUTS)
        print(f"batch {size}: differs from one picture at a time by at most {apart:.1e}")
        worst = max(worst, apart)
    if not worst <= arguments.tolerance:
        sys.exit(f"{worst} is above the tolerance of {arguments.tolerance}")


def picture(path):
    """A picture as the model takes it. Those of 224×224 pixels are taken as they are; pillow resizes
    others, which may differ from Lobar by a grey level here and there."""
    grey = Image.open(path).convert("L")
    if grey.size != (224, 224):
        grey = grey.resize((224, 224), Image.Resampling.BILINEAR)
    return numpy.asarray(grey, dtype=numpy.float32)[None]


def bacterial(subtype):
    """`lobar predict` gives the probability of the likelier one, and none where it says none."""
    if subtype is None:
        return None
    probability = subtype["probability"]
    return probability if subtype["label"].upper() == "BACTERIAL" else 1.0 - probability


def run(session, images, size):
    parts = [session.run(OUTPUTS, {"images": images[at:at + size]}) for at in range(0, len(images), size)]
    return {name: numpy.concatenate([part[i] for part in parts]) for i, name in enumerate(OUTPUTS)}


if __name__ == "__main__":
    main()
