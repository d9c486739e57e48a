"""What torch.func and forward mode can do with a Function: whatever the class says that it has is run."""

import warnings
from collections.abc import Generator, Iterator

import torch
from torch import Tensor
from torch.autograd import forward_ad

from amal import _torch

from .calls import CallError, error_words, substitute
from .evidence import same
from .function_under_test import Composite, dtype_name
from .slopes import slope
from .subject import Observation, Subject, make_leaves, random_like


def check_transforms(subject: Subject) -> Iterator[Observation]:
    """torch.func.vmap, several gradients at once, and forward mode."""
    if isinstance(subject.function, Composite):
        return
    implementation, plain = subject.function.implementation, torch.autograd.Function
    if refusal := (yield from _many_gradients(subject)):
        words = "several grad_outputs at once (is_grads_batched, gradcheck's check_batched_grad) are refused"
        yield Observation("not-reached", f"{words}: {refusal}", note=True)
    if implementation.vmap is not plain.vmap or getattr(implementation, "generate_vmap_rule", False):
        yield from _batch(subject)
    else:
        words = "there is neither generate_vmap_rule nor vmap: torch.func.vmap cannot batch it"
        yield Observation("no-vmap", words, note=True)
    if implementation.jvp is plain.jvp:
        yield Observation("no-jvp", "there is no jvp: forward mode cannot differentiate it", note=True)
    elif subject.dtype == torch.float64:
        yield from _forward_mode(subject)


def _many_gradients(subject: Subject) -> Generator[Observation, None, str]:
    """For several grad_outputs at once (is_grads_batched) backward gives what it gives for one after the other.

    Returns:
        the exception in words, if one is raised: few backwards are written for this convenience.
    """
    leaves, arguments = make_leaves(subject.arguments, subject.variables)
    inputs = tuple(leaves.values())
    output = subject.function.run(arguments).output
    several = torch.stack([random_like(output, seed) for seed in (1, 2)])

    def pull(grad_output: Tensor) -> tuple[Tensor, ...]:
        grads = _torch.pull_back(output, grad_output, inputs)  # (output * grad_output) has no graph in vmap
        pairs = zip(grads, inputs, strict=True)
        return tuple(torch.zeros_like(leaf) if grad is None else grad for grad, leaf in pairs)

    try:
        alone = [pull(grad_output) for grad_output in several]
    except Exception:
        return ""  # it can run once alone
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            together = torch.func.vmap(pull)(several)  # as is_grads_batched does
    except Exception as error:
        return error_words(error, 200)
    for place, actual, *expected in zip(leaves, together, *alone, strict=True):
        if not same(actual, torch.stack(expected), subject.tolerance):
            yield Observation("vmap", "is another for several grad_outputs at once (is_grads_batched)", place)
    return ""


def _batch(subject: Subject) -> Iterator[Observation]:
    """Under torch.func.vmap three examples have the value and gradients that they have one by one."""
    variables, arguments = subject.variables, subject.arguments
    examples = [tuple(arguments[place] * (1 + 0.01 * number) for place in variables) for number in range(3)]

    def output(*values: Tensor) -> Tensor:
        inputs = arguments
        for place, value in zip(variables, values, strict=True):
            inputs = substitute(inputs, place, value)
        return subject.function.run(inputs).output

    def with_gradients(*values: Tensor) -> tuple[Tensor, ...]:
        value, pull = torch.func.vjp(output, *values)  # type: ignore[misc]
        return value, *pull(torch.ones_like(value))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one_by_one = [with_gradients(*values) for values in examples]
            batch = torch.func.vmap(with_gradients)(*map(torch.stack, zip(*examples, strict=True)))
    except Exception as error:
        words = "the class says that torch.func.vmap can batch it, which raises"
        yield Observation("vmap", f"{words} {error_words(error, 200)}")
        return
    for number, (actual, expected) in enumerate(zip(batch, zip(*one_by_one, strict=True), strict=True)):
        if not same(actual, torch.stack(expected), subject.tolerance):
            place = variables[number - 1] if number else None
            words = "is another under torch.func.vmap" if number else "the output is another under torch.func.vmap"
            yield Observation("vmap", f"{words} than for one example after the other", place)
            return


def _forward_mode(subject: Subject) -> Iterator[Observation]:
    tangents = {place: random_like(subject.arguments[place], 3 + place) for place in subject.variables}

    def path(step: float) -> Tensor:
        arguments = subject.arguments
        for place, tangent in tangents.items():
            arguments = substitute(arguments, place, arguments[place] + step * tangent)
        return subject.differentiable(arguments)

    estimate = slope(path)
    try:
        with warnings.catch_warnings(), forward_ad.dual_level():
            warnings.simplefilter("ignore")  # torch's own, of what it has deprecated
            duals = subject.arguments
            for place, tangent in tangents.items():
                dual = forward_ad.make_dual(duals[place].clone(), tangent)  # type: ignore[no-untyped-call]
                duals = substitute(duals, place, dual)
            tangent = forward_ad.unpack_dual(subject.function.run(duals).output).tangent  # type: ignore[no-untyped-call]
    except CallError as error:
        yield Observation("no-jvp", f"jvp cannot be used: {error}", note=True, method="jvp")
        return
    if tangent is None:
        yield Observation("grad-missing", "jvp gives no tangent, and the output depends on the inputs", method="jvp")
        return
    if tangent.dtype != subject.dtype:
        words = f"jvp gives a tangent in {dtype_name(tangent.dtype)}, for inputs in {dtype_name(subject.dtype)}"
        yield Observation("grad-dtype", words, method="jvp")
    actual = torch.where(estimate.smooth, tangent.detach().double().flatten(), estimate.value)
    if not same(actual, estimate.value, 1e-5, estimate.error):
        words = "jvp does not give the slope of the output along a step of the inputs"
        yield Observation("grad-value", words, method="jvp")
