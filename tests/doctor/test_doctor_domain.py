"""The doctor away from ordinary inputs, and the words in which it explains what it found."""

import pytest
import torch
from doctor_bank.table import ALL_WRONG
from test_doctor import diagnosis_of
from test_doctor_anything import Square, X, codes, function, saving
from torch.nn import functional

from amal.checking import check, examine

# ---------------------------------------------------------------------------------- right at ordinary inputs


def bce_backward(ctx, grad_output):
    p, y = ctx.saved_tensors
    return grad_output * (p - y) / (p * (1 - p)) / p.numel(), None


def cross_entropy_backward(ctx, grad_output):
    p, target = ctx.saved_tensors
    return -grad_output * functional.one_hot(target, 4) / p / len(p), None


BCE = function(saving(functional.binary_cross_entropy), bce_backward)
CROSS_ENTROPY = function(saving(lambda p, target: functional.nll_loss(p.log(), target)), cross_entropy_backward)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("seed", range(3))
def test_losses_are_not_refused_near_0_and_1(seed):
    torch.manual_seed(seed)
    p, y = torch.sigmoid(2 * torch.randn(10, 3)).double(), torch.rand(10, 3).round().double()
    assert codes(check(BCE, (p, y), requires=[0])) == []
    s = torch.softmax(2 * torch.randn(10, 4), 1).double()
    assert codes(check(CROSS_ENTROPY, (s, torch.arange(10) % 4))) == []


def test_what_is_wrong_outside_of_probabilities_is_noted():
    def backward(ctx, grad_output):
        return grad_output * (ctx.saved_tensors[0] < 2)

    below_two = function(saving(lambda x: x * 1), backward)
    diagnosis = check(below_two, (torch.rand(6, 3, generator=torch.Generator().manual_seed(0)),))
    assert (codes(diagnosis), "grad-value" in codes(diagnosis, "note")) == ([], True)
    assert codes(check(below_two, (X,))) == ["grad-value"]


# ---------------------------------------------------------------------------------- larger batches, other gradients


def linear_backward(change):
    def backward(ctx, grad_output):
        x, w = ctx.saved_tensors
        return grad_output @ w.mT, x.mT @ grad_output * change(len(x))

    return backward


@pytest.mark.one_in(2)
@pytest.mark.parametrize("largest", [12, 70])
def test_larger_batches_are_tried(largest):
    def limited(ctx, grad_output):
        x, w = ctx.saved_tensors
        return grad_output @ w.mT, x.mT @ grad_output * (2 if len(x) > 70 else 1)

    backward = limited if largest == 70 else linear_backward(lambda n: 2 if n > largest else 1)
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.eye(4)[:, :3] + 0.1
    assert codes(check(function(saving(torch.matmul), backward), inputs)) == ["grad-value"]
    assert codes(examine(function(saving(torch.matmul), backward), "matmul")) == ["grad-value"]
    assert codes(check(function(saving(torch.matmul), linear_backward(lambda _: 1)), inputs)) == []


def test_a_loss_that_is_wrong_in_three_dimensions_is_noted():
    def backward(ctx, grad_output):
        x, y = ctx.saved_tensors
        d = 2 * grad_output * (x - y) / (x.shape[0] * x.shape[1])
        return d, -d

    diagnosis = examine(function(saving(functional.mse_loss), backward), "mse")
    assert (codes(diagnosis), "grad-value" in codes(diagnosis, "note")) == ([], True)


class PromisesVmap(Square):
    @staticmethod
    def forward(x):
        return x * x if float(x.max()) else x


class OneGradientAtATime(Square):
    generate_vmap_rule = False

    @staticmethod
    def backward(ctx, grad_output):
        return 2 * ctx.saved_tensors[0] * grad_output + 0 * float(grad_output.detach().sum())


def test_a_vmap_rule_that_raises_is_no_rule():
    assert codes(check(PromisesVmap, (X,))) == ["vmap"]
    diagnosis = check(OneGradientAtATime, (X,))
    assert codes(diagnosis) == []
    assert "is_grads_batched" in str(diagnosis)


def test_a_gradient_of_two_outputs_may_be_missing():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(False)
        return x * x, 3 * x

    def backward(ctx, g, h):
        return 2 * g * ctx.saved_tensors[0] + 3 * h

    assert set(codes(check(function(forward, backward), (X,)))) == {"undefined-gradient"}


# ---------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Embedding formula last-wins", "repeats an index"),
        ("Softmax formula squeezed", "right on the diagonal alone"),
        ("LogSumExp formula squeezed", "keepdim=True"),
        ("ReflectPad formula cut", "is also due what its copies get"),
        ("Smooth formula itself", "right inside and wrong along the border"),
        ("SiLU formula first-half", "the factor's derivative is left out"),
        ("Mish formula other-half", "the factor itself is left out"),
        ("SiLU formula float32-inside", "agrees to 1e-7 only"),
        ("Fourth formula third-derivative", "third derivative by x is wrong"),
        ("Cube formula nearly", "1.0002 times what it should be"),
        ("BroadcastAdd formula not-summed", "not summed over the batch"),
        ("Softplus formula half-above-15", "backward gives 0.5, and the slope of the output is 1"),
        ("Columns formula assigned", "must be added up"),
    ],
)
def test_the_words_name_the_cause(name, words):
    entry = next(entry for entry in ALL_WRONG if entry.name == name)
    assert words in " ".join(finding.message for finding in diagnosis_of(entry).findings)


def test_what_is_found_first_does_not_hide_the_rest():
    def forward(ctx, x):
        e = x.exp()
        y = e / e.sum(-1, keepdim=True)
        ctx.save_for_backward(y.detach().clone())
        return y

    def backward(ctx, grad_output):
        (s,) = ctx.saved_tensors
        return s * (grad_output - (s * grad_output).sum(-1, keepdim=True))

    assert set(codes(examine(function(forward, backward), "softmax"))) == {"forward-unstable", "second-order"}


def test_float32_inside_is_examined_less_closely():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.float().sin().to(x.dtype)

    def backward(factor):
        return lambda ctx, g: (factor * ctx.saved_tensors[0].float().cos() * g.float()).to(g.dtype)

    right = check(function(forward, backward(1)), (X,))
    assert (right.verdict, "low-precision" in codes(right, "note")) == ("correct", True)
    assert codes(check(function(forward, backward(1.5)), (X,))) == ["grad-factor"]
