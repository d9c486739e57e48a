"""amal.optim beside torch.optim: the same numbers, the same state, and words for what makes no sense."""

import io
import itertools

import pytest
import torch

from amal import optim
from amal.nn import Linear, Sequential, Tanh

SGD_OPTIONS = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.3},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"momentum": 0.5, "maximize": True, "weight_decay": 0.1},
]
ADAM_OPTIONS = [
    {},
    {"weight_decay": 0.1},
    {"betas": (0.7, 0.9), "eps": 1e-4},
    {"amsgrad": True},
    {"amsgrad": True, "maximize": True, "weight_decay": 0.01},
]
ADADELTA_OPTIONS = [
    {"lr": 1.0},
    {"lr": 1.0, "weight_decay": 0.1},
    {"lr": 1.0, "rho": 0.7, "eps": 1e-4, "maximize": True},
]
ALL = [
    *(("SGD", options) for options in SGD_OPTIONS),
    *(("Adam", options) for options in ADAM_OPTIONS),
    *(("Adadelta", options) for options in ADADELTA_OPTIONS),
]
NAMES = ("SGD", "Adam", "Adadelta")


def words(value):
    return " ".join(f"{name}={entry}" for name, entry in value.items()) if isinstance(value, dict) else value


def a_model(dtype):
    torch.manual_seed(0)
    return Sequential(Linear(3, 5), Tanh(), Linear(5, 2)).to(dtype)


def descend(model, optimizer, steps, first=0, scheduler=None):
    """Noisy gradients of a loss that has a minimum and a slope for ever changing; maximised, it has no bound."""
    for step in range(first, first + steps):
        random = torch.Generator().manual_seed(step)
        dtype = next(model.parameters()).dtype
        input = torch.randn(8, 3, generator=random).to(dtype)
        optimizer.zero_grad()
        (model(input) - input[:, :2].sin()).tanh().square().mean().backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def distance(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("dtype", "steps", "bound"),
    [(torch.float64, 200, 1e-12), pytest.param(torch.float32, 1000, 1e-6, marks=pytest.mark.slow)],
    ids=str,
)
@pytest.mark.parametrize(("name", "options"), ALL, ids=words)
def test_a_thousand_steps_are_torchs(name, options, dtype, steps, bound):
    ours, theirs = a_model(dtype), a_model(dtype)
    end = descend(ours, getattr(optim, name)(ours.parameters(), **{"lr": 0.01, **options}), steps)
    expected = descend(theirs, getattr(torch.optim, name)(theirs.parameters(), **{"lr": 0.01, **options}), steps)
    assert distance(end, expected) < bound
    assert distance(end, torch.cat([p.detach().flatten() for p in a_model(dtype).parameters()])) > 0.1


def without_bias_correction(optimizer):
    """An Adam that forgets that its means start at 0."""

    class Forgetful(optim.Adam):
        def update(self, group, parameters, gradients):
            for parameter in parameters:
                self.state_of(parameter, group)["step"] = 10**6
            super().update(group, parameters, gradients)

    return Forgetful(optimizer.param_groups[0]["params"], lr=0.01)


def without_lengths(optimizer):
    """An Adadelta that forgets how long its steps were."""

    class Forgetful(optim.Adadelta):
        def update(self, group, parameters, gradients):
            super().update(group, parameters, gradients)
            for parameter in parameters:
                self.state_of(parameter)["acc_delta"].zero_()

    return Forgetful(optimizer.param_groups[0]["params"], lr=0.01)


def velocity_from_zero(optimizer):
    """A momentum whose first velocity is dampened like the others."""

    class Slow(optim.SGD):
        def velocities(self, group, parameters, gradients):
            for parameter in parameters:
                self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
            return super().velocities(group, parameters, gradients)

    return Slow(optimizer.param_groups[0]["params"], lr=0.01, momentum=0.9, dampening=0.3)


@pytest.mark.parametrize(
    ("fault", "name", "options"),
    [
        (without_bias_correction, "Adam", {}),
        (without_lengths, "Adadelta", {}),
        (velocity_from_zero, "SGD", {"momentum": 0.9, "dampening": 0.3}),
    ],
)
def test_a_planted_fault_is_seen(fault, name, options):
    ours, theirs = a_model(torch.float32), a_model(torch.float32)
    wrong = fault(getattr(optim, name)(ours.parameters(), **{"lr": 0.01, **options}))
    expected = descend(theirs, getattr(torch.optim, name)(theirs.parameters(), **{"lr": 0.01, **options}), 20)
    assert distance(descend(ours, wrong, 20), expected) > 1e-4


@pytest.mark.parametrize(("name", "options"), ALL, ids=words)
def test_the_state_moves_to_torch_and_back(name, options):
    models = [a_model(torch.float64) for _ in range(3)]
    kinds = [getattr(optim, name), getattr(torch.optim, name), getattr(optim, name)]
    optimizers = [kind(m.parameters(), **{"lr": 0.01, **options}) for kind, m in zip(kinds, models, strict=True)]
    expected = descend(models[1], optimizers[1], 30)
    torch_model = a_model(torch.float64)
    in_torch = getattr(torch.optim, name)(torch_model.parameters(), **{"lr": 0.01, **options})
    descend(models[0], optimizers[0], 10)
    torch_model.load_state_dict(models[0].state_dict())
    in_torch.load_state_dict(optimizers[0].state_dict())
    descend(torch_model, in_torch, 10, first=10)
    models[2].load_state_dict(torch_model.state_dict())
    optimizers[2].load_state_dict(in_torch.state_dict())
    assert distance(descend(models[2], optimizers[2], 10, first=20), expected) < 1e-12


@pytest.mark.parametrize(("name", "options"), ALL, ids=words)
def test_a_saved_state_goes_on_bit_for_bit(name, options):
    whole, part, rest = (a_model(torch.float32) for _ in range(3))
    kind = getattr(optim, name)
    expected = descend(whole, kind(whole.parameters(), **{"lr": 0.01, **options}), 20)
    first = kind(part.parameters(), **{"lr": 0.01, **options})
    descend(part, first, 10)
    file = io.BytesIO()
    torch.save([part.state_dict(), first.state_dict()], file)
    model, state = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    second = kind(rest.parameters(), **{**options, "lr": 0.5})
    rest.load_state_dict(model)
    second.load_state_dict(state)
    assert torch.equal(descend(rest, second, 10, first=10), expected)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 10),
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=60),
    ],
    ids=["StepLR", "OneCycleLR"],
)
@pytest.mark.parametrize(("name", "options"), [("SGD", {"momentum": 0.9}), ("Adam", {})], ids=words)
def test_schedules_move_rate_and_momentum(name, options, schedule):
    ends = []
    for module in (optim, torch.optim):
        model = a_model(torch.float64)
        optimizer = getattr(module, name)(model.parameters(), **{"lr": 0.01, **options})
        ends.append(descend(model, optimizer, 50, scheduler=schedule(optimizer)))
    assert distance(*ends) < 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_groups_missing_gradients_and_several_dtypes(name):
    ends = []
    for module in (optim, torch.optim):
        torch.manual_seed(0)
        shapes = [(3, 2), (4,), (), (5,)]
        dtypes = [torch.float32, torch.float64, torch.float32, torch.bfloat16]
        a, b, c, d = (
            torch.randn(shape, dtype=dtype, requires_grad=True) for shape, dtype in zip(shapes, dtypes, strict=True)
        )
        optimizer = getattr(module, name)([{"params": [a, b], "lr": 0.5}, {"params": [c, d]}], lr=0.01)
        for step in range(5):
            optimizer.zero_grad()
            loss = a.square().sum() + b.square().sum() + d.square().sum() + (c.square() if step % 2 else 0)
            loss.backward()
            optimizer.step()
        ends.append([a, b, c, d])
    for ours, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_gradients_are_left_as_they_are():
    model = a_model(torch.float64)
    optimizer = optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=0.1, maximize=True)
    model(torch.ones(1, 3, dtype=torch.float64)).sum().backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    optimizer.step()
    optimizer.step()
    for parameter, gradient in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter.grad, gradient)


def test_a_closure_is_called_with_gradients_on():
    x = torch.tensor(3.0, requires_grad=True)
    optimizer = optim.SGD([x], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = x * x
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert x.item() == pytest.approx(3 - 0.1 * 6)


WRONG = [
    ("SGD", {"lr": -1.0}, r"SGD: lr is -1.0, expected 0 or more"),
    ("SGD", {"momentum": -0.1}, r"SGD: momentum is -0.1, expected 0 or more"),
    ("SGD", {"nesterov": True}, r"SGD: nesterov is True, expected momentum, and no dampening"),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, r"SGD: nesterov"),
    ("Adam", {"betas": (0.9, 1.0)}, r"Adam: betas is \(0.9, 1.0\), expected two numbers in \[0, 1\)"),
    ("Adadelta", {"rho": 1.5}, r"Adadelta: rho is 1.5, expected a number from 0 to 1"),
    ("Adam", {"eps": -1e-8}, r"Adam: eps is -1e-08, expected"),
    ("Adam", {"weight_decay": float("nan")}, r"Adam: weight_decay is nan, expected"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG, ids=[words(options) for _, options, _ in WRONG])
def test_options_that_make_no_sense_are_refused(name, options, message):
    x = torch.zeros(2, requires_grad=True)
    with pytest.raises(ValueError, match=message):
        getattr(optim, name)([x], **options)
    optimizer = getattr(optim, name)([x])
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [torch.zeros(1, requires_grad=True)], **options})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_another_kind_are_refused(name):
    table = torch.nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match=rf"{name}: a gradient is sparse, expected a dense real one"):
        getattr(optim, name)(table.parameters()).step()
    z = torch.zeros(2, dtype=torch.complex64, requires_grad=True)
    z.abs().sum().backward()
    with pytest.raises(RuntimeError, match=rf"{name}: a gradient is complex"):
        getattr(optim, name)([z]).step()


def test_every_combination_of_options_is_named_like_torchs():
    for name in NAMES:
        ours, theirs = (getattr(m, name)([torch.zeros(1, requires_grad=True)]) for m in (optim, torch.optim))
        shared = ours.defaults.keys() & theirs.defaults.keys()
        assert shared == ours.defaults.keys()
        assert {key: ours.defaults[key] for key in shared} == {key: theirs.defaults[key] for key in shared}


def test_cuda_takes_the_same_steps():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    for name, device in itertools.product(NAMES, ("cuda",)):
        x, y = (torch.ones(3, device=where, requires_grad=True) for where in ("cpu", device))
        for tensor in (x, y):
            optimizer = getattr(optim, name)([tensor], lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                tensor.pow(3).sum().backward()
                optimizer.step()
        torch.testing.assert_close(x, y.cpu())
