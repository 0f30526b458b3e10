"""numpy: forward and backward pass written by hand, large results in arrays that
are allocated once.

Cases: hand.
"""

import peer

work = peer.start(__doc__, {"hand": False})

import numpy as np
from threadpoolctl import threadpool_info


def hand(work):
    images = work.images()
    weights = [w[0].T.copy() for w, _ in work.initial()]  # [in, out]
    biases = [b[0].copy() for _, b in work.initial()]
    gradients = [np.empty_like(w) for w in weights]
    x = np.empty((work.batch, peer.WIDTHS[0]), np.float32)
    units = [np.empty((work.batch, n), np.float32) for n in peer.WIDTHS[1:]]
    probabilities = np.empty((len(work), peer.CLASSES), np.float32)
    rng = np.random.default_rng(work.seed)

    def reset():
        for weight, bias, (w, b) in zip(weights, biases, work.initial()):
            weight[:], bias[:] = w[0].T, b[0]

    def step(rows, targets, p):
        """One step; leaves the softmax of the batch in p."""
        n = len(rows)
        a = np.take(images, rows, axis=0, out=x[:n], mode="clip")  # other modes copy once more
        inputs = []
        for weight, bias, unit in zip(weights, biases, units):
            inputs.append(a)
            a = np.matmul(a, weight, out=unit[:n])
            a += bias
            if weight is not weights[-1]:
                np.negative(a, out=a)
                np.exp(a, out=a)
                a += 1
                np.reciprocal(a, out=a)
        np.subtract(a, a.max(1, keepdims=True), out=p)
        np.exp(p, out=p)
        p /= p.sum(1, keepdims=True)

        delta = p - targets
        delta *= work.lr / n
        for weight, bias, dW, a in zip(reversed(weights), reversed(biases), reversed(gradients), reversed(inputs)):
            np.matmul(a.T, delta, out=dW)
            db = delta.sum(0)
            if weight is not weights[0]:
                delta = delta @ weight.T
                delta *= a
                delta *= 1 - a
            weight *= 1 - work.lr * work.weight_decay
            weight -= dW
            bias -= db

    def epoch():
        order = rng.permutation(len(work))
        targets = work.targets[order]
        for i in range(0, len(work), work.batch):
            batch = slice(i, i + work.batch)
            step(order[batch], targets[batch], probabilities[batch])
        losses = -np.log(np.einsum("ij,ij->i", probabilities, targets))
        starts = np.arange(0, len(work), work.batch)
        return np.mean(np.add.reduceat(losses, starts) / np.diff(starts, append=len(work)))

    def parameters():
        return [(weight.T[None], bias[None]) for weight, bias in zip(weights, biases)]

    return reset, epoch, parameters


blas = next(pool for pool in threadpool_info() if pool["user_api"] == "blas")
versions = {"numpy": np.__version__, "blas": f"{blas['internal_api']} {blas['version']} {blas['architecture']}"}
peer.serve(work, *hand(work), versions)
