"""Advice where to read about an operation: the lab question that teaches it, or the command that derives it."""

from typing import Final

QUESTIONS: Final = {
    "TME 1, question 1": ("abs", "div", "exp", "flatten", "log", "sqrt"),  # the rule for any function
    "TME 1, question 2": ("add", "mul", "square"),
    "TME 1, question 3": ("mean", "sum"),
    "TME 1, question 4": ("matmul",),
    "TME 1, questions 3 and 4": ("linear", "mse"),
    "TME 2, question 3": ("relu", "sigmoid", "tanh"),
    "TME 2, question 4": ("bce", "bce_with_logits", "softplus"),
    "TME 3, question 1": ("cross_entropy", "log_softmax", "nll", "softmax"),
    "TME 3, question 3": (
        *("conv1d", "conv2d"),
        *("max_pool", "max_pool1d", "max_pool2d", "avg_pool", "avg_pool1d", "avg_pool2d"),
    ),
    "TME 3, question 7": ("highway",),
}
"""Question -> the operations of the doctor that it teaches. The tests compare it with the sheets."""

COMMANDS: Final = {
    "attention": "scaled_dot_product_attention",
    "l1": "l1_loss",
    **{name: name for name in ("batch_norm", "embedding", "gelu", "layer_norm", "leaky_relu", "silu")},
}
"""Operation that no question teaches -> the name by which `amal show` derives it."""


def advice(operation: str) -> str:
    """Return the sentence that says where to read about an operation; empty for one that the doctor does not know."""
    if operation in COMMANDS:
        return f"`amal show {COMMANDS[operation]}` derives it."
    return next((f"See {question}." for question, operations in QUESTIONS.items() if operation in operations), "")
