"""Writes pytorch.json: how PyTorch trains the lesson's network, by recipe.

    pip install torch==2.15.0 numpy
    python internal/conformance/testdata/pytorch.py > internal/conformance/testdata/pytorch.json

Everything is float64. Optimizers, schedules and losses are PyTorch's own. The
initial weights and the order of examples are functions of a seed, computed here
a second time from their papers (see kernels/random.go): a check of those too.
"""

import gzip
import json
import math
import pathlib

import numpy as np
import torch

EXAMPLES, EPOCHS, TEST = 3190, 3, 2000  # batches of 32 leave 22 over
SEED, ORDER_SEED = 5, 6
STREAM_ORDER, STREAM_PARAM, ORDER_ROUNDS, ORDER_BITS = 0, 1 << 16, 8, 8
MASK = 0xFFFFFFFF


def philox(counter, key):
    """Philox4x32-10 (Salmon et al., 2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def draw(seed, stream, position):
    return philox([position & MASK, position >> 32, stream, 0], [seed & MASK, seed >> 32])


def mix(x):
    x ^= x >> 16
    x = x * 0x7FEB352D & MASK
    x ^= x >> 15
    x = x * 0x846CA68B & MASK
    return x ^ x >> 16


def order(seed, epoch, n):
    """A Feistel permutation of 0..n-1, walked until it lands below n."""
    bits = max(ORDER_BITS, (n - 1).bit_length())
    low, high = (bits + 1) // 2, bits // 2
    keys = []
    for i in range(0, ORDER_ROUNDS, 4):
        keys += draw(seed, STREAM_ORDER, epoch << 8 | i)

    def encrypt(v):
        left, right = v >> low, v & ((1 << low) - 1)
        for i in range(0, ORDER_ROUNDS, 2):
            left ^= mix((right + keys[i]) & MASK) & ((1 << high) - 1)
            right ^= mix((left + keys[i + 1]) & MASK) & ((1 << low) - 1)
        return left << low | right

    result = []
    for position in range(n):
        v = encrypt(position)
        while v >= n:
            v = encrypt(v)
        result.append(v)
    return result


def normals(stream, n):
    """Standard normal numbers: torch's normal quantile at uniform ones."""
    u = []
    for position in range(n):
        r = draw(SEED, stream, position)
        u.append((((r[0] << 32 | r[1]) >> 12) + 0.5) * 2.0**-52)
    return torch.special.ndtri(torch.tensor(u, dtype=torch.float64))


def idx(name, offset):
    path = pathlib.Path(__file__).parents[3] / "mnist" / "data" / (name + ".gz")
    return np.frombuffer(gzip.decompress(path.read_bytes())[offset:], dtype=np.uint8)


def load():
    def images(name, n):
        return torch.tensor(idx(name, 16).reshape(-1, 784)[:n] / 255.0, dtype=torch.float64)

    def labels(name, n):
        return torch.tensor(idx(name, 8)[:n].astype(np.int64))

    return (images("train-images-idx3-ubyte", EXAMPLES), labels("train-labels-idx1-ubyte", EXAMPLES),
            images("t10k-images-idx3-ubyte", TEST), labels("t10k-labels-idx1-ubyte", TEST))


ACTIVATIONS = {"sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh, "relu": torch.nn.ReLU,
               "leaky-relu": torch.nn.LeakyReLU, "softplus": torch.nn.Softplus, "silu": torch.nn.SiLU,
               "gelu-tanh": lambda: torch.nn.GELU(approximate="tanh"), "softsign": torch.nn.Softsign}


def network(recipe):
    widths, layers = [784, 16, 16, 10], []
    for i, (fan_in, fan_out) in enumerate(zip(widths, widths[1:])):
        linear = torch.nn.Linear(fan_in, fan_out, dtype=torch.float64)
        sd = {"lesson": 1, "scaled": fan_in**-0.5, "xavier": (2 / (fan_in + fan_out))**0.5, "he": (2 / fan_in)**0.5}[recipe["init"]]
        with torch.no_grad():
            # Initial weights are float32 numbers.
            linear.weight.copy_((sd * normals(STREAM_PARAM + 2 * i, fan_in * fan_out)).float().double().reshape(fan_out, fan_in))
            linear.bias.copy_(normals(STREAM_PARAM + 2 * i + 1, fan_out).float().double() if recipe["init"] == "lesson" else torch.zeros(fan_out))
        layers += [linear] + ([ACTIVATIONS[recipe["activation"]]()] if i < 2 else [])
    return torch.nn.Sequential(*layers)


def optimizer(recipe, net):
    groups = [{"params": [p for n, p in net.named_parameters() if n.endswith("weight")], "weight_decay": recipe["weight_decay"]},
              {"params": [p for n, p in net.named_parameters() if n.endswith("bias")], "weight_decay": 0}]
    lr, name = recipe["lr"], recipe["optimizer"]
    return {"sgd": lambda: torch.optim.SGD(groups, lr=lr),
            "momentum": lambda: torch.optim.SGD(groups, lr=lr, momentum=0.9),
            "nesterov": lambda: torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True),
            "adam": lambda: torch.optim.Adam(groups, lr=lr),
            "adamw": lambda: torch.optim.AdamW(groups, lr=lr)}[name]()


def schedule(recipe, opt, per_epoch):
    from torch.optim import lr_scheduler as s
    warmup = round(recipe.get("warmup", 0) * per_epoch)
    total = EPOCHS * per_epoch - warmup
    main = {"constant": lambda: s.ConstantLR(opt, factor=1),
            "cosine": lambda: s.CosineAnnealingLR(opt, T_max=total),
            "step": lambda: s.StepLR(opt, step_size=recipe.get("step_epochs", 1) * per_epoch, gamma=recipe.get("gamma", 0.1))}[recipe["schedule"]]()
    if not warmup:
        return main
    rise = s.LinearLR(opt, start_factor=1 / warmup, total_iters=warmup - 1)
    return s.SequentialLR(opt, [rise, main], milestones=[warmup])


def loss_of(recipe, z, labels):
    if recipe["loss"] == "cross-entropy":
        return torch.nn.functional.cross_entropy(z, labels)
    y = torch.nn.functional.one_hot(labels, 10)
    return ((torch.sigmoid(z) - y)**2).sum(1).mean()


def train(recipe, x, labels, test_x, test_labels):
    net = network(recipe)
    batch = recipe["batch"]
    per_epoch = math.ceil(EXAMPLES / batch)
    opt = optimizer(recipe, net)
    rates = schedule(recipe, opt, per_epoch)
    first, epochs = [], []
    for epoch in range(EPOCHS):
        rows, losses, seen = order(ORDER_SEED, epoch, EXAMPLES), [], 0.0
        for at in range(0, EXAMPLES, batch):
            index = rows[at:at + batch]
            opt.zero_grad()
            loss = loss_of(recipe, net(x[index]), labels[index])
            loss.backward()
            opt.step()
            rates.step()
            losses.append(loss.item())
            seen += loss.item() * len(index)
        first = first or losses[:10]
        epochs.append(seen / EXAMPLES)
    with torch.no_grad():
        z = net(test_x)
        return {"recipe": recipe, "first_losses": first, "epoch_losses": epochs,
                "test_loss": loss_of(recipe, z, test_labels).item(),
                "test_correct": (z.argmax(1) == test_labels).sum().item()}


def recipes():
    base = {"activation": "sigmoid", "loss": "cross-entropy", "optimizer": "sgd", "lr": 0.5, "weight_decay": 1e-4,
            "schedule": "constant", "batch": 32, "init": "scaled"}
    yield base
    for name, lr in [("momentum", 0.05), ("nesterov", 0.05), ("adam", 0.002), ("adamw", 0.002)]:
        yield base | {"optimizer": name, "lr": lr, "weight_decay": 0.01 if name == "adamw" else 1e-4}
    yield base | {"schedule": "cosine"}
    yield base | {"schedule": "step", "step_epochs": 1, "gamma": 0.3}
    yield base | {"schedule": "cosine", "warmup": 0.5}
    yield base | {"schedule": "step", "step_epochs": 1, "gamma": 0.3, "warmup": 1.25}
    yield base | {"loss": "quadratic", "init": "lesson", "lr": 1.5, "weight_decay": 0, "batch": 10}
    for i, name in enumerate(["tanh", "relu", "leaky-relu", "softplus", "silu", "gelu-tanh", "softsign"]):
        yield base | {"activation": name, "lr": 0.1, "init": ["xavier", "he"][i % 2]}


if __name__ == "__main__":
    torch.manual_seed(0)
    data = load()
    runs = [train(r, *data) for r in recipes()]
    print(json.dumps({"torch": torch.__version__, "examples": EXAMPLES, "epochs": EPOCHS, "test": TEST,
                      "seed": SEED, "order_seed": ORDER_SEED, "runs": runs}, indent=1))
