#!/usr/bin/env bash
# A scheduler that is resumed alone says the rate it had, while the optimiser steps with another.
#
# Expected: StepLR.load_state_dict puts the learning rate back, or the next step() computes it from the epoch.
# Seen (torch 2.14.1): get_last_lr() gives the saved rate, the optimiser keeps the one it was made with, and the next
#   step() multiplies that: 0.5 where the uninterrupted training has 0.0625. LambdaLR, which computes in closed form,
#   is right after the next step.
# So: save and load the optimiser's state too, whose groups hold the rate.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch
from torch.optim.lr_scheduler import LambdaLR, StepLR

print("torch", torch.__version__)


def make(kind):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    return optimizer, StepLR(optimizer, 1, 0.5) if kind == "StepLR" else LambdaLR(optimizer, lambda epoch: 0.5**epoch)


def advance(optimizer, scheduler):
    optimizer.step()
    scheduler.step()
    return optimizer.param_groups[0]["lr"]


seen = {}
for kind in ("StepLR", "LambdaLR"):
    optimizer, scheduler = make(kind)
    for _ in range(3):
        advance(optimizer, scheduler)
    again, resumed = make(kind)
    resumed.load_state_dict(scheduler.state_dict())
    said, held = resumed.get_last_lr()[0], again.param_groups[0]["lr"]
    seen[kind] = said, held, advance(again, resumed), advance(optimizer, scheduler)
    print("{}: it says {}, the optimiser has {}; a step later {}, uninterrupted {}".format(kind, *seen[kind]))
assert seen == {"StepLR": (0.125, 1.0, 0.5, 0.0625), "LambdaLR": (0.125, 1.0, 0.0625, 0.0625)}
PROGRAM
