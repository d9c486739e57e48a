"""What every public operation does before its Function is applied: check, cast, and meet torch.compile."""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

_Op = TypeVar("_Op", bound=Callable[..., Tensor])


def public_op(op: _Op) -> _Op:
    """Let torch.compile take `op` into its graph whole.

    Dynamo refuses to trace a Function that defines `jvp`, and inside a compiled torch.func.jvp it drops the rule
    without a word (pytorch issue 192985). The operations here are pure and take every tensor as an argument, so they
    may enter the graph as one node; AOTAutograd still traces inside. Compile the caller of an operation, not itself.
    """
    if "torch._dynamo" in sys.modules:
        torch.compiler.allow_in_graph(op)  # type: ignore[no-untyped-call]
    else:
        _WhenDynamoIsImported.waiting.append(op)
    return op


class _WhenDynamoIsImported:
    """Marks the operations when torch.compile first imports its compiler, and not before.

    The mark itself would import it, which takes as long as torch does; most programs never compile anything.
    """

    waiting: ClassVar[list[Callable[..., Tensor]]] = []

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find torch._dynamo as Python does, to be called back once it is there; leave all other modules alone."""
        if name != "torch._dynamo":
            return None
        spec = PathFinder.find_spec(name, path, target)
        loader: Any = spec and spec.loader
        load = loader.exec_module

        def load_and_mark(module: ModuleType) -> None:
            load(module)
            sys.meta_path.remove(cls)
            for op in cls.waiting:
                torch.compiler.allow_in_graph(op)  # type: ignore[no-untyped-call]

        loader.exec_module = load_and_mark
        return spec


if "torch._dynamo" not in sys.modules:
    sys.meta_path.insert(0, _WhenDynamoIsImported)


def check_tensors(op: str, *, optional: tuple[str, ...] = (), **tensors: Tensor | None) -> None:
    """Raise, in words, unless the tensors given are floating point, of one dtype and on one device.

    Args:
        op: name of the operation, for the message.
        optional: names of the arguments that may be None.
        tensors: the arguments by name.

    Raises:
        TypeError: an argument is not a tensor, not floating point, or of another dtype than the first.
        ValueError: an argument is on another device than the first.
    """
    given = [(name, tensor) for name, tensor in tensors.items() if tensor is not None or name not in optional]
    for name, tensor in given:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{op}: {name} is a {type(tensor).__name__}, expected a tensor")
        if not tensor.is_floating_point():
            raise TypeError(f"{op}: {name} is {tensor.dtype}, expected a floating-point tensor, such as {name}.float()")
    kinds = {name: (tensor.dtype, tensor.device) for name, tensor in given if tensor is not None}
    (first_name, (dtype, device)), *others = kinds.items()
    for name, (other_dtype, other_device) in others:
        if other_dtype != dtype:
            raise TypeError(f"{op}: {first_name} is {dtype} but {name} is {other_dtype}, expected one dtype")
        if other_device != device:
            raise ValueError(f"{op}: {first_name} is on {device} but {name} on {other_device}, expected one device")


def autocast(*tensors: Tensor | None, dtype: torch.dtype | None = None) -> tuple[Tensor | None, ...]:
    """Return the tensors as torch.autocast hands them to an operation; unchanged where autocast is off.

    torch.amp.custom_fwd does not work with setup_context (pytorch issue 132388), so the cast is made here, where
    autograd sees it and casts the gradients back. float64 is left alone, as torch leaves it, and so is what is wrong:
    check_tensors comes after.

    Args:
        tensors: None is an argument left out.
        dtype: what autocast uses for this kind of operation; None for its low-precision dtype (matrix products).
    """
    device = next((tensor.device.type for tensor in tensors if isinstance(tensor, Tensor)), "cpu")
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return tensors
    to = dtype or torch.get_autocast_dtype(device)
    eligible = [isinstance(t, Tensor) and t.is_floating_point() and t.dtype != torch.float64 for t in tensors]
    return tuple(t.to(to) if t is not None and cast else t for t, cast in zip(tensors, eligible, strict=True))
