"""What the losses say of wrong arguments, and what the table does not reach: extreme values, options, every shape."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import amal.functional as F
import amal.nn

T = torch.nn.functional
X, Y, W = torch.zeros(3, 4), torch.tensor([0, 1, 3]), torch.ones(4)
P = torch.full((3, 4), 0.25)
ELEMENTWISE = ("l1_loss", "mse_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
OF_CLASSES = ("nll_loss", "cross_entropy")
REDUCTIONS = ("none", "mean", "sum")


def agree(name, *arguments, **options):
    """Assert that value and gradients equal torch's; arguments that require a gradient get one."""
    ours, theirs = (getattr(functions, name)(*arguments, **options) for functions in (F, T))
    assert_close(ours, theirs, equal_nan=True)
    leaves = [x for x in arguments if isinstance(x, torch.Tensor) and x.requires_grad]
    g = torch.randn(theirs.shape, dtype=theirs.dtype)
    actual, expected = (torch.autograd.grad(loss, leaves, g) for loss in (ours, theirs))
    assert_close(actual, expected, equal_nan=True)
    return actual


# ---------------------------------------------------------------------------------- wrong arguments


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((torch.zeros(8, 1), torch.zeros(8)), {}, ValueError, r"input is \(8, 1\) but target \(8,\), expected equal"),
        ((torch.zeros(8), torch.zeros(())), {}, ValueError, r"input is \(8,\) but target \(\), expected equal shapes"),
        ((X, X), {"reduction": "avg"}, ValueError, r"reduction is 'avg', expected one of 'none', 'mean', 'sum'"),
        ((X, X), {"reduction": None}, ValueError, r"reduction is None, expected one of"),
        ((X.long(), X.long()), {}, TypeError, r"input is torch.int64, expected a floating-point tensor"),
        ((X, X.double()), {}, TypeError, r"input is torch.float32 but target is torch.float64, expected one dtype"),
        ((X, X.to("meta")), {}, ValueError, r"input is on cpu but target on meta, expected one device"),
        ((X, None), {}, TypeError, r"target is a NoneType, expected a tensor"),
        ((0.5, X), {}, TypeError, r"input is a float, expected a tensor"),
        ((X, X), {"weight": 2.0}, TypeError, r"weight is a float, expected a tensor"),
        ((X, X), {"weight": W.double()}, TypeError, r"input is torch.float32 but weight is torch.float64"),
        ((X, X), {"weight": torch.ones(2, 3, 4)}, ValueError, r"input is \(3, 4\) but weight \(2, 3, 4\), expected"),
        ((X, X), {"weight": torch.ones(3)}, ValueError, r"input is \(3, 4\) but weight \(3,\), expected"),
    ],
)
def test_losses_of_entries_say_what_is_wrong(name, arguments, options, error, message):
    with pytest.raises(error, match=f"{name}: {message}"):
        getattr(F, name)(*arguments, **options)


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((X, Y + 4), {}, IndexError, r"target has class 7, expected 0 to 3 or ignore_index -100"),
        ((X, Y - 1), {}, IndexError, r"target has class -1, expected 0 to 3 or ignore_index -100"),
        ((X, Y - 1), {"ignore_index": 2}, IndexError, r"target has class -1, expected 0 to 3 or ignore_index 2"),
        ((X, torch.tensor([9, -1, 2])), {"ignore_index": -1}, IndexError, r"target has class 9, expected 0 to 3"),
        ((X[0], torch.tensor(4)), {}, IndexError, r"target has class 4, expected 0 to 3"),
        ((torch.zeros(2, 4, 3), torch.full((2, 3), 4)), {}, IndexError, r"target has class 4, expected 0 to 3"),
        ((X, Y[:2]), {}, ValueError, r"input is \(3, 4\) but target \(2,\), expected \(3,\), a class index for each"),
        ((X[:1], Y), {}, ValueError, r"input is \(1, 4\) but target \(3,\), expected \(1,\)"),
        ((X, Y[:, None]), {}, ValueError, r"input is \(3, 4\) but target \(3, 1\), expected \(3,\)"),
        ((X[0], Y), {}, ValueError, r"input is \(4,\) but target \(3,\), expected \(\)"),
        ((torch.zeros(2, 4, 3), Y[:2]), {}, ValueError, r"input is \(2, 4, 3\) but target \(2,\), expected \(2, 3\)"),
        (
            (torch.zeros(()), torch.tensor(0)),
            {},
            ValueError,
            r"input is \(\), expected \(classes\) or \(n, classes, ...",
        ),
        ((X, Y.int()), {}, TypeError, r"target is torch.int32, expected class indices in torch.int64"),
        ((X, Y > 0), {}, TypeError, r"target is torch.bool, expected class indices in torch.int64"),
        ((X, None), {}, TypeError, r"target is a NoneType, expected a tensor of class indices"),
        ((X, [0, 1, 3]), {}, TypeError, r"target is a list, expected a tensor of class indices"),
        ((None, Y), {}, TypeError, r"input is a NoneType, expected a tensor"),
        ((X.long(), Y), {}, TypeError, r"input is torch.int64, expected a floating-point tensor"),
        ((X, Y.to("meta")), {}, ValueError, r"input is on cpu but target on meta, expected one device"),
        ((X, Y, W[:3]), {}, ValueError, r"input is \(3, 4\) but weight \(3,\), expected \(4,\), a weight for each"),
        ((X, Y, W[None]), {}, ValueError, r"input is \(3, 4\) but weight \(1, 4\), expected \(4,\)"),
        ((X, Y, W.double()), {}, TypeError, r"input is torch.float32 but weight is torch.float64, expected one dtype"),
        ((X, Y, W.clone().requires_grad_()), {}, RuntimeError, r"weight requires a gradient, expected a constant"),
        ((X, Y), {"ignore_index": 1.5}, TypeError, r"ignore_index is a float, expected an integer"),
        ((X, Y), {"reduction": "avg"}, ValueError, r"reduction is 'avg', expected one of 'none', 'mean', 'sum'"),
    ],
)
def test_losses_of_classes_say_what_is_wrong(name, arguments, options, error, message):
    with pytest.raises(error, match=f"{name}: {message}"):
        getattr(F, name)(*arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((X, P[:, :3]), {}, ValueError, r"input is \(3, 4\) but target \(3, 3\), expected equal shapes"),
        ((X, P[0]), {}, ValueError, r"input is \(3, 4\) but target \(4,\), expected equal shapes"),
        ((X, P.double()), {}, TypeError, r"input is torch.float32 but target is torch.float64, expected one dtype"),
        ((X, P.long()), {}, TypeError, r"target is torch.int64, expected a floating-point tensor"),
        ((X, P.to("meta")), {}, ValueError, r"input is on cpu but target on meta, expected one device"),
        ((X, P, W[:3]), {}, ValueError, r"input is \(3, 4\) but weight \(3,\), expected \(4,\), a weight for each"),
        ((X, P), {"ignore_index": 0}, ValueError, r"ignore_index is 0, expected class indices as target then"),
        ((X, Y), {"label_smoothing": 1.1}, ValueError, r"label_smoothing is 1.1, expected 0 to 1"),
        ((X, P), {"label_smoothing": -0.1}, ValueError, r"label_smoothing is -0.1, expected 0 to 1"),
        ((X, Y), {"label_smoothing": float("nan")}, ValueError, r"label_smoothing is nan, expected 0 to 1"),
        ((X, Y), {"label_smoothing": None}, TypeError, r"label_smoothing is a NoneType, expected a number"),
    ],
)
def test_cross_entropy_says_what_is_wrong(arguments, options, error, message):
    with pytest.raises(error, match=f"cross_entropy: {message}"):
        F.cross_entropy(*arguments, **options)


@pytest.mark.parametrize(
    ("input", "target", "message"),
    [
        (P + 1, P, r"input has entries from 1.25 to 1.25, expected 0 to 1"),
        (P, -P, r"target has entries from -0.25 to -0.25, expected 0 to 1"),
        (P * torch.nan, P, r"input has entries from nan to nan, expected 0 to 1"),
    ],
)
def test_binary_cross_entropy_refuses_what_is_no_probability(input, target, message):
    with pytest.raises(RuntimeError, match=f"binary_cross_entropy: {message}"):
        F.binary_cross_entropy(input, target)
    with pytest.raises(RuntimeError, match=f"binary_cross_entropy: {message}"):
        torch.vmap(F.binary_cross_entropy)(input, target)


@pytest.mark.parametrize("name", ["weight", "pos_weight"])
def test_weights_without_a_derivative_are_refused_in_every_mode(name):
    def loss(weight):
        return F.binary_cross_entropy_with_logits(X, P, **{name: weight})

    for transform in (torch.func.grad(loss), lambda w: torch.func.jvp(loss, (w,), (w,))):
        with pytest.raises(RuntimeError, match=f"{name} (requires a gradient|has a tangent), expected a constant"):
            transform(W)
    for function, target in product((F.nll_loss, F.cross_entropy), (Y,)):
        with pytest.raises(RuntimeError, match="weight has a tangent, expected a constant"):
            torch.func.jvp(lambda w, f=function, y=target: f(X, y, w), (W,), (W,))
    with torch.no_grad():
        assert_close(loss(W.clone().requires_grad_()), loss(W))


@pytest.mark.parametrize("name", OF_CLASSES)
def test_classes_are_looked_at_inside_transforms_and_not_where_there_are_none(name):
    loss = getattr(F, name)
    with pytest.raises(IndexError, match="target has class 7"):
        torch.vmap(loss)(X[None], Y[None] + 4)
    with pytest.raises(IndexError, match="target has class 7"):
        torch.func.grad(loss)(X, Y + 4)
    assert loss(X.to("meta"), Y.to("meta"), reduction="none").shape == (3,)
    ignoring = torch.tensor([0, -100, 3])
    compiled = torch.compile(lambda x, y: loss(x, y), fullgraph=True, backend="aot_eager")
    assert_close(compiled(X, ignoring), loss(X, ignoring))


# ---------------------------------------------------------------------------------- extreme values and options


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"weight": W}], ids=str)
@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_cross_entropy_of_large_logits(options, scale):
    logits = (scale * torch.tensor([[1.0, 0, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]])).requires_grad_()
    for target in (Y, P):
        (gradient,) = agree("cross_entropy", logits, target, **options)
        assert gradient.isfinite().all()


def test_binary_cross_entropy_at_and_near_certainty():
    input = torch.tensor([0.0, 1.0, 0.0, 1.0, 1e-30, 1 - 6e-8], requires_grad=True)
    target = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.3, 0.7])
    (gradient,) = agree("binary_cross_entropy", input, target, reduction="none")
    assert gradient.isfinite().all()
    by_target = torch.func.grad(lambda t: F.binary_cross_entropy(input.detach(), t, reduction="sum"))(target)
    assert by_target[:4].tolist() == [100, -100, 100, -100]  # torch's are infinite, though its loss is not


def test_binary_cross_entropy_of_large_logits():
    input = torch.tensor([1e4, -1e4, 1e4, -1e4, 100.0, -100.0], requires_grad=True)
    target = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.3, 0.7], requires_grad=True)
    for options in ({}, {"pos_weight": torch.full((6,), 3.0)}):
        gradients = agree("binary_cross_entropy_with_logits", input, target, **options)
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_absolute_error_is_flat_at_its_kink():
    input = torch.tensor([1.0, 0.0, -1.0], requires_grad=True)
    (gradient,) = agree("l1_loss", input, torch.zeros(3), reduction="none")
    assert gradient[1] == 0


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize("weight", [None, W / 2])
@pytest.mark.parametrize("ignore_index", [-100, -1, 1, 3, 9])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_an_ignored_example_counts_for_nothing(name, weight, ignore_index, reduction):
    input, target = torch.randn(3, 4, requires_grad=True), torch.tensor([2, ignore_index, 0])
    (gradient,) = agree(name, input, target, weight, ignore_index=ignore_index, reduction=reduction)
    assert not gradient[1].any()


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize("weight", [None, W])
def test_the_mean_over_none_is_nan_and_its_gradient_zero(name, weight):
    input = torch.randn(3, 4, requires_grad=True)
    (gradient,) = agree(name, input, torch.full((3,), -100), weight)
    assert getattr(F, name)(input, torch.full((3,), -100), weight).isnan()
    assert not gradient.any()
    agree(name, input[:0], Y[:0])


@pytest.mark.parametrize("name", OF_CLASSES)
def test_classes_in_a_byte_and_one_example_in_a_vector(name):
    agree(name, torch.randn(3, 4, requires_grad=True), Y.to(torch.uint8))
    agree(name, torch.randn(3, 4, requires_grad=True), torch.tensor([0, 255, 1], dtype=torch.uint8), ignore_index=255)
    input = torch.randn(4, requires_grad=True)
    for reduction in REDUCTIONS:
        agree(name, input, torch.tensor(2), reduction=reduction)
        scalar, vector = (
            getattr(F, name)(input, torch.tensor(2).view(shape), reduction=reduction) for shape in ((), 1)
        )
        assert_close(torch.autograd.grad(vector, input), torch.autograd.grad(scalar, input))  # torch's backward fails


def test_binary_cross_entropy_under_autocast_is_refused_on_cuda():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with torch.autocast("cuda"), pytest.raises(RuntimeError, match="expected binary_cross_entropy_with_logits"):
        F.binary_cross_entropy(P.cuda(), P.cuda())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", [*ELEMENTWISE, *OF_CLASSES, "probabilities"])
def test_rounding_errors_are_at_most_twice_torchs(name, dtype):
    input, target = torch.rand(64, 50, dtype=torch.float64), torch.rand(64, 50, dtype=torch.float64)
    if name in OF_CLASSES:
        target = torch.randint(50, (64,))
    name = "cross_entropy" if name == "probabilities" else name

    def results(function, dtype):
        x, t = (tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in (input.to(dtype), target))
        x.requires_grad_()
        loss = function(x, t)
        return loss.double(), torch.autograd.grad(loss, x)[0].double()

    input = input.to(dtype).double()
    target = target.to(dtype).double() if target.is_floating_point() else target
    exact = results(getattr(T, name), torch.float64)
    ours, theirs = results(getattr(F, name), dtype), results(getattr(T, name), dtype)
    for own, their, right in zip(ours, theirs, exact, strict=True):
        unit = torch.finfo(dtype).eps * right.abs().max()  # torch may hit the very number
        assert (own - right).abs().max() <= 2 * (their - right).abs().max() + unit / 2


# ---------------------------------------------------------------------------------- any shape, any options

sizes = st.lists(st.integers(0, 3), max_size=3)
reductions = st.sampled_from(REDUCTIONS)


@settings(max_examples=60)
@given(
    name=st.sampled_from(ELEMENTWISE),
    shape=sizes,
    reduction=reductions,
    with_weight=st.booleans(),
    seed=st.integers(0, 99),
)
def test_losses_of_entries_equal_torchs_for_any_shape(name, shape, reduction, with_weight, seed):
    torch.manual_seed(seed)
    input, target = (torch.rand(shape, requires_grad=True) for _ in range(2))
    agree(name, input, target, weight=torch.rand(shape) if with_weight else None, reduction=reduction)


@settings(max_examples=100)
@given(
    name=st.sampled_from(OF_CLASSES),
    examples=st.integers(0, 3),
    classes=st.integers(1, 4),
    others=sizes,
    reduction=reductions,
    with_weight=st.booleans(),
    ignore_index=st.integers(-2, 5),
    epsilon=st.sampled_from([0.0, 0.25, 1.0]),
    seed=st.integers(0, 99),
)
def test_losses_of_classes_equal_torchs_for_any_shape(
    name, examples, classes, others, reduction, with_weight, ignore_index, epsilon, seed
):
    torch.manual_seed(seed)
    input = torch.randn(examples, classes, *others, requires_grad=True)
    target = torch.randint(classes, (examples, *others))
    target[torch.rand(target.shape) < 0.3] = ignore_index
    options = {"label_smoothing": epsilon} if name == "cross_entropy" else {}
    weight = torch.rand(classes) if with_weight else None
    agree(name, input, target, weight, ignore_index=ignore_index, reduction=reduction, **options)


@settings(max_examples=60)
@given(
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    reduction=reductions,
    with_weight=st.booleans(),
    epsilon=st.sampled_from([0.0, 0.25, 1.0]),
    seed=st.integers(0, 99),
)
def test_cross_entropy_of_probabilities_equals_torchs_for_any_shape(shape, reduction, with_weight, epsilon, seed):
    torch.manual_seed(seed)
    input, target = torch.randn(*shape, requires_grad=True), torch.rand(*shape, requires_grad=True)
    weight = torch.rand(shape[min(len(shape) - 1, 1)], requires_grad=True) if with_weight else None
    agree("cross_entropy", input, target, weight, reduction=reduction, label_smoothing=epsilon)


# ---------------------------------------------------------------------------------- layers


@pytest.mark.parametrize(
    ("name", "target", "options"),
    [
        ("L1Loss", P, {"reduction": "sum"}),
        ("MSELoss", P, {}),
        ("NLLLoss", Y, {"weight": W / 2, "ignore_index": 1}),
        ("CrossEntropyLoss", Y, {"weight": W / 2, "ignore_index": 1, "label_smoothing": 0.2}),
        ("CrossEntropyLoss", P, {"reduction": "none"}),
        ("BCELoss", P, {"weight": W / 2}),
        ("BCEWithLogitsLoss", P, {"weight": W / 2, "pos_weight": 2 * W}),
    ],
)
def test_layers_of_losses_equal_torchs(name, target, options):
    input = torch.rand(3, 4)
    ours, theirs = (getattr(layers, name)(**options) for layers in (amal.nn, torch.nn))
    assert_close(ours(input, target), theirs(input, target))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert repr(ours) == repr(theirs)
