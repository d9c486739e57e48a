"""Which parameter of forward is which input of a definition, where they are more, or come in another order.

The names of the parameters say so; those that say nothing may be any tensor. What the definition does not know, such as
`momentum`, is left at its default, or gets the value with which it changes nothing.
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
"""Ways to arrange the inputs of one definition that are tried."""


@dataclass(frozen=True)
class Arranged:
    """A definition that takes its arguments as forward does."""

    definition: Definition
    told: bool = True
    """Whether names say that it is so; otherwise it is a guess, right only if the values are."""
    sure: bool = True
    """Whether what was filled in are defaults, or torch's own parameters: forward must give the definition's value."""


Slot = int | Callable[[Arguments], Any]
"""What an argument of forward is: the place of an input in the definition, or a filler made from its arguments."""


class Arranger:
    """Puts the arguments of definitions in the places that forward has for them.

    Args:
        function: the Function.
        operation: the name of what it is meant to be.
        supplied: the roles that some definition of the operation gives an argument, which are never filled in.
    """

    def __init__(self, function: FunctionUnderTest, operation: str, supplied: set[str]) -> None:
        self.function, self.supplied = function, supplied
        self.names = tuple(name.lower().replace("_", "") for name in function.names)
        self.signature = SIGNATURES.get(operation, ())

    def as_they_come(self, definition: Definition) -> Arranged | None:
        """Return the definition as it is, if forward takes so many arguments: told, unless names say otherwise."""
        drawn = definition.draw(Draw(0))
        if not self.function.takes(len(drawn)):
            return None
        pairs = [(name, self._roles(name), role) for name, role in zip(self.names, definition.roles, strict=False)]
        return Arranged(definition, all(role in roles if roles else name not in FILLERS for name, roles, role in pairs))

    def arrangements(self, definition: Definition) -> Iterator[Arranged]:
        """Yield the definition with its arguments in other places, and others filled in, most likely first."""
        if not definition.roles or self.function.any_number:
            return
        drawn = definition.draw(Draw(0))
        for slots, filled in islice(self._slots(definition, self.names, drawn), MOST):
            told = all(self._roles(self.names[place]) for place, slot in enumerate(slots) if isinstance(slot, int))
            sure = all(self.names[place] in self.signature for place in filled)
            yield Arranged(_arranged(definition, slots, filled, self.function), told, sure)
        if self._is_like_torch():
            for slots, filled in islice(self._slots(definition, self.signature, drawn), MOST):
                yield Arranged(_arranged(definition, slots, filled, self.function), sure=False)

    def _roles(self, name: str) -> set[str]:
        """Return the roles that a name may stand for."""
        return {role for role in self.supplied if name in NAMES[role]}

    def _is_like_torch(self) -> bool:
        """Whether forward has as many parameters as torch's function, and no name says that they are others."""
        if len(self.names) != len(self.signature) or self.names == self.signature:
            return False
        pairs = [
            (self._roles(own), self._roles(theirs)) for own, theirs in zip(self.names, self.signature, strict=True)
        ]
        return all(not own or own & theirs for own, theirs in pairs)

    def _slots(
        self, definition: Definition, names: Sequence[str], drawn: Arguments
    ) -> Iterator[tuple[tuple[Slot, ...], dict[int, Any]]]:
        """Yield what each argument of forward may be, with the values that were filled in, by place."""
        known = [self._roles(name) for name in names]
        parameters = self.function.parameters

        def fits(place: int, role: int) -> bool:
            if known[place]:
                return definition.roles[role] in known[place]
            return names[place] not in FILLERS and isinstance(drawn[role], Tensor)

        def assigned(role: int, taken: Mapping[int, int]) -> Iterator[Mapping[int, int]]:
            if role == len(definition.roles):
                yield taken
                return
            for place in range(len(names)):
                if place not in taken and fits(place, role):
                    yield from assigned(role + 1, {**taken, place: role})

        for taken in assigned(0, {}):
            needed = [place for place, of in enumerate(parameters) if of.default is of.empty]
            last = max(*taken, *needed, 0)
            free = [place for place in range(last + 1) if place not in taken]
            choices = [_fillers(names[place], parameters[place], known[place]) for place in free]
            for values in islice(product(*choices), MOST):
                filled = dict(zip(free, values, strict=True))
                slots = tuple(taken[place] if place in taken else filled[place] for place in range(last + 1))
                if filled or slots != tuple(range(len(slots))):
                    yield slots, filled


def _fillers(name: str, parameter: Parameter, known: set[str]) -> list[Callable[[Arguments], Any]]:
    """Return what may be passed for a parameter that the definition does not know; nothing where nobody can know."""
    default = [] if parameter.default is parameter.empty else [lambda _: parameter.default]
    return default if known else [*default, *FILLERS.get(name, ())]


def _arranged(
    definition: Definition, slots: Sequence[Slot], filled: Mapping[int, Any], function: FunctionUnderTest
) -> Definition:
    places = {slot: place for place, slot in enumerate(slots) if isinstance(slot, int)}
    order = tuple(places[role] for role in range(len(places)))

    def draw(drawing: Draw) -> Arguments:
        own = definition.draw(drawing)
        return tuple(own[slot] if isinstance(slot, int) else slot(own) for slot in slots)

    def reference(*arguments: Any) -> Tensor:
        return definition.reference(*(arguments[place] for place in order))

    own = definition.draw(Draw(0))
    values = {function.name(place): filler(own) for place, filler in filled.items()}
    says = definition.says
    if order != tuple(sorted(order)):
        says += f", inputs in the order ({', '.join(function.name(place) for place in sorted(order))})"
    says += "".join(f", {name}={value!r}" for name, value in values.items() if not isinstance(value, Tensor))
    return replace(
        definition,
        says=says,
        reference=reference,
        draw=draw,
        optional=tuple(order[place] for place in definition.optional),
        order=order,
        constants=tuple(filled),
    )
