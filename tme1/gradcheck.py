"""Experiment 1.1: the derivatives of Linear and MSE, checked.

Reported: gradcheck True for both (R-a TP1, R-b 1.1).

Both against every property that a derivative written by hand must have, as ticks; then the mistakes that students
make, which of them torch's gradcheck sees, and which property sees the others. `amal ops` does it for every operation.

In TensorBoard: Text, the two tables, `operations` and `mistakes`; Images, `why_float64`: where each curve turns up.

    python -m tme1.gradcheck
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from amal.checking import CASES, PROPERTIES, SIGNS, Case, verdict
from amal.functional import linear, mse_loss
from amal.plots import new_figure
from amal.runs import Outcome, launch
from amal.training import Logbook, RunConfig, progress_bar
from tme1._mistakes import MISTAKES

NOT_OF_BACKWARD = ("compile", "autocast", "CUDA", "meta", "error budget", "saved bytes")
OF_BACKWARD = tuple(name for name in PROPERTIES if name not in NOT_OF_BACKWARD)
OF_TME1 = ("linear", "mse_loss")


@dataclass(frozen=True)
class Config(RunConfig):
    """Nothing to set but where the table is written."""


def run(config: Config, logbook: Logbook) -> Outcome:
    """Print and log the two tables."""
    # torch itself still imports torch.jit.script for its forward-mode rules, and warns of it
    warnings.filterwarnings("ignore", message="`torch.jit.script")
    cases = progress_bar([case for case in CASES if case.op in OF_TME1], config.progress, "checking")
    verdicts = {case.name: examine(case, PROPERTIES) for case in cases}
    mistakes = progress_bar(MISTAKES.values(), config.progress, "planting mistakes")
    caught = {case.name: examine(case, OF_BACKWARD) for case in mistakes}
    print(table_of_ticks(verdicts))
    print(table_of_mistakes(caught))
    logbook.text("operations", f"```\n{table_of_ticks(verdicts)}\n```")
    logbook.text("mistakes", f"```\n{table_of_mistakes(caught)}\n```")
    log_why_float64(logbook)

    ticks = [verdict for of_case in verdicts.values() for verdict in of_case.values() if verdict is not None]
    unseen = [name for name, of_mistake in caught.items() if False not in of_mistake.values()]
    fooled = sum(of_mistake["gradcheck"] is True for of_mistake in caught.values())
    assert all(ticks), "a property does not hold: see the table"
    assert not unseen, f"mistakes that nothing saw: {', '.join(unseen)}"
    checked = " and ".join(name for name in OF_TME1 if verdicts[name]["gradcheck"])
    return Outcome(
        f"gradcheck True for {checked}; {sum(ticks)} of {len(ticks)} properties hold; "
        f"of {len(caught)} planted mistakes gradcheck passes {fooled}, amal's properties none",
        {"properties_held": sum(ticks), "properties": len(ticks), "mistakes": len(caught), "gradcheck_fooled": fooled},
    )


def examine(case: Case, properties: Iterable[str]) -> dict[str, bool | None]:
    """Return whether each property holds of a case; None where it cannot be examined on this machine."""
    return {name: verdict(name, case)[0] for name in properties}


def table_of_ticks(verdicts: dict[str, dict[str, bool | None]]) -> str:
    """Set operations against properties, the properties numbered and explained below."""
    heading = " " * 26 + "".join(f"{number:3}" for number in range(1, len(PROPERTIES) + 1))
    rows = [
        f"{name:26}" + "".join(f"{SIGNS[verdict]:>3}" for verdict in row.values()) for name, row in verdicts.items()
    ]
    legend = [
        f"{number:3} {name}: {str(check.__doc__).splitlines()[0]}"
        for number, (name, check) in enumerate(PROPERTIES.items(), start=1)
    ]
    return "\n".join(
        [heading, *rows, "", *legend, "", "  ✓ holds   ✗ does not   – cannot be examined on this machine", ""]
    )


def table_of_mistakes(caught: dict[str, dict[str, bool | None]]) -> str:
    """Set each mistake beside what gradcheck says of it and what else fails."""
    heading = f"{'a mistake':58}{'gradcheck':11}properties that fail"
    rows = [
        f"{name:58}{row['gradcheck']!s:11}{', '.join(name for name, verdict in row.items() if verdict is False)}"
        for name, row in caught.items()
    ]
    return "\n".join([heading, *rows, ""])


def log_why_float64(logbook: Logbook) -> None:
    """Draw the error of a slope measured with a step h: small steps drown in rounding, and in float32 early."""
    steps = [10 ** (-exponent / 4) for exponent in range(57)]
    figure = new_figure()
    axes = figure.subplots()
    for dtype, name in ((torch.float32, "float32"), (torch.float64, "float64")):
        errors = [slope_error(step, dtype) for step in steps]
        axes.loglog(steps, errors, "o-", markersize=3, label=name)
    axes.axvline(1e-6, color="0.6", linestyle="--", label="gradcheck's step")
    axes.set(
        title="Why gradients are checked in float64", xlabel="step h", ylabel="relative error of the measured slope"
    )
    axes.legend()
    logbook.figure("why_float64", figure, 0)


def slope_error(step: float, dtype: torch.dtype) -> float:
    """Return how far (f(w + h v) − f(w − h v)) / 2h is from the derivative by hand, f a loss through two layers."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).to(dtype)

    x, y, v1, v2 = draw(10, 5), draw(10, 2), draw(4, 5), draw(2, 4)
    w1, w2 = draw(4, 5).requires_grad_(), draw(2, 4).requires_grad_()

    def loss(h: float) -> Tensor:
        return mse_loss(linear(linear(x, w1 + h * v1), w2 + h * v2), y)

    measured = (loss(step).item() - loss(-step).item()) / (2 * step)
    grad1, grad2 = torch.autograd.grad(loss(0.0), (w1, w2))
    exact = float((grad1 * v1).sum() + (grad2 * v2).sum())
    return max(abs(measured - exact) / abs(exact), 1e-17)


if __name__ == "__main__":
    launch(run)
