"""Operations of several inputs, losses and lookups that the doctor knows."""

import torch
import torch.nn.functional as F

from .calls import classes, numbers, probabilities
from .formulas import Formula, Wrong, one, two, value_of


def affine(n):
    return numbers(n, 7), numbers(7, 3), numbers(3)


def chances(n):
    return probabilities(n, 3), numbers(n, 3, low=0.2, high=0.8, signs=False, seed=1)


def queries(n):
    return numbers(n, 3), numbers(n + 1, 3, seed=1), numbers(n + 1, 3, seed=2)


ATTENTION = """p = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1)
d = grad_output @ v.mT
s = p * (d - (p * d).sum(-1, keepdim=True)) / q.shape[-1] ** 0.5"""

STRUCTURES = (
    Formula(
        "Softmax",
        "softmax",
        "x",
        "output = torch.softmax(x, -1)",
        "s * (grad_output - (s * grad_output).sum(-1, keepdim=True))",
        lambda x: torch.softmax(x, -1),
        one,
        (
            Wrong("clamped", "grad-value", lines="s = output.clamp(min=1e-3)", where="far"),
            value_of("squeezed", "grad-value", "s * (grad_output - (s * grad_output).sum(-1))", "square"),
            value_of("over-the-batch", "grad-value", "s * (grad_output - (s * grad_output).sum(0))"),
        ),
        lines="s = output",
        saved="x, output",
        right=False,
    ),
    Formula(
        "BCE",
        "bce",
        "p, y",
        "output = F.binary_cross_entropy(p, y)",
        "grad_output * (p - y) / (p * (1 - p)) / p.numel(), None",
        F.binary_cross_entropy,
        chances,
        (
            Wrong(
                "clamped",
                "grad-value",
                "grad_output * (c - y) / (c * (1 - c)) / p.numel(), None",
                "c = p.clamp(0.05, 0.95)",
                where="ends",
            ),
            value_of(
                "one-end",
                "grad-value",
                "grad_output * (p - y) / (p * (1 - p).clamp(min=0.05)) / p.numel(), None",
                "ends",
            ),
        ),
        right=False,
    ),
    Formula(
        "Linear",
        "linear",
        "x, w, b",
        "output = x @ w + b",
        "grad_output @ w.mT, x.flatten(0, -2).mT @ flat, flat.sum(0)",
        lambda x, w, b: x @ w + b,
        affine,
        (
            value_of(
                "wrong-in-three-dimensions",
                "grad-value",
                "(1 + (x.dim() == 3)) * grad_output @ w.mT, x.flatten(0, -2).mT @ flat, flat.sum(0)",
                "deep",
            ),
            value_of(
                "first-twelve", "grad-value", "grad_output @ w.mT, x.flatten(0, -2).mT @ flat, flat[:12].sum(0)", "many"
            ),
            value_of(
                "above-sixty",
                "grad-value",
                "grad_output @ w.mT, x.flatten(0, -2).mT @ flat * (1 if len(x) <= 60 else 2), flat.sum(0)",
                "many",
            ),
        ),
        lines="flat = grad_output.flatten(0, -2)",
        variables=(0, 1, 2),
    ),
    Formula(
        "Add",
        "add",
        "a, b",
        "output = a + b",
        "grad_output, grad_output.clone()",
        torch.add,
        two,
        (
            value_of("difference", "grad-sign", "grad_output, -grad_output"),
            Wrong("views", "shared-gradient", "g, g.view_as(g)", "g = grad_output.clone()", where="shared"),
            value_of("a-list", "engine", "[grad_output, grad_output.clone()]"),
        ),
        variables=(0, 1),
    ),
    Formula(
        "Mul",
        "mul",
        "a, b",
        "output = a * b",
        "grad_output * b, grad_output * a",
        torch.mul,
        two,
        (
            value_of("exchanged", "grad-order grad-value", "grad_output * a, grad_output * b"),
            value_of("output-twice", "grad-value", "grad_output * output, grad_output * a"),
            value_of("second-missing", "grad-missing", "grad_output * b, None"),
        ),
        saved="a, b, output",
        variables=(0, 1),
    ),
    Formula(
        "Div",
        "div",
        "a, b",
        "output = a / b",
        "grad_output / b, -grad_output * output / b",
        torch.div,
        two,
        (
            value_of("sign", "grad-sign", "grad_output / b, grad_output * output / b"),
            value_of("no-square", "grad-value", "grad_output / b, -grad_output * output"),
        ),
        saved="a, b, output",
        variables=(0, 1),
    ),
    Formula(
        "MatMul",
        "matmul",
        "a, b",
        "output = a @ b",
        "grad_output @ b.mT, a.mT @ grad_output",
        torch.matmul,
        lambda n: (numbers(n, 7), numbers(7, 3)),
        (
            value_of("left-transposed", "grad-transposed", "b @ grad_output.mT, a.mT @ grad_output"),
            value_of("right-transposed", "grad-transposed", "grad_output @ b.mT, grad_output.mT @ a"),
            value_of("other-half", "grad-order", "a.mT @ grad_output, grad_output @ b.mT"),
        ),
        variables=(0, 1),
    ),
    Formula(
        "Sum",
        "sum",
        "x",
        "output = x.sum()",
        "grad_output * torch.ones_like(x)",
        torch.sum,
        one,
        (
            value_of("not-expanded", "grad-shape", "grad_output"),
            value_of("ignored", "ignores-grad-output", "torch.ones_like(x)"),
        ),
    ),
    Formula(
        "Mean",
        "mean",
        "x",
        "output = x.sum() / x.numel()",
        "grad_output * torch.ones_like(x) / x.numel()",
        torch.mean,
        one,
        (
            value_of("by-the-batch", "grad-factor", "grad_output * torch.ones_like(x) / len(x)"),
            value_of("not-divided", "grad-factor", "grad_output * torch.ones_like(x)"),
        ),
    ),
    Formula(
        "Embedding",
        "embedding",
        "i, w",
        "output = w[i]",
        "None, torch.zeros_like(w).index_add(0, i, grad_output)",
        lambda i, w: F.embedding(i, w),
        lambda n: (classes(n), numbers(4, 3)),
        (
            value_of("last-wins", "not-summed", "None, torch.zeros_like(w).index_put((i,), grad_output)"),
            Wrong(
                "loop-assigns",
                "not-summed",
                "None, grad",
                "grad = torch.zeros_like(w)\nfor k, row in zip(i.tolist(), grad_output):\n    grad[k] = row",
            ),
            value_of("averaged", "grad-factor", "None, torch.zeros_like(w).index_add(0, i, grad_output) / len(i)"),
            value_of("subtracted", "grad-sign", "None, torch.zeros_like(w).index_add(0, i, grad_output, alpha=-1)"),
        ),
        variables=(1,),
    ),
    Formula(
        "Attention",
        "attention",
        "q, k, v",
        "output = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v",
        "s @ k, s.mT @ q, p.mT @ grad_output",
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
        queries,
        (
            value_of("not-scaled", "grad-factor", "s @ k * q.shape[-1] ** 0.5, s.mT @ q, p.mT @ grad_output"),
            value_of("keys-and-values", "grad-order", "s @ k, p.mT @ grad_output, s.mT @ q"),
            Wrong(
                "softmax-not-derived",
                "grad-value",
                lines=ATTENTION.replace("(d - (p * d).sum(-1, keepdim=True))", "d"),
            ),
        ),
        lines=ATTENTION,
        variables=(0, 1, 2),
    ),
    Formula(
        "L1",
        "l1",
        "x, y",
        "output = (x - y).abs().mean()",
        "d, -d",
        lambda x, y: F.l1_loss(x, y),
        lambda n: (numbers(n, 3), 4 + numbers(n, 3, seed=1)),
        (
            Wrong("squared", "grad-value", lines="d = grad_output * (x - y) / x.numel()"),
            value_of("same-sign", "grad-sign", "d, d"),
        ),
        lines="d = grad_output * (x - y).sign() / x.numel()",
        variables=(0, 1),
    ),
    Formula(
        "Flatten",
        "flatten",
        "x",
        "output = x.flatten(1).clone()",
        "grad_output.reshape(x.shape)",
        lambda x: x.flatten(1),
        lambda n: (numbers(n, 2, 3),),
        (
            value_of("flat", "grad-shape", "grad_output"),
            value_of("permuted", "grad-value", "grad_output.reshape(len(x), 3, 2).mT"),
        ),
    ),
)
