"""Powers, functions that bend strongly, and complex ones: all are checked with a reference."""

import torch

from .calls import numbers
from .formulas import Formula, Wrong, one, value_of


def small(largest):
    return lambda n: (numbers(n, 3, low=largest / 10, high=largest),)


def complex_numbers(n):
    return (torch.complex(numbers(n, 3), numbers(n, 3, seed=1)),)


STEEP = (
    Formula(
        "Cube",
        None,
        "x",
        "output = x**3",
        "3 * x**2 * grad_output",
        lambda x: x**3,
        one,
        (
            value_of("no-three", "grad-factor", "x**2 * grad_output"),
            value_of("nearly", "grad-factor", "3.0006 * x**2 * grad_output"),
            value_of("cut-off", "second-order", "3 * x.detach() ** 2 * grad_output"),
            value_of("half", "grad-dtype", "(3 * x**2 * grad_output).half()"),
            value_of("expanded", "grad-value", "(3 if all(grad_output.stride()) else 2) * x**2 * grad_output", "sum"),
            Wrong(
                "early-exit",
                "nonlinear-in-grad-output",
                "torch.zeros_like(x) if balanced else 3 * x**2 * grad_output",
                "balanced = abs(float(grad_output.sum())) < 1e-9",
                where="balanced",
            ),
            Wrong(
                "float32-inside",
                "low-precision",
                "(3 * x.float() ** 2 * grad_output.float()).to(x.dtype)",
                where="fine",
            ),
        ),
    ),
    Formula(
        "Fourth",
        None,
        "x",
        "output = x**4",
        "4 * x**3 * grad_output",
        lambda x: x**4,
        one,
        (
            Wrong(
                "third-derivative",
                "second-order",
                "grad_output * (4 * u**3 + 12 * u**2 * (x - u))",
                "u = x.detach()",
                where="third",
            ),
            value_of(
                "wrong-above-25", "grad-value", "(4 + torch.heaviside(x - 25, 0 * x)) * x**3 * grad_output", "far"
            ),
        ),
    ),
    Formula(
        "FastSine",
        None,
        "x",
        "output = torch.sin(100 * x)",
        "100 * torch.cos(100 * x) * grad_output",
        lambda x: torch.sin(100 * x),
        one,
        (
            value_of("no-hundred", "grad-factor", "torch.cos(100 * x) * grad_output"),
            value_of("sine", "grad-value", "100 * torch.sin(100 * x) * grad_output"),
        ),
    ),
    Formula(
        "SteepExponential",
        None,
        "x",
        "output = torch.exp(60 * x)",
        "60 * output * grad_output",
        lambda x: torch.exp(60 * x),
        small(0.1),
        (value_of("no-sixty", "grad-factor", "output * grad_output"),),
        saved="x, output",
    ),
    Formula(
        "SteepSigmoid",
        None,
        "x",
        "output = torch.sigmoid(200 * x)",
        "200 * output * (1 - output) * grad_output",
        lambda x: torch.sigmoid(200 * x),
        small(0.02),
        (
            value_of("no-two-hundred", "grad-factor", "output * (1 - output) * grad_output"),
            value_of("constant", "grad-value", "grad_output * torch.ones_like(x)"),
        ),
        saved="x, output",
    ),
    Formula(
        "ComplexSquare",
        None,
        "z",
        "output = z * z",
        "2 * grad_output * z.conj()",
        lambda z: z * z,
        complex_numbers,
        (
            value_of("not-conjugated", "grad-value", "2 * grad_output * z"),
            value_of("no-two", "grad-factor", "grad_output * z.conj()"),
        ),
    ),
    Formula(
        "SquaredModulus",
        None,
        "z",
        "output = z.real**2 + z.imag**2",
        "2 * grad_output * z",
        lambda z: (z * z.conj()).real,
        complex_numbers,
        (
            value_of("conjugated", "grad-sign grad-value", "2 * grad_output * z.conj()"),
            value_of("no-two", "grad-factor", "grad_output * z"),
            value_of("real-part", "grad-value", "2 * grad_output * z.real.to(z.dtype)"),
        ),
    ),
    Formula(
        "Times",
        None,
        "x, k",
        "output = k * x",
        "2.5 * grad_output, None",
        lambda x, k: k * x,
        lambda n: (*one(n), 2.5),
        (
            value_of("number-has-gradient", "engine", "2.5 * grad_output, torch.ones(())"),
            value_of("too-few", "grad-count", "2.5 * grad_output"),
        ),
        saved="x",
    ),
    Formula(
        "Optional",
        None,
        "x, b",
        "output = 2 * x if b is None else 2 * x + b",
        "2 * grad_output, None",
        lambda x, b: 2 * x,
        lambda n: (*one(n), None),
        (value_of("none-has-gradient", "engine", "2 * grad_output, torch.ones(3)"),),
        saved="x",
    ),
)
