"""Sums, norms and padding along a dimension, and operations of several inputs or outputs, checked with a reference."""

import torch
import torch.nn.functional as F

from .calls import classes, numbers
from .formulas import Formula, Wrong, one, square, two, value_of


def signals(n):
    return (numbers(n, 2, 7),)


def pad(mode):
    return lambda x: F.pad(x, (2, 2), mode=mode)


def smooth(x):
    p = F.pad(x, (1, 1), mode="reflect")
    return (p[..., :-2] + p[..., 1:-1] + p[..., 2:]) / 3


REFLECTED = """grad = grad_output[..., 2:-2].clone()
grad[..., 1:3] += grad_output[..., :2].flip(-1)
grad[..., -3:-1] += grad_output[..., -2:].flip(-1)"""
REPLICATED = """grad = grad_output[..., 2:-2].clone()
grad[..., 0] += grad_output[..., :2].sum(-1)
grad[..., -1] += grad_output[..., -2:].sum(-1)"""
CIRCULAR = """grad = grad_output[..., 2:-2].clone()
grad[..., :2] += grad_output[..., -2:]
grad[..., -2:] += grad_output[..., :2]"""
SMOOTHED = """p = F.pad(grad_output / 3, (2, 2))
grad = (p[..., :-2] + p[..., 1:-1] + p[..., 2:])
grad[..., 2] += grad[..., 0]
grad[..., -3] += grad[..., -1]"""
PADS = (
    ("reflect", REFLECTED),
    ("replicate", REPLICATED),
    ("circular", CIRCULAR, Wrong("one-side", "grad-value", lines=CIRCULAR.rsplit("\n", 1)[0])),
)
CENTRED = "centred = x - x.mean(0)"
ROW = "row = grad_output.unsqueeze(1) * y"

ROWS = (
    Formula(
        "Product",
        None,
        "x",
        "output = x.prod()",
        "grad_output * torch.stack([x[torch.arange(len(x)) != k].prod() for k in range(len(x))])",
        torch.prod,
        lambda n: (numbers(n),),
        (value_of("quotient", "grad-value", "grad_output * x.prod() / x", "zeros"),),
    ),
    Formula(
        "CumulativeSum",
        None,
        "x",
        "output = x.cumsum(0)",
        "grad_output.flip(0).cumsum(0).flip(0)",
        lambda x: x.cumsum(0),
        one,
        (
            value_of("forwards", "grad-value", "grad_output.cumsum(0)"),
            value_of("other-dimension", "grad-value", "grad_output.flip(1).cumsum(1).flip(1)"),
        ),
    ),
    Formula(
        "LogSumExp",
        None,
        "x",
        "output = x.logsumexp(1)",
        "grad_output.unsqueeze(1) * torch.softmax(x, 1)",
        lambda x: x.logsumexp(1),
        square,
        (
            value_of("squeezed", "grad-value", "grad_output * torch.softmax(x, 1)"),
            Wrong("overflow", "forward-unstable", forward="output = x.exp().sum(1).log()", where="large"),
        ),
    ),
    Formula(
        "RowSum",
        None,
        "x",
        "output = x.sum(1)",
        "grad_output.unsqueeze(1) * torch.ones_like(x)",
        lambda x: x.sum(1),
        square,
        (
            value_of("squeezed", "grad-value grad-transposed", "grad_output * torch.ones_like(x)"),
            value_of("mean", "grad-factor", "grad_output.unsqueeze(1) * torch.ones_like(x) / 5"),
        ),
    ),
    Formula(
        "RowNorm",
        None,
        "x",
        "output = (x * x).sum(1).sqrt()",
        "(grad_output / output).unsqueeze(1) * x",
        lambda x: x.norm(dim=1),
        square,
        (
            value_of("squeezed", "grad-value", "grad_output / output * x"),
            value_of("times", "grad-value", "(grad_output * output).unsqueeze(1) * x"),
        ),
        saved="x, output",
    ),
    Formula(
        "Outer",
        None,
        "a, b",
        "output = a.unsqueeze(1) * b",
        "(grad_output * b).sum(1), (grad_output * a.unsqueeze(1)).sum(0)",
        torch.outer,
        lambda n: (numbers(n), numbers(4)),
        (
            value_of("not-summed", "not-summed", "(grad_output * b).sum(1), grad_output * a.unsqueeze(1)"),
            value_of("kept", "grad-shape", "(grad_output * b).sum(1), (grad_output * a.unsqueeze(1)).sum(0, True)"),
        ),
        variables=(0, 1),
    ),
    Formula(
        "BroadcastAdd",
        None,
        "a, b",
        "output = a + b",
        "grad_output, grad_output.sum(0)",
        torch.add,
        lambda n: (numbers(n, 3), numbers(3)),
        (
            value_of("not-summed", "not-summed", "grad_output, grad_output.clone()"),
            value_of("averaged", "grad-factor", "grad_output, grad_output.mean(0)"),
        ),
        variables=(0, 1),
    ),
    *(
        Formula(
            f"{mode.title()}Pad",
            None,
            "x",
            f"output = F.pad(x, (2, 2), mode='{mode}')",
            "grad",
            pad(mode),
            signals,
            (value_of("cut", "grad-value", "grad_output[..., 2:-2].clone()"), *faults),
            lines=lines,
        )
        for mode, lines, *faults in PADS
    ),
    Formula(
        "Smooth",
        None,
        "x",
        "p = F.pad(x, (1, 1), mode='reflect')\noutput = (p[..., :-2] + p[..., 1:-1] + p[..., 2:]) / 3",
        "grad[..., 1:-1].clone()",
        smooth,
        signals,
        (
            Wrong("no-transpose", "grad-value", lines=SMOOTHED.rsplit("\n", 2)[0]),
            Wrong(
                "itself",
                "grad-value",
                "(p[..., :-2] + p[..., 1:-1] + p[..., 2:]) / 3",
                "p = F.pad(grad_output, (1, 1), mode='reflect')",
            ),
        ),
        lines=SMOOTHED,
    ),
    Formula(
        "GatedLinearUnit",
        None,
        "a, b",
        "output = a * torch.sigmoid(b)",
        "grad_output * s, grad_output * a * s * (1 - s)",
        lambda a, b: a * torch.sigmoid(b),
        two,
        (
            value_of("exchanged", "grad-order", "grad_output * a * s * (1 - s), grad_output * s"),
            value_of("no-slope", "grad-value", "grad_output * s, grad_output * a * s"),
            value_of(
                "other-half", "grad-order grad-value", "grad_output * a * s * (1 - s), grad_output * a * s * (1 - s)"
            ),
        ),
        lines="s = torch.sigmoid(b)",
        variables=(0, 1),
    ),
    Formula(
        "SineCosine",
        None,
        "x",
        "return torch.sin(x), torch.cos(x)",
        "g * torch.cos(x) - h * torch.sin(x)",
        lambda x: (torch.sin(x), torch.cos(x)),
        one,
        (
            value_of("second-ignored", "grad-value", "g * torch.cos(x)"),
            value_of("second-sign", "grad-sign", "g * torch.cos(x) + h * torch.sin(x)"),
            value_of("first-wrong", "grad-factor", "2 * g * torch.cos(x) - h * torch.sin(x)"),
            value_of("product", "nonlinear-in-grad-output", "g * torch.cos(x) - h * torch.sin(x) + g * h"),
        ),
        several=True,
    ),
    Formula(
        "VarianceMean",
        None,
        "x",
        "return ((x - x.mean(0)) ** 2).mean(0), x.mean(0)",
        "(2 * g * centred + h) / len(x)",
        lambda x: (x.var(0, correction=0), x.mean(0)),
        one,
        (
            value_of("mean-ignored", "grad-value", "2 * g * centred / len(x)"),
            value_of("no-two", "grad-factor", "(g * centred + h) / len(x)"),
            value_of("mean-not-divided", "grad-factor", "2 * g * centred / len(x) + h"),
        ),
        lines=CENTRED,
        several=True,
    ),
    Formula(
        "Polar",
        None,
        "r, t",
        "return r * torch.cos(t), r * torch.sin(t)",
        "g * torch.cos(t) + h * torch.sin(t), r * (h * torch.cos(t) - g * torch.sin(t))",
        lambda r, t: (r * torch.cos(t), r * torch.sin(t)),
        two,
        (
            value_of(
                "no-radius",
                "grad-value",
                "g * torch.cos(t) + h * torch.sin(t), h * torch.cos(t) - g * torch.sin(t)",
            ),
            value_of(
                "second-of-radius",
                "grad-value",
                "g * torch.cos(t) + h * torch.cos(t), r * (h * torch.cos(t) - g * torch.sin(t))",
            ),
        ),
        several=True,
        variables=(0, 1),
    ),
    Formula(
        "Bilinear",
        None,
        "x, w, y",
        "output = ((x @ w) * y).sum(1)",
        "row @ w.mT, x.mT @ row, grad_output.unsqueeze(1) * (x @ w)",
        lambda x, w, y: torch.einsum("qi,ij,qj->q", x, w, y),
        lambda n: (numbers(n, 3), numbers(3, 3, seed=2), numbers(n, 3, seed=1)),
        (
            value_of("transposed", "grad-transposed", "row @ w, x.mT @ row, grad_output.unsqueeze(1) * (x @ w)"),
            value_of("weight", "grad-transposed", "row @ w.mT, row.mT @ x, grad_output.unsqueeze(1) * (x @ w)"),
            value_of("third-missing", "grad-missing", "row @ w.mT, x.mT @ row, None"),
        ),
        lines=ROW,
        variables=(0, 1, 2),
    ),
    Formula(
        "Columns",
        None,
        "i, x",
        "output = x[:, i]",
        "None, torch.zeros_like(x).index_add(1, i, grad_output)",
        lambda i, x: x.index_select(1, i),
        lambda n: (classes(6), numbers(n, 4)),
        (value_of("assigned", "not-summed", "None, torch.zeros_like(x).index_copy(1, i, grad_output)"),),
        variables=(1,),
    ),
)
