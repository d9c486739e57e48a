"""Experiment 1.2: the chain rule by hand, without an autograd graph.

Reported: the loss falls; ε = 5e-4 converges, the other ε tried do not (R-b 1.2).

Linear regression on random data by gradient descent: forward and backward of the two Functions are called one by one,
in the order of the chain rule, with a context of our own. At each step the gradients are compared with those that
torch's autograd finds for torch's own operations. Then the learning rate ε is swept, for three ways to average the
squared error: which ε converges depends on it.

In TensorBoard: Custom scalars, the loss of the descent; Images, `sweep of the learning rate`, three sweeps: which ε
falls, which one creeps, which one climbs; Time series, `gradient/largest difference from autograd`, of the size of a
rounding.

    python -m tme1.chain_rule
    python -m tme1.chain_rule --lr 0.5 --epochs 30
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import inf, isfinite

import torch
from torch import Tensor
from torch.autograd import Function

from amal.data import Split, generator, random_regression
from amal.ops import LinearFunction, MSEFunction
from amal.plots import new_figure
from amal.runs import Outcome, launch
from amal.text import columns
from amal.training import DescentConfig, Logbook, is_milestone, progress_bar, require
from tme1._closed_form import least_squares, with_ones

ROWS = "sum / q (the sheet)"
CONVENTIONS = ("mean (torch)", ROWS, "sum")
"""How the squared errors of q rows and p columns become one number: divided by q p, by q, or not at all."""


@dataclass(frozen=True)
class Config(DescentConfig):
    """The sheet's setting: x 50×13, y 50×3, ε = 0.05, 100 iterations on the whole batch."""

    lr: float = 0.05
    """Learning rate (the sheet's ε) of the run that is compared with autograd."""
    sweep: tuple[float, ...] = (5e-4, 5e-3, 5e-2, 5e-1, 5.0)
    """Learning rates to compare."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(all(0 < lr < inf for lr in self.sweep), f"--sweep {self.sweep}: expected positive numbers")


class Context:
    """What autograd hands to a Function: a place to put tensors aside between forward and backward.

    A new one for each call: were it shared, a second forward would overwrite what the first one's backward needs.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Put the tensors aside."""
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: Tensor) -> None:
        """Put nothing aside: this is for forward-mode differentiation, which is not done here."""

    def set_materialize_grads(self, value: bool) -> None:
        """Do nothing: every gradient is handed over here, and none is None."""


@dataclass(frozen=True)
class Problem:
    """A linear regression: rows x (q, 13), targets y (q, 3), and the way to average the squared error."""

    data: Split
    convention: str

    @property
    def reduction(self) -> str:
        """The reduction of MSEFunction to use."""
        return "mean" if self.convention.startswith("mean") else "sum"

    @property
    def grad_loss(self) -> float:
        """What backward starts from, the derivative of the averaged error by the output of MSEFunction."""
        return 1 / len(self.data) if self.convention == ROWS else 1.0


def forward(function: type[Function], *inputs: Tensor | str) -> tuple[Tensor, Context]:
    """Call a Function's own forward; return the output, and the context for its backward."""
    output = function.forward(*inputs)
    context = Context(tuple(isinstance(argument, Tensor) for argument in inputs))
    function.setup_context(context, inputs, output)
    return output, context


def gradients_by_hand(problem: Problem, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss and its gradients by weight and bias: the chain rule, forwards and then backwards."""
    prediction, of_linear = forward(LinearFunction, problem.data.input, weight, bias)
    error, of_mse = forward(MSEFunction, prediction, problem.data.target, problem.reduction)

    grad_error = torch.full_like(error, problem.grad_loss)
    grad_prediction, _, _ = MSEFunction.backward(of_mse, grad_error)
    _, grad_weight, grad_bias = LinearFunction.backward(of_linear, grad_prediction)
    assert error.grad_fn is None, "no autograd graph is built here"
    return error * problem.grad_loss, grad_weight, grad_bias


def gradients_by_autograd(problem: Problem, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients by weight and bias that torch finds by itself, for its own operations."""
    leaves = [tensor.clone().requires_grad_() for tensor in (weight, bias)]
    prediction = torch.nn.functional.linear(problem.data.input, *leaves)
    error = torch.nn.functional.mse_loss(prediction, problem.data.target, reduction=problem.reduction)
    return torch.autograd.grad(error * problem.grad_loss, leaves)


def initial_parameters(seed: int) -> tuple[Tensor, Tensor]:
    """Draw a weight (3, 13) and a bias (3)."""
    random = generator(seed, "parameters")
    weight = torch.randn(3, 13, generator=random, dtype=torch.float64)
    return weight, torch.randn(3, generator=random, dtype=torch.float64)


def descend(problem: Problem, weight: Tensor, bias: Tensor, lr: float) -> Iterator[tuple[Tensor, ...]]:
    """Yield (loss, weight, bias, grad_weight, grad_bias) before each step of gradient descent, for ever."""
    while True:
        loss, grad_weight, grad_bias = gradients_by_hand(problem, weight, bias)
        yield loss, weight, bias, grad_weight, grad_bias
        weight = weight - lr * grad_weight
        bias = bias - lr * grad_bias


def run(config: Config, logbook: Logbook) -> Outcome:
    """Descend once beside autograd, then sweep the learning rate."""
    data = random_regression(seed=config.seed).to("cpu", torch.float64)
    problem = Problem(data.train, ROWS)
    losses, difference = descend_beside_autograd(config, logbook, problem, Problem(data.test, ROWS))
    assert difference < 1e-12, f"the gradients by hand and by autograd differ by {difference:.1e}"
    verdicts = sweep(config, logbook, data.train)
    table = as_table(config.sweep, data.train, verdicts)
    print(table)
    logbook.text("sweep", f"```\n{table}\n```")
    converging = [f"{lr:g} ({name.split(' (')[0]})" for (name, lr), end in verdicts.items() if end == "converges"]
    course = f"ε = {config.lr:g} {verdict(losses, least_loss(problem))}: loss {losses[0]:.1f} → {losses[-1]:.2f}"
    exactness = f"within {difference:.0e} of" if difference else "exactly"
    return Outcome(
        f"{course}, gradients {exactness} autograd's; of the sweep converge {', '.join(converging) or 'none'}",
        {"loss_first": losses[0], "loss_last": losses[-1], "largest_difference": difference},
    )


def descend_beside_autograd(
    config: Config, logbook: Logbook, train: Problem, test: Problem
) -> tuple[list[float], float]:
    """Descend by hand; return the loss before each step, and how far a gradient ever was from autograd's."""
    losses, largest = [], 0.0
    logbook.chart("loss", ["loss/train", "loss/validation", "loss/test"])
    descent = islice(descend(train, *initial_parameters(config.seed), config.lr), config.epochs)
    for step, (loss, weight, bias, *by_hand) in enumerate(progress_bar(descent, config.progress, "by hand")):
        losses.append(float(loss))
        require(isfinite(losses[-1]), f"the loss is {losses[-1]} at step {step}: try a --lr below {config.lr:g}")
        by_autograd = gradients_by_autograd(train, weight, bias)
        difference = max(float((a - b).abs().max()) for a, b in zip(by_hand, by_autograd, strict=True))
        largest = max(largest, difference)
        logbook.scalar("loss/train", loss, step)
        logbook.scalar("loss/test", gradients_by_hand(test, weight, bias)[0], step)
        logbook.scalar("gradient/largest difference from autograd", difference, step)
        if is_milestone(step, config.epochs - 1):
            logbook.histogram("parameters/weight", weight, step)
            logbook.histogram("parameters/bias", bias, step)
            logbook.histogram("gradients/weight", by_hand[0], step)
            logbook.histogram("gradients/bias", by_hand[1], step)
    return losses, largest


def sweep(config: Config, logbook: Logbook, data: Split) -> dict[tuple[str, float], str]:
    """Descend with every convention and learning rate; return what became of each."""
    figure = new_figure(11.0, 3.8)
    verdicts = {}
    for axes, convention in zip(figure.subplots(1, len(CONVENTIONS)), CONVENTIONS, strict=True):
        problem = Problem(data, convention)
        best = least_loss(problem)
        for lr in config.sweep:
            losses = losses_of_descent(problem, lr, config)
            verdicts[convention, lr] = verdict(losses, best)
            axes.plot(losses, label=f"ε = {lr:g} {verdicts[convention, lr]}")
        axes.axhline(best, color="0.6", linestyle="--", label="least squares")
        axes.set(title=convention, xlabel="step", ylabel="loss", yscale="log", ylim=(best / 2, 1000 * best))
        axes.legend(fontsize=7, loc="upper right")
    logbook.figure("sweep of the learning rate", figure, 0)
    return verdicts


def losses_of_descent(problem: Problem, lr: float, config: Config) -> list[float]:
    """Return the loss before each step, to the first that is out of all bounds."""
    losses: list[float] = []
    for loss, *_ in islice(descend(problem, *initial_parameters(config.seed), lr), config.epochs):
        losses.append(float(loss))
        if not losses[-1] < 1e6 * losses[0]:
            break
    return losses


def verdict(losses: list[float], best: float) -> str:
    """Say what became of a descent, by the share of the way to the least possible loss that it went."""
    if not losses[-1] <= losses[0]:  # grown, or not a number
        return "diverges"
    return "converges" if losses[-1] - best < 0.01 * (losses[0] - best) else "too slow"


def least_loss(problem: Problem) -> float:
    """Return the loss at the solution of the normal equations."""
    return float(gradients_by_hand(problem, *least_squares(problem.data))[0])


def largest_stable_lr(problem: Problem) -> float:
    """Return the learning rate above which descent must diverge: 2 over the largest curvature of the loss.

    The loss is quadratic, with second derivative 2 c AᵀA, A = [x 1] and c the factor of its squared errors.
    """
    c = problem.grad_loss / (problem.data.target.numel() if problem.reduction == "mean" else 1)
    return 2 / (2 * c * float(torch.linalg.matrix_norm(with_ones(problem.data.input), 2)) ** 2)


def as_table(learning_rates: tuple[float, ...], data: Split, verdicts: dict[tuple[str, float], str]) -> str:
    """Format a table of verdicts: a row for each convention, a column for each learning rate."""
    rows = [("squared errors, averaged by", "limit of ε", *(f"ε = {lr:g}" for lr in learning_rates))]
    for name in CONVENTIONS:
        limit = f"{largest_stable_lr(Problem(data, name)):.2g}"
        rows.append((name, limit, *(verdicts[name, lr] for lr in learning_rates)))
    return "\n".join(columns(rows, "<>", widths=[30, 12, *[13] * len(learning_rates)], gap=""))


if __name__ == "__main__":
    launch(run)
