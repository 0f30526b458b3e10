"""Repeats the samples' graphs with PyTorch's own functions in float64 and writes loss, output and gradients.

usage: pytorch.py traces.json.gz pytorch.json.gz

traces.json.gz lists the calls that write each graph; inputs, parameters and random masks follow from the formulas
below, which values.go has too.
"""

import gzip
import json
import sys

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
FEATURES, CLASSES = 12, 4


def inputs(batch):
    x = torch.tensor([0 if i % 3 == 0 else (i * 37 + 11) % 256 for i in range(batch * FEATURES)]) / 255
    y = torch.zeros(batch, CLASSES)
    for i in range(batch):
        y[i, (i * i + 2 * i + 1) % CLASSES] = 1
    return x.to(torch.float64).reshape(batch, FEATURES), y


def parameter(k, shape):
    n = 1
    for d in shape:
        n *= d
    v = torch.tensor([(j * 7919 + (k + 1) * 104729 + 13) % 2003 - 1001 for j in range(n)], dtype=torch.float64) / 2048
    return v.reshape(shape).requires_grad_()


def keep(k, shape, drop):
    n = 1
    for d in shape:
        n *= d
    m = torch.tensor([((e * 7919 + k * 40503 + 7) % 1009) / 1009 < 1 - drop for e in range(n)])
    return m.to(torch.float64).reshape(shape)


def gauss(k, shape, deviation):
    n = shape[0] * shape[1]
    v = torch.tensor([(e * 7919 + k * 311) % 2003 - 1001 for e in range(n)], dtype=torch.float64) / 512
    return deviation * v.reshape(shape)


UNARY = {
    "tanh": torch.tanh, "sigmoid": torch.sigmoid, "rectify": torch.relu, "softplus": F.softplus, "exp": torch.exp,
    "log": torch.log, "sqrt": torch.sqrt, "square": torch.square, "cube": lambda a: a**3, "neg": torch.neg,
    "abs": torch.abs, "sin": torch.sin, "cos": torch.cos, "inverse": torch.reciprocal, "log1p": torch.log1p,
    "expm1": torch.expm1, "log2": torch.log2, "inversesqrt": torch.rsqrt, "mish": F.mish,
}
BINARY = {
    "matmul": torch.matmul, "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "pow": torch.pow,
    "min": torch.minimum, "max": torch.maximum, "bmm": torch.bmm,
    "gt": lambda a, b: (a > b).to(a.dtype), "gte": lambda a, b: (a >= b).to(a.dtype), "lt": lambda a, b: (a < b).to(a.dtype),
}


def reduced(f, a, axes):
    return f(a, axes) if axes else f(a)


def run(trace):
    batch, values, params, random = trace["Batch"], [], [], 0
    for step in trace["Steps"]:
        op, ints, floats = step["op"], step.get("ints") or [], step.get("floats") or []
        a = [values[i] for i in step.get("args") or []]
        if op == "x":
            v = inputs(batch)[0]
        elif op == "y":
            v = inputs(batch)[1]
        elif op == "param":
            v = parameter(len(params), ints)
            params.append(v)
        elif op == "frozen":
            v = torch.tensor(floats).reshape(ints)
        elif op == "number":
            v = torch.tensor(floats[0])
        elif op in UNARY:
            v = UNARY[op](a[0])
        elif op in BINARY:
            v = BINARY[op](*a)
        elif op.startswith("along "):
            b = a[1]
            if b.dim() < a[0].dim():
                b = b.unsqueeze(ints[0])
            v = BINARY[op.split()[1]](a[0], b)
        elif op.startswith("everywhere "):
            v = BINARY[op.split()[1]](a[0], a[1])
        elif op == "sum":
            v = reduced(torch.sum, a[0], ints)
        elif op == "mean":
            v = reduced(torch.mean, a[0], ints)
        elif op == "amax":
            v = torch.amax(a[0], ints)
        elif op == "softmax":
            v = torch.softmax(a[0], ints[0] if ints else -1)
        elif op == "logsoftmax":
            v = torch.log_softmax(a[0], -1)
        elif op == "leaky":
            v = F.leaky_relu(a[0], floats[0])
        elif op == "dropout":
            v = a[0]
            if floats[0] > 0:
                v = a[0] * keep(random, a[0].shape, floats[0]) / (1 - floats[0])
                random += 1
        elif op == "noise":
            v = gauss(random, (batch, ints[0]), floats[0])
            random += 1
        elif op == "transpose":
            v = a[0].permute(ints) if ints else a[0].T
        elif op == "reshape":
            v = a[0].reshape(ints)
        elif op == "cols":
            v = a[0][:, ints[0] : ints[1] : ints[2]]
        elif op == "col":
            v = a[0][:, ints[0]]
        elif op == "rows":
            v = a[0][ints[0] : ints[1]]
        elif op == "concat":
            v = torch.cat(a, ints[0])
        elif op == "conv":
            v = F.conv2d(a[0], a[1], padding=ints[0], stride=ints[1], dilation=ints[2])
        elif op == "maxpool":
            v = F.max_pool2d(a[0], ints[0], ints[2], ints[1])
        else:
            raise ValueError(f"{trace['Name']}: unknown step {op}")
        values.append(v)
    loss, output = values[trace["Loss"]], values[trace["Output"]]
    loss.sum().backward()
    return {
        "Name": trace["Name"],
        "Loss": loss.item(),
        "Output": output.detach().flatten().tolist(),
        "Grads": [p.grad.flatten().tolist() if p.grad is not None else [] for p in params],
    }


def main():
    with gzip.open(sys.argv[1]) as f:
        traces = json.load(f)
    results = {"PyTorch": torch.__version__, "Results": [run(t) for t in traces]}
    # No name and no time inside: equal results make equal files.
    with open(sys.argv[2], "wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as f:
        f.write(json.dumps(results).encode())


main()
