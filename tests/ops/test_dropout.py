"""Dropout: torch's mask for torch's seed, and what is said of wrong arguments."""

import pytest
import torch

import amal.functional as F
import amal.nn

X = torch.randn(50, 40)


def seeded(function, *arguments, **options):
    torch.manual_seed(5)
    return function(*arguments, **options)


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("inplace", [True, False])
def test_one_seed_gives_torchs_output_and_gradient(p, training, inplace):
    results = []
    for function in (F.dropout, torch.nn.functional.dropout):
        leaf = X.clone().requires_grad_()
        input = leaf * 1
        output = seeded(function, input, p, training, inplace)
        assert (output is input) == (inplace or not training or p == 0)
        results.append((output.detach(), torch.autograd.grad(output, leaf, X.flip(0))[0], torch.rand(1)))
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("strided", [X.t(), X[:, ::2], X[:1].expand(4, 40)])
def test_one_seed_gives_torchs_output_for_any_layout(strided):
    assert torch.equal(seeded(F.dropout, strided), seeded(torch.nn.functional.dropout, strided))


def test_layer_is_torchs():
    ours, theirs = amal.nn.Dropout(0.3), torch.nn.Dropout(0.3)
    assert repr(ours) == repr(theirs)
    assert torch.equal(seeded(ours, X), seeded(theirs, X))
    assert ours.eval()(X) is X


def test_compiled_drops_about_the_share_asked_for():
    input = torch.ones(100, 100, requires_grad=True)
    output = torch.compile(lambda x: F.dropout(x, 0.3), backend="aot_eager", fullgraph=True)(input)
    (gradient,) = torch.autograd.grad(output.sum(), input)
    assert torch.equal(gradient, output)
    assert 0.2 < output.eq(0).float().mean() < 0.4


@pytest.mark.parametrize("randomness", ["same", "different"])
def test_vmap_draws_as_it_is_told(randomness):
    output = torch.vmap(F.dropout, randomness=randomness)(torch.ones(2, 100))
    assert output[0].equal(output[1]) == (randomness == "same")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0],), TypeError, r"dropout: input is a list, expected a tensor"),
        ((X.long(),), TypeError, r"dropout: input is torch.int64, expected a floating-point tensor"),
        ((X, -0.1), ValueError, r"dropout: p is -0.1, expected a probability between 0 and 1"),
        ((X, 1.1), ValueError, r"dropout: p is 1.1, expected a probability between 0 and 1"),
        ((X, float("nan")), ValueError, r"dropout: p is nan, expected a probability between 0 and 1"),
        ((X, "a"), TypeError, r"dropout: p is a str, expected a number"),
        ((X.clone().requires_grad_(), 0.5, True, True), RuntimeError, "a leaf Variable that requires grad"),
    ],
)
def test_it_says_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        F.dropout(*arguments)


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("mapped", ["nothing of the input", "the key", "nothing of the query"])
def test_each_member_of_a_vmap_draws_for_itself_from_what_they_share(mapped, chunk_size):
    input, keys = torch.ones(2, 30, 4), torch.randn(5, 2, 30, 4)

    def drawn(key):
        if mapped == "nothing of the input":
            return F.dropout(input) + 0 * key
        key, more = (key, 0) if mapped == "the key" else (input, 0 * key)
        return F.scaled_dot_product_attention(input, key, keys[0], dropout_p=0.5) + more

    outputs = torch.vmap(drawn, randomness="different", chunk_size=chunk_size)(keys)
    assert len({tuple(output.flatten().tolist()) for output in outputs}) == 5
    if mapped != "the key":
        outputs = torch.vmap(drawn, randomness="same")(keys)
        assert len({tuple(output.flatten().tolist()) for output in outputs}) == 1
    with pytest.raises(RuntimeError, match="randomness"):
        torch.vmap(drawn)(keys)
