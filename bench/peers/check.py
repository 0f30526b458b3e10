"""Runs every peer of peers.json for a short epoch, and demands equal losses.

    python check.py [--examples 3200] [--batch 32] [--threads 1] [--device cpu] [--only NAME ...]

Peers of one population size start from equal weights and differ in the order of
their examples, and so must agree within TOLERANCE after every epoch: a wrong
gradient, decay or learning rate shows. The seconds are those of the last epoch, for
all networks together, and cold: they are for vanilla bench to measure.
Before the first epoch a peer must also hand out the weights that it was given, and
others after the last. Exits with 1 if a peer fails or stands apart.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

import peer

HERE = pathlib.Path(__file__).parent
EPOCHS = 3
# With these, three epochs of 100 steps get far, and the decay has weight.
LR = "0.3"
WEIGHT_DECAY = "0.003"
# Orders move the third epoch's loss by up to 0.4 % from the median. A learning rate
# wrong by 2 % moves it by 1.2 %, a decay wrong by a tenth by 1.1 %, no decay by
# 12 %. Decay on the biases too is not seen: by 0.01 %.
TOLERANCE = 0.01


def run(entry, options):
    """A peer's first line and its answers to epochs."""
    command = [sys.executable, str(HERE / entry["file"]), "--case", entry["case"]]
    command += ["--population", str(entry["population"]), *options]
    with tempfile.TemporaryDirectory() as folder:
        before, after = (str(pathlib.Path(folder) / name) for name in ("before", "after"))
        asked = f"weights {before}\n" + "epoch\n" * EPOCHS + f"weights {after}\n"
        done = subprocess.run(command, input=asked, text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{entry['name']}: exit status {done.returncode}: {done.stderr.strip()}")
        ready, *answers = map(json.loads, done.stdout.splitlines())
        if not ready.get("ready") or len(answers) != EPOCHS + 2:
            raise RuntimeError(f"{entry['name']}: printed {done.stdout!r}, want one ready line and {EPOCHS + 2} answers")
        given, first, last = peer.drawn(entry["population"], seed=1), *(
            peer.read_parameters(path, entry["population"]) for path in (before, after)
        )
        for layer, layers in enumerate(zip(given, first, last)):
            for what, a, b, c in zip(("weights", "biases"), *layers):
                if not np.array_equal(a, b):
                    raise RuntimeError(f"{entry['name']}: layer {layer + 1} starts from other {what} than it was given")
                if (b.reshape(len(b), -1) == c.reshape(len(c), -1)).all(axis=1).any():
                    raise RuntimeError(f"{entry['name']}: layer {layer + 1} of a network has not learned any {what}")
    return ready, answers[1:-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=3200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    arguments = parser.parse_args()
    options = ["--lr", LR, "--weight-decay", WEIGHT_DECAY]
    for name in ("examples", "batch", "threads", "device"):
        options += [f"--{name}", str(getattr(arguments, name))]

    entries = json.loads((HERE / "peers.json").read_text())
    if arguments.only:
        unknown = set(arguments.only) - {entry["name"] for entry in entries}
        if unknown:
            parser.error(f"--only {' '.join(sorted(unknown))}: not in peers.json")
        entries = [entry for entry in entries if entry["name"] in arguments.only]
    entries = [entry for entry in entries if arguments.device in entry["devices"]]
    failed = False
    losses = {}
    for entry in entries:
        try:
            ready, answers = run(entry, options)
        except RuntimeError as error:
            print(error)
            failed = True
            continue
        losses[entry["name"]] = entry["population"], [answer["loss"] for answer in answers]
        print(
            f"{entry['name']:20}  population {entry['population']:2}  {answers[-1]['seconds']:8.4f} s ",
            " ".join(f"{answer['loss']:.4f}" for answer in answers),
            ready["versions"],
            flush=True,
        )
    for name, (population, own) in losses.items():
        for epoch in range(EPOCHS):
            middle = statistics.median(other[epoch] for size, other in losses.values() if size == population)
            if not abs(own[epoch] - middle) <= TOLERANCE * middle:
                print(f"{name}: loss {own[epoch]:.4f} in epoch {epoch + 1}, the median is {middle:.4f}")
                failed = True
    return 1 if failed or not losses else 0


sys.exit(main())
