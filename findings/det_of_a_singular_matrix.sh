#!/usr/bin/env bash
# The gradient of torch.linalg.det at an exactly singular matrix is zero, where the matrix of cofactors is not.
#
# Expected: d det / dA is the matrix of cofactors, for every matrix: of [[1, 2], [2, 4]] that is [[4, -2], [-2, 1]].
# Seen (torch 2.14.1): zeros, without a word, and gradcheck says that analytical and numerical Jacobian differ. A matrix
#   that is singular but for rounding gets the right gradient.
# So: where singular matrices can come, write the cofactors out, or add a small multiple of the identity.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch

print("torch", torch.__version__)
matrix = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64, requires_grad=True)
torch.linalg.det(matrix).backward()
h = 1e-6
slopes = torch.zeros(2, 2, dtype=torch.float64)
for i in range(2):
    for j in range(2):
        step = torch.zeros(2, 2, dtype=torch.float64)
        step[i, j] = h
        with torch.no_grad():
            slopes[i, j] = (torch.linalg.det(matrix + step) - torch.linalg.det(matrix - step)) / (2 * h)
print("backward", matrix.grad.tolist())
print("slopes  ", [[round(entry, 6) for entry in row] for row in slopes.tolist()])
checked = torch.autograd.gradcheck(torch.linalg.det, matrix, raise_exception=False)
print("gradcheck", checked)
rounded = torch.tensor([[1.0, 2, 3], [2, 4, 6], [1, 1, 1]], dtype=torch.float64, requires_grad=True)
torch.linalg.det(rounded).backward()
print("backward of another, whose det is rounded to", torch.linalg.det(rounded).item(), rounded.grad.round(decimals=6).tolist())
assert (rounded.grad - torch.tensor([[-2.0, 4, -2], [1, -2, 1], [0, 0, 0]])).abs().max() < 1e-9
assert matrix.grad.abs().max() == 0 and slopes.abs().max() > 3.9 and not checked
PROGRAM
