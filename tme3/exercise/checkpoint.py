"""TME 3: a training that can be interrupted. Section 3.3 of the lab sheet.

When all is done, start it, interrupt it with Ctrl-C, and start it again:

    python checkpoint.py
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from amal.data import generator


class State:
    """Question 3.3a. All that a training needs to go on: the model, the optimiser, and how many epochs are done."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model = model
        self.optimizer = optimizer
        self.epoch = 0

    def save(self, path: Path) -> None:
        """Write it all to a file, as plain data: torch.load(path, weights_only=True) must read it.

        An object pickled whole would run code when it is read, and is refused. And if writing is cut short, the file
        that was there before must still be whole: write beside it, then `replace` it.
        """
        ### BEGIN SOLUTION
        content = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": self.epoch}
        unfinished = path.with_name(f"{path.name}.unfinished")
        torch.save(content, unfinished)
        unfinished.replace(path)
        ### END SOLUTION

    def load(self, path: Path) -> None:
        """Put model, optimiser and epoch back as they were when the file was written."""
        ### BEGIN SOLUTION
        content = torch.load(path, weights_only=True)
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.epoch = content["epoch"]
        ### END SOLUTION


def order(examples: int, seed: int, epoch: int) -> Tensor:
    """Question 3.3b. The random order in which an epoch meets the examples, int64 (examples,).

    It depends on (seed, epoch) and on nothing that happened before: else a resumed training would meet the examples in
    another order than the uninterrupted one. `generator(seed, "epoch", epoch)` is a random generator of that kind.
    """
    ### BEGIN SOLUTION
    return torch.randperm(examples, generator=generator(seed, "epoch", epoch))
    ### END SOLUTION


def train(
    state: State,
    loss: Callable[[Tensor, Tensor], Tensor],
    X: Tensor,
    Y: Tensor,
    epochs: int,
    path: Path,
    batch_size: int = 32,
    seed: int = 0,
) -> list[float]:
    """Question 3.3c. Train until `epochs` epochs are done in all, with a checkpoint after each of them.

    If there is a checkpoint at the start, the training goes on from it, and ends exactly as if it had never been
    interrupted; if it was at its end, nothing is done. Epochs are numbered from 1; their order is that of `order`.

    Args:
        state: model and optimiser.
        loss: a mean over the examples of a batch, called as loss(model(input), target).
        X: (n, *).
        Y: (n, *).
        epochs: how many in all, those of earlier runs included.
        path: of the checkpoint.
        batch_size: examples in a batch, the last one may have fewer.
        seed: of the order.

    Returns:
        the mean loss over the examples of each epoch that was done now. (Not that of the last batch; and a last batch
        with fewer examples counts less.)
    """
    ### BEGIN SOLUTION
    if path.exists():
        state.load(path)
    losses = []
    while state.epoch < epochs:
        total = 0.0
        for rows in order(len(X), seed, state.epoch + 1).split(batch_size):  # type: ignore[no-untyped-call]
            state.optimizer.zero_grad()
            value = loss(state.model(X[rows]), Y[rows])
            value.backward()  # type: ignore[no-untyped-call]
            state.optimizer.step()
            total += value.item() * len(rows)
        losses.append(total / len(X))
        state.epoch += 1
        state.save(path)
    return losses
    ### END SOLUTION


def main() -> None:
    """Train a classifier of scikit-learn's digits; go on if it was interrupted."""
    from amal.data import digits
    from amal.functional import cross_entropy
    from amal.nn import mlp
    from amal.optim import SGD

    torch.manual_seed(0)
    data = digits()
    model = mlp(data.shape, len(data.classes), hidden=(100, 100))
    state, path = State(model, SGD(model.parameters(), 0.1, momentum=0.9)), Path("checkpoint.pt")
    for epochs in range(1, 101):
        for loss in train(state, cross_entropy, data.train.input, data.train.target, epochs, path):
            print(f"epoch {state.epoch:3}: loss {loss:.4f}", flush=True)
    with torch.no_grad():
        right = model(data.test.input).argmax(1) == data.test.target
    print(f"{state.epoch} epochs done, accuracy {float(right.float().mean()):.3f}; to begin anew, delete {path}")


if __name__ == "__main__":
    main()
