"""Executes what decides on the path of a kernel's warps: the whole numbers of its SASS, which come to addresses, bounds, loops and
branches. Floating-point numbers, and what depends on them, are not known, but for those of divisions of whole numbers.

A block's warps run one after the other from barrier to barrier, all lanes of each, from a launch that the host has laid out in
memory. What comes out is a list of instructions of each warp for cycles.simulate, each with what it takes of the shared-memory
port, bank conflicts included, and of L2. An operation that is not known gives a number that is not known; a branch on one is
an error, unless one side of it is the slow way of a division, which is not taken. A store of what is not known leaves what was
there.
"""

import base64
import copy
import re
from collections import defaultdict

import cycles
from lanes import FULL, M, WARP, first, lane
from sass import MEMORY, SECTOR, WINDOW, compiled

PAGE = 9  # bits: loads from pages in which nothing is known are not looked up
PARAMETERS, GRID = 0x210, 0xC  # where a kernel's parameters begin in bank 0 of constants, and where its number of blocks is


class Lost(Exception):
    """The path depends on a number that is not known."""


class Memory:
    """32-bit words of which something is known."""

    def __init__(self, segments=()):
        """With a launch's segments in it."""
        self.words, self.pages = {}, set()
        self.zeros = [(s["At"], s["At"] + s["Zero"]) for s in segments if s["Zero"]]
        for s in segments:
            if s["Content"]:
                self.put(s["At"], base64.b64decode(s["Content"]))

    def put(self, at, content):
        for i in range(0, len(content), 4):
            self.store(at + i, int.from_bytes(content[i : i + 4], "little"))

    def load(self, at):
        v = self.words.get(at)
        if v is None:
            if at < WINDOW:
                for begin, end in self.zeros:
                    if begin <= at < end:
                        return 0
        return v

    def store(self, at, v):
        self.words[at] = v
        self.pages.add(at >> PAGE)

    def end_block(self):
        """Shared memory is no more."""
        self.words = {at: v for at, v in self.words.items() if at < WINDOW}

    def anything(self, at):
        return at >> PAGE in self.pages or at < WINDOW and any(b <= at < e for b, e in self.zeros)


def wavefronts(addresses, width):
    """How many times the shared-memory port is taken: words of 4 bytes in 32 banks; half of the lanes at a time for 8 bytes, a
    quarter for 16."""
    step = WARP * 4 // width if width > 4 else WARP
    total = 0
    for i in range(0, len(addresses), step):
        banks = defaultdict(set)
        for a in addresses[i : i + step]:
            if a is not None:
                for word in range(a // 4, (a + width + 3) // 4):
                    banks[word % 32].add(word)
        total += max(map(len, banks.values()), default=0)
    return total


def sectors(addresses, width):
    return len({s for a in addresses if a is not None for s in range(a // SECTOR, (a + width - 1) // SECTOR + 1)})


class Patterns:
    """Counts of accesses by how their addresses lie to each other."""

    def __init__(self, count, modulus):
        self.count, self.modulus, self.known = count, modulus, {}

    def of(self, addresses, width):
        base = next((a for a in addresses if a is not None), None)
        if base is None:
            return 0
        base -= base % self.modulus
        key = width, tuple(a if a is None else a - base for a in addresses)
        if key not in self.known:
            self.known[key] = self.count(key[1], width)
        return self.known[key]


class Code:
    """A kernel's instructions, ready to be executed."""

    def __init__(self, text, kernel, skipped=()):
        self.skipped = skipped  # functions that are not followed
        self.instructions = cycles.parse(text, kernel)
        self.at = {x.addr: k for k, x in enumerate(self.instructions)}
        self.labels = {}
        tables = bytearray()
        pending = []
        for line in text.split("\n"):
            if ".byte" in line:
                tables += bytes(int(b, 16) for b in re.findall(r"0x([0-9a-f]{2})\b", line.split(".byte")[1]))
            m = re.match(r"\s*([.$][\w$]+):\s*$", line)
            if m:
                pending.append(m.group(1))
            m = re.match(r"\s*/\*([0-9a-f]{4,})\*/", line)
            if m and pending:
                for p in pending:
                    self.labels.setdefault(p, self.at[int(m.group(1), 16)])
                pending = []
        self.tables = bytes(tables)
        self.steps = [compiled(x, k, self) for k, x in enumerate(self.instructions)]
        # Where a slow way is called before the next branch or join.
        joins = {self.labels[t] for x in self.instructions for t in re.findall(r"\(\s*([.$][\w$]+)\s*\)", x.text) if t in self.labels and x.op == "BRA"}
        self.slow = [False] * (len(self.steps) + 1)
        for k in range(len(self.steps) - 1, -1, -1):
            x = self.instructions[k]
            if x.op == "CALL":
                self.slow[k] = "__internal" in x.text
            elif x.op not in ("BRA", "BRX", "RET", "EXIT", "BAR") and k + 1 not in joins:
                self.slow[k] = self.slow[k + 1]


class Warp:
    def __init__(self, block, number):
        self.block, self.number = block, number
        self.R, self.U = [0] * 257, [0] * 65
        self.P, self.UP = [(0, FULL)] * 8, [(0, FULL)] * 8
        self.local, self.waves, self.sectors = {}, 0, 0
        self.threads = [(0, FULL)]  # groups of lanes that wait to go on, and where
        self.barriers, self.meeting = {}, {}
        self.live = FULL
        self.path = []
        self.stopped = False  # at a barrier


class Block:
    """The first block of so many warps of a launch of so many blocks of a kernel."""

    def __init__(self, code, memory, parameters, warps, bytes_a_cycle, latency, grid=1):
        self.code, self.memory = code, memory
        self.rate, self.latency = bytes_a_cycle, latency
        self.constants = {GRID: grid, 0x28: 0xFFFF00, 0x208: 0, 0x20C: 0}
        for i, p in enumerate(parameters):
            self.constants[PARAMETERS + 8 * i], self.constants[PARAMETERS + 8 * i + 4] = p & M, p >> 32
        self.waves, self.sectors = Patterns(wavefronts, 128), Patterns(sectors, SECTOR)
        self.warps = [Warp(self, w) for w in range(warps)]
        self.variants = {}
        self.all = []  # instructions, each with what one of its executions takes

    def variant(self, k, waves, sectors_):
        key = k, waves, sectors_
        if key not in self.variants:
            x = copy.copy(self.code.instructions[k])
            x.wave, x.l2 = waves, sectors_ * SECTOR / self.rate
            if sectors_:
                x.landing = self.latency if x.op == "LDGSTS" else 0
                x.latency = self.latency if x.op in ("LD", "LDG") else x.latency
            self.variants[key] = len(self.all)
            self.all.append(x)
        return self.variants[key]

    def run(self, limit):
        """Runs warps from barrier to barrier until they exit, or as many times as limit says."""
        for _ in range(limit):
            going = [w for w in self.warps if w.live]
            if not going:
                return
            for w in going:
                w.stopped = False
                self.advance(w)

    def advance(self, v):
        steps, code = self.code.steps, self.code
        path, variant = v.path, self.variant
        k, mask = v.threads.pop()
        while True:
            s = steps[k]
            m, unknown = mask, 0
            if s.guard is not None:
                value, known = s.guard(v)
                m, unknown = mask & value & known, mask & ~known
            if not s.control:
                if s.op in MEMORY:
                    v.waves = v.sectors = 0
                    if unknown:
                        m |= unknown
                    if m:
                        s.do(v, m)
                    path.append(variant(k, v.waves, v.sectors) if s.op not in ("SHFL", "MOVM") else variant(k, 1, 0))
                    if unknown:
                        s.forget(v, unknown)
                else:
                    if m:
                        s.do(v, m)
                    if unknown:
                        s.forget(v, unknown)
                    path.append(variant(k, 0, 0))
                k += 1
                continue
            path.append(variant(k, 0, 0))
            op = s.op
            if op == "BRA":
                if s.divergent:
                    k += 1
                    continue
                taken, known = m, mask & ~unknown
                for c in s.conditions:
                    value, sure = c(v)
                    taken &= value
                    known &= sure
                if known & mask != mask:
                    # Predicated on what is not known: not to a slow way.
                    if code.slow[k + 1] and not code.slow[s.target]:
                        taken = mask
                    elif code.slow[s.target] and not code.slow[k + 1]:
                        taken = 0
                    else:
                        x = code.instructions[k]
                        raise Lost(f"{x.addr:x} {x.text}: {x.frames[:3]}")
                if taken == 0:
                    k += 1
                elif taken == mask:
                    k = s.target
                else:
                    v.threads.append((s.target, taken))
                    mask &= ~taken
                    k += 1
            elif op == "BSSY":
                v.barriers[s.barrier] = mask
                v.meeting[s.barrier] = 0
                k += 1
            elif op == "BREAK":
                v.barriers[s.barrier] &= ~m
                k += 1
            elif op == "BSYNC":
                v.meeting[s.barrier] |= mask
                if v.meeting[s.barrier] & v.live == v.barriers[s.barrier] & v.live:
                    mask = v.meeting[s.barrier] & v.live
                    k += 1
                else:
                    k, mask = v.threads.pop()
            elif op == "CALL":
                k = k + 1 if s.skipped else s.target
            elif op in ("RET", "BRX"):
                if m != mask:
                    if m:
                        v.threads.append((code.at[lane(v.R[s.register], first(m)) + s.offset], m))
                        mask &= ~m
                    k += 1
                    continue
                to = lane(v.R[s.register], first(mask))
                if to is None:
                    raise Lost(f"{code.instructions[k].text} to where is not known")
                k = code.at[to + s.offset]
            elif op == "EXIT":
                v.live &= ~m
                mask &= ~m
                if not mask:
                    if not v.threads:
                        return
                    k, mask = v.threads.pop()
                else:
                    k += 1
            elif op in ("WARPSYNC", "BAR") and m:
                here = ("all", k)
                v.meeting[here] = v.meeting.get(here, 0) | m
                if v.meeting[here] & v.live == v.live:
                    v.meeting[here] = 0
                    mask = v.live
                    k += 1
                    if op == "BAR":
                        v.threads.append((k, mask))
                        return
                else:
                    k, mask = v.threads.pop()
            else:
                k += 1


def selftest():
    """A hand-made listing: a loop whose bound is in memory, half of the lanes at a store without bank conflicts, a load with all."""
    rows = [
        (None, "S2R R0, SR_TID.X"), (None, "LDC.64 R2, c[0x0][0x210]"), (None, "LDG.E R4, desc[UR4][R2.64]"), (None, "IMAD.MOV.U32 R5, RZ, RZ, RZ"),
        (".L_x_1", "VIADD R5, R5, 0x1"), (None, "ISETP.LT.AND P0, PT, R5, R4, PT"), (None, "@P0 BRA `(.L_x_1)"),
        (None, "ISETP.GE.AND P1, PT, R0, 0x10, PT"), (None, "IMAD.SHL.U32 R7, R0, 0x4, RZ"), (None, "BSSY B0, `(.L_x_2)"), (None, "@P1 BRA `(.L_x_2)"),
        (None, "STS [R7], R5"), (".L_x_2", "BSYNC B0"), (None, "IMAD.SHL.U32 R8, R0, 0x80, RZ"), (None, "LDS R9, [R8]"),
        (None, "FADD R9, R9, R9"), (None, "FSETP.GT.AND P0, PT, R9, RZ, PT"), (None, "@P0 BRA `(.L_x_1)"), (None, "EXIT"),
    ]
    text = '.section .text.demo,"ax"\n'
    for k, (label, words) in enumerate(rows):
        text += (label + ":\n" if label else "") + f" /*{16 * k:04x}*/ {words} ; /* 0x{0:016x} */\n /* 0x{0:016x} */\n"
    code = Code(text, "demo")
    memory = Memory()
    memory.put(1 << 36, (3).to_bytes(4, "little"))
    block = Block(code, memory, [1 << 36], 1, 24, 265)
    try:
        block.run(1)
    except Lost:  # at the branch on a sum of numbers that are not known
        path = [block.all[i] for i in block.warps[0].path]
        assert sum(x.op == "VIADD" for x in path) == 3, [x.text for x in path]
        assert [x.wave for x in path if x.op in ("STS", "LDS")] == [1, 32], [(x.text, x.wave) for x in path]
        assert [x.l2 * 24 for x in path if x.op == "LDG"] == [SECTOR]
        assert block.memory.load(WINDOW + 60) == 3 and block.memory.load(WINDOW + 64) is None
    else:
        raise AssertionError("a branch on a number that is not known was taken")
