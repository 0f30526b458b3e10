"""What the rows of the table are of: the work, and what a row says of it."""

import math
from dataclasses import dataclass

from constants import CLOCK_GHZ, EXAMPLES, SMS

ARCHS = ((784, 16, 16, 10), (784, 32, 16, 10), (784, 128, 64, 10))
OPTIMIZERS = ("sgd", "momentum", "adam")  # by the number of arrays that they keep
BATCHES = (10, 32, 128)


@dataclass
class Row:
    """A kernel that trains a network of sigmoid units with the cross-entropy on an H100. A multiprocessor that runs so many
    of its blocks takes cycles (least to most, over scheduling policies and phases of the blocks) for a step of one network."""

    kernel: str
    arch: tuple
    optimizer: str
    batch: int
    blocks: int
    instructions: int  # of a block's step, all warps
    cycles: float
    least: float
    most: float
    over: int = 1  # multiprocessors that share a step

    def key(self):
        return self.kernel, name(self.arch), self.optimizer, self.batch

    def rate(self):
        """Network-epochs a second of the device."""
        return SMS / self.over * CLOCK_GHZ * 1e9 / self.cycles / math.ceil(EXAMPLES / self.batch)


def name(arch):
    return "-".join(map(str, arch))
