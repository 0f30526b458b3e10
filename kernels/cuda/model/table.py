#!/usr/bin/env python3
"""Models every resident kernel and writes cycles.txt, or with --check compares: a kernel that got more than 5 % slower fails.

    table.py --nvcc NVCC --sources HASH [--check]

A line is a kernel that trains 784-16-16-10 with sigmoid units and the cross-entropy on an H100: what a step of a part of up to
32 examples takes on a multiprocessor with as many blocks as fit, and what that makes of the device. All numbers are modelled.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import cycles
from constants import CLOCK_GHZ, SMS, STEPS_PER_EPOCH

SLOWER = 1.05  # fails
HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = os.path.dirname(HERE)
TABLE = os.path.join(HERE, "cycles.txt")
OPTIMIZERS = ["sgd", "momentum", "adam"]  # by the number of arrays that they keep


def kernels():
    """The classes: name, flags of the tags, blocks that fit on a multiprocessor."""
    for precision in ("bf16", "fp32"):
        for slots, optimizer in enumerate(OPTIMIZERS):
            for parts in ("", "_parts"):
                name = f"kernel_resident_{precision}_{slots}{parts}"
                yield name, optimizer, 2 if name == "kernel_resident_bf16_0" else 1


def compile_lines(nvcc, scratch):
    """The SASS of resident.cu with its line table, by kernel."""
    cubin = os.path.join(scratch, "resident.cubin")
    subprocess.run(
        [nvcc, "-cubin", "-O3", "-std=c++17", "-arch=sm_90a", "-lineinfo", "-o", cubin, "resident.cu"], cwd=KERNELS, check=True
    )
    nvdisasm = os.path.join(os.path.dirname(nvcc), "nvdisasm")
    text = subprocess.run([nvdisasm, "-hex", "-gi", cubin], check=True, capture_output=True, text=True).stdout
    sections, name = {}, None
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith(".section"):
            words = line.replace(",", " ").split()
            name = words[1][len(".text.") :] if words[1].startswith(".text.") else None
        if name:
            sections.setdefault(name, []).append(line)
    return {k: "".join(v) for k, v in sections.items()}


def modelled(text, kernel, optimizer, blocks):
    """Cycles that a step takes on a multiprocessor: the mean over scheduling policies and phases, and their range."""
    instructions = cycles.parse(text, kernel)
    cycles.attach(instructions, KERNELS)

    def role(*flags):
        return cycles.trace(instructions, set(flags))

    traces = [role("pixels", "order", optimizer), role("pixels", "loss", optimizer)]
    traces += [role("pixels", optimizer)] * 5
    traces.append(role("head", optimizer, "sigmoid"))
    phases = (0,) if blocks == 1 else (0, 411, 777)
    times = [cycles.simulate(instructions, traces, blocks, skew=k, policy=p)[0] for p in ("oldest", "fair") for k in phases]
    return sum(times) / len(times), min(times), max(times), sum(map(len, traces))


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--nvcc", required=True)
    options.add_argument("--sources", required=True, help="hash of the kernels' sources")
    options.add_argument("--check", action="store_true")
    o = options.parse_args()
    cycles.selftest()
    lines = [
        "# Modelled, not measured: model/table.py (make model). Cycles of a multiprocessor of an H100 for a step of up to 32",
        "# examples of 784-16-16-10, their range over scheduling policies and phases of the blocks, and network-epochs/s at batch 32.",
        f"sources: {o.sources}",
        "kernel                        blocks  instructions  cycles  from  to    network_epochs_per_second",
    ]
    now = {}
    with tempfile.TemporaryDirectory() as scratch:
        sections = compile_lines(os.path.abspath(o.nvcc), scratch)
    for kernel, optimizer, blocks in kernels():
        mean, least, most, count = modelled(sections[kernel], kernel, optimizer, blocks)
        now[kernel] = mean
        rate = SMS * CLOCK_GHZ * 1e9 / mean / STEPS_PER_EPOCH
        lines.append(f"{kernel:<28}  {blocks:<6}  {count:<12}  {mean:<6.0f}  {least:<4.0f}  {most:<4.0f}  {rate:.0f}")
    text = "\n".join(lines) + "\n"
    if not o.check:
        with open(TABLE, "w") as f:
            f.write(text)
        return
    slower = []
    for line in open(TABLE):
        words = line.split()
        if words and words[0] in now and now[words[0]] > SLOWER * float(words[3]):
            slower.append(f"{words[0]}: {words[3]} cycles became {now[words[0]]:.0f}")
    if slower:
        sys.exit("kernels are more than 5 % slower in the model:\n" + "\n".join(slower))
    if text != open(TABLE).read():
        sys.exit(f"{TABLE} is not what the sources come to (make model):\n{text}")


if __name__ == "__main__":
    main()
