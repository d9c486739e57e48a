#!/usr/bin/env bash
# F.normalize of a vector of zeros has a gradient of 1e12 times the incoming one.
#
# Expected: 0 (the output is 0 all around), NaN (0 / 0), or an error.
# Seen (torch 2.14.1): x / max(|x|, 1e-12) is, at 0, the linear map x * 1e12: a padding row of zeros sends 1e12 back.
#   cosine_similarity has the same with its own eps of 1e-8: 1e8.
# So: a larger eps, or mask such rows before the loss, and not after.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch
from torch.nn import functional as F

print("torch", torch.__version__)
zeros = torch.zeros(3, requires_grad=True)
F.normalize(zeros, dim=0).sum().backward()
print("normalize:", zeros.grad.tolist())
assert (zeros.grad / 1e12 - 1).abs().max() < 1e-6
zeros.grad = None
F.cosine_similarity(zeros, torch.tensor([1.0, 0.0, 0.0]), dim=0).backward()
print("cosine_similarity:", zeros.grad.tolist())
assert abs(zeros.grad[0] / 1e8 - 1) < 1e-6
PROGRAM
