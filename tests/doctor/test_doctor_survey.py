"""The doctor on what public packages write: kinds of Functions that were met there, in this project's own words."""

import warnings

import pytest
import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from amal.checking import check
from amal.tensors import memory_of

X = torch.linspace(-1.4, 1.7, 12, dtype=torch.float64).reshape(4, 3)


def errors(diagnosis):
    return {finding.code for finding in diagnosis.findings if finding.severity == "error"}


def power(attribute):
    """Return x² and x³ by a number or a tensor, with something kept on ctx: a function of the input and the number."""

    class Power(Function):
        @staticmethod
        def forward(ctx, x, number):
            exponent = number if isinstance(number, torch.Tensor) else torch.tensor(number, dtype=x.dtype)
            ctx.exponent = attribute(x, exponent)
            ctx.save_for_backward(x)
            return x**exponent

        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx.saved_tensors
            return grad_output * 3 * x**2, None

    return Power


def test_a_constant_that_was_made_of_a_number_may_stay_on_ctx():
    for attribute in (lambda x, three: three, lambda x, three: [three.expand(4, 1), three + 1]):
        assert check(power(attribute), (X, 3.0)).verdict == "correct"


@pytest.mark.parametrize(
    "attribute",
    [lambda x, three: x, lambda x, three: x[:, :1], lambda x, three: (x > 0).to(x.dtype), lambda x, three: x.mean()],
    ids=["input", "view", "mask in floating point", "number of the input"],
)
def test_what_is_made_of_an_input_may_not_stay_on_ctx(attribute):
    assert errors(check(power(attribute), (X, 3.0))) == {"keeps-tensors"}


def test_a_tensor_that_was_given_may_not_stay_on_ctx():
    three = torch.tensor(3.0, dtype=torch.float64)
    assert errors(check(power(lambda x, three: three), (X, three), requires=[0])) == {"keeps-tensors"}


def test_slopes_are_those_of_forward_as_it_is_when_a_gradient_is_asked_for():
    class Affine(Function):
        @staticmethod
        def forward(ctx, x, weight, bias):
            ctx.save_for_backward(x, weight)
            return torch.addmm(bias, x, weight) if bias.requires_grad else x @ weight + bias

        @staticmethod
        def backward(ctx, grad_output):
            x, weight = ctx.saved_tensors
            return grad_output @ weight.T, x.T @ grad_output, grad_output.sum(0)

    class Forgets(Affine):
        @staticmethod
        def forward(ctx, x, weight, bias):
            ctx.save_for_backward(x, weight)
            return torch.addmm(bias, x, weight) if bias.requires_grad else x @ weight

    weight, bias = torch.randn(3, 2, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    assert check(Affine, (X, weight, bias)).verdict == "correct"
    assert errors(check(Forgets, (X, weight, bias))) == {"forward-value"}  # a bias that is frozen is left out


def test_a_gradient_in_the_dtype_that_forward_gave_the_output_is_no_fault():
    class Spike(Function):
        @staticmethod
        def forward(ctx, voltage):
            return (voltage > 0).float()

        @staticmethod
        def backward(ctx, grad_output):
            return grad_output.clone()

    class Halved(Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad_output):
            return 2 * grad_output.float()

    diagnosis = check(Spike, (X,), surrogate=lambda voltage: voltage)
    assert diagnosis.verdict == "correct"
    assert "grad-dtype" in [finding.code for finding in diagnosis.findings]
    assert errors(check(Halved, (X,))) == {"grad-dtype"}


class LogDet(Function):
    """log|det x|; its gradient is right for a matrix that is positive definite, another for any other."""

    largest = float("inf")

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.linalg.slogdet(x)[1]

    @classmethod
    def inverse(cls, x):
        values, vectors = torch.linalg.eigh(x)
        return vectors / values.abs().clamp(max=cls.largest) @ vectors.mT

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * LogDet.inverse(*ctx.saved_tensors)


class LogDetOfSmall(LogDet):
    largest = 50.0

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * LogDetOfSmall.inverse(*ctx.saved_tensors)


POSITIVE = torch.tensor([[2.0, 0.9, 0.3], [0.9, 3.0, -0.8], [0.3, -0.8, 1.5]], dtype=torch.float64)


def on_symmetric(function):
    return lambda x: function.apply((x + x.mT) / 2)


def test_a_matrix_that_was_given_positive_definite_may_always_be():
    diagnosis = check(on_symmetric(LogDet), (POSITIVE,), dtypes=(torch.float64,))
    assert diagnosis.verdict == "correct"
    assert "if it is always positive definite" in str(diagnosis).replace("\n" + " " * 40, " ")
    diagnosis = check(on_symmetric(LogDetOfSmall), (POSITIVE,), dtypes=(torch.float64,))
    assert errors(diagnosis) == {"grad-value"}  # 1000 times as large it is positive definite too


def solved(factor, share):
    """Return the solution of a linear system, whose gradient is an iteration that stops at a share of what is due."""

    class Solved(Function):
        @staticmethod
        def forward(ctx, due):
            return torch.linalg.solve(POSITIVE.to(due.dtype), due)

        @staticmethod
        @once_differentiable
        def backward(ctx, grad_output):
            solution = torch.zeros_like(grad_output)
            rest = grad_output
            while rest.norm() > share * grad_output.norm():
                solution = solution + 0.4 * rest
                rest = grad_output - POSITIVE.to(solution.dtype) @ solution
            return factor * solution

    return Solved


def test_an_iteration_that_stops_when_it_is_near_enough_is_compared_as_closely_as_it_is():
    due = torch.tensor([[1.0, -0.4], [0.3, 1.2], [-0.7, 0.5]], dtype=torch.float64)
    diagnosis = check(solved(1.0, 3e-6), (due,), dtypes=(torch.float64,))
    assert diagnosis.verdict == "correct"
    assert "low-precision" in [finding.code for finding in diagnosis.findings]
    for factor, share in ((1.001, 3e-6), (1.0001, 1e-14)):
        assert errors(check(solved(factor, share), (due,), dtypes=(torch.float64,))) == {"grad-factor"}


def doubled(in_backward=None, in_forward=None):
    """Return 2 x + 1, with something done to the output in backward, or to x in forward."""

    class Doubled(Function):
        @staticmethod
        def forward(ctx, x):
            output = 2 * x + 1
            ctx.save_for_backward(output)
            if in_forward:
                in_forward(x)
            return output

        @staticmethod
        def backward(ctx, grad_output):
            (output,) = ctx.saved_tensors
            if in_backward:
                in_backward(output.detach())
            return 2 * grad_output

    return Doubled


def freed(value):
    value.untyped_storage().resize_(0)


def test_memory_that_a_function_frees_is_not_read():
    diagnosis = check(doubled(in_backward=freed), (X,))
    assert diagnosis.verdict == "correct"
    assert "The output is freed by backward" in str(diagnosis)
    diagnosis = check(doubled(in_forward=freed), (X,))
    assert errors(diagnosis) == {"mutates-input"}


def test_backward_may_not_change_the_output():
    assert errors(check(doubled(in_backward=lambda output: output.mul_(3)), (X,))) == {"mutates-input"}


def test_indices_of_a_class_of_their_own_stay_of_that_class():
    class Rows(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, arguments=(), options=None):
            with torch._C.DisableTorchFunctionSubclass():
                result = function(*arguments, **(options or {}))
                return result.as_subclass(Rows) if function is torch.Tensor.clone else result

    class Taken(Function):
        @staticmethod
        def forward(ctx, rows, x):
            assert isinstance(rows, Rows)
            plain = rows.as_subclass(torch.Tensor)
            ctx.save_for_backward(plain)
            ctx.count = len(x)
            return x[plain]

        @staticmethod
        def backward(ctx, grad_output):
            (plain,) = ctx.saved_tensors
            return None, grad_output.new_zeros(ctx.count, grad_output.shape[1]).index_add_(0, plain, grad_output)

    assert check(Taken, (torch.tensor([0, 2, 2, 1]).as_subclass(Rows), X)).verdict == "correct"


def test_nan_in_low_precision_is_said_so():
    class Tiny(Function):
        @staticmethod
        def forward(ctx, x):
            tiny = torch.full_like(x, 1e-9)
            ctx.save_for_backward(tiny)
            return x * tiny / tiny

        @staticmethod
        def backward(ctx, grad_output):
            return grad_output

    diagnosis = check(Tiny, (X,))
    assert errors(diagnosis) == {"low-precision"}
    assert "in float16 the output is nan" in str(diagnosis).replace("\n" + " " * 40, " ").replace("In", "in")


def test_explanations_that_do_not_hold_are_given_up_early():
    calls = []

    class Product(Function):
        @staticmethod
        def forward(ctx, a, b, c):
            calls.append(1)
            ctx.save_for_backward(a, b, c)
            return a @ b @ c

        @staticmethod
        def backward(ctx, grad_output):
            a, b, c = ctx.saved_tensors
            noise = torch.linspace(0.5, 1.5, a.numel(), dtype=a.dtype).reshape(a.shape)
            return grad_output @ (b @ c).mT * noise, a.mT @ grad_output @ c.mT, (a @ b).mT @ grad_output

    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(5, 5, generator=generator, dtype=torch.float64) for _ in range(3)]
    assert errors(check(Product, inputs)) == {"grad-value"}
    assert len(calls) < 900


@pytest.mark.slow
def test_where_forward_warns_that_it_has_not_converged_it_gives_no_value():
    def root(warns):
        class Root(Function):
            """The root y of y³ + y = x by Newton's method, which is given up where x is large."""

            @staticmethod
            def forward(ctx, x):
                y = torch.zeros_like(x)
                for _ in range(40):
                    y = y - (y**3 + y - x) / (3 * y**2 + 1)
                if x.abs().max() > 100:
                    if warns:
                        warnings.warn("the root is not found", stacklevel=1)
                    y = y.sign()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, grad_output):
                (y,) = ctx.saved_tensors
                return grad_output / (3 * y**2 + 1)

        return Root

    diagnosis = check(root(warns=True), (X,))
    assert diagnosis.verdict == "correct"
    assert "forward warns there" in str(diagnosis).replace("\n" + " " * 40, " ")
    assert errors(check(root(warns=False), (X,))) == {"grad-value"}


def test_a_filter_of_one_channel_is_no_example_of_a_batch_of_one():
    class Filtered(Function):
        @staticmethod
        def forward(ctx, x, kernel):
            ctx.save_for_backward(kernel)
            return torch.nn.functional.conv1d(x[:, None], kernel[:, None])

        @staticmethod
        def backward(ctx, grad_output):
            (kernel,) = ctx.saved_tensors
            return torch.nn.functional.conv_transpose1d(grad_output[:, :1], kernel[:1, None])[:, 0], None

    kernel = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    assert check(Filtered, (X.reshape(1, 12), kernel), requires=[0]).verdict == "correct"


def test_a_tensor_of_a_class_that_wraps_others_has_no_memory_of_its_own():
    class Wrapper(torch.Tensor):
        @classmethod
        def __torch_dispatch__(cls, function, types, arguments=(), options=None):
            raise NotImplementedError

    assert memory_of(torch.Tensor._make_wrapper_subclass(Wrapper, (3,))) is None
    assert memory_of(X) == X.data_ptr()
