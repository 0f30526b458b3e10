"""Rows of resident.cu: narrow chains in registers. Its kernels take parts of up to 32 examples: a batch of 10 costs what one of 32 does."""

import cycles
from work import ARCHS, BATCHES, OPTIMIZERS, Row

SOURCE = "resident.cu"
PART = 32  # partRows of match.go


def classes():
    """The kernels: name, optimizer, whether batches are of several parts, blocks that fit on a multiprocessor."""
    for precision in ("bf16", "fp32"):
        for slots, optimizer in enumerate(OPTIMIZERS):
            for parts in ("", "_parts"):
                name = f"kernel_resident_{precision}_{slots}{parts}"
                yield name, optimizer, bool(parts), 2 if name == "kernel_resident_bf16_0" else 1


def rows(sections, sources):
    for kernel, optimizer, parts, blocks in classes():
        instructions = cycles.parse(sections[kernel], kernel)
        cycles.attach(instructions, sources)

        def role(*flags):
            return cycles.trace(instructions, set(flags))

        traces = [role("pixels", "order", optimizer), role("pixels", "loss", optimizer)]
        traces += [role("pixels", optimizer)] * 5
        traces.append(role("head", optimizer, "sigmoid"))
        mean, least, most = cycles.measured(instructions, traces, blocks)
        for batch in BATCHES:
            if parts == (batch > PART):
                n = -(-batch // PART)
                yield Row(kernel, ARCHS[0], optimizer, batch, blocks, n * sum(map(len, traces)), n * mean, n * least, n * most)
