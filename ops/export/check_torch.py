"""Compares Lobar with torchvision and with Python's PyTorch. Done by hand: torch takes 5 GB.

usage: check_torch.py FOLDER MODEL.safetensors MODEL.pt PREDICTIONS

1. Weights of torchvision in Lobar: writes `torchvision.safetensors`, a random resnet50 with batch
   norms that are not the identity, and `features.safetensors`, its pooled features on random
   images, into FOLDER. `cargo test -p lobar-model torchvision -- --ignored --nocapture` loads them from
   `target/torchvision` and prints the difference.
2. Weights of Lobar in torchvision: loads MODEL.safetensors, a `lobar export --format safetensors`,
   into torchvision's resnet50 and compares its pooled features with those of the TorchScript export.
3. TorchScript: loads MODEL.pt, a `lobar export --format torchscript` of the same model, in Python,
   reads its card, and compares it with PREDICTIONS, which `lobar predict --json --model MODEL.pt`
   printed about pictures of 224×224 pixels.

Needs torch 2.11.0, the torchvision that goes with it, safetensors, numpy, pillow.
"""

import json
import pathlib
import sys

import numpy
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file

MEAN, STD = 0.449, 0.226


def main():
    folder, weights, module, predictions = map(pathlib.Path, sys.argv[1:])
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    torch.manual_seed(7)
    with torch.no_grad():
        write_torchvision(folder)
        trunk = load_ours(weights)
        compare(trunk, module, predictions)


def write_torchvision(folder):
    folder.mkdir(parents=True, exist_ok=True)
    network = torchvision.models.resnet50()
    for _ in range(3):  # moves the running statistics away from 0 and 1
        network.train()(torch.randn(4, 3, 96, 96) * 1.5 + 0.3)
    save_file(network.state_dict(), folder / "torchvision.safetensors")
    images = torch.randn(2, 3, 224, 224)
    features = pooled(network.eval(), images)
    save_file({"images": images, "features": features}, folder / "features.safetensors")
    print(f"1. written to {folder}: features between {features.min():.3f} and {features.max():.3f}")


def load_ours(weights):
    network = torchvision.models.resnet50()
    result = network.load_state_dict(load_file(weights), strict=False)
    assert set(result.missing_keys) == {"fc.weight", "fc.bias"}, result.missing_keys
    assert all(name.startswith("head.") for name in result.unexpected_keys), result.unexpected_keys
    print(f"2. torchvision takes every tensor of {weights.name} but the head's {len(result.unexpected_keys)}")
    return network.eval()


def compare(trunk, path, predictions):
    extra = {"lobar.card": ""}
    module = torch.jit.load(path, _extra_files=extra).eval()
    card = json.loads(extra["lobar.card"])
    rows = [json.loads(line) for line in predictions.read_text().splitlines()]
    images = numpy.stack([numpy.asarray(Image.open(row["file"]).convert("L"), dtype=numpy.float32)[None] for row in rows])
    images = torch.from_numpy(images)

    normalised = ((images / 255 - MEAN) / STD).expand(-1, 3, -1, -1)
    ours = module.features(images).mean((2, 3))
    theirs = pooled(trunk, normalised)
    print(f"2. pooled features differ by at most {(ours - theirs).abs().max():.1e}, the largest being {theirs.max():.2f}")

    for size in [1, len(rows)]:
        found = torch.cat([module(part)[0] for part in images.split(size)])
        expected = torch.tensor([row["result"]["probability"] for row in rows])
        print(f"3. {card['version']}, batch {size}: probabilities differ by at most {(found - expected).abs().max():.1e}")


def pooled(network, images):
    body = torch.nn.Sequential(*list(network.children())[:-1])
    return body(images).flatten(1)


if __name__ == "__main__":
    main()
