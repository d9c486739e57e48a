"""Embedding: every option beside torch's, and what is said of wrong arguments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import amal.functional as F
import amal.nn

TOKENS, W = torch.tensor([[1, 2], [0, 1]]), torch.randn(5, 3)

OPTIONS = [
    {},
    {"padding_idx": 1},
    {"padding_idx": -4},
    {"scale_grad_by_freq": True},
    {"scale_grad_by_freq": True, "padding_idx": 0},
    {"max_norm": 0.5},
    {"max_norm": 0.5, "norm_type": 1.0, "padding_idx": 2},
    {"sparse": True},
    {"sparse": True, "padding_idx": 1, "max_norm": 1.0},
]


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch 2.11 says what it does not do by default
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_every_option_equals_torchs(options, dtype):
    results = []
    for function in (F.embedding, torch.nn.functional.embedding):
        weight = W.clone().requires_grad_()
        output = function(TOKENS.to(dtype), weight, **options)
        grad_output = torch.arange(12.0).reshape(2, 2, 3).requires_grad_()
        (gradient,) = torch.autograd.grad(output, weight, grad_output, create_graph=True)
        results.append([output.detach(), weight.detach(), gradient.is_sparse, gradient.detach().to_dense()])
        if "scale_grad_by_freq" not in options:  # whose second derivative torch does not scale
            results[-1] += torch.autograd.grad(gradient.to_dense().square().sum(), grad_output)
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs)


def test_scaled_by_frequency_the_second_derivative_is_right():
    weight, grad_output = W.clone().requires_grad_(), torch.ones(2, 2, 3, requires_grad=True)
    output = F.embedding(TOKENS, weight, scale_grad_by_freq=True)
    (gradient,) = torch.autograd.grad(output, weight, grad_output, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), grad_output)
    frequency = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    assert_close(second, (1 / frequency).unsqueeze(-1).expand(2, 2, 3))


@pytest.mark.parametrize("options", [{}, {"padding_idx": 1}, {"scale_grad_by_freq": True}], ids=str)
def test_gradients_of_many_inputs_at_once_equal_torchs(options):
    ours, theirs = (
        torch.vmap(torch.func.grad(lambda w, i, f=f: f(i, w, **options).square().sum()), (None, 0))(W, TOKENS)
        for f in (F.embedding, torch.nn.functional.embedding)
    )
    assert_close(ours, theirs)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("options", [o for o in OPTIONS if "sparse" not in o], ids=str)
def test_compiled_equals_torchs(options):
    ours, theirs = W.clone().requires_grad_(), W.clone().requires_grad_()
    output = torch.compile(lambda w: F.embedding(TOKENS, w, **options), backend="aot_eager", fullgraph=True)(ours)
    expected = torch.nn.functional.embedding(TOKENS, theirs, **options)
    assert_close(output, expected)
    assert_close(ours, theirs)
    assert_close(torch.autograd.grad(output.square().sum(), ours), torch.autograd.grad(expected.square().sum(), theirs))


def test_layer_is_torchs():
    for options in ({}, {"padding_idx": 1}, {"max_norm": 1.0}, {"sparse": True}):
        torch.manual_seed(0)
        ours = amal.nn.Embedding(5, 3, **options)
        torch.manual_seed(0)
        theirs = torch.nn.Embedding(5, 3, **options)
        assert repr(ours) == repr(theirs)
        assert_close(ours.state_dict(), theirs.state_dict())
        assert_close(ours(TOKENS), theirs(TOKENS))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((TOKENS + 4, W), {}, IndexError, r"embedding: input holds 4 to 6, expected 0 to 4"),
        ((TOKENS - 3, W), {}, IndexError, r"embedding: input holds -3 to -1, expected 0 to 4"),
        ((TOKENS + 4, W), {"max_norm": 1.0}, IndexError, r"embedding: input holds 4 to 6, expected 0 to 4"),
        ((TOKENS, W[:0]), {}, IndexError, r"input is \(2, 2\) but weight \(0, 3\) has no rows"),
        (
            (TOKENS.float(), W),
            {},
            TypeError,
            r"embedding: input is torch.float32, expected indices, such as input.long",
        ),
        ((TOKENS.byte(), W), {}, TypeError, r"embedding: input is torch.uint8, expected indices"),
        (([1], W), {}, TypeError, r"embedding: input is a list, expected a tensor"),
        ((TOKENS, [1.0]), {}, TypeError, r"embedding: weight is a list, expected a tensor"),
        ((TOKENS, W[0]), {}, ValueError, r"embedding: weight is \(3,\), expected \(v, d\)"),
        ((TOKENS, W.to("meta")), {}, ValueError, r"embedding: input is on cpu but weight on meta"),
        ((TOKENS, W), {"padding_idx": 5}, ValueError, r"embedding: padding_idx is 5, expected -5 to 4"),
        ((TOKENS, W), {"padding_idx": -6}, ValueError, r"embedding: padding_idx is -6, expected -5 to 4"),
        ((TOKENS, W), {"padding_idx": 1.0}, TypeError, r"embedding: padding_idx is a float, expected an integer"),
        ((TOKENS, W), {"max_norm": "a"}, TypeError, r"embedding: max_norm is a str, expected a number"),
        (
            (TOKENS, W.clone().requires_grad_()),
            {"sparse": True, "scale_grad_by_freq": True},
            ValueError,
            r"sparse and scale_grad_by_freq are both True",
        ),
    ],
)
def test_it_says_what_is_wrong(arguments, options, error, message):
    with pytest.raises(error, match=message):
        F.embedding(*arguments, **options)


def test_indices_without_values_are_taken_on_trust():
    assert F.embedding(TOKENS.to("meta"), W.to("meta")).shape == (2, 2, 3)


@settings(max_examples=40)
@given(shape=st.lists(st.integers(0, 3), max_size=3), rows=st.integers(1, 5), features=st.integers(0, 4))
def test_any_shape_equals_torch(shape, rows, features):
    input, weight = torch.randint(rows, shape), torch.randn(rows, features, requires_grad=True)
    ours, theirs = F.embedding(input, weight), torch.nn.functional.embedding(input, weight)
    assert_close(ours, theirs)
    if theirs.numel():
        grad_output = torch.randn(theirs.shape)
        assert_close(*(torch.autograd.grad(output, weight, grad_output) for output in (ours, theirs)))
