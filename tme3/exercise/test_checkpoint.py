"""TME 3, section 3.3: does an interrupted training end as the uninterrupted one? Each part alone."""

import copy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from . import checkpoint


@contextmanager
def new_path() -> Iterator[Path]:
    """Yield the path of a checkpoint that is not there yet."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "checkpoint.pt"


def new_model(seed: int = 0) -> nn.Module:
    """Return a small network, always the same."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))


def data() -> tuple[Tensor, Tensor]:
    """Return X (10, 4) and Y (10, 1)."""
    random = torch.Generator().manual_seed(1)
    return torch.randn(10, 4, generator=random), torch.randn(10, 1, generator=random)


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    """Take a few steps."""
    X, Y = data()
    for _ in range(count):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(X), Y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def equal(one: nn.Module, other: nn.Module) -> bool:
    """Tell whether two models have the same parameters, bit for bit."""
    return all(a.equal(b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def saved_state(path: Path) -> Any:
    """Return a state in the midst of a training, which was saved there."""
    model = new_model()
    state = checkpoint.State(model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9))
    steps(model, state.optimizer, 3)
    state.epoch = 7
    state.save(path)
    return state


def test_3_3a_plain_data() -> None:
    """The file holds plain data only."""
    with new_path() as path:
        saved_state(path)
        assert path.is_file(), "save has written no file at the path that it was given"
        try:
            torch.load(path, weights_only=True)
        except Exception as error:
            raise AssertionError(
                f"torch.load(path, weights_only=True) refuses the file ({type(error).__name__}): is an object pickled?"
            ) from None


def test_3_3a_round_trip() -> None:
    """A new state that loads the file goes on as the old one does: model, optimiser and epoch."""
    with new_path() as path:
        old = saved_state(path)
        model = new_model(seed=5)
        new = checkpoint.State(model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9))
        new.load(path)
    assert equal(new.model, old.model), "after load, the model's parameters are not those that were saved"
    assert new.epoch == 7, f"after load, epoch is {new.epoch}, and 7 was saved"
    for state in (old, new):
        steps(state.model, state.optimizer, 2)
    assert equal(new.model, old.model), "after load, the next steps differ: has the optimiser its momentum back?"


def test_3_3a_cut_short() -> None:
    """When writing is cut short, the checkpoint before is still whole."""

    def cut_short(_content: Any, file: Any, *_: Any, **__: Any) -> None:
        if isinstance(file, (str, Path)):
            Path(file).write_bytes(b"half a")
        raise KeyboardInterrupt

    with new_path() as path:
        state = saved_state(path)
        whole = path.read_bytes()
        with patch.object(torch, "save", cut_short), suppress(KeyboardInterrupt):
            state.save(path)
        assert path.is_file(), "a save that is cut short leaves no checkpoint at all"
        assert path.read_bytes() == whole, "a save that is cut short leaves a damaged checkpoint: the old one is lost"


def test_3_3b_order() -> None:
    """Each epoch meets every example once, in an order of its own that depends on nothing else."""
    first = checkpoint.order(100, 0, 1)
    assert sorted(first.tolist()) == list(range(100)), "an order of 100 examples must hold each of them once"
    assert not first.equal(checkpoint.order(100, 0, 2)), "epochs 1 and 2 have the same order"
    assert not first.equal(checkpoint.order(100, 1, 1)), "seeds 0 and 1 have the same order"
    torch.rand(3)
    assert first.equal(checkpoint.order(100, 0, 1)), "the order depends on what was drawn before, not on (seed, epoch)"


class PlayedState:
    """A state whose checkpoints are kept in memory."""

    def __init__(self, memory: dict[Path, Any], model: nn.Module) -> None:
        self.memory, self.model, self.epoch = memory, model, 0
        self.optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def save(self, path: Path) -> None:
        """Remember, and write a file that says so."""
        self.memory[path] = self.epoch, copy.deepcopy(list(self.model.parameters()))
        path.touch()

    def load(self, path: Path) -> None:
        """Put back what is remembered."""
        self.epoch, values = self.memory[path]
        with torch.no_grad():
            for parameter, value in zip(self.model.parameters(), values, strict=True):
                parameter.copy_(value)


def played_order(examples: int, seed: int, epoch: int) -> Tensor:
    """Return an order that depends on its arguments alone."""
    return (torch.arange(examples) + 3 * epoch + seed) % examples


def trained(state: Any, epochs: int, path: Path, loss: Any = nn.functional.mse_loss) -> list[float]:
    """Train with batches of 4 out of 10 examples."""
    with patch.object(checkpoint, "order", played_order):
        return checkpoint.train(state, loss, *data(), epochs, path, batch_size=4, seed=2)


def test_3_3c_uninterrupted() -> None:
    """All epochs are done in their order; each loss is the mean over the examples of its epoch."""
    X, Y = data()
    twin = new_model()
    optimizer = torch.optim.SGD(twin.parameters(), 0.1)
    due = []
    for epoch in (1, 2, 3):
        errors = []
        for rows in played_order(10, 2, epoch).split(4):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            squares = (twin(X[rows]) - Y[rows]) ** 2
            errors += squares.detach().flatten().tolist()
            squares.mean().backward()
            optimizer.step()
        due.append(sum(errors) / len(errors))
    with new_path() as path:
        state = PlayedState({}, new_model())
        losses = trained(state, 3, path)
    assert state.epoch == 3, f"after 3 epochs, state.epoch is {state.epoch}"
    assert len(losses) == 3, f"{len(losses)} losses of 3 epochs"
    far = max(
        float((a - b).detach().abs().max()) for a, b in zip(state.model.parameters(), twin.parameters(), strict=True)
    )
    assert far < 1e-6, (
        f"the parameters are off by up to {far:.3g}: is .grad empty before each backward, each batch met?"
    )
    for epoch, (found, expected) in enumerate(zip(losses, due, strict=True), start=1):
        assert abs(found - expected) < 1e-6, (
            f"the loss of epoch {epoch} is {found:.6g}; the mean over its 10 examples, in batches of 4, 4 and 2, is "
            f"{expected:.6g}"
        )


def test_3_3c_checkpoints() -> None:
    """There is a checkpoint after each epoch, which knows that the epoch is done."""
    seen = []
    with new_path() as path:
        memory: dict[Path, Any] = {}
        state = PlayedState(memory, new_model())
        save = state.save

        def seen_too(path: Path) -> None:
            save(path)
            seen.append(memory[path][0])

        with patch.object(state, "save", seen_too):
            trained(state, 3, path)
    assert seen == [1, 2, 3], f"the checkpoints of 3 epochs say that {seen} epochs are done, expected [1, 2, 3]"


def test_3_3c_resumed() -> None:
    """A training that is interrupted in the midst of an epoch, and resumed, ends as the uninterrupted one."""
    calls = []

    def interrupted(prediction: Tensor, target: Tensor) -> Tensor:
        calls.append(len(target))
        if len(calls) == 8:  # 3 batches an epoch: in the third epoch
            raise KeyboardInterrupt
        return nn.functional.mse_loss(prediction, target)

    with new_path() as path:
        whole = PlayedState({}, new_model())
        losses = trained(whole, 4, path)
    with new_path() as path:
        memory: dict[Path, Any] = {}
        with suppress(KeyboardInterrupt):
            trained(PlayedState(memory, new_model()), 4, path, interrupted)
        assert path in memory, "a training interrupted in its third epoch has left no checkpoint"
        state = PlayedState(memory, new_model(seed=5))
        rest = trained(state, 4, path)
        again = trained(PlayedState(memory, new_model(seed=6)), 4, path)
    assert len(rest) == 2, f"interrupted in epoch 3 of 4 and resumed, it does {len(rest)} epochs, expected 2"
    assert rest == losses[2:], "the losses of the resumed epochs differ from the uninterrupted training's"
    assert equal(state.model, whole.model), "the resumed training does not end on the uninterrupted one's parameters"
    assert again == [], f"a training that was at its end does {len(again)} epochs more"
