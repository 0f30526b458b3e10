"""Rows of stream_spread.cu: chains of dense layers whose steps are spread over all multiprocessors, a launch for each phase.

Each launch of a step is executed as stream.py executes those of stream.cu, for its first block, which no block has more to do
than. A launch takes what it takes beside its blocks, and as long as a multiprocessor is busy with as many blocks like that one as
it runs at a time, once or, if there are more blocks, more often. The whole step must come to at least the network's products on
tensor cores if all blocks had so much to do, and not to many more.
"""

import math

import cycles
import execute
import stream
from constants import LAUNCH, SMS
from work import Row

SOURCE = "stream_spread.cu"
LEFT_OUT = frozenset()  # keys of rows that are not asked for
IDLE = 2  # how many times the products of all the blocks could be if they were all as busy as the first ones


def row_of(code, launch):
    """A launch's row."""
    memory = execute.Memory(launch["Segments"])
    reach = stream.reach(launch["WorkBytes"])
    total = instructions = products = 0
    for p in launch["Phases"]:
        parameters = [launch["Control"], p["Code"] << 32, p["Part"] << 32 | p["Number"]]
        block = execute.Block(code, memory, parameters, stream.WARPS, *reach, grid=p["Blocks"])
        block.run(1 << 30)
        memory.end_block()
        if not p["Counts"]:
            continue
        paths = [w.path for w in block.warps]
        instructions += sum(map(len, paths))
        products += p["Blocks"] * sum(block.all[i].op == "HMMA" for path in paths for i in path)
        together = min(p["Together"], math.ceil(p["Blocks"] / SMS))
        once = together * cycles.simulate(block.all, paths, together, steps=1, skip=0, policy="fair")[0]
        total += LAUNCH + once * math.ceil(p["Blocks"] / (together * SMS))
    if not launch["Products"] <= products <= IDLE * launch["Products"]:
        raise SystemExit(f"{launch['Kernel']}, {launch['Arch']}, batch {launch['Batch']}: {products} products on tensor cores in a step, want {launch['Products']}")
    return Row(launch["Kernel"], tuple(launch["Arch"]), launch["Optimizer"], launch["Batch"], 1, instructions, total, total, total, SMS)


def rows(sections, sources):
    yield from stream.made(row_of, sections, sources, LEFT_OUT)
