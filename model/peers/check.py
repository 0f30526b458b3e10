"""Do others compute what vanilla computes? Exports and model files, run by ONNX Runtime and PyTorch on all MNIST test images.

    check.py VANILLA SAMPLES    the command to check, for example bin/vanilla, and a directory with exports of graphs and
                                what they give, as the test TestONNXOfSamples of model/export writes it

Both must find the same class for every image, and the same probabilities to within TOLERANCE, for

  - each network that is built in: its ONNX export in ONNX Runtime, its file in torch.nn.Sequential, its npz and JSON exports
  - networks made by PyTorch with every activation and both losses, saved without vanilla's metadata
  - networks trained by vanilla with activations of their own, blocks, norms and dropout: their ONNX exports
  - a network trained by PyTorch, whose accuracy vanilla eval must find

It exits with 1 after the first difference.
"""

import copy
import gzip
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import load_file, save_file

# The largest difference of a probability: float32 sums of 784 terms in another order differ by some 1e-6.
TOLERANCE = 1e-5

ROOT = pathlib.Path(__file__).parents[2]

ACTIVATIONS = {
    "identity": torch.nn.Identity,
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "leaky-relu": torch.nn.LeakyReLU,
    "softplus": torch.nn.Softplus,
    "silu": torch.nn.SiLU,
    "gelu-tanh": lambda: torch.nn.GELU(approximate="tanh"),
    "softsign": torch.nn.Softsign,
}

LOSSES = ["cross-entropy", "quadratic"]


def run(*args):
    """Standard output of vanilla with these arguments."""
    return subprocess.run([VANILLA, *map(str, args)], check=True, stdout=subprocess.PIPE, text=True).stdout


def images(name):
    """Images [N, 784] from 0 to 1 of one of MNIST's files."""
    data = gzip.decompress((ROOT / "mnist" / "data" / f"{name}-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(data, np.uint8, offset=16).reshape(-1, 784).astype(np.float32) / np.float32(255)


def labels(name):
    data = gzip.decompress((ROOT / "mnist" / "data" / f"{name}-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(data, np.uint8, offset=8).astype(np.int64)


def predicted(model, *flags):
    """What vanilla makes of the test images: classes [N] and probabilities [N, 10]."""
    lines = [json.loads(line) for line in run("predict", model, "--data", "mnist", "--json", *flags).splitlines()]
    assert [line["image"] for line in lines] == list(range(len(X)))
    assert [line["label"] for line in lines] == list(Y)
    return np.array([line["class"] for line in lines]), np.array([line["probabilities"] for line in lines], np.float32)


def onnx_runtime(model, *flags):
    """What ONNX Runtime makes of the exported model."""
    path = SCRATCH / "x.onnx"
    run("export", model, "-o", path, *flags)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(["probabilities"], {"pixels": X})
    return output


def sequential(widths, activation):
    modules = []
    for inputs, outputs in zip(widths, widths[1:]):
        modules += [torch.nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
    return torch.nn.Sequential(*modules[:-1])


def pytorch(network, loss, dtype=torch.float32):
    """What PyTorch makes of the test images."""
    with torch.no_grad():
        z = copy.deepcopy(network).to(dtype)(torch.from_numpy(X).to(dtype))
        return (torch.softmax(z, 1) if loss == "cross-entropy" else torch.sigmoid(z)).numpy()


def rounding(network, loss):
    """What float32 does to a probability, at most: large weights on steep sigmoids magnify the rounding of their sums."""
    return np.abs(pytorch(network, loss) - pytorch(network, loss, torch.float64)).max()


def compare(what, vanilla, peer, rounding, ties=False):
    """Exits if classes differ, or probabilities by more than TOLERANCE, and shows beside them what rounding alone does.

    With ties, images whose two classes are equally probable but for the rounding of two programs may be of either.
    """
    classes, probabilities = vanilla
    assert peer.shape == probabilities.shape, f"{what}: found shape {peer.shape}, want {probabilities.shape}"
    difference = np.abs(probabilities - peer).max()
    lead = peer.max(1) - np.take_along_axis(peer, classes[:, None], 1)[:, 0]
    differ = np.flatnonzero(lead > (2 * rounding if ties else 0))
    print(f"{what:40} {len(differ)} of {len(classes)} classes differ, probabilities by {difference:.1e}, rounding {rounding:.1e}", flush=True)
    if len(differ) > 0 or not difference <= TOLERANCE:
        sys.exit(f"{what}: want the same class for each image, and probabilities within {TOLERANCE}; the classes of images {differ[:10]} differ")


def same(what, ours, theirs):
    if not np.array_equal(np.asarray(ours, np.float32), theirs):
        sys.exit(f"{what}: other values than in the model file")


def check_built_in(name):
    vanilla = predicted(name)
    file = ROOT / "model" / "zoo" / f"{name}.safetensors"
    state = load_file(file)
    run("export", name, "-o", SCRATCH / "x.json")
    description = json.loads((SCRATCH / "x.json").read_text())
    network = sequential([int(width) for width in description["arch"].split("-")], description["activation"])
    network.load_state_dict(state)
    error = rounding(network, description["loss"])
    compare(f"{name}, PyTorch", vanilla, pytorch(network, description["loss"]), error)
    compare(f"{name}, ONNX Runtime", vanilla, onnx_runtime(name), error)

    for k, layer in enumerate(description["layers"]):
        for parameter in "weight", "bias":
            same(f"{name}, JSON, layer {k}, {parameter}", layer[parameter], state[f"{2 * k}.{parameter}"].numpy())
    run("export", name, "-o", SCRATCH / "x.npz")
    with np.load(SCRATCH / "x.npz") as arrays:
        if sorted(arrays.files) != sorted(state):
            sys.exit(f"{name}, npz: found the arrays {arrays.files}, want {sorted(state)}")
        for parameter in arrays.files:
            assert arrays[parameter].dtype == np.float32
            same(f"{name}, npz, {parameter}", arrays[parameter], state[parameter].numpy())
    print(f"{name}, JSON and npz: the same values")


def check_activation(activation, loss):
    """A network with random parameters, large enough to reach where activations bend."""
    network = sequential([784, 12, 9, 10], activation)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 4
    file = SCRATCH / "plain.safetensors"
    save_file(network.state_dict(), file)
    flags = ["--activation", activation, "--loss", loss]
    vanilla = predicted(file, *flags)
    error = rounding(network, loss)
    compare(f"{activation} {loss}, PyTorch", vanilla, pytorch(network, loss), error, ties=True)
    compare(f"{activation} {loss}, ONNX Runtime", vanilla, onnx_runtime(file, *flags), error, ties=True)


class Perceptron(torch.nn.Module):
    """As people write them: layers with names of their own."""

    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(784, 32)
        self.fc2 = torch.nn.Linear(32, 16)
        self.fc3 = torch.nn.Linear(16, 10)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


def check_trained():
    network = Perceptron()
    optimizer = torch.optim.Adam(network.parameters())
    train, targets = torch.from_numpy(images("train")), torch.from_numpy(labels("train"))
    for batch in torch.randperm(len(train)).split(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(train[batch]), targets[batch]).backward()
        optimizer.step()
    right = (pytorch(network, "cross-entropy").argmax(1) == Y).mean()
    file = SCRATCH / "trained.safetensors"
    save_file(network.state_dict(), file)
    evaluated = json.loads(run("eval", file, "--activation", "relu", "--loss", "cross-entropy", "--json"))
    print(f"trained by PyTorch: accuracy {right}, vanilla eval finds {evaluated['test_accuracy']}")
    if evaluated["test_accuracy"] != right:
        sys.exit("trained by PyTorch: want the same accuracy")


# Networks that vanilla trains for one epoch, by the flags that make them.
TRAINED = [
    "--arch 784-32relu-16tanh-10 --lr 0.1",
    "--arch 784-24leaky-relu-16gelu-tanh-12softsign-10 --lr 0.1 --loss quadratic",
    "--dropout 0.2 --input-dropout 0.1 --label-smoothing 0.1",
    "--block residual --activation relu --lr 0.1",
    "--block gated",
    "--norm layer --activation silu",
    "--block residual --norm layer --dropout 0.1 --input-dropout 0.1 --loss quadratic",
    "--block gated --norm layer --activation tanh --dropout 0.1 --label-smoothing 0.1",
]


def check_graphs():
    for flags in TRAINED:
        file = SCRATCH / "trained.safetensors"
        run("train", "--epochs", "1", *flags.split(), "-o", file)
        compare(flags, predicted(file), onnx_runtime(file), TOLERANCE, ties=True)


def check_own_activations():
    """The state_dict of a chain whose layers have activations of their own."""
    file = SCRATCH / "own.safetensors"
    run("train", "--epochs", "1", "--lr", "0.1", "--arch", "784-32relu-16tanh-10", "-o", file)
    network = torch.nn.Sequential(torch.nn.Linear(784, 32), torch.nn.ReLU(), torch.nn.Linear(32, 16), torch.nn.Tanh(), torch.nn.Linear(16, 10))
    network.load_state_dict(load_file(file))
    compare("784-32relu-16tanh-10, PyTorch", predicted(file), pytorch(network, "cross-entropy"), rounding(network, "cross-entropy"), ties=True)


def check_samples(folder):
    """The graphs of graph/samples as ONNX Runtime runs them."""
    samples = json.loads((folder / "samples.json").read_text())
    worst = 0
    for sample in samples:
        path = folder / sample["File"]
        onnx.checker.check_model(onnx.load(path), full_check=True)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found,) = session.run(["probabilities"], {"pixels": np.array(sample["Pixels"], np.float32)})
        want = np.array(sample["Probabilities"])
        difference = (np.abs(found - want) / np.maximum(1, np.abs(want))).max() if found.shape == want.shape else np.inf
        if not difference <= TOLERANCE:
            sys.exit(f"{sample['Name']}: ONNX Runtime finds {found}, want {want}")
        worst = max(worst, difference)
    print(f"{len(samples)} exports of graphs in ONNX Runtime: outputs differ by {worst:.1e}", flush=True)


def activations():
    """The activations that vanilla lists."""
    wrong = subprocess.run([VANILLA, "export", "default", "-o", "x.onnx", "--activation", "?"], stderr=subprocess.PIPE, text=True)
    return re.split(", | or ", re.search("want (.*)", wrong.stderr)[1])


def main():
    torch.manual_seed(1)
    for name in "default", "lesson":
        check_built_in(name)
    if activations() != list(ACTIVATIONS):
        sys.exit(f"vanilla knows the activations {activations()}, this script {list(ACTIVATIONS)}")
    for activation in ACTIVATIONS:
        for loss in LOSSES:
            check_activation(activation, loss)
    check_own_activations()
    check_graphs()
    check_samples(SAMPLES)
    check_trained()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    VANILLA = str(pathlib.Path(sys.argv[1]).resolve())
    SAMPLES = pathlib.Path(sys.argv[2])
    X, Y = images("t10k"), labels("t10k")
    with tempfile.TemporaryDirectory() as scratch:
        SCRATCH = pathlib.Path(scratch)
        main()
