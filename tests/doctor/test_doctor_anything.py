"""The doctor on what others bring: several outputs, torch's engine, modules, operators, surrogates, large inputs."""

import re

import pytest
import torch
from torch import nn
from torch.autograd import Function

from amal.checking import assert_correct, check
from amal.doctor.evidence import distinct_texts

X = torch.linspace(0.4, 1.6, 4, dtype=torch.float64)
MATRIX = X.outer(X + 1)


def function(forward, backward, **others):
    """Return a Function made of two plain functions."""
    static = {name: staticmethod(method) for name, method in {"forward": forward, "backward": backward}.items()}
    return type("Examined", (Function,), static | others)


def saving(compute):
    def forward(ctx, *inputs):
        ctx.save_for_backward(*inputs)
        return compute(*inputs)

    return forward


def codes(diagnosis, severity="error"):
    return [finding.code for finding in diagnosis.findings if finding.severity == severity]


# ---------------------------------------------------------------------------------- every output

TWO = saving(lambda x: (2 * x, x * x))


@pytest.mark.parametrize(
    ("backward", "expected"),
    [
        (lambda ctx, g, h: 2 * g + 2 * h * ctx.saved_tensors[0], []),
        (lambda ctx, g, h: 2 * g + h * ctx.saved_tensors[0], ["grad-factor"]),
        (lambda ctx, g, h: 3 * g + 2 * h * ctx.saved_tensors[0], ["grad-factor"]),
        (lambda ctx, g, h: 2 * g, ["grad-value"]),
        (lambda ctx, g, h: 2 * g + 2 * h * ctx.saved_tensors[0] + g * h, ["nonlinear-in-grad-output"]),
    ],
    ids=["right", "second wrong", "first wrong", "second ignored", "product of both"],
)
def test_every_output_is_examined_alone_and_with_the_others(backward, expected):
    assert codes(check(function(TWO, backward), (X,))) == expected


def test_a_reference_may_have_several_outputs():
    right = function(TWO, lambda ctx, g, h: 2 * g + 2 * h * ctx.saved_tensors[0])
    assert check(right, (X,), reference=lambda x: (2 * x, x * x)).verdict == "correct"
    assert codes(check(right, (X,), reference=lambda x: (2 * x, x**3))) == ["forward-value"]


def test_outputs_without_a_derivative_are_left_alone():
    def forward(ctx, x):
        ranks = x.argsort()
        rounded = x.round()
        ctx.mark_non_differentiable(ranks, rounded)
        return ranks, rounded, 2 * x

    assert check(function(forward, lambda ctx, *grads: 2 * grads[2]), (X,)).verdict == "correct"
    assert codes(check(function(forward, lambda ctx, *grads: 3 * grads[2]), (X,))) == ["grad-factor"]


def test_what_is_changed_in_place_and_marked_is_examined():
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    assert check(function(forward, lambda ctx, g: 2 * g), (X,)).verdict == "correct"
    assert codes(check(function(forward, lambda ctx, g: g), (X,))) == ["grad-factor"]


# ---------------------------------------------------------------------------------- torch's engine


@pytest.mark.parametrize(
    ("forward", "backward", "inputs", "code"),
    [
        (lambda ctx, x: 2 * x, lambda ctx, g: [2 * g], (X,), "engine"),
        (lambda ctx, x, k: k * x, lambda ctx, g: (2 * g, torch.ones(())), (X, 2.0), "engine"),
        (lambda ctx, x, b: 2 * x, lambda ctx, g: (2 * g, torch.ones(4)), (X, None), "engine"),
        (lambda ctx, x: 2 * x, lambda ctx, g: 2 * g if all(g.stride()) else 3 * g, (X,), "grad-value"),
        (lambda ctx, a, b: a + b, lambda ctx, g: (s := g.clone(), s.view(4)), (X, X), "shared-gradient"),
    ],
    ids=["a list", "of a number", "of None", "wrong for expanded", "shared memory"],
)
def test_the_engine_is_asked(forward, backward, inputs, code):
    assert codes(check(function(forward, backward), inputs)) == [code]


def test_parts_of_one_tensor_are_no_shared_memory():
    def backward(ctx, g):
        both = torch.stack([g, g])
        return both[0], both[1]

    assert check(function(lambda ctx, a, b: a + b, backward), (X, X)).verdict == "correct"


@pytest.mark.parametrize(
    ("backward", "expected"),
    [
        (lambda ctx, g: None if g is None else 2 * g, []),
        (lambda ctx, g: torch.ones(4).double() if g is None else 2 * g, ["undefined-gradient"]),
        (lambda ctx, g: 2 * g, ["undefined-gradient"]),
    ],
    ids=["None is handed on", "ones for None", "fails"],
)
def test_a_gradient_that_does_not_arrive(backward, expected):
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return 2 * x

    assert codes(check(function(forward, backward), (X,))) == expected


class Square(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, grad_output):
        return 2 * ctx.saved_tensors[0] * grad_output

    @staticmethod
    def jvp(ctx, tangent):
        return 2 * ctx.saved_tensors[0] * tangent


class WrongVmap(Square):
    generate_vmap_rule = False

    @staticmethod
    def vmap(info, in_dims, x):
        return 2 * Square.apply(x), in_dims[0]


class TangentInFloat32(Square):
    @staticmethod
    def jvp(ctx, tangent):
        return (2 * ctx.saved_tensors[0] * tangent).float()


def test_vmap_and_jvp_are_run():
    assert codes(check(Square, (X,))) == codes(check(Square, (X,)), "note") == []
    assert codes(check(WrongVmap, (X,))) == ["vmap"]
    assert "grad-dtype" in codes(check(TangentInFloat32, (X,)))


# ---------------------------------------------------------------------------------- slopes

RIGHT = {
    "log": (torch.log, lambda x: 1 / x, torch.rand),
    "sqrt": (torch.sqrt, lambda x: 0.5 / x.sqrt(), torch.rand),
    "reciprocal": (torch.reciprocal, lambda x: -1 / x**2, torch.randn),
    "exp": (torch.exp, torch.exp, lambda *shape, **options: 3 * torch.randn(*shape, **options)),
}


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", RIGHT)
def test_right_ones_are_not_refused_at_ordinary_inputs(name):
    compute, derivative, draw = RIGHT[name]
    examined = function(saving(compute), lambda ctx, g: g * derivative(*ctx.saved_tensors))
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        diagnosis = check(examined, (draw(10, 3, generator=generator, dtype=torch.float64),))
        assert codes(diagnosis) == [], (seed, str(diagnosis))


@pytest.mark.parametrize(
    ("compute", "derivative"),
    [
        (lambda x: torch.sin(100 * x), lambda x: torch.cos(100 * x)),
        (lambda x: torch.exp(60 * x), lambda x: torch.exp(60 * x)),
        (lambda x: torch.sigmoid(200 * x), torch.ones_like),
    ],
    ids=["sin(100 x)", "exp(60 x)", "sigmoid(200 x)"],
)
def test_a_factor_forgotten_is_seen_where_the_function_bends_strongly(compute, derivative):
    examined = function(saving(compute), lambda ctx, g: g * derivative(*ctx.saved_tensors))
    assert codes(check(examined, (torch.linspace(-1, 1, 12, dtype=torch.float64),)))


def test_what_has_no_slope_is_not_called_right():
    relu = function(saving(torch.relu), lambda ctx, g: g * (ctx.saved_tensors[0] > 0))
    diagnosis = check(relu, (torch.zeros(3, dtype=torch.float64),))
    assert (diagnosis.verdict, codes(diagnosis)) == ("not examined", ["not-examined"])
    with pytest.raises(AssertionError, match="not-examined"):
        assert_correct(relu, (torch.zeros(3),))
    one_of_three = check(relu, (torch.tensor([-1.0, 0.0, 1.0]),))
    assert one_of_three.verdict == "correct"
    assert "1 of 3 entries" in str(one_of_three)


# ---------------------------------------------------------------------------------- anything can be given


def test_a_module_is_examined_by_its_inputs_and_parameters():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh())
    assert check(module, (torch.randn(5, 3, generator=torch.Generator().manual_seed(0)),)).verdict == "correct"

    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(2.0))

        def forward(self, input):
            return wrong.apply(input, self.weight)

    wrong = function(
        saving(lambda x, w: x * w),
        lambda ctx, g: (g * ctx.saved_tensors[1], 2 * (g * ctx.saved_tensors[0]).sum()),
    )
    diagnosis = check(Scale(), (X,))
    assert [(finding.code, finding.input) for finding in diagnosis.findings] == [("grad-factor", "weight")]


def test_an_operator_of_torch_library_is_examined():
    @torch.library.custom_op("amal_tests::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    twice.register_autograd(lambda ctx, grad_output: grad_output)
    assert codes(check(twice, (X,))) == ["grad-factor"]


def test_variables_are_those_that_ask_for_a_gradient_or_are_named():
    def backward(ctx, grad_output):
        prediction, target = ctx.saved_tensors
        return grad_output * 2 * (prediction - target), None

    constant_target = function(saving(lambda p, y: ((p - y) ** 2).sum()), backward)
    assert codes(check(constant_target, (X + 1, X))) == ["grad-missing"]
    assert check(constant_target, ((X + 1).requires_grad_(), X)).verdict == "correct"
    assert check(constant_target, (X + 1, X), requires=[0]).verdict == "correct"
    assert (
        check(lambda prediction, target: (prediction - target).sum(), (X, X), requires=["target"]).verdict == "correct"
    )
    with pytest.raises(ValueError, match="no input weight"):
        check(constant_target, (X, X), requires=["weight"])
    with pytest.raises(TypeError, match="no floating-point tensor"):
        check(lambda x, classes: x, (X, torch.arange(4)), requires=[1])


def test_a_surrogate_is_what_backward_is_held_against():
    straight_through = function(lambda ctx, x: x.round(), lambda ctx, g: g)
    inputs = (torch.tensor([0.2, 0.7, 1.3]),)
    assert codes(check(straight_through, inputs)) == ["grad-value"]
    diagnosis = check(straight_through, inputs, reference=torch.round, surrogate=lambda x: x)
    assert diagnosis.verdict == "correct"
    assert "surrogate" in codes(diagnosis, "note")
    assert codes(check(straight_through, inputs, surrogate=lambda x: 2 * x)) == ["grad-factor"]
    assert codes(check(straight_through, inputs, reference=torch.floor, surrogate=lambda x: x)) == ["forward-value"]


@pytest.mark.parametrize("name", ["surrogate", "reference"])
@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        (lambda x: x.reshape(3, 3), "cannot be called with these inputs: RuntimeError: shape"),
        (lambda: None, "cannot be called with these inputs: TypeError"),
        (lambda x: None, "returns NoneType, not a floating-point tensor"),
    ],
    ids=["raises", "takes nothing", "returns nothing"],
)
def test_a_surrogate_or_reference_that_cannot_be_compared_is_told_by_name(name, faulty, words):
    straight_through = function(lambda ctx, x: x.round(), lambda ctx, g: g)
    with pytest.raises(ValueError, match=f"{name} {words}"):
        check(straight_through, (X,), **{name: faulty})


def test_a_surrogate_has_the_shape_of_the_output_and_the_inputs_of_a_module():
    straight_through = function(lambda ctx, x: x.round(), lambda ctx, g: g)
    with pytest.raises(ValueError, match=r"surrogate returns shape \(\), and the function \(4,\)"):
        check(straight_through, (X,), surrogate=torch.sum)

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(torch.ones(()))

        def forward(self, input):
            return straight_through.apply(input)

    assert codes(check(Scaled(), (X + 0.05,), surrogate=lambda input: input)) == []


def test_a_name_by_itself_is_one_name():
    def forward(ctx, prediction, target):
        ctx.save_for_backward(prediction, target)
        return prediction * target

    wrong_target = function(forward, lambda ctx, g: (g * ctx.saved_tensors[1], g))
    assert codes(check(wrong_target, (X, X + 1), requires="prediction")) == []
    assert codes(check(wrong_target, (X, X + 1), requires="target")) == ["grad-value"]
    assert codes(check(wrong_target, (X, X + 1), allow="grad-value")) == []


@pytest.mark.parametrize(
    ("changing", "expected"),
    [
        (lambda x: x.mul_(2), []),
        (nn.ReLU(inplace=True), []),
        (lambda x: (x.mul_(2), x * x)[1], ["mutates-input"]),
        (lambda x: x.exp_().mul_(x), ["raises"]),
    ],
    ids=["returned", "module", "not returned", "torch refuses"],
)
def test_callables_that_work_in_place_are_judged_by_their_inputs_as_they_were(changing, expected):
    assert codes(check(changing, (X,))) == expected


@pytest.mark.parametrize("own", [lambda x: x @ MATRIX, lambda x: x * MATRIX], ids=["refused", "promoted"])
def test_data_of_its_own_in_float64_is_no_fault_of_a_callable(own):
    diagnosis = check(own, (X,))
    assert diagnosis.verdict == "correct", diagnosis
    assert any("float32" in finding.message for finding in diagnosis.findings)


@pytest.mark.parametrize(
    ("compute", "derivative", "inputs", "words"),
    [
        (torch.square, lambda x: 2 * x, (1.0, torch.inf, 2.0), "inf in 1 of 3 entries.*; x holds inf or nan"),
        (torch.log, lambda x: 1 / x, (0.0, 1.0, 2.0), "-inf in 1 of 3 entries: there is no slope to compare with\\."),
        (torch.log, lambda x: 1 / x, (-1.0, 1.0, 2.0), "nan in 1 of 3 entries"),
    ],
    ids=["inf given", "at 0", "outside"],
)
def test_where_the_output_is_no_number_nothing_is_called_wrong(compute, derivative, inputs, words):
    examined = function(saving(compute), lambda ctx, g: g * derivative(*ctx.saved_tensors))
    diagnosis = check(type("x", (examined,), {}), (torch.tensor(inputs),))
    assert diagnosis.verdict == "not examined"
    assert re.search(words.replace("x holds", ".* holds"), diagnosis.findings[0].message)
    finite = check(
        examined, (torch.tensor(inputs),), reference=lambda x: x * 0 if x.isfinite().all() else x.isinf() * 0.0
    )
    assert codes(finite)[0] == "forward-value"


def test_numbers_that_are_not_equal_are_shown_so():
    for off in (1.0002, 1.00003):
        tripled = function(saving(lambda x: 3 * x), lambda ctx, g, off=off: 3 * off * g)
        text = check(tripled, (X,)).findings[0].message
        assert f"is {off} times what it should be" in text
        gradient, slope = re.search("backward gives (.*), the slope of the output is (.*)\\.", text).groups()
        assert gradient != slope
    assert distinct_texts(1.00000001, 1.00000002) == ("1.00000001", "1.00000002")
    assert distinct_texts(0.5, 0.5) == ("0.5", "0.5")


def test_what_a_terminal_would_obey_is_printed_as_it_is_written():
    def forward(ctx, x):
        raise ValueError("\x1b[31mred\x07 \x9b2J\u202eback")

    text = str(check(function(forward, lambda ctx, g: g), (X,)))
    assert text.isprintable() or set(text) - {"\n"} <= {sign for sign in text if sign.isprintable()}
    assert "\\x1b[31mred\\x07 \\x9b2J\\u202eback" in " ".join(text.split())


def test_a_code_that_is_allowed_is_a_note():
    cut_off = function(saving(lambda x: x**3), lambda ctx, g: 3 * ctx.saved_tensors[0].detach() ** 2 * g)
    assert codes(check(cut_off, (X,))) == ["second-order"]
    assert check(cut_off, (X,), allow={"second-order"}).verdict == "correct"
    with pytest.raises(ValueError, match="no code second"):
        check(cut_off, (X,), allow={"second"})


@pytest.mark.parametrize(
    ("backward", "expected"),
    [
        (lambda ctx, g: 2 * g * ctx.saved_tensors[0].conj(), []),
        (lambda ctx, g: 2 * g * ctx.saved_tensors[0], ["grad-value"]),
    ],
    ids=["conjugated", "not conjugated"],
)
def test_complex_inputs_follow_the_convention_of_torch(backward, expected):
    z = torch.complex(X, X.flip(0))
    assert codes(check(function(saving(lambda z: z * z), backward), (z,))) == expected


def test_what_cannot_be_examined_is_said():
    assert check(torch.abs, (torch.eye(3).to_sparse(),)).verdict == "not examined"
    assert check(torch.abs, (torch.arange(3),)).verdict == "not examined"
    assert check(torch.abs, (torch.zeros(0, 3),)).verdict == "not examined"


def test_an_output_need_not_depend_on_every_input():
    assert check(lambda a, b: (2 * a, 3 * b), (X, X + 1)).verdict == "correct"
    assert check(nn.Linear(4, 2, bias=False).double(), (X,)).verdict == "correct"


# ---------------------------------------------------------------------------------- large inputs


def product(change):
    def backward(ctx, grad_output):
        a, b = ctx.saved_tensors
        return change(grad_output @ b.mT), a.mT @ grad_output

    return function(saving(torch.matmul), backward)


def test_large_inputs_are_compared_along_random_directions():
    inputs = tuple(torch.randn(size, generator=torch.Generator().manual_seed(0)) for size in ((100, 200), (200, 100)))
    right = check(product(lambda gradient: gradient), inputs)
    assert (right.verdict, right.findings[0].code) == ("correct", "sampled")
    larger = check(product(lambda gradient: gradient), tuple(torch.randn(250, 250) for _ in range(2)))
    assert "equal entries were not tried" in " ".join(finding.message for finding in larger.findings)

    def one_entry(gradient):
        return gradient * torch.ones_like(gradient).index_put_(
            (torch.tensor([7]), torch.tensor([9])), torch.tensor(1.01).double()
        )

    assert codes(check(product(one_entry), inputs)) == ["grad-value"]
    assert codes(check(product(lambda gradient: 1.001 * gradient), inputs)) == ["grad-factor"]
    assert codes(check(product(torch.neg), inputs)) == ["grad-sign"]
    assert codes(check(product(lambda gradient: gradient.T), inputs)) == ["grad-shape"]


@pytest.mark.slow
def test_many_inputs_are_left_out_one_by_one_and_not_in_every_subset():
    calls = []

    def forward(ctx, *inputs):
        calls.append(1)
        return sum(inputs)

    summed = function(forward, lambda ctx, g: tuple(g.clone() for _ in range(14)))
    assert check(summed, tuple(X + place for place in range(14))).verdict == "correct"
    assert len(calls) < 4000  # there are 16382 subsets, each of which was tried once


# ---------------------------------------------------------------------------------- elsewhere


def clamped(ctx, grad_output):
    (x,) = ctx.saved_tensors
    return grad_output * (1 - torch.tanh(x.clamp(-2, 2)) ** 2)


def branch(x):
    return torch.where(x > 3, 2 * x, x * x)


@pytest.mark.parametrize(
    ("compute", "backward"),
    [
        (lambda x: x.prod(), lambda ctx, g: g * ctx.saved_tensors[0].prod() / ctx.saved_tensors[0]),
        (torch.tanh, clamped),
        (branch, lambda ctx, g: 2 * g * ctx.saved_tensors[0]),
        (torch.relu, lambda ctx, g: g * ((ctx.saved_tensors[0] > 0) & (ctx.saved_tensors[0] < 2))),
        (lambda x: x * x, lambda ctx, g: 2 * g * ctx.saved_tensors[0].abs()),
    ],
    ids=["product as y / x", "clamp in backward", "branch", "only below 2", "sign"],
)
def test_gradients_are_tried_elsewhere_too(compute, backward):
    assert codes(check(function(saving(compute), backward), (X,))) == ["grad-value"]


@pytest.mark.parametrize(
    ("compute", "derivative"),
    [
        (torch.log, lambda x: 1 / x),
        (torch.sqrt, lambda x: 0.5 / x.sqrt()),
        (torch.relu, lambda x: (x > 0) * 1.0),
        (torch.asin, lambda x: 1 / (1 - x * x).sqrt()),
        (lambda x: torch.where(x > 3, 2 * x, x * x), lambda x: torch.where(x > 3, 2.0, 2 * x)),
        (lambda x: 1 / x, lambda x: -1 / x**2),
    ],
    ids=["log", "sqrt", "relu", "asin", "jump", "reciprocal"],
)
def test_what_is_not_defined_elsewhere_is_not_held_against_it(compute, derivative):
    right = function(saving(compute), lambda ctx, g: g * derivative(*ctx.saved_tensors))
    assert codes(check(right, (X / 2,))) == []
