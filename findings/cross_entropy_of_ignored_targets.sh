#!/usr/bin/env bash
# cross_entropy of a batch whose targets are all ignored: the loss is NaN, its gradient is zero.
#
# Expected: a mean over nothing is NaN, and so is its gradient, which a check for finite gradients would see.
# Seen (torch 2.14.1): loss NaN, gradient all zeros: the weights stay, while every average of the losses becomes NaN.
# So: reduction="sum", divided by the number of targets that count, at least 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch
from torch.nn import functional as F

print("torch", torch.__version__)
logits = torch.randn(2, 3, requires_grad=True)
loss = F.cross_entropy(logits, torch.full((2,), -100))
loss.backward()
print("loss", loss.item(), "gradient", logits.grad.tolist())
assert loss.isnan() and logits.grad.abs().max() == 0
PROGRAM
