#!/usr/bin/env bash
# clip_grad_norm_ with one infinite entry sets all other gradients to zero.
#
# Expected: everything becomes NaN, or the infinite entry is cut to the norm; in any case something that is seen.
# Seen (torch 2.14.1): the norm is infinite, so the factor is 0: every finite gradient of the model becomes 0, and the
#   infinite entry NaN. (One NaN entry instead makes every gradient NaN.)
# So: error_if_nonfinite=True, or look at the norm that is returned.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch

print("torch", torch.__version__)
first, second = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(2))
first.grad, second.grad = torch.tensor([1.0, torch.inf]), torch.tensor([3.0, 4.0])
norm = torch.nn.utils.clip_grad_norm_([first, second], 1.0)
print("norm", norm.item(), "gradients", first.grad.tolist(), second.grad.tolist())
assert first.grad[0] == 0 and first.grad[1].isnan() and second.grad.tolist() == [0, 0]
first.grad, second.grad = torch.tensor([1.0, torch.nan]), torch.tensor([3.0, 4.0])
norm = torch.nn.utils.clip_grad_norm_([first, second], 1.0)
print("norm", norm.item(), "gradients", first.grad.tolist(), second.grad.tolist())
assert second.grad.isnan().all()
PROGRAM
