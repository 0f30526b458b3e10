"""PyTorch: one network eager, compiled, or with gradients written by hand; a
population as batched products, as one wide product, or by torch.func.vmap.

Cases for one network: eager (torch.nn, autograd, torch.optim.SGD), compile
(torch.compile of whole steps), hand (the step written out, in place where
possible). For a population whose networks draw their own batches: bmm-own,
vmap-own. For one whose networks see the same batches: bmm-shared, wide-shared,
vmap-shared. vmap's steps are compiled.

With --device cuda a whole epoch is captured as one CUDA graph and replayed, the
counterpart of JAX's scan. This has been run on CPU only.
"""

import os

import peer

ONE, POPULATION = False, True
work = peer.start(
    __doc__,
    {
        "eager": ONE,
        "compile": ONE,
        "hand": ONE,
        "bmm-own": POPULATION,
        "bmm-shared": POPULATION,
        "wide-shared": POPULATION,
        "vmap-own": POPULATION,
        "vmap-shared": POPULATION,
    },
)
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no pool of compilers beside what is timed

import torch
from torch.nn import functional as F

torch.set_num_threads(work.threads)
torch.set_flush_denormal(True)
torch.backends.cuda.matmul.fp32_precision = "ieee"
sigmoid_backward = torch.ops.aten.sigmoid_backward

SHRINK = 1 - work.lr * work.weight_decay
# compile gets so many steps at a time, since each call costs as much as a step's
# arithmetic. More are a little faster still, and take minutes to compile.
UNROLLED = 5

device = torch.device(work.device)
labels = torch.from_numpy(work.labels).to(device)  # [n]
targets = torch.from_numpy(work.targets).to(device)  # [n, 10]
if work.case in ("compile", "vmap-own", "vmap-shared"):
    pixels = torch.from_numpy(work.pixels).to(device)  # [n, 784] bytes: converting is fused with gathering
else:
    images = torch.from_numpy(work.images()).to(device)  # [n, 784] float32


def initial():
    """Weights [P, out, in] and biases [P, out] of every layer."""
    return [(torch.from_numpy(w).to(device), torch.from_numpy(b).to(device)) for w, b in work.initial()]


def first(layers):
    """The weights and biases of the first network."""
    return [(w[0], b[0]) for w, b in layers]


def alone(layers):
    """The layers of one network as those of a population."""
    return [(w[None], b[None]) for w, b in layers]


def restorer(parameters, initial):
    """A function that gives the parameters their initial values again."""

    @torch.no_grad()
    def reset():
        for layer, values in zip(parameters, initial()):
            for parameter, value in zip(layer, values):
                parameter.copy_(value)

    return reset


def eager():
    """torch.nn, autograd and torch.optim.SGD, as the tutorials have it."""
    layers = [torch.nn.Linear(n_in, n_out) for n_in, n_out in zip(peer.WIDTHS[:-1], peer.WIDTHS[1:])]
    net = torch.nn.Sequential(layers[0], torch.nn.Sigmoid(), layers[1], torch.nn.Sigmoid(), layers[2]).to(device)
    optimizer = torch.optim.SGD(
        [
            {"params": [layer.weight for layer in layers], "weight_decay": work.weight_decay},
            {"params": [layer.bias for layer in layers], "weight_decay": 0.0},
        ],
        lr=work.lr,
        fused=True,
    )

    def epoch(order):
        losses = []
        for rows in order.split(work.batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images.index_select(0, rows)), labels.index_select(0, rows))
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean()

    parameters = [(layer.weight, layer.bias) for layer in layers]
    return restorer(parameters, lambda: first(initial())), epoch, lambda: alone(parameters)


def mean_loss(parameters, x, y):
    """The mean cross-entropy of one network on a batch, for torch.func."""
    for weight, bias in parameters[:-1]:
        x = torch.sigmoid(F.linear(x, weight, bias))
    return F.cross_entropy(F.linear(x, *parameters[-1]), y)


def descend(parameters, gradient):
    for (weight, bias), (dW, db) in zip(parameters, gradient):
        weight.mul_(SHRINK).sub_(dW, alpha=work.lr)
        bias.sub_(db, alpha=work.lr)


def compiled():
    """Steps from gathering to update as one compiled graph."""
    parameters = [(w.clone(), b.clone()) for w, b in first(initial())]

    @torch.compile(fullgraph=True, dynamic=False)
    def steps(parameters, order):
        losses = []
        for rows in order.split(work.batch):
            gradient, loss = torch.func.grad_and_value(mean_loss)(parameters, pixels[rows] * (1 / 255), labels[rows])
            descend(parameters, gradient)
            losses.append(loss)
        return torch.stack(losses)

    def epoch(order):
        return torch.cat([steps(parameters, part) for part in order.split(UNROLLED * work.batch)]).mean()

    return restorer(parameters, lambda: first(initial())), torch.no_grad()(epoch), lambda: alone(parameters)


def hand():
    """The step written out; the update is part of the product that gives dW."""
    (W1, b1), (W2, b2), (W3, b3) = parameters = first(initial())
    probabilities = torch.empty(len(work), peer.CLASSES, device=device)

    def step(rows, t, p):
        """One step; leaves the softmax of the batch in p."""
        x = images.index_select(0, rows)
        h1 = torch.addmm(b1, x, W1.t()).sigmoid_()
        h2 = torch.addmm(b2, h1, W2.t()).sigmoid_()
        torch.softmax(torch.addmm(b3, h2, W3.t()), 1, out=p)
        d3 = p - t
        d2 = sigmoid_backward(d3 @ W3, h2)
        d1 = sigmoid_backward(d2 @ W2, h1)
        rate = -work.lr / len(rows)
        for weight, bias, delta, a in ((W1, b1, d1, x), (W2, b2, d2, h1), (W3, b3, d3, h2)):
            weight.addmm_(delta.t(), a, beta=SHRINK, alpha=rate)
            bias.add_(delta.sum(0), alpha=rate)

    def epoch(order):
        t = targets[order]
        for batch in zip(order.split(work.batch), t.split(work.batch), probabilities.split(work.batch)):
            step(*batch)
        losses = -(probabilities * t).sum(1).log_()
        return torch.stack([batch.mean() for batch in losses.split(work.batch)]).mean()

    return restorer(parameters, lambda: first(initial())), torch.inference_mode()(epoch), lambda: alone(parameters)


def transposed():
    """Weights [P, in, out] and biases [P, 1, out], as batched products like them."""
    return [(w.mT.contiguous(), b.unsqueeze(1)) for w, b in initial()]


def batched():
    """A population as batched products, a matrix per network; gradients by hand."""
    (W1, b1), (W2, b2), (W3, b3) = parameters = transposed()

    def step(rows):
        """One step on rows [P, B], or [B] for all; returns the networks' mean loss."""
        B = rows.shape[-1]
        x = images.index_select(0, rows.flatten()).view(*rows.shape, -1).expand(work.population, B, -1)
        t = targets.index_select(0, rows.flatten()).view(*rows.shape, -1)
        h1 = torch.baddbmm(b1, x, W1).sigmoid_()
        h2 = torch.baddbmm(b2, h1, W2).sigmoid_()
        p = torch.softmax(torch.baddbmm(b3, h2, W3), 2)
        loss = -(p * t).sum(2).log_().mean()
        d3 = p.sub_(t)
        d2 = sigmoid_backward(d3 @ W3.mT, h2)
        d1 = sigmoid_backward(d2 @ W2.mT, h1)
        rate = -work.lr / B
        for weight, bias, delta, a in ((W1, b1, d1, x), (W2, b2, d2, h1), (W3, b3, d3, h2)):
            weight.baddbmm_(a.mT, delta, beta=SHRINK, alpha=rate)
            bias.add_(delta.sum(1, keepdim=True), alpha=rate)
        return loss

    def learned():
        return [(w.mT, b.squeeze(1)) for w, b in parameters]

    return restorer(parameters, transposed), torch.inference_mode()(in_steps(step)), learned


def wide():
    """A population on the same batches: the first layers of all networks are one
    [784, P*16] product, the later ones a matrix per network; gradients by hand."""
    P, (n_in, n1) = work.population, peer.WIDTHS[:2]
    parameters = [(w, b.unsqueeze(1)) for w, b in initial()]
    (W1, b1), (W2, b2), (W3, b3) = parameters
    W1, b1 = W1.view(P * n1, n_in), b1.view(P * n1)

    def step(rows):
        """One step on rows [B]; returns the networks' mean loss."""
        B = len(rows)
        x = images.index_select(0, rows)
        t = targets.index_select(0, rows)
        a1 = torch.addmm(b1, x, W1.t()).sigmoid_()  # [B, P*16]
        h1 = a1.view(B, P, n1).transpose(0, 1)  # [P, B, 16]
        h2 = torch.baddbmm(b2, h1, W2.mT).sigmoid_()
        p = torch.softmax(torch.baddbmm(b3, h2, W3.mT), 2)
        loss = -(p * t).sum(2).log_().mean()
        d3 = p.sub_(t)
        d2 = sigmoid_backward(d3 @ W3, h2)
        d1 = sigmoid_backward((d2 @ W2).transpose(0, 1).reshape(B, P * n1), a1)
        rate = -work.lr / B
        W1.addmm_(d1.t(), x, beta=SHRINK, alpha=rate)
        b1.add_(d1.sum(0), alpha=rate)
        for weight, bias, delta, a in ((W2, b2, d2, h1), (W3, b3, d3, h2)):
            weight.baddbmm_(delta.mT, a, beta=SHRINK, alpha=rate)
            bias.add_(delta.sum(1, keepdim=True), alpha=rate)
        return loss

    reset = restorer(parameters, lambda: [(w, b.unsqueeze(1)) for w, b in initial()])
    return reset, torch.inference_mode()(in_steps(step)), lambda: [(w, b.squeeze(1)) for w, b in parameters]


def vmapped():
    """A population by torch.func: vmap over stacked parameters, and over rows where
    each network has its own, of the gradient of one network's loss; compiled."""
    parameters = [(w.clone(), b.clone()) for w, b in initial()]
    over_rows = 0 if work.case == "vmap-own" else None
    gradients = torch.func.vmap(torch.func.grad_and_value(mean_loss), in_dims=(0, over_rows, over_rows))

    @torch.compile(fullgraph=True, dynamic=False)
    def step(rows):
        gradient, losses = gradients(parameters, pixels[rows] * (1 / 255), labels[rows])
        descend(parameters, gradient)
        return losses.mean()

    return restorer(parameters, initial), torch.no_grad()(in_steps(step)), lambda: parameters


def in_steps(step):
    """An epoch of a step that returns its loss; order is [n] or [P, n]."""
    return lambda order: torch.stack([step(rows) for rows in order.split(work.batch, dim=-1)]).mean()


def shuffled():
    """An epoch's order, [n], or [P, n] for networks that draw their own batches."""
    if not work.case.endswith("-own"):
        return torch.randperm(len(work), device=device)
    if device.type == "cuda":  # thousands of calls would take longer than the epoch
        parts = torch.arange(work.population).split(256)
        return torch.cat([torch.rand(len(part), len(work), device=device).argsort(1) for part in parts])
    return torch.stack([torch.randperm(len(work), device=device) for _ in range(work.population)])


def replayed(epoch):
    """The same epoch(order); on CUDA, captured once and replayed."""
    if device.type == "cpu":
        return epoch
    static = shuffled()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # once without a graph: compilers compile, libraries choose kernels
        epoch(static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = epoch(static)

    def replay(order):
        static.copy_(order)
        graph.replay()
        return loss

    return replay


cases = {
    "eager": eager,
    "compile": compiled,
    "hand": hand,
    "bmm-own": batched,
    "bmm-shared": batched,
    "wide-shared": wide,
    "vmap-own": vmapped,
    "vmap-shared": vmapped,
}
torch.manual_seed(work.seed)
reset, epoch, learned = cases[work.case]()
reset()
epoch = replayed(epoch)


def parameters():
    return [(w.detach().cpu().numpy(), b.detach().cpu().numpy()) for w, b in learned()]


versions = {"torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability()}
hardware = None
if device.type == "cuda":
    versions["cuda"], hardware = torch.version.cuda, torch.cuda.get_device_name(device)
peer.serve(work, reset, lambda: epoch(shuffled()).item(), parameters, versions, hardware)
