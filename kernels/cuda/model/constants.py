"""What the model takes a multiprocessor for: a Hopper SM (H100 SXM), in cycles of its clock.

Nothing here was measured by this project. Assumed after, and not checked value by value: latencies of LDS, LDSM, LDG from L2 and ALU operations, and intervals of
tensor-core and special function operations, as published in microbenchmarks of Volta to Hopper (Jia et al.,
arXiv:1804.06826; Abdelkhalik et al., arXiv:2208.11174; Luo et al., arXiv:2402.13499), rounded; the rest is taken like its
neighbours. To change one is to restate every kernel: make model.
"""

SMS = 132  # of an H100 SXM
CLOCK_GHZ = 1.755  # boost, of its data sheet's 1.98 what it keeps under load
EXAMPLES = 60000  # of an epoch
STEPS_PER_EPOCH = 1875  # of batch 32

# Cycles from issue to use; READ: until a source register may be overwritten; OTHER: everything not named.
LAT = dict(
    LDS=29,
    LDSM=33,
    LD=36,
    LDG=265,
    LDL=40,
    LDC=40,
    ULDC=40,
    HBM=560,  # a load that is not in L2
    LDGSTS=20,
    STS=20,
    STSM=20,
    ST=20,
    STG=20,
    MUFU=22,
    MOVM=33,
    SHFL=24,
    S2R=25,
    S2UR=25,
    R2UR=12,
    BAR=20,
    I2F=22,
    F2I=22,
    I2FP=6,
    VOTE=12,
    ATOMS=60,
    SYNCS=20,
    POPC=16,
    IMAD=15,
    OTHER=15,
    READ=12,
)

# The pipe that an instruction takes, and for how long.
PIPE = dict(
    HMMA=("tensor", 6.5),
    MUFU=("xu", 8),
    I2F=("xu", 8),
    F2I=("xu", 8),
    POPC=("xu", 8),
    FFMA=("fma", 1),
    FADD=("fma", 1),
    FMUL=("fma", 1),
    HFMA2=("fma", 1),
    HMUL2=("fma", 1),
    IMAD=("fma", 2),
    FFMA2=("fma", 2),
)
ALU = set(
    "LOP3 PRMT SHF SEL FSEL ISETP FSETP FMNMX IADD3 LEA F2FP IABS IMNMX VIMNMX PLOP3 LOP SHL SHR MOV P2R R2P VIADD I2FP".split()
)
MIO = {"LDS", "STS", "LDSM", "STSM", "LDGSTS", "SHFL", "MOVM", "LD", "ST", "LDG", "STG", "ATOMS", "LDL", "STL"}
L2_BYTES = 24  # a cycle for each multiprocessor when all read or write: 5.6 TB/s of the device
L2_SIZE = 50_000_000  # bytes; what does not fit is taken to come from memory every time
HBM_BYTES = 14.4  # a cycle for each multiprocessor: 3.35 TB/s of the device, its data sheet
LAUNCH = 4400  # of a kernel behind another, beside what its blocks do: some 2.5 us
BRANCH_COST = 8  # taken branch, beyond its stall count
