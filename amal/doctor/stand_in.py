"""What stands in for a module that is not installed, or for what a line that failed was to give."""

from collections.abc import Iterator
from typing import Any, ClassVar


class Unavailable(AttributeError):
    """A Function needs what is not there. An AttributeError, so that what looks through all modules takes it for none.

    Args:
        needed: what, in words, such as "icecream, which is not installed".
    """

    def __init__(self, needed: str) -> None:
        super().__init__(f"could not be examined: it needs {needed}")


class StandIn:
    """An object that takes anything while a file is imported, and raises Unavailable at any use afterwards.

    As a decorator it leaves what it decorates as it is, as a base class it is none, and it has no entries.

    Args:
        needed: what it stands in for, in words.
    """

    importing: ClassVar[bool] = False
    """Whether a file is being imported."""

    def __init__(self, needed: str) -> None:
        self.__dict__["__needed__"] = needed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python itself asks for, of every module and class
            raise AttributeError(name)
        return self._used()

    def _used(self) -> "StandIn":
        if not StandIn.importing:
            raise Unavailable(self.__dict__["__needed__"])
        return self

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Return what is decorated, or else the stand-in itself."""
        self._used()
        decorated = len(arguments) == 1 and not options and callable(arguments[0])
        return arguments[0] if decorated else self

    def __repr__(self) -> str:
        return f"<no {self.__dict__['__needed__']}>"

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()

    def __iter__(self) -> Iterator[Any]:
        self._used()
        return iter(())

    def __exit__(self, *_: object) -> None:
        return None

    def __setitem__(self, *_: Any) -> None:
        self._used()

    def __bool__(self) -> bool:
        self._used()
        return False

    def __int__(self) -> int:
        self._used()
        return 0

    __index__ = __len__ = __int__

    def __float__(self) -> float:
        return float(int(self))


def _itself(self: StandIn, *_: Any) -> StandIn:
    return self._used()


def _no(self: StandIn, *_: Any) -> bool:
    return bool(self._used())


OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
for name in OPERATORS:
    setattr(StandIn, f"__{name}__", _itself)
    setattr(StandIn, f"__r{name}__", _itself)
for name in ("neg", "pos", "invert", "abs", "getitem", "enter"):
    setattr(StandIn, f"__{name}__", _itself)
for name in ("lt", "le", "gt", "ge", "contains", "instancecheck", "subclasscheck"):
    setattr(StandIn, f"__{name}__", _no)
