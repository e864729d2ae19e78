"""The network of a peer: grey levels, fp32 `[N, 1, 224, 224]`, to probabilities of pneumonia, `[N]`.

Each is made of what `lobar export` writes, so all of them compute what Lobar computes.

usage: networks.py NAME FOLDER ROUNDS [DEVICE BATCH]

Prints the images per second of batches of BATCH (16), the median: on one thread of the CPU, or on another device of PyTorch's.
"""

import pathlib
import statistics
import sys
import time

import numpy
from PIL import Image

SIDE = 224
# As `grey224-v1` normalises, scaled to grey levels of 0 to 255.
MEAN, STD = 0.449 * 255, 0.226 * 255


def picture(file):
    """A file's grey levels, `[1, 224, 224]`. A JPEG is decoded at the smallest scale that leaves 448 pixels a side."""
    image = Image.open(file)
    image.draft("L", (2 * SIDE, 2 * SIDE))
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return numpy.asarray(grey, dtype=numpy.float32)[None]


def quantize(model, out, files):
    """Writes an ONNX model in 8-bit integers, with ranges from the pictures of `files`."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(CalibrationDataReader):
        def __init__(self):
            self.left = iter(files)

        def get_next(self):
            file = next(self.left, None)
            return None if file is None else {"images": picture(file)[None]}

    prepared = pathlib.Path(out).with_suffix(".prepared.onnx")
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        out,
        Pictures(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )


def onnxruntime(model, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probability"], {"images": images})[0]


def openvino(model, threads):
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    probability = compiled.output("probability")
    return lambda images: compiled({"images": images})[probability]


def torch(folder, threads, device="cpu", bf16=False, compiled=False):
    """Trunk in torchvision, in bf16 or fp32, compiled or as it is; the head of the TorchScript export."""
    import torch
    import torchvision
    from safetensors.torch import load_file

    torch.set_num_threads(threads)
    trunk = torchvision.models.resnet50()
    trunk.load_state_dict(load_file(f"{folder}/model.safetensors"), strict=False)
    trunk.fc = torch.nn.Identity()
    trunk.eval()
    head = torch.jit.load(f"{folder}/model.pt").eval()
    temperature = temperature_of(head)
    kind = torch.bfloat16 if bf16 else torch.float32
    trunk = trunk.to(device, kind, memory_format=torch.channels_last)
    head = head.to(device)
    if compiled:
        trunk = torch.compile(trunk, dynamic=False)

    # In every thread that asks: the mode is a thread's own.
    @torch.no_grad()
    def answer(images):
        values = (torch.from_numpy(images).to(device) - MEAN) / STD
        values = values.expand(-1, 3, -1, -1).to(kind, memory_format=torch.channels_last)
        logits = head.classify(trunk(values).float())[:, 0]
        return torch.sigmoid(logits / temperature).cpu().numpy()

    return answer


def temperature_of(module):
    """The calibration of an export, from what it answers on one picture."""
    import torch

    with torch.no_grad():
        probability, _, logit = module(torch.full((1, 1, SIDE, SIDE), 100.0))
    return float(logit / torch.logit(probability.double()))


def load(name, folder, threads, device="cpu"):
    """The network `name`, from the folder of exports; those of PyTorch on a device of its own."""
    match name:
        case "onnxruntime-int8":
            return onnxruntime(f"{folder}/int8.onnx", threads)
        case "onnxruntime-fp32":
            return onnxruntime(f"{folder}/model.onnx", threads)
        case "openvino-int8":
            return openvino(f"{folder}/int8.onnx", threads)
        case "torch-bf16":
            return torch(folder, threads, device, bf16=True, compiled=True)
        case "torch-eager-bf16":
            return torch(folder, threads, device, bf16=True)
        case "torch-fp32":
            return torch(folder, threads, device)
    raise ValueError(f"there is no network {name}")


def main():
    name, folder, rounds = sys.argv[1:4]
    device, batch = sys.argv[4:] or ["cpu", "16"]
    infer = load(name, folder, 1, device)
    images = numpy.random.default_rng(7).integers(0, 256, (int(batch), 1, SIDE, SIDE)).astype(numpy.float32)
    infer(images)
    infer(images)
    times = []
    for _ in range(int(rounds)):
        began = time.perf_counter()
        infer(images)
        times.append(time.perf_counter() - began)
    print(len(images) / statistics.median(times))


if __name__ == "__main__":
    main()
