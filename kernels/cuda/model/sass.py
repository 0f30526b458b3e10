"""What an instruction of SASS does to a warp, as far as execute.py needs it: whole numbers, addresses, and conditions. Of what is not
here the results are not known."""

import re

from lanes import FULL, M, M64, SIGN, UNKNOWN, WARP, bits_of, bits_of_number, first, lane, lift, merged, number_of, rounded_up, signed

WINDOW = 0x7F01 << 32  # of shared memory in generic addresses
SECTOR = 32  # bytes, the least that L2 gives


def operands(body):
    """An instruction's words behind its name."""
    rest = body.split(None, 1)
    if len(rest) < 2:
        return []
    text = re.sub(r"\(\*.*?\*\)", "", rest[1])
    return [w.strip().replace(".reuse", "") for w in text.split(",")]


def reader(word):
    """How a source is read: a function of a warp."""
    w = word
    if w.startswith("-") and re.match(r"-U?R", w):
        inner = reader(w[1:])
        return lambda v: lift(lambda a: -a & M, inner(v))
    if w.startswith("~"):
        inner = reader(w[1:])
        return lambda v: lift(lambda a: a ^ M, inner(v))
    if w in ("RZ", "URZ", "SRZ"):
        return lambda v: 0
    m = re.fullmatch(r"R(\d+)", w)
    if m:
        n = int(m.group(1))
        return lambda v: v.R[n]
    m = re.fullmatch(r"UR(\d+)", w)
    if m:
        n = int(m.group(1))
        return lambda v: v.U[n]
    m = re.fullmatch(r"c\[0x0\]\[0x([0-9a-f]+)\]", w)
    if m:
        n = int(m.group(1), 16)
        return lambda v: v.block.constants.get(n)
    m = re.fullmatch(r"(-?)0x([0-9a-f]+)", w)
    if m:
        n = int(m.group(2), 16) * (-1 if m.group(1) else 1) & M
        return lambda v: n
    return lambda v: UNKNOWN  # of floating point


def real_reader(word):
    """How a source of floating point is read, as a number."""
    w = word
    negative = w.startswith("-")
    w = w.lstrip("-+").strip()
    absolute = w.startswith("|")
    w = w.strip("|")
    if re.fullmatch(r"U?R(\d+|Z)|URZ", w):
        inner = reader(w)

        def read(v):
            def value(bits):
                x = number_of(bits)
                x = abs(x) if absolute else x
                return -x if negative else x

            return lift(value, inner(v))

        return read
    try:
        n = float(w)
    except ValueError:
        return lambda v: UNKNOWN
    n = -n if negative else n
    return lambda v: n


def condition(word):
    """How a predicate is read: for which lanes it is true, and known."""
    w = word.strip()
    negated = w.startswith("!")
    w = w.lstrip("!")
    if w in ("PT", "UPT"):
        return (lambda v: (0, FULL)) if negated else (lambda v: (FULL, FULL))
    m = re.fullmatch(r"(U?)P(\d)", w)
    if not m:
        raise SystemExit(f"no predicate: {word}")
    n, uniform = int(m.group(2)), bool(m.group(1))

    def read(v):
        value, known = (v.UP if uniform else v.P)[n]
        return (~value & known, known) if negated else (value, known)

    return read


def destination(word):
    m = re.fullmatch(r"(U?)R(\d+)", word)
    if m:
        return bool(m.group(1)), int(m.group(2))
    return None


COMPARE = {
    "LT": lambda a, b: a < b, "LE": lambda a, b: a <= b, "GT": lambda a, b: a > b,
    "GE": lambda a, b: a >= b, "EQ": lambda a, b: a == b, "NE": lambda a, b: a != b,
}


def table3(code, a, b, c):
    """LOP3's function of three numbers."""
    out = 0
    for i in range(8):
        if code >> i & 1:
            out |= (a if i & 4 else ~a) & (b if i & 2 else ~b) & (c if i & 1 else ~c)
    return out & M


def permuted(a, selector, b):
    both, out = a | b << 32, 0
    for i in range(4):
        s = selector >> 4 * i & 15
        byte = both >> 8 * (s & 7) & 255
        if s & 8:
            byte = 255 if byte & 128 else 0
        out |= byte << 8 * i
    return out


def shifted(full, a, n, c):
    """SHF: of the pair c:a, or of one word."""
    parts = full.split(".")
    left, kind, high = parts[1] == "L", parts[2], "HI" in parts[3:]
    n = n if n < 64 else 63
    if kind in ("U32", "S32"):
        n = min(n, 32 if kind == "U32" else 31)
        if left:
            return a << n & M if not high else (c << n | a >> 32 - n) & M if n else c
        # .HI: the high word is c, which is what is shifted.
        return c >> n if kind == "U32" else signed(c) >> n & M
    pair = c << 32 | a
    if left:
        return pair << n >> 32 & M if high else pair << n & M
    if kind == "S64" and c & SIGN:
        pair -= 1 << 64
    return pair >> n + (32 if high else 0) & M


def wide(v, read, word):
    """The 64 bits of a register and the one above it."""
    if word in ("RZ", "URZ"):
        return 0
    m = re.fullmatch(r"(-?)(U?)R(\d+)", word)
    if not m:
        return read(v)
    file, n = (v.U if m.group(2) else v.R), int(m.group(3))
    return lift(lambda a, b: a | b << 32, file[n], file[n + 1])


def compiled(x, k, code):
    """What an instruction does to a warp, as a function of the warp and of the lanes that do it."""
    body = re.sub(r"^@!?U?P[0-9T]+\s+", "", x.text)
    words, op, full = operands(body), x.op, x.full
    step = Step()
    step.op, step.index = op, k
    guard = re.match(r"@(!?U?P[0-9T]+)\s", x.text)
    step.guard = condition(guard.group(1)) if guard and guard.group(1) != "PT" else None
    step.do = None
    step.width = 4
    mods = full.split(".")[1:]
    for m in mods:
        step.width = {"64": 8, "128": 16, "U8": 1, "S8": 1, "U16": 2, "S16": 2}.get(m, step.width)

    step.skipped = op == "CALL" and any(name in x.text for name in code.skipped)
    target = re.search(r"\(\s*([.$][\w$]+)\s*\)", body)
    step.target = code.labels.get(target.group(1)) if target else None

    if op in ("BRA", "CALL", "RET", "BRX", "EXIT", "BSSY", "BSYNC", "BREAK", "BAR", "WARPSYNC", "NOP", "YIELD", "DEPBAR", "LDGDEPBAR", "ENDCOLLECTIVE"):
        step.control = True
        if op == "BRA":
            step.conditions = [condition(w) for w in words[:-1] if re.fullmatch(r"!?U?P[0-9T]", w)]
            step.divergent = "DIV" in mods
        if op in ("BSSY", "BSYNC", "BREAK"):
            step.barrier = int(re.search(r"B(\d+)", body).group(1))
        if op in ("RET", "BRX"):
            step.register = int(re.search(r"R(\d+)", body).group(1))
            m = re.search(r"R\d+ (-?)0x([0-9a-f]+)", body)
            step.offset = (int(m.group(2), 16) * (-1 if m.group(1) else 1) + x.addr + 16) if op == "BRX" else 0
        return step
    step.control = False

    if op in MEMORY:
        return memory(step, x, body, words)

    dests = []
    predicates = []
    sources = list(words)
    if sources and destination(sources[0]) or sources and sources[0] in ("RZ", "URZ"):
        dests.append(sources.pop(0))
        while sources and re.fullmatch(r"U?P[0-9T]", sources[0]) and op not in ("SEL", "FSEL", "USEL", "VOTE"):
            predicates.append(sources.pop(0))
    else:
        while sources and re.fullmatch(r"U?P[0-9T]", sources[0]) and len(predicates) < 2:
            predicates.append(sources.pop(0))
        if op in ("LOP3", "ULOP3"):
            dests.append(sources.pop(0))
    read = [reader(w) for w in sources]
    name = op[1:] if op in ("UIADD3", "UMOV", "ULEA", "UIMAD", "USHF", "ULOP3", "USEL", "UISETP") else op
    value, flags = meaning(name, full, mods, sources, read, predicates)

    places = []  # of results: file, number
    for d in dests:
        p = destination(d)
        if p:
            places.append(p)
            if step.width == 8 and op in ("LDC", "ULDC", "CS2R") or "WIDE" in mods or op == "F2I" and "U64" in mods:
                places.append((p[0], p[1] + 1))
    if op == "CS2R" and "32" not in mods and len(places) == 1:
        places.append((places[0][0], places[0][1] + 1))
    if op in ("HMMA",):
        n = places[0][1]
        places = [(False, n + i) for i in range(4)]
    outcome = [(p.startswith("U"), int(p[-1])) for p in predicates if not p.endswith("T")]
    positions = [i for i, p in enumerate(predicates) if not p.endswith("T")]

    def do(v, mask):
        results = value(v) if value else (UNKNOWN,)
        for (uniform, n), r in zip(places, results if len(results) >= len(places) else tuple(results) + (UNKNOWN,) * 4):
            if uniform:
                v.U[n] = lane(r, first(mask)) if mask else r
            else:
                v.R[n] = r if mask == FULL else merged(v.R[n], r, mask)
        if outcome:
            got = flags(v) if flags else [(0, 0)] * len(predicates)
            for (uniform, n), i in zip(outcome, positions):
                value_, known = got[i] if i < len(got) else (0, 0)
                file = v.UP if uniform else v.P
                was = file[n]
                m = FULL if uniform else mask
                file[n] = (was[0] & ~m | value_ & m, was[1] & ~m | known & m)

    def forget(v, mask):
        for uniform, n in places:
            if uniform:
                v.U[n] = UNKNOWN
            else:
                v.R[n] = merged(v.R[n], UNKNOWN, mask)
        for uniform, n in outcome:
            file = v.UP if uniform else v.P
            file[n] = file[n][0] & ~mask, file[n][1] & ~mask

    step.do, step.forget = do, forget
    return step


class Step:
    pass


def meaning(op, full, mods, sources, read, predicates):
    """Values and predicates of an operation, as functions of a warp; None where they are not known."""

    def three(f):
        a, b, c = read[:3]
        return lambda v: (lift(f, a(v), b(v), c(v)),)

    def carry(words):
        return [condition(w) for w in words if re.fullmatch(r"!?U?P[0-9T]", w)]

    if op in ("MOV", "R2UR"):
        return (lambda v: (read[0](v),)), None
    if op == "S2R" or op == "S2UR":
        special = {"SR_TID.X": lambda v: [v.number * WARP + i for i in range(WARP)], "SR_CTAID.X": lambda v: 0, "SR_CgaCtaId": lambda v: 0, "SR_SWINHI": lambda v: WINDOW >> 32,
                   "SR_LANEID": lambda v: list(range(WARP))}.get(sources[0])
        return (lambda v: (special(v),)) if special else None, None
    if op == "CS2R":
        return (lambda v: (0, 0)) if sources[0] == "SRZ" else None, None
    if op in ("LDC", "ULDC"):
        m = re.fullmatch(r"c\[0x([0-9a-f]+)\]\[(U?R\d+)?\+?(?:0x([0-9a-f]+))?\]", sources[0])
        bank, register, offset = int(m.group(1), 16), m.group(2), int(m.group(3) or "0", 16)
        at = reader(register) if register else (lambda v: 0)

        def load(v):
            a = at(v)
            if bank == 0:
                return tuple(lift(lambda a, i=i: v.block.constants.get(a + offset + 4 * i), a) for i in range(2))
            return (lift(lambda a: int.from_bytes(v.block.code.tables[a + offset : a + offset + 4], "little"), a),)

        return load, None
    if op == "IADD3":
        ins = carry(sources[3:])
        extended = "X" in mods
        a, b, c = read[:3]
        raw = sources[:3]

        def total(v):
            # What is negated is its complement and one more: the carry is that of the whole sum.
            args = [x(v) for x in (a, b, c)]
            base = lift(lambda p, q, r: p + q + r, *args)
            if extended:
                for condition_ in ins:
                    value, known = condition_(v)
                    if known != FULL and base is not UNKNOWN:
                        bits = [value >> i & 1 if known >> i & 1 else UNKNOWN for i in range(WARP)]
                        base = lift(lambda p, q: p + q, base, bits)
                    elif value == FULL or value == 0:
                        base = lift(lambda p, q=value & 1: p + q, base)
                    else:
                        base = lift(lambda p, q: p + q, base, [value >> i & 1 for i in range(WARP)])
            return base

        def carries(v):
            sums = total(v)
            # -x with x = 0 carries.
            zero = [x(v) for x, w in zip((a, b, c), raw) if w.startswith("-")]
            extra = lift(lambda *z: sum(1 << 32 for q in z if q == 0), *zero) if zero else 0
            carry_ = bits_of(lambda s, e: s + e >> 32 >= 1, sums, extra)
            return [carry_, bits_of(lambda s, e: s + e >> 32 >= 2, sums, extra)]

        return (lambda v: (lift(lambda s: s & M, total(v)),)), carries
    if op in ("VIADD",):
        return (lambda v: (lift(lambda p, q: p + q & M, read[0](v), read[1](v)),)), None
    if op in ("IMAD", "UIMAD"):
        a, b, c = read[:3]
        if "MOV" in mods or mods[:1] == ["U32"]:
            return (lambda v: (lift(lambda p, q, r: p * q + r & M, a(v), b(v), c(v)),)), None
        if "X" in mods:
            ins = carry(sources[3:])

            def value(v):
                bits, known = ins[0](v)
                plus = bits & 1 if bits in (0, FULL) and known == FULL else [bits >> i & 1 if known >> i & 1 else UNKNOWN for i in range(WARP)]
                return (lift(lambda p, q, r, s: p * q + r + s & M, a(v), b(v), c(v), plus),)

            return value, None
        if "WIDE" in mods:
            if "U32" in mods:
                def product(v):
                    return lift(lambda p, q, r: p * q + r & M64, a(v), b(v), wide(v, c, sources[2]))
            else:
                def product(v):
                    return lift(lambda p, q, r: signed(p) * signed(q) + r & M64, a(v), b(v), wide(v, c, sources[2]))

            def halves(v):
                p = product(v)
                return lift(lambda n: n & M, p), lift(lambda n: n >> 32, p)

            return halves, None
        if "HI" in mods:
            unsigned = "U32" in mods

            def high(v):
                if unsigned:
                    return (lift(lambda p, q, r: p * q + r >> 32 & M, a(v), b(v), wide(v, c, sources[2])),)
                return (lift(lambda p, q, r: signed(p) * signed(q) + r >> 32 & M, a(v), b(v), wide(v, c, sources[2])),)

            return high, None
        return (lambda v: (lift(lambda p, q, r: p * q + r & M, a(v), b(v), c(v)),)), None
    if op == "LEA":
        ins = carry(sources)
        if "HI" in mods:
            n = int(sources[3], 16) if len(sources) > 3 and sources[3].startswith("0x") else int(sources[2], 16)
            a, b, c = read[0], read[1], read[2]
            if "SX32" in mods:  # the high word is the sign of the low one
                def value(v):
                    base = lift(lambda p, q: (signed(p) << n >> 32) + q, a(v), b(v))
                    return (plus(v, base),)
            else:
                def value(v):
                    base = lift(lambda p, q, r: ((r << 32 | p) << n >> 32 & M) + q, a(v), b(v), c(v))
                    return (plus(v, base),)

            def plus(v, base):
                if "X" in mods:
                    bits, known = ins[0](v)
                    more = bits & 1 if bits in (0, FULL) and known == FULL else [bits >> i & 1 if known >> i & 1 else UNKNOWN for i in range(WARP)]
                    base = lift(lambda p, q: p + q, base, more)
                return lift(lambda p: p & M, base)

            return value, None
        n = int(sources[2], 16)
        a, b = read[:2]
        return (lambda v: (lift(lambda p, q: (p << n) + q & M, a(v), b(v)),)), (lambda v: [bits_of(lambda p, q: ((p << n) & M) + q >> 32 >= 1, a(v), b(v))])
    if op == "LOP3":
        code = int(sources[3], 16)
        special = {
            0xC0: lambda p, q, r: p & q, 0xFC: lambda p, q, r: p | q, 0x3C: lambda p, q, r: p ^ q, 0x96: lambda p, q, r: p ^ q ^ r, 0x33: lambda p, q, r: q ^ M,
        }.get(code, lambda p, q, r: table3(code, p, q, r))
        a, b, c = read[:3]
        get = lambda v: lift(special, a(v), b(v), c(v))
        return (lambda v: (get(v),)), (lambda v: [bits_of(lambda p: p != 0, get(v))])
    if op == "SHF":
        a, b, c = read[:3]
        return (lambda v: (lift(lambda p, q, r: shifted(full, p, q, r), a(v), b(v), c(v)),)), None
    if op == "ISETP":
        compare = COMPARE[mods[0]]
        key = (lambda p: p) if "U32" in mods else (lambda p: p ^ SIGN)
        join = next(m for m in mods if m in ("AND", "OR", "XOR"))
        a, b = read[:2]
        others = carry(sources[2:])
        extended = "EX" in mods

        def flags(v):
            x, y = a(v), b(v)
            if extended:  # equal high words leave it to the low ones
                low = others[1](v)
                strict = bits_of(lambda p, q: compare(key(p), key(q)), x, y)
                equal = bits_of(lambda p, q: p == q, x, y)
                known = strict[1] & (low[1] | ~equal[0])
                value = (strict[0] & ~equal[0] | low[0] & equal[0]) & known
            else:
                value, known = bits_of(lambda p, q: compare(key(p), key(q)), x, y)
            more, certain = others[0](v)
            no = ~value & known
            if join == "AND":
                return [(value & more, known & certain | no | ~more & certain), (no & more, known & certain)]
            return [((value | more) & FULL, known & certain | value | more & certain), ((no | more) & FULL, known & certain)]

        return None, flags
    if op == "PLOP3":
        inputs, code = [condition(w) for w in sources[:3]], int(sources[3], 16)

        def flags(v):
            got = [i(v) for i in inputs]
            known = got[0][1] & got[1][1] & got[2][1]
            return [(table3(code, *(g[0] for g in got)) & known, known), (0, 0)]

        return None, flags
    if op in ("SEL", "FSEL"):
        choice = condition(sources[2])

        def value(v):
            bits, known = choice(v)
            x, y = read[0](v), read[1](v)
            if known == FULL and bits in (0, FULL):
                return (x if bits else y,)
            return ([(lane(x, i) if bits >> i & 1 else lane(y, i)) if known >> i & 1 else UNKNOWN for i in range(WARP)],)

        return value, None
    if op in ("FADD", "FMUL", "FFMA") and not {"SAT", "RM", "RP", "RZ"} & set(mods):
        reals = [real_reader(w) for w in sources]
        formula = {"FADD": lambda p, q: p + q, "FMUL": lambda p, q: p * q, "FFMA": lambda p, q, r: p * q + r}[op]

        def rounded(*numbers):
            try:
                return bits_of_number(formula(*numbers))
            except OverflowError:
                return UNKNOWN

        return (lambda v: (lift(rounded, *(r(v) for r in reals)),)), None
    if op == "FSETP" and mods[0] in ("NEU", "NE", "GT", "GE", "LT", "LE", "EQ", "GEU", "GTU", "LTU") and sources[2] == "PT":
        compare = COMPARE[mods[0].rstrip("U")]
        reals = [real_reader(w) for w in sources[:2]]
        return None, (lambda v: [bits_of(compare, reals[0](v), reals[1](v)), bits_of(lambda p, q: not compare(p, q), reals[0](v), reals[1](v))])
    if op == "PRMT" and sources[1].startswith("0x"):
        return three(lambda a, s, b: permuted(a, s, b)), None
    if op == "IABS":
        return (lambda v: (lift(lambda p: abs(signed(p)), read[0](v)),)), None
    if op in ("VIMNMX", "VIADDMNMX", "VIMNMX3"):
        key = (lambda p: p) if "U32" in mods else signed
        least = condition(sources[-1])
        a, b = read[:2]
        third = read[2] if op != "VIMNMX" else (lambda v: 0)

        def value(v):
            bits, known = least(v)
            if known != FULL or bits not in (0, FULL):
                return (UNKNOWN,)
            choose = min if bits else max
            if op == "VIMNMX":
                return (lift(lambda p, q: choose(p, q, key=key), a(v), b(v)),)
            if op == "VIADDMNMX":
                return (lift(lambda p, q, r: choose(p + q & M, r, key=key), a(v), b(v), third(v)),)
            return (lift(lambda p, q, r: choose(p, q, r, key=key), a(v), b(v), third(v)),)

        return value, None
    if op == "I2F" and "RP" in mods and "U64" not in mods:
        return (lambda v: (lift(rounded_up, read[0](v)),)), None
    if op == "I2FP":
        return (lambda v: (lift(lambda p: bits_of_number(float(signed(p))), read[0](v)),)), None
    if op == "MUFU" and mods == ["RCP"]:
        def reciprocal(p):
            x = number_of(p)
            return bits_of_number(1 / x) if 1e-30 < abs(x) < 1e30 else 0x7F800000

        return (lambda v: (lift(reciprocal, read[0](v)),)), None
    if op == "F2I" and "TRUNC" in mods and "U64" not in mods:
        def whole(p):
            x = number_of(p)
            return M if x != x or x >= 2.0**32 else max(0, int(x))

        return (lambda v: (lift(whole, read[0](v)),)), None
    if op == "P2R":
        mask = reader(sources[2])

        def value(v):
            chosen = mask(v)
            out = [0] * WARP
            for n in range(7):
                if chosen >> n & 1:
                    bits, known = v.P[n]
                    out = [UNKNOWN if o is UNKNOWN or not known >> i & 1 else o | (bits >> i & 1) << n for i, o in enumerate(out)]
            return (out,)

        return value, None
    if op == "FLO" and mods == ["U32"]:
        return (lambda v: (lift(lambda p: p.bit_length() - 1 & M, read[0](v)),)), None
    if op == "POPC":
        return (lambda v: (lift(lambda p: bin(p).count("1"), read[0](v)),)), None
    return None, None


MEMORY = {"LDS", "STS", "LD", "ST", "LDG", "STG", "LDGSTS", "LDSM", "STSM", "ATOM", "ATOMS", "LDL", "STL", "SHFL", "MOVM"}


def pointer(text):
    """How an address is read, of [R1], [R1+0x10], [UR4+0x8], desc[UR8][R2.64+0x48]."""
    m = re.fullmatch(r"(?:desc\[UR\d+\])?\[(?:(U?R\d+|RZ|URZ)(\.64|\.U32)?)?(?:\+?(UR\d+))?(?:\+?(-?0x[0-9a-f]+))?\]", text)
    if not m:
        raise SystemExit(f"no address: {text}")
    base, wide_, second, offset = m.group(1) or "RZ", m.group(2) == ".64", m.group(3), int(m.group(4) or "0", 16)
    low = reader(base)
    high = (lambda v: 0) if not wide_ or base == "RZ" else reader(re.sub(r"\d+", lambda d: str(int(d.group()) + 1), base))
    more = reader(second) if second else None

    def read(v):
        if wide_:
            a = lift(lambda p, q: (p | q << 32) + offset, low(v), high(v))
        else:
            a = lift(lambda p: p + offset & M, low(v))
        return a if more is None else lift(lambda p, q: p + q, a, more(v))

    return read


def memory(step, x, body, words):
    op, width = x.op, step.width
    addresses = [w for w in words if "[" in w]
    at = [pointer(a) for a in addresses]
    registers = max(1, width // 4)
    if op == "LDSM":
        registers = int(re.search(r"\.([24])\b", body.split()[0] + ".").group(1)) if re.search(r"\.[24]\b", body.split()[0]) else 1
        step.width = width = 16
    loads = op in ("LDS", "LD", "LDG", "LDSM", "ATOM", "ATOMS", "LDL", "SHFL", "MOVM")
    places = []
    if loads:
        d = next((w for w in words if destination(w)), None)
        if d:
            n = destination(d)[1]
            places = [n + i for i in range(registers)]
    data = None
    if op in ("STS", "ST", "STG", "STL"):
        n = words[-1]
        data = [reader(n)] if n == "RZ" or registers == 1 else [reader(f"R{int(n[1:]) + i}") for i in range(registers)] if re.fullmatch(r"R\d+", n) else None
        if n == "RZ":
            data = [reader("RZ")] * registers

    def forget(v, mask):
        for n in places:
            v.R[n] = merged(v.R[n], UNKNOWN, mask)
        if op == "SHFL":
            v.P[0] = v.P[0] if not words[0].startswith("P") or words[0] == "PT" else (0, 0)

    step.forget = forget
    space = {"LDS": "shared", "STS": "shared", "LDSM": "shared", "STSM": "shared", "LDL": "local", "STL": "local"}.get(op)

    def do(v, mask):
        memory_ = v.block.memory
        if op in ("SHFL", "MOVM"):
            forget(v, mask)
            if op == "SHFL" and re.fullmatch(r"P\d", words[0]):
                v.P[int(words[0][1])] = (FULL, FULL)
            return
        if op == "STL" or op == "LDL":
            where = at[0](v)
            if data is not None:
                for i, d in enumerate(data):
                    if type(where) is int:
                        v.local[where + 4 * i] = merged(v.local.get(where + 4 * i), d(v), mask)
            else:
                for i, n in enumerate(places):
                    v.R[n] = merged(v.R[n], v.local.get(where + 4 * i) if type(where) is int else UNKNOWN, mask)
            return
        where = at[0](v)
        if space == "shared":
            where = lift(lambda a: a + WINDOW, where)
        active = range(WARP) if mask == FULL else [i for i in range(WARP) if mask >> i & 1]
        lanes = [lane(where, i) for i in active] if type(where) is list else None
        # what it takes
        if where is not UNKNOWN:
            got = lanes if lanes is not None else [where]
            known = next((a for a in got if a is not None), None)
            if known is not None and known >= WINDOW:
                v.waves = v.block.waves.of(got, width)
                v.sectors = 0
            else:
                v.waves, v.sectors = 0, v.block.sectors.of(got, width)
        else:
            v.waves, v.sectors = 0, max(1, len(active) * width // SECTOR)
        if op == "LDGSTS":
            source = at[1](v)
            if v.waves == 0:
                v.waves = 4
            if source is UNKNOWN:
                v.sectors = max(1, len(active) * width // SECTOR)
            else:
                v.sectors = v.block.sectors.of([lane(source, i) for i in active], width)
            return
        if op == "ATOM":
            old = memory_.load(where if lanes is None else lanes[0])
            memory_.store(where if lanes is None else lanes[0], old + 1)
            for n in places:
                v.R[n] = merged(v.R[n], old, mask)
            return
        if op in ("LDSM", "STSM"):
            return forget(v, mask)
        if data is not None or op in ("STS", "ST", "STG"):
            if where is UNKNOWN or width < 4 or data is None:
                return
            for i, d in enumerate(data):
                value = d(v)
                if value is UNKNOWN:
                    continue
                if lanes is None:
                    value = lane(value, active[-1])
                    if value is not None:
                        memory_.store(where + 4 * i, value)
                    continue
                for j, a in zip(active, lanes):
                    one = lane(value, j)
                    if a is not None and one is not None:
                        memory_.store(a + 4 * i, one)
            return
        # loads
        if where is UNKNOWN:
            return forget(v, mask)
        if lanes is None:
            if not memory_.anything(where):
                return forget(v, mask)
            for i, n in enumerate(places):
                v.R[n] = merged(v.R[n], part(memory_.load(where + 4 * i & ~3), where, width, x.full), mask)
            return
        if not any(a is not None and memory_.anything(a) for a in lanes):
            return forget(v, mask)
        for i, n in enumerate(places):
            new = [UNKNOWN] * WARP
            for j, a in zip(active, lanes):
                if a is not None:
                    new[j] = part(memory_.load(a + 4 * i & ~3), a, width, x.full)
            v.R[n] = merged(v.R[n], new, mask)

    step.do = do
    return step


def part(word, at, width, full):
    """Of a word, the bytes that are loaded."""
    if word is None or width >= 4:
        return word
    value = word >> 8 * (at & 3) & (1 << 8 * width) - 1
    if ".S" in full and value >> 8 * width - 1:
        value |= M ^ (1 << 8 * width) - 1
    return value
