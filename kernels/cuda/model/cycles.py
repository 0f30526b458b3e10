#!/usr/bin/env python3
"""Static cycle model of a persistent CUDA kernel's step loop, read from its SASS. No GPU is involved: every number is a model.

    cycles.py FILE [-k KERNEL] --role NAME=FLAG+FLAG:WARPS ... [--blocks 1,2] [--lat LDS=29,..] [--list ROLE] [--branches] [--mem N]
    cycles.py FILE [-k KERNEL] --regions         static counts per region, no paths
    cycles.py --selftest

FILE is a cubin (nvdisasm must be on PATH) or the text of `nvdisasm -hex -gi`. Compile with -lineinfo. Needs sm_80..sm_90 encodings.

The program is described by tags in comments of its own sources (the files named by the line table, found as they are named there or under --src):
    //@ region=NAME     instructions of this line and of everything inlined from it belong to NAME (innermost wins)
    //@ only=A,B        executed only by roles that have one of the flags A, B
    (tag what is inside an `if`, on a line of its own: a tagged condition hides its branch)
    //@ cold            never executed in the modelled case (other activations, ragged ends); cold=A: not by roles with flag A
    //@ hot             executed in the modelled case where the other way is not marked
    //@ trip=N          the loop around this line runs N times
    //@ step            a line executed once per step: the trace of a role goes from here round to here again
Each --role gives flags and the number of warps; warps are numbered in the order of the roles, scheduler = warp mod 4.

Path: from the step tag along the control flow. At a conditional branch a side with hot instructions is taken, the side with the clearly larger share of cold
instructions (or ones excluded by `only`) before its next branch or join is not taken; a backward branch is taken trip-1 times; otherwise fall through. Predicated instructions issue but are counted as done.

Time of one warp alone: the stall count of each instruction (control bits 41..44) and its scoreboard waits (bits 52..57), where the barrier
set by an earlier instruction (bits 46..48 write, 49..51 read) becomes ready after LAT. HMMA has no scoreboard on these chips: ptxas spells
its latency in stall counts and NOPs. Then a simulation of one SM: four schedulers, one instruction a cycle each, the oldest ready warp first or the one that waited longest; pipes
busy PIPE cycles per instruction; one shared-memory port for the SM, WAVE wavefronts of 128 bytes per instruction; named barriers as written.

Line tables name source lines: run it with exactly the sources that were compiled, or the tags fall on other lines. Numbers of a role whose path
is not understood are worthless: check with --branches (decisions) and --list ROLE (the trace) that the instructions expected (MUFU, HMMA, BAR) are there.

Not modelled: instruction cache, register bank conflicts, bank conflicts in shared memory (addresses are unknown), L1/L2 bandwidth and queueing but of volatile accesses, which go past L1,
clock changes, the order of warps inside a scheduler (real: loose), replays, `yield`. LAT and PIPE (constants.py) are assumptions from microbenchmark
literature, not measured here. Predicates and data-dependent branches are what the tags say. Treat totals as +-30 %, differences between two versions of one
kernel as better than that. cp.async is charged to the port at issue and its wait only LDGDEPBAR/DEPBAR bookkeeping: fetches are assumed to arrive in time (--mem N: N cycles after the issue of the last).
"""

import argparse, math, os, re, subprocess, sys
from collections import Counter, OrderedDict, defaultdict

from constants import ALU, BRANCH_COST, CLOCK_GHZ, L2_BYTES, LAT, MIO, PIPE, SMS, STEPS_PER_EPOCH


WARP_BYTES = 128  # of a number for each lane


class Ins:
    __slots__ = "addr text op full pred stall wait wb rb frames region only cold hot trip step target uncond wave l2 pipe busy latency bar at landing".split()


def wavefronts(op, text):
    if op in ("LDS", "STS", "LDGSTS", "LD", "ST"):
        return 0 if "[RZ]" in text else 4 if ".128" in text else 2 if ".64" in text else 1
    if op in ("LDSM", "STSM"):
        m = re.search(r"\.([24])\b", text.split()[0])
        return int(m.group(1)) if m else 1
    return 1 if op in ("SHFL", "ATOMS", "MOVM") else 0


def parse(text, kernel):
    """Instructions of one kernel, with control bits, branch targets and inline stacks."""
    ins, labels, pend, cur, here, wait_labels, inside = [], {}, [], [], [], [], False
    lines = text.split("\n")
    i = 0
    one = re.compile(r"\s*/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;\s*/\* 0x([0-9a-f]{16}) \*/")
    while i < len(lines):
        l = lines[i]
        i += 1
        m = re.match(r"\s*\.section\s+\.text\.([^,\s]+)", l)
        if m:
            inside = kernel == m.group(1) and not ins
            continue
        if not inside:
            continue
        m = re.match(r'\s*//## File "([^"]+)", line (\d+)(?: inlined at "([^"]+)", line (\d+))?', l)
        if m:
            pend.append((m.group(1), int(m.group(2))))
            continue
        m = re.match(r"\s*(\.L_x_\d+):", l)
        if m:
            wait_labels.append(m.group(1))
            continue
        m = one.match(l)
        if not m:
            continue
        if pend:
            cur, pend = pend, []
        hi = int(re.search(r"0x([0-9a-f]{16})", lines[i]).group(1), 16) >> 41
        i += 1
        x = Ins()
        x.addr = int(m.group(1), 16)
        x.at, x.landing = len(ins), False
        x.text = m.group(2)
        x.frames = cur
        body = re.sub(r"^@!?U?P[0-9T]+\s+", "", x.text)
        x.pred = body != x.text and "@!PT" not in x.text
        x.full = body.split()[0]
        x.op = x.full.split(".")[0]
        x.stall, x.wb, x.rb, x.wait = max(1, hi & 15), hi >> 5 & 7, hi >> 8 & 7, hi >> 11 & 63
        t = re.search(r"\(\s*(\.L_x_\d+)\s*\)", body)
        x.target = t.group(1) if t and x.op in ("BRA", "BREAK") else None
        x.uncond = x.op in ("BRA", "EXIT", "RET") and not x.pred and not re.match(r"BRA(\.\w+)*\s+!?U?P\d", body)
        if re.match(r"BRA(\.\w+)*\s+!?UP", body):
            x.uncond = False
        x.l2 = 4 * WARP_BYTES / L2_BYTES if re.match(r"(LDG|STG)\.E\.128\.STRONG", x.full) else 0
        x.wave = 0 if "@!PT" in x.text else wavefronts(x.op, body)
        x.pipe, x.busy = PIPE.get(x.op, ("alu", 2) if x.op in ALU else ("mio", 2) if x.op in MIO else (None, 0))
        x.latency = LAT.get(x.op, LAT["OTHER"])
        x.bar = None
        if x.op == "BAR":
            a = [int(v, 16) for v in re.findall(r"0x[0-9a-f]+", body)]
            x.bar = ("arrive" if ".ARV" in x.full else "sync", a[0] if a else 0, a[1] // 32 if len(a) > 1 else 0)
        for w in wait_labels:
            labels[w] = len(ins)
        wait_labels = []
        ins.append(x)
    for x in ins:
        x.target = labels.get(x.target) if x.target else None
    return ins


def tags_of(files, src):
    out = {}
    for f in files:
        p = f if os.path.exists(f) else os.path.join(src, os.path.basename(f))
        if not os.path.exists(p):
            continue
        for n, l in enumerate(open(p, errors="replace"), 1):
            m = re.search(r"//@\s*(.*)", l)
            if m:
                out[(f, n)] = dict(
                    (w.split("=", 1) + [""])[:2]
                    for w in m.group(1).split()
                    if re.match(r"(region|only|cold|hot|trip|step)(=|$)", w)
                )
    return out


def attach(ins, src):
    tags = tags_of({f for x in ins for f, _ in x.frames}, src)
    for x in ins:
        x.region, x.only, x.cold, x.trip, x.step, x.hot = None, [], set(), None, False, False
        for k, fr in enumerate(x.frames):
            t = tags.get(fr)
            if not t:
                continue
            if "region" in t and x.region is None:
                x.region = t["region"]
            if "only" in t:
                x.only.append(set(t["only"].split(",")))
            if "cold" in t:
                x.cold |= set(t["cold"].split(","))
            if "trip" in t and x.trip is None:
                x.trip = int(t["trip"])
            if "step" in t:
                x.step = True
            if "hot" in t:
                x.hot = True
        x.region = x.region or "other"


def allowed(x, flags):
    return not ("" in x.cold or x.cold & flags) and all(o & flags for o in x.only)


def trace(ins, flags, verbose=False, limit=60000):
    """The instructions one role executes in one step."""
    loops = {}  # back edge -> trip
    claimed = set()
    for k, x in sorted(
        ((k, x) for k, x in enumerate(ins) if x.target is not None and x.target <= k), key=lambda p: p[0] - p[1].target
    ):
        tagged = [j for j in range(x.target, k + 1) if ins[j].trip and j not in claimed]
        loops[k] = ins[tagged[0]].trip if tagged else 1
        claimed.update(range(x.target, k + 1))
    joins = {x.target for x in ins if x.target is not None}
    brx = {k + 1 for k, x in enumerate(ins) if x.op == "BRA" and x.uncond}

    def side(k):  # share of instructions before the next branch or join that are cold or another role's
        bad = n = hot = 0
        while k < len(ins) and n < 200 and not (n and k in joins):
            ok = allowed(ins[k], flags)
            bad += not ok
            hot |= ok and ins[k].hot
            n += 1
            if ins[k].op in ("BRA", "BRX", "EXIT", "RET", "BAR"):
                break
            k += 1
        return -1 if hot else bad / n if n else 1

    starts = [k for k, x in enumerate(ins) if x.step and allowed(x, flags)]
    if not starts:
        sys.exit("no step tag reachable for " + str(flags))
    for s in starts:
        left = dict(loops)
        k, path, n = s, [], 0
        while n < limit:
            x = ins[k]
            path.append(k)
            n += 1
            if x.op == "EXIT" and not x.pred:
                path = None
                break
            if x.op == "BRX":
                nxt = next(j for j in range(k + 1, len(ins)) if j in joins | brx and side(j) < 0.25)
            elif x.target is not None:
                if x.uncond:
                    nxt = x.target
                else:
                    a, b = side(k + 1), side(x.target)
                    if x.target <= k and loops[k] > 1:
                        left[k] -= 1
                        take = left[k] > 0
                        if not take:
                            left[k] = loops[k]
                    elif abs(a - b) >= 0.25:
                        take = b < a
                    else:
                        take = False
                    # the edge that closes the step loop
                    if x.target <= s <= k and abs(a - b) < 0.25 and loops[k] <= 1:
                        take = True
                    nxt = x.target if take else k + 1
                    if verbose:
                        print("  %05x %-40s stay %.2f go %.2f -> %s" % (x.addr, x.text[:40], a, b, "go" if take else "stay"))
            else:
                nxt = k + 1
            k = nxt
            if k == s:
                break
        if path and k == s:
            return path
    sys.exit("no way round the step loop for %s (last at %x): tag cold/taken branches" % (flags, ins[k].addr))


def alone(ins, path):
    """One warp, nothing else on the SM: total and per region (instructions, stall cycles, waits, opcodes)."""
    t, ready, prev, reg = 0, [(0, "")] * 6, None, OrderedDict()
    for rnd in range(2):  # the second round is the steady state
        start = t
        reg = OrderedDict()
        for n, k in enumerate(path):
            x = ins[k]
            r = reg.setdefault(x.region, dict(n=0, stall=0, wait=0, ops=Counter(), why=Counter(), wave=0))
            if prev is not None and k != prev + 1:
                t += BRANCH_COST
                r["stall"] += BRANCH_COST
            for b in range(6):
                if x.wait >> b & 1 and ready[b][0] > t:
                    r["wait"] += ready[b][0] - t
                    r["why"][ready[b][1]] += ready[b][0] - t
                    t = ready[b][0]
            if x.wb < 6:
                ready[x.wb] = max(ready[x.wb], (t + x.latency, x.op))
            if x.rb < 6:
                ready[x.rb] = max(ready[x.rb], (t + LAT["READ"], "read " + x.op))
            r["n"] += 1
            r["stall"] += x.stall
            r["ops"][x.op] += 1
            r["wave"] += x.wave
            t += x.stall
            prev = k
    return t - start, reg


class Warp:
    pass


def arrival(v, wait):
    """When the copies have arrived that a DEPBAR waits for: all groups of a warp's but the last so many. Groups arrive in order."""
    left = re.search(r"SB0, 0x([0-9a-f]+)", wait.text)
    n = len(v.groups) - int(left.group(1), 16) if left else 0
    return v.groups[n - 1] if n > 0 else 0


def simulate(ins, traces, blocks, steps=10, skip=4, mem=0, skew=None, clock=None, policy="oldest", rotate=0):
    """traces: list of paths, one per warp of a block. Returns cycles per step and SM, and the busy fractions."""
    warps, sched = [], [[] for _ in range(4)]
    for b in range(blocks):
        for w, p in enumerate(traces):
            v = Warp()
            v.group, v.groups = 0, []
            v.block, v.id, v.path, v.i, v.t, v.ready, v.prev, v.step, v.blocked, v.landed, v.last, v.bar = (
                b,
                w,
                p,
                0,
                (skew or 0) * b,
                [0] * 6,
                None,
                0,
                False,
                0,
                0,
                False,
            )
            warps.append(v)
            sched[(w + rotate * b) % 4].append(v)
    bars = defaultdict(lambda: [0, []])
    pipes = [defaultdict(float) for _ in range(4)]
    port = l2 = 0.0
    now = 0
    nw = len(traces)
    done = [defaultdict(int) for _ in range(blocks)]
    finish = [dict() for _ in range(blocks)]
    issued = [0] * 4
    busy = Counter()
    mark = None if skip else (0, 0, Counter())
    while True:
        soonest = 1 << 60
        any_issue = False
        for s in ((now + d) % 4 for d in range(4)):
            for v in (sched[s] if policy == "oldest" else sorted(sched[s], key=lambda v: v.last)):
                if v.blocked or v.step >= steps:
                    continue
                x = ins[v.path[v.i]]
                at = v.t
                for b in range(6):
                    if x.wait >> b & 1:
                        at = max(at, v.ready[b])
                if x.op == "DEPBAR":
                    if mem:
                        at = max(at, v.landed)
                    if v.groups:
                        at = max(at, arrival(v, x))
                if x.pipe:
                    at = max(at, pipes[s][x.pipe])
                if x.wave:
                    at = max(at, port - 32)  # a short queue in front of the port
                if x.l2:
                    at = max(at, l2 - LAT["LDG"])
                if at > now:
                    soonest = min(soonest, at)
                    continue
                if x.pipe:
                    pipes[s][x.pipe] = max(now, pipes[s][x.pipe]) + x.busy
                    busy[x.pipe] += x.busy
                q = 0
                if x.wave:
                    q = max(0, port - now)
                    port = max(now, port) + x.wave
                    busy["port"] += x.wave
                if x.l2:
                    q = max(q, l2 - now)
                    l2 = max(now, l2) + x.l2
                    busy["l2"] += x.l2
                if x.op == "LDGSTS":
                    v.landed = now + mem
                    if x.landing:
                        v.group = max(v.group, now + x.landing + q)
                if x.op == "LDGDEPBAR" and v.group:
                    v.groups.append(v.group)
                if x.wb < 6:
                    v.ready[x.wb] = max(v.ready[x.wb], now + x.latency + q)
                if x.rb < 6:
                    v.ready[x.rb] = max(v.ready[x.rb], now + LAT["READ"] + q)
                if clock is not None and v.block == 0 and v.step >= skip:
                    clock[v.id]["(barrier)" if v.bar else x.region] += now - v.last
                v.last, v.bar = now, x.bar and x.bar[0] == "sync"
                v.t = now + x.stall
                issued[s] += 1
                any_issue = True
                nxt = v.i + 1
                if nxt == len(v.path):
                    nxt = 0
                    v.step += 1
                if ins[v.path[nxt]].at != x.at + 1:
                    v.t += BRANCH_COST
                if nxt == 0:
                    done[v.block][v.step] += 1
                    if done[v.block][v.step] == nw:
                        finish[v.block][v.step] = now
                    if mark is None and all(skip in f for f in finish):
                        mark = (now, sum(issued), Counter(busy))
                v.i = nxt
                if x.bar:
                    kind, ident, count = x.bar
                    g = bars[(v.block, ident)]
                    g[0] += 1
                    if kind == "sync":
                        v.blocked = True
                        g[1].append(v)
                    if g[0] >= (count or nw):
                        for u in g[1]:
                            u.blocked = False
                            u.t = max(u.t, now + LAT["BAR"])
                        bars[(v.block, ident)] = [0, []]
                break
        if all(steps in f for f in finish):
            break
        if any_issue:
            now += 1
        elif soonest < 1 << 60:
            now = math.ceil(soonest)
        elif all(v.blocked or v.step >= steps for v in warps):
            sys.exit(
                "deadlock at %d: %s" % (now, [(v.block, v.id, "%x" % ins[v.path[v.i - 1]].addr) for v in warps if v.blocked])
            )
        else:
            now += 1
    m0, i0, b0 = mark
    span = now - m0
    n = (steps - skip) * blocks
    frac = {k: (busy[k] - b0[k]) / span / (1 if k in ("port", "l2") else 4) for k in busy}
    frac["issue"] = (sum(issued) - i0) / span / 4
    return span / n, frac


def measured(ins, traces, blocks):
    """Cycles of a step on an SM with so many blocks: the mean over scheduling policies and phases of the blocks, and the range."""
    phases = (0,) if blocks == 1 else (0, 411, 777)
    times = [simulate(ins, traces, blocks, skew=k, policy=p)[0] for p in ("oldest", "fair") for k in phases]
    return sum(times) / len(times), min(times), max(times)


def report(regs, total=None):
    print(
        "    %-16s %6s %7s %7s %7s %5s %5s %5s %5s %5s %6s  %s"
        % ("region", "instr", "stalls", "waits", "cycles", "HMMA", "LDSM", "LDS", "STS*", "LDG*", "waves", "largest waits")
    )
    tot = Counter()
    for k, r in regs.items():
        o = r["ops"]
        row = [
            r["n"],
            r["stall"],
            r["wait"],
            r["stall"] + r["wait"],
            o["HMMA"],
            o["LDSM"],
            o["LDS"],
            o["STS"] + o["STSM"],
            o["LDG"] + o["LDGSTS"] + o["LD"],
            r["wave"],
        ]
        for j, v in enumerate(row):
            tot[j] += v
        print(
            "    %-16s %6d %7d %7d %7d %5d %5d %5d %5d %5d %6d  %s"
            % tuple([k] + row + [", ".join("%s %d" % w for w in r["why"].most_common(3))])
        )
    print("    %-16s %6d %7d %7d %7d %5d %5d %5d %5d %5d %6d" % tuple(["all"] + [tot[j] for j in range(10)]))


def load(path):
    if open(path, "rb").read(4) == b"\x7fELF":
        return subprocess.run(["nvdisasm", "-hex", "-gi", path], check=True, capture_output=True, text=True).stdout
    return open(path).read()


def selftest():
    """A hand-made listing: a loop of 3 around an LDS whose use waits, an HMMA, one step loop."""

    def w(stall, wb=7, rb=7, wait=0):
        return "/* 0x%016x */" % ((stall | wb << 5 | rb << 8 | wait << 11) << 41)

    rows = [
        (None, "MOV R0, R1", w(2), 1),
        (".L_x_1", "LDS R2, [R0]", w(1, wb=0), 2),
        (None, "FADD R3, R3, R2", w(4, wait=1), 2),
        (None, "@P0 BRA `(.L_x_1)", w(5), 2),
        (None, "HMMA.16816.F32.BF16 R4, R8, R2, R4", w(15), 3),
        (None, "BAR.SYNC.DEFER_BLOCKING 0x0", w(1), 3),
        (None, "@P1 BRA `(.L_x_0)", w(5), 3),
        (None, "EXIT", w(5), 4),
    ]
    t = '.section .text.demo,"ax"\n.L_x_0:\n'
    for k, (lab, i, hi, line) in enumerate(rows):
        if lab:
            t += lab + ":\n"
        t += '\t//## File "demo.cu", line %d\n /*%04x*/ %s ; /* 0x%016x */\n %s\n' % (line, 16 * k, i, 0, hi)
    import tempfile

    with tempfile.TemporaryDirectory() as d:
        open(d + "/demo.cu", "w").write("a; //@ step region=start\nb; //@ region=loop trip=3\nc; //@ region=end\nd; //@ cold\n")
        ins = parse(t, "demo")
        attach(ins, d)
        p = trace(ins, set())
        assert [ins[k].op for k in p] == ["MOV"] + ["LDS", "FADD", "BRA"] * 3 + ["HMMA", "BAR", "BRA"], [ins[k].op for k in p]
        total, reg = alone(ins, p)
        # MOV 2 (+8 back edge); per turn LDS at t, FADD at t+29 (1 stall + 28 wait), 4, 5; two back edges of 8; HMMA 15, BAR 1, BRA 5
        assert reg["loop"]["n"] == 9 and reg["loop"]["wait"] == 3 * 28 and reg["loop"]["ops"]["LDS"] == 3, reg
        assert total == 2 + 8 + 3 * (29 + 4 + 5) + 2 * 8 + 15 + 1 + 5, total
        c1, f1 = simulate(ins, [p], 1)
        c8, f8 = simulate(ins, [p] * 8, 2)
        assert abs(c1 - (total + LAT["BAR"] - 1)) <= 8, (c1, total)  # a barrier of one warp
        assert c8 < c1 and f8["issue"] > f1["issue"], (c8, c1)
    print("selftest ok")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("file", nargs="?")
    a.add_argument("-k", default="")
    a.add_argument("--src", default=".")
    a.add_argument("--role", action="append", default=[])
    a.add_argument("--blocks", default="1,2")
    a.add_argument("--lat", default="")
    a.add_argument("--mem", type=int, default=0)
    a.add_argument("--list")
    a.add_argument("--branches", action="store_true", help="print the decision at every conditional branch")
    a.add_argument("--regions", action="store_true")
    a.add_argument("--selftest", action="store_true")
    a.add_argument("--steps-per-epoch", type=int, default=STEPS_PER_EPOCH)
    a.add_argument("--rotate", type=int, default=0, help="schedulers by which the roles of the second block are turned")
    a.add_argument("--ghz", type=float, default=CLOCK_GHZ)
    a.add_argument("--sms", type=int, default=SMS)
    a.add_argument("--networks", type=int, default=1, help="networks per block")
    o = a.parse_args()
    for kv in filter(None, o.lat.split(",")):
        k, v = kv.split("=")
        LAT[k] = int(v)
    if o.selftest:
        return selftest()
    ins = parse(load(o.file), o.k)
    if not ins:
        sys.exit("no such kernel")
    attach(ins, o.src)
    if o.regions:
        regs = OrderedDict()
        for x in ins:
            r = regs.setdefault(
                x.region + (" (cold)" if "" in x.cold else ""), dict(n=0, stall=0, wait=0, ops=Counter(), why=Counter(), wave=0)
            )
            r["n"] += 1
            r["stall"] += x.stall
            r["ops"][x.op] += 1
            r["wave"] += x.wave
        return report(regs)
    traces, total, whose = [], 0, {}
    for spec in o.role:
        name, rest = spec.split("=")
        flags, n = rest.split(":")
        p = trace(ins, set(flags.split("+")), o.branches)
        whose[name] = len(traces)
        traces += [p] * int(n)
        total += len(p) * int(n)
        c, reg = alone(ins, p)
        print("%s (%s warps): %d instructions, %d cycles alone without barriers" % (name, n, len(p), c))
        report(reg)
        if o.list == name:
            for k in p:
                x = ins[k]
                print("  %05x st%2d wb%d rb%d w%02x %-12s %s" % (x.addr, x.stall, x.wb, x.rb, x.wait, x.region, x.text))
    print("step of one block: %d instructions" % total)
    for b in map(int, o.blocks.split(",")):
        clock = defaultdict(Counter)
        worst = [
            simulate(ins, traces, b, mem=o.mem, skew=k, policy=q, rotate=o.rotate)
            for q in ("oldest", "fair")
            for k in ((0,) if b == 1 else (0, 411, 777))
        ]
        f = simulate(ins, traces, b, mem=o.mem, skew=777, clock=clock, rotate=o.rotate)[1]
        c = sum(w[0] for w in worst) / len(worst)
        print(
            "%d block(s) per SM: %.0f cycles per block-step (%.0f..%.0f over scheduling policy and phase of the blocks) = %.1f k network-epochs/s; busy: %s"
            % (
                b,
                c,
                min(w[0] for w in worst),
                max(w[0] for w in worst),
                o.networks * o.sms * o.ghz * 1e9 / c / o.steps_per_epoch / 1e3,
                ", ".join("%s %.0f %%" % (k, 100 * v) for k, v in sorted(f.items(), key=lambda z: -z[1])),
            )
        )
        for name, w in whose.items():
            print(
                "    %s: issue-to-issue cycles per step by region: %s"
                % (name, ", ".join("%s %.0f" % (r, c / 6) for r, c in clock[w].most_common(12)))
            )


if __name__ == "__main__":
    main()
