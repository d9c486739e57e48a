"""What other gradient checkers of torch find of the doctor's bank of wrong Functions, and which right ones they refuse.

    python -m benchmarks.peers [word of a checker's name ...]

Each gets the arguments of the bank, in float64, as its documentation asks; what it says of a Function is whether it
passes, and an exception is no pass. Those of jax and of HIPS autograd, where they are installed, and of torch.library
get what `benchmarks.bridges` makes of a Function. Prints a Markdown table.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from doctor_bank.table import ALL_RIGHT, ALL_WRONG

from amal.checking import check, examine

from . import bridges


def variables(entry: Any) -> tuple[Any, ...]:
    """Return the arguments of an entry, those that have a gradient as leaves."""
    return tuple(
        of.clone().requires_grad_() if place in entry.call.variables else of
        for place, of in enumerate(entry.call.draw(5))
    )


def of_hips(order: int) -> Callable[[Any], bool]:
    """Return whether the checker of HIPS autograd passes an entry, at first or second order."""

    def passes(entry: Any) -> bool:
        from autograd.test_util import check_grads

        call, arrays, places = bridges.formula(entry)
        lifted = bridges.in_hips(call, places, len(arrays))
        check_grads(lifted, tuple(range(len(arrays))), modes=["rev"], order=order)(*arrays)
        return True

    return passes


def of_jax(order: int) -> Callable[[Any], bool]:
    """Return whether the checker of jax passes an entry, at first or second order."""

    def passes(entry: Any) -> bool:
        import jax
        from jax.test_util import check_grads

        jax.config.update("jax_enable_x64", True)
        call, arrays, places = bridges.formula(entry)
        lifted = bridges.in_jax(call, places, len(arrays), bridges.value(call, *arrays).shape)
        check_grads(lifted, tuple(arrays), order, modes=["rev"])
        return True

    return passes


def by_opcheck(entry: Any) -> bool:
    """Whether torch.library.opcheck passes an entry."""
    torch.library.opcheck(*bridges.in_library(entry, f"entry_{next(NUMBERS)}"))
    return True


def of_torch(checker: Callable[..., bool], **options: Any) -> Callable[[Any], bool]:
    """Return whether a checker of torch passes an entry."""
    return lambda entry: checker(entry.function.apply, variables(entry), **options)


def by_its_name(entry: Any) -> bool:
    """Whether `examine` calls an entry correct; `check`, with the reference, where the doctor knows no operation."""
    if entry.operation is not None:
        return examine(entry.function, entry.operation, entry.definition).verdict == "correct"
    call = entry.call
    return check(entry.function, call.draw(5), reference=call.reference, requires=call.variables).verdict == "correct"


NUMBERS = count()

PEERS: dict[str, Callable[[Any], bool]] = {
    "`gradcheck`": of_torch(torch.autograd.gradcheck),
    "`gradcheck`, fast": of_torch(torch.autograd.gradcheck, fast_mode=True),
    "`gradgradcheck`": of_torch(torch.autograd.gradgradcheck),
    "both of them": lambda entry: all(PEERS[name](entry) for name in ("`gradcheck`", "`gradgradcheck`")),
    "`torch.library.opcheck`": by_opcheck,
    "HIPS autograd's `check_grads`, order 1": of_hips(1),
    "HIPS autograd's `check_grads`, order 2": of_hips(2),
    "jax's `check_grads`, order 1": of_jax(1),
    "`amal check`, the definition not known": lambda entry: (
        check(entry.function, entry.call.draw(5), requires=entry.call.variables).verdict == "correct"
    ),
    "`amal check`": by_its_name,
}


def passes(peer: Callable[[Any], bool], entry: Any) -> tuple[bool, float]:
    """Return whether a checker passes an entry, and its seconds."""
    begun = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            passed = peer(entry)
    except Exception:
        passed = False
    return passed, time.perf_counter() - begun


def main() -> None:
    """Measure every checker."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}\n")
    print(f"| checker | found of {len(ALL_WRONG)} wrong | refused of {len(ALL_RIGHT)} right | ms, median |")
    print("|---|---|---|---|")
    words = sys.argv[1:]
    for name, peer in PEERS.items():
        if words and not any(word in name for word in words):
            continue
        wrong = [passes(peer, entry) for entry in ALL_WRONG]
        right = [passes(peer, entry) for entry in ALL_RIGHT]
        found, refused = (sum(not passed for passed, _ in of) for of in (wrong, right))
        median = 1e3 * statistics.median(seconds for _, seconds in wrong + right)
        print(f"| {name} | {found} | {refused} | {median:.1f} |", flush=True)


if __name__ == "__main__":
    main()
