"""Writes scikit_learn.json: what scikit-learn says of random classifiers, for the tests of package quality.

    python3 scikit_learn.py > scikit_learn.json
"""

import json

import numpy as np
import sklearn
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, recall_score, top_k_accuracy_score


def case(name, n, classes, softmax, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    labels[labels == classes - 1] = 0  # a class without examples
    outputs = rng.normal(0, 1.2, (n, classes))
    outputs[np.arange(n), labels] += rng.normal(2.0, 2.0, n)
    if not softmax:
        outputs = 1 / (1 + np.exp(-outputs))
    outputs = np.round(outputs, 4).astype(np.float32)
    wide = outputs.astype(np.float64)
    p = wide
    if softmax:
        p = np.exp(wide - wide.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
    guess, sure = p.argmax(1), p.max(1)
    right = (guess == labels).astype(int)
    bins = 15
    share, mean = calibration_curve(right, np.minimum(sure, 1), n_bins=bins, strategy="uniform")
    counts = np.bincount(np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], sure), minlength=bins)
    full = counts[counts > 0]
    every = np.arange(classes)
    return {
        "name": name,
        "classes": classes,
        "softmax": softmax,
        "outputs": [float(v) for v in outputs.flatten()],
        "labels": labels.tolist(),
        "accuracy": accuracy_score(labels, guess),
        "top2": top_k_accuracy_score(labels, wide, k=2, labels=every) if classes > 2 else 1.0,
        "confusion": confusion_matrix(labels, guess, labels=every).tolist(),
        "precision": precision_score(labels, guess, labels=every, average=None, zero_division=0).tolist(),
        "recall": recall_score(labels, guess, labels=every, average=None, zero_division=0).tolist(),
        "counts": counts.tolist(),
        "bin_accuracy": share.tolist(),
        "bin_confidence": mean.tolist(),
        "error": float(np.sum(full / n * np.abs(share - mean))),
    }


print(json.dumps({
    "scikit_learn": sklearn.__version__,
    "cases": [
        case("softmax", 150, 4, True, 1),
        case("two classes", 60, 2, True, 2),
        case("sigmoid outputs", 150, 5, False, 3),
    ],
}))
