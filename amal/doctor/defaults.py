"""Other values of parameters that have a default: "sum" may be right and "mean" wrong.

One parameter at a time gets what the code compares with, the other truth value, a number close by
or, for None, a tensor or a number. Backward is compared with the slope of forward there. What raises
an exception misleads nobody.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from inspect import Parameter
from typing import Any, Final

import torch
from torch import Tensor

from .calls import Arguments, CallError, nth, substitute
from .code_constants import is_for_backward, texts, thresholds
from .comparison import compare_with_slope
from .directions import depends
from .evidence import Tolerance
from .function_under_test import Composite
from .sample_inputs import NUMBERS, VECTORS
from .subject import Observation, Subject, random_like

CLOSE: Final = Tolerance(1e-3)
"""The most that can be asked of what is exact in the limit, such as a fixed point after some steps."""
MOST: Final = 5
"""Values that are tried of one parameter."""
CLASSES: Final = ("ignore", "padding_idx")
"""Parts of the name of a parameter that leaves a class out; it gets a class that occurs."""
WORDS: Final = {"reduction": ("none", "mean", "sum"), "reduce": ("mean", "sum", "amax", "prod")}
"""Values that parameters of a name have in torch."""


def check_other_defaults(subject: Subject) -> Iterator[Observation]:
    """Backward is right for other values of parameters that have a default or a trial value."""
    if isinstance(subject.function, Composite) or subject.dtype != torch.float64:
        return
    untried: list[str] = []
    optional: dict[int, Any] = {}
    for place, parameter in enumerate(subject.function.parameters):
        is_default = place >= len(subject.arguments)
        usual = parameter.default if is_default else subject.arguments[place]
        if isinstance(usual, Tensor) or (not is_default and not subject.trial_inputs):
            continue
        refusals: list[str] = []
        ran = False
        for value in _values(subject, place, parameter, usual) if subject.surrogate is None else ():
            words = f"{parameter.name}={_text(value)}"
            try:
                observations = list(_compare(_with_value(subject, place, value), place, words))
            except CallError as error:
                refusals.append(f"{words}: {error}")
                continue
            ran = True
            yield from observations
            if not all(each.note for each in observations):
                return
            if usual is None:
                optional.setdefault(place, value)
            if isinstance(value, Tensor):
                break
        if not ran and (usual is None or not refusals):
            untried.append(f"{parameter.name}={_text(usual)}")
        if isinstance(usual, (bool, str)) or (usual is not None and not ran):
            yield from (Observation("not-reached", refusal, note=True) for refusal in refusals[:1])
    if len(optional) > 1:
        with contextlib.suppress(CallError):
            yield from _all_together(subject, optional)
    if untried:
        yield Observation("not-reached", f"no other value was tried of {', '.join(untried)}", note=True)


def _all_together(subject: Subject, optional: dict[int, Any]) -> Iterator[Observation]:
    """Compare where no parameter that may be None is None, as both ends of an interval.

    Raises:
        CallError: forward or backward does.
    """
    parameters = subject.function.parameters
    words = " and ".join(f"{parameters[place].name}={_text(value)}" for place, value in optional.items())
    for place, value in optional.items():
        subject = _with_value(subject, place, value)
    yield from _compare(subject, max(optional), words)


def _text(value: Any) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)


def _with_value(subject: Subject, place: int, value: Any) -> Subject:
    """Return the same, with another value of a parameter, and the defaults of those before it."""
    defaults = [parameter.default for parameter in subject.function.parameters[len(subject.arguments) : place]]
    arguments: Arguments = substitute((*subject.arguments, *defaults), place, value)
    variables = subject.variables
    if isinstance(value, Tensor) and value.is_floating_point():
        variables = (*variables, place)
    return replace(subject, definition=None, arguments=arguments, variables=variables)


def _values(subject: Subject, place: int, parameter: Parameter, usual: Any) -> list[Any]:
    """Return other values of a parameter, likely ones first."""
    name, limits = parameter.name.lower(), thresholds(subject.function)
    values: list[Any] = []
    if isinstance(usual, bool):
        values = [not usual]
    elif isinstance(usual, str):
        values = [*WORDS.get(name, ()), *texts(subject.function)]
    elif isinstance(usual, int) and any(part in name for part in CLASSES):
        tensors = [value for value in subject.arguments if isinstance(value, Tensor)]
        values = [int(each.flatten()[0]) for each in tensors if each.numel() and not each.is_floating_point()]
    elif isinstance(usual, int):
        whole = [int(limit) for limit in limits if limit.is_integer() and abs(limit) < 10]
        values = [usual + 1, *([usual - 1] if usual else []), *whole]
    elif isinstance(usual, float):
        values = [usual / 2, 2 * usual] if usual else [0.5, -0.5]
        values += [limit for limit in limits if abs(limit) < 10]
        values += [1 - usual / 2] if 0.05 < usual < 1 else []  # a share, such as the p of a dropout
    elif isinstance(usual, tuple) and usual and all(isinstance(size, int) for size in usual):
        values = [tuple(size + 1 for size in usual)]
    elif usual is None:
        numbers = [value for value, names in NUMBERS.items() if name in names]
        return [*numbers, 0] if numbers else list(_tensors(subject, place))
    return [value for value in dict.fromkeys(values) if value != usual][:MOST]


def _tensors(subject: Subject, place: int) -> Iterator[Tensor]:
    """Yield tensors that may stand for None: like the output or an input, or as long as a row of it."""
    tensors = [subject.function.value(subject.arguments), *(subject.arguments[other] for other in subject.variables)]
    rows = [*(tensor.shape[-1:] for tensor in tensors), *(tensor.shape[:1] for tensor in tensors)]
    for shape in dict.fromkeys([*rows, *(tensor.shape for tensor in tensors)]):
        tensor = random_like(torch.empty(shape, dtype=subject.dtype), 21 + place)
        is_mask = "mask" in subject.function.parameters[place].name.lower()
        yield from [tensor > 0, tensor] if is_mask else [tensor]


def _compare(subject: Subject, place: int, words: str) -> Iterator[Observation]:
    """Compare with another value of the parameter in a place, a note where that seems to be on purpose.

    Raises:
        CallError: forward or backward does.
    """
    gradients = subject.baseline.gradients
    value, name = subject.arguments[place], subject.function.parameters[place].name
    if isinstance(value, Tensor) and nth(gradients, place) is None:
        if name.lower() in VECTORS and depends(subject, place):
            yield Observation("grad-missing", f"is None where it is {words.partition('=')[2]}", place)
            return
        subject = replace(subject, variables=tuple(other for other in subject.variables if other != place))
    observations = list(compare_with_slope(subject, f"with {words}", CLOSE))
    if not observations:
        return
    if not any(depends(subject, other) for other in subject.variables):
        words = f"with {words} the output stands still: its gradient is on purpose"
        yield Observation("not-reached", words, note=True)
        return
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and is_for_backward(subject.function, name):
        yield Observation("not-reached", f"{words} is for backward alone, where it makes another gradient", note=True)
        return
    yield from observations
