"""Other sizes: batches of one, of none and of many, longer rows, one dimension more or less.

What a definition takes, forward may take too, and then its gradients must be right: a Linear whose
backward adds up the first twelve examples alone is wrong for thirteen. Where forward or backward raises
an exception nobody is misled.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from .calls import Arguments, CallError, substitute
from .code_constants import whole_numbers
from .comparison import compare_with_definition, compare_with_slope
from .evidence import same
from .function_under_test import Composite
from .subject import Observation, Subject, differentiate, make_leaves, pull_back, random_like

BATCH: Final = 33
"""Above what is a power of two, and above what a comparison in a student's code is likely to hold."""
LARGEST: Final = 300
SIZES: Final = 5
"""How many are tried."""
ENTRIES: Final = 20_000
"""The most entries of an input."""
OWN_RANKS: Final = ("cross_entropy", "nll", "batch_norm")
"""Operations of which torch reads a third dimension in another way than the doctor's definitions would."""
STACK: Final = 6
"""A batch size that is no other size of the arguments that are drawn."""


def check_small_batches(subject: Subject) -> Iterator[Observation]:
    """A batch may hold one example, or none."""
    if subject.definition is None or subject.fixed_inputs:
        return
    for n, words in ((1, "for a batch of one"), (0, "for an empty batch")):
        arguments = subject.draw(2, n)
        try:
            expected = subject.definition.reference(*arguments)
        except Exception:  # what the definition cannot do need not be done
            continue
        meaningless = f"{words}, where it means nothing"
        if not torch.isfinite(expected).all():  # as the mean of no numbers is
            try:
                subject.respond(arguments)
            except CallError as error:
                yield Observation("raises", f"{meaningless}: {error}", note=True, method=error.method)
        elif subject.definition.needs_batch:
            observations = compare_with_definition(subject, arguments, meaningless)
            yield from (replace(each, note=True) for each in observations)
        else:
            yield from compare_with_definition(subject, arguments, words)


def check_large_batches(subject: Subject) -> Iterator[Observation]:
    """Value and gradients are right for a larger batch, and for one above each number in the code."""
    if subject.dtype != torch.float64:
        return
    for size in _sizes(subject):
        if subject.fixed_inputs:
            arguments = _larger_batch(subject, size)
        else:
            arguments = subject.draw(2, size) if subject.definition is not None else None
        if arguments is None:
            continue
        observations = list(compare_with_slope(replace(subject, arguments=arguments), f"for a batch of {size}"))
        if subject.fixed_inputs:
            observations = _gradients_only(observations)
        if observations:
            yield from observations
            return


def _gradients_only(observations: list[Observation]) -> list[Observation]:
    """Return what is about gradients: of inputs that are the user's, lengths may mean anything."""
    return [each for each in observations if each.code.startswith("grad")]


def _sizes(subject: Subject) -> list[int]:
    """Return sizes to try: one more than each number in the code, of which it may be the length of a block."""
    limits = [limit for limit in whole_numbers(subject.function) if limit < LARGEST]
    return list(dict.fromkeys([BATCH, *(limit + 1 for limit in limits)]))[:SIZES]


def check_longer_rows(subject: Subject) -> Iterator[Observation]:
    """The derivative of what is not defined is right for longer rows too, where forward takes them.

    Of the user's own inputs it is only noted: their lengths may mean anything.
    """
    first = subject.arguments[0] if subject.arguments else None
    unknown = subject.definition is None and subject.dtype == torch.float64
    if not unknown or not isinstance(first, Tensor) or first.dim() < 2 or first.shape[-1] < 2:
        return
    length = first.shape[-1]
    for size in (size for size in _sizes(subject) if size > length):
        arguments = subject.arguments
        for place, value in enumerate(arguments):
            for axis, count in enumerate(value.shape if isinstance(value, Tensor) else ()):
                if count == length:
                    value = _repeat(value, axis, size, place in subject.variables)
            arguments = substitute(arguments, place, value)
        if any(isinstance(value, Tensor) and value.numel() > ENTRIES for value in arguments):
            continue
        longer = replace(subject, arguments=arguments)
        observations = _gradients_only(list(compare_with_slope(longer, f"for rows of {size}")))
        if observations:
            yield from _unless_fixed(subject, observations)
            return


def _unless_fixed(subject: Subject, observations: list[Observation]) -> Iterator[Observation]:
    """Yield what was observed, as notes where the inputs are the user's."""
    yield from (replace(each, note=each.note or not subject.trial_inputs) for each in observations)


def check_repeated_inputs(subject: Subject) -> Iterator[Observation]:
    """Where forward repeats an input along an axis, its gradient is summed there; torch's engine may do it.

    Of the user's own inputs it is only noted: nobody said that they may be repeated.
    """
    function = subject.function
    if subject.definition is not None or subject.dtype != torch.float64 or isinstance(function, Composite):
        return
    shape = function.value(subject.arguments).shape
    composite = Composite(function.implementation.apply, function.names, function.title)
    composite.place, composite.seed, composite.limits = function.place, function.seed, function.limits
    for place in subject.variables if shape else ():
        for axis, length in enumerate(subject.arguments[place].shape):
            narrow = subject.arguments[place].narrow(axis, 0, min(length, 1))
            arguments = substitute(subject.arguments, place, narrow)
            try:
                if length < 2 or function.value(arguments).shape != shape:
                    continue
            except CallError:
                continue
            words = f"where {subject.name(place)} is {tuple(narrow.shape)} and repeated"
            narrower = replace(subject, function=composite, arguments=arguments)
            observations = list(compare_with_slope(narrower, words, first=place))
            if observations:
                yield from _unless_fixed(subject, observations)
                return


def _repeat(value: Tensor, axis: int, size: int, growing: bool) -> Tensor:
    """Return a tensor of a size along an axis, its entries repeated; `growing`: each time a little larger."""
    numbers, length = torch.arange(size), value.shape[axis]
    longer = value.index_select(axis, numbers % length)
    factors = 1 + 0.01 * (numbers // length).to(value.dtype)
    return longer * factors.reshape(-1, *[1] * (value.dim() - 1 - axis)) if growing else longer


def _larger_batch(subject: Subject, size: int) -> Arguments | None:
    """Repeat the examples, each time a little larger; None where there are as many already."""
    length = batch_size(subject)
    if not length or length >= size:
        return None
    alike = [value for value in subject.arguments if isinstance(value, Tensor) and value.shape[:1] == (length,)]
    if length == 1 and len(alike) > 1:  # a filter of one channel or a bias as a row is no example
        return None
    return map_examples(subject, lambda place, value: _repeat(value, 0, size, place in subject.variables))


def check_other_ranks(subject: Subject) -> Iterator[Observation]:
    """Where definition and forward take a first input of more or fewer dimensions, gradients are right.

    They are those that arrive through torch's engine, which adds up over leading dimensions. Of a loss,
    which is a number of a batch, it is only noted.
    """
    if subject.definition is None or subject.dtype != torch.float64 or subject.operation.name in OWN_RANKS:
        return
    if not subject.fixed_inputs:
        subject = replace(subject, arguments=subject.draw(2, STACK))
    if not batch_size(subject):
        return
    kinds: tuple[tuple[str, Callable[[int, Tensor], Tensor]], ...] = (
        ("more", lambda place, value: torch.stack([value, 1.1 * value if place in subject.variables else value])),
        ("less", lambda _, value: value[0]),
    )
    for words, change in kinds:
        observations = list(_through_engine(replace(subject, arguments=map_examples(subject, change)), words))
        if observations:
            yield from observations
            return


def _through_engine(subject: Subject, words: str) -> Iterator[Observation]:
    assert subject.definition is not None
    variables, arguments = subject.variables, subject.arguments
    try:
        with torch.no_grad():
            value = subject.definition.reference(*arguments)
        grad_output = random_like(value, 1)
        definition = replace(subject.definition, reference=subject.surrogate or subject.definition.reference)
        expected = differentiate(definition, arguments, variables, grad_output)[1]
        leaves, copies = make_leaves(arguments, variables)
        call = subject.function.run(copies)
        if not expected or not same(call.output.detach(), value, subject.tolerance):
            return
        gradients = pull_back(call.output, list(leaves.values()), grad_output)
    except Exception:  # where either takes no such input, or says so, nobody is misled
        return
    for place, actual in zip(variables, gradients, strict=True):
        right = expected[place]
        if actual is not None and right is not None and not same(actual, right, subject.tolerance):
            where = f"for inputs of one dimension {words}"
            yield Observation("grad-value", f"is not the slope of the output {where}", place, note=not value.dim())
            return


def batch_size(subject: Subject) -> int:
    """Return how many examples the first input has; 0 if that cannot be known."""
    first = subject.arguments[0] if subject.arguments else None
    return len(first) if isinstance(first, Tensor) and first.dim() else 0


def map_examples(subject: Subject, change: Callable[[int, Tensor], Tensor]) -> Arguments:
    """Change the arguments that are as long as the first: they hold something of each example."""
    length = batch_size(subject)
    return tuple(
        change(place, value) if isinstance(value, Tensor) and value.shape[:1] == (length,) else value
        for place, value in enumerate(subject.arguments)
    )
