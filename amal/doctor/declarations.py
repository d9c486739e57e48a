"""What the author of a Function says to the doctor: its inputs, what it is meant to compute, what is on purpose."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T", bound=type)
OPTIONS: Final = ("inputs", "reference", "surrogate", "requires", "allow")


def declare(
    *,
    inputs: Sequence[Any] | Callable[[], Sequence[Any]] | None = None,
    reference: Callable[..., Any] | None = None,
    surrogate: Callable[..., Any] | None = None,
    requires: Collection[int | str] | None = None,
    allow: str | Collection[str] = (),
) -> Callable[[T], T]:
    """Say to the doctor what it cannot know of a Function; a decorator of the class.

    The same can be said without amal, by an attribute of the class: `doctor = {"surrogate": lambda x: x}`.

    Args:
        inputs: what to call it with, or a function that returns it.
        reference: as `amal.checking.check` takes it.
        surrogate: as `check` takes it: the derivative of this one is what backward is meant to give.
        requires: as `check` takes it.
        allow: codes that are on purpose, as `check` takes them.
    """
    said = {
        "inputs": inputs,
        "reference": reference,
        "surrogate": surrogate,
        "requires": requires,
        "allow": allow,
    }

    def decorated(function: T) -> T:
        function.doctor = {name: value for name, value in said.items() if value not in (None, ())}  # type: ignore[attr-defined]
        return function

    return decorated


def declared(function: Any) -> dict[str, Any]:
    """Return what the class says to the doctor.

    Raises:
        ValueError: it says what is not understood.
    """
    said = getattr(function, "doctor", None) or {}
    if not isinstance(said, Mapping):
        raise ValueError(f"{function.__name__}.doctor is no dictionary, with {', '.join(OPTIONS)}")
    unknown = [str(name) for name in said if name not in OPTIONS]
    if unknown:
        raise ValueError(f"{function.__name__}.doctor: no {', '.join(unknown)}; there are {', '.join(OPTIONS)}")
    return dict(said)
