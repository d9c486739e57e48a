"""Which device to compute on, and how its memory is kept."""

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


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next call, as it does in any training that once freed 30 MB.

    Until a block of that size was freed, glibc hands back to the system whatever exceeds twice the
    largest block, and every step pays for its memory anew: a millisecond for 4 MB, ten times what
    it takes to multiply them.
    """
    torch.empty(30 * 2**20, dtype=torch.uint8)


def synchronize() -> None:
    """Wait until the device has done what it was asked to, before a clock is read."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
