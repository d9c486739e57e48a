"""Other sizes: a larger batch, and a first input of one dimension more or less.

What a definition takes, forward may take too, and then its gradients must be right: a Linear whose backward adds up
the first twelve examples alone is wrong for thirteen. Where forward or backward raises an exception nobody is misled.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from .evidence import same
from .function_under_test import Arguments, CallError, Composite
from .other_inputs import compared, whole_numbers
from .subject import Observation, Subject, differentiate, pulled_back, random_like, with_leaves

BATCH: Final = 33
"""Above what is a power of two, and above what a comparison in a student's code is likely to hold."""
LARGEST: Final = 300
SIZES: Final = 5
"""How many are tried."""
ENTRIES: Final = 20_000
"""Of an input, at most."""
OWN_RANKS: Final = ("cross_entropy", "nll", "batch_norm")
"""Operations of which torch reads a third dimension in another way than the doctor's definitions would."""
STACKED: Final = 6
"""A batch size that is no other size of the arguments that are drawn."""


def in_other_batches(subject: Subject) -> Iterator[Observation]:
    """Value and gradients are right for a larger batch, and for one above each number that the code compares with."""
    if subject.dtype != torch.float64:
        return
    for size in _sizes(subject):
        words = f"for a batch of {size}"
        if subject.fixed_inputs:
            arguments = _repeated(subject, size)
        else:
            arguments = subject.draw(2, size) if subject.definition is not None else None
        if arguments is None:
            continue
        found = list(compared(replace(subject, arguments=arguments), words))
        found = [
            of for of in found if not subject.fixed_inputs or of.code.startswith("grad")
        ]  # lengths may mean anything
        if found:
            yield from found
            return


def _sizes(subject: Subject) -> list[int]:
    """Return sizes to try: one more than each number in the code, of which it may be the length of a block."""
    limits = [limit for limit in whole_numbers(subject) if limit < LARGEST]
    return list(dict.fromkeys([BATCH, *(limit + 1 for limit in limits)]))[:SIZES]


def in_longer_rows(subject: Subject) -> Iterator[Observation]:
    """The derivative of what is not defined is right for longer rows too, where forward takes them.

    Of inputs that were given it is only noted: their lengths may mean anything.
    """
    first = subject.arguments[0] if subject.arguments else None
    unknown = subject.definition is None and subject.dtype == torch.float64
    if not unknown or not isinstance(first, Tensor) or first.dim() < 2 or first.shape[-1] < 2:
        return
    length = first.shape[-1]
    for size in (of for of in _sizes(subject) if of > length):
        arguments = tuple(
            _longer(value, length, size, place in subject.variables) if isinstance(value, Tensor) else value
            for place, value in enumerate(subject.arguments)
        )
        if any(isinstance(of, Tensor) and of.numel() > ENTRIES for of in arguments):
            continue
        found = list(compared(replace(subject, arguments=arguments), f"for rows of {size}"))
        found = [of for of in found if of.code.startswith("grad")]
        if found:
            yield from (replace(of, note=of.note or not subject.trial_inputs) for of in found)
            return


def where_one_is_repeated(subject: Subject) -> Iterator[Observation]:
    """Where forward repeats an input along an axis, what comes back is added up there; torch's engine may do it.

    Of inputs that were given it is only noted: nobody said that they may be repeated.
    """
    if subject.definition is not None or subject.dtype != torch.float64 or isinstance(subject.function, Composite):
        return
    function = subject.function
    shape = function.value(subject.arguments).shape
    through_engine = Composite(function.implementation.apply, function.names, function.title)
    through_engine.place, through_engine.seed, through_engine.effort = function.place, function.seed, function.effort
    for place in subject.variables if shape else ():
        for axis, length in enumerate(subject.arguments[place].shape):
            narrow = subject.arguments[place].narrow(axis, 0, min(length, 1))
            arguments = (*subject.arguments[:place], narrow, *subject.arguments[place + 1 :])
            try:
                if length < 2 or function.value(arguments).shape != shape:
                    continue
            except CallError:
                continue
            words = f"where {subject.name(place)} is {tuple(narrow.shape)} and repeated"
            found = list(compared(replace(subject, function=through_engine, arguments=arguments), words, first=place))
            if found:
                yield from (replace(of, note=of.note or not subject.trial_inputs) for of in found)
                return


def _longer(value: Tensor, length: int, size: int, varied: bool) -> Tensor:
    """Return a tensor whose axes of a length have a size, its entries repeated; `varied`: each time a little larger."""
    numbers = torch.arange(size)
    for axis in (axis for axis, found in enumerate(value.shape) if found == length):
        value = value.index_select(axis, numbers % length)
        if varied:
            factors = 1 + 0.01 * (numbers // length).to(value.dtype)
            value = value * factors.reshape(-1, *[1] * (value.dim() - 1 - axis))
    return value


def _repeated(subject: Subject, size: int) -> Arguments | None:
    """Return arguments whose examples are repeated, each time a little larger; None where there are as many already."""
    length = _length(subject)
    if not length or length >= size:
        return None
    alike = [of for of in subject.arguments if isinstance(of, Tensor) and of.dim() and len(of) == length]
    if length == 1 and len(alike) > 1:  # a filter of one channel, a bias that is a row: nothing says what is an example
        return None
    numbers = torch.arange(size)

    def longer(place: int, value: Tensor) -> Tensor:
        taken = value[numbers % length]
        if place not in subject.variables:
            return taken
        return taken * (1 + 0.01 * (numbers // length)).to(taken).reshape(-1, *[1] * (taken.dim() - 1))

    return by_example(subject, longer)


def in_other_ranks(subject: Subject) -> Iterator[Observation]:
    """Where both the definition and forward take a first input of more or fewer dimensions, gradients are right there.

    They are those that arrive through torch's engine, which adds up over leading dimensions. Of a loss, which is a
    number of a batch, it is only noted.
    """
    if subject.definition is None or subject.dtype != torch.float64 or subject.operation.name in OWN_RANKS:
        return
    if not subject.fixed_inputs:
        subject = replace(subject, arguments=subject.draw(2, STACKED))
    if not _length(subject):
        return
    kinds: tuple[tuple[str, Callable[[int, Tensor], Tensor]], ...] = (
        ("more", lambda place, value: torch.stack([value, 1.1 * value if place in subject.variables else value])),
        ("less", lambda _, value: value[0]),
    )
    for words, change in kinds:
        found = list(_through_engine(replace(subject, arguments=by_example(subject, change)), words))
        if found:
            yield from found
            return


def _through_engine(subject: Subject, words: str) -> Iterator[Observation]:
    assert subject.definition is not None
    variables, arguments = subject.variables, subject.arguments
    try:
        with torch.no_grad():
            expected = subject.definition.reference(*arguments)
        grad_output = random_like(expected, 1)
        meant = replace(subject.definition, reference=subject.surrogate or subject.definition.reference)
        wanted = differentiate(meant, arguments, variables, grad_output)[1]
        leaves, given = with_leaves(arguments, variables)
        call = subject.function.run(given)
        if not wanted or not same(call.output.detach(), expected, subject.tolerance):
            return
        grads = pulled_back(call.output, list(leaves.values()), grad_output)
    except Exception:  # where either takes no such input, or says so, nobody is misled
        return
    for place, actual in zip(variables, grads, strict=True):
        right = wanted[place]
        if actual is not None and right is not None and not same(actual, right, subject.tolerance):
            where = f"for inputs of one dimension {words}"
            yield Observation("grad-value", f"is not the slope of the output {where}", place, note=not expected.dim())
            return


def _length(subject: Subject) -> int:
    """Return how many examples the first input has; 0 if that cannot be known."""
    first = subject.arguments[0] if subject.arguments else None
    return len(first) if isinstance(first, Tensor) and first.dim() else 0


def by_example(subject: Subject, change: Callable[[int, Tensor], Tensor]) -> Arguments:
    """Return arguments with those changed that are as long as the first: they hold something of each example."""
    length = _length(subject)
    return tuple(
        change(place, value) if isinstance(value, Tensor) and value.dim() and len(value) == length else value
        for place, value in enumerate(subject.arguments)
    )
