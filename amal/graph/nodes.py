"""The graph behind a tensor, as plain data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.autograd.function import BackwardCFunction

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Saved:
    """A tensor that a node keeps for backward."""

    what: str
    """Whose it is: a name that was given, `output of 3`, or `without gradient` (indices, noise, statistics)."""
    shape: Shape
    dtype: str
    bytes: int
    """Of its entries."""
    block: int
    """The memory that it lies in: tensors of one block share it."""
    block_bytes: int
    """Of that memory: who keeps a slice keeps all of it."""
    named: bool
    """Whether it is a tensor that was given a name, and would be there anyway."""


@dataclass(frozen=True)
class Leaf:
    """A tensor that the graph ends in: a parameter, or an input that requires a gradient."""

    name: str
    shape: Shape
    bytes: int
    used_by: tuple[int, ...]
    """The numbers of the nodes that it enters, one for each use."""


@dataclass(frozen=True)
class Node:
    """One operation."""

    number: int
    """Counted from 1, what is computed first first."""
    name: str
    """Of a hand-written Function its name; of torch's own `torch.` and the name that autograd gives it."""
    by_hand: bool
    shapes: tuple[Shape, ...]
    """Of those of its outputs that are used in the graph."""
    sources: tuple[int | str, ...]
    """What enters it, of what has a gradient: numbers of nodes and names of leaves."""
    saved: tuple[Saved, ...]

    @property
    def bytes(self) -> int:
        """Of all tensors that it keeps, those of others included."""
        return sum(tensor.bytes for tensor in self.saved)


@dataclass(frozen=True)
class Graph:
    """All nodes, in the order of computation, and all leaves, in the order of first use."""

    nodes: tuple[Node, ...]
    leaves: tuple[Leaf, ...]

    @property
    def saved(self) -> tuple[Saved, ...]:
        """Every tensor kept, as often as a node keeps it."""
        return tuple(tensor for node in self.nodes for tensor in node.saved)

    @property
    def bytes(self) -> int:
        """Bytes of all tensors kept, as often as they are kept: what torch.autograd.graph.saved_tensors_hooks see."""
        return sum(tensor.bytes for tensor in self.saved)

    @property
    def bytes_of_its_own(self) -> int:
        """Bytes that are there for backward alone: each block of memory once, those of named tensors left out."""
        return sum({tensor.block: tensor.block_bytes for tensor in self.saved if not tensor.named}.values())


def describe_graph(output: Tensor, names: Mapping[str, Tensor]) -> Graph:
    """Describe the graph that autograd has written down behind a tensor.

    Args:
        output: what the graph computes, such as a loss; any shape. Its graph must not have been freed by backward.
        names: what to call the tensors that it ends in, `dict(model.named_parameters())` for example. Those that need
            no gradient, inputs and targets, may be among them: they are not in the graph, but nodes may keep them.

    Raises:
        ValueError: no graph is behind the output, it was freed by backward, or what it keeps was changed in place.
    """
    if output.grad_fn is None:
        raise ValueError(
            "describe_graph: output has no grad_fn, expected a tensor computed from one that requires_grad"
        )
    order = _in_order_of_computation(output.grad_fn)
    inner = [node for node in order if not hasattr(node, "variable")]
    used: dict[Any, set[int]] = {node: set() for node in order}
    used[output.grad_fn].add(output.output_nr)
    for node in order:
        for source_node, place in node.next_functions:
            if source_node is not None:
                used[source_node].add(place)
    numbers = {node: place for place, node in enumerate(inner, start=1)}
    uses: dict[int, tuple[str, Tensor, list[int]]] = {}

    def source(node: Any, user: int) -> int | str:
        if node in numbers:
            return numbers[node]
        tensor = node.variable
        name = next((name for name, of in names.items() if of is tensor), f"unnamed {len(uses) + 1}")
        name, _, users = uses.setdefault(id(tensor), (name, tensor, []))
        users.append(user)
        return name

    nodes: list[Node] = []
    alive: list[Tensor] = []  # until all are told apart: hooks may unpack copies, and memory would be used again
    for node, number in numbers.items():
        following = [of for of, _ in node.next_functions if of is not None]
        try:
            kept = list(_saved_tensors(node))
        except RuntimeError as error:
            raise ValueError(f"describe_graph: {_name(node)} keeps what can no longer be read: {error}") from error
        alive += kept
        saved = [_describe(tensor, names, numbers) for tensor in kept]
        shapes = tuple(tuple(map(int, node._input_metadata[of].shape)) for of in sorted(used[node]))
        sources = tuple(source(of, number) for of in following)
        nodes.append(Node(number, _name(node), _by_hand(node), shapes, sources, tuple(saved)))
    leaves = (Leaf(name, tuple(of.shape), of.nbytes, tuple(users)) for name, of, users in uses.values())
    return Graph(tuple(nodes), tuple(leaves))


def _in_order_of_computation(last: Any) -> list[Any]:
    """Return every node after those that it is computed from, without recursion: networks may be deep."""
    order, done, waiting = [], set(), [(last, False)]
    while waiting:
        node, entered = waiting.pop()
        if entered:
            order.append(node)
        elif node not in done:
            done.add(node)
            waiting.append((node, True))
            waiting += [(of, False) for of, _ in reversed(node.next_functions) if of is not None]
    return order


def _by_hand(node: Any) -> bool:
    return isinstance(node, BackwardCFunction)


def _name(node: Any) -> str:
    name: str = node.name().rstrip("0123456789").removesuffix("Backward")
    return name if _by_hand(node) else f"torch.{name}"


def _saved_tensors(node: Any) -> Iterator[Tensor]:
    """Yield what a node keeps: of a hand-written one what it saved, of torch's own its attributes _saved_..."""
    if _by_hand(node):
        yield from (tensor for tensor in node.saved_tensors if tensor is not None)
        return
    for attribute in dir(node):
        if attribute.startswith("_saved_"):
            value = getattr(node, attribute)
            yield from (of for of in (value if isinstance(value, tuple) else (value,)) if isinstance(of, Tensor))


def _describe(tensor: Tensor, names: Mapping[str, Tensor], numbers: Mapping[Any, int]) -> Saved:
    block = _block(tensor)
    there = {name: of for name, of in names.items() if _block(of) == block}  # itself, or what it is a view of
    if there:
        what = next((name for name, of in there.items() if of.data_ptr() == tensor.data_ptr()), next(iter(there)))
    elif tensor.grad_fn in numbers:
        what = f"output of {numbers[tensor.grad_fn]}"
    else:
        what = "without gradient"
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Saved(what, tuple(tensor.shape), dtype, tensor.nbytes, block, tensor.untyped_storage().nbytes(), bool(there))


def _block(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)  # not data_ptr, which is 0 for all that are empty or on device meta
