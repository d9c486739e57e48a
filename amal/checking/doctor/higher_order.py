"""The derivative of backward, and what torch.func and forward mode can do with a Function."""

import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .directions import DIRECTIONS, MANY
from .hypotheses import same
from .slopes import slope, slopes
from .specimen import Arguments, Composite, Raised, plain
from .subject import Found, Subject, gradients, random_like

TOLERANCE = 1e-5
"""Of a second derivative: the accuracy of the slope of a slope."""


def second_derivative(subject: Subject) -> Iterator[Found]:
    """The derivative of backward is right, or refused."""
    if subject.dtype != torch.float64:
        return
    variables, specimen = subject.variables, subject.specimen
    first = specimen(subject.arguments, variables)
    if first.node is None:
        return
    grad_output = random_like(first.output, 1)
    returned = gradients(subject, subject.arguments)
    places = [place for place in variables if place < len(returned) and isinstance(returned[place], Tensor)]
    weights = {place: random_like(returned[place], 7 + place) for place in places}

    def weighed(arguments: Arguments) -> Tensor:
        *inputs, grad_output = arguments
        pulled = specimen(inputs, variables).backward(grad_output)
        return torch.stack([(weights[place] * pulled[place]).sum() for place in places]).sum()

    inputs = [subject.arguments[place].detach().clone().requires_grad_() for place in places]
    outer = grad_output.clone().requires_grad_()
    at = list(subject.arguments)
    for place, input in zip(places, inputs, strict=True):
        at[place] = input.clone()
    output = specimen.on(tuple(at)).output
    try:
        pulled = torch.autograd.grad(output, inputs, outer, create_graph=True)
        total = torch.stack([(weights[place] * of).sum() for place, of in zip(places, pulled, strict=True)]).sum()
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]  # autograd.grad would pass by a node that refuses
    except (RuntimeError, NotImplementedError):
        yield Found("not-reached", "the second derivative is refused", note=True)
        return
    names = [*(subject.name(place) for place in places), "grad_output"]
    everything = (*subject.arguments, grad_output)
    for variable, name, place in zip([*inputs, outer], names, [*places, len(everything) - 1], strict=True):
        actual = torch.zeros_like(variable) if variable.grad is None else variable.grad
        if not _is_slope(actual, weighed, everything, place):
            how = "wrong" if actual.any() else "missing"
            words = f"the second derivative by {name} is {how}, and nothing says so"
            words += ": backward uses something that the graph does not know"
            yield Found("second-order", words)
            return


def _is_slope(actual: Tensor, function: Callable[[Arguments], Tensor], arguments: Arguments, place: int) -> bool:
    """Whether a gradient is the slope of a number by one argument: along random directions, or else entry by entry."""
    variable = arguments[place].detach()
    smooth = True
    for number in range(DIRECTIONS):
        direction = random_like(variable, 11 + number)

        def along(step: float, direction: Tensor = direction) -> Tensor:
            return function((*arguments[:place], variable + step * direction, *arguments[place + 1 :]))

        measured, given = slope(along), actual * direction
        margin = TOLERANCE * float(given.norm() + 1e-3) + float(measured.error)
        if measured.smooth and abs(float(given.sum() - measured.value)) > margin:
            return False
        smooth = smooth and bool(measured.smooth)
    if smooth or actual.numel() > MANY:
        return True
    column = slopes(function, arguments, place)
    expected, one = column.pull(torch.ones(())), torch.ones(())
    return same(torch.where(column.smooth, actual, expected), expected, TOLERANCE, column.margin(one))


def transforms(subject: Subject) -> Iterator[Found]:
    """What torch.func and forward mode can do with it: whatever the class says that it has is run."""
    if isinstance(subject.specimen, Composite):
        return
    function = subject.specimen.function
    own_vmap = function.vmap is not torch.autograd.Function.vmap
    if own_vmap or getattr(function, "generate_vmap_rule", False):
        yield from _batched(subject)
    else:
        yield Found(
            "no-vmap", "there is neither generate_vmap_rule nor vmap: torch.func.vmap cannot batch it", note=True
        )
    if function.jvp is torch.autograd.Function.jvp:
        yield Found("no-jvp", "there is no jvp: forward mode cannot differentiate it", note=True)
    elif subject.dtype == torch.float64:
        yield from _forward_mode(subject)


def _batched(subject: Subject) -> Iterator[Found]:
    """Under torch.func.vmap, over three examples, value and gradients are those of one example after the other."""
    variables, arguments = subject.variables, subject.arguments
    examples = [tuple(arguments[place] * (1 + 0.01 * number) for place in variables) for number in range(3)]

    def with_gradients(*values: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(variables, values, strict=True))

        def output(*values: Tensor) -> Tensor:
            at = dict(zip(variables, values, strict=True))
            return subject.specimen.on(tuple(at.get(place, value) for place, value in enumerate(arguments))).output

        value, pull = torch.func.vjp(output, *given.values())  # type: ignore[misc]
        return value, *pull(torch.ones_like(value))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one_by_one = [with_gradients(*values) for values in examples]
            stacked = [torch.stack(values) for values in zip(*examples, strict=True)]
            batched = torch.func.vmap(with_gradients)(*stacked)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        yield Found("no-vmap", f"torch.func.vmap cannot be used: {type(error).__name__}: {said}", note=True)
        return
    for number, (actual, expected) in enumerate(zip(batched, zip(*one_by_one, strict=True), strict=True)):
        if not same(actual, torch.stack(expected), subject.tolerance):
            place = variables[number - 1] if number else None
            words = "is another under torch.func.vmap" if number else "the output is another under torch.func.vmap"
            yield Found("vmap", f"{words} than for one example after the other", place)
            return


def _forward_mode(subject: Subject) -> Iterator[Found]:
    tangents = {place: random_like(subject.arguments[place], 3 + place) for place in subject.variables}

    def along(step: float) -> Tensor:
        moved = tuple(
            of + step * tangents[place] if place in tangents else of for place, of in enumerate(subject.arguments)
        )
        return subject.differentiable(moved)

    measured = slope(along)
    try:
        with warnings.catch_warnings(), forward_ad.dual_level():
            warnings.simplefilter("ignore")  # torch's own, of what it has deprecated
            duals = tuple(
                forward_ad.make_dual(of.clone(), tangents[place]) if place in tangents else of  # type: ignore[no-untyped-call]
                for place, of in enumerate(subject.arguments)
            )
            tangent = forward_ad.unpack_dual(subject.specimen.on(duals).output).tangent  # type: ignore[no-untyped-call]
    except Raised as error:
        yield Found("no-jvp", f"jvp cannot be used: {error}", note=True, method="jvp")
        return
    if tangent is None:
        yield Found("grad-missing", "jvp gives no tangent, and the output depends on the inputs", method="jvp")
        return
    if tangent.dtype != subject.dtype:
        words = f"jvp gives a tangent in {plain(tangent.dtype)}, for inputs in {plain(subject.dtype)}"
        yield Found("grad-dtype", words, method="jvp")
    actual = torch.where(measured.smooth, tangent.detach().double().flatten(), measured.value)
    if not same(actual, measured.value, 1e-5, measured.error):
        words = "jvp does not give the slope of the output along a step of the inputs"
        yield Found("grad-value", words, method="jvp")
