"""The doctor states its slopes at kinks, and takes none of torch's: those of clamp and fmax changed with torch 2.14."""

import pytest
import torch

from amal.checking import examine
from amal.doctor.definitions import Draw, all_operations, find_operation

STATED = {
    ("relu", "usual"): (0.0, 0.0),
    ("relu", "threshold"): (0.25, 0.0),
    ("leaky_relu", "0.01"): (0.0, 0.01),
    ("leaky_relu", "0.1"): (0.0, 0.1),
    ("leaky_relu", "0.2"): (0.0, 0.2),
    ("leaky_relu", "0.3"): (0.0, 0.3),
    ("leaky_relu", "slope"): (0.0, 0.3),
}
"""(operation, definition) -> where its kink is, and the slope there."""
LEFT_TO_THE_DEFINITION = [of for of in all_operations().values() if any(kink.expected is None for kink in of.kinks)]
AT_ITS_BOUND = ("clamp", "clamp_min", "clamp_max", "maximum", "minimum", "fmax", "fmin", "relu", "abs")


def slope(reference, at, *options):
    input = torch.full((2, 3), at, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(reference(input, *options).sum(), input)
    return gradient


def test_every_kink_that_is_left_to_the_definition_has_its_slope_stated():
    assert STATED.keys() == {(of.name, each.name) for of in LEFT_TO_THE_DEFINITION for each in of.definitions}


@pytest.mark.parametrize(("operation", "name"), STATED)
def test_a_definition_has_the_slope_that_is_stated(operation, name):
    at, expected = STATED[operation, name]
    definition = next(of for of in find_operation(operation).definitions if of.name == name)
    options = [value for value in definition.draw(Draw(0)) if not isinstance(value, torch.Tensor)]
    assert slope(definition.reference, at, *options).eq(expected).all()


class Bounded(torch.autograd.Function):
    """What torch had before 2.14 for clamp and its kin: the whole gradient where an entry lies on the bound."""

    @staticmethod
    def forward(ctx, input, bound):
        ctx.save_for_backward(input)
        ctx.bound = bound
        return torch.where(input > bound, input, bound)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * (input >= ctx.bound), None


@pytest.fixture
def old_torch(monkeypatch):
    """Torch with the slopes of before 2.14 wherever a reference could lean on them."""

    def clamp(input, min):
        return Bounded.apply(input, float(min))

    for owner in (torch, torch.Tensor):
        monkeypatch.setattr(owner, "clamp", clamp)
        monkeypatch.setattr(owner, "clamp_min", clamp)
        monkeypatch.setattr(owner, "relu", lambda input: Bounded.apply(input, 0.0))
    monkeypatch.setattr(torch.nn.functional, "relu", lambda input: Bounded.apply(input, 0.0))
    x = torch.zeros(1, requires_grad=True)
    assert torch.autograd.grad(x.clamp(min=0), x)[0] == 1


def kinks(diagnosis):
    """The severity of what is said of a kink; an error is said of nothing else."""
    assert {finding.code for finding in diagnosis.findings if finding.severity == "error"} <= {"kink"}
    return [finding.severity for finding in diagnosis.findings if finding.code == "kink"]


def with_slopes(compute, negative, zero, positive):
    """A Function with a slope below 0, at 0 and above 0."""

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return compute(x)

    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * torch.where(x > 0, positive, torch.where(x < 0, negative, zero))

    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type("Examined", (torch.autograd.Function,), methods)


AT_A_KINK = [
    ("relu", torch.relu, 0.0),
    ("leaky_relu", lambda x: torch.where(x > 0, x, 0.1 * x), 0.1),
    ("abs", torch.abs, -1.0),
]


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("operation", "compute", "lowest"), AT_A_KINK, ids=lambda of: of if isinstance(of, str) else ""
)
def test_any_slope_between_those_on_both_sides_of_a_kink_can_be_defended(operation, compute, lowest):
    stated = 0.0 if operation == "abs" else lowest
    for zero in (lowest, (lowest + 1) / 2, 0.3, 1.0):
        diagnosis = examine(with_slopes(compute, lowest, zero, 1.0), operation)
        assert diagnosis.verdict == "correct", diagnosis
        assert kinks(diagnosis) == ([] if zero == stated else ["note"]), (zero, str(diagnosis))
    for zero in (lowest - 0.5, 1.5, torch.nan):
        assert kinks(examine(with_slopes(compute, lowest, zero, 1.0), operation)) == ["error"], zero


def test_where_there_is_no_kink_no_slope_but_one_can_be_defended():
    class Threshold(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, threshold):
            ctx.save_for_backward(x)
            return torch.where(x > threshold, x, 0.0)

        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx.saved_tensors
            return grad_output * ((x > 0.25) | (x == 0)), None

    errors = [finding.code for finding in examine(Threshold, "relu").findings if finding.severity == "error"]
    assert "kink" in errors


@pytest.mark.parametrize(("zero", "said"), [(0.0, []), (1.0, ["note"]), (2.0, ["error"])])
def test_the_verdict_on_a_relu_is_the_same_on_an_older_torch(old_torch, zero, said):
    assert kinks(examine(with_slopes(lambda x: torch.where(x > 0, x, 0.0), 0.0, zero, 1.0), "relu")) == said


class SharedMaximum(torch.autograd.Function):
    """Signals (n, channels, length), windows of 2: equal entries share the gradient."""

    @staticmethod
    def forward(ctx, x):
        windows = x.unfold(-1, 2, 2)
        ctx.save_for_backward(windows == windows.amax(-1, keepdim=True))
        return windows.amax(-1)

    @staticmethod
    def backward(ctx, grad_output):
        (mask,) = ctx.saved_tensors
        return (mask * grad_output[..., None] / mask.sum(-1, keepdim=True)).flatten(-2)


class WholeMaximum(SharedMaximum):
    @staticmethod
    def backward(ctx, grad_output):
        (mask,) = ctx.saved_tensors
        return (mask * grad_output[..., None]).flatten(-2)


def test_of_equal_maxima_each_choice_that_adds_up_can_be_defended():
    assert kinks(examine(SharedMaximum, "max_pool1d")) == ["note"]
    assert kinks(examine(WholeMaximum, "max_pool1d")) == ["error"]


class Seen(torch.overrides.TorchFunctionMode):
    """Writes down what torch is asked for."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.add(getattr(function, "__name__", str(function)))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("operation", LEFT_TO_THE_DEFINITION, ids=lambda of: of.name)
def test_no_definition_leans_on_the_slope_of_torch_at_a_kink(operation):
    for definition in operation.definitions:
        with Seen() as seen:
            definition.reference(*definition.draw(Draw(0)))
        assert seen.names.isdisjoint(AT_ITS_BOUND), definition.name
        assert "where" in seen.names


class SlopeOfAbs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.abs()

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * x / x.abs()


def test_a_derivative_that_is_no_number_at_a_kink_is_seen():
    diagnosis = examine(SlopeOfAbs, "abs")
    assert [finding.code for finding in diagnosis.findings if finding.severity == "error"] == ["kink"]
