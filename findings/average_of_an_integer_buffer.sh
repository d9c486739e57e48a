#!/usr/bin/env bash
# AveragedModel(use_buffers=True) never counts the batches of a batch normalisation beyond the first.
#
# Expected: a buffer of integers that is averaged follows the others, or is copied.
# Seen (torch 2.14.1): the running average of `num_batches_tracked` adds (value - average) / (n + 1), rounded to an integer,
#   so that it stays 1 while the model has seen 50 batches. A batch normalisation with momentum=None, which divides by that
#   count, then starts anew from the averaged model.
# So: set num_batches_tracked from the model after averaging, or call update_bn.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch

print("torch", torch.__version__)
torch.manual_seed(0)
model = torch.nn.BatchNorm1d(2, momentum=None)
averaged = torch.optim.swa_utils.AveragedModel(model, use_buffers=True)
for _ in range(50):
    model(torch.randn(8, 2))
    averaged.update_parameters(model)
counts = model.num_batches_tracked.item(), averaged.module.num_batches_tracked.item()
print("batches counted by the model: {}, by its average: {}".format(*counts))
assert counts == (50, 1)
batch = torch.full((8, 2), 100.0)
moved = []
for module in (model, averaged.module):
    before = module.running_mean.clone()
    module(batch)
    moved.append(((module.running_mean - before) / (100 - before)).mean().item())
print("share of the next batch in the running mean: {:.4f} and {:.4f}".format(*moved))
assert abs(moved[0] - 1 / 51) < 1e-3 and abs(moved[1] - 1 / 2) < 1e-3
PROGRAM
