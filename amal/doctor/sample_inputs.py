"""Find inputs for a Function without a known definition, by trying what its forward and backward take.

Sizes differ from each other, so that a gradient that is transposed or not summed does not fit by
chance. Inputs for which backward gives gradients of their own shapes come first; without any, those
that forward takes. The name, default and annotation of a parameter say what is tried first.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, product
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .calls import Arguments, CallError, nth
from .definitions import Draw
from .function_under_test import FunctionUnderTest
from .subject import cast, variables_of

TRIES: Final = 1500
"""Calls of forward, over all that is tried."""
SHAPES: Final = (
    *((6, 4), (4, 3), (6, 3)),
    *((4,), (3,), (6,), ()),
    *((2, 6, 4), (2, 4, 3), (2, 6, 3), (2, 3, 8), (5, 3, 2)),
    *((2, 3, 8, 8), (5, 3, 2, 2), (4, 4)),
)  # fmt: skip
"""Shapes of one input, in the order of the trials."""
FAMILIES: Final[tuple[tuple[tuple[int, ...], ...], ...]] = (
    ((2, 4, 8, 8),),
    *(((6, 16), (6, 4)), ((6, 4), (6, 1)), ((6, 4), (1, 4)), ((2, 3, 8), (4, 3, 2)), ((2, 3, 8, 8), (4, 3, 2, 2))),
    *(
        ((2, 3, 8), (4, 3, 2), (4,)),
        ((2, 3, 8, 8), (4, 3, 2, 2), (4,)),
        ((6, 4), (3, 4), (3, 3)),
        ((6, 4), (4, 3), (3, 3)),
    ),
    *(((6, 4), (3, 4), (2, 4), (3, 2)), ((6, 4), (4, 3), (4, 2), (2, 3)), ((6, 4), (5, 4), (5, 4), (4, 5))),
    *(((6, 4), (4, 5), (4, 5), (5, 4)), ((6, 4), (3, 4), (3, 3), (3,)), ((6, 4), (4, 3), (3, 3), (3,))),
    *(((6, 4), (5, 4), (5,), (3, 5), (3,)), ((6, 4), (4, 5), (5,), (5, 3), (3,))),
)
"""Shapes of several inputs that belong together, tried if no others fit: a scale for each row or column, the gates
of a cell, convolutions, recurrences, two layers, weights of low rank."""
VECTORS: Final = ("bias", "beta", "gamma", "shift")
WEIGHTS: Final = ("w", "weight", "weights", "kernel")
"""With one of them, `b` is a bias as well."""
NUMBERS: Final = {
    -1: ("dim", "axis", "dims"),
    -0.7: ("lo", "low", "lower", "min", "minimum", "min_val", "a_min"),
    0.9: ("hi", "high", "upper", "max", "maximum", "max_val", "a_max"),
    1: ("stride", "padding", "dilation", "groups", "diagonal", "offset", "order"),
    2: ("kernel_size", "size", "n", "num", "window", "k", "kernel", "width", "height", "times", "repeats"),
    1e-5: ("eps", "epsilon"),
    False: ("inplace", "training", "train", "reverse", "transpose", "keepdim", "affine"),
}
CLASSES: Final = ("index", "indices", "idx", "ids", "labels", "label", "classes", "target", "targets", "y", "tokens")


@dataclass(frozen=True)
class Kind:
    """A kind of argument: a tensor of a shape, classes by number, or a value."""

    shape: tuple[int, ...] = ()
    classes: bool = False
    value: Any = None
    tensor: bool = True

    def argument(self, draw: Draw, positive: bool) -> Any:
        """Return an argument of the kind."""
        if not self.tensor:
            return self.value
        if self.classes:
            return torch.randint(0, 3, self.shape, generator=draw.generator)
        return draw.uniform(0.2, 0.8, *self.shape) if positive else draw(*self.shape)


@dataclass(frozen=True)
class Sample:
    """Inputs with which a Function runs."""

    arguments: Arguments
    fits: int
    """4 if backward gives each tensor a gradient of its shape, 3 if all are 0, 2 if some are None, else 1."""
    bias_misfit: bool = True
    """If some gradient has another shape: whether that of a bias of one dimension has."""


def argument_text(arguments: Sequence[Any]) -> str:
    """Return shapes of tensors, and other arguments as they are: `(6, 4), (4, 3), 0.5`."""
    return ", ".join(str(tuple(value.shape)) if isinstance(value, Tensor) else repr(value) for value in arguments)


def find_samples(function: FunctionUnderTest, count: int = 3) -> tuple[list[Sample], Sample | None]:
    """Find inputs for a Function: some that fit, of different kinds; else one that forward takes.

    The second value is the likeliest that forward takes and that does not fit, if others do. If the name of a
    parameter says that it is a bias, the first inputs that forward takes decide: backward must sum its gradient.

    Args:
        function: the Function.
        count: the most to return.
    """
    for dtype in (torch.float64, torch.float32):
        samples, misfit = _find(function, count, dtype)
        if samples:
            return samples, misfit
    return [], None


def _find(function: FunctionUnderTest, count: int, dtype: torch.dtype) -> tuple[list[Sample], Sample | None]:
    has_bias = any(map(_is_vector(function), function.names))
    samples: list[Sample] = []
    misfits: list[Sample] = []
    ranks: set[tuple[int, ...]] = set()
    usual, likely = _kinds(function), TRIES // 5
    families = (kinds for kinds in _family_kinds(function) if not samples)
    rest = (kinds for kinds in islice(usual, TRIES - likely) if not any(map(_is_family, samples)))
    for kinds in chain(islice(usual, likely), families, rest):
        rank = tuple(len(kind.shape) if kind.tensor else -1 for kind in kinds)
        if rank in ranks:
            continue
        sample = _try(function, kinds, dtype)
        if sample is None:
            continue
        if sample.fits < 4:
            misfits.append(sample)
            if has_bias and sample.fits == 1 and sample.bias_misfit and not samples:
                break
            continue
        samples.append(sample)
        ranks.add(rank)
        if len(samples) == count:
            break
    if samples:
        return samples, next((misfit for misfit in misfits if misfit.fits < 3), None)
    return sorted(misfits, key=lambda sample: -sample.fits)[:1], None


def _family_kinds(function: FunctionUnderTest) -> Iterator[tuple[Kind, ...]]:
    """Yield kinds of all arguments that forward must have, of shapes that belong together."""
    for shapes in FAMILIES:
        if len(shapes) == (function.required or 1):
            yield tuple(map(Kind, shapes))


def _is_family(sample: Sample) -> bool:
    """Whether the shapes of a sample belong together."""
    tensors = (value for value in sample.arguments if isinstance(value, Tensor))
    return tuple(tuple(tensor.shape) for tensor in tensors) in FAMILIES


class NoVectorTranspose(TorchFunctionMode):
    """Refuses the transpose of a vector, which for torch is the vector itself: the code expects a matrix."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (torch.t, Tensor.t, Tensor.T.__get__) and args[0].dim() == 1:  # type: ignore[attr-defined]
            raise TypeError("a vector has no transpose")
        return function(*args, **(kwargs or {}))


def _try(function: FunctionUnderTest, kinds: Sequence[Kind], dtype: torch.dtype) -> Sample | None:
    """Return arguments of some kinds, if forward takes them and gives finite numbers."""
    for positive in (False, True):
        draw = Draw(0)
        arguments = cast([kind.argument(draw, positive) for kind in kinds], dtype)
        variables = variables_of(arguments)
        try:
            with NoVectorTranspose():
                call = function(arguments, variables)
        except CallError:
            return None
        if not torch.isfinite(call.output).all():
            continue
        if call.node is None or not call.output.numel():
            return None
        try:
            with NoVectorTranspose():
                gradients = call.backward(torch.ones_like(call.output))
        except CallError:
            return Sample(arguments, fits=1)
        for place, gradient in enumerate(gradients):
            if isinstance(gradient, Tensor) and place not in variables:
                return None  # torch's engine takes no gradient for a number
        values = {place: nth(gradients, place) for place in variables}
        misfits = [
            place
            for place, value in values.items()
            if value is not None and getattr(value, "shape", None) != arguments[place].shape
        ]
        if misfits:
            is_vector = _is_vector(function)
            vectors = [place for place in misfits if arguments[place].dim() == 1]
            bias_misfit = any(is_vector(function.name(place)) for place in vectors)
            return Sample(arguments, fits=1, bias_misfit=bias_misfit)
        if any(value is None for value in values.values()):
            return Sample(arguments, fits=2)
        return Sample(arguments, fits=3 + any(value.any() for value in values.values()))
    return None


def _kinds(function: FunctionUnderTest) -> Iterator[tuple[Kind, ...]]:
    """Yield kinds of all arguments that forward must have, likely ones first."""
    signature = inspect.signature(function.implementation.forward)
    parameters = [signature.parameters[name] for name in function.names]
    parameters = parameters[: function.required] or parameters[:1]
    if not parameters:
        parameters = [inspect.Parameter("input", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    is_vector = _is_vector(function)
    choices = [_choices(parameter, place, is_vector(parameter.name)) for place, parameter in enumerate(parameters)]
    # In the order of their least likely part, so that no argument keeps all others waiting.
    for depth in range(1, max(map(len, choices)) + 1):
        for places in product(*(range(min(depth, len(options))) for options in choices)):
            if max(places) == depth - 1 or depth == 1:
                yield tuple(options[place] for place, options in zip(places, choices, strict=True))


def _is_vector(function: FunctionUnderTest) -> Callable[[str], bool]:
    """Return the test whether the name of a parameter says that it is a bias."""
    names = (*VECTORS, "b") if any(name.lower() in WEIGHTS for name in function.names) else VECTORS
    return lambda name: name.lower() in names


def _choices(parameter: inspect.Parameter, place: int, vector: bool) -> list[Kind]:
    """Return what an argument may be, the likeliest first."""
    name = parameter.name.lower()
    tensors = [Kind(shape) for shape in SHAPES]
    numbers = [Kind(tensor=False, value=value) for value in (0.5 + 0.25 * place, 2, 1, -1)]
    classes = [Kind((6,), classes=True), Kind((6, 4), classes=True), Kind((2, 6), classes=True)]
    annotation = str(parameter.annotation).lower()
    by_name = [Kind(tensor=False, value=value) for value, names in NUMBERS.items() if name in names]
    if annotation in ("<class 'float'>", "float"):
        return [*by_name, *numbers]
    if annotation in ("<class 'int'>", "int"):
        return [*by_name, *(Kind(tensor=False, value=value) for value in (1, 2, -1, 0, 3))]
    if annotation in ("<class 'bool'>", "bool"):
        return [Kind(tensor=False, value=value) for value in (False, True)]
    if by_name:
        return [*by_name, *numbers, *tensors]
    if vector:
        return [*(kind for kind in tensors if len(kind.shape) == 1), *tensors, *numbers]
    if name in CLASSES:
        return [*tensors[:3], *classes, *tensors[3:], *numbers]
    few = 7
    return [*tensors[:few], *numbers[:2], *classes[:1], *tensors[few:], *numbers[2:], *classes[1:]]
