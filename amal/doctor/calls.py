"""One call of a Function: its outputs, and what its backward returns, untouched by torch's engine.

The engine sums a gradient that was not summed over the batch, and turns one dtype into another:
only a call of backward shows what it returned.
"""

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from amal import _torch
from amal.errors import did_you_mean
from amal.tensors import make_strided

from .randomness import SEED, same_random_numbers
from .stand_in import Unavailable

Arguments = tuple[Any, ...]

CTX_ATTRIBUTES: Final = {
    *("save_for_backward", "save_for_forward", "saved_tensors", "saved_variables", "needs_input_grad"),
    *("mark_dirty", "mark_non_differentiable", "set_materialize_grads"),
}
"""Attributes that only ctx has."""


class CallError(Exception):
    """The examined code raised an exception in one of its methods, or returned nothing.

    Args:
        method: forward or backward.
        cause: what was raised.
        hint: what else there is to say.
    """

    def __init__(self, method: str, cause: BaseException, hint: str = "") -> None:
        frames = traceback.extract_tb(cause.__traceback__)
        ours = ("/torch/", "amal/doctor")
        own = [frame for frame in frames if not any(part in frame.filename for part in ours)]
        code = (own[-1].line or "") if own else ""
        line = f" (line {own[-1].lineno}: {code})" if code else ""
        text = " ".join(str(cause).split())
        words = f"raised {type(cause).__name__}{': ' if text else ''}{text[:300]}{line}"
        super().__init__(f"{method} {cause if isinstance(cause, NoOutput) else words}{hint}")
        self.method, self.cause = method, cause
        self.is_refusal = own[-1:] == frames[-1:] and code.startswith(("raise ", "assert "))
        """Whether it is the code's own statement that raises, in words of its own."""


class NoOutput(Exception):
    """Forward returned no floating-point tensor."""


def call_error(method: str, cause: BaseException, ctx: Any = None) -> Exception:
    """Return what to raise for an exception of the examined code, with what is known of its ctx."""
    if isinstance(cause, ModuleNotFoundError) and cause.name:
        return Unavailable(f"{cause.name}, which is not installed")
    return cause if isinstance(cause, Unavailable) else CallError(method, cause, _hint(cause, ctx))


def _hint(error: BaseException, ctx: Any) -> str:
    """Say what of ctx was forgotten or misspelt, if that is why."""
    if isinstance(error, AttributeError) and isinstance(error.obj, FunctionCtx) and error.name:
        names = [*CTX_ATTRIBUTES, *vars(error.obj)]
        return f"; ctx has no {error.name}{did_you_mean(error.name, names)}"
    backward = getattr(_torch.function_class(ctx), "backward", None)
    code = getattr(inspect.unwrap(backward), "__code__", None) if backward is not None else None
    reads = code is not None and {"saved_tensors", "saved_variables"} & {*code.co_names}
    if isinstance(error, (ValueError, IndexError)) and reads and not ctx.saved_tensors:
        return "; nothing was saved by ctx.save_for_backward in forward"
    return ""


def error_words(error: BaseException, length: int = 300) -> str:
    """Return the class and the message of an exception, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:length]}"


@dataclass(frozen=True)
class Call:
    """One call of a Function, and the node that it left in the graph."""

    arguments: Arguments
    outputs: tuple[Any, ...]
    place: int
    """The place of the output that is examined."""
    node: Any
    """None if that output leads to none: it is cut off from the inputs."""

    @property
    def output(self) -> Tensor:
        """Return the output that is examined."""
        output: Tensor = self.outputs[self.place]
        return output

    def backward(self, grad_output: Tensor, copy: bool = True) -> tuple[Any, ...]:
        """Return what backward returns for a gradient of the examined output, 0 for all others.

        Nothing where no node is behind the output.

        Args:
            grad_output: the gradient of that output.
            copy: give backward a copy of it, so that what it changes is not read by others.

        Raises:
            CallError: backward raised an exception.
        """
        return self.pull({self.place: grad_output.clone() if copy else grad_output})

    def pull(self, grad_outputs: Mapping[int, Tensor]) -> tuple[Any, ...]:
        """Return what backward returns for gradients of several outputs, by place, 0 for all others."""
        if self.node is None:
            return ()
        gradients = [
            grad_outputs.get(place, self._no_gradient(output)) if isinstance(output, Tensor) else None
            for place, output in enumerate(self.outputs)
        ]
        copies = [output.detach().clone() if isinstance(output, Tensor) else None for output in self.outputs]
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                same_random_numbers(SEED + 1)  # a mask that backward draws again is not forward's
                result = self._run_backward(gradients)
        except BaseException as error:
            raise call_error("backward", error, self.node) from error
        finally:
            for output, copy in zip(self.outputs, copies, strict=True):
                if copy is not None and is_freed(output):  # as reversible networks do; it is read again here
                    output.untyped_storage().resize_(copy.untyped_storage().nbytes())
                    output.detach().copy_(copy)
        return tuple(map(to_dense, result if isinstance(result, tuple | list) else (result,)))

    def _no_gradient(self, output: Tensor) -> Tensor | None:
        """Return what stands for no gradient of an output."""
        return torch.zeros_like(output)

    def _run_backward(self, gradients: Sequence[Any]) -> Any:
        return self.node.apply(*gradients)


@dataclass(frozen=True)
class EngineCall(Call):
    """One call of a callable that is no Function: torch's engine says what the gradients are."""

    originals: Arguments = ()
    """What the arguments are copies of, which the callable may have changed in place."""

    def _no_gradient(self, output: Tensor) -> None:  # noqa: ARG002
        return None  # zeros times what overflows in there would be NaN

    def _run_backward(self, gradients: Sequence[Any]) -> Any:
        both = zip(self.outputs, gradients, strict=True)
        pairs = [(output, grad) for output, grad in both if needs_gradient(output) and grad is not None]
        outputs, grad_outputs = zip(*pairs, strict=True)
        inputs = [value for value in self.originals if needs_gradient(value)]
        results = iter(torch.autograd.grad(outputs, inputs, grad_outputs, allow_unused=True))
        return tuple(next(results) if needs_gradient(value) else None for value in self.originals)


def needs_gradient(value: Any) -> bool:
    """Whether a value is a tensor that needs a gradient."""
    return isinstance(value, Tensor) and value.requires_grad


def nth(gradients: Sequence[Any], place: int) -> Any:
    """Return what backward returned for an input; None where it returned too little."""
    return gradients[place] if place < len(gradients) else None


def substitute(arguments: Sequence[Any], place: int, value: Any) -> Arguments:
    """Return the arguments with another one in a place."""
    return (*arguments[:place], value, *arguments[place + 1 :])


def map_tensors(function: Callable[[Tensor], Tensor], arguments: Sequence[Any]) -> Arguments:
    """Return the arguments with each tensor changed by a function."""
    return tuple(function(value) if isinstance(value, Tensor) else value for value in arguments)


def floating_places(values: Sequence[Any]) -> list[int]:
    """Return the places of floating-point tensors."""
    tensors = ((place, value) for place, value in enumerate(values) if isinstance(value, Tensor))
    return [place for place, tensor in tensors if tensor.is_floating_point()]


def detach(value: Tensor) -> Tensor:
    """Return a tensor outside of any graph; one that is in none keeps its class, so it is returned as it is."""
    return value.detach() if value.requires_grad else value


def clone(value: Tensor, contiguous: bool = True) -> Tensor:
    """Return a copy in its own memory, contiguous or not; indices of a class of their own stay contiguous."""
    copy = detach(value).clone(memory_format=torch.contiguous_format)
    special = type(copy) is not Tensor and not copy.is_floating_point()
    return copy if contiguous or special else make_strided(copy)


def non_leaf(value: Tensor) -> Tensor:
    """Return the value as the result of an operation that needs a gradient: it may be changed in place."""
    return value.requires_grad_().clone()


def graph_inputs(arguments: Sequence[Any], needs: Sequence[int], contiguous: bool = True) -> Arguments:
    """Return copies of the arguments, of which those at `needs` need a gradient."""
    copies = map_tensors(lambda value: clone(value, contiguous), arguments)
    return tuple(non_leaf(value) if place in needs else value for place, value in enumerate(copies))


def is_freed(value: Tensor) -> bool:
    """Whether the memory of a tensor is gone: to read it ends the process."""
    return value.layout == torch.strided and value.numel() > 0 and not value.untyped_storage().nbytes()


def to_dense(value: Any) -> Any:
    """Return a sparse tensor as a dense one, and anything else as it is."""
    return value.to_dense() if isinstance(value, Tensor) and value.layout != torch.strided else value


def context_tensors(ctx: FunctionCtx) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and value of tensors that are attributes of a ctx, or in a list or dictionary that is."""
    for name, value in vars(ctx).items():
        values = value.values() if isinstance(value, dict) else value
        for inner in values if isinstance(value, dict | list | tuple | set) else (value,):
            if isinstance(inner, Tensor):
                yield name, inner
