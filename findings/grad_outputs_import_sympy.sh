#!/usr/bin/env bash
# The first gradient with a grad_output of one's own imports sympy, some 490 modules.
#
# Expected: a backward pass imports nothing; torch.autograd.grad(y, x, ones) does what y.sum().backward() does.
# Seen (torch 2.14.1): `import torch` and the gradient of a number leave sympy alone. With a grad_output its shape is
#   compared by torch.fx.experimental.symbolic_shapes, which imports sympy and mpmath: 0.3 to 0.9 s, once in a process.
# So: a short program that needs one gradient asks for that of (y * grad_output).sum().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
import time

import torch

print("torch", torch.__version__)
x = torch.ones(3, requires_grad=True)


def imported(gradient):
    before, begun = set(sys.modules), time.perf_counter()
    gradient()
    return len(set(sys.modules) - before), time.perf_counter() - begun


for name, gradient in {
    "of a number": lambda: torch.autograd.grad((x * x).sum(), x),
    "of a product": lambda: torch.autograd.grad((x * x * torch.ones(3)).sum(), x),
    "with a grad_output": lambda: torch.autograd.grad(x * x, x, torch.ones(3)),
    "once more": lambda: torch.autograd.grad(x * x, x, torch.ones(3)),
}.items():
    modules, seconds = imported(gradient)
    print(f"{name}: {modules} modules in {seconds:.3f} s; sympy: {'sympy' in sys.modules}")
    assert (modules > 100) == (name == "with a grad_output")
    assert ("sympy" in sys.modules) == (name in ("with a grad_output", "once more"))
PROGRAM
