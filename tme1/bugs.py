"""Experiment 1.6: plausible bugs, wrong and right side by side.

Reported: of 18 student solutions 5 do not sum the bias gradient (loss on noise then 3e-5, against 2.4), and 5 have a
wrong derivative of the mean squared error.

None of these programs stops with an error, and the first one looks better than the right one. Each is run beside its
right version, from the same seed, on the same data.

In TensorBoard: Time series, one group of charts for each bug, the first and the second on a logarithmic axis: the
runs `wrong` and `right`; Images, what the two made; Text, symptom, cause, and what sees it.

    python -m tme1.bugs
    python -m tme1.bugs --bugs "squeeze broadcasts" --steps 1000
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.autograd import Function

from amal.course.bugs import Comparison, Version, run_bugs
from amal.data import Split, noisy_line, random_regression
from amal.functional import linear, mse_loss
from amal.ops import LinearFunction, MSEFunction
from amal.plots import fitted_line, learning_curves
from amal.runs import Outcome, launch
from amal.training import Logbook, RunConfig, require_positive, require_some
from tme1._closed_form import least_squares
from tme1._mistakes import BiasNotSummed, SwappedSigns
from tme1.chain_rule import forward, initial_parameters

Name = Literal["bias not summed", "signs swapped", "squeeze broadcasts", "gradients not zeroed"]


@dataclass(frozen=True)
class Config(RunConfig):
    """The first two bugs descend by hand on noise, the others with autograd on a noisy line."""

    bugs: tuple[Name, ...] = ("bias not summed", "signs swapped", "squeeze broadcasts", "gradients not zeroed")
    """Which bugs to show."""
    lr: float = 0.05
    """Learning rate (the sheet's ε) on noise."""
    steps: int = 3000
    """Steps on noise."""
    ascent: int = 20
    """Steps with swapped signs, which go uphill."""
    line_lr: float = 0.1
    """Learning rate on the line."""
    line_steps: int = 100
    """Steps on the line."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "lr", "line_lr")
        require_some(self, "steps", "ascent", "line_steps")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Show every bug beside its right version."""
    return run_bugs({name: BUGS[name] for name in config.bugs}, config, logbook)


# ---------------------------------------------------------------------------------- backward called by hand, on noise


def bias_not_summed(config: Config) -> Comparison:
    """Symptom: on pure noise the training loss goes to zero, where even least squares stops far above; the loss on
    other noise is twice that of the right version. The bias, 3 numbers at first, has become 150.
    Cause: backward returns grad_output for the bias, without its sum over the batch. `bias - lr * grad_bias` broadcasts
    (p) against (q, p), and from then on each example has a bias of its own, which learns its target by heart.
    Seen by: `amal check`, as not-summed; in the loop, `assert grad_bias.shape == bias.shape`. Not by gradcheck, and not
    by the loss if autograd calls the function: the engine sums in silence.
    """
    noise = random_regression(seed=config.seed).to("cpu", torch.float64)
    versions = []
    for function in (BiasNotSummed, LinearFunction):
        steps = [*descend(noise.train, function, MSEFunction, config, config.steps)]
        losses = [error(noise.train, *parameters) for parameters in steps]
        measures = {
            "loss on train": losses[-1],
            "loss on test": error(noise.test, *steps[-1]),
            "numbers in the bias": steps[-1][1].numel(),
            "loss on train, autograd calls it": autograd_descends(noise.train, function, config),
        }
        versions.append(Version(measures, {"loss on train": losses}))
    picture = partial(
        learning_curves,
        {
            name: [*version.curves["loss on train"]][1:]
            for name, version in zip(("wrong", "right"), versions, strict=True)
        },
        {"least squares": error(noise.train, *least_squares(noise.train))},
        "Targets of pure noise, backward called by hand",
        "loss on train",
        xlabel="step",
        log=True,
    )
    return Comparison(*versions, {"loss on train": picture})


def signs_swapped(config: Config) -> Comparison:
    """Symptom: the loss grows from the first step on, soon by the same factor at each; a smaller learning rate makes
    it grow more slowly, and never fall.
    Cause: backward returns 2 (Y - Ŷ) for the prediction, which is the derivative by the target. Descent goes up.
    Seen by: `amal check`, as grad-sign, and by gradcheck; in the loop, after one very small step,
    `assert loss_after < loss_before`.
    """
    noise = random_regression(seed=config.seed).to("cpu", torch.float64).train
    versions = []
    for mse in (SwappedSigns, MSEFunction):
        steps = descend(noise, LinearFunction, mse, config, config.ascent)
        losses = [error(noise, *parameters) for parameters in steps]
        versions.append(Version({"loss on train": losses[-1]}, {"loss on train": losses}))
    return Comparison(*versions)


def descend(
    data: Split, linear: type[Function], mse: type[Function], config: Config, steps: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield weight and bias before each step by hand and after the last: the sheet's question 7, the error sum / q."""
    weight, bias = initial_parameters(config.seed)
    yield weight, bias
    for _ in range(steps):
        prediction, of_linear = forward(linear, data.input, weight, bias)
        summed, of_mse = forward(mse, prediction, data.target, "sum")
        grad_prediction, *_ = mse.backward(of_mse, torch.full_like(summed, 1 / len(data)))
        _, grad_weight, grad_bias = linear.backward(of_linear, grad_prediction)
        weight = weight - config.lr * grad_weight
        bias = bias - config.lr * grad_bias
        yield weight, bias


def autograd_descends(data: Split, linear: type[Function], config: Config) -> float:
    """Return the error after as many steps of which autograd calls the backward functions."""
    parameters = [parameter.requires_grad_() for parameter in initial_parameters(config.seed)]
    for _ in range(config.steps):
        loss = MSEFunction.apply(linear.apply(data.input, *parameters), data.target, "sum") / len(data)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= config.lr * gradient
    return error(data, *(parameter.detach() for parameter in parameters))


def error(data: Split, weight: Tensor, bias: Tensor) -> float:
    """Return the sheet's error, 1/q times the sum of squares; the bias is (p), or (q, p) where that went wrong."""
    return float((data.input @ weight.mT + bias - data.target).square().sum() / len(data))


# ---------------------------------------------------------------------------------- autograd, on a noisy line


def squeeze_broadcasts(config: Config) -> Comparison:
    """Symptom: the loss falls a little and stays at the variance of the target; the line found is flat, the mean of the
    targets for every x. Nothing is said: the loss is a number, and its gradient is right for it.
    Cause: `prediction.squeeze()` is (n), the target (n, 1), and their difference (n, n): every prediction is compared
    with every target, and the best answer to all of them is their mean.
    Seen by: `assert prediction.shape == target.shape` before the difference. This package's mse_loss refuses, and names
    both shapes. Not by `amal check`: each derivative is right, for a loss that is not the one that was meant.
    """
    data = noisy_line(seed=config.seed)
    versions, lines = [], {}
    for name, loss in (("wrong: (n) against (n, 1)", squeezed_mse_loss), ("right", mse_loss)):
        losses, weight, bias = fit_line(data.train, loss, config)
        lines[name] = partial(linear, weight=weight, bias=bias)
        unexplained = mse_loss(lines[name](data.test.input), data.test.target) / data.test.target.var(correction=0)
        measures = {
            "R² on test": 1 - float(unexplained),
            "slope of the line": float(weight),
            "loss that is seen": losses[-1],
        }
        versions.append(Version(measures, {"loss that is seen": losses}))
    picture = partial(fitted_line, data.test.input, data.test.target, lines, "A noisy line, test set")
    return Comparison(*versions, {"lines": picture})


def gradients_not_zeroed(config: Config) -> Comparison:
    """Symptom: the loss falls, rises to where it began, and falls again, for ever; a smaller learning rate makes the
    waves longer and not lower.
    Cause: `backward` adds to `.grad`, and nobody empties it, so each step follows the sum of all gradients until now.
    That is a ball that rolls without friction: it passes the bottom at full speed.
    Seen by: `assert parameter.grad is None` before backward. Not by `amal check`: the derivatives are right, and so is
    what autograd does with them.
    """
    data = noisy_line(seed=config.seed).train
    versions = []
    for zeroed in (False, True):
        losses, *_ = fit_line(data, mse_loss, config, zeroed)
        later = losses[len(losses) // 2 :]
        measures = {"greatest loss of the second half": max(later), "least loss of the second half": min(later)}
        versions.append(Version(measures, {"loss": losses}))
    return Comparison(*versions)


def squeezed_mse_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return a mean of (n, n) squares, where there should be n."""
    return (prediction.squeeze() - target).square().mean()


def fit_line(
    data: Split, loss: Callable[[Tensor, Tensor], Tensor], config: Config, zeroed: bool = True
) -> tuple[list[float], Tensor, Tensor]:
    """Descend from the line y = 0; return the loss before each step and after the last, the weight, the bias."""
    weight, bias = parameters = torch.zeros(1, 1, requires_grad=True), torch.zeros(1, requires_grad=True)
    losses = []
    for _ in range(config.line_steps):
        value = loss(linear(data.input, weight, bias), data.target)
        losses.append(value.item())
        value.backward()
        with torch.no_grad():
            for parameter in parameters:
                parameter -= config.line_lr * parameter.grad
                if zeroed:
                    parameter.grad = None
    losses.append(loss(linear(data.input, weight, bias), data.target).item())
    return losses, weight.detach(), bias.detach()


BUGS: dict[Name, Callable[[Config], Comparison]] = {
    "bias not summed": bias_not_summed,
    "signs swapped": signs_swapped,
    "squeeze broadcasts": squeeze_broadcasts,
    "gradients not zeroed": gradients_not_zeroed,
}


if __name__ == "__main__":
    launch(run)
