r"""Adadelta: steps in the unit of the weights, with no learning rate to choose.

With θ the parameters, g their gradient, γ the learning rate, λ the weight decay:

    g ← g + λ θ
    v ← ρ v + (1 − ρ) g²           running mean of the square of the gradient, entry by entry
    δ = √(u + ε) / √(v + ε) g      a step as long as the last ones were, in the direction of g
    u ← ρ u + (1 − ρ) δ²           running mean of the square of the steps
    θ ← θ − γ δ

A gradient has the unit of the loss over that of the weight; the quotient of the two roots makes a step in the unit of
the weight of it, whatever the unit of the loss. Both means start at 0, and √ε is how long the first steps are. γ = 1
is the method as it was published.

Source: Zeiler, ADADELTA, 2012, algorithm 1.
"""

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from amal._torch import foreach

from ._optimizer import Optimizer


class Adadelta(Optimizer):
    """Steps in the unit of the weights: torch.optim.Adadelta, by hand.

    Args:
        params: parameters, or groups of them with options of their own.
        lr: learning rate γ.
        rho: ρ, how much of the running means a step keeps.
        eps: ε, which starts the first steps and keeps the division finite.
        weight_decay: λ.
        maximize: whether to climb instead.

    Raises:
        ValueError: an option makes no sense.

    Its state_dict goes into torch.optim.Adadelta, and the other way round.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError if an option of the group makes no sense."""
        for name in ("lr", "eps", "weight_decay"):
            self.require(group[name] >= 0, name, group[name], "0 or more")
        self.require(0 <= group["rho"] <= 1, "rho", group["rho"], "a number from 0 to 1")

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Move the parameters of a group, in place."""
        rho = group["rho"]
        states = [self.state_of(parameter) for parameter in parameters]
        for state in states:
            state["step"] += 1
        squares = [state["square_avg"] for state in states]
        lengths = [state["acc_delta"] for state in states]

        if group["weight_decay"]:
            gradients = foreach("add", gradients, parameters, alpha=group["weight_decay"])
        foreach("mul_", squares, rho)
        foreach("addcmul_", squares, gradients, gradients, 1 - rho)
        deltas = foreach("add", lengths, group["eps"])
        foreach("sqrt_", deltas)
        roots = foreach("add", squares, group["eps"])
        foreach("sqrt_", roots)
        foreach("div_", deltas, roots)
        foreach("mul_", deltas, gradients)
        foreach("mul_", lengths, rho)
        foreach("addcmul_", lengths, deltas, deltas, 1 - rho)
        foreach("add_", parameters, deltas, alpha=-float(group["lr"]))

    def state_of(self, parameter: Tensor) -> dict[str, Any]:
        """Return a parameter's running means, which are 0 before its first step, and how many steps it took."""
        return self.counted_state(parameter, "square_avg", "acc_delta")
