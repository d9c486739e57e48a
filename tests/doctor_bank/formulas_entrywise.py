"""Functions entry by entry: those that the doctor knows, and those that it does not."""

import torch
import torch.nn.functional as F

from .calls import numbers
from .formulas import Formula, Wrong, one, value_of


def positive(n):
    return (numbers(n, 3, signs=False),)


SIGMOID = "s = torch.sigmoid(x)"

ENTRYWISE = (
    Formula(
        "SiLU",
        "silu",
        "x",
        "output = x * torch.sigmoid(x)",
        "grad_output * s * (1 + x * (1 - s))",
        F.silu,
        one,
        (
            value_of("first-half", "grad-value", "grad_output * s"),
            value_of("other-half", "grad-value", "grad_output * x * s * (1 - s)"),
            value_of(
                "zero-above-30", "grad-value", "torch.where(x > 30, 0.0, grad_output * s * (1 + x - x * s))", "far"
            ),
            Wrong(
                "float32-inside",
                "low-precision",
                "(grad_output.float() * s * (1 + x.float() * (1 - s))).to(x.dtype)",
                "s = torch.sigmoid(x.float())",
                where="fine",
            ),
        ),
        lines=SIGMOID,
    ),
    Formula(
        "GELU",
        "gelu",
        "x",
        "output = x * 0.5 * (1 + torch.erf(x / 2**0.5))",
        "grad_output * (c + x * p)",
        F.gelu,
        one,
        (
            value_of("first-half", "grad-value", "grad_output * c"),
            value_of("other-half", "grad-value", "grad_output * x * p"),
            Wrong(
                "no-root",
                "grad-value",
                lines="c = 0.5 * (1 + torch.erf(x / 2**0.5))\np = torch.exp(-x * x / 2) / (2 * torch.pi)",
            ),
        ),
        lines="c = 0.5 * (1 + torch.erf(x / 2**0.5))\np = torch.exp(-x * x / 2) / (2 * torch.pi) ** 0.5",
    ),
    Formula(
        "Softplus",
        "softplus",
        "x",
        "output = torch.logaddexp(x, torch.zeros_like(x))",
        "grad_output * torch.sigmoid(x)",
        F.softplus,
        one,
        (
            value_of("half-above-15", "grad-value", "grad_output * torch.where(x > 15, 0.5, torch.sigmoid(x))", "far"),
            value_of("at-output", "grad-value", "grad_output * torch.sigmoid(output)"),
            Wrong("overflow", "forward-unstable", forward="output = torch.log(1 + torch.exp(x))", where="large"),
        ),
        saved="x, output",
    ),
    Formula(
        "Exp",
        "exp",
        "x",
        "output = torch.exp(x)",
        "grad_output * output",
        torch.exp,
        one,
        (
            value_of("clamped", "grad-value", "grad_output * x.clamp(max=3).exp()", "wide"),
            value_of("at-input", "grad-value", "grad_output * x"),
        ),
        saved="x, output",
    ),
    Formula(
        "Log",
        "log",
        "x",
        "output = torch.log(x)",
        "grad_output / x",
        torch.log,
        positive,
        (
            value_of("clamped", "grad-value", "grad_output / x.clamp(min=0.1)", "small"),
            value_of("sign", "grad-sign", "-grad_output / x"),
            value_of("base-two", "grad-factor", "grad_output / x / 0.6931471805599453"),
        ),
    ),
    Formula(
        "Sqrt",
        "sqrt",
        "x",
        "output = torch.sqrt(x)",
        "grad_output / (2 * output)",
        torch.sqrt,
        positive,
        (
            value_of("no-half", "grad-factor", "grad_output / output"),
            value_of("at-input", "grad-value", "grad_output / (2 * x)"),
            value_of("eps", "grad-value", "grad_output / (2 * (x + 1e-2).sqrt())"),
        ),
        saved="x, output",
    ),
    Formula(
        "Square",
        "square",
        "x",
        "output = x * x",
        "2 * x * grad_output",
        torch.square,
        one,
        (
            value_of("no-two", "grad-factor", "x * grad_output"),
            value_of("absolute", "grad-sign grad-value", "2 * x.abs() * grad_output"),
            value_of("clipped", "grad-value", "2 * x.clamp(-10, 10) * grad_output", "large"),
            value_of("clipped-gradient", "nonlinear-in-grad-output", "2 * x * grad_output.clamp(-100, 100)", "loud"),
        ),
    ),
    Formula(
        "Abs",
        "abs",
        "x",
        "output = x.abs()",
        "grad_output * x.sign()",
        torch.abs,
        one,
        (
            value_of("at-input", "grad-value", "grad_output * x"),
            value_of("only-near", "grad-value", "grad_output * x.sign() * (x.abs() < 3)", "wide"),
        ),
    ),
    Formula(
        "Tanh",
        "tanh",
        "x",
        "output = torch.tanh(x)",
        "grad_output * (1 - output * output)",
        torch.tanh,
        one,
        (
            value_of("zero-beyond-two", "grad-value", "grad_output * (1 - output * output) * (x.abs() < 2)", "wide"),
            value_of("clamped", "grad-value", "grad_output * (1 - torch.tanh(x.clamp(-2, 2)) ** 2)", "wide"),
        ),
        saved="x, output",
        right=False,
    ),
    Formula(
        "Sigmoid",
        "sigmoid",
        "x",
        "output = torch.sigmoid(x)",
        "grad_output * output * (1 - output)",
        torch.sigmoid,
        one,
        (
            Wrong(
                "clamped", "grad-value", "grad_output * s * (1 - s)", "s = torch.sigmoid(x.clamp(-2, 2))", where="wide"
            ),
            value_of("zero-below", "grad-value", "grad_output * output * (1 - output) * (x > -4)", "wide"),
        ),
        saved="x, output",
        right=False,
    ),
    Formula(
        "ReLU",
        "relu",
        "x",
        "output = x.clamp(min=0)",
        "grad_output * (x > 0)",
        torch.relu,
        one,
        (value_of("below-two", "grad-value", "grad_output * ((x > 0) & (x < 2))", "wide"),),
        right=False,
    ),
    Formula(
        "Branch",
        None,
        "x",
        "output = torch.where(x > 3, 6 * x - 9, x * x)",
        "torch.where(x > 3, 6.0, 2 * x) * grad_output",
        lambda x: torch.where(x > 3, 6 * x - 9, x * x),
        one,
        (value_of("one-branch", "grad-value", "2 * x * grad_output", "wide"),),
    ),
    Formula(
        "Mish",
        None,
        "x",
        "output = x * torch.tanh(F.softplus(x))",
        "grad_output * (t + x * (1 - t * t) * torch.sigmoid(x))",
        F.mish,
        one,
        (
            value_of("first-half", "grad-value", "grad_output * t"),
            value_of("other-half", "grad-value", "grad_output * x * (1 - t * t) * torch.sigmoid(x)"),
        ),
        lines="t = torch.tanh(F.softplus(x))",
    ),
    Formula(
        "Unmaterialised",
        None,
        "x",
        "output = x * x\nctx.set_materialize_grads(False)",
        "None if grad_output is None else 2 * x * grad_output",
        torch.square,
        one,
        (
            value_of(
                "ones-for-none",
                "undefined-gradient",
                "torch.ones_like(x) if grad_output is None else 2 * x * grad_output",
                "undefined",
            ),
            value_of("fails-for-none", "undefined-gradient", "2 * x * grad_output", "undefined"),
        ),
    ),
    Formula(
        "SingleSine",
        None,
        "x",
        "output = torch.sin(x.float()).to(x.dtype)",
        "(torch.cos(x.float()) * grad_output.float()).to(x.dtype)",
        torch.sin,
        one,
        (
            value_of("double", "grad-factor", "(2 * torch.cos(x.float()) * grad_output.float()).to(x.dtype)"),
            value_of("sign", "grad-sign", "-(torch.cos(x.float()) * grad_output.float()).to(x.dtype)"),
            value_of("sine", "grad-value", "(torch.sin(x.float()) * grad_output.float()).to(x.dtype)"),
        ),
    ),
)
