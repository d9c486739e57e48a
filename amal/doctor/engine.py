"""What torch's engine makes of a Function: it refuses some of what backward may return, and changes some."""

import warnings
from collections.abc import Iterator
from itertools import combinations

import torch
from torch import Tensor

from amal import _torch

from .calls import CallError, error_words, nth, to_dense
from .evidence import same
from .subject import Observation, Subject, make_leaves


def check_engine(subject: Subject) -> Iterator[Observation]:
    """A real backward pass takes what backward returns, and gives what backward gives by itself."""
    try:
        leaves = _backward(subject)
    except CallError:
        raise
    except Exception as error:
        yield _refusal(subject, error)
        return
    yield from _without_gradient(subject)
    call = subject.function(subject.arguments, subject.variables)
    gradients = call.backward(torch.ones_like(call.output))
    dense = _backward(subject, dense=True)
    for place, leaf in leaves.items():
        alone = nth(gradients, place)
        if not isinstance(alone, Tensor) or alone.shape != leaf.shape:
            continue
        if leaf.grad is None:
            if alone.any():
                words = "is None where no gradient arrives at the other outputs, and it is lost"
                yield Observation("undefined-gradient", words, place)
            continue
        if not same(leaf.grad, alone, subject.tolerance):
            words = "is another for the grad_output of output.sum(): ones that share one place in memory (expanded)"
            grad = dense[place].grad
            if grad is not None and not same(grad, alone, subject.tolerance):
                words = "is another once it has gone through torch's engine: something changes it, such as a hook"
            yield Observation("grad-value", words, place)
    for (one, first), (other, second) in combinations(dense.items(), 2):
        if first.grad is not None and second.grad is not None and _share_memory(first.grad, second.grad):
            names = f"{subject.name(one)} and {subject.name(other)}"
            words = f"the gradients of {names} share memory: what is added to one .grad is added to the other"
            yield Observation("shared-gradient", words)


def _refusal(subject: Subject, error: Exception) -> Observation:
    """Say what it is that the engine, or backward in it, refuses."""
    if _takes_dense(subject):
        words = "for the grad_output of output.sum(), ones that share one place in memory (expanded): backward"
        return Observation("raises", f"{words} raised {error_words(error)}", method="backward")
    if _fails_for_none(subject):
        words = "with set_materialize_grads(False), backward must take None for an output that no gradient reaches"
        return Observation("undefined-gradient", f"{words}: it raised {error_words(error)}")
    text = error_words(error).partition(": ")[2]
    return Observation("engine", f"torch's engine refuses what backward returns: {text}")


def _backward(subject: Subject, undefined: bool = False, dense: bool = False) -> dict[int, Tensor]:
    """Return the variables as leaves, after a backward pass from the sum of the output.

    Args:
        subject: what is examined.
        undefined: send no gradient, as a Function does that returns None, instead of ones.
        dense: send ones that have a place in memory each; those of a sum share one, and torch's own
            `stack` makes gradients of them that share it.
    """
    leaves, arguments = make_leaves(subject.arguments, subject.variables)
    output = subject.function.run(arguments).output
    if not output.requires_grad:
        return leaves
    if undefined:
        output = _torch.undefined_gradient(output)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = output * torch.ones_like(output) if dense else output
        output.sum().backward()  # type: ignore[no-untyped-call]
    for leaf in leaves.values():
        leaf.grad = to_dense(leaf.grad)
    return leaves


def _takes_dense(subject: Subject) -> bool:
    """Whether the engine can go back where each entry of grad_output has a place in memory of its own."""
    try:
        _backward(subject, dense=True)
    except Exception:
        return False
    return True


def _share_memory(one: Tensor, other: Tensor) -> bool:
    """Whether what is added to one arrives in the other."""
    copy = other.clone()
    one += 1
    return not torch.equal(other, copy)


def _fails_for_none(subject: Subject) -> bool:
    """Whether backward raises an exception where only one of several outputs has a gradient."""
    call = subject.function(subject.arguments, subject.variables)
    if len(call.outputs) < 2 or call.node is None:
        return False
    try:
        with torch.no_grad():
            ones = torch.ones_like(call.output)
            call.node.apply(*(ones if output is call.output else None for output in call.outputs))
    except Exception:
        return True
    return False


def _without_gradient(subject: Subject) -> Iterator[Observation]:
    """Where no gradient arrives at the output, none comes out, or zeros."""
    try:
        leaves = _backward(subject, undefined=True)
    except Exception as error:
        words = "with set_materialize_grads(False), backward must take a grad_output of None, which it is given where"
        yield Observation("undefined-gradient", f"{words} no gradient arrives: it raised {error_words(error)}")
        return
    for place, leaf in leaves.items():
        if leaf.grad is not None and bool((leaf.grad != 0).any()):
            yield Observation("undefined-gradient", "is not 0 where no gradient arrives (a grad_output of None)", place)
