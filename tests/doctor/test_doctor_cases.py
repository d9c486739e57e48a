"""What an engineer tried who did not trust certificates: wrong ones that passed, right ones that were refused."""

from types import ModuleType

import pytest
import torch
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from amal.checking import check
from amal.commands.check import check_folder
from amal.doctor.function_under_test import FunctionUnderTest
from amal.doctor.module_functions import Candidate
from amal.doctor.sample_inputs import find_samples
from amal.doctor.source_functions import functions_in
from amal.doctor.student import _sample_inputs


def codes(diagnosis):
    return {finding.code for finding in diagnosis.findings if finding.severity == "error"}


def messages(diagnosis):
    """Return all messages, in one line."""
    return " ".join(finding.message for finding in diagnosis.findings)


class Sum(Function):
    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, g):
        return g, g


class SumOfLetters(Sum):
    @staticmethod
    def forward(ctx, a, b):
        return a + b


@pytest.mark.parametrize("right", [Sum, SumOfLetters])
def test_inputs_are_alike_where_that_fits_whatever_they_are_called(right):
    diagnosis = check(right)
    assert diagnosis.verdict == "correct", str(diagnosis)
    assert "(6, 4), (6, 4)" in str(diagnosis)


class SineAndCosine(Function):
    """Gives up where one output has no gradient."""

    gives_up = True

    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        return x.sin(), x.cos()

    @classmethod
    def backward(cls, ctx, by_sine, by_cosine):
        (x,) = ctx.saved_tensors
        if cls.gives_up and (by_sine is None or by_cosine is None):
            return None
        parts = [by_sine * x.cos()] if by_sine is not None else []
        parts += [-by_cosine * x.sin()] if by_cosine is not None else []
        return sum(parts) if parts else None


def test_a_gradient_that_is_lost_where_another_output_has_none_is_seen():
    assert codes(check(SineAndCosine)) == {"undefined-gradient"}
    right = type("Right", (SineAndCosine,), {"gives_up": False})
    assert check(right, (torch.rand(3),)).verdict == "correct"


class Reduced(Function):
    @staticmethod
    def forward(ctx, x, reduction="sum"):
        ctx.save_for_backward(x)
        return getattr(x * x, reduction)()

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0], None


def test_other_values_of_defaults_are_tried():
    diagnosis = check(Reduced)
    assert codes(diagnosis) == {"grad-value"}
    assert "with reduction='mean'" in messages(diagnosis)
    assert codes(check(Reduced, (torch.rand(3),))) == {"grad-value"}
    assert codes(check(Reduced, (torch.rand(3), "mean"))) == {"grad-factor"}
    assert check(Reduced, (torch.rand(3), "sum")).verdict == "correct"  # that value was asked for


def with_option(function, derivative, default):
    class WithOption(Function):
        @staticmethod
        def forward(ctx, x, option=default):
            ctx.save_for_backward(x)
            ctx.option = option
            return function(x, option)

        @staticmethod
        def backward(ctx, g):
            return g * derivative(ctx.saved_tensors[0], ctx.option), None

    return WithOption


@pytest.mark.parametrize(
    ("function", "right", "wrong", "default"),
    [
        (lambda x, on: x**3 if on else x**2, lambda x, on: 3 * x**2 if on else 2 * x, lambda x, on: 2 * x, False),
        (lambda x, p: x**p, lambda x, p: p * x ** (p - 1), lambda x, p: 2 * x, 2),
        (lambda x, a: a * x**2, lambda x, a: 2 * a * x, lambda x, a: 0.2 * x, 0.1),
        (lambda x, y: x if y is None else x * y, lambda x, y: 1.0 if y is None else y, lambda x, y: 1.0, None),
    ],
    ids=["bool", "whole number", "number", "tensor"],
)
def test_a_derivative_for_another_value_of_a_default_is_examined(function, right, wrong, default):
    assert check(with_option(function, right, default), (torch.rand(3) + 0.5,)).verdict == "correct"
    diagnosis = check(with_option(function, wrong, default), (torch.rand(3) + 0.5,))
    assert codes(diagnosis) == {"grad-value"}
    assert "with option=" in messages(diagnosis)


def test_of_a_default_that_is_on_purpose_or_refused_only_a_note_is_made():
    class Hard(Function):
        @staticmethod
        def forward(ctx, x, scale=1.0, hard=False, mode="plain"):
            if mode not in ("plain", "other"):
                raise ValueError(f"mode is {mode}")
            if mode == "other":
                raise NotImplementedError("other is to come")
            ctx.scale = scale
            return x.round() if hard else 1.0 * x

        @staticmethod
        def backward(ctx, g):
            return ctx.scale * g, None, None, None

    diagnosis = check(Hard, (torch.rand(3),))
    assert diagnosis.verdict == "correct", str(diagnosis)
    assert "scale=0.5 is for backward alone" in messages(diagnosis)
    assert "with hard=True the output stands still" in messages(diagnosis)
    assert "mode='other': forward raised NotImplementedError" in messages(diagnosis)
    odd = with_option(lambda x, _: x.exp(), lambda x, _: x.exp(), default=all)
    assert "no other value was tried of option=" in messages(check(odd, (torch.rand(3),)))


def test_a_scale_and_a_shift_of_columns_are_found_by_trying():
    class Normed(Function):
        @staticmethod
        def forward(ctx, x, weight, bias):
            ctx.save_for_backward(x, weight)
            return x * weight + bias

        @staticmethod
        def backward(ctx, g):
            x, weight = ctx.saved_tensors
            return g * weight, (g * x).sum(0), g.sum(0)

    assert check(Normed).verdict == "correct"


class Stack(Function):
    @staticmethod
    def forward(ctx, x, y):
        return torch.stack([x, y])

    @staticmethod
    def backward(ctx, g):
        return g[0], g[1]


def test_parts_of_a_gradient_share_nothing():
    """But for numbers, whose sum gives one number for all: torch's own stack does the same."""
    assert check(Stack).verdict == "correct"


class SparseRows(Function):
    factor = 1

    @staticmethod
    def forward(ctx, weight):
        ctx.shape = weight.shape
        return weight[:1].sum()

    @classmethod
    def backward(cls, ctx, g):
        values = cls.factor * g.expand(1, ctx.shape[1])
        return torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), values, ctx.shape)


def test_a_sparse_gradient_is_read():
    assert check(SparseRows, (torch.rand(4, 3),)).verdict == "correct"
    wrong = type("Wrong", (SparseRows,), {"factor": 2})
    assert codes(check(wrong, (torch.rand(4, 3),))) == {"grad-factor"}
    assert check(nn.Embedding(7, 3, sparse=True), (torch.tensor([1, 2, 2]),)).verdict == "correct"


class Fourier(Function):
    @staticmethod
    def forward(ctx, x):
        return torch.fft.fft(x)

    @staticmethod
    def backward(ctx, g):
        return torch.fft.ifft(g, norm="forward").real


def test_real_inputs_may_give_complex_outputs():
    assert check(Fourier, torch.rand(8)).verdict == "correct"
    wrong = type("Wrong", (Fourier,), {"backward": staticmethod(lambda ctx, g: torch.fft.fft(g).real)})
    assert codes(check(wrong, torch.rand(8))) == {"grad-value"}


def test_what_overflows_in_one_output_is_no_fault_of_another():
    assert check(lambda a: [a.exp(), a.sin()], (torch.randn(4, 3),)).verdict == "correct"


def test_tensors_inside_of_an_input_are_said_to_be_constants():
    text = str(check(lambda x, others: 2 * x + others[0], (torch.rand(3), [torch.rand(3)])))
    assert "inside of input 1 are constants" in text


@pytest.mark.parametrize(
    ("head", "base"),
    [
        ("import torch.autograd as ag\nF = ag.Function\n", "F"),
        ("from base import MyBase\n", "MyBase"),
        ("from torch.autograd import Function as Fn\n", "Fn"),
    ],
)
def test_a_function_is_one_under_any_name_of_its_base(tmp_path, head, base):
    methods = "    @staticmethod\n    def forward(ctx, x): ...\n    @staticmethod\n    def backward(ctx, g): ...\n"
    path = tmp_path / "lab.py"
    path.write_text(f"{head}class Mine({base}):\n{methods}class Plain:\n{methods}")
    assert list(functions_in(path)) == ["Mine"]


def test_a_gradient_that_is_smaller_than_what_is_taken_for_0_was_not_compared():
    def scaled(scale, factor):
        class Scaled(Function):
            @staticmethod
            def forward(ctx, x):
                return scale * x

            @staticmethod
            def backward(ctx, g):
                return factor * scale * g

        return Scaled

    assert check(scaled(1e-12, 5), (torch.rand(3),)).verdict == "not examined"
    diagnosis = check(scaled(1.0, 1.5), (torch.rand(3),), atol=100.0)
    assert diagnosis.verdict == "not examined"
    assert "nowhere larger than 100" in messages(diagnosis)
    assert check(scaled(1.0, 1.5), (torch.rand(9, 9),), atol=100.0).verdict == "not examined"
    assert check(scaled(1e-12, 0), (torch.rand(3),), atol=0.0).verdict == "wrong"
    assert check(scaled(1.0, 1), (torch.rand(3),), atol=1e-3).verdict == "correct"


def test_an_output_that_is_marked_as_non_differentiable_is_said():
    class Marked(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            mask = x.sin()
            ctx.mark_non_differentiable(mask)
            return x.exp(), mask

        @staticmethod
        def backward(ctx, g, _):
            return g * ctx.saved_tensors[0].exp()

    diagnosis = check(Marked, (torch.rand(3),))
    assert diagnosis.verdict == "correct"
    assert "output 1: it leads back to no input" in messages(diagnosis)


def test_several_grad_outputs_at_once_that_are_refused_are_told_as_not_reached():
    class Total(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.shape = x.shape
            return x.sum()

        @staticmethod
        def backward(ctx, g):
            return g.new_full(ctx.shape, g.detach().item())

    assert codes(check(Total, (torch.rand(3),))) == {"second-order"}
    once = type("Once", (Total,), {"backward": staticmethod(once_differentiable(Total.backward))})
    diagnosis = check(once, (torch.rand(3),))
    assert diagnosis.verdict == "correct"
    (not_reached,) = (finding.message for finding in diagnosis.findings if finding.code == "not-reached")
    assert "several grad_outputs at once" in not_reached


def test_of_an_operation_on_symmetric_matrices_it_is_said_how_to_check_it():
    class Eigenvalues(Function):
        @staticmethod
        def forward(ctx, a):
            values, vectors = torch.linalg.eigh(a)
            ctx.save_for_backward(vectors)
            return values

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (vectors,) = ctx.saved_tensors
            return vectors @ torch.diag(g) @ vectors.T

    matrix = torch.tensor([[2.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, -1.0]])
    assert "lambda a: f((a + a.mT) / 2)" in messages(check(Eigenvalues, (matrix,)))
    assert check(lambda a: Eigenvalues.apply((a + a.mT) / 2), (matrix,)).verdict == "correct"


def test_of_a_folder_that_is_no_exercise_the_files_with_functions_are_named(tmp_path, capsys):
    methods = "    def forward(ctx, x): ...\n    def backward(ctx, g): ...\n"
    text = f"from torch.autograd import Function\nclass Mine(Function):\n{methods}"
    for name in ("deep/inside/mine.py", ".hidden/mine.py", "venv/mine.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "plain.py").write_text("x = 1\n")
    (tmp_path / "broken.py").write_text("from torch.autograd import Function\ndef (\n")
    assert check_folder(tmp_path, (), "text", 30, 4) == 2
    complaint = capsys.readouterr().err
    assert f"or give a file, such as {tmp_path}/deep/inside/mine.py; `python -m pytest --doctor" in complaint
    (tmp_path / "deep/inside/mine.py").unlink()
    assert check_folder(tmp_path, (), "text", 30, 4) == 2
    assert "such as" not in capsys.readouterr().err


def test_a_gradient_that_hardly_changes_with_the_size_of_its_input_is_not_called_single():
    class Norm(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x * x).sum(-1, keepdim=True).add(1e-12).sqrt().sum()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x / (x * x).sum(-1, keepdim=True).add(1e-12).sqrt()

    assert check(Norm).verdict == "correct"


class Gated(Function):
    @staticmethod
    def forward(ctx, gates, c):
        ctx.save_for_backward(gates, c)
        a, b, d, e = gates.chunk(4, 1)
        return a * b * c + d * e

    @staticmethod
    def backward(ctx, g):
        gates, c = ctx.saved_tensors
        a, b, d, e = gates.chunk(4, 1)
        return torch.cat([g * b * c, g * a * c, g * e, g * d], 1), g * a * b


class Step(Function):
    """A vector A or z would be broadcast, and its transpose be itself."""

    @staticmethod
    def forward(ctx, z, A):
        ctx.save_for_backward(z, A)
        return z + z @ A.T

    @staticmethod
    def backward(ctx, g):
        z, A = ctx.saved_tensors
        return g + g @ A, torch.zeros_like(A) + g.T @ z


@pytest.mark.parametrize("right", [Gated, Step])
def test_inputs_are_found_whose_shapes_go_with_each_other(right):
    samples, _ = find_samples(FunctionUnderTest(right))
    assert samples
    assert all(sample.fits == 4 for sample in samples)
    assert {sample.arguments[-1].dim() for sample in samples} == {2}


class Branches(Function):
    """A number goes another way."""

    factor = 2

    @classmethod
    def forward(cls, ctx, x):
        ctx.save_for_backward(x)
        if x.dim() == 0:
            return x * x
        return (x * x).sum(-1)

    @classmethod
    def backward(cls, ctx, g):
        (x,) = ctx.saved_tensors
        factor = 2 if x.dim() else cls.factor
        return factor * x * (g.unsqueeze(-1) if x.dim() else g)


def test_what_one_input_reaches_is_reached_and_it_is_said_with_which_something_is_wrong():
    assert "not-reached" not in {finding.code for finding in check(Branches).findings}
    wrong = type("Wrong", (Branches,), {"factor": 3})
    text = " ".join(str(check(wrong)).split())
    assert "This is with (); with (6, 4), with (4,) nothing is wrong" in text


class HalfInside(Function):
    """Saves in float16 what it needs."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.half() if x.dtype == torch.float32 else x)
        return x**2

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return (2 * x * g).to(g.dtype)


def test_float32_is_as_precise_as_it_can_be():
    assert codes(check(HalfInside, (torch.randn(4, 3),))) == {"low-precision"}


class Penalised(Function):
    """Its target is data, as its name says; a scale of another name may have been forgotten."""

    @staticmethod
    def forward(ctx, x, target):
        ctx.save_for_backward(x, target)
        return (x - target) ** 2

    @staticmethod
    def backward(ctx, g):
        x, target = ctx.saved_tensors
        return 2 * g * (x - target), None


def test_what_is_data_by_its_name_has_no_gradient():
    inputs = torch.randn(3), torch.randn(3)
    assert check(Penalised, inputs).verdict == "correct"
    forward = staticmethod(lambda ctx, x, scale: Penalised.forward(ctx, x, scale))
    assert codes(check(type("Wrong", (Penalised,), {"forward": forward}), inputs)) == {"grad-missing"}


def test_a_third_derivative_of_torch_s_own_is_only_noted():
    """That of layer_norm is wrong, and a network that holds one is not."""
    diagnosis = check(lambda x: nn.functional.layer_norm(x, (4,)), (torch.randn(3, 4),))
    assert diagnosis.verdict == "correct"
    assert "third derivative" in " ".join(str(diagnosis).split())


def test_sample_inputs_may_be_a_function_that_returns_them():
    module = ModuleType("lab")
    module.sample_inputs = lambda: {"HalfInside": (torch.ones(2),)}
    (x,) = _sample_inputs(module, Candidate("HalfInside", HalfInside))
    assert torch.equal(x, torch.ones(2))


class CrossEntropy(Function):
    """Counts what is left out."""

    counts = True

    @staticmethod
    def forward(ctx, logits, target, ignore_index=-100):
        ctx.save_for_backward(logits, target)
        ctx.ignore_index = ignore_index
        return nn.functional.cross_entropy(logits, target, ignore_index=ignore_index)

    @classmethod
    def backward(cls, ctx, g):
        logits, target = ctx.saved_tensors
        mask = target != ctx.ignore_index
        one_hot = nn.functional.one_hot(target * mask, logits.shape[1])
        count = len(target) if cls.counts else mask.sum()
        return g * (logits.softmax(1) - one_hot) * mask[:, None] / count, None, None


def test_a_class_that_is_left_out_is_one_that_occurs():
    inputs = torch.randn(5, 3), torch.tensor([2, 0, 1, 2, 0])
    diagnosis = check(CrossEntropy, inputs)
    assert codes(diagnosis) == {"grad-value"}
    assert "with ignore_index=2" in " ".join(str(diagnosis).split())
    right = type("Right", (CrossEntropy,), {"counts": False})
    assert check(right, inputs).verdict == "correct"


class Blocks(Function):
    """Goes through a row or a batch in blocks."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x * x).sum(-1)

    @classmethod
    def backward(cls, ctx, g):
        (x,) = ctx.saved_tensors
        out = torch.zeros_like(x)
        for i in range(0, x.shape[cls.axis], 40):
            if i == 0 or i + 40 <= x.shape[cls.axis]:  # the rest is forgotten
                part = slice(i, i + 40)
                index = (part,) if cls.axis == 0 else (..., part)
                out[index] = (2 * x * g.unsqueeze(-1))[index]
        return out


class Between(Function):
    """Right for each bound alone."""

    @staticmethod
    def forward(ctx, x, min=None, max=None):
        ctx.save_for_backward(x)
        ctx.bounds = min, max
        return x * 1 if min is None and max is None else x.clamp(min, max)

    @staticmethod
    def backward(ctx, g):
        (x,), (low, high) = ctx.saved_tensors, ctx.bounds
        in_bounds = x >= low if low is not None else x <= high if high is not None else torch.ones_like(x)
        return g * in_bounds, None, None


class Directed(Function):
    """Forgets that short rows are divided by a constant."""

    @staticmethod
    def forward(ctx, x, eps=1e-3):
        n = x.norm(dim=-1, keepdim=True).clamp_min(eps)
        ctx.save_for_backward(x / n, n)
        return x / n

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        y, n = ctx.saved_tensors
        return (g - y * (g * y).sum(-1, keepdim=True)) / n, None


class Scaled(Function):
    """Takes the first of what a repeated factor gets."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x, factor)
        return x * factor

    @staticmethod
    def backward(ctx, g):
        x, factor = ctx.saved_tensors
        return (g * factor)[: len(x), : x.shape[1]], (g * x)[: len(factor), : factor.shape[1]]


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("function", "where"),
    [
        (type("BlocksOfRow", (Blocks,), {"axis": -1}), "for rows of 41"),
        (type("BlocksOfBatch", (Blocks,), {"axis": 0}), "for a batch of 41"),
        (Between, "with min=-0.7 and max=0.9"),
        (Directed, "where x is smaller than 0.001"),
        (Scaled, "and repeated"),
    ],
)
def test_it_is_tried_where_it_may_be_wrong_alone(function, where):
    wrong = [finding for finding in check(function).findings if finding.severity == "error"]
    assert {finding.code for finding in wrong} == {"grad-value"}
    assert where in wrong[0].message


def test_a_gradient_that_is_nan_for_a_row_of_zeros_is_told():
    class Norm(Function):
        @staticmethod
        def forward(ctx, x):
            n = x.norm(dim=-1, keepdim=True)
            ctx.save_for_backward(x, n)
            return n

        @staticmethod
        def backward(ctx, g):
            x, n = ctx.saved_tensors
            return g * x / n

    diagnosis = check(Norm)
    assert diagnosis.verdict == "correct"
    assert "is nan where a row of x is 0" in " ".join(finding.message for finding in diagnosis.findings)


def test_where_one_rounding_leaves_the_domain_low_precision_is_not_held_against_it():
    class Entropy(Function):
        @staticmethod
        def forward(ctx, p, t):
            ctx.save_for_backward(p, t)
            return -(t * p.log() + (1 - t) * (1 - p).log()).mean()

        @staticmethod
        def backward(ctx, g):
            p, t = ctx.saved_tensors
            return g * (p - t) / (p * (1 - p)) / p.numel(), None

    p = torch.full((3, 4), 0.9943, dtype=torch.float64)  # in bfloat16 one step below 1
    t = (torch.arange(12).reshape(3, 4) % 2).double()
    assert check(Entropy, (p, t), requires=[0]).verdict == "correct"
