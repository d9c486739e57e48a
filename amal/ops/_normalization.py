"""What the normalisations ask of their arguments."""

import torch
from torch import Tensor

from ._public import LOW_PRECISION, check_device, check_tensors


def check_parameters(op: str, input: Tensor, shape: tuple[int, ...], **parameters: Tensor | None) -> None:
    """Raise, in words, unless every parameter given has that shape, the input's device and a dtype that goes with it.

    The input was checked before. The parameters of bfloat16 and float16 inputs may be float32, all of them, as
    autocast hands them over.

    Raises:
        TypeError: an argument is not a tensor, not floating point, or of a dtype that does not fit.
        ValueError: a parameter has another shape, or lies on another device than the input.
    """
    dtype, device = input.dtype, input.device
    for tensor in parameters.values():
        if tensor is not None and not (
            isinstance(tensor, Tensor) and tensor.shape == shape and tensor.dtype == dtype and tensor.device == device
        ):
            break
    else:
        return  # the usual case, at once
    present = {name: tensor for name, tensor in parameters.items() if tensor is not None}
    check_tensors(op, optional=(), **present)
    for name, tensor in present.items():
        wide_enough = tensor.dtype == torch.float32 and dtype in LOW_PRECISION
        if tensor.dtype != dtype and not wide_enough:
            raise TypeError(f"{op}: input is {dtype} but {name} is {tensor.dtype}, expected one dtype")
        check_device(op, "input", input, name, tensor)
        if tensor.shape != shape:
            shapes = f"{name} is {tuple(tensor.shape)} but input {tuple(input.shape)}"
            raise ValueError(f"{op}: {shapes} expects {name} {tuple(shape)}")
