"""Which device to compute on, and the seed of what is drawn there."""

import os

import torch

from amal.errors import UserError


def choose_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu`, `cuda`, `cuda:N` or `mps` names; `auto` is CUDA if there is one.

    Under torchrun each process has a CUDA device of its own.

    Raises:
        UserError: the name is unknown, or the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or not (number.isdigit() or name == kind) or (number and kind != "cuda"):
        raise UserError(f"--device {name}: expected auto, cpu, cuda, cuda:N or mps")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if count == 0:
        raise UserError(f"--device {name}: this machine has no {kind} device that torch can use; try --device cpu")
    if number and int(number) >= count:
        raise UserError(f"--device {name}: there are {count} CUDA devices here, numbered from 0")
    return torch.device(name)
