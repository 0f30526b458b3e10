"""JAX: an epoch is one compiled function, a lax.scan over its steps.

Cases: scan (one network), vmap-own and vmap-shared (a population whose networks
draw their own batches, or all see the same). With --device cuda XLA captures the
loop's body as a CUDA graph by itself; this has been run on CPU only.
"""

import os

import peer

work = peer.start(__doc__, {"scan": False, "vmap-own": True, "vmap-shared": True})
os.environ["JAX_PLATFORMS"] = work.device

import jax
import jax.numpy as jnp
import numpy as np


def loss(parameters, x, y):
    """The mean cross-entropy of a batch of pixels x [B, 784] and labels y [B]."""
    x = x.astype(jnp.float32) / 255  # fused with the gathering
    for weight, bias in parameters[:-1]:
        x = jax.nn.sigmoid(x @ weight.T + bias)
    weight, bias = parameters[-1]
    logits = x @ weight.T + bias
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1))


def step(parameters, x, y):
    """The parameters after one step of gradient descent, and the loss before it."""
    value, gradient = jax.value_and_grad(loss)(parameters, x, y)
    shrink = 1 - work.lr * work.weight_decay
    return [
        (shrink * weight - work.lr * dW, bias - work.lr * db)
        for (weight, bias), (dW, db) in zip(parameters, gradient)
    ], value


def scanned(step, parameters, pixels, labels, order):
    """An epoch in the given order [n] or [n, P]: parameters and mean loss."""

    def gathered(parameters, rows):
        return step(parameters, pixels[rows], labels[rows])

    full = len(order) // work.batch
    parameters, losses = jax.lax.scan(
        gathered, parameters, order[: full * work.batch].reshape(full, work.batch, *order.shape[1:])
    )
    total = losses.sum()
    if full * work.batch < len(order):
        parameters, last = gathered(parameters, order[full * work.batch :])
        total += last.sum()
    return parameters, total / (work.steps() * np.prod(losses.shape[1:]))


def trainer(work):
    rng = np.random.default_rng(work.seed)
    pixels, labels = jnp.asarray(work.pixels), jnp.asarray(work.labels, jnp.int32)
    one_step, own = step, work.case == "vmap-own"
    if own:  # rows [B, P]
        one_step = jax.vmap(step, in_axes=(0, 1, 1))
    elif work.case == "vmap-shared":
        one_step = jax.vmap(step, in_axes=(0, None, None))
    train = jax.jit(
        lambda parameters, pixels, labels, order: scanned(one_step, parameters, pixels, labels, order),
        donate_argnums=0,
    )
    parameters = None

    def reset():
        nonlocal parameters
        parameters = [(jnp.array(w), jnp.array(b)) for w, b in work.initial()]
        if work.case == "scan":
            parameters = [(w[0], b[0]) for w, b in parameters]

    @jax.jit
    def drawn(key):
        """Orders of all networks, [n, P]."""
        keys = jax.random.split(key, work.population)
        return jax.vmap(lambda k: jax.random.permutation(k, len(work)), out_axes=1)(keys)

    key = jax.random.key(work.seed)

    def epoch():
        nonlocal parameters, key
        if own and work.device == "cuda":  # for thousands of networks the host would take longer than the epoch
            key, now = jax.random.split(key)
            order = drawn(now)
        elif own:
            order = np.stack([rng.permutation(len(work)) for _ in range(work.population)], axis=1)
        else:
            order = rng.permutation(len(work))
        parameters, mean = train(parameters, pixels, labels, order.astype(jnp.int32))
        jax.block_until_ready(parameters)
        return mean

    def learned():
        one = work.case == "scan"
        return [(w[None], b[None]) if one else (w, b) for w, b in parameters]

    reset()
    return reset, epoch, learned


versions = {"jax": jax.__version__, "jaxlib": jax.lib.__version__}
hardware = jax.devices()[0].device_kind if work.device == "cuda" else None
peer.serve(work, *trainer(work), versions, hardware)
