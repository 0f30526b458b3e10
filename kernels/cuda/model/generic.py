"""Rows of network.cu, the generic kernel: a step put together from the functions that it calls, operation by operation.

The path through a function depends on the operation: shapes say how often loops run, and which of the lines below are executed.
A line is known by its text; one that is no longer there is an error. What executes in every operation needs no mention. Slow ways
of divisions and roots are not taken. Two operations follow each other with a barrier between them.
"""

import math
import os
import re

import cycles
from work import ARCHS, BATCHES, Row

SOURCE = "network.cu"
KERNEL = "kernel_network"
BLOCKS = 2  # on a multiprocessor: its launch bounds
WARPS, THREADS = 8, 256
NOISE = 4
TILE_ROWS, TILE_COLS, TILE_INNER, LONG_SUM, SMALL_SUM = 32, 16, 16, 128, 64


def functions(text):
    """The kernel's SASS by function, those of the compiler's own left out."""
    parts = re.split(r"(?m)^\$?(kernel_network(?:\$_Z\d+\w+)?|\$__internal\w+):\n", text)
    found = {}
    for name, body in zip(parts[1::2], parts[2::2]):
        m = re.search(r"\$_Z(\d+)(\w+)", name)
        short = m.group(2)[: int(m.group(1))] if m else name
        found[short] = cycles.parse(f"\t.section .text.{short},\n" + body, short)
    return found


class Lines:
    """The sources' lines, to be found by their text."""

    def __init__(self, folder):
        self.text = {}
        for file in os.listdir(folder):
            if file.endswith((".cu", ".cuh")):
                with open(os.path.join(folder, file)) as f:
                    self.text[file] = f.read().split("\n")

    def find(self, file, first, last=None):
        """The numbers of the lines from the one that holds a text to the next that holds another."""
        at = [n for n, line in enumerate(self.text[file], 1) if first in line]
        if len(at) != 1:
            raise SystemExit(f"{file} holds {first!r} in {len(at)} lines, want one: see model/generic.py")
        end = at[0]
        if last:
            while last not in self.text[file][end - 1]:
                end += 1
        return {(file, n) for n in range(at[0], end + 1)}


    def every(self, file, text):
        """The numbers of all lines that hold a text."""
        return {(file, n) for n, line in enumerate(self.text[file], 1) if text in line}


def frames(x):
    return [(os.path.basename(f), n) for f, n in x.frames]


def far(ins, bad):
    """For each instruction, how many at least of those on the way to the function's return are not executed: none on the right way."""
    never = 1 << 30
    least = [never] * (len(ins) + 1)
    changed = True
    while changed:
        changed = False
        for k in range(len(ins) - 1, -1, -1):
            x = ins[k]
            if x.op in ("RET", "EXIT") and not x.pred:
                after = 0
            elif x.target is None:
                after = never if x.op == "BRA" else least[k + 1]
            else:
                after = least[x.target] if x.uncond else min(least[x.target], least[k + 1])
            if after + bad[k] < least[k]:
                least[k] = after + bad[k]
                changed = True
    return least


def walk(ins, dead, hot, trips, through=(), past=(), verbose=False, limit=200000):
    """The path from the function's entry to its return. dead: whether an instruction is not executed, by its frames; hot: lines
    that are, where the other side of a branch has none; trips: how often the loop of a line runs; through: lines whose branches
    are not taken; past: lines whose branches are."""
    # What is predicated may be on the way without being done.
    bad = [not x.pred and x.target is None and dead(frames(x)) or x.op == "CALL" and "__internal" in x.text for x in ins]
    loops, claimed = {}, set()
    for k, x in sorted(
        ((k, x) for k, x in enumerate(ins) if x.target is not None and x.target <= k), key=lambda p: p[0] - p[1].target
    ):
        n = next((trips[f] for f in frames(x)[:1] if f in trips), None)
        for j in range(x.target, k + 1):
            if j not in claimed and n is None:
                n = next((trips[f] for f in frames(ins[j])[:1] if f in trips), None)
        loops[k] = n
        claimed.update(range(x.target, k + 1))
    least = far(ins, bad)
    joins = {x.target for x in ins if x.target is not None}

    def warm(k):  # whether a hot line comes before the next branch or join
        n = 0
        while k < len(ins) and not (n and k in joins):
            if not bad[k] and any(f in hot for f in frames(ins[k])):
                return True
            n += 1
            if ins[k].op in ("BRA", "BRX", "EXIT", "RET", "BAR"):
                break
            k += 1
        return False

    left, path, k = {}, [], 0
    while len(path) < limit:
        x = ins[k]
        path.append(k)
        if x.op in ("RET", "EXIT") and not x.pred:
            return path
        if x.target is None:
            k += 1
        elif x.uncond:
            k = x.target
        else:
            stay, go = least[k + 1], least[x.target]
            if x.target <= k and loops[k] is not None:
                left[k] = left.get(k, loops[k]) - 1
                take = left[k] > 0
                if not take:
                    del left[k]
            elif frames(x)[:1] and frames(x)[0] in through:
                take = False
            elif frames(x)[:1] and frames(x)[0] in past:
                take = True
            else:
                here, there = warm(k + 1), warm(x.target)
                close = abs(go - stay) <= NOISE and here != there  # lines of instructions are known but roughly
                take = there if close else go < stay
            if verbose:
                print(f"  {x.addr:05x} {x.text[:44]:44} stay {stay} go {go} loop {loops.get(k)} -> {'go' if take else 'stay'}  {frames(x)[:3]}")
            k = x.target if take else k + 1
    raise SystemExit("no way to the function's return")


class Product:
    """Facts of block_product: rows x cols with sums of so many terms, of factors a and b. Staging of a factor: along its inner
    index or not; four elements at a time."""

    def __init__(self, rows, cols, terms, byte_a, along_a, along_b, vectors_a, vectors_b, bias, update, along_rows, fours):
        self.rows, self.cols, self.terms = rows, cols, terms
        self.byte_a, self.along = byte_a, {"a": along_a, "b": along_b}
        self.vectors_a, self.vectors_b, self.bias, self.update, self.along_rows, self.fours = vectors_a, vectors_b, bias, update, along_rows, fours
        self.small = terms <= SMALL_SUM and rows * cols <= 4 * THREADS and not byte_a
        self.parts = terms >= LONG_SUM
        self.tiles = math.ceil(rows / TILE_ROWS) * math.ceil(cols / TILE_COLS)

    def stages(self):
        part = math.ceil(self.terms / (WARPS * TILE_INNER)) * TILE_INNER if self.parts else self.terms
        return math.ceil(part / TILE_INNER)


def product_rules(lines, p, optimizer):
    """dead and trips of block_product for p; a warp takes one tile."""
    L = lambda first, last=None: lines.find("product.cuh", first, last)
    small = L("constexpr int AHEAD = 8; // terms", "thread_take(p, update, row, col, sum);")
    call_a, call_b = L("else warp_fetch<TILE_ROWS>"), L("warp_fetch<TILE_COLS>(next_b")
    put_a, put_b = L("else warp_put<TILE_ROWS"), L("warp_put<TILE_COLS, STAGE_COLS>(stage_b")
    bytes_fetch, bytes_put = L("if (bytes) warp_fetch_bytes"), L("if (bytes) warp_put_bytes")
    plain = L("float v[4];", "if (o < f.outer && k < inner_end) v[j] =")
    four = L("to[i] = make_float4(0, 0, 0, 0);", "*reinterpret_cast<const float4 *>(f.elements.numbers + from);")
    scalar_put = L("to[0] = v.x, to[STRIDE] = v.y")
    vector_put = L("*reinterpret_cast<float4 *>(to) = v;")
    take_each = L("for (int j = 0; j < 4; j++) thread_take(p, update, row + i, col + j, sum[i][j]);")
    take_fours = L("for (int k = 0; k < 4; k++) { // columns or rows", "else *reinterpret_cast<float4 *>(p.out + at) = v;")
    parts_take = L("__syncwarp(); // before the stage holds", "if (n + stride < p.products * tiles) __syncthreads();")
    whole_take = L("warp_take(block, p, row, col, sum);")
    tile = L("warp_tile(block, sum, p.a, p.b, row, col, inner, inner_end);")
    several = L("if (p.products > 1) thread_turn")
    bias = L("if (p.bias) v = __fadd_rn(v, p.bias[col]);")
    bias4 = L("const int step = along_rows ? 0 : 1;", "v = make_float4(__fadd_rn(v.x")
    store = L("else p.out[at] = v;") | L("else *reinterpret_cast<float4 *>(p.out + at) = v;")
    small_call = L("block_small(block, p);")
    O = lambda first, last=None: lines.find("optimizer.cuh", first, last)
    momentum = O("const float velocity = ", "d = u.optimizer == OPTIMIZER_NESTEROV")
    adam = O("const float mean = ", "__fdiv_rn(__fmul_rn(u.now.rate, mean), below));")
    sgd = O("__fadd_rn(g, __fmul_rn(u.decay, w))));")
    updates = O("// thread_updated updates one", "// block_update updates")
    byte_loads = L("to[i].x = 0;", "to[i].x = __uint_as_float(*")
    pixels = lines.find("block.cuh", "const float v = __fsub_rn(__uint_as_float(__byte_perm", "return __fmaf_rn")
    never = several | momentum | (sgd if optimizer == "adam" else adam)
    if not p.update:
        never |= updates | lines.find("optimizer.cuh", "__device__ inline Update thread_updates", "return u;")
    else:
        never |= store
    if not p.bias:
        never |= bias | bias4
    if p.small:
        never |= tile | whole_take | parts_take
    else:
        never |= small_call | small
        never |= whole_take if p.parts else parts_take
        never |= take_each if p.fours else take_fours
        never |= (call_a | put_a) if p.byte_a else (bytes_fetch | bytes_put | byte_loads | pixels)
        if p.vectors_a and p.vectors_b:
            never |= plain
        if p.along["a"] == p.along["b"]:
            never |= vector_put if p.along["a"] else scalar_put

    def dead(stack):
        at = set(stack)
        if stack and stack[0] in never:
            return True
        which = "a" if at & (call_a | put_a | bytes_put | bytes_fetch) else "b" if at & (call_b | put_b) else None
        if which and at & (scalar_put if not p.along[which] else vector_put):
            return True
        if which == "b" and at & (plain if p.vectors_b else four):
            return True
        return bool(which == "a" and at & plain)

    def only(found):
        (line,) = found
        return line

    trips = {
        only(L("for (; inner < inner_end; inner += TILE_INNER) {")): p.stages(),
        only(L("for (int n = parts ? block.number : block.number * WARPS + warp;")): 1,
        only(L("for (int e = thread_first(block); e < elements; e += thread_stride(block)) {")): math.ceil(p.rows * p.cols / THREADS),
        only(L("for (; left >= AHEAD; left -= AHEAD) {")): p.terms // 8,
        only(L("for (; left > 0; left--")): p.terms % 8,
    }
    if p.small and p.terms < 8:
        never |= L("for (int k = 0; k < AHEAD; k++) x[k] = a[k * stride_a]", "sum = fmaf(x[k], y[k], sum);")
    hot = (small if p.small else set()) | (adam if optimizer == "adam" else sgd)
    if p.byte_a:
        hot |= pixels | byte_loads
    through = L("if (inner >= inner_end) return;") | L("if (r >= p.a.outer || c >= p.b.outer) continue;")
    through |= L("if (row >= p.a.outer || col >= p.b.outer) return;")
    if p.update:
        through |= lines.every("product.cuh", "if (p.param) thread_update(update, at, v);")
    past, whole = set(), L("if (!parts) {")
    (past if p.parts else through).update(whole)
    return dead, hot, trips, through, past


class Step:
    """A step of training: the paths of its warps, one after the other through the functions of the operations."""

    def __init__(self, code, sources):
        self.code, self.lines = code, Lines(sources)
        self.start, self.all = {}, []
        for name, ins in code.items():
            self.start[name] = len(self.all)
            for x in ins:  # targets are not followed any more
                x.at = len(self.all)
                self.all.append(x)
        self.known = {}

    def path(self, name, key, dead=lambda stack: False, hot=(), trips={}, through=(), past=()):
        """The path through a function, known by a key once it was found."""
        if (name, key) not in self.known:
            found = walk(self.code[name], dead, set(hot), trips, through, past)
            self.known[name, key] = [self.start[name] + k for k in found]
        return self.known[name, key]

    def product(self, p, optimizer):
        """A tile of a product, or all of a small one. That the path is not lost shows in its multiply-adds."""
        key = tuple(sorted((k, str(v)) for k, v in vars(p).items())) + (optimizer,)
        path = self.path("block_product", key, *product_rules(self.lines, p, optimizer))
        done = sum(self.all[k].op == "FFMA" for k in path)
        want = math.ceil(p.rows * p.cols / THREADS) * p.terms if p.small else p.stages() * TILE_INNER * TILE_ROWS * TILE_COLS // 32
        if not want <= done <= 1.2 * want + 400:  # pixels, divisions and roots have some too
            raise SystemExit(f"the path through block_product for {vars(p)} has {done} multiply-adds, want {want}")
        return path

    def dispatched(self):
        """What the loop over operations does for one: all of them go on, and none is done here. The bodies of the operations
        that are computed element by element, some hundredths of a step, are not followed."""
        cases = self.lines.find("operation.cuh", "case CODE_ACT: block_elements", "case CODE_DACT:")
        return self.path("block_program", "", lambda stack: bool(stack) and stack[0] in cases)

    def fetched(self, rows):
        """A warp's part of block_batch: as many rows, unchanged."""
        body = lambda first, last: self.lines.find("network.cu", first, last)
        copied = self.lines.find("augment.cuh", "__device__ inline void warp_copy(", "to[i] = from[i];")
        chosen = self.lines.find("augment.cuh", "__device__ inline bool warp_image(", "warp_copy(to, pixels, features);")
        never = set()
        for file in ("augment.cuh", "noise.cuh"):
            never |= {(file, n) for n in range(1, 1 + len(self.lines.text[file]))} - copied - chosen
        (loop,) = body("for (int i = block.number * WARPS + thread_warp(), n = 0; i < count; i += warps, n++)", None)
        return self.path("block_batch", rows, lambda stack: bool(stack) and stack[0] in never, trips={loop: max(1, rows)})

    def loss(self, name, cols):
        """block_loss or block_dloss, an example a thread. (Warps without examples are taken to do the same.)"""
        softmax = self.lines.every("operation.cuh", "for (int from = 0; from < cols; from += AHEAD) {")
        return self.path(name, cols, trips={line: math.ceil(cols / 8) for line in softmax})

    def warps(self, arch, optimizer, batch):
        """The paths of the eight warps."""
        paths = [list(self.fetched(math.ceil((batch - w) / WARPS) if w < batch else 0)) for w in range(WARPS)]

        def every(of):
            for w, path in enumerate(paths):
                path += self.dispatched() + of(w)

        def multiply(p):
            one = self.product(p, optimizer)
            tiles = lambda w: p.tiles if p.parts else max(0, math.ceil((p.tiles - w) / WARPS))
            every(lambda w: one if p.small else one * tiles(w))

        last = len(arch) - 1
        for l in range(1, len(arch)):
            below, units = arch[l - 1], arch[l]
            multiply(Product(batch, units, below, l == 1, True, True, below % 4 == 0, below % 4 == 0, True, False, False, units % 4 == 0))
            if l < last:
                every(lambda w: [])  # its activation
        every(lambda w: self.loss("block_loss", arch[-1]))
        every(lambda w: self.loss("block_dloss", arch[-1]))
        for l in range(last, 0, -1):
            below, units = arch[l - 1], arch[l]
            multiply(Product(below, units, batch, l == 1, False, False, below % 4 == 0, units % 4 == 0, False, True, True, below % 4 == 0))
            every(lambda w: self.path("block_dbias", ""))
            if l > 1:
                multiply(Product(batch, below, units, False, True, False, units % 4 == 0, below % 4 == 0, False, False, False, below % 4 == 0))
                every(lambda w: [])  # the slope
        return paths


def rows(sections, sources):
    """The first network's step of a batch of 32 is simulated, the others take as long for an instruction as it does."""
    step = Step(functions(sections[KERNEL]), sources)
    for optimizer in ("sgd", "adam"):
        paths = step.warps(ARCHS[0], optimizer, 32)
        times = [cycles.simulate(step.all, paths, BLOCKS, steps=2, skip=1, skew=20011, policy=p)[0] for p in ("oldest", "fair")]
        each = [t / sum(map(len, paths)) for t in times]
        for arch in ARCHS:
            for batch in BATCHES:
                n = sum(map(len, step.warps(arch, optimizer, batch)))
                yield Row(KERNEL, arch, optimizer, batch, BLOCKS, n, n * sum(each) / len(each), n * min(each), n * max(each))
