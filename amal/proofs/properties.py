"""What must hold of every hand-written operation, one function per property.

A property takes a Case and returns nothing, or raises an AssertionError that says what is wrong (a SkipTest where it
cannot be examined here). torch.autograd.gradcheck is one of them and not enough: the engine sums a gradient that was
not summed over the batch before gradcheck sees it, so shapes are checked where the Function returns them.
"""

import gc
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.testing import assert_close

from amal import _torch
from amal.graph.walk import function_nodes

from .budget import errors_within_budget, saves_no_more
from .cases import Case, Tensors, present_tensors, random_like
from .none_gradients import none_stays_none
from .transforms import list_transforms

DTYPES = (torch.float64, torch.float32)
TOLERANCE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-7}
"""Of gradcheck: its own relative tolerance of 1e-3 lets a derivative wrong by a factor of 1.001 pass."""


def _gradients(output: Tensor, inputs: Tensors, grad_output: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(output, present_tensors(inputs), grad_output, retain_graph=True)


def _assert_same(actual: Any, expected: Any, what: str, **tolerances: Any) -> None:
    assert_close(actual, expected, msg=lambda message: f"{what}: {message}", **tolerances)


def value(case: Case) -> None:
    """The output equals torch's, in float64 and float32, for contiguous inputs and others."""
    for dtype in DTYPES:
        for contiguous in (True, False):
            inputs = case.inputs(dtype, contiguous=contiguous)
            layout = "contiguous" if contiguous else "strided"
            _assert_same(case.operation(*inputs), case.reference(*inputs), f"{dtype}, {layout} inputs")


def gradient(case: Case) -> None:
    """Each gradient equals torch's, in float64 and float32, for contiguous inputs and grad_output and others."""
    for dtype in DTYPES:
        for contiguous in (True, False):
            inputs = case.inputs(dtype, contiguous=contiguous)
            ours, theirs = case.operation(*inputs), case.reference(*inputs)
            case.operation(*case.inputs(dtype, seed=1))  # a later call must not disturb what this one's backward needs
            one = torch.ones((), dtype=dtype)
            for grad_output in (random_like(theirs, 1), one.expand_as(theirs)):
                actual, expected = _gradients(ours, inputs, grad_output), _gradients(theirs, inputs, grad_output)
                _assert_same(actual, expected, f"gradients in {dtype}")


def gradcheck(case: Case) -> None:
    """By torch.autograd.gradcheck: the gradient is the slope of the output, measured by small steps in float64."""
    _gradcheck(case)


def gradgradcheck(case: Case) -> None:
    """By torch.autograd.gradgradcheck: backward is itself made of operations with right derivatives."""
    _gradgradcheck(case)


def forward_mode(case: Case) -> None:
    """The jvp rule is right, batched too, and so is forward mode over backward (the fast Hessian product)."""
    _gradcheck(
        case,
        check_forward_ad=True,
        check_batched_forward_grad=True,
        check_backward_ad=False,
        check_undefined_grad=False,
    )
    _gradgradcheck(case, check_fwd_over_rev=True, check_rev_over_rev=False, check_undefined_grad=False)


def batches(case: Case) -> None:
    """Many grad_outputs can be pulled back at once, to first and second order."""
    _gradcheck(case, check_batched_grad=True)
    _gradgradcheck(case, check_batched_grad=True)


def _gradcheck(case: Case, **modes: Any) -> None:
    inputs: Any = case.inputs()
    assert torch.autograd.gradcheck(case.operation, inputs, **TOLERANCE, **modes)


def _gradgradcheck(case: Case, **modes: Any) -> None:
    inputs: Any = case.inputs()
    assert torch.autograd.gradgradcheck(case.operation, inputs, **TOLERANCE, **modes)


def func_transforms(case: Case) -> None:
    """Every transform of torch.func gives what it gives for torch's function."""
    for name, transform in list_transforms(case).items():
        _transforms_alike(name, transform, case)


def _transforms_alike(name: str, transform: Callable[..., Any], case: Case) -> None:
    try:
        expected = transform(case.reference)
    except RuntimeError as error:  # a few of torch's own cannot be differentiated forwards twice
        if "ZeroTensors are immutable" not in str(error):
            raise
    else:
        _assert_same(transform(case.operation), expected, f"torch.func {name}")


def compiles(case: Case, backend: str = "aot_eager", transforms: Iterable[str] = ("jvp",)) -> None:
    """With fullgraph=True torch.compile takes the operation whole: forward, backward, and under func.jvp."""
    torch.compiler.reset()
    inputs = case.inputs()
    compiled = torch.compile(case.operation, fullgraph=True, backend=backend)
    ours, theirs = compiled(*inputs), case.reference(*inputs)
    _assert_same(ours, theirs, "compiled value")
    grad_output = random_like(theirs, 1)
    _assert_same(_gradients(ours, inputs, grad_output), _gradients(theirs, inputs, grad_output), "compiled gradient")
    for name in transforms:
        transform = list_transforms(case)[name]
        compiled = torch.compile(partial(transform, case.operation), fullgraph=True, backend=backend)
        _assert_same(compiled(), transform(case.reference), f"compiled torch.func {name}")


def autocast(case: Case) -> None:
    """Under bfloat16 autocast the output has torch's dtype and value, and gradients come back in float32."""
    inputs = case.inputs(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = case.operation(*inputs), case.reference(*inputs)
    tolerance = {"atol": 0.05, "rtol": 0.02}
    _assert_same(ours, theirs, "autocast value", **tolerance)
    grad_output = random_like(theirs, 1)
    actual, expected = _gradients(ours, inputs, grad_output), _gradients(theirs, inputs, grad_output)
    _assert_same(actual, expected, "autocast gradient", **tolerance)


def meta(case: Case) -> None:
    """Of tensors without values, on device meta, output and gradients have torch's shapes and dtypes."""
    inputs = case.inputs(torch.float32, device="meta")
    ours, theirs = case.operation(*inputs), case.reference(*inputs)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), f"{ours} is not {theirs}"
    for gradient, tensor in zip(_gradients(ours, inputs, torch.ones_like(ours)), present_tensors(inputs), strict=True):
        assert (gradient.shape, gradient.dtype) == (tensor.shape, tensor.dtype), f"{gradient} is not like {tensor}"


def exact_shapes(case: Case) -> None:
    """Backward returns, for each input that needs one, a gradient of that very shape, dtype and device."""
    for dtype in DTYPES:
        output = case.operation(*case.inputs(dtype))  # while it lives, so does the graph behind it
        nodes = function_nodes(output)
        assert nodes, "no hand-written Function is behind the output"
        for node in nodes:
            outputs = _torch.output_metadata(node)
            returned = node.apply(*(torch.ones(o.shape, dtype=o.dtype, device=o.device) for o in outputs))
            returned = returned if isinstance(returned, tuple) else (returned,)
            need_flags = node.needs_input_grad
            assert len(returned) == len(need_flags), f"{len(returned)} gradients for {len(need_flags)} inputs"
            expected_gradients = iter(
                _torch.output_metadata(following)[index] for following, index in node.next_functions if following
            )
            for position in (position for position, need in enumerate(need_flags) if need):
                gradient, expected = returned[position], next(expected_gradients)
                assert gradient is not None, f"input {position} needs a gradient and got None"
                actual = (tuple(gradient.shape), gradient.dtype, gradient.device)
                right = (tuple(expected.shape), expected.dtype, expected.device)
                assert actual == right, f"gradient of input {position} is {actual}, expected {right}"


def linear_in_grad_output(case: Case) -> None:
    """Backward is a linear map of grad_output: sums and multiples go through it, zero gives zero."""
    inputs = case.inputs()
    output = case.operation(*inputs)
    first, second = random_like(output, 1), random_like(output, 2)
    first_gradients, second_gradients = _gradients(output, inputs, first), _gradients(output, inputs, second)
    expected = tuple(-2.5 * a + 0.5 * b for a, b in zip(first_gradients, second_gradients, strict=True))
    _assert_same(_gradients(output, inputs, -2.5 * first + 0.5 * second), expected, "gradients of -2.5 g + 0.5 h")
    zero = _gradients(output, inputs, torch.zeros_like(output))
    _assert_same(zero, tuple(torch.zeros_like(gradient) for gradient in zero), "gradients of 0")


def some_inputs_alone(case: Case) -> None:
    """An input's gradient is the same whichever of the other inputs need one."""
    inputs = case.inputs()
    grad_output = random_like(case.operation(*inputs), 1)
    expected = dict(zip(present_tensors(inputs), _gradients(case.operation(*inputs), inputs, grad_output), strict=True))
    for need_flags in product((True, False), repeat=len(expected)):
        subset = [tensor for tensor, need in zip(expected, need_flags, strict=True) if need]
        for tensor, need in zip(expected, need_flags, strict=True):
            tensor.requires_grad_(need)
        if subset:
            actual = torch.autograd.grad(case.operation(*inputs), subset, grad_output)
            _assert_same(actual, tuple(expected[tensor] for tensor in subset), f"gradients where {need_flags} need one")


def mutates_nothing(case: Case) -> None:
    """Forward, backward and jvp leave inputs, grad_output and tangents as they found them."""
    inputs = case.inputs()
    grad_output = random_like(case.operation(*inputs), 1)
    tangents = tuple(random_like(tensor, 2) for tensor in present_tensors(inputs))
    arguments = (*present_tensors(inputs), grad_output, *tangents)
    copies = [tensor.detach().clone() for tensor in arguments]
    _gradients(case.operation(*inputs), inputs, grad_output)
    with forward_ad.dual_level(), suppress(NotImplementedError):  # that there is no jvp is for forward_mode to say
        remaining = iter(tangents)
        case.operation(*(None if x is None else forward_ad.make_dual(x, next(remaining)) for x in inputs))  # type: ignore[no-untyped-call]
    for tensor, copy in zip(arguments, copies, strict=True):
        _assert_same(tensor.detach(), copy, "a tensor passed in was changed")


def keeps_nothing(case: Case) -> None:
    """Tensors go through save_for_backward: none stays on ctx, none outlives backward, none is in a cycle."""
    inputs = tuple(tensor if tensor is None else tensor * 1 for tensor in case.inputs())
    alive = [weakref.ref(tensor) for tensor in present_tensors(inputs)]
    collecting = gc.isenabled()
    gc.disable()  # a reference cycle must not be swept up before we look
    try:
        output = case.operation(*inputs)
        attributes = [
            n for node in function_nodes(output) for n, value in vars(node).items() if isinstance(value, Tensor)
        ]
        assert not attributes, f"tensors kept on ctx, not through save_for_backward: {', '.join(attributes)}"
        output.backward(torch.ones_like(output))  # type: ignore[no-untyped-call]
        del inputs
        assert not any(reference() is not None for reference in alive), "an input outlives backward"
        alive = [weakref.ref(output)]
        del output
        assert alive[0]() is None, "the output is held by a reference cycle"
    finally:
        if collecting:
            gc.enable()


def output_may_be_modified(case: Case) -> None:
    """After the output was changed in place gradients are right, or refused where torch refuses them: never wrong."""
    inputs = case.inputs()
    grad_output = random_like(case.reference(*inputs), 1)

    def gradients(function: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        return _gradients(function(*inputs).mul_(3), inputs, grad_output)

    try:
        expected = gradients(case.reference)
    except RuntimeError:  # torch's backward needs the output as it was
        refusal: RuntimeError | None = None
        try:
            gradients(case.operation)
        except RuntimeError as error:
            refusal = error
        assert refusal is not None, "backward used an output that was changed in place since"
    else:
        _assert_same(gradients(case.operation), expected, "gradients after an in-place product")


def cuda(case: Case) -> None:
    """On a CUDA device value and gradients equal torch's there."""
    if not torch.cuda.is_available():
        raise SkipTest("no CUDA device")
    for dtype in DTYPES:
        inputs = case.inputs(dtype, device="cuda")
        ours, theirs = case.operation(*inputs), case.reference(*inputs)
        _assert_same(ours, theirs, f"{dtype} on CUDA")
        grad_output = random_like(theirs, 1)
        actual, expected = _gradients(ours, inputs, grad_output), _gradients(theirs, inputs, grad_output)
        _assert_same(actual, expected, f"gradients in {dtype} on CUDA")


PROPERTIES: dict[str, Callable[[Case], None]] = {
    "value": value,
    "gradient": gradient,
    "gradcheck": gradcheck,
    "gradgradcheck": gradgradcheck,
    "forward mode": forward_mode,
    "batched": batches,
    "torch.func": func_transforms,
    "compile": compiles,
    "autocast": autocast,
    "meta": meta,
    "error budget": errors_within_budget,
    "saved bytes": saves_no_more,
    "exact shapes": exact_shapes,
    "linear in grad_output": linear_in_grad_output,
    "some inputs alone": some_inputs_alone,
    "None stays None": none_stays_none,
    "mutates nothing": mutates_nothing,
    "keeps nothing": keeps_nothing,
    "output modifiable": output_may_be_modified,
    "CUDA": cuda,
}
