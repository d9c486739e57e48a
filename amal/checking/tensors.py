"""What every check asks of tensors, whoever wrote the Function: another layout, and the Functions behind one."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.autograd.function import BackwardCFunction


def strided(tensor: Tensor) -> Tensor:
    """Return equal values in another memory layout: every second element of a buffer, dimensions reversed."""
    reverse = tuple(range(tensor.dim()))[::-1]
    buffer = tensor.new_zeros(*(tensor.permute(reverse).shape), 2)
    view = buffer[..., 0].permute(reverse)
    view.copy_(tensor)
    return view


def function_nodes(output: Tensor) -> Iterator[Any]:
    """Walk the graph behind `output` and yield the nodes of hand-written Functions."""
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, BackwardCFunction):
            yield node
        waiting += [following for following, _ in node.next_functions]
