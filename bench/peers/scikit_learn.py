"""scikit-learn: MLPClassifier, an epoch per call of partial_fit.

Cases: mlp. Its alpha is divided by the batch size, so alpha here is the weight
decay times the batch size; in a last, shorter batch the decay is larger. Its loss
includes half the decay times the weights' squares, which is taken off again, at
the mean of the epoch's two ends.
"""

import peer

work = peer.start(__doc__, {"mlp": False})

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier


def mlp(work):
    images = work.images()
    net = MLPClassifier(
        hidden_layer_sizes=peer.WIDTHS[1:-1],
        activation="logistic",
        solver="sgd",
        learning_rate_init=work.lr,
        momentum=0,
        alpha=work.weight_decay * work.batch,
        batch_size=work.batch,
        random_state=work.seed,
    )

    def reset():
        for layer, (weight, bias) in enumerate(work.initial()):
            net.coefs_[layer][:], net.intercepts_[layer][:] = weight[0].T, bias[0]

    def penalty():
        return work.weight_decay / 2 * sum(np.vdot(weight, weight) for weight in net.coefs_)

    def epoch():
        before = penalty() if hasattr(net, "coefs_") else 0
        net.partial_fit(images, work.labels, classes=np.arange(peer.CLASSES))
        return net.loss_ - (before + penalty()) / 2

    def parameters():
        return [(weight.T[None], bias[None]) for weight, bias in zip(net.coefs_, net.intercepts_)]

    return reset, epoch, parameters


peer.serve(work, *mlp(work), {"scikit-learn": sklearn.__version__, "numpy": np.__version__})
