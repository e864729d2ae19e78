"""Every figure that a machine with an NVIDIA GPU can give, in a few minutes: does it answer as the CPU does, and how fast.

usage: gpu_day.py --lobar FILE [--device cuda:0] [--data FOLDER] [--small] [--out FILE] PICTURE…

  agreement   the probability of each picture in each precision of the GPU, against the CPU's in fp32
  engine      images per second by precision and batch size, beside the same network in plain libtorch
  pytorch     the same network in PyTorch, as it is and compiled, where PyTorch is installed
  decode      what the cores can decode, and so what an engine can be fed
  pipeline    from upload to committed result, in one process, with the best batch size found; urgent images under full load
  train       one epoch at 224 pixels on the labelled images of --data, or on PICTURE… with made-up labels

Lobar loads the libtorch that it was linked with, and CUDA from `LOBAR_LIBTORCH_CUDA`. Where that is not set, both are taken from
PyTorch, if it is installed. Each part stands alone: what fails is named, and the next one runs. The result is JSON, on standard
output and in --out after every part. The exit code is 1 when a part failed or the GPU does not agree.

--small does everything in small, on any device: a rehearsal with --device cpu.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

NETWORKS = pathlib.Path(__file__).resolve().parents[1] / "tests/peers/networks.py"
# Largest difference of a probability from the CPU's in fp32 by which an engine still agrees; docs/precision.md has what is usual.
AGREES = {"fp32": 0.01, "bf16": 0.05, "int8": 0.05}
# Seconds that one command may take.
LIMIT = 900


def main():
    arguments = parse()
    day = Day(arguments)
    parts = [day.machine, day.agreement, day.engine, day.pytorch, day.decode, day.pipeline, day.train]
    result, failed = {"device": arguments.device}, False
    with tempfile.TemporaryDirectory() as folder:
        day.folder = pathlib.Path(folder)
        for part in parts:
            name, began = part.__name__, time.monotonic()
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                result[name] = part(result)
                failed |= result[name].get("agrees") is False
            except (Failed, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
                failed, result[name] = True, {"failed": str(error)[-1000:]}
            result[name]["took_seconds"] = round(time.monotonic() - began, 1)
            if arguments.out:
                pathlib.Path(arguments.out).write_text(json.dumps(result, indent=2), encoding="utf-8")
    print(json.dumps(result, indent=2))
    sys.exit(1 if failed else 0)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lobar", required=True, help="the executable")
    parser.add_argument("--device", default="cuda:0", help="as Lobar and PyTorch name it")
    parser.add_argument("--data", help="folder with {train,val,test}/{NORMAL,PNEUMONIA}")
    parser.add_argument("--small", action="store_true", help="a rehearsal")
    parser.add_argument("--out", help="file for the result")
    parser.add_argument("pictures", nargs="+")
    return parser.parse_args()


class Failed(Exception):
    """A command that failed, and the end of what it said."""


class Day:
    """The parts. Each returns its figures, and may use those of the parts before it."""

    def __init__(self, arguments):
        self.arguments, self.folder = arguments, None
        self.lobar, self.device = str(pathlib.Path(arguments.lobar).resolve()), arguments.device
        self.pictures = [str(pathlib.Path(picture).resolve()) for picture in arguments.pictures]
        small = arguments.small
        self.precisions = ["fp32", "bf16"]
        self.batches = [1, 2] if small else [1, 4, 16, 32, 64, 128, 256]
        self.rounds = "1" if small else "9"
        self.images = 4 if small else 4000
        self.environment = {**os.environ, **libraries()}

    def run(self, *command):
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, timeout=LIMIT, env=self.environment, cwd=self.folder,
        )  # fmt: skip
        if done.returncode != 0:
            raise Failed(f"{' '.join(str(word) for word in command[1:6])} …: {done.stderr.strip()[-600:]}")
        return done.stdout

    def lobar_json(self, *words):
        return json.loads(self.run(self.lobar, *words, "--json"))

    def machine(self, _):
        figures = {"lobar": self.run(self.lobar, "--version").strip(), "cores": len(os.sched_getaffinity(0))}
        if shutil.which("nvidia-smi"):
            query = ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
            figures["gpu"] = self.run("nvidia-smi", *query).strip()
        return figures

    def answers(self, device, precision):
        """What each picture is answered with; None where it is left to a person."""
        said = self.run(self.lobar, "predict", "--json", "--device", device, "--precision", precision, *self.pictures)
        return [json.loads(line).get("result") for line in said.splitlines()]

    def agreement(self, _):
        expected = self.answers("cpu", "fp32")
        figures = {"pictures": len(expected), "agrees": True}
        for precision in self.precisions:
            pairs = list(zip(expected, self.answers(self.device, precision), strict=True))
            both = [(one, two) for one, two in pairs if one and two]
            apart = [abs(one["probability"] - two["probability"]) for one, two in both]
            figures[precision] = {
                "largest_difference": max(apart),
                "mean_difference": statistics.fmean(apart),
                "other_side_of_the_threshold": sum(one["flagged"] != two["flagged"] for one, two in both),
                "left_to_a_person_by_one_alone": sum((one is None) != (two is None) for one, two in pairs),
            }
            figures["agrees"] &= max(apart) <= AGREES[precision]
        return figures

    def engine(self, _):
        figures = {}
        for precision in self.precisions:
            for batch in self.batches:
                words = ["--device", self.device, "--precision", precision, "--batch", batch, "--rounds", self.rounds]
                said = self.lobar_json("bench", "engine", *words)
                figures[f"{precision} × {batch}"] = {
                    "images_per_second": said["engine"],
                    "with_heatmaps": said["engine_explained"],
                    "plain_libtorch": said["plain"],
                }
        best = max(figures, key=lambda name: figures[name]["with_heatmaps"])
        return {"best": best, "images_per_second": figures[best]["with_heatmaps"], "by_precision_and_batch": figures}

    def pytorch(self, result):
        missing = [name for name in ["torch", "torchvision", "safetensors"] if importlib.util.find_spec(name) is None]
        if missing:
            return {"left_out": f"{', '.join(missing)} not installed"}
        for form, name in [("safetensors", "model.safetensors"), ("torchscript", "model.pt")]:
            self.run(self.lobar, "export", "--no-check", "--format", form, "--out", self.folder / name)
        figures = {}
        largest = self.batches[-1]
        for name, batches in [("torch-fp32", self.batches), ("torch-eager-bf16", self.batches), ("torch-bf16", [largest])]:
            for batch in batches:
                said = self.run(sys.executable, NETWORKS, name, self.folder, self.rounds, self.device, batch)
                figures[f"{name} × {batch}"] = float(said.split()[-1])
        best = max(figures, key=figures.get)
        ratio = result["engine"]["images_per_second"] / figures[best]
        return {"best": best, "images_per_second": figures[best], "lobar_over_it": ratio, "all": figures}

    def decode(self, _):
        said = self.lobar_json("bench", "decode", "--rounds", self.rounds, *self.pictures)
        cores = len(os.sched_getaffinity(0))
        return {**said, "cores_decode_images_per_second": cores * 1e3 / said["whole_ms"]}

    def pipeline(self, result):
        precision, batch = result["engine"]["best"].split(" × ")
        engine = ["--device", self.device, "--precision", precision, "--batch", batch]
        said = self.lobar_json("bench", "pipeline", "--images", self.images, *engine, *self.pictures)
        wall = min(result["engine"]["images_per_second"], result["decode"]["cores_decode_images_per_second"])
        urgent = self.lobar_json("bench", "stat", "--images", 2 if self.arguments.small else 60, *engine, *self.pictures)
        return {
            "precision": precision,
            "batch": int(batch),
            "images_per_second": said["images_per_second"],
            "lower_of_engine_and_decoding": wall,
            "share_of_that": said["images_per_second"] / wall,
            "urgent_p99_ms": urgent["p99_ms"],
            "all": {**said, "urgent": urgent},
        }

    def train(self, _):
        data = self.arguments.data or self.labelled()
        images = sum(1 for file in pathlib.Path(data, "train").rglob("*") if file.is_file())
        side, batch = ("32", "2") if self.arguments.small else ("224", "128")
        loaders = len(os.sched_getaffinity(0))
        words = ["--stages", f"{side}:1", "--batch", batch, "--loaders", loaders, "--device", self.device]
        if self.arguments.small:
            # A rehearsal may be on a processor that emulates bf16, which takes minutes.
            words.append("--fp32")
        self.run(self.lobar, "train", "--data", data, "--out", self.folder / "run", *words)
        # Of the epoch alone: a run goes on to choose its threshold and to measure itself.
        [epoch] = json.loads((self.folder / "run/run.json").read_text(encoding="utf-8"))["epochs"]
        return {
            "images": images,
            "side": int(side),
            "batch": int(batch),
            "seconds": epoch["seconds"],
            "images_per_second": epoch["images_per_second"],
        }

    def labelled(self):
        """The pictures as a folder of training data. The labels mean nothing: only its speed is looked at."""
        for number in range(max(24, len(self.pictures))):
            picture = pathlib.Path(self.pictures[number % len(self.pictures)])
            split, label = ["train", "train", "val", "test"][number % 4], ["NORMAL", "PNEUMONIA"][number // 4 % 2]
            place = self.folder / "data" / split / label
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, place / f"person{number}_bacteria_{number}{picture.suffix}")
        return self.folder / "data"


def libraries():
    """Where Lobar finds libtorch, if PyTorch has it and nothing else says so."""
    found = importlib.util.find_spec("torch")
    if os.environ.get("LOBAR_LIBTORCH_CUDA") or found is None:
        return {}
    place = pathlib.Path(found.origin).parent / "lib"
    cuda = place / "libtorch_cuda.so"
    return {"LD_LIBRARY_PATH": f"{place}:{os.environ.get('LD_LIBRARY_PATH', '')}"} | (
        {"LOBAR_LIBTORCH_CUDA": str(cuda)} if cuda.exists() else {}
    )


if __name__ == "__main__":
    main()
