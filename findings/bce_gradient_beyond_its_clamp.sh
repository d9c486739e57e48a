#!/usr/bin/env bash
# binary_cross_entropy at a probability of 0: the value is cut off at 100, its gradient is -1e12.
#
# Expected: where the logarithm is clamped the loss is flat, and the gradient 0; or the slope of the logarithm, without end.
# Seen (torch 2.14.1): neither. The value is 100 for every probability below 4e-44, and backward divides by
#   max(p (1 - p), 1e-12), so that the gradient at 0 is -1e12. Behind a saturated sigmoid, whose slope is 0, nothing of it
#   is left, and nothing is learnt; behind anything else that can reach 0, such as a clamp, all of it is.
# So: use binary_cross_entropy_with_logits, whose gradient there is -1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch
from torch.nn import functional as F

print("torch", torch.__version__)
seen = {}
for p in (1e-6, 1e-12, 1e-30, 0.0):
    probability = torch.tensor([p], requires_grad=True)
    loss = F.binary_cross_entropy(probability, torch.ones(1))
    loss.backward()
    seen[p] = loss.item(), probability.grad.item()
    print(f"probability {p:g} of what is true: loss {seen[p][0]:.2f}, gradient {seen[p][1]:.3g}")
logit = torch.tensor([-200.0], requires_grad=True)
F.binary_cross_entropy_with_logits(logit, torch.ones(1)).backward()
print(f"with logits, at -200: gradient {logit.grad.item():g}")
assert seen[0.0][0] == 100 and abs(seen[0.0][1] / -1e12 - 1) < 1e-6 and logit.grad.item() == -1
PROGRAM
