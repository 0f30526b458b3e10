#!/bin/sh
# A sweep on a Slurm cluster, a shard in each task of an array:
#
#   id=$(sbatch --parsable --array=1-8 slurm-sweep.sh --points 5000 --halving 1,4,16)
#   sbatch --dependency=afterok:$id slurm-finish.sh --points 5000 --halving 1,4,16
#
# The arguments are those of vanilla sweep. SWEEP is the directory for what is
# found, on a file system that all nodes share. A task that is requeued goes on
# where it was stopped.
#SBATCH --job-name=sweep
#SBATCH --requeue
set -eu
exec "${VANILLA:-vanilla}" sweep "$@" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
	--out "${SWEEP:-sweep}/shard-$SLURM_ARRAY_TASK_ID" --resume
