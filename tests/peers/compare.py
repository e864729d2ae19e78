"""Lobar beside careful Python programs of the same network, on the same services, in one run.

usage: compare.py --lobar FILE [--baseline FILE] [--only WORD,…] [--images N] [--single N] [--rounds N] [--json] PICTURE…

Each round runs every contender in turn, alone: it is started and warmed, then the events of N stored pictures are sent, and
the time is taken from the first event to the last committed answer. Then single events are sent on the idle system, from the
event's being sent to its committed answer. Before that the networks alone take turns: batches of 16 on one thread. Medians of
the rounds are printed, and the ratios that docs/benchmarks.md names.

With --baseline another executable of Lobar runs as well, and the exit code is 1 when the first one answers fewer than
nine tenths of its images per second, or takes more than eleven tenths of its time for one image.

Contenders whose packages are not installed are named and left out: `tests/peers/requirements-torch.txt` (5 GB) is for those
of PyTorch, and openvino for that of openvino.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import networks
from contenders import Consumer, Flask, Lobar
from services import Services

# A contender that answers nothing for so many seconds is stuck.
STUCK = 120
WARM = 32
# Batches of which the median is the figure of a network alone.
FORWARD_ROUNDS = "5"
# Requests at once that Flask is given: more do not make it faster.
FLASK_AT_ONCE = 8
TORCH = ["torch", "torchvision", "safetensors"]
# What a fall of more than this against a baseline is a failure, as a share.
TOLERATED = 0.1


def main():
    arguments = parse()
    # An end from outside ends the services as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    pictures = [pathlib.Path(file).read_bytes() for file in arguments.pictures]
    with tempfile.TemporaryDirectory() as exports, Services() as services, open(arguments.log, "w") as log:
        contenders = list(all_contenders(arguments, exports, services, log))
        figures = {contender.name: [] for contender in contenders}
        forward = [forward_rates(contenders, arguments, exports) for _ in range(arguments.rounds)]
        for number in range(arguments.rounds):
            for contender in contenders:
                say(f"round {number + 1} of {arguments.rounds}: {contender.name}")
                try:
                    with contender:
                        figures[contender.name].append(measure(contender, services, pictures, arguments))
                except (RuntimeError, OSError) as error:
                    if isinstance(contender, Lobar):
                        raise
                    say(f"{contender.name} gave no figure this time: {error}")
                services.forget()
    forward = {name: statistics.median(rates[name] for rates in forward) for name in forward[0]}
    report(arguments, forward, {name: rounds for name, rounds in figures.items() if rounds})


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lobar", required=True, help="the executable")
    parser.add_argument("--baseline", help="another one, to be held against")
    parser.add_argument(
        "--only", help="beside Lobar as installed, those whose names hold one of these words, separated by commas"
    )
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--single", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", default="compare.log")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("pictures", nargs="+")
    return parser.parse_args()


def all_contenders(arguments, exports, services, log):
    cores = len(os.sched_getaffinity(0))
    export(arguments, exports)
    yield Lobar("lobar", arguments.lobar, services, log)
    if arguments.baseline:
        yield Lobar("baseline", arguments.baseline, services, log)
    # One process a core, and one process on all of them.
    shapes = sorted({(cores, 1), (1, cores)}, reverse=True)

    def consumers(network):
        return [Consumer(network, *shape, exports, services, log) for shape in shapes]

    others = [
        ([Lobar("lobar bf16", arguments.lobar, services, log, {"LOBAR_PRECISION": "bf16"})], []),
        (consumers("onnxruntime-int8"), ["onnxruntime"]),
        (consumers("openvino-int8"), ["openvino"]),
        (consumers("torch-bf16"), TORCH),
        ([Flask("onnxruntime-fp32", cores, exports, services, log)], ["onnxruntime"]),
        ([Flask("torch-fp32", cores, exports, services, log)], TORCH),
    ]
    for some, packages in others:
        missing = [name for name in packages if importlib.util.find_spec(name) is None]
        for other in some:
            wanted = arguments.only is None or any(part in other.name for part in arguments.only.split(","))
            if wanted and missing:
                say(f"{other.name} is left out: {', '.join(missing)} not installed")
            elif wanted:
                yield other


def export(arguments, folder):
    """The model in the forms that the peers load."""
    for form, name in [("onnx", "model.onnx"), ("safetensors", "model.safetensors"), ("torchscript", "model.pt")]:
        command = [arguments.lobar, "export", "--format", form, "--out", f"{folder}/{name}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    say("quantizing the network for onnxruntime")
    networks.quantize(f"{folder}/model.onnx", f"{folder}/int8.onnx", arguments.pictures)


def forward_rates(contenders, arguments, exports):
    """Images per second of each network alone, batches of 16 on one thread, and of Lobar's in the same precisions."""
    others = sorted({contender.network for contender in contenders if isinstance(contender, Consumer)})
    rates = {}
    for precision in sorted({name.rsplit("-", 1)[1] for name in others}):
        say(f"the network alone: lobar {precision}")
        command = [
            arguments.lobar,
            "bench",
            "engine",
            "--precision",
            precision,
            "--threads",
            "1",
            "--rounds",
            FORWARD_ROUNDS,
            "--json",
        ]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        rates[f"lobar {precision}"] = json.loads(said)["engine"]
    for name in others:
        say(f"the network alone: {name}")
        command = [sys.executable, networks.__file__, name, exports, FORWARD_ROUNDS]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        rates[name] = float(said.split()[-1])
    return rates


def measure(contender, services, pictures, arguments):
    flask = isinstance(contender, Flask)
    many, one = (post_many, post_one) if flask else (send_many, send_one)
    many(contender, services, pictures, min(WARM, arguments.images))
    before = contender.core_seconds()
    seconds = many(contender, services, pictures, arguments.images)
    used = contender.core_seconds() - before
    time.sleep(2)
    single = [one(contender, services, pictures, n) for n in range(arguments.single)]
    return {
        "images_per_second": arguments.images / seconds,
        "images_per_core_second": arguments.images / used,
        "single_ms": statistics.median(single) * 1e3 if single else None,
    }


def send_many(contender, services, pictures, number):
    events = services.put(pictures, number)
    target = contender.count() + number
    began = time.monotonic()
    with ThreadPoolExecutor(1) as sender:
        sending = sender.submit(services.send, events)
        until(contender, target, 0.02)
        ended = time.monotonic()
        sending.result()
    return ended - began


def send_one(contender, services, pictures, number):
    events = services.put([pictures[number % len(pictures)]], 1, stat=True)
    target = contender.count() + 1
    # No contender's poll may keep step with the questions.
    time.sleep(random.uniform(0.3, 0.6))
    began = time.monotonic()
    services.send_ten(events)
    until(contender, target, 0.001)
    return time.monotonic() - began


def post_many(contender, _services, pictures, number):
    began = time.monotonic()
    with ThreadPoolExecutor(FLASK_AT_ONCE) as pool:
        list(pool.map(lambda n: post(contender, pictures[n % len(pictures)]), range(number)))
    return time.monotonic() - began


def post_one(contender, _services, pictures, number):
    time.sleep(random.uniform(0.3, 0.6))
    began = time.monotonic()
    post(contender, pictures[number % len(pictures)])
    return time.monotonic() - began


def post(contender, body):
    request = urllib.request.Request(f"http://127.0.0.1:{contender.port}/predict", body, {"Content-Type": "image/jpeg"})
    urllib.request.urlopen(request, timeout=STUCK).read()


def until(contender, target, pause):
    """Waits until so many answers are committed."""
    done, moved = 0, time.monotonic()
    while True:
        now = contender.count()
        if now >= target:
            return
        if now > done:
            done, moved = now, time.monotonic()
        elif time.monotonic() - moved > STUCK:
            raise RuntimeError(f"{contender.name} answered {now} of {target} and goes no further; its log says why")
        time.sleep(pause)


def report(arguments, forward, figures):
    rows = {}
    for name, rounds in figures.items():
        measured = [key for key, value in rounds[0].items() if value is not None]
        rows[name] = {key: statistics.median(figure[key] for figure in rounds) for key in measured}
    ratios = {**forward_ratios(forward), **ratios_of(rows)}
    if arguments.json:
        run = {"machine": machine(), "images": arguments.images, "rounds": arguments.rounds}
        print(json.dumps({**run, "forward": forward, "figures": rows, "ratios": ratios}))
    else:
        print(", ".join(f"{key} {value}" for key, value in machine().items()))
        if forward:
            print("the network alone, batches of 16 on one thread, images/s")
        for name, rate in forward.items():
            print(f"{name:42} {rate:8.1f}")
        print(f"{'':42} images/s  per core-second  one image, ms")
        for name, row in rows.items():
            single = f"{row['single_ms']:.0f}" if "single_ms" in row else ""
            print(f"{name:42} {row['images_per_second']:8.1f} {row['images_per_core_second']:16.1f} {single:>14}")
        for name, ratio in ratios.items():
            print(f"{name:60} {ratio:.2f}")
    if arguments.baseline and fell(rows):
        sys.exit(1)


def forward_ratios(forward):
    ratios = {}
    for precision in ["int8", "bf16"]:
        others = [rate for name, rate in forward.items() if precision in name and not name.startswith("lobar")]
        if others:
            ratios[f"the network alone in {precision} over the best peer's"] = forward[f"lobar {precision}"] / max(others)
    return ratios


def ratios_of(rows):
    """Those of docs/benchmarks.md, of what took part."""
    peers = {name: row for name, row in rows.items() if name.startswith(("consumer", "flask"))}
    lobar = rows["lobar"]
    ratios = {}

    def add(words, mine, others, key, best):
        values = [row[key] for row in others if key in row]
        if values and key in mine:
            ratios[words] = mine[key] / best(values)

    def named(part):
        return [row for name, row in peers.items() if part in name]

    add("images/s over the best peer's", lobar, peers.values(), "images_per_second", max)
    if "lobar bf16" in rows:
        add("images/s of bf16 over the best bf16 peer's", rows["lobar bf16"], named("bf16"), "images_per_second", max)
    add("images/s over the best Flask's", lobar, named("flask"), "images_per_second", max)
    add("one image over the quickest consumer's", lobar, named("consumer"), "single_ms", min)
    if "baseline" in rows:
        add("images/s over the baseline's", lobar, [rows["baseline"]], "images_per_second", max)
        add("one image over the baseline's", lobar, [rows["baseline"]], "single_ms", min)
    return ratios


def fell(rows):
    lobar, baseline = rows["lobar"], rows["baseline"]
    slower = lobar["images_per_second"] < (1 - TOLERATED) * baseline["images_per_second"]
    later = "single_ms" in lobar and lobar["single_ms"] > (1 + TOLERATED) * baseline["single_ms"]
    if slower or later:
        say("Lobar is slower than the baseline by more than a tenth")
    return slower or later


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}


def say(words):
    print(f"compare: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
