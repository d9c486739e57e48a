"""Stand-ins for modules that are not installed, and for values that a failed line would give."""

from collections.abc import Iterator
from typing import Any, ClassVar


class Unavailable(AttributeError):
    """A Function needs what is missing. An AttributeError, as code that inspects all modules expects.

    Args:
        need: what it needs, in words, such as "icecream, which is not installed".
    """

    def __init__(self, need: str) -> None:
        super().__init__(f"could not be examined: it needs {need}")


class StandIn:
    """An object that accepts anything while a file is imported, and raises Unavailable at any use afterwards.

    As a decorator it returns the function unchanged, as a base class it counts as none, and it has
    no entries.

    Args:
        need: what it stands in for, in words.
    """

    importing: ClassVar[bool] = False
    """Whether a file is being imported."""

    def __init__(self, need: str) -> None:
        self.__dict__["__need__"] = need

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python itself looks for these in every module and class
            raise AttributeError(name)
        return self._use()

    def _use(self) -> "StandIn":
        if not StandIn.importing:
            raise Unavailable(self.__dict__["__need__"])
        return self

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Return the function to decorate, or else the stand-in itself."""
        self._use()
        is_decorator = len(arguments) == 1 and not options and callable(arguments[0])
        return arguments[0] if is_decorator else self

    def __repr__(self) -> str:
        return f"<no {self.__dict__['__need__']}>"

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()

    def __iter__(self) -> Iterator[Any]:
        self._use()
        return iter(())

    def __exit__(self, *_: object) -> None:
        return None

    def __setitem__(self, *_: Any) -> None:
        self._use()

    def __bool__(self) -> bool:
        self._use()
        return False

    def __int__(self) -> int:
        self._use()
        return 0

    __index__ = __len__ = __int__

    def __float__(self) -> float:
        return float(int(self))


def _itself(self: StandIn, *_: Any) -> StandIn:
    return self._use()


def _no(self: StandIn, *_: Any) -> bool:
    return bool(self._use())


OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
for name in OPERATORS:
    setattr(StandIn, f"__{name}__", _itself)
    setattr(StandIn, f"__r{name}__", _itself)
for name in ("neg", "pos", "invert", "abs", "getitem", "enter"):
    setattr(StandIn, f"__{name}__", _itself)
for name in ("lt", "le", "gt", "ge", "contains", "instancecheck", "subclasscheck"):
    setattr(StandIn, f"__{name}__", _no)
