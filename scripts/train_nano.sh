#!/usr/bin/env bash
# Trains the frame model as the model card tells: image prior, teacher, two distillations, their sum.
#
#   scripts/train_nano.sh OUT [OPTION ...]
#
# Options go to every stage; docs/training.md explains them. Set in the environment:
#   MINUTES=60     all stages together: 5 % prior, 50 % control, 15 and 30 % distillation
#   LAUNCH=...     what starts a stage, for several GPUs:
#                  LAUNCH="torchrun --standalone --nproc-per-node 8 -m worldfm_agents.cli"
#   PYTHON=python  what runs the script that sums weights
#
# Run again with the same OUT, it goes on where it was interrupted; a finished stage is not repeated.
set -euo pipefail

out=${1:?"usage: scripts/train_nano.sh OUT [OPTION ...]"}
shift
minutes=${MINUTES:-60}
read -r -a launch <<<"${LAUNCH:-worldfm-gym}"

share() { awk -v all="$minutes" -v part="$1" 'BEGIN { printf "%.3f", all * part }'; }

# An interrupted stage ends well, with a checkpoint: the next must not start from it.
trap 'exit 130' INT TERM

# stage FOLDER NAME SHARE FROM [OPTION ...]: starts from weights, or goes on from its own checkpoint.
stage() {
  local folder=$out/$1 name=$2 budget from=$4
  budget=$(share "$3")
  shift 4
  local start=()
  if [[ -e $folder/checkpoint.safetensors ]]; then
    start=(--resume)
  elif [[ -n $from ]]; then
    start=(--init "$from")
  fi
  "${launch[@]}" train "$name" --out "$folder" --minutes "$budget" "${start[@]}" "$@"
}

stage prior prior 0.05 "" "$@"
stage control control 0.50 "$out/prior/checkpoint.safetensors" \
  --groups 128 --optimizer.learning-rate 1.5e-3 --anchor.first 0.6 --anchor.ramp 0.1 \
  --times.pure-noise 0.3 --generator.pool-worlds 64 "$@"
stage pairs distill 0.15 "$out/control/checkpoint.safetensors" \
  --distill.matching 0 --distill.regression 0.7 --distill.teacher-steps 24 --distill.pairs 24 \
  --distill.pair-refresh 16 --distill.adversarial.weight 0.7 --optimizer.learning-rate 2e-4 \
  --optimizer.warmup-steps 50 --generator.pool-worlds 48 --generator.reuse 6 "$@"
stage distill distill 0.30 "$out/pairs/checkpoint.safetensors" \
  --distill.matching 0 --distill.regression 0 --distill.truth-invented 0 --distill.energy 1 \
  --distill.consistency 1.5 --distill.adversarial.weight 1.2 --distill.adversarial.learning-rate 1 \
  --optimizer.learning-rate 4e-4 --generator.neighbors --generator.pool-worlds 48 \
  --generator.reuse 6 "$@"
# A little beyond the student, away from its teacher: what is invented gets sharper.
"${PYTHON:-python}" "$(dirname "$0")/blend_weights.py" "$out/nano.safetensors" \
  --add "$out/control/model.safetensors" -0.06 --add "$out/distill/model.safetensors" 1.06
echo "student: $out/nano.safetensors, teacher: $out/control/model.safetensors"
