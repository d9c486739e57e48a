#!/usr/bin/env bash
# ReduceLROnPlateau never lowers the learning rate while a negative metric stands still.
#
# Expected: a metric that does not change for longer than `patience` is a plateau, whatever its sign.
# Seen (torch 2.14.1): with the default threshold_mode="rel" better means below best * (1 - 1e-4). Of a best of -1 that
#   is -0.9999, which -1 is below: each step counts as progress. A constant 1 or 0 lowers the rate after patience steps.
# So: negative metrics (a log-likelihood, an ELBO) want threshold_mode="abs".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch

print("torch", torch.__version__)
rates = {}
for metric in (1.0, 0.0, -1.0):
    for mode in ("rel", "abs"):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, threshold_mode=mode)
        for _ in range(10):
            scheduler.step(metric)
        rates[metric, mode] = optimizer.param_groups[0]["lr"]
        print(f"ten times {metric:4}, threshold_mode={mode}: the rate went from 1 to {rates[metric, mode]:g}")
assert all((rate == 1.0) == (key == (-1.0, "rel")) for key, rate in rates.items())
PROGRAM
