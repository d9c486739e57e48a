"""The base class of every hand-written Function: what torch.autograd.Function leaves to be desired."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, Literal

import torch
from torch.autograd import forward_ad

from amal import _torch


class Function(torch.autograd.Function):
    """torch.autograd.Function, with a vmap rule made of its own methods and half the cost of a call.

    Forward mode is said once. Three kinds of operation have a `jvp` already, so that the two derivatives
    cannot differ; every other one writes its own. What backward keeps, `jvp` gets too.

    A gradient of None stays None, as behind torch's own operations: it says that nothing depends on the output, where
    zeros would let an optimiser with momentum or decay move a parameter that has no part in the loss. So `backward` is
    not called for gradients that are all None, and of several some may be; and `jvp` gets None for what stands still.

    torch asks for `setup_context` apart from `forward` so that the transforms of torch.func can stand between the two.
    For the two apart it binds the arguments to the signature of `forward`, in Python, at every call; where no transform
    is at work it is asked for both at once, the older form, which takes half of the time.
    """

    kind: ClassVar[Literal["symmetric", "linear", "bilinear", "general"]] = "general"
    """How the output depends on the first inputs; the others are options, which ctx.options holds.

    "symmetric": on one, by a matrix of derivatives that is its own transpose, as a diagonal one is: jvp is backward.
    "linear": on one, linearly: jvp is forward. "bilinear": on input and weight, linearly on each, and a bias is added.
    """
    keeps: ClassVar[Literal["input", "output", ""]] = ""
    """What backward needs, if it is this alone; otherwise `setup_context` says it."""

    generate_vmap_rule = True
    _apply_at_once: Callable[..., Any]

    def __init_subclass__(cls) -> None:
        """Add what follows from the kind, leave None as it is, and make the older form."""
        super().__init_subclass__()
        if "_apply_at_once" in cls.__dict__:
            return
        methods: dict[str, Any] = dict(cls.__dict__)
        if cls.keeps:
            methods.setdefault("setup_context", _keep(cls.keeps))
        if cls.kind != "general":
            methods.setdefault("jvp", _JVP[cls.kind](cls))
        wrappers = {"setup_context": _without_zeros, "backward": _none_for_none, "jvp": _forwards_again}
        for name, wrapper in wrappers.items():
            if name in methods:
                method = methods[name]
                setattr(cls, name, staticmethod(wrapper(getattr(method, "__func__", method))))
        cls._apply_at_once = _at_once(cls).apply

    @classmethod
    def apply(cls, *inputs: Any) -> Any:
        """Compute the output, and write down how to differentiate it."""
        if _torch.transforms_active():
            return super().apply(*inputs)
        return cls._apply_at_once(*inputs)


def _at_once(function: type[Function]) -> type[Function]:
    """The same Function, its setup_context a part of forward."""

    setup_context: Any = getattr(function.setup_context, "__wrapped__", function.setup_context)

    def forward(ctx: Any, *inputs: Any) -> Any:
        output = function.forward(*inputs)
        ctx.materialize_grads = False  # as set_materialize_grads does, one call less
        setup_context(ctx, inputs, output)
        ctx.saved_for_forward = ctx.to_save  # as save_for_forward does, one call less
        return output

    methods = {
        "forward": staticmethod(forward),
        "setup_context": staticmethod(torch.autograd.Function.setup_context),  # torch's own: there is none
        "apply": torch.autograd.Function.__dict__["apply"],
        "_apply_at_once": None,
    }
    metaclass: Any = type(function)
    at_once: type[Function] = metaclass(function.__name__, (function,), methods)
    return at_once


def _keep(keeps: str) -> Callable[..., None]:
    """Make the setup_context that keeps the input or the output, and the options."""

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if len(inputs) > 1:
            ctx.options = inputs[1:]
        ctx.save_for_backward(output if keeps == "output" else inputs[0])

    return setup_context


def _symmetric(function: type[Function]) -> Callable[..., Any]:
    """ẏ = Jᵀ ẋ, as J is Jᵀ."""
    backward = function.backward

    def jvp(ctx: Any, input_dot: Any, *_: None) -> Any:
        output_dot = backward(ctx, input_dot)
        return output_dot[0] if isinstance(output_dot, tuple) else output_dot

    return jvp


def _linear(function: type[Function]) -> Callable[..., Any]:
    """ẏ = f(ẋ)."""

    def jvp(ctx: Any, input_dot: Any, *_: None) -> Any:
        return function.forward(input_dot, *ctx.options)

    return jvp


def _bilinear(function: type[Function]) -> Callable[..., Any]:
    """ẏ = f(ẋ, W) + f(x, Ẇ) + ḃ."""

    def jvp(ctx: Any, input_dot: Any, weight_dot: Any, bias_dot: Any, *_: None) -> Any:
        input, weight = ctx.saved_tensors
        x_dot = torch.zeros_like(input) if input_dot is None else input_dot
        output_dot = function.forward(x_dot, weight, bias_dot, *ctx.options)
        return (
            output_dot if weight_dot is None else output_dot + function.forward(input, weight_dot, None, *ctx.options)
        )

    return jvp


_JVP = {"symmetric": _symmetric, "linear": _linear, "bilinear": _bilinear}


def _without_zeros(setup_context: Callable[..., None]) -> Callable[..., None]:
    """Let torch hand over None, and not make zeros of it."""

    @wraps(setup_context)
    def without_zeros(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.set_materialize_grads(False)
        setup_context(ctx, inputs, output)
        ctx.saved_for_forward = getattr(ctx, "to_save", None)  # a context of one's own may keep nothing for it

    return without_zeros


def _none_for_none(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Hand None on where no output has a gradient."""

    @wraps(backward)
    def none_for_none(ctx: Any, *grads: Any) -> Any:
        if grads[0] is None and all(grad is None for grad in grads):
            return (None,) * len(ctx.needs_input_grad)
        return backward(ctx, *grads)

    return none_for_none


def _forwards_again(jvp: Callable[..., Any]) -> Callable[..., Any]:
    """Let forward mode see into a jvp: torch shuts it off there, and jacfwd(jacfwd(f)) is wrong without a word."""

    @wraps(jvp)
    def differentiable(ctx: Any, *dots: Any) -> Any:
        if _torch.forward_levels() < 2:
            return jvp(ctx, *dots)
        with _torch.forward_mode():
            return jvp(_WithoutTangents(ctx), *dots)

    return differentiable


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
