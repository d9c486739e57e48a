r"""Adam: every weight has a learning rate of its own, from the size of its gradients so far.

With θ the parameters, g their gradient at step t, γ the learning rate, λ the weight decay:

    g ← g + λ θ
    m ← β₁ m + (1 − β₁) g          running mean of the gradient
    v ← β₂ v + (1 − β₂) g²         running mean of its square, entry by entry
    m̂ = m / (1 − β₁ᵗ)              both start at 0 and are too small at first: the mean of t terms of weights
    v̂ = v / (1 − β₂ᵗ)              (1 − β) βᵗ⁻ⁱ, which add up to 1 − βᵗ
    θ ← θ − γ m̂ / (√v̂ + ε)

A step is about γ long in every entry, however large the gradient. AMSGrad takes for v̂ the largest v so far, so that the
step of a weight never grows again.

Source: Kingma and Ba 2015, algorithm 1, in the order that the end of their section 2 gives; Reddi, Kale and Kumar 2018
for AMSGrad (torch's v̂ = max v / (1 − β₂ᵗ)).
"""

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from amal._torch import foreach

from ._optimizer import Optimizer


class Adam(Optimizer):
    """Adaptive moments: torch.optim.Adam, by hand.

    Args:
        params: parameters, or groups of them with options of their own.
        lr: learning rate γ.
        betas: (β₁, β₂), how much of the running means a step keeps.
        eps: ε, which keeps the division finite.
        weight_decay: λ.
        amsgrad: whether to divide by the largest running mean so far.
        maximize: whether to climb instead.

    Raises:
        ValueError: an option makes no sense.

    Its state_dict goes into torch.optim.Adam, and the other way round.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError if an option of the group makes no sense."""
        for name in ("lr", "eps", "weight_decay"):
            self.require(group[name] >= 0, name, group[name], "0 or more")
        self.require(all(0 <= beta < 1 for beta in group["betas"]), "betas", group["betas"], "two numbers in [0, 1)")

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Move the parameters of a group, in place."""
        beta1, beta2 = group["betas"]
        states = [self.state_of(parameter, group) for parameter in parameters]
        for state in states:
            state["step"] += 1
        means = [state["exp_avg"] for state in states]
        squares = [state["exp_avg_sq"] for state in states]

        if group["weight_decay"]:
            gradients = foreach("add", gradients, parameters, alpha=group["weight_decay"])
        foreach("lerp_", means, gradients, 1 - beta1)
        foreach("mul_", squares, beta2)
        foreach("addcmul_", squares, gradients, gradients, 1 - beta2)
        if group["amsgrad"]:
            largest = [state["max_exp_avg_sq"] for state in states]
            foreach("maximum_", largest, squares)
            squares = largest

        # with c = √(1 − β₂ᵗ), m̂ / (√v̂ + ε) = m c / (1 − β₁ᵗ) / (√v + ε c): numbers are corrected, and no tensor twice
        corrections = [(1 - beta2 ** state["step"]) ** 0.5 for state in states]
        denominators = foreach("sqrt", squares)
        foreach("add_", denominators, [float(group["eps"]) * c for c in corrections])
        lengths = [
            -float(group["lr"]) * c / (1 - beta1 ** state["step"]) for c, state in zip(corrections, states, strict=True)
        ]
        foreach("addcdiv_", parameters, means, denominators, lengths)

    def state_of(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """Return a parameter's running means, which are 0 before its first step, and how many steps it took."""
        largest = ("max_exp_avg_sq",) if group["amsgrad"] else ()
        return self.counted_state(parameter, "exp_avg", "exp_avg_sq", *largest)
