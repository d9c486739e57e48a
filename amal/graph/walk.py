"""The one walk over the graph that autograd has written down behind a tensor."""

from typing import Any

from torch import Tensor
from torch.autograd.function import FunctionCtx


def nodes(output: Tensor) -> list[Any]:
    """Return every node behind a tensor, each before the nodes that it is computed from.

    The first is `output.grad_fn`; leaves have a `variable`. No recursion: graphs may be deep.
    """
    order, entered, waiting = [], set(), [(output.grad_fn, False)]
    while waiting:
        node, is_done = waiting.pop()
        if is_done:
            order.append(node)
        elif node is not None and node not in entered:
            entered.add(node)
            waiting.append((node, True))
            waiting += [(source, False) for source, _ in reversed(node.next_functions)]
    return order[::-1]


def is_by_hand(node: Any) -> bool:
    """Whether a node is one of a `torch.autograd.Function` in Python."""
    return isinstance(node, FunctionCtx)


def function_nodes(output: Tensor) -> list[Any]:
    """Return the nodes of hand-written Functions behind a tensor, the last computed first."""
    return [node for node in nodes(output) if is_by_hand(node)]
