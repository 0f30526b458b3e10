"""What all peers share: the work, the machine's cores, and the protocol.

The work is an epoch of the 784-16-16-10 network on MNIST: sigmoid units,
softmax cross-entropy, plain SGD with a constant learning rate and with weight decay on
the weights, W -= learning rate * (dW + decay * W), not on the biases, a new order of the examples every epoch, a last
shorter batch trained with its own size. The arithmetic is float32. In memory the
pixels are float32 in [0, 1], or bytes that each step converts: whatever suits a peer.

The protocol: a peer builds, compiles, trains one epoch that nobody times,
starts again from fresh weights and prints

    {"ready": true, "device": ..., "cores": [...], "versions": {...}}

From then on it trains one more epoch for every line `epoch` that it reads and
answers {"seconds": S, "loss": L}: S is the time of the epoch for all networks
together, with shuffling, gathering and waiting for the device, and L is the mean
loss over batches and networks. It leaves when its input ends. Each answer is
one line of JSON on standard output.
"""

import argparse
import gzip
import json
import os
import pathlib
import sys
import time

WIDTHS = (784, 16, 16, 10)
CLASSES = WIDTHS[-1]

DATA = pathlib.Path(__file__).resolve().parents[2] / "mnist" / "data"


class Work:
    """What to train: the case and the numbers of the command line, and the data."""

    def __init__(self, case, batch, population, threads, device, examples, seed, lr, weight_decay, initial):
        import numpy as np  # after start has set the threads

        self.case, self.batch, self.population, self.threads = case, batch, population, threads
        self.device, self.seed, self.lr, self.weight_decay = device, seed, lr, weight_decay
        self.parameters = drawn(population, seed) if initial is None else read_parameters(initial, population)
        # pixels [n, 784] uint8; labels [n] int64; targets [n, 10] one-hot float32
        self.pixels = read_idx(DATA / "train-images-idx3-ubyte.gz")[:examples].reshape(-1, WIDTHS[0])
        self.labels = read_idx(DATA / "train-labels-idx1-ubyte.gz")[:examples].astype(np.int64)
        self.targets = np.eye(CLASSES, dtype=np.float32)[self.labels]

    def __len__(self):
        return len(self.labels)

    def images(self):
        """The pixels as float32 in [0, 1], [n, 784]."""
        return self.pixels.astype("float32") / 255

    def steps(self):
        """The number of steps of an epoch; the last may have a smaller batch."""
        return -(-len(self) // self.batch)

    def initial(self):
        """Initial weights [P, out, in] and biases [P, out] of every layer, float32,
        copied at every call."""
        return [(weight.copy(), bias.copy()) for weight, bias in self.parameters]


def drawn(population, seed):
    """Weights from N(0, 1/in) and biases of zero, of every layer."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return [
        (
            (rng.standard_normal((population, n_out, n_in)) / np.sqrt(n_in)).astype(np.float32),
            np.zeros((population, n_out), np.float32),
        )
        for n_in, n_out in zip(WIDTHS[:-1], WIDTHS[1:])
    ]


def read_parameters(path, population):
    """Weights and biases of every layer from a file of little-endian float32: network
    by network its layers, of each the weights [out, in] and then the biases."""
    import numpy as np

    values = np.fromfile(path, "<f4")
    size = sum((n_in + 1) * n_out for n_in, n_out in zip(WIDTHS[:-1], WIDTHS[1:]))
    if len(values) != population * size:
        raise SystemExit(f"{path}: holds {len(values)} float32, want {size} for each of {population} networks")
    networks, layers, at = values.reshape(population, size), [], 0
    for n_in, n_out in zip(WIDTHS[:-1], WIDTHS[1:]):
        end = at + n_in * n_out
        layers.append((networks[:, at:end].reshape(population, n_out, n_in), networks[:, end : end + n_out]))
        at = end + n_out
    return layers


def write_parameters(path, layers):
    """Writes weights [P, out, in] and biases [P, out] of every layer as
    read_parameters reads them."""
    import numpy as np

    flat = [np.asarray(values, np.float32).reshape(len(values), -1) for layer in layers for values in layer]
    np.concatenate(flat, axis=1).astype("<f4").tofile(path)


def read_idx(path):
    """The array of bytes in a gzipped IDX file."""
    import numpy as np

    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: found magic {content[:4].hex()}, want an IDX file of bytes, 000008..")
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape).copy()


def start(description, cases):
    """Reads the command line and loads the data. Call it before the framework is
    imported: libraries of linear algebra read their number of threads when they
    are loaded. The process is also tied to as many cores, so that one core is one
    core whatever a library thinks."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", required=True, choices=cases)
    parser.add_argument("--batch", type=int, default=32, help="examples in a step")
    parser.add_argument("--threads", type=int, default=1, help="cores to use")
    parser.add_argument("--population", type=int, default=1, help="networks that train together")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--examples", type=int, default=60000, help="of the training set, the first ones")
    parser.add_argument("--seed", type=int, default=1, help="of the weights and the order")
    parser.add_argument("--initial", metavar="FILE", help="weights and biases as read_parameters has them")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    arguments = parser.parse_args()
    for name in ("batch", "threads", "population", "examples"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} {getattr(arguments, name)}: want 1 or more")
    if arguments.population > 1 and not cases[arguments.case]:
        parser.error(f"--population {arguments.population}: {arguments.case} trains one network")

    if hasattr(os, "sched_setaffinity"):  # Linux
        cores = sorted(os.sched_getaffinity(0))
        if arguments.threads > len(cores):
            parser.error(f"--threads {arguments.threads}: there are {len(cores)} cores")
        os.sched_setaffinity(0, cores[-arguments.threads :])
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(arguments.threads)
    # These choose a kernel that is not the processor's own.
    os.environ.pop("OPENBLAS_CORETYPE", None)
    os.environ.pop("OPENBLAS_L2_SIZE", None)
    return Work(**vars(arguments))


def serve(work, reset, epoch, parameters, versions, device=None):
    """Follows the protocol. reset() sets the initial weights; epoch() trains one
    epoch, waits for the device, and returns the mean loss; parameters() are the
    weights [P, out, in] and biases [P, out] of every layer, as numpy takes them;
    device is the hardware in words, if it is not the processor."""
    epoch()
    reset()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    versions = {"python": sys.version.split()[0], **versions}
    print(json.dumps({"ready": True, "device": device or work.device, "cores": cores, "versions": versions}), flush=True)
    for line in sys.stdin:
        order, _, path = line.rstrip("\n").partition(" ")
        if order == "weights" and path:
            write_parameters(path, parameters())
            print(json.dumps({"weights": path}), flush=True)
            continue
        if line != "epoch\n":
            raise SystemExit(f"read {line!r}, want 'epoch' or 'weights FILE'")
        begin = time.perf_counter()
        loss = epoch()
        seconds = time.perf_counter() - begin
        print(json.dumps({"seconds": seconds, "loss": float(loss)}), flush=True)
