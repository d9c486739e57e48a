"""Attention: masks, shared heads, dropout, tiles, and what is said of wrong arguments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import amal.functional as F

Q, K, V = torch.randn(2, 3, 4, 8), torch.randn(2, 3, 5, 8), torch.randn(2, 3, 5, 6)
attention = torch.nn.functional.scaled_dot_product_attention


def assert_equals_torch(*inputs, **options):
    """Value and gradients, after one seed."""
    results = []
    for function in (F.scaled_dot_product_attention, attention):
        leaves = [tensor.detach().clone().requires_grad_(tensor.is_floating_point()) for tensor in inputs]
        torch.manual_seed(1)
        output = function(*leaves, **options)
        torch.manual_seed(2)
        grad_output = torch.randn(output.shape, dtype=output.dtype)
        variables = [leaf for leaf in leaves if leaf.requires_grad]
        results.append((output, *torch.autograd.grad(output, variables, grad_output)))
    assert_close(*results, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 130, 700])
@pytest.mark.parametrize("is_causal", [True, False], ids=["causal", "all"])
def test_tiles_of_any_number_fit_together(length, is_causal):
    query, key, value = (torch.randn(3, 2, n, 4) for n in (length, 70, 70))
    assert_equals_torch(query, key, value, is_causal=is_causal)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": -0.7}], ids=str)
def test_dropout_is_torchs_after_one_seed(options):
    assert_equals_torch(Q, K, V, dropout_p=0.4, **options)
    assert_equals_torch(Q, K, V, dropout_p=1.0, **options)


@pytest.mark.parametrize("kind", ["boolean", "additive"])
def test_a_query_that_may_see_no_key_gets_nothing(kind):
    seen = torch.rand(4, 5) > 0.5
    seen[1] = False
    mask = seen if kind == "boolean" else torch.zeros(4, 5).masked_fill(~seen, -torch.inf)
    query = Q.clone().requires_grad_()
    output = F.scaled_dot_product_attention(query, K, V, mask)
    assert output[..., 1, :].eq(0).all()
    (gradient,) = torch.autograd.grad(output.sum(), query)
    assert gradient[..., 1, :].eq(0).all()
    assert_equals_torch(Q, K, V, mask)


@pytest.mark.parametrize("shape", [(4, 5), (1, 5), (4, 1), (3, 4, 5), (2, 1, 4, 5), (2, 3, 4, 5)])
def test_masks_of_every_shape_equal_torchs(shape):
    assert_equals_torch(Q, K, V, torch.randn(shape))
    mask = torch.rand(shape) > 0.2
    assert_equals_torch(Q, K, V, mask)


@pytest.mark.parametrize(("keys", "values"), [(3, 3), (1, 1), (2, 6), (6, 1)])
def test_shared_heads_equal_torchs(keys, values):
    query, key, value = torch.randn(2, 6, 4, 8), torch.randn(2, keys, 5, 8), torch.randn(2, values, 5, 8)
    assert_equals_torch(query, key, value, enable_gqa=True)
    assert_equals_torch(query[0], key[0], value[0], enable_gqa=True)


def test_nothing_to_see_is_nothing():
    assert F.scaled_dot_product_attention(Q, K[:, :, :0], V[:, :, :0]).eq(0).all()
    assert_equals_torch(Q[:, :, :0], K, V)
    assert_equals_torch(Q[:0], K[:0], V[:0])
    assert_equals_torch(Q[..., :0], K[..., :0], V)


def test_bfloat16_is_computed_in_float32_and_autocast_casts():
    inputs = [tensor.bfloat16() for tensor in (Q, K, V)]
    ours, theirs = F.scaled_dot_product_attention(*inputs), attention(*inputs)
    assert_close(ours, theirs)
    assert_close(F.scaled_dot_product_attention(*inputs, torch.zeros(4, 5)), theirs, rtol=2e-2, atol=1e-2)
    with torch.autocast("cpu", torch.bfloat16):
        assert F.scaled_dot_product_attention(Q, K, V, torch.zeros(4, 5)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((Q[0, 0, 0], K, V), {}, ValueError, r"attention: query is \(8,\), expected \(\*, length, features\)"),
        ((Q[0, 0], K, V), {"enable_gqa": True}, ValueError, r"query is \(4, 8\), expected \(\*, heads, length"),
        ((Q, K[..., :5], V), {}, ValueError, r"query is \(2, 3, 4, 8\) but key \(2, 3, 5, 5\), expected equal last"),
        ((Q, K, V[:, :, :3]), {}, ValueError, r"key is \(2, 3, 5, 8\) but value \(2, 3, 3, 6\), expected equally many"),
        ((Q, K[:, :2], V), {}, ValueError, r"expected leading dimensions that broadcast"),
        ((Q, K[:, :2], V), {"enable_gqa": True}, ValueError, r"expected numbers of heads that divide the query's"),
        ((Q.double(), K, V), {}, TypeError, r"query is torch.float64 but key is torch.float32, expected one dtype"),
        ((Q.long(), K, V), {}, TypeError, r"query is torch.int64, expected a floating-point tensor"),
        ((Q, K, [1.0]), {}, TypeError, r"value is a list, expected a tensor"),
        ((Q, K.to("meta"), V), {}, ValueError, r"query is on cpu but key on meta"),
        ((Q, K, V, torch.ones(4, 5).to("meta")), {}, ValueError, r"query is on cpu but attn_mask on meta"),
        ((Q, K, V, torch.ones(4, 5)), {"is_causal": True}, ValueError, r"attn_mask is given and is_causal is True"),
        ((Q, K, V, torch.ones(4, 5).int()), {}, TypeError, r"query is torch.float32 but attn_mask torch.int32"),
        ((Q, K, V, torch.ones(4, 5).double()), {}, TypeError, r"query is torch.float32 but attn_mask torch.float64"),
        ((Q, K, V, torch.ones(5)), {}, ValueError, r"attn_mask is \(5,\), expected what broadcasts to \(2, 3, 4, 5\)"),
        ((Q, K, V, torch.ones(7, 2, 3, 4, 5)), {}, ValueError, r"expected what broadcasts to \(2, 3, 4, 5\)"),
        ((Q, K, V, 1.0), {}, TypeError, r"attn_mask is a float, expected a tensor"),
        ((Q, K, V), {"dropout_p": 1.5}, ValueError, r"dropout_p is 1.5, expected a probability between 0 and 1"),
        ((Q, K, V), {"scale": "a"}, TypeError, r"scale is a str, expected a number"),
    ],
)
def test_it_says_what_is_wrong(arguments, options, error, message):
    with pytest.raises(error, match=message):
        F.scaled_dot_product_attention(*arguments, **options)


@settings(max_examples=40)
@given(
    leading=st.lists(st.integers(1, 3), max_size=3),
    sizes=st.tuples(*(st.integers(1, 5) for _ in range(4))),
    is_causal=st.booleans(),
    with_mask=st.booleans(),
)
def test_any_shape_equals_torch(leading, sizes, is_causal, with_mask):
    queries, keys, features, outputs = sizes
    inputs = [torch.randn(*leading, *size) for size in ((queries, features), (keys, features), (keys, outputs))]
    mask = [torch.randn(queries, keys)] if with_mask and not is_causal else []
    assert_equals_torch(*inputs, *mask, is_causal=is_causal)


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # torch's, of its own kernel
@pytest.mark.parametrize("kind", ["numbers", "booleans"])
def test_a_mask_alone_can_be_mapped_over(kind):
    query, masks = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(5, 3, 3, dtype=torch.float64)
    masks = masks if kind == "numbers" else masks > -1
    ours, theirs = (
        torch.vmap(lambda mask, of=module: of.scaled_dot_product_attention(query, query, query, mask))(masks)
        for module in (F, torch.nn.functional)
    )
    assert_close(ours, theirs)
