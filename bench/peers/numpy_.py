"""numpy: forward and backward pass written by hand, every result in an array
that is allocated once.

Cases: hand.
"""

import peer

work = peer.start(__doc__, {"hand": False})

import numpy as np
from threadpoolctl import threadpool_info


def hand(work):
    weights = [w[0] for w, _ in work.initial()]  # [out, in]
    biases = [b[0] for _, b in work.initial()]
    dW = [np.empty_like(w) for w in weights]
    x = np.empty((work.batch, peer.WIDTHS[0]), np.float32)
    units = [np.empty((work.batch, n), np.float32) for n in peer.WIDTHS[1:]]
    deltas = [np.empty((work.batch, n), np.float32) for n in peer.WIDTHS[1:]]
    slopes = [np.empty((work.batch, n), np.float32) for n in peer.WIDTHS[1:]]
    ones = np.ones(work.batch, np.float32)
    probabilities = np.empty((len(work), peer.CLASSES), np.float32)
    rng = np.random.default_rng(work.seed)

    def reset():
        for weight, bias, (w, b) in zip(weights, biases, work.initial()):
            weight[:], bias[:] = w[0], b[0]

    def step(rows, targets, p):
        """One step; leaves the softmax of the batch in p."""
        n = len(rows)
        a = np.take(work.images, rows, axis=0, out=x[:n], mode="clip")  # any other mode copies out
        inputs = []
        for weight, bias, unit in zip(weights, biases, units):
            inputs.append(a)
            z = np.matmul(a, weight.T, out=unit[:n])
            z += bias
            a = z
            if weight is not weights[-1]:  # the sigmoid, as tanh: one pass fewer than with exp
                z *= 0.5
                np.tanh(z, out=z)
                z *= 0.5
                z += 0.5
        np.subtract(a, a.max(1, keepdims=True), out=p)
        np.exp(p, out=p)
        p /= p.sum(1, keepdims=True)

        delta = np.subtract(p, targets, out=deltas[-1][:n])
        delta *= peer.STEP_SIZE / n
        for l in reversed(range(len(weights))):
            a = inputs[l]
            np.matmul(delta.T, a, out=dW[l])
            db = ones[:n] @ delta
            if l > 0:
                delta = np.matmul(delta, weights[l], out=deltas[l - 1][:n])
                slope = np.subtract(1, a, out=slopes[l - 1][:n])
                slope *= a
                delta *= slope
            weights[l] *= 1 - peer.STEP_SIZE * peer.WEIGHT_DECAY
            weights[l] -= dW[l]
            biases[l] -= db

    def epoch():
        order = rng.permutation(len(work))
        targets = work.targets[order]
        for i in range(0, len(work), work.batch):
            batch = slice(i, i + work.batch)
            step(order[batch], targets[batch], probabilities[batch])
        losses = -np.log(np.einsum("ij,ij->i", probabilities, targets))
        starts = np.arange(0, len(work), work.batch)
        return np.mean(np.add.reduceat(losses, starts) / np.diff(starts, append=len(work)))

    return reset, epoch


blas = next(pool for pool in threadpool_info() if pool["user_api"] == "blas")
versions = {"numpy": np.__version__, "blas": f"{blas['internal_api']} {blas['version']} {blas['architecture']}"}
peer.serve(work, *hand(work), versions)
