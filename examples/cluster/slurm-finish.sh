#!/bin/sh
# The end of slurm-sweep.sh, with the same arguments: joins the shards, and trains
# and tests the finalists in $SWEEP/all.
#SBATCH --job-name=finals
#SBATCH --requeue
set -eu
sweep=${SWEEP:-sweep}
[ -e "$sweep/all/spec.json" ] || "${VANILLA:-vanilla}" results --merge "$sweep"/shard-* --out "$sweep/all"
exec "${VANILLA:-vanilla}" sweep "$@" --out "$sweep/all" --resume
