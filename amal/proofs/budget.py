"""What an operation costs beside torch's own: rounding errors, and memory kept for backward."""

from collections.abc import Callable
from unittest import SkipTest

import torch
from torch import Tensor

from .cases import Case, Tensors, present_tensors, random_like

SEEDS = range(8)
DTYPES = (torch.float32, torch.bfloat16)
LARGEST_ERROR = 2
"""Over torch's own."""


def errors_within_budget(case: Case) -> None:
    """In float32 and bfloat16 no rounding error is larger than twice torch's own."""
    for dtype in DTYPES:
        ratio = error_ratio(case, dtype)
        assert ratio <= LARGEST_ERROR, f"the largest error in {dtype} is {ratio:.1f} times torch's"


def saves_no_more(case: Case) -> None:
    """No more memory is kept for backward than torch keeps."""
    ours, theirs = compare_saved_bytes(case)
    assert ours <= theirs, f"{ours} bytes are kept for backward, where torch keeps {theirs}"


def error_ratio(case: Case, dtype: torch.dtype, compiled: bool = False) -> float:
    """Return our largest rounding error over torch's, on the same inputs; the worst of value and gradients.

    An error is the largest difference from torch's operation in float64, in the mean of eight draws of the inputs: the
    largest of all draws is one entry's luck, another on each processor. Torch's counts as at least what rounding the
    exact answer costs: where it has no error at all, nothing could be compared.
    """
    ours, theirs = case.operation, case.reference
    if compiled:
        torch.compiler.reset()
        ours, theirs = torch.compile(ours, fullgraph=True), torch.compile(theirs, fullgraph=True)
    total: list[tuple[float, float]] = []
    for seed in SEEDS:
        inputs = case.inputs(dtype, seed=seed)
        exact = _value_and_gradients(case.reference, _to_float64(inputs))
        errors = [
            (_error(result, right), max(_error(other, right), _rounding(right, dtype)))
            for result, other, right in zip(
                _value_and_gradients(ours, inputs), _value_and_gradients(theirs, inputs), exact, strict=True
            )
        ]
        total = errors if not total else [(a + c, b + d) for (a, b), (c, d) in zip(total, errors, strict=True)]
    return max((result / other for result, other in total if other > 0), default=0.0)


def saved_bytes(function: Callable[..., Tensor], inputs: Tensors) -> int:
    """Return the memory that one call keeps for backward, in bytes: each block once, however often it is kept."""
    blocks: dict[int, tuple[int, Tensor]] = {}  # the tensor too, so that no block is freed and its address used again

    def pack(tensor: Tensor) -> Tensor:
        block = tensor.untyped_storage()
        blocks[block.data_ptr()] = (block.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = function(*inputs)
    del output
    return sum(size for size, _ in blocks.values())


def compare_saved_bytes(case: Case) -> tuple[int, int]:
    """Return what our operation keeps for backward and what torch's keeps, in bytes, for float32 inputs.

    Raises:
        SkipTest: the output is empty.
    """
    inputs = case.inputs(torch.float32)
    if not case.reference(*inputs).numel():
        raise SkipTest("of nothing, nothing is kept but parameters")
    return saved_bytes(case.operation, inputs), saved_bytes(case.reference, inputs)


def _value_and_gradients(function: Callable[..., Tensor], inputs: Tensors) -> tuple[Tensor, ...]:
    output = function(*inputs)
    return output.detach(), *torch.autograd.grad(output, present_tensors(inputs), random_like(output, 1))


def _to_float64(inputs: Tensors) -> Tensors:
    return tuple(x if x is None else x.detach().double().requires_grad_() for x in inputs)


def _error(actual: Tensor, exact: Tensor) -> float:
    return _largest(actual.double() - exact)


def _rounding(exact: Tensor, dtype: torch.dtype) -> float:
    return _largest(exact) * torch.finfo(dtype).eps / 2


def _largest(tensor: Tensor) -> float:
    return tensor.abs().max().item() if tensor.numel() else 0.0
