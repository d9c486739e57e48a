"""What a piece of work asks of the machine, beside what the machine can do.

Floating-point operations are those of matrix products and convolutions, counted by torch.utils.flop_counter; bytes are
those that each operation of torch reads and writes, as if there were no cache. Work that takes the greater of
flops / (rate of a large matrix product) and bytes / (rate of a large copy) could not be faster: its share is 1.
"""

import statistics
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from amal.training.device import synchronize

VIEWS = (
    *("view", "unsafe_view", "t", "transpose", "permute", "expand", "slice", "select", "split", "unbind"),
    *("unsqueeze", "squeeze", "detach", "alias"),
)
CHOICES = ("index", "index_select", "gather", "embedding")
"""Operations that read no more of a tensor than they return."""


class Rates(NamedTuple):
    """What the machine can do."""

    flops: float
    """Floating-point operations per second in a product of two large matrices in float32."""
    bytes: float
    """Bytes per second that a large copy reads and writes."""


class Work(NamedTuple):
    """What a call asks of it."""

    flops: float
    bytes: float

    def times(self, number: float) -> "Work":
        """Return the work of so many calls."""
        return Work(self.flops * number, self.bytes * number)


class _Bytes(TorchDispatchMode):
    """Adds up what operations read and write; views touch nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.strip("_")
        if name not in VIEWS:
            touched: list[Any] = [args[1:], returned, returned] if name in CHOICES else [args, kwargs or {}, returned]
            while touched:
                of = touched.pop()
                if isinstance(of, Tensor):
                    self.total += of.numel() * of.element_size()
                elif isinstance(of, dict):
                    touched += of.values()
                elif isinstance(of, list | tuple):
                    touched += of
        return returned


def work_of(call: Callable[[], object]) -> Work:
    """Count what one call asks of the machine."""
    with FlopCounterMode(display=False) as flops:
        call()
    with _Bytes() as moved:
        call()
    return Work(flops.get_total_flops(), moved.total)


@cache
def rates(device: str) -> Rates:
    """Measure what the machine can do: medians of seven, after a first."""
    a, b = torch.randn(2, 2048, 2048, device=device)
    out = torch.empty_like(a)
    large = torch.randn(32 * 2**20, device=device)
    other = torch.empty_like(large)
    product = _median(lambda: torch.mm(a, b, out=out))
    copy = _median(lambda: other.copy_(large))
    return Rates(2 * 2048**3 / product, 2 * large.numel() * 4 / copy)


def _median(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(8):
        synchronize()
        started = time.perf_counter()
        call()
        synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def roofline(work: Work | Callable[[], object], seconds: float, device: str) -> dict[str, dict[str, float]]:
    """Return, under "roofline", the work (of a call) that took so long, and its shares of both rates and the bound."""
    asked, machine = work if isinstance(work, Work) else work_of(work), rates(device)
    least = max(asked.flops / machine.flops, asked.bytes / machine.bytes)
    return {
        "roofline": {
            "seconds": seconds,
            "gflop": asked.flops / 1e9,
            "gbyte": asked.bytes / 1e9,
            "share of product": asked.flops / seconds / machine.flops,
            "share of copy": asked.bytes / seconds / machine.bytes,
            "share of bound": least / seconds,
        }
    }


def memory_peak(call: Callable[[], object], device: str) -> int:
    """Return the most bytes that a call holds at once, beside what stood before it."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiled:
        call()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
