#!/usr/bin/env bash
# ctx.needs_input_grad says True inside a Function's forward under torch.no_grad.
#
# Expected: under no_grad no gradient will ever be asked for, so False; a forward that prepares what backward needs only
#   if it is needed would then spare the work at inference.
# Seen (torch 2.14.1): it tells requires_grad of the inputs, whatever the mode; backward can never come, yet the work is done.
#   torch.is_grad_enabled() does not help inside forward, where it is always False.
# So: ask torch.is_grad_enabled() outside, before apply, and hand the answer in as an argument.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch

print("torch", torch.__version__)
seen = []


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        seen.append((ctx.needs_input_grad, torch.is_grad_enabled()))
        return 2 * x

    @staticmethod
    def backward(ctx, grad_output):
        return 2 * grad_output


x = torch.ones(1, requires_grad=True)
with torch.no_grad():
    y = Twice.apply(x)
z = Twice.apply(x)
print(f"under no_grad: needs_input_grad {seen[0][0]}, is_grad_enabled {seen[0][1]}, output requires grad {y.requires_grad}")
print(f"elsewhere:     needs_input_grad {seen[1][0]}, is_grad_enabled {seen[1][1]}, output requires grad {z.requires_grad}")
assert seen[0] == seen[1] == ((True,), False) and not y.requires_grad and z.requires_grad
PROGRAM
