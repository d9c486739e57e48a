"""The graph behind a tensor, as plain data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from amal import _torch

from . import walk

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Saved:
    """A tensor that a node keeps for backward."""

    description: str
    """The name of a tensor, `output of 3`, or `without gradient` (indices, noise, statistics)."""
    shape: Shape
    dtype: str
    bytes: int
    """Size of its entries."""
    block: int
    """Identity of its memory: tensors that share memory have the same block."""
    block_bytes: int
    """Size of that memory: a node that keeps a slice keeps all of it."""
    has_name: bool
    """Whether it is a tensor that the caller named, and that exists without this graph too."""


@dataclass(frozen=True)
class Leaf:
    """A tensor that the graph ends in: a parameter, or an input that requires a gradient."""

    name: str
    shape: Shape
    bytes: int
    users: tuple[int, ...]
    """Numbers of the nodes that it enters, one for each use."""


@dataclass(frozen=True)
class Node:
    """One operation."""

    number: int
    """Counted from 1, in the order of computation."""
    name: str
    """Name of a hand-written Function; for torch's own operations `torch.` and autograd's name."""
    by_hand: bool
    shapes: tuple[Shape, ...]
    """Shapes of its outputs, as far as the graph uses them."""
    sources: tuple[int | str, ...]
    """Its inputs that have a gradient: numbers of nodes and names of leaves."""
    saved: tuple[Saved, ...]

    @property
    def bytes(self) -> int:
        """Size of all tensors that it keeps, also of those that others keep too."""
        return sum(tensor.bytes for tensor in self.saved)


@dataclass(frozen=True)
class Graph:
    """All nodes, in the order of computation, and all leaves, in the order of first use."""

    nodes: tuple[Node, ...]
    leaves: tuple[Leaf, ...]

    @property
    def saved(self) -> tuple[Saved, ...]:
        """Every kept tensor, once for each node that keeps it."""
        return tuple(tensor for node in self.nodes for tensor in node.saved)

    @property
    def bytes(self) -> int:
        """Bytes of all of `saved`: what torch.autograd.graph.saved_tensors_hooks see."""
        return sum(tensor.bytes for tensor in self.saved)

    @property
    def own_bytes(self) -> int:
        """Bytes that exist for backward alone: each block once, blocks of named tensors left out."""
        return sum({tensor.block: tensor.block_bytes for tensor in self.saved if not tensor.has_name}.values())


def describe_graph(output: Tensor, names: Mapping[str, Tensor]) -> Graph:
    """Describe the graph that autograd has written down behind a tensor.

    Args:
        output: what the graph computes, such as a loss; any shape. Backward must not have freed its
            graph.
        names: names for the tensors that it ends in, `dict(model.named_parameters())` for example.
            Tensors that need no gradient (inputs, targets) may be among them: they are not in the
            graph, but nodes may keep them.

    Raises:
        ValueError: no graph is behind the output, backward has freed it, or a tensor that it keeps
            was changed in place.
    """
    if output.grad_fn is None:
        raise ValueError(
            "describe_graph: output has no grad_fn, expected a tensor computed from one that requires_grad"
        )
    order = walk.nodes(output)[::-1]
    inner = [node for node in order if not hasattr(node, "variable")]
    used_outputs: dict[Any, set[int]] = {node: set() for node in order}
    used_outputs[output.grad_fn].add(output.output_nr)
    for node in order:
        for source_node, index in node.next_functions:
            if source_node is not None:
                used_outputs[source_node].add(index)
    numbers = {node: number for number, node in enumerate(inner, start=1)}
    leaves: dict[int, tuple[str, Tensor, list[int]]] = {}

    def source(node: Any, user: int) -> int | str:
        if node in numbers:
            return numbers[node]
        variable = node.variable
        name = next((name for name, tensor in names.items() if tensor is variable), f"unnamed {len(leaves) + 1}")
        name, _, users = leaves.setdefault(id(variable), (name, variable, []))
        users.append(user)
        return name

    described: list[Node] = []
    alive: list[Tensor] = []  # hooks may unpack copies: until the end no memory may be used again
    for node, number in numbers.items():
        try:
            contents = list(_saved_tensors(node))
        except RuntimeError as error:
            raise ValueError(f"describe_graph: {_name(node)} keeps what can no longer be read: {error}") from error
        alive += contents
        saved = tuple(_describe(tensor, names, numbers) for tensor in contents)
        shapes = tuple(
            tuple(map(int, _torch.output_metadata(node)[index].shape)) for index in sorted(used_outputs[node])
        )
        sources = tuple(source(earlier, number) for earlier, _ in node.next_functions if earlier is not None)
        described.append(Node(number, _name(node), walk.is_by_hand(node), shapes, sources, saved))
    return Graph(
        tuple(described),
        tuple(Leaf(name, tuple(tensor.shape), tensor.nbytes, tuple(users)) for name, tensor, users in leaves.values()),
    )


def _name(node: Any) -> str:
    name: str = node.name().rstrip("0123456789").removesuffix("Backward")
    return name if walk.is_by_hand(node) else f"torch.{name}"


def _saved_tensors(node: Any) -> Iterator[Tensor]:
    """Return what a node keeps for backward."""
    tensors = node.saved_tensors if walk.is_by_hand(node) else _torch.saved_tensors(node)
    return (tensor for tensor in tensors if tensor is not None)


def _describe(tensor: Tensor, names: Mapping[str, Tensor], numbers: Mapping[Any, int]) -> Saved:
    block = _block(tensor)
    owners = {name: other for name, other in names.items() if _block(other) == block}  # itself, or its base
    if owners:
        same_begin = (name for name, other in owners.items() if other.data_ptr() == tensor.data_ptr())
        description = next(same_begin, next(iter(owners)))
    elif tensor.grad_fn in numbers:
        description = f"output of {numbers[tensor.grad_fn]}"
    else:
        description = "without gradient"
    dtype, block_bytes = str(tensor.dtype).removeprefix("torch."), tensor.untyped_storage().nbytes()
    return Saved(description, tuple(tensor.shape), dtype, tensor.nbytes, block, block_bytes, bool(owners))


def _block(tensor: Tensor) -> int:
    return id(tensor.untyped_storage())  # not data_ptr, which is 0 for all that are empty or on device meta
