"""What every public operation does before its Function is applied: check, cast, and meet torch.compile."""

from collections.abc import Callable
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

from amal import _torch

_Op = TypeVar("_Op", bound=Callable[..., Any])
_P = ParamSpec("_P")
_R = TypeVar("_R")
_Form = TypeVar("_Form")
LOW_PRECISION = (torch.bfloat16, torch.float16)


def public_op(op: _Op) -> _Op:
    """Let torch.compile take `op` into its graph whole.

    Dynamo refuses to trace a Function that defines `jvp`, and inside a compiled torch.func.jvp it drops the rule
    without a word (pytorch issue 192985). The operations here are pure and take every tensor as an argument, so they
    may enter the graph as one node; AOTAutograd still traces inside. Compile the caller of an operation, not itself.
    """
    _torch.allow_in_graph(op)
    return op


def public_form(
    module: str, general: Callable[Concatenate[_Form, _P], _R], form: _Form, **words: str
) -> Callable[_P, _R]:
    """Make a public operation of a function that serves several: all of its arguments but the first.

    Args:
        module: __name__ of the operation's file, which is named for it.
        general: the function, with the signature and the docstring.
        form: its first argument, which tells the operations apart.
        words: what stands in the docstring for {name}, by name.
    """

    def operation(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return general(form, *args, **kwargs)

    whole = signature(general)
    operation.__module__, name = module, module.rpartition(".")[2]
    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = (general.__doc__ or "").format(name=name, **words)
    operation.__signature__ = whole.replace(parameters=[*whole.parameters.values()][1:])  # type: ignore[attr-defined]
    return public_op(operation)


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
    first_name, first = "", None
    for name, tensor in tensors.items():
        if tensor is None and name in optional:
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{op}: {name} is a {type(tensor).__name__}, expected a tensor")
        if not tensor.is_floating_point():
            raise TypeError(f"{op}: {name} is {tensor.dtype}, expected a floating-point tensor, such as {name}.float()")
        if first is None:
            first_name, first = name, tensor
        elif tensor.dtype != first.dtype:
            raise TypeError(f"{op}: {first_name} is {first.dtype} but {name} is {tensor.dtype}, expected one dtype")
        else:
            check_device(op, first_name, first, name, tensor)


def check_device(op: str, first_name: str, first: Tensor, name: str, tensor: Tensor) -> None:
    """Raise a ValueError unless two tensors lie on one device."""
    if tensor.device != first.device:
        devices = f"{first_name} is on {first.device} but {name} on {tensor.device}"
        raise ValueError(f"{op}: {devices}, expected one device")


def check_number(op: str, name: str, number: object) -> None:
    """Raise a TypeError unless `number` is a Python number."""
    if type(number) is float:
        return
    if isinstance(number, Tensor) or not hasattr(number, "__float__"):
        raise TypeError(f"{op}: {name} is a {type(number).__name__}, expected a number")


def autocast(
    *tensors: Tensor | None, dtype: torch.dtype | None = None, on: tuple[str, ...] | None = None
) -> tuple[Tensor | None, ...]:
    """Return the tensors as torch.autocast hands them to an operation; unchanged where autocast is off.

    torch.amp.custom_fwd does not work with setup_context (pytorch issue 132388), so the cast is made here, where
    autograd sees it and casts the gradients back. float64 is left alone, as torch leaves it, and so is what is wrong:
    check_tensors comes after.

    Args:
        tensors: None is an argument left out.
        dtype: what autocast uses for this kind of operation; None for its low-precision dtype (matrix products).
        on: kinds of device on which autocast casts for this operation; None for all.
    """
    if not _torch.any_autocast_enabled():
        return tensors
    device = tensors[0].device.type if isinstance(tensors[0], Tensor) else "cpu"
    if (
        (on is not None and device not in on)
        or not torch.amp.is_autocast_available(device)
        or not torch.is_autocast_enabled(device)
    ):
        return tensors
    to = dtype or torch.get_autocast_dtype(device)
    eligible = [isinstance(t, Tensor) and t.is_floating_point() and t.dtype != torch.float64 for t in tensors]
    return tuple(t.to(to) if t is not None and cast else t for t, cast in zip(tensors, eligible, strict=True))


def overwrite(op: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
    """Overwrite `input` with op(input) and return it: torch's inplace=True.

    The derivative is that of a copy of `input` made before, so that what backward needs is not overwritten: inplace
    saves no memory here.

    Raises:
        RuntimeError: input is a leaf that requires a gradient (torch says so).
    """
    return input.copy_(op(input.clone()))


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return bfloat16 and float16 as float32: several operations in a row would each round."""
    return tensor.float() if tensor.dtype in LOW_PRECISION else tensor


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return tensor.to(dtype), and ask torch for nothing where that is its dtype already."""
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def multiply(tensor: Tensor, number: float) -> Tensor:
    """Return number · tensor: of few entries in half the time of a product with a Python number."""
    return tensor * torch.scalar_tensor(number, dtype=tensor.dtype)


def step_mask(tensor: Tensor, bound: float) -> Tensor:
    """Return 1 where an entry exceeds the bound and 0 elsewhere, as numbers: constants, their derivative is zero.

    On a CPU numbers times booleans take six times as long as numbers times numbers, and a choice by torch.where ten.
    """
    return (tensor - bound).sign_().relu_()
