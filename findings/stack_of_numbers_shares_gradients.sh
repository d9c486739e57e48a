#!/usr/bin/env bash
# Two parameters without dimensions that are stacked and summed have one .grad between them.
#
# Expected: each leaf has a .grad of its own; after two backward passes of a sum both are 2.
# Seen (torch 2.14.1): the gradient of a sum is one number, expanded; the backward of stack gives each parameter a view of it,
#   and a view without dimensions is taken as .grad as it is. What is added to one arrives in the other: after two passes
#   both are 3, after three 5. Parameters of one dimension or more are copied, and are right; so is a mean of products.
# So: keep learnt numbers in one vector, or zero gradients by setting them to None, which the default of zero_grad does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch

print("torch", torch.__version__)
for shape in ((), (1,), (3,)):
    x, y = (torch.nn.Parameter(torch.zeros(shape)) for _ in range(2))
    seen = []
    for _ in range(3):
        torch.stack([x, y]).sum().backward()
        seen.append((x.grad.flatten()[0].item(), y.grad.flatten()[0].item()))
    shared = x.grad.data_ptr() == y.grad.data_ptr()
    print(f"shape {shape}: after one, two, three passes {seen}; one memory: {shared}")
    assert shared == (shape == ())
    assert seen == ([(1, 1), (3, 3), (5, 5)] if shape == () else [(1, 1), (2, 2), (3, 3)])
PROGRAM
