"""Rows of resident.cu: narrow chains in registers. Its kernels take parts of up to 32 examples: a batch of 10 costs what one of 32 does."""

import cycles
from work import ARCHS, BATCHES, OPTIMIZERS, Row

SOURCE = "resident.cu"
PART = 32  # partRows of match.go


def classes(prefix):
    """The kernels: name, optimizer, whether batches are of several parts."""
    for precision in ("bf16", "fp32"):
        for slots, optimizer in enumerate(OPTIMIZERS):
            for parts in ("", "_parts"):
                yield f"{prefix}_{precision}_{slots}{parts}", optimizer, bool(parts)


def of(arch, sections, sources, kernel, optimizer, parts, blocks, groups):
    """Rows of a kernel of so many groups of seven pixel warps, each with a head, of which so many blocks fit on a multiprocessor."""
    instructions = cycles.parse(sections[kernel], kernel)
    cycles.attach(instructions, sources)

    def role(*flags):
        return cycles.trace(instructions, set(flags))

    pixels = [role("pixels", "order", optimizer), role("pixels", "loss", optimizer), role("pixels", "lookup", optimizer)]
    pixels += [role("pixels", optimizer)] * (7 * groups - 3)
    heads = [role("head", optimizer, "sigmoid")] * groups
    traces = pixels + heads if groups == 1 else heads + pixels  # by their numbers
    mean, least, most = cycles.measured(instructions, traces, blocks)
    for batch in BATCHES:
        if parts == (batch > PART):
            n = -(-batch // PART)
            yield Row(kernel, arch, optimizer, batch, blocks, n * sum(map(len, traces)), n * mean, n * least, n * most)


def rows(sections, sources):
    for kernel, optimizer, parts in classes("kernel_resident"):
        blocks = 2 if kernel == "kernel_resident_bf16_0" else 1
        yield from of(ARCHS[0], sections, sources, kernel, optimizer, parts, blocks, 1)
