"""Match the parameters of forward with the inputs of a definition, if there are more, or in another order.

The names of the parameters tell. A name that tells nothing may be any tensor. A parameter that the
definition does not know, such as `momentum`, keeps its default, or gets a value that changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import Parameter
from itertools import islice, product
from typing import Any, Final

from torch import Tensor

from .definitions import Arguments, Definition, Draw
from .definitions.names import FILLERS, NAMES, SIGNATURES
from .function_under_test import FunctionUnderTest

MOST: Final = 24
"""The most arrangements of one definition to try."""


@dataclass(frozen=True)
class Arrangement:
    """A definition that takes its arguments as forward does."""

    definition: Definition
    by_name: bool = True
    """Whether the names of parameters say so; otherwise it is a guess, right only if the values are."""
    sure: bool = True
    """Whether all fillers are defaults, or torch's own: then forward must give the definition's value."""


Slot = int | Callable[[Arguments], Any]
"""An argument of forward: the place of an input in the definition, or a filler made from its arguments."""


class Arranger:
    """Brings the arguments of definitions to the places that forward has for them.

    Args:
        function: the Function.
        operation: the name of its operation.
        roles: all roles in the definitions of the operation; a parameter with one of them gets no filler.
    """

    def __init__(self, function: FunctionUnderTest, operation: str, roles: set[str]) -> None:
        self.function, self.roles = function, roles
        self.names = tuple(name.lower().replace("_", "") for name in function.names)
        self.signature = SIGNATURES.get(operation, ())

    def same_order(self, definition: Definition) -> Arrangement | None:
        """Return the definition in its own order, if forward takes that many arguments."""
        if not self.function.takes(len(definition.draw(Draw(0)))):
            return None
        by_name = True
        for name, role in zip(self.names, definition.roles, strict=False):
            roles = self._roles(name)
            by_name &= role in roles if roles else name not in FILLERS
        return Arrangement(definition, by_name)

    def arrangements(self, definition: Definition) -> Iterator[Arrangement]:
        """Yield the definition with its arguments in other places, and with fillers, the likeliest first."""
        if not definition.roles or self.function.any_number:
            return
        arguments = definition.draw(Draw(0))
        for slots, fillers in islice(self._slots(definition, self.names, arguments), MOST):
            inputs = [place for place, slot in enumerate(slots) if isinstance(slot, int)]
            by_name = all(self._roles(self.names[place]) for place in inputs)
            sure = all(self.names[place] in self.signature for place in fillers)
            yield Arrangement(_arrange(definition, slots, fillers, self.function), by_name, sure)
        if self._is_like_torch():
            for slots, fillers in islice(self._slots(definition, self.signature, arguments), MOST):
                yield Arrangement(_arrange(definition, slots, fillers, self.function), sure=False)

    def _roles(self, name: str) -> set[str]:
        """Return the roles that a name may stand for."""
        return {role for role in self.roles if name in NAMES[role]}

    def _is_like_torch(self) -> bool:
        """Whether forward has as many parameters as torch's function, and no name contradicts torch's."""
        if len(self.names) != len(self.signature) or self.names == self.signature:
            return False
        pairs = zip(map(self._roles, self.names), map(self._roles, self.signature), strict=True)
        return all(not roles or roles & torch_roles for roles, torch_roles in pairs)

    def _slots(
        self, definition: Definition, names: Sequence[str], arguments: Arguments
    ) -> Iterator[tuple[tuple[Slot, ...], dict[int, Any]]]:
        """Yield what each argument of forward may be, and the fillers by place."""
        roles = [self._roles(name) for name in names]
        parameters = self.function.parameters

        def fits(place: int, input: int) -> bool:
            if roles[place]:
                return definition.roles[input] in roles[place]
            return names[place] not in FILLERS and isinstance(arguments[input], Tensor)

        def assign(input: int, inputs: Mapping[int, int]) -> Iterator[Mapping[int, int]]:
            if input == len(definition.roles):
                yield inputs
                return
            for place in range(len(names)):
                if place not in inputs and fits(place, input):
                    yield from assign(input + 1, {**inputs, place: input})

        required = [place for place, each in enumerate(parameters) if each.default is each.empty]
        for inputs in assign(0, {}):
            last = max(*inputs, *required, 0)
            free = [place for place in range(last + 1) if place not in inputs]
            choices = [_fillers(names[place], parameters[place], roles[place]) for place in free]
            for values in islice(product(*choices), MOST):
                fillers = dict(zip(free, values, strict=True))
                slots = tuple(inputs[place] if place in inputs else fillers[place] for place in range(last + 1))
                if fillers or slots != tuple(range(len(slots))):
                    yield slots, fillers


def _fillers(name: str, parameter: Parameter, roles: set[str]) -> list[Callable[[Arguments], Any]]:
    """Return what may fill a parameter that the definition does not know; nothing if that is unknown."""
    default = [] if parameter.default is parameter.empty else [lambda _: parameter.default]
    return default if roles else [*default, *FILLERS.get(name, ())]


def _arrange(
    definition: Definition, slots: Sequence[Slot], fillers: Mapping[int, Any], function: FunctionUnderTest
) -> Definition:
    places = {slot: place for place, slot in enumerate(slots) if isinstance(slot, int)}
    order = tuple(places[role] for role in range(len(places)))

    def draw(drawing: Draw) -> Arguments:
        inputs = definition.draw(drawing)
        return tuple(inputs[slot] if isinstance(slot, int) else slot(inputs) for slot in slots)

    def reference(*arguments: Any) -> Tensor:
        return definition.reference(*(arguments[place] for place in order))

    inputs = definition.draw(Draw(0))
    says = definition.says
    if order != tuple(sorted(order)):
        names = ", ".join(function.name(place) for place in sorted(order))
        says += f", inputs in the order ({names})"
    for place, filler in fillers.items():
        value = filler(inputs)
        if not isinstance(value, Tensor):
            says += f", {function.name(place)}={value!r}"
    return replace(
        definition,
        says=says,
        reference=reference,
        draw=draw,
        optional=tuple(order[place] for place in definition.optional),
        order=order,
        constants=tuple(fillers),
    )
