"""PyTorch on one wide network: the time of a step, for BenchmarkWide of
kernels/cpu to be held against.

    python bench/peers/wide.py --widths 784,800,800,10 --threads 1

trains a network of tanh units with softmax cross-entropy and plain SGD on batches
of 256 images of MNIST, in torch.nn's way (eager) and with the step written out and
its updates inside the gradients' products (hand), in turns. For each it prints
milliseconds a step and GFLOP/s, of the fastest round of four steps and of the
median one.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--widths", default="784,2500,2000,1500,1000,500,10", help="units of the layers, the pixels first")
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=7)
arguments = parser.parse_args()
widths = [int(width) for width in arguments.widths.split(",")]
if hasattr(os, "sched_setaffinity"):  # Linux
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-arguments.threads :])
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)

import torch
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import peer

STEPS, LR = 4, 0.01
torch.manual_seed(1)
torch.set_num_threads(arguments.threads)
torch.set_flush_denormal(True)
n = STEPS * arguments.batch
pixels = peer.read_idx(peer.DATA / "train-images-idx3-ubyte.gz")[:n].reshape(n, -1)
images = torch.from_numpy(pixels.astype("float32") / 255)
labels = torch.from_numpy(peer.read_idx(peer.DATA / "train-labels-idx1-ubyte.gz")[:n].astype("int64"))
batches = list(zip(images.split(arguments.batch), labels.split(arguments.batch)))

layers = [torch.nn.Linear(n_in, n_out) for n_in, n_out in zip(widths[:-1], widths[1:])]
net = torch.nn.Sequential(*[part for layer in layers for part in (layer, torch.nn.Tanh())][:-1])
optimizer = torch.optim.SGD(net.parameters(), lr=LR, fused=True)


def eager(x, y):
    optimizer.zero_grad()
    F.cross_entropy(net(x), y).backward()
    optimizer.step()


@torch.inference_mode()
def hand(x, y):
    values = [x]
    for layer in layers:
        z = torch.addmm(layer.bias, values[-1], layer.weight.T)
        values.append(z if layer is layers[-1] else z.tanh_())
    d = torch.softmax(values.pop(), 1)
    d[torch.arange(len(y)), y] -= 1
    d /= len(y)
    for i in reversed(range(len(layers))):
        before = d @ layers[i].weight if i else None
        layers[i].weight.addmm_(d.T, values[i], alpha=-LR)
        layers[i].bias.sub_(d.sum(0), alpha=LR)
        if i:
            d = torch.ops.aten.tanh_backward(before, values[i])


def seconds(step):
    """Of a step, in a round of STEPS."""
    begin = time.perf_counter()
    for x, y in batches:
        step(x, y)
    return (time.perf_counter() - begin) / STEPS


products = sum(n_in * n_out for n_in, n_out in zip(widths[:-1], widths[1:]))
flops = 2 * arguments.batch * (3 * products - widths[0] * widths[1])  # no gradient of the pixels
times = {eager: [], hand: []}
for measured in range(-1, arguments.rounds):
    for step, all_times in times.items():
        took = seconds(step)
        if measured >= 0:
            all_times.append(took)
for step, all_times in times.items():
    best, median = min(all_times), statistics.median(all_times)
    print(
        f"{step.__name__}: {best * 1e3:.1f} ms a step, {flops / best / 1e9:.1f} GFLOP/s;"
        f" median {median * 1e3:.1f} ms, {flops / median / 1e9:.1f} GFLOP/s"
    )
