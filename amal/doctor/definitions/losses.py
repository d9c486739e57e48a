"""Losses, in every definition that the doctor knows."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from .definition import Arguments, Definition, Draw, Kink, Operation, append

SAYS = {
    "mean": "the mean over all entries",
    "batch": "the sum over all entries divided by the batch size",
    "sum": "the sum over all entries",
    "none": "one number for each entry",
    "rows": "one number for each example, the mean of its entries",
    "row-sums": "one number for each example, the sum of its entries",
}
"""A way to reduce the entries of a loss -> the same in words."""
PAIR = ("prediction", "target")

Entries = Callable[[Tensor, Tensor], Tensor]
"""From predictions and targets to the entries of a loss (n, ...)."""


def reduce(entries: Tensor, reduction: str) -> Tensor:
    """Return entries (n, ...) as one loss, or as one for each example."""
    match reduction:
        case "mean":
            return entries.mean()
        case "batch":
            return entries.sum() / len(entries)
        case "sum":
            return entries.sum()
        case "rows":
            return entries.mean(-1)
        case "row-sums":
            return entries.sum(-1)
    return entries


def loss(entries: Entries, reduction: str) -> Callable[..., Tensor]:
    """Return the loss that reduces some entries; it may also take the name of its reduction."""
    return lambda input, target, *_: reduce(entries(input, target), reduction)


def losses(entries: Entries, draw: Callable[[Draw], Arguments]) -> tuple[Definition, ...]:
    """Return a definition for each way to reduce the entries."""
    return tuple(Definition(name, says, loss(entries, name), draw, PAIR) for name, says in SAYS.items())


def data_loss(name: str, says: str, entries: Entries, reduction: str, draw: Callable[[Draw], Arguments]) -> Definition:
    """Return the definition of a loss whose targets are data, without a gradient."""
    return Definition(name, says, loss(entries, reduction), draw, PAIR, optional=(1,))


def word_argument(definition: Definition) -> Definition:
    """Return the same definition, for a forward that takes the name of the reduction as a third argument."""
    return replace(
        definition,
        name=f"{definition.name}-word",
        says=f"{definition.says}, named in words",
        draw=append(definition.draw, definition.name),
        roles=(*PAIR, "reduction"),
    )


# ---------------------------------------------------------------------------------- of differences


def squared_error(input: Tensor, target: Tensor) -> Tensor:
    """Return (x - y)², entry by entry."""
    return (input - target) ** 2


def absolute_error(input: Tensor, target: Tensor) -> Tensor:
    """Return |x - y|, entry by entry."""
    return (input - target).abs()


def numbers(draw: Draw) -> Arguments:
    """Draw predictions and targets."""
    shape = (draw.n, draw.size(3))
    return draw(*shape), 2 * draw(*shape)


def unequal_numbers(draw: Draw) -> Arguments:
    """Draw predictions and targets of which no two are equal."""
    shape = (draw.n, draw.size(3))
    return draw(*shape), draw.uniform(3, 4, *shape) * draw(*shape).sign()


MSE = losses(squared_error, numbers)
L1 = losses(absolute_error, unequal_numbers)

# ---------------------------------------------------------------------------------- of classes

CLASSES = 4


def scores(draw: Draw) -> Tensor:
    """Draw one score for each example and class."""
    return draw(draw.n, draw.size(CLASSES))


def scores_and_classes(draw: Draw) -> Arguments:
    """Draw scores, and numbers of classes."""
    return scores(draw), draw.classes(draw.n, draw.size(CLASSES))


def scores_and_rows(draw: Draw) -> Arguments:
    """Draw scores, and classes as rows of zeros with a one."""
    return scores(draw), draw.one_hot(draw.n, draw.size(CLASSES))


def probabilities_and_classes(draw: Draw) -> Arguments:
    """Draw probabilities of classes, and numbers of classes."""
    return scores(draw).softmax(-1), draw.classes(draw.n, draw.size(CLASSES))


def probabilities_and_rows(draw: Draw) -> Arguments:
    """Draw probabilities of classes, and classes as rows of zeros with a one."""
    return scores(draw).softmax(-1), draw.one_hot(draw.n, draw.size(CLASSES))


def one_hot(target: Tensor, like: Tensor) -> Tensor:
    """Return classes as rows of zeros with a one, if they are numbers."""
    if target.is_floating_point():
        return target
    return functional.one_hot(target.long(), like.shape[-1]).to(like.dtype)


def log_loss(input: Tensor, target: Tensor) -> Tensor:
    """Return minus the log-probability of each target."""
    return -(input * one_hot(target, input)).sum(-1)


def logit_loss(input: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of logits, one for each example."""
    return log_loss(input.log_softmax(-1), target)


def probability_loss(input: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of probabilities, one for each example."""
    return log_loss(input.log(), target)


def entry_loss(input: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of logits divided by the number of classes, one for each example."""
    return logit_loss(input, target) / input.shape[-1]


def class_losses(entries: Entries, input: str) -> tuple[Definition, ...]:
    """Return the definitions of a loss of classes, as numbers and as rows of zeros with a one."""
    words = {"mean": "the mean over the batch", "sum": SAYS["sum"], "none": SAYS["none"]}
    targets = {"classes": scores_and_classes, "one-hot": scores_and_rows}
    return tuple(
        data_loss(f"{name}-{target}", f"of {input}, targets are {target}, {says}", entries, name, draw)
        for name, says in words.items()
        for target, draw in targets.items()
    )


CROSS_ENTROPY = (
    *class_losses(logit_loss, "logits"),
    data_loss("entries", "of logits, the mean over examples and classes", entry_loss, "mean", scores_and_rows),
    *(
        data_loss(name, f"of probabilities, {says}", probability_loss, reduction, draw)
        for name, says, reduction, draw in (
            ("probabilities", "the mean over the batch", "mean", probabilities_and_rows),
            (
                "probabilities-classes",
                "targets are classes, the mean over the batch",
                "mean",
                probabilities_and_classes,
            ),
            ("probabilities-sum", "the sum", "sum", probabilities_and_rows),
        )
    ),
)
LARGE = torch.tensor([[1000.0, -1000, 0, 1], [-1000, -1001, -1002, -1000], [800, 900, 1000, 1000]], dtype=torch.float64)
LARGE_TARGET = torch.tensor([0, 3, 1])

# ---------------------------------------------------------------------------------- of two classes


def shares(draw: Draw) -> Tensor:
    """Draw targets between 0 and 1."""
    return draw.uniform(0, 1, draw.n, draw.size(3))


def probabilities_and_shares(draw: Draw) -> Arguments:
    """Draw probabilities and targets."""
    return draw.uniform(0.1, 0.9, draw.n, draw.size(3)), shares(draw)


def probabilities_and_answers(draw: Draw) -> Arguments:
    """Draw probabilities, and targets 0 or 1."""
    return draw.uniform(0.1, 0.9, draw.n, draw.size(3)), shares(draw).round()


def logits_and_shares(draw: Draw) -> Arguments:
    """Draw logits and targets."""
    return draw(draw.n, draw.size(3)), shares(draw)


def binary_loss(input: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy of probabilities, entry by entry."""
    return -(target * input.log() + (1 - target) * (1 - input).log())


def binary_logit_loss(input: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy of logits, entry by entry."""
    return functional.softplus(input) - target * input


def binary_losses(
    entries: Entries, draw: Callable[[Draw], Arguments], ending: str = "", words: str = ""
) -> tuple[Definition, ...]:
    """Return the definitions of a loss of two classes."""
    return tuple(
        data_loss(f"{name}{ending}", f"{SAYS[name]}{words}", entries, name, draw)
        for name in ("mean", "batch", "sum", "none")
    )


CERTAIN = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
LARGE_LOGITS = torch.tensor([[1000.0, -1000.0, -1000.0], [-1000.0, 1000.0, 0.0]], dtype=torch.float64)
LARGE_LOGITS_TARGET = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], dtype=torch.float64)

EQUAL = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
EQUAL_KINK = Kink(
    (EQUAL, EQUAL.clone()),
    torch.zeros(2, 2, dtype=torch.float64),
    "where prediction and target are equal, the gradient is 0",
)

OPERATIONS = (
    Operation(
        "mse",
        ("mse", "mseloss", "meansquarederror", "squarederror"),
        (*MSE, *(word_argument(definition) for definition in MSE if definition.name in ("mean", "sum"))),
    ),
    Operation("l1", ("l1", "l1loss", "mae", "meanabsoluteerror"), (*L1, word_argument(L1[0])), kinks=(EQUAL_KINK,)),
    Operation(
        "cross_entropy",
        (
            *("crossentropy", "crossentropyloss", "ce", "celoss"),
            *("softmaxcrossentropy", "softmaxce", "logsoftmaxcrossentropy"),
        ),
        CROSS_ENTROPY,
        ((LARGE, LARGE_TARGET), (LARGE, one_hot(LARGE_TARGET, LARGE))),
    ),
    Operation("nll", ("nll", "nllloss", "negativeloglikelihood"), class_losses(log_loss, "log-probabilities")),
    Operation(
        "bce",
        ("bce", "bceloss", "binarycrossentropy", "binarycrossentropyloss"),
        (
            *binary_losses(binary_loss, probabilities_and_shares),
            *binary_losses(binary_loss, probabilities_and_answers, "-binary", ", targets 0 or 1"),
        ),
        ((CERTAIN, CERTAIN), (CERTAIN, 1 - CERTAIN)),
        "probabilities of 0 and 1",
        exact_extremes=False,
    ),
    Operation(
        "bce_with_logits",
        ("bcewithlogits", "bcewithlogitsloss", "binarycrossentropywithlogits", "bcelogits", "sigmoidbce", "logitbce"),
        binary_losses(binary_logit_loss, logits_and_shares),
        ((LARGE_LOGITS, LARGE_LOGITS_TARGET),),
    ),
)
