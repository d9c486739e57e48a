#!/usr/bin/env bash
# The third derivative of layer_norm is another than the slope of its second, and nothing says so.
#
# Expected: what can be differentiated with create_graph is right to any order, or refused: batch_norm refuses the third.
# Seen (torch 2.14.1, CPU, float64): value, first and second derivative are those of the formula to 1e-15, and gradcheck
#   and gradgradcheck pass. Below the third is -41.57 by differences of torch's own second and by the formula, 0.60 by autograd.
#   group_norm and rms_norm give the formula's.
# So: a penalty on a Hessian-vector product (two derivatives, and one more to train) through layer_norm descends along
#   something else; write layer_norm out with mean and var there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch
import torch.nn.functional as F

print("torch", torch.__version__)
torch.manual_seed(0)
X, one, two, three, four = torch.randn(5, 2, 4, dtype=torch.float64)
X.requires_grad_()


def formula(x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()


def derivatives(function, x):
    """Return value, first, second and third derivative, each along one direction more."""
    found = [(function(x) * one).sum()]
    for direction in (two, three, four):
        (gradient,) = torch.autograd.grad(found[-1], x, create_graph=True)
        found.append((gradient * direction).sum())
    return [of.item() for of in found]


def slope_of_the_second(function, h=1e-5):
    ahead, behind = (derivatives(function, (X + s * h * four).detach().requires_grad_())[2] for s in (1, -1))
    return (ahead - behind) / (2 * h)


norm = lambda x: F.layer_norm(x, (4,))
expected, seen = derivatives(formula, X), derivatives(norm, X)
for order, (right, torchs) in enumerate(zip(expected, seen)):
    print(f"derivative {order}: formula {right:+.6f}, layer_norm {torchs:+.6f}")
measured = slope_of_the_second(norm)
print(f"slope of layer_norm's own second derivative: {measured:+.6f}")
grouped = derivatives(lambda x: F.group_norm(x, 1), X)
print(f"third derivative of group_norm with one group: {grouped[3]:+.6f}")
assert torch.autograd.gradgradcheck(norm, (X,))
assert all(abs(a - b) < 1e-9 for a, b in zip(expected[:3], seen[:3]))
assert abs(measured - expected[3]) < 1e-6 and abs(grouped[3] - expected[3]) < 1e-9
assert abs(seen[3] - expected[3]) > 0.01
try:
    derivatives(lambda x: F.batch_norm(x, None, None, training=True), X)
except RuntimeError as error:
    print("batch_norm:", error)
else:
    raise SystemExit("batch_norm no longer refuses")
PROGRAM
