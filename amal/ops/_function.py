"""The base class of every hand-written Function: what torch.autograd.Function leaves to be desired."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch._C._functorch import TransformType
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters
from torch.autograd import forward_ad


class Function(torch.autograd.Function):
    """torch.autograd.Function, with a vmap rule made of its own methods and half the cost of a call.

    Where a Function has a setup_context, `apply` binds its arguments to the signature of `forward`, in case some were
    left out, and asks Python for that signature anew each time: 30 of the 50 microseconds of a small call. Here all
    arguments are given, in order, so they are bound already.
    """

    generate_vmap_rule = True

    def __init_subclass__(cls) -> None:
        """Give `forward` a signature that binds at once, and let `jvp` be differentiated forwards itself."""
        super().__init_subclass__()
        if "forward" in cls.__dict__:
            forward: Any = cls.forward
            forward.__signature__ = _AlreadyBound(list(inspect.signature(forward).parameters.values()))
        if "jvp" in cls.__dict__:
            cls.jvp = staticmethod(_forwards_again(cls.jvp))  # type: ignore[method-assign]


def _forwards_again(jvp: Callable[..., Any]) -> Callable[..., Any]:
    """Let forward mode see into a jvp: torch shuts it off there, and jacfwd(jacfwd(f)) is wrong without a word."""

    @wraps(jvp)
    def seen(ctx: Any, *dots: Any) -> Any:
        levels = [level.key() for level in retrieve_all_functorch_interpreters()]
        if levels.count(TransformType.Jvp) < 2:
            return jvp(ctx, *dots)
        with forward_ad._set_fwd_grad_enabled(True):
            return jvp(_WithoutTangents(ctx), *dots)

    return seen


class _WithoutTangents:
    """A context whose saved tensors stand still: this derivative moves them already, an outer one may move them too."""

    def __init__(self, ctx: Any) -> None:
        self._ctx = ctx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        return tuple(t if t is None else _still(t) for t in self._ctx.saved_tensors)


def _still(tensor: Any) -> Any:
    return tensor if tensor is None else forward_ad.unpack_dual(tensor).primal  # type: ignore[no-untyped-call]


class _AlreadyBound(inspect.Signature):
    def bind(self, *args: Any, **kwargs: Any) -> Any:
        return _Arguments(args, kwargs)


class _Arguments:
    __slots__ = ("args", "kwargs")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args, self.kwargs = args, kwargs

    def apply_defaults(self) -> None:
        """Leave nothing to default."""
