"""The doctor on ties, and on what one call leaves to the next, or to whoever changes a tensor in place."""

import pytest
import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from amal.checking import check

X = torch.linspace(-1.4, 1.7, 12, dtype=torch.float64).reshape(4, 3)


def codes(diagnosis):
    return {finding.code for finding in diagnosis.findings if finding.severity == "error"}


def messages(diagnosis):
    """Return all messages, in one line."""
    return " ".join(finding.message for finding in diagnosis.findings)


# ---------------------------------------------------------------------------------- ties


def largest(shares):
    """Return the largest entry of each row, as a Function; the mask of the largest gives the shares of a gradient."""

    class Largest(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.amax(1)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g[:, None] * shares((x == x.amax(1, keepdim=True)).to(x.dtype))

    return Largest


SHARES = {
    "all alike": lambda mask: mask / mask.sum(1, keepdim=True),
    "the first": lambda mask: mask * (mask.cumsum(1) == 1),
}


@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
def test_of_several_largest_ones_any_may_get_the_gradient(shares):
    assert check(largest(shares), (X,)).verdict == "correct"
    assert check(largest(shares), (torch.tensor([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]]),)).verdict == "correct"


@pytest.mark.parametrize("inputs", [X, torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]])], ids=["apart", "equal"])
def test_of_several_largest_ones_each_may_not_get_all_of_it(inputs):
    diagnosis = check(largest(lambda mask: mask), (inputs,))
    assert codes(diagnosis) == {"kink"}
    assert "as all of one value move together" in messages(diagnosis)


def larger(of_first, of_second):
    class Larger(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return torch.maximum(x, y)

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return g * of_first(x, y), g * of_second(x, y)

    return Larger


def test_two_inputs_of_one_value_share_the_gradient():
    inputs = (X, X.flip(0) + 0.1)
    assert check(larger(torch.ge, torch.lt), inputs).verdict == "correct"
    assert codes(check(larger(torch.ge, torch.le), inputs)) == {"kink"}
    assert codes(check(larger(torch.gt, torch.lt), inputs)) == {"kink"}


def test_where_the_gradient_is_not_finite_at_a_kink_nothing_is_held_against_it():
    class Distance(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return (x - y).square().sqrt()

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            grad = g * (x - y) / (x - y).square().sqrt()  # nan where they are equal, as torch has it
            return grad, -grad

    assert check(Distance, (X, X.flip(0) + 0.1)).verdict == "correct"


# ---------------------------------------------------------------------------------- from one call to the next


def scaled(store, load):
    """Return x times its mean, as a Function that keeps the mean in some way."""

    class Scaled(Function):
        @staticmethod
        def forward(ctx, x):
            store(ctx, x.mean().item())
            ctx.save_for_backward(x)
            return x.mean() * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return load(ctx) * g + (g * x).sum() / x.numel()

    return Scaled


def test_a_number_may_be_kept_on_ctx_and_nowhere_else():
    on_ctx = scaled(lambda ctx, mean: setattr(ctx, "mean", mean), lambda ctx: ctx.mean)
    assert check(on_ctx, (X,)).verdict == "correct"
    room = []
    last = scaled(lambda _, mean: room.append(mean), lambda _: room[-1])
    diagnosis = check(last, (X,))
    assert codes(diagnosis) == {"grad-value"}
    assert "once forward has been called with other inputs" in messages(diagnosis)
    stacked = scaled(lambda _, mean: room.append(mean), lambda _: room.pop())
    assert codes(check(stacked, (X,))) == {"grad-value"}


def test_a_size_that_is_kept_on_the_class_is_seen():
    class Mean(Function):
        @staticmethod
        def forward(ctx, x):
            Mean.shape = x.shape
            return x.mean()

        @staticmethod
        def backward(ctx, g):
            return (g / Mean.shape.numel()).expand(Mean.shape)

    assert codes(check(Mean, (X,))) == {"grad-value"}


def squared(array, changes=False):
    """Return the square, as a Function that keeps something on ctx."""

    class Squared(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.array = array(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            twice = 2 * torch.from_numpy(ctx.array) * g
            if changes:
                ctx.array *= 2
            return twice

    return Squared


def test_an_array_on_ctx_is_not_a_view_of_an_input():
    diagnosis = check(squared(lambda x: x.detach().numpy()), (X,))
    assert codes(diagnosis) == {"keeps-tensors"}
    assert "x is changed in place before backward, and nothing says so" in messages(diagnosis)
    assert check(squared(lambda x: x.detach().numpy().copy()), (X,)).verdict == "correct"


def test_an_array_on_ctx_is_not_a_view_of_the_output():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            output = x.exp()
            ctx.output = output.numpy()
            return output

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * torch.from_numpy(ctx.output)

    diagnosis = check(Exp, (X,))
    assert codes(diagnosis) == {"keeps-tensors"}
    assert "the output is changed in place" in messages(diagnosis)


def test_a_second_pass_through_a_graph_gives_the_same():
    diagnosis = check(squared(lambda x: x.detach().numpy().copy(), changes=True), (X,))
    assert codes(diagnosis) == {"grad-value"}
    assert "second backward pass" in messages(diagnosis)


def test_another_number_of_the_last_call_is_seen():
    class Scaled(Function):
        @staticmethod
        def forward(ctx, x, factor=1.5):
            Scaled.factor = factor
            return x * factor

        @staticmethod
        def backward(ctx, g):
            return g * Scaled.factor, None

    assert codes(check(Scaled, (X,))) == {"grad-value"}


# ---------------------------------------------------------------------------------- memory layouts


def test_of_equal_entries_another_one_may_be_chosen_in_another_layout():
    class Largest(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.size = len(x)
            ctx.place = ctx.size - 1 if x.stride() == (0,) else int(x.argmax())
            return x[ctx.place].clone()

        @staticmethod
        def backward(ctx, g):
            return g * torch.nn.functional.one_hot(torch.tensor(ctx.place), ctx.size)

    assert check(Largest, (X[:, 0],)).verdict == "correct"


def laid(forward=lambda x: x, backward=lambda g: g):
    """Return exp, as a Function that does something with its input and with grad_output first."""

    class Laid(Function):
        @staticmethod
        def forward(ctx, x):
            output = forward(x).exp()
            ctx.save_for_backward(output)
            return output

        @staticmethod
        def backward(ctx, g):
            return backward(g) * ctx.saved_tensors[0]

    return Laid


def refusing(x):
    if not x.is_contiguous():
        raise ValueError("x must be contiguous")
    return x


def test_backward_takes_any_layout_of_grad_output():
    diagnosis = check(laid(backward=lambda g: g.view(-1).view(4, 3)), (X,))
    assert (diagnosis.verdict, codes(diagnosis)) == ("wrong", {"raises-sometimes"})
    assert "For a grad_output that is not contiguous in memory: backward raised RuntimeError: view size" in messages(
        diagnosis
    )
    once = check(laid(refusing, backward=lambda g: g.view(-1).view(4, 3)), (X,))
    assert codes(once) == {"raises-sometimes"}
    assert codes(check(laid(backward=lambda g: g * (1 if g.is_contiguous() else 2)), (X,))) == {"grad-value"}


def test_a_gradient_that_is_lost_in_a_layout_is_seen():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            output = x.exp()
            ctx.save_for_backward(output)
            return output

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0] if g.is_contiguous() or 0 in g.stride() else None

    diagnosis = check(Exp, (X,))
    assert codes(diagnosis) == {"grad-value"}
    assert "for a grad_output that is not contiguous in memory" in messages(diagnosis)


def test_backward_takes_the_ones_of_a_sum():
    diagnosis = check(laid(backward=lambda g: refusing(g) if 0 in g.stride() else g), (X,))
    assert codes(diagnosis) == {"raises-sometimes"}
    assert "ones that share one place in memory (expanded): backward raised ValueError" in messages(diagnosis)


@pytest.mark.parametrize("forward", [refusing, lambda x: x.view(-1).view(4, 3)], ids=["in words", "by torch"])
def test_a_layout_that_forward_refuses_is_told(forward):
    diagnosis = check(laid(forward), (X,))
    assert diagnosis.verdict == "correct"
    assert "for tensors that are not contiguous in memory: forward raised" in messages(diagnosis)


def test_float32_is_refused_in_words_or_has_to_work():
    def in_words(x):
        assert x.dtype == torch.float64, "double alone"
        return x

    assert check(laid(in_words), (X,)).verdict == "correct"
    diagnosis = check(
        laid(lambda x: torch.eye(4, dtype=torch.float64) @ x), (X,), dtypes=[torch.float64, torch.float32]
    )
    assert codes(diagnosis) == {"raises-sometimes"}


def test_a_hook_of_forward_is_called_one():
    def hooked(x):
        if x.requires_grad:
            x.register_hook(lambda g: 2 * g)
        return x

    diagnosis = check(laid(hooked), (X,))
    assert "grad-value" in codes(diagnosis)
    assert "something changes it, such as a hook" in messages(diagnosis)
