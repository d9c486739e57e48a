"""Every private or undocumented name of torch that amal uses: any release of torch may rename them.

Each is looked up when it is called. So one that is gone breaks what needs it, and no import.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

# ---------------------------------------------------------------------------------- transforms


def transforms_active() -> bool:
    """Whether a transform of torch.func is at work."""
    return torch._C._are_functorch_transforms_active()


def forward_levels() -> int:
    """Return how many derivatives in forward mode are at work, one inside the other."""
    functorch: Any = torch._C._functorch
    stack = functorch.get_interpreter_stack() or ()
    return sum(level.key() == functorch.TransformType.Jvp for level in stack)


def forward_mode() -> AbstractContextManager[None]:
    """Let forward mode see what a `jvp` computes: torch shuts it off there."""
    mode: AbstractContextManager[None] = torch.autograd.forward_ad._set_fwd_grad_enabled(True)
    return mode


def unwrap(tensor: Tensor) -> Tensor:
    """Return the tensor that torch.vmap and its kin have wrapped, perhaps more than once."""
    functorch: Any = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


# ---------------------------------------------------------------------------------- operations


def operator_name(function: Any) -> str | None:
    """Return what torch.library calls an operator of its own kind, which has no `__name__`; None of anything else."""
    name: str | None = getattr(function, "_qualname", None)
    return name


def any_autocast_enabled() -> bool:
    """Whether torch.autocast is on, for any kind of device."""
    return torch._C._is_any_autocast_enabled()


def native_batch_norm(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return what torch's batch_norm computes, with the mean and 1 / standard deviation of each channel."""
    return torch.native_batch_norm(*arguments)


def native_layer_norm(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return what torch's layer_norm computes, with the mean and 1 / standard deviation of each row."""
    return torch.native_layer_norm(*arguments)


def safe_softmax(scores: Tensor) -> Tensor:
    """Return the softmax of each row; 0 for a row of -inf, which sees nothing."""
    return torch._safe_softmax(scores, -1)


def is_view(tensor: Tensor) -> bool:
    """Whether a tensor is a view of another."""
    return tensor._is_view()


def foreach(operation: str, tensors: Sequence[Tensor], *arguments: Any, **options: Any) -> list[Tensor]:
    """Apply an operation, such as `add_`, to each tensor of a list, in one call: what torch's own optimisers do."""
    return list(getattr(torch, f"_foreach_{operation}")(tensors, *arguments, **options))


# ---------------------------------------------------------------------------------- layers


def reversed_padding(layer: nn.Conv1d | nn.Conv2d) -> Sequence[int]:
    """Return how far a convolution fills up its input, as torch.nn.functional.pad takes it."""
    return layer._reversed_padding_repeated_twice


def check_dimensions(layer: nn.BatchNorm1d | nn.BatchNorm2d, input: Tensor) -> None:
    """Raise a ValueError, in torch's words, if an input is of no shape that a batch normalisation takes."""
    layer._check_input_dim(input)


def normalises_batches(layer: nn.Module) -> bool:
    """Whether a layer is a batch normalisation, of any kind."""
    return isinstance(layer, nn.modules.batchnorm._BatchNorm)


# ---------------------------------------------------------------------------------- the graph of autograd


def function_class(node: Any) -> Any:
    """Return the hand-written Function that left a node in the graph; None for a node of torch's own."""
    return getattr(node, "_forward_cls", None)


def output_metadata(node: Any) -> Sequence[Any]:
    """Return shape, dtype and device of each output of the operation that left a node."""
    metadata: Sequence[Any] = node._input_metadata  # those of backward's inputs
    return metadata


def saved_tensors(node: Any) -> Iterator[Tensor]:
    """Yield the tensors that a node of torch's own keeps for backward."""
    for attribute in dir(node):
        if attribute.startswith("_saved_"):
            value = getattr(node, attribute)
            for part in value if isinstance(value, tuple) else (value,):
                if isinstance(part, Tensor):
                    yield part


def version(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place."""
    return tensor._version


def undefined_gradient(tensor: Tensor) -> Tensor:
    """Return the tensor, behind a node that sends no gradient back, as a Function does that returns None."""
    node: Any = torch._C._functions.UndefinedGrad()
    output: Tensor = node(tensor)
    return output


def pull_back(output: Tensor, grad_output: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Do what torch.autograd.grad does, without importing sympy first; the graph is kept."""
    run: Any = torch.autograd.graph._engine_run_backward
    options = {"allow_unreachable": True, "accumulate_grad": False}
    gradients: tuple[Tensor | None, ...] = run((output,), (grad_output,), True, False, tuple(inputs), **options)
    return gradients


# ---------------------------------------------------------------------------------- what is traced


def leaves(value: Any) -> list[Any]:
    """Return what lies in lists, tuples and dicts, however deep."""
    return torch.utils._pytree.tree_leaves(value)


def operations(function: Callable[..., Any], inputs: Sequence[Tensor]) -> "torch.fx.GraphModule":
    """Write down the operations of torch that a function applies to tensors."""
    from torch.fx.experimental.proxy_tensor import make_fx  # a second to import

    return make_fx(function)(*inputs)


class _WhenDynamoIsImported(SourceFileLoader):
    """Marks functions when torch.compile first imports its compiler, and not before."""

    waiting: ClassVar[list[Callable[..., Any]]] = []

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find torch._dynamo where Python does, to be loaded here; leave all other modules alone."""
        spec = PathFinder.find_spec(name, path, target) if name == "torch._dynamo" else None
        if spec is not None:
            spec.loader = cls(name, str(spec.origin))
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Load the compiler, and mark what has waited for it."""
        super().exec_module(module)
        sys.meta_path.remove(type(self))
        for function in self.waiting:
            torch.compiler.allow_in_graph(function)  # type: ignore[no-untyped-call]


def allow_in_graph(function: Callable[..., Any]) -> None:
    """Do what torch.compiler.allow_in_graph does, but do not import the compiler, which takes as long as torch."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.allow_in_graph(function)  # type: ignore[no-untyped-call]
        return
    if _WhenDynamoIsImported not in sys.meta_path:
        sys.meta_path.insert(0, _WhenDynamoIsImported)
    _WhenDynamoIsImported.waiting.append(function)
