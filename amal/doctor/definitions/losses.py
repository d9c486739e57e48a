"""Losses, in every definition that the doctor knows."""

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from .definition import Arguments, Definition, Draw, Kink, Operation

SAYS = {
    "mean": "the mean over all entries",
    "batch": "the sum over all entries divided by the batch size",
    "sum": "the sum over all entries",
    "none": "one number for each entry",
    "rows": "one number for each example, the mean of its entries",
    "row-sums": "one number for each example, the sum of its entries",
}


def reduced(entries: Tensor, reduction: str) -> Tensor:
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


def two_alike(draw: Draw) -> Arguments:
    """Draw predictions and targets."""
    shape = (draw.n, draw.size(3))
    return draw(*shape), 2 * draw(*shape)


def with_reduction(arguments: Arguments, reduction: str) -> Arguments:
    """Return the arguments and the name of a reduction, for those that ask for it."""
    return *arguments, reduction


# ---------------------------------------------------------------------------------- of differences


def squared(input: Tensor, target: Tensor, *_: str, reduction: str) -> Tensor:
    """Return the squared error."""
    return reduced((input - target) ** 2, reduction)


def absolute(input: Tensor, target: Tensor, *_: str, reduction: str) -> Tensor:
    """Return the absolute error."""
    return reduced((input - target).abs(), reduction)


def far_apart(draw: Draw) -> Arguments:
    """Draw predictions and targets of which no two are equal."""
    shape = (draw.n, draw.size(3))
    return draw(*shape), draw.between(3, 4, *shape) * draw(*shape).sign()


REDUCTIONS = ("mean", "batch", "sum", "none", "rows", "row-sums")
PAIR = ("prediction", "target")
MSE = tuple(Definition(of, SAYS[of], partial(squared, reduction=of), two_alike, roles=PAIR) for of in REDUCTIONS)
L1 = tuple(Definition(of, SAYS[of], partial(absolute, reduction=of), far_apart, roles=PAIR) for of in REDUCTIONS)
MSE += tuple(
    Definition(
        f"{of}-word",
        f"{SAYS[of]}, named in words",
        partial(squared, reduction=of),
        with_word,
        roles=(*PAIR, "reduction"),
    )
    for of, with_word in (
        ("mean", lambda draw: with_reduction(two_alike(draw), "mean")),
        ("sum", lambda draw: with_reduction(two_alike(draw), "sum")),
    )
)
L1 += (
    Definition(
        "mean-word",
        "the mean over all entries, named in words",
        partial(absolute, reduction="mean"),
        lambda draw: with_reduction(far_apart(draw), "mean"),
        roles=(*PAIR, "reduction"),
    ),
)

# ---------------------------------------------------------------------------------- of classes

CLASSES = 4


def scores(draw: Draw) -> Tensor:
    """Draw one score for each example and class."""
    return draw(draw.n, draw.size(CLASSES))


def with_classes(draw: Draw) -> Arguments:
    """Draw scores, and numbers of classes."""
    return scores(draw), draw.classes(draw.n, draw.size(CLASSES))


def with_one_hot(draw: Draw) -> Arguments:
    """Draw scores, and classes as rows of zeros with a one."""
    return scores(draw), draw.one_hot(draw.n, draw.size(CLASSES))


def as_one_hot(target: Tensor, like: Tensor) -> Tensor:
    """Return classes as rows of zeros with a one, if they are numbers."""
    if target.is_floating_point():
        return target
    return functional.one_hot(target.long(), like.shape[-1]).to(like.dtype)


def likelihood(input: Tensor, target: Tensor, *_: str, reduction: str) -> Tensor:
    """Return minus the log-probabilities of the targets."""
    return reduced(-(input * as_one_hot(target, input)).sum(-1), reduction)


def cross_entropy(input: Tensor, target: Tensor, *_: str, reduction: str) -> Tensor:
    """Return the cross-entropy of logits."""
    return likelihood(input.log_softmax(-1), target, reduction=reduction)


def of_probabilities(input: Tensor, target: Tensor, *_: str, reduction: str) -> Tensor:
    """Return the cross-entropy of probabilities."""
    return likelihood(input.log(), target, reduction=reduction)


def probabilities(draw: Draw) -> Arguments:
    """Draw probabilities of classes, and classes as rows of zeros with a one."""
    return scores(draw).softmax(-1), draw.one_hot(draw.n, draw.size(CLASSES))


def probabilities_and_classes(draw: Draw) -> Arguments:
    """Draw probabilities of classes, and numbers of classes."""
    return scores(draw).softmax(-1), draw.classes(draw.n, draw.size(CLASSES))


def mean_of_entries(input: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of logits as a mean over examples and classes."""
    return cross_entropy(input, target, reduction="mean") / input.shape[-1]


TARGETS = (("classes", with_classes), ("one-hot", with_one_hot))
OF_CLASSES = ("mean", "sum", "none")
LOGITS = tuple(
    Definition(
        f"{of}-{kind}",
        f"of logits, targets are {kind}, {'the mean over the batch' if of == 'mean' else SAYS[of]}",
        partial(cross_entropy, reduction=of),
        draw,
        optional=(1,),
        roles=PAIR,
    )
    for of in OF_CLASSES
    for kind, draw in TARGETS
)
PROBABILITIES = (
    ("probabilities", "the mean over the batch", "mean", probabilities),
    ("probabilities-classes", "targets are classes, the mean over the batch", "mean", probabilities_and_classes),
    ("probabilities-sum", "the sum", "sum", probabilities),
)
CROSS_ENTROPY = (
    *LOGITS,
    Definition(
        "entries", "of logits, the mean over examples and classes", mean_of_entries, with_one_hot, (1,), roles=PAIR
    ),
    *(
        Definition(
            name, f"of probabilities, {says}", partial(of_probabilities, reduction=reduction), draw, (1,), roles=PAIR
        )
        for name, says, reduction, draw in PROBABILITIES
    ),
)
NLL = tuple(
    Definition(
        f"{of}-{kind}",
        f"of log-probabilities, targets are {kind}, {'the mean over the batch' if of == 'mean' else SAYS[of]}",
        partial(likelihood, reduction=of),
        draw,
        optional=(1,),
        roles=PAIR,
    )
    for of in OF_CLASSES
    for kind, draw in TARGETS
)
LARGE = torch.tensor([[1000.0, -1000, 0, 1], [-1000, -1001, -1002, -1000], [800, 900, 1000, 1000]], dtype=torch.float64)
SPREAD = torch.tensor([0, 3, 1])

# ---------------------------------------------------------------------------------- of two classes


def yes_or_no(draw: Draw, low: float = 0.0) -> Tensor:
    """Draw targets, between 0 and 1."""
    return draw.between(low, 1, draw.n, draw.size(3))


def bce(input: Tensor, target: Tensor, *_: str, reduction: str) -> Tensor:
    """Return the binary cross-entropy of probabilities."""
    return reduced(-(target * input.log() + (1 - target) * (1 - input).log()), reduction)


def bce_with_logits(input: Tensor, target: Tensor, *_: str, reduction: str) -> Tensor:
    """Return the binary cross-entropy of logits."""
    return reduced(functional.softplus(input) - target * input, reduction)


def probable(draw: Draw) -> Arguments:
    """Draw probabilities and targets."""
    return draw.between(0.1, 0.9, draw.n, draw.size(3)), yes_or_no(draw)


def probable_binary(draw: Draw) -> Arguments:
    """Draw probabilities, and targets 0 or 1."""
    return draw.between(0.1, 0.9, draw.n, draw.size(3)), yes_or_no(draw).round()


def logits(draw: Draw) -> Arguments:
    """Draw logits and targets."""
    return draw(draw.n, draw.size(3)), yes_or_no(draw)


BINARY = ("mean", "batch", "sum", "none")
BCE = tuple(Definition(of, SAYS[of], partial(bce, reduction=of), probable, (1,), roles=PAIR) for of in BINARY)
BCE += tuple(
    Definition(
        f"{of}-binary", f"{SAYS[of]}, targets 0 or 1", partial(bce, reduction=of), probable_binary, (1,), roles=PAIR
    )
    for of in BINARY
)
BCE_WITH_LOGITS = tuple(
    Definition(of, SAYS[of], partial(bce_with_logits, reduction=of), logits, (1,), roles=PAIR) for of in BINARY
)
CERTAIN = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
SURE = torch.tensor([[1000.0, -1000.0, -1000.0], [-1000.0, 1000.0, 0.0]], dtype=torch.float64)
SURE_TARGET = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], dtype=torch.float64)

EQUAL = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
AT_EQUAL = Kink(
    (EQUAL, EQUAL.clone()),
    torch.zeros(2, 2, dtype=torch.float64),
    "where prediction and target are equal, the gradient is 0",
)

OPERATIONS = (
    Operation("mse", ("mse", "mseloss", "meansquarederror", "squarederror"), MSE),
    Operation("l1", ("l1", "l1loss", "mae", "meanabsoluteerror"), L1, kinks=(AT_EQUAL,)),
    Operation(
        "cross_entropy",
        (
            "crossentropy",
            "crossentropyloss",
            "ce",
            "softmaxcrossentropy",
            "softmaxce",
            "logsoftmaxcrossentropy",
            "celoss",
        ),
        CROSS_ENTROPY,
        extremes=((LARGE, SPREAD), (LARGE, as_one_hot(SPREAD, LARGE))),
    ),
    Operation("nll", ("nll", "nllloss", "negativeloglikelihood"), NLL),
    Operation(
        "bce",
        ("bce", "bceloss", "binarycrossentropy", "binarycrossentropyloss"),
        BCE,
        extremes=((CERTAIN, CERTAIN), (CERTAIN, 1 - CERTAIN)),
        extremes_are="probabilities of 0 and 1",
        exact_extremes=False,
    ),
    Operation(
        "bce_with_logits",
        ("bcewithlogits", "bcewithlogitsloss", "binarycrossentropywithlogits", "bcelogits", "sigmoidbce", "logitbce"),
        BCE_WITH_LOGITS,
        extremes=((SURE, SURE_TARGET),),
    ),
)
