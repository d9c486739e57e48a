"""What amal runs on: what a run writes down of it, and what a report of a bug begins with."""

import platform

import torch

from amal import __version__
from amal.text import columns


def environment() -> dict[str, str]:
    """Return the versions of amal, torch and Python, the machine, and the name of its CUDA device, or "none"."""
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    versions = {"amal": __version__, "torch": torch.__version__, "python": platform.python_version()}
    return {**versions, "machine": platform.platform(), "cuda": cuda}


def as_lines() -> str:
    """Return it to read in a terminal, with the device that `--device auto` takes and the threads of torch."""
    values = environment()
    device = "CPU" if values["cuda"] == "none" else f"{values['cuda']}, and CPU"
    rows = {
        "amal": values["amal"],
        "torch": values["torch"],
        "Python": values["python"],
        "machine": values["machine"],
        "device": f"{device} (threads: {torch.get_num_threads()})",
    }
    return "\n".join(columns(rows.items()))
