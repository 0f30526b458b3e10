"""Rows of resident32.cu: as those of resident.cu, for layers of up to 32 units. The second head has fewer weights of 784-32-16-10
to update than the first, and is taken for as busy."""

import resident
from work import ARCHS

SOURCE = "resident32.cu"


def rows(sections, sources):
    for kernel, optimizer, parts in resident.classes("kernel_resident32"):
        yield from resident.of(ARCHS[1], sections, sources, kernel, optimizer, parts, 1, 2)
