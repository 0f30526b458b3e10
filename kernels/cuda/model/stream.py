"""Rows of stream.cu: chains of dense layers whose weights pass through shared memory.

The paths of a block's warps are those that execute.py finds in a launch as the host lays it out, TestLaunches: widths, tiles,
splits, parts and places are of the plan, and nothing of them is written here. A step is from the beginning of a part to that
of the first part of the next step. What it executes on tensor cores must be what the network's products come to.
"""

import concurrent.futures
import json
import os
import subprocess
import tempfile

import cycles
import execute
from constants import CLOCK_GHZ, HBM_BYTES, L2_BYTES, L2_SIZE, LAT, SMS
from work import Row, name

SOURCE = "stream.cu"
BLOCKS = 1  # on a multiprocessor: its launch bounds
WARPS = 8
LONG = 60_000  # instructions of a step
SKIPPED = ("block_state",)  # between launches
LEFT_OUT = frozenset()  # keys of rows that are not asked for


def launches(root):
    """What the host would launch, by TestLaunches."""
    with tempfile.TemporaryDirectory() as scratch:
        file = os.path.join(scratch, "launches")
        subprocess.run(
            ["go", "test", "-tags", "gpu", "./kernels/cuda", "-run", "^TestLaunches$", "-count", "1", "-launches", file],
            cwd=root, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "VANILLA_LIBCUDA": "none"},  # no stand-in is needed
        )
        with open(file) as f:
            return [json.loads(line) for line in f]


def reach(size):
    """Bytes a cycle that a multiprocessor gets of so many bytes that all of them go through, and the latency."""
    return (HBM_BYTES, LAT["HBM"]) if size > L2_SIZE else (L2_BYTES, LAT["LDG"])


def step_of(code, launch):
    """A block that has run a step, and the paths of its warps through it."""
    block = execute.Block(code, execute.Memory(launch["Segments"]), [launch["Control"]], WARPS, *reach(launch["WorkBytes"] * SMS))
    begin = min(k for k, x in enumerate(code.instructions) if x.step)
    parts = launch["PartsPerStep"]
    while True:
        block.run(1)
        at = [[n for n, i in enumerate(w.path) if block.all[i].at == begin] for w in block.warps]
        if all(len(a) > parts for a in at):
            return block, [w.path[a[0] : a[parts]] for w, a in zip(block.warps, at)]
        if not any(w.live for w in block.warps):
            raise SystemExit(f"{launch['Kernel']}, {launch['Arch']}, batch {launch['Batch']}: no whole step in the launch")


def row_of(code, launch):
    """A launch's row. A long step is simulated once, with one scheduling policy: others differ by 1 or 2 %."""
    block, paths = step_of(code, launch)
    done = sum(block.all[i].op == "HMMA" for path in paths for i in path)
    if done != launch["Products"]:
        raise SystemExit(f"{launch['Kernel']}, {launch['Arch']}, batch {launch['Batch']}: {done} products on tensor cores in a step, want {launch['Products']}")
    instructions = sum(map(len, paths))
    if instructions < LONG:
        times = [cycles.simulate(block.all, paths, BLOCKS, steps=2, skip=1, policy=p)[0] for p in ("oldest", "fair")]
    else:
        times = [cycles.simulate(block.all, paths, BLOCKS, steps=1, skip=0, policy="fair")[0]]
    return Row(launch["Kernel"], tuple(launch["Arch"]), launch["Optimizer"], launch["Batch"], BLOCKS, instructions, sum(times) / len(times), min(times), max(times))


def rows_of(job):
    """The rows of a kernel's launches."""
    row_of, text, sources, launches = job
    code = execute.Code(text, launches[0]["Kernel"], SKIPPED)
    cycles.attach(code.instructions, sources)
    return [row_of(code, launch) for launch in launches]


def made(row_of, sections, sources, left_out):
    """Rows of the launches of the kernels that there are sections of, but for those with a key that is left out."""
    by_kernel = {}
    for launch in launches(os.path.dirname(os.path.dirname(sources))):
        key = (launch["Kernel"], name(launch["Arch"]), launch["Optimizer"], launch["Batch"])
        if key[0] in sections and key not in left_out:
            by_kernel.setdefault(launch["Kernel"], []).append(launch)
    with concurrent.futures.ProcessPoolExecutor() as pool:
        for found in pool.map(rows_of, [(row_of, sections[k], sources, v) for k, v in by_kernel.items()]):
            yield from found


def rows(sections, sources):
    yield from made(row_of, sections, sources, LEFT_OUT)
