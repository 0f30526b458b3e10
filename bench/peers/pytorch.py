"""PyTorch: eager, compiled, and with gradients written by hand; populations as
batched products, as one wide product, and by torch.func.vmap.

Cases, one network: eager (torch.nn, autograd, torch.optim.SGD), compile (the step
by torch.compile), hand (the step written out, each result in place). A
population whose networks draw their own batches: bmm-own, vmap-own; whose
networks see the same batches: bmm-shared, wide-shared, vmap-shared.

With --device cuda a whole epoch is captured as one CUDA graph and replayed, the
counterpart of JAX's scan. This has been run on CPU only.
"""

import peer

SINGLE, POPULATION = False, True
work = peer.start(
    __doc__,
    {
        "eager": SINGLE,
        "compile": SINGLE,
        "hand": SINGLE,
        "bmm-own": POPULATION,
        "bmm-shared": POPULATION,
        "wide-shared": POPULATION,
        "vmap-own": POPULATION,
        "vmap-shared": POPULATION,
    },
)

import torch
from torch.nn import functional as F

torch.set_num_threads(work.threads)
torch.backends.cuda.matmul.fp32_precision = "ieee"
device = torch.device(work.device)
images = torch.from_numpy(work.images).to(device)  # [n, 784]
labels = torch.from_numpy(work.labels).to(device)  # [n]
targets = torch.from_numpy(work.targets).to(device)  # [n, 10]

SHRINK = 1 - peer.STEP_SIZE * peer.WEIGHT_DECAY
OWN = work.case.endswith("-own")


def initial():
    """Weights [P, out, in] and biases [P, out] of every layer."""
    return [(torch.from_numpy(w).to(device), torch.from_numpy(b).to(device)) for w, b in work.initial()]


def eager():
    """torch.nn, autograd and torch.optim.SGD, as the tutorials have it."""
    layers = [torch.nn.Linear(n_in, n_out) for n_in, n_out in zip(peer.WIDTHS[:-1], peer.WIDTHS[1:])]
    net = torch.nn.Sequential(layers[0], torch.nn.Sigmoid(), layers[1], torch.nn.Sigmoid(), layers[2]).to(device)
    groups = [
        {"params": [layer.weight for layer in layers], "weight_decay": peer.WEIGHT_DECAY},
        {"params": [layer.bias for layer in layers], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=peer.STEP_SIZE, fused=True)

    def reset():
        with torch.no_grad():
            for layer, (weight, bias) in zip(layers, initial()):
                layer.weight.copy_(weight[0])
                layer.bias.copy_(bias[0])

    def epoch(order):
        losses = []
        for rows in order.split(work.batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images[rows]), labels[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean()

    return reset, epoch


def mean_loss(parameters, x, y):
    """The mean cross-entropy of one network on a batch, for torch.func."""
    for weight, bias in parameters[:-1]:
        x = torch.sigmoid(F.linear(x, weight, bias))
    return F.cross_entropy(F.linear(x, *parameters[-1]), y)


def compiled():
    """One step, from gathering to update, as one compiled graph."""
    parameters = [(w[0].clone(), b[0].clone()) for w, b in initial()]

    @torch.compile(fullgraph=True, dynamic=False)
    def step(parameters, rows):
        gradient, loss = torch.func.grad_and_value(mean_loss)(parameters, images[rows], labels[rows])
        for (weight, bias), (dW, db) in zip(parameters, gradient):
            weight.mul_(SHRINK).sub_(dW, alpha=peer.STEP_SIZE)
            bias.sub_(db, alpha=peer.STEP_SIZE)
        return loss

    def reset():
        for (weight, bias), (w, b) in zip(parameters, initial()):
            weight.copy_(w[0])
            bias.copy_(b[0])

    def epoch(order):
        return torch.stack([step(parameters, rows) for rows in order.split(work.batch)]).mean()

    return reset, epoch


def hand():
    """The step written out; the update is part of the product that gives dW."""
    (W1, b1), (W2, b2), (W3, b3) = parameters = [(w[0], b[0]) for w, b in initial()]
    probabilities = torch.empty(len(work), peer.CLASSES, device=device)

    def reset():
        for (weight, bias), (w, b) in zip(parameters, initial()):
            weight.copy_(w[0])
            bias.copy_(b[0])

    def step(rows, t, p):
        """One step; leaves the softmax of the batch in p."""
        x = images.index_select(0, rows)
        h1 = torch.addmm(b1, x, W1.t()).sigmoid_()
        h2 = torch.addmm(b2, h1, W2.t()).sigmoid_()
        torch.softmax(torch.addmm(b3, h2, W3.t()), 1, out=p)
        d3 = p - t
        d2 = torch.ops.aten.sigmoid_backward(d3 @ W3, h2)
        d1 = torch.ops.aten.sigmoid_backward(d2 @ W2, h1)
        rate = -peer.STEP_SIZE / len(rows)
        for weight, bias, delta, a in ((W1, b1, d1, x), (W2, b2, d2, h1), (W3, b3, d3, h2)):
            weight.addmm_(delta.t(), a, beta=SHRINK, alpha=rate)
            bias.add_(delta.sum(0), alpha=rate)

    def epoch(order):
        t = targets[order]
        for batch in zip(order.split(work.batch), t.split(work.batch), probabilities.split(work.batch)):
            step(*batch)
        return batch_mean((probabilities * t).sum(1))

    return reset, torch.no_grad()(epoch)


def batch_mean(likelihoods):
    """The mean over batches of each one's mean loss, from the probabilities of the
    right classes, [n] or [n, P]."""
    losses = -likelihoods.log()
    return torch.stack([batch.mean() for batch in losses.split(work.batch)]).mean()


def batched(own):
    """A population as batched products, one matrix per network."""
    parameters = [(w, b.unsqueeze(1)) for w, b in initial()]  # [P, out, in], [P, 1, out]
    (W1, b1), (W2, b2), (W3, b3) = parameters
    P = work.population

    def reset():
        for (weight, bias), (w, b) in zip(parameters, initial()):
            weight.copy_(w)
            bias.copy_(b.unsqueeze(1))

    def step(rows):
        """One step; returns the mean loss of the P networks. rows is [P, B] or [B]."""
        B = rows.shape[-1]
        x = images.index_select(0, rows.flatten()).view(*rows.shape, -1)
        t = targets.index_select(0, rows.flatten()).view(*rows.shape, -1)
        if not own:
            x = x.expand(P, B, -1)
        h1 = torch.baddbmm(b1, x, W1.mT).sigmoid_()
        h2 = torch.baddbmm(b2, h1, W2.mT).sigmoid_()
        p = torch.softmax(torch.baddbmm(b3, h2, W3.mT), 2)
        loss = -(p * t).sum(2).log_().mean()
        d3 = p.sub_(t)
        d2 = torch.ops.aten.sigmoid_backward(d3 @ W3, h2)
        d1 = torch.ops.aten.sigmoid_backward(d2 @ W2, h1)
        rate = -peer.STEP_SIZE / B
        for weight, bias, delta, a in ((W1, b1, d1, x), (W2, b2, d2, h1), (W3, b3, d3, h2)):
            weight.baddbmm_(delta.mT, a, beta=SHRINK, alpha=rate)
            bias.add_(delta.sum(1, keepdim=True), alpha=rate)
        return loss

    def epoch(order):
        return torch.stack([step(rows) for rows in order.split(work.batch, dim=-1)]).mean()

    return reset, torch.no_grad()(epoch)


def wide():
    """A population on the same batches: the first layers of all networks are one
    [784, P*16] product, the later ones stay a matrix per network."""
    P, (n_in, n1) = work.population, peer.WIDTHS[:2]
    (W1, b1), (W2, b2), (W3, b3) = parameters = [(w, b.unsqueeze(1)) for w, b in initial()]
    W1, b1 = W1.view(P * n1, n_in), b1.view(P * n1)

    def reset():
        for (weight, bias), (w, b) in zip(parameters, initial()):
            weight.copy_(w)
            bias.copy_(b.unsqueeze(1))

    def step(rows):
        """One step; returns the mean loss of the P networks. rows is [B]."""
        B = len(rows)
        x = images.index_select(0, rows)
        t = targets.index_select(0, rows)
        a1 = torch.addmm(b1, x, W1.t()).sigmoid_()  # [B, P*16]
        h1 = a1.view(B, P, n1).transpose(0, 1)  # [P, B, 16]
        h2 = torch.baddbmm(b2, h1, W2.mT).sigmoid_()
        p = torch.softmax(torch.baddbmm(b3, h2, W3.mT), 2)
        loss = -(p * t).sum(2).log_().mean()
        d3 = p.sub_(t)
        d2 = torch.ops.aten.sigmoid_backward(d3 @ W3, h2)
        d1 = torch.ops.aten.sigmoid_backward((d2 @ W2).transpose(0, 1).reshape(B, P * n1), a1)
        rate = -peer.STEP_SIZE / B
        W1.addmm_(d1.t(), x, beta=SHRINK, alpha=rate)
        b1.add_(d1.sum(0), alpha=rate)
        for weight, bias, delta, a in ((W2, b2, d2, h1), (W3, b3, d3, h2)):
            weight.baddbmm_(delta.mT, a, beta=SHRINK, alpha=rate)
            bias.add_(delta.sum(1, keepdim=True), alpha=rate)
        return loss

    def epoch(order):
        return torch.stack([step(rows) for rows in order.split(work.batch)]).mean()

    return reset, torch.no_grad()(epoch)


def vmapped(own):
    """A population by torch.func: vmap over stacked parameters of the gradient of
    one network's loss."""
    parameters = [(w.clone(), b.clone()) for w, b in initial()]
    over = 0 if own else None
    gradients = torch.func.vmap(torch.func.grad_and_value(mean_loss), in_dims=(0, over, over))

    def reset():
        for (weight, bias), (w, b) in zip(parameters, initial()):
            weight.copy_(w)
            bias.copy_(b)

    def step(rows):
        gradient, losses = gradients(parameters, images[rows], labels[rows])
        for (weight, bias), (dW, db) in zip(parameters, gradient):
            weight.mul_(SHRINK).sub_(dW, alpha=peer.STEP_SIZE)
            bias.sub_(db, alpha=peer.STEP_SIZE)
        return losses.mean()

    def epoch(order):
        return torch.stack([step(rows) for rows in order.split(work.batch, dim=-1)]).mean()

    return reset, torch.no_grad()(epoch)


def replayed(epoch):
    """epoch(order), on CUDA captured once and replayed."""
    if device.type == "cpu":
        return epoch
    static = shuffled()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # once without a graph: libraries allocate and choose kernels
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


def shuffled():
    """An epoch's order, [n], or [P, n] for networks that draw their own batches."""
    if not OWN:
        return torch.randperm(len(work), device=device)
    return torch.stack([torch.randperm(len(work), device=device) for _ in range(work.population)])


CASES = {
    "eager": eager,
    "compile": compiled,
    "hand": hand,
    "bmm-own": lambda: batched(own=True),
    "bmm-shared": lambda: batched(own=False),
    "wide-shared": wide,
    "vmap-own": lambda: vmapped(own=True),
    "vmap-shared": lambda: vmapped(own=False),
}
torch.manual_seed(work.seed)
reset, epoch = CASES[work.case]()
reset()
epoch = replayed(epoch)
peer.serve(work, reset, lambda: epoch(shuffled()).item(), {"torch": torch.__version__})
