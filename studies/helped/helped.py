#!/usr/bin/env python3
"""The study "Can it be helped?": trains networks with and without what might help, measures them, and prints the tables.

    python3 helped.py run VANILLA DIR      trains what DIR does not hold yet, and measures it into records.jsonl
    python3 helped.py table                prints the tables of README.md from records.jsonl
    python3 helped.py figures VANILLA DIR  draws the figures before and after into DIR/figures, of networks with the seed 1

A run may be stopped at any time and started again: it goes on where it was.
"""
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
RECORDS = HERE / "records.jsonl"
SEEDS = 5
AUGMENT = "--shift 2 --rotate 15 --scale 0.15 --shear 0.15 --stroke 0.4".split()
NETWORKS = ["784-16-16-10", "784-128-10"]
RECIPES = {
    "default": [],
    "augmented": AUGMENT,
    "noise": ["--noise-share", "0.1"],
    "both": AUGMENT + ["--noise-share", "0.1"],
}
# Which figure shows each complaint, and what was done about it.
FIGURES = {"robustness": "augmented", "noise": "noise", "dream": "noise", "weights": "augmented"}
# What is measured, with the lesson's complaint that it is about: in README.md, in this order.
MEASURES = [
    ("test accuracy", "{:.2f} %", lambda m: 100 * m["test_accuracy"]),
    ("moved by a pixel (mean of 8 ways)", "{:.1f} %", lambda m: 100 * m["moved"][0]),
    ("moved by two pixels (16 ways)", "{:.1f} %", lambda m: 100 * m["moved"][1]),
    ("moved by three pixels (24 ways)", "{:.1f} %", lambda m: 100 * m["moved"][2]),
    ("turned by 20°", "{:.1f} %", lambda m: 100 * m["rotation"]["20"]),
    ("turned by 40°", "{:.1f} %", lambda m: 100 * m["rotation"]["40"]),
    ("at 0.7 of the size", "{:.1f} %", lambda m: 100 * m["scale"]["0.7"]),
    ("at 1.3 of the size", "{:.1f} %", lambda m: 100 * m["scale"]["1.3"]),
    ("strokes a pixel narrower on each side", "{:.1f} %", lambda m: 100 * m["stroke"]["-1"]),
    ("strokes a pixel wider", "{:.1f} %", lambda m: 100 * m["stroke"]["1"]),
    ("uniform noise: sure (0.9 or more)", "{:.1f} %", lambda m: 100 * m["noise"]["uniform noise"]["sure"]),
    ("uniform noise: mean confidence", "{:.2f}", lambda m: m["noise"]["uniform noise"]["mean"]),
    ("shuffled pixels: sure", "{:.1f} %", lambda m: 100 * m["noise"]["shuffled pixels"]["sure"]),
    ("shuffled pixels: mean confidence", "{:.2f}", lambda m: m["noise"]["shuffled pixels"]["mean"]),
    ("most confident nonsense", "{:.3f}", lambda m: max(k["confidence"] for name, k in m["noise"].items() if name != "test images")),
    ("test images: confidence less accuracy", "{:+.2f} points", lambda m: 100 * (m["calibration"]["confidence"] - m["test_accuracy"])),
    ("test images: expected calibration error", "{:.2f} %", lambda m: 100 * m["calibration"]["expected_calibration_error"]),
    ("dreams: probability, mean", "{:.3f}", lambda m: m["dream"]["end"]),
    ("dreams: correlation with the class's mean image", "{:.2f}", lambda m: m["dream"]["likeness"]),
    ("weights: correlation of neighbours", "{:.2f}", lambda m: m["blobs"]["neighbours"]),
    ("weights: share of low frequencies", "{:.2f}", lambda m: m["blobs"]["low_frequency"]),
    ("weights: explained by the best edge", "{:.2f}", lambda m: m["blobs"]["edge"]),
    ("weights: explained by the best blob", "{:.2f}", lambda m: m["blobs"]["blob"]),
]


def output(*args):
    return json.loads(subprocess.run([str(a) for a in args], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def measure(vanilla, model):
    """What the figures say of a network: their --json, without what is drawn."""
    figure = lambda name: output(vanilla, "viz", name, model, "--json")
    robust = figure("robustness")
    middle = robust["shift"]
    moved = []
    for far in (1, 2, 3):
        ring = [robust["shifts"][middle + y][middle + x] for y in range(-far, far + 1) for x in range(-far, far + 1) if max(abs(x), abs(y)) == far]
        moved.append(statistics.fmean(ring))
    scored = output(vanilla, "eval", model, "--json")
    m = {"test_accuracy": scored["test_accuracy"], "calibration": {key: scored["calibration"][key] for key in ("confidence", "expected_calibration_error")}, "moved": moved}
    for sweep in robust["sweeps"]:
        m[sweep["name"]] = {f"{a:g}": v for a, v in zip(sweep["amounts"], sweep["accuracy"])}
    m["noise"] = {}
    for k in figure("noise")["kinds"]:
        m["noise"][k["name"]] = {name: k[name] for name in ("n", "mean", "sure", "guess", "confidence", "histogram", "guesses")}
    dreams = figure("dream")["outputs"]
    m["dream"] = {key: statistics.fmean(o[key] for o in dreams) for key in ("end", "likeness")}
    blobs = figure("blobs")["models"][0]["trained"]
    m["blobs"] = {key: blobs[key] for key in ("neighbours", "low_frequency", "centre", "edge", "blob")}
    return m


def records():
    return [json.loads(line) for line in RECORDS.open()] if RECORDS.exists() else []


def train(vanilla, folder, network, recipe, seed):
    """Trains a network in a folder, and returns its file, what was printed and the command."""
    name = f"{network}-{recipe}-{seed}"
    model = folder / (name + ".safetensors")
    command = ["train", "--arch", network, "--seed", seed] + RECIPES[recipe]
    return model, output(vanilla, *command, "--history", folder / name, "--resume", "--snapshots", "none", "-o", model, "--json"), command


def figures(vanilla, folder):
    folder = pathlib.Path(folder)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for network in NETWORKS:
        for figure, helps in FIGURES.items():
            for recipe in "default", helps:
                model, _, _ = train(vanilla, folder, network, recipe, 1)
                picture = folder / "figures" / f"{figure}-{network}-{recipe}.png"
                # Figures are called as the file is.
                subprocess.run([pathlib.Path(vanilla).absolute(), "viz", figure, model.name, "-o", picture.absolute()], check=True, cwd=folder)


def run(vanilla, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    done = {(r["network"], r["recipe"], r["seed"]) for r in records()}
    for network in NETWORKS:
        for seed in range(1, SEEDS + 1):
            for recipe in RECIPES:
                if (network, recipe, seed) in done:
                    continue
                model, trained, command = train(vanilla, folder, network, recipe, seed)
                line = {"network": network, "recipe": recipe, "seed": seed, "command": " ".join(map(str, ["vanilla"] + command)),
                        "arithmetic": trained["arithmetic"], "train_loss": trained["train_loss"], "measured": measure(vanilla, model)}
                with RECORDS.open("a") as f:
                    f.write(json.dumps(line) + "\n")
                print(model.stem, trained["test_accuracy"], flush=True)


def table():
    all = records()
    for network in NETWORKS:
        of = {recipe: [r["measured"] for r in all if r["network"] == network and r["recipe"] == recipe] for recipe in RECIPES}
        print(f"\n| {network} | " + " | ".join(f"{recipe} (n = {len(of[recipe])})" for recipe in RECIPES) + " |")
        print("|---" * (1 + len(RECIPES)) + "|")
        for name, form, value in MEASURES:
            cells = []
            for recipe in RECIPES:
                values = [value(m) for m in of[recipe]]
                if not values:
                    cells.append("")
                    continue
                number, _, unit = form.format(statistics.fmean(values)).partition(" ")
                digits = form.split("}")[0].replace("{:+", "{:") + "}"
                if len(values) > 1:
                    number += " ± " + digits.format(statistics.stdev(values))
                cells.append(f"{number} {unit}".strip())
            print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "run":
        run(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 4 and sys.argv[1] == "figures":
        figures(sys.argv[2], sys.argv[3])
    elif sys.argv[1:] == ["table"]:
        table()
    else:
        sys.exit(__doc__)
