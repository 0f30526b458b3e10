"""Numbers of a warp's registers: one that all lanes have, a list of each lane's, or None where nothing is known; so are elements of
a list. They are of 32 bits and without a sign. Conditions are two numbers of 32 bits: for which lanes one is true, and for
which that is known."""

import struct

WARP, FULL = 32, (1 << 32) - 1
M, M64, SIGN = FULL, (1 << 64) - 1, 1 << 31
UNKNOWN = None


def signed(x):
    return (x ^ SIGN) - SIGN


def lift(f, *args):
    """f of numbers: of a warp's one, or of each lane's."""
    if not any(type(a) is list for a in args):
        return UNKNOWN if UNKNOWN in args else f(*args)
    if UNKNOWN in args:
        return UNKNOWN
    lanes = [a if type(a) is list else (a,) * WARP for a in args]
    try:
        return [f(*x) for x in zip(*lanes)]
    except (TypeError, struct.error):
        return [UNKNOWN if UNKNOWN in x else f(*x) for x in zip(*lanes)]


def bits_of(f, *args):
    """Of a condition: for which lanes it is true, and for which it is known."""
    if not any(type(a) is list for a in args):
        return (0, 0) if UNKNOWN in args else (FULL if f(*args) else 0, FULL)
    if UNKNOWN in args:
        return 0, 0
    lanes = zip(*(a if type(a) is list else (a,) * WARP for a in args))
    value = known = 0
    for i, x in enumerate(lanes):
        if UNKNOWN not in x:
            known |= 1 << i
            if f(*x):
                value |= 1 << i
    return value, known


def merged(old, new, mask):
    if mask == FULL:
        return new
    a = old if type(old) is list else (old,) * WARP
    b = new if type(new) is list else (new,) * WARP
    return [y if mask >> i & 1 else x for i, (x, y) in enumerate(zip(a, b))]


def lane(v, i):
    return v[i] if type(v) is list else v


def first(mask):
    return (mask & -mask).bit_length() - 1


def number_of(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def bits_of_number(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def rounded_up(n):
    """A whole number as float32, rounded up."""
    bits = bits_of_number(float(n))
    return bits + 1 if number_of(bits) < n else bits
