#!/usr/bin/env bash
# Trains the frame model through its three stages, one after the other.
#
#   scripts/train_nano.sh OUT [OPTION ...]
#
# Options go to every stage; docs/training.md explains them. Set in the environment:
#   MINUTES=30     all three stages together: 15 % prior, 60 % control, 25 % distillation
#   LAUNCH=...     what starts a stage, for several GPUs:
#                  LAUNCH="torchrun --standalone --nproc-per-node 8 -m worldfm_agents.cli"
#
# Run again with the same OUT, it goes on where it was interrupted; a finished stage is not repeated.
set -euo pipefail

out=${1:?"usage: scripts/train_nano.sh OUT [OPTION ...]"}
shift
minutes=${MINUTES:-30}
read -r -a launch <<<"${LAUNCH:-worldfm-gym}"

share() { awk -v all="$minutes" -v part="$1" 'BEGIN { printf "%.3f", all * part }'; }

# An interrupted stage ends well, with a checkpoint: the next must not start from it.
trap 'exit 130' INT TERM

# stage NAME SHARE FROM [OPTION ...]: starts from weights, or goes on from its own checkpoint.
stage() {
  local name=$1 budget from=$3
  budget=$(share "$2")
  shift 3
  local start=()
  if [[ -e $out/$name/checkpoint.safetensors ]]; then
    start=(--resume)
  elif [[ -n $from ]]; then
    start=(--init "$from")
  fi
  "${launch[@]}" train "$name" --out "$out/$name" --minutes "$budget" "${start[@]}" "$@"
}

stage prior 0.15 "" "$@"
stage control 0.60 "$out/prior/checkpoint.safetensors" "$@"
stage distill 0.25 "$out/control/checkpoint.safetensors" "$@"
echo "student: $out/distill/model.safetensors, teacher: $out/control/model.safetensors"
