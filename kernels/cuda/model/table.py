#!/usr/bin/env python3
"""Models every kernel that trains and writes cycles.txt, or with --check compares: a row that got more than 5 % slower fails.
To compare leaves out the rows of the longest steps, which take as much time as all others together.

    table.py --nvdisasm NVDISASM --sources HASH [--check] [--only FAMILY]

All numbers are modelled. A row is a kernel, a network, an optimizer and a batch: see work.Row.

To add kernels: write a module beside this one with SOURCE, the name of their .cu file, and rows(sections, sources), which
yields a Row for each kernel, network, optimizer and batch that the kernels train, and list it in FAMILIES. sections holds the
SASS of each kernel of SOURCE by its name, with lines; sources is the folder of the .cu files, for cycles.attach. A module that
follows the path of each warp by tags is resident.py; generic.py puts a step together from the functions that it calls; stream.py
and stream_spread.py execute what decides on the path.
"""

import argparse
import concurrent.futures
import functools
import os
import subprocess
import sys
import tempfile

import cycles
import execute
import generic
import resident
import resident32
import stream
import stream_spread
from work import Row, name

FAMILIES = {family.__name__: family for family in (stream, stream_spread, resident, resident32, generic)}
SLOWER = 1.05  # fails
LONGEST = 350_000  # instructions of a step that --check models
HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = os.path.dirname(HERE)
ROOT = os.path.dirname(os.path.dirname(KERNELS))
TABLE = os.path.join(HERE, "cycles.txt")
JUMPS = ".nv.constant2."  # the section of a kernel's tables of jumps, which is kept behind its code
COLUMNS = "kernel arch optimizer batch blocks instructions cycles from to network_epochs_per_second".split()


def compile_lines(nvdisasm, source, scratch):
    """The SASS of a .cu file with its line table, by kernel: made as for the image."""
    cubin = os.path.join(scratch, source + ".cubin")
    subprocess.run(["go", "run", "./internal/cuda/image/compile", "-lines", source, "-to", cubin], cwd=ROOT, check=True)
    text = subprocess.run([nvdisasm, "-hex", "-gi", cubin], check=True, capture_output=True, text=True).stdout
    sections, kernel = {}, None
    for line in text.splitlines(keepends=True):
        if line.split()[:1] == [".section"]:  # and no .sectionflags
            words = line.replace(",", " ").split()
            kernel = next((words[1][len(prefix) :] for prefix in (".text.", JUMPS) if words[1].startswith(prefix)), None)
        if kernel:
            sections.setdefault(kernel, []).append(line)
    return {k: "".join(v) for k, v in sections.items()}


def rows_of(nvdisasm, left_out, named):
    """A family's rows, but for those with a key that is left out."""
    family = FAMILIES[named]
    family.LEFT_OUT = left_out
    with tempfile.TemporaryDirectory() as scratch:
        return list(family.rows(compile_lines(nvdisasm, family.SOURCE, scratch), KERNELS))


def written(rows, sources):
    """The table's text."""
    cells = [COLUMNS]
    for r in rows:
        cells.append([r.kernel, name(r.arch), r.optimizer, str(r.batch), str(r.blocks), str(r.instructions)]
                     + [f"{x:.0f}" for x in (r.cycles, r.least, r.most, r.rate())])
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [
        "# Modelled, not measured: model/table.py (make model). Sigmoid units and the cross-entropy, on an H100: what a step of a",
        "# network takes on a multiprocessor that runs so many blocks (its range over scheduling policies and phases of the blocks),",
        "# or, of a spread kernel, on all of them; instructions of all warps of a block, and network-epochs/s of the device.",
        f"sources: {sources}",
    ]
    lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in cells]
    return "\n".join(lines) + "\n"


def before():
    """The committed table: the words of its lines, by a row's key or, beside the rows, by the line's number."""
    with open(TABLE) as f:
        lines = [line.split() for line in f]
    return {(w[0], w[1], w[2], int(w[3])) if len(w) == len(COLUMNS) and w[3].isdigit() else n: w for n, w in enumerate(lines)}


def slower(rows, was):
    """What is to be said of rows that take more than 5 % longer than they did."""
    return [
        f"{' '.join(map(str, r.key()))}: {was[r.key()]:.0f} cycles became {r.cycles:.0f}"
        for r in rows
        if r.key() in was and r.cycles > SLOWER * was[r.key()]
    ]


def selftest():
    """A row that takes 6 % longer is found, one that takes 4 % longer or is new is not."""
    row = lambda kernel, batch, cycles_: Row(kernel, (784, 10), "sgd", batch, 1, 1, cycles_, cycles_, cycles_)
    found = slower([row("a", 10, 1060), row("a", 32, 1040), row("b", 10, 5000)], {("a", "784-10", "sgd", 10): 1000, ("a", "784-10", "sgd", 32): 1000})
    assert found == ["a 784-10 sgd 10: 1000 cycles became 1060"], found


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--nvdisasm", required=True)
    options.add_argument("--sources", required=True, help="hash of the kernels' sources")
    options.add_argument("--check", action="store_true")
    options.add_argument("--only", help="print the rows of one family, and write nothing")
    o = options.parse_args()
    cycles.selftest()
    execute.selftest()
    selftest()
    names = [n for n in FAMILIES if o.only in (None, n)]
    table = before()
    committed = {k: w for k, w in table.items() if isinstance(k, tuple)}
    left_out = {k for k, w in committed.items() if o.check and int(w[5]) > LONGEST}
    was = {k: float(w[6]) for k, w in committed.items()}
    with concurrent.futures.ProcessPoolExecutor() as pool:  # a process each: they share nothing
        rows = sum(pool.map(functools.partial(rows_of, os.path.abspath(o.nvdisasm), left_out), names), [])
    text = written(rows, o.sources)
    if o.only:
        sys.stdout.write(text)
        return
    if not o.check:
        with open(TABLE, "w") as f:
            f.write(text)
        return
    slow = slower(rows, was)
    if slow:
        sys.exit("kernels are more than 5 % slower in the model:\n" + "\n".join(slow))
    left_out -= {r.key() for r in rows}  # they are made all the same where they take no time
    if [line.split() for line in text.splitlines()] != [w for k, w in table.items() if k not in left_out]:
        sys.exit(f"{TABLE} is not what the sources come to (make model):\n{text}")


if __name__ == "__main__":
    main()
