#!/usr/bin/env bash
# Walking through a DataLoader draws from torch's global generator, also without shuffling and without workers.
#
# Expected: a loader of validation data, shuffle=False and num_workers=0, has nothing to draw.
# Seen (torch 2.14.1): each iterator draws one number, its seed for workers that it does not have. Whether and how often a
#   model is evaluated between two epochs so changes the dropout masks and the order of all later ones.
# So: give each loader a generator of its own; then the global one stays as it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch
from torch.utils.data import DataLoader, TensorDataset

print("torch", torch.__version__)
data = TensorDataset(torch.arange(4.0))


def next_number(walked, **options):
    torch.manual_seed(0)
    loader = DataLoader(data, **options)
    for _ in range(walked):
        list(loader)
    return torch.rand(()).item()


alone, walked = next_number(0), next_number(1)
own = next_number(1, generator=torch.Generator())
print(f"torch.rand after manual_seed(0): {alone:.4f}; a loader walked through in between: {walked:.4f}")
print(f"a loader with a generator of its own: {own:.4f}")
assert alone != walked and alone == own
PROGRAM
