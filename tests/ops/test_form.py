"""What keeps torch from calling a Function is said in words that say what is missing."""

import re

import pytest
import torch
from torch.autograd import Function

from amal.checking import check, examine


def forward(ctx, prediction, target):
    ctx.save_for_backward(prediction, target)
    return ((prediction - target) ** 2).mean()


def backward(ctx, grad_output):
    prediction, target = ctx.saved_tensors
    gradient = 2 * (prediction - target) / prediction.numel() * grad_output
    return gradient, -gradient


def without_ctx(prediction, target):
    return ((prediction - target) ** 2).mean()


def unnamed_without_ctx(u, v):
    return without_ctx(u, v)


def saving_nothing(ctx, prediction, target):
    return without_ctx(prediction, target)


def saving_misspelt(ctx, prediction, target):
    ctx.save_for_backwards(prediction, target)


def returning_nothing(ctx, prediction, target):
    forward(ctx, prediction, target)


def backward_returning_nothing(ctx, grad_output):
    backward(ctx, grad_output)


def backward_reading_misspelt(ctx, grad_output):
    prediction, target = ctx.saved_tensor
    return prediction, target


def with_self(self, ctx, *others):
    return others


def setting_up(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


NO_CTX = r"forward has no ctx: torch passes one before the inputs, so write forward\(ctx, {}\)"
NO_BACKWARD = "there is no backward"
SAID = {
    "no ctx, no backward": ({"forward": without_ctx}, f"{NO_CTX.format('prediction, target')}; {NO_BACKWARD}"),
    "no ctx": ({"forward": unnamed_without_ctx, "backward": backward}, NO_CTX.format("u, v")),
    "no backward": ({"forward": forward}, f"{NO_BACKWARD}\\."),
    "backwards": ({"forward": forward, "backwards": backward}, f"{NO_BACKWARD}, but backwards"),
    "forwards": ({"forwards": forward, "backward": backward}, "there is no forward, but forwards"),
    "nothing": ({}, "there is no forward; there is no backward"),
    "backward without ctx": (
        {"forward": forward, "backward": lambda grad_output: grad_output},
        r"backward has no ctx: .* write backward\(ctx, grad_output\)",
    ),
    "backward without grad_output": (
        {"forward": forward, "backward": lambda ctx: ctx},
        r"backward has no grad_output: .* write backward\(ctx, grad_output\)",
    ),
    "nothing saved": (
        {"forward": saving_nothing, "backward": backward},
        "backward raised ValueError.*; nothing was saved by ctx.save_for_backward in forward",
    ),
    "saved by another name": (
        {"forward": saving_misspelt, "backward": backward},
        r"ctx has no save_for_backwards \(did you mean save_for_backward\?\)",
    ),
    "read by another name": (
        {"forward": forward, "backward": backward_reading_misspelt},
        r"ctx has no saved_tensor \(did you mean saved_tensors\?\)",
    ),
    "forward returns nothing": (
        {"forward": returning_nothing, "backward": backward},
        "forward returns nothing: a `return`",
    ),
    "backward returns nothing": (
        {"forward": forward, "backward": backward_returning_nothing},
        "backward returns nothing: a `return`",
    ),
    "both forms": (
        {"forward": saving_nothing, "setup_context": setting_up, "backward": backward},
        "forward takes ctx, and the class has setup_context",
    ),
}


def made(methods):
    return type("Examined", (Function,), {name: staticmethod(method) for name, method in methods.items()})


@pytest.mark.parametrize("name", SAID)
def test_what_is_missing_is_said(name):
    methods, words = SAID[name]
    diagnosis = examine(made(methods), "mse")
    assert diagnosis.verdict in ("error", "wrong")
    (said,) = (of.message for of in diagnosis.findings if of.severity == "error")
    assert re.search(words, said, re.IGNORECASE), said


def test_what_is_missing_is_said_of_inputs_of_ones_own_too():
    diagnosis = check(made({"forward": without_ctx}), (torch.ones(3), torch.zeros(3)))
    assert re.search(SAID["no ctx, no backward"][1], diagnosis.findings[0].message, re.IGNORECASE)


class NotStatic(Function):
    def forward(self, ctx, prediction, target):
        return forward(ctx, prediction, target)

    def backward(self, ctx, grad_output):
        return backward(ctx, grad_output)


class OldForm(Function):
    """Self plays ctx: torch takes it so."""

    def forward(self, prediction, target):
        return forward(self, prediction, target)

    def backward(self, grad_output):
        return backward(self, grad_output)


def test_self_may_play_ctx_and_may_not_stand_beside_it():
    assert examine(OldForm, "mse").verdict == "correct"
    (error,) = (of.message for of in examine(NotStatic, "mse").findings if of.severity == "error")
    assert error.startswith("Forward takes self besides ctx: put @staticmethod above it, and take self out; backward")


@pytest.mark.parametrize(
    "methods",
    [
        {"forward": forward, "backward": backward},
        {"forward": lambda context, u, v: forward(context, u, v), "backward": lambda c, g: backward(c, g)},
        {"forward": forward, "vjp": backward},
        {"forward": without_ctx, "setup_context": setting_up, "backward": backward},
        {"forward": lambda *given: forward(*given), "backward": lambda *given: backward(*given)},
    ],
    ids=["usual", "other names", "vjp", "new form", "any number"],
)
def test_of_what_can_be_called_nothing_is_said(methods):
    assert examine(made(methods), "mse").verdict == "correct"
