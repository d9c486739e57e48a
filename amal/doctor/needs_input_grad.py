"""Output and gradient are the same whichever inputs need a gradient: what ctx.needs_input_grad decides."""

from collections.abc import Iterator
from itertools import combinations

from .calls import CallError, nth
from .evidence import same
from .subject import Observation, Subject, random_like


def check_needs(subject: Subject) -> Iterator[Observation]:
    """Output and gradient are the same whichever inputs need one: none, each alone, each left out, each two."""
    variables = subject.variables
    usual = subject.function.value(subject.arguments, variables).nan_to_num()
    if not same(subject.function.value(subject.arguments).nan_to_num(), usual, subject.tolerance):
        yield Observation("forward-value", "the output is another when no input needs a gradient")
        return
    all_but_one = [tuple(other for other in variables if other != place) for place in variables]
    for needs in dict.fromkeys([*((place,) for place in variables), *combinations(variables, 2), *all_but_one]):
        if needs in ((), variables):
            continue
        names = " and ".join(subject.name(place) for place in needs)
        words = f"when only {names} need{'s' if len(needs) == 1 else ''} a gradient"
        try:
            call = subject.function(subject.arguments, needs)
            gradients = call.backward(random_like(call.output, 1))
        except CallError as error:
            yield Observation("raises", f"{words}: {error}", method=error.method)
            return
        if not same(call.output.detach().nan_to_num(), usual, subject.tolerance):
            yield Observation("forward-value", f"the output is another {words}")
            return
        for place in subject.other_gradients(gradients, subject.baseline.gradients):
            if place in needs:
                code, what = ("grad-missing", "None") if nth(gradients, place) is None else ("grad-value", "another")
                yield Observation(code, f"is {what} {words}", place)
                return
