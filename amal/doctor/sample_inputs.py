"""Inputs for a Function of which no definition is known: found by trying what its forward and backward take.

Sizes differ from each other, so that what is transposed or not summed does not fit by chance. Of all that forward
takes, inputs are wanted for which backward gives gradients of their very shapes; where there are none, forward decides.
What a parameter is called, its default and its annotation say what is tried first.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, product
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .definitions import Draw
from .function_under_test import Arguments, CallError, FunctionUnderTest, nth
from .subject import cast

TRIES: Final = 1500
"""Calls of forward, over all that is tried."""
SHAPES: Final = (
    *((6, 4), (4, 3), (6, 3)),
    *((4,), (3,), (6,), ()),
    *((2, 6, 4), (2, 4, 3), (2, 6, 3), (2, 3, 8), (5, 3, 2)),
    *((2, 3, 8, 8), (5, 3, 2, 2), (4, 4)),
)  # fmt: skip
"""In the order in which they are tried."""
TOGETHER: Final[tuple[tuple[tuple[int, ...], ...], ...]] = (
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
"""Shapes that go with each other, tried where no inputs fit otherwise: a scale for each row or column, the gates of a
cell, convolutions, recurrences, two layers, weights of low rank."""
VECTORS: Final = ("bias", "beta", "gamma", "shift")
WEIGHTS: Final = ("w", "weight", "weights", "kernel")
"""Beside one of them, `b` is a bias too."""
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

    def drawn(self, draw: Draw, positive: bool) -> Any:
        """Return an argument of the kind."""
        if not self.tensor:
            return self.value
        if self.classes:
            return torch.randint(0, 3, self.shape, generator=draw.generator)
        return draw.uniform(0.2, 0.8, *self.shape) if positive else draw(*self.shape)


@dataclass(frozen=True)
class Sample:
    """Inputs for which a Function could be run."""

    arguments: Arguments
    fits: int
    """4 where backward gives each tensor a gradient of its shape, 3 where all are 0, 2 where some are None, else 1."""
    of_bias: bool = True
    """Where some gradient has another shape, whether that of a bias of one dimension has."""

    @property
    def says(self) -> str:
        """The inputs in words, such as `(6, 4), (4, 3), 0.5`."""
        return in_words(self.arguments)


def in_words(arguments: Sequence[Any]) -> str:
    """Return shapes of tensors, and other arguments as they are."""
    return ", ".join(str(tuple(of.shape)) if isinstance(of, Tensor) else repr(of) for of in arguments)


def found_samples(function: FunctionUnderTest, count: int = 3) -> tuple[list[Sample], Sample | None]:
    """Return inputs for a Function, found by trying: those that fit, of different kinds; else one that forward takes.

    The second is the likeliest that forward takes and that does not fit, where others do.

    Where a parameter is called a bias, the first inputs that forward takes decide: backward must sum its gradient.

    Args:
        function: the Function.
        count: the most to return.
    """
    for dtype in (torch.float64, torch.float32):
        found, unfit = _found(function, count, dtype)
        if found:
            return found, unfit
    return [], None


def _found(function: FunctionUnderTest, count: int, dtype: torch.dtype) -> tuple[list[Sample], Sample | None]:
    hinted = any(map(_is_vector(function), function.names))
    fitting: list[Sample] = []
    others: list[Sample] = []
    ranks: set[tuple[int, ...]] = set()
    usual, likely = _kinds(function), TRIES // 5
    together = (kinds for kinds in _together(function) if not fitting)
    rest = (kinds for kinds in islice(usual, TRIES - likely) if not any(map(_is_together, fitting)))
    for kinds in chain(islice(usual, likely), together, rest):
        rank = tuple(len(kind.shape) if kind.tensor else -1 for kind in kinds)
        if rank in ranks:
            continue
        sample = _tried(function, kinds, dtype)
        if sample is None:
            continue
        if sample.fits < 4:
            others.append(sample)
            if hinted and sample.fits == 1 and sample.of_bias and not fitting:
                break
            continue
        fitting.append(sample)
        ranks.add(rank)
        if len(fitting) == count:
            break
    if fitting:
        return fitting, next((of for of in others if of.fits < 3), None)
    return sorted(others, key=lambda sample: -sample.fits)[:1], None


def _together(function: FunctionUnderTest) -> Iterator[tuple[Kind, ...]]:
    """Yield kinds of all arguments that forward must have: shapes that go with each other."""
    for shapes in TOGETHER:
        if len(shapes) == (function.required or 1):
            yield tuple(map(Kind, shapes))


def _is_together(sample: Sample) -> bool:
    """Whether the shapes of a sample are some that go with each other."""
    return tuple(tuple(of.shape) for of in sample.arguments if isinstance(of, Tensor)) in TOGETHER


class Upright(TorchFunctionMode):
    """Refuses the transpose of a vector, which torch takes for the vector itself: a matrix is meant."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (torch.t, Tensor.t, Tensor.T.__get__) and args[0].dim() == 1:  # type: ignore[attr-defined]
            raise TypeError("a vector has no transpose")
        return function(*args, **(kwargs or {}))


def _tried(function: FunctionUnderTest, kinds: Sequence[Kind], dtype: torch.dtype) -> Sample | None:
    """Return arguments of some kinds, if forward takes them and gives finite numbers."""
    for positive in (False, True):
        draw = Draw(0)
        arguments = cast([kind.drawn(draw, positive) for kind in kinds], dtype)
        variables = [place for place, of in enumerate(arguments) if isinstance(of, Tensor) and of.is_floating_point()]
        try:
            with Upright():
                call = function(arguments, variables)
        except CallError:
            return None
        if not torch.isfinite(call.output).all():
            continue
        if call.node is None or not call.output.numel():
            return None
        try:
            with Upright():
                returned = call.backward(torch.ones_like(call.output))
        except CallError:
            return Sample(arguments, fits=1)
        if any(isinstance(of, Tensor) and place not in variables for place, of in enumerate(returned)):
            return None  # torch's engine takes no gradient for a number
        given = {place: nth(returned, place) for place in variables}
        grads = [of for of in given.values() if isinstance(of, Tensor)]
        shapes = {place: getattr(of, "shape", None) for place, of in given.items() if of is not None}
        misfits = [place for place, shape in shapes.items() if shape != arguments[place].shape]
        if misfits:
            is_vector = _is_vector(function)
            is_bias = any(arguments[of].dim() == 1 and is_vector(function.name(of)) for of in misfits)
            return Sample(arguments, fits=1, of_bias=is_bias)
        return Sample(arguments, fits=2 if len(grads) < len(given) else 3 + any(of.any() for of in grads))
    return None


def _kinds(function: FunctionUnderTest) -> Iterator[tuple[Kind, ...]]:
    """Yield kinds of all arguments that forward must have, likely ones first."""
    signature = inspect.signature(function.implementation.forward)
    parameters = [signature.parameters[name] for name in function.names]
    needed = parameters[: function.required] or parameters[:1]
    if not needed:
        needed = [inspect.Parameter("input", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    is_vector = _is_vector(function)
    choices = [_choices(parameter, place, is_vector(parameter.name)) for place, parameter in enumerate(needed)]
    # By how unlikely their least likely part is, so that no argument keeps all others waiting.
    for depth in range(1, max(map(len, choices)) + 1):
        for places in product(*(range(min(depth, len(options))) for options in choices)):
            if max(places) == depth - 1 or depth == 1:
                yield tuple(options[place] for place, options in zip(places, choices, strict=True))


def _is_vector(function: FunctionUnderTest) -> Callable[[str], bool]:
    """Return whether a parameter's name says that it is a bias."""
    names = (*VECTORS, "b") if any(name.lower() in WEIGHTS for name in function.names) else VECTORS
    return lambda name: name.lower() in names


def _choices(parameter: inspect.Parameter, place: int, vector: bool) -> list[Kind]:
    """Return what an argument may be, the likeliest first."""
    name = parameter.name.lower()
    tensors = [Kind(shape) for shape in SHAPES]
    numbers = [Kind(tensor=False, value=value) for value in (0.5 + 0.25 * place, 2, 1, -1)]
    classes = [Kind((6,), classes=True), Kind((6, 4), classes=True), Kind((2, 6), classes=True)]
    told = str(parameter.annotation).lower()
    named = [Kind(tensor=False, value=value) for value, names in NUMBERS.items() if name in names]
    if told in ("<class 'float'>", "float"):
        return [*named, *numbers]
    if told in ("<class 'int'>", "int"):
        return [*named, *(Kind(tensor=False, value=value) for value in (1, 2, -1, 0, 3))]
    if told in ("<class 'bool'>", "bool"):
        return [Kind(tensor=False, value=value) for value in (False, True)]
    if named:
        return [*named, *numbers, *tensors]
    if vector:
        return [*(kind for kind in tensors if len(kind.shape) == 1), *tensors, *numbers]
    if name in CLASSES:
        return [*tensors[:3], *classes, *tensors[3:], *numbers]
    few = 7
    return [*tensors[:few], *numbers[:2], *classes[:1], *tensors[few:], *numbers[2:], *classes[1:]]
