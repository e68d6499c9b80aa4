#!/usr/bin/env bash
# Fine-tune on two nodes with eight GPUs each; sbatch examples/train_slurm.sh my.yaml runs/mine
#
# A job that is pre-empted, or that runs into its time limit, is put back into the queue and goes on where it
# was: the run directory holds everything, and its last checkpoint is at most checkpoint_steps old.
#SBATCH --job-name=segood-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

config=$1 out=$2
resume=()
if [ -f "$out/config.yaml" ]; then resume=(--resume); fi

# one task per GPU; the tasks find each other through what srun tells them
srun --kill-on-bad-exit=1 segood train --config "$config" --out "$out" "${resume[@]}" \
  --trainer "{accelerator: gpu, devices: 8, num_nodes: ${SLURM_JOB_NUM_NODES:-2}, strategy: ddp, sync_batchnorm: true}"

srun --kill-on-bad-exit=1 segood evaluate "$out"
