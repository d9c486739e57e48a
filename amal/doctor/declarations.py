"""What the author of a Function declares: its inputs, what it computes, and which faults are on purpose."""

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
    """Declare what the doctor cannot know about a Function; a decorator of the class.

    An attribute of the class does the same without amal: `doctor = {"surrogate": lambda x: x}`.

    Args:
        inputs: what to call it with, or a function that returns it.
        reference: as `amal.checking.check` takes it.
        surrogate: as `check` takes it: backward gives the derivative of this function.
        requires: as `check` takes it.
        allow: codes that are on purpose, as `check` takes them.
    """
    values = (inputs, reference, surrogate, requires, allow)
    options = {name: value for name, value in zip(OPTIONS, values, strict=True) if value not in (None, ())}

    def decorate(function: T) -> T:
        function.doctor = options  # type: ignore[attr-defined]
        return function

    return decorate


def declarations(function: Any) -> dict[str, Any]:
    """Return what the class declares.

    Raises:
        ValueError: it is no dictionary, or there is no such option.
    """
    options = getattr(function, "doctor", None) or {}
    names = ", ".join(OPTIONS)
    if not isinstance(options, Mapping):
        raise ValueError(f"{function.__name__}.doctor is no dictionary, with {names}")
    unknown = [str(name) for name in options if name not in OPTIONS]
    if unknown:
        raise ValueError(f"{function.__name__}.doctor: no {', '.join(unknown)}; there are {names}")
    return dict(options)
