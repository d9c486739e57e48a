"""amal mutants and amal grade: what is listed, and which tests of a student kill what."""

import json
import re
from pathlib import Path

import pytest
from running import answer

from amal.course import mutants, solutions
from amal.course.grading import find_import, grade
from amal.errors import UserError

WEAK = """
import torch
from functions import Linear

def test_shapes():
    X, W, b = (torch.ones(*of, requires_grad=True) for of in ((5, 7), (7, 3), (3,)))
    Linear.apply(X, W, b).sum().backward()
    assert X.grad.shape == X.shape and W.grad.shape == W.shape and b.grad.shape == b.shape
"""
STRONG = """
import pytest
import torch
from functions import LinearFunction as linear

@pytest.fixture
def inputs():
    torch.manual_seed(0)
    return [torch.randn(*of, dtype=torch.float64, requires_grad=True) for of in ((5, 7), (7, 3), (3,))]

def test_value(inputs):
    X, W, b = inputs
    expected = X @ W + b
    assert torch.allclose(linear.apply(X, W, b), expected)

def test_derivatives(inputs):
    assert torch.autograd.gradcheck(linear.apply, inputs)
    assert torch.autograd.gradgradcheck(linear.apply, inputs)

def test_what_backward_returns(inputs):
    node = linear.apply(*inputs).grad_fn
    for gradient, of in zip(node.apply(torch.randn(5, 3, dtype=torch.float64)), inputs, strict=True):
        assert gradient.shape == of.shape and gradient.dtype == of.dtype
    assert not any(torch.is_tensor(of) for of in vars(node).values())

def test_it_is_linear_in_grad_output(inputs):  # gradcheck passes ones alone, and one squared is one
    output = linear.apply(*inputs)
    once, twice = (torch.autograd.grad(output, inputs, k * torch.ones_like(output), retain_graph=True) for k in (1, 2))
    assert all(torch.allclose(2 * one, two) for one, two in zip(once, twice, strict=True))
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="test_student.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def only(monkeypatch):
    """So that few runs are made: the right one, and these."""

    def only(operation, *names):
        variants = {**mutants.MUTANTS, operation: tuple(mutants.find(operation, name) for name in names)}
        monkeypatch.setattr(mutants, "MUTANTS", variants)

    return only


def graded(path, operation, time_limit=60):
    return {outcome.mutant.name: outcome.killed and outcome.how for outcome in grade(path, operation, time_limit)}


# ---------------------------------------------------------------------------------- amal mutants


@pytest.mark.parametrize("operation", mutants.SOLUTIONS)
def test_every_mutant_is_one_text_of_its_own(operation):
    wrong = mutants.MUTANTS[operation]
    assert len({mutants.SOLUTIONS[operation], *(mutant.text for mutant in wrong)}) == len(wrong) + 1
    assert len({mutant.name for mutant in wrong}) == len(wrong)
    assert mutants.operation_of(mutants.class_name(operation)) == operation


def test_every_solution_is_in_the_list():
    files = {path.stem for path in Path(solutions.__file__).parent.glob("[!_]*.py")}
    assert files == mutants.SOLUTIONS.keys() == mutants.MUTANTS.keys()


MARKED = '''"""The right Tanh, and its mutants.

zero [grad-value grad-sign] there is nothing: at all
kept [keeps-tensors] two lines for one, and none
"""

class Tanh:
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        # ✗ kept:
        return grad_output * (1 - y**2)
        # ✗ zero: return 0
        # ✗ kept: y = ctx.y
        # ✗ kept: return grad_output * (1 - y**2)
        # the end
'''


def test_a_mutant_has_its_marked_lines_in_place_of_the_right_ones():
    right, (zero, context) = mutants.parse(MARKED)
    head, saved = "class Tanh:\n    def backward(ctx, grad_output):\n", "        (y,) = ctx.saved_tensors\n"
    gradient, end = "        return grad_output * (1 - y**2)\n", "        # the end\n"
    assert right == head + saved + gradient + end
    assert zero.text == head + saved + "        return 0\n" + end
    assert context.text == head + "        y = ctx.y\n" + gradient + end
    assert zero.codes == ("grad-value", "grad-sign")
    assert zero.description == "there is nothing: at all"


@pytest.mark.parametrize(("before", "after"), [("✗ zero", "✗ nought"), ("zero [", "zero"), ("✗ zero: return 0", "")])
def test_a_mutant_that_is_listed_or_marked_alone_is_refused(before, after):
    with pytest.raises(ValueError, match=r"listed or marked, and not both: .*zero"):
        mutants.parse(MARKED.replace(before, after, 1))


@pytest.mark.parametrize(
    ("name", "operation"),
    [("MSEFunction", "mse"), ("mse_loss", "mse"), ("linear", "linear"), ("MaxPool1d", "max_pool"), ("nonsense", None)],
)
def test_names_mean_operations(name, operation):
    assert mutants.operation_of(name) == operation


def test_the_command_lists():
    everything = answer("mutants")
    assert re.search(r"^linear +\d\d$", everything.stdout, re.MULTILINE)
    of_one = answer("mutants", "Linear")
    assert "bias-not-summed" in of_one.stdout
    assert "[not-summed]" in of_one.stdout


def test_the_command_shows_a_mutant_and_a_solution():
    printed = answer("mutants", "linear", "--show", "bias-not-summed").stdout
    assert "-         grad_b = grad_output.sum(0)\n+         grad_b = grad_output\n" in printed
    assert answer("mutants", "linear", "--show", "right").stdout.rstrip() == mutants.SOLUTIONS["linear"].rstrip()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mutants", "lineal"], "no mutants of lineal (did you mean linear?); there are those of linear, mse"),
        (["mutants", "linear", "--show", "x"], "linear has no mutant x; it has bias-not-summed"),
        (["grade", "nowhere.py", "linear"], "nowhere.py cannot be read"),
    ],
)
def test_the_commands_say_what_is_wrong(arguments, message):
    done = answer(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


# ---------------------------------------------------------------------------------- amal grade


@pytest.mark.slow
def test_weak_tests_leave_survivors(write, only):
    only("linear", "bias-averaged", "weight-gradient-transposed", "no-bias")
    outcomes = graded(write(WEAK), "linear")
    assert outcomes == {"bias-averaged": False, "weight-gradient-transposed": "test_shapes", "no-bias": False}


SOME = ("bias-not-summed", "weight-changed", "weight-squares-grad-output", "kept-on-ctx")


@pytest.mark.parametrize("some", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["some", "all"])
def test_strong_tests_kill_all(write, only, some):
    if some:
        only("linear", *SOME)
    answered = answer("grade", str(write(STRONG)), "linear", "--json")
    assert answered.returncode == 0, answered.stdout + answered.stderr
    graded = json.loads(answered.stdout)
    assert graded["killed"] == graded["of"] == len(mutants.MUTANTS["linear"])
    killers = {row["name"]: row["how"] for row in graded["mutants"]}
    assert killers["bias-not-summed"] == "test_what_backward_returns"
    assert killers["weight-changed"] == "test_value"


def test_the_command_prints_a_table_and_fails_when_one_survives(write, only):
    only("leaky_relu", "slope-at-zero", "slope-forgotten")
    nothing = "from functions import LeakyReLU\n\ndef test_that_it_is_there():\n    assert LeakyReLU\n"
    done = answer("grade", str(write(nothing)), "LeakyReLU")
    assert done.returncode == 1
    assert re.search(
        r"^SURVIVED  slope-at-zero +the derivative at 0 is the sum of those on both sides$", done.stdout, re.MULTILINE
    )
    assert done.stdout.endswith(f"\n0 of {len(mutants.MUTANTS['leaky_relu'])} killed\n")


def test_tests_that_reject_the_right_one_are_not_graded(write):
    wrong = "from functions import Linear\n\ndef test_wrong():\n    assert not Linear, 'as I think'\n"
    done = answer("grade", str(write(wrong)), "linear")
    assert done.returncode == 2
    assert "your test rejects the right linear" in done.stderr
    assert "as I think" in done.stderr


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def test():\n    pass\n", r"imports no linear; .* from functions import Linear$"),
        ("from functions import MSE\n", "imports no linear"),
        ("from functions import Linear\n", "holds no tests"),
        ("from functions import Linear\ndef test(:\n", "cannot be read: invalid syntax"),
        ("from functions import Linear\nimport not_there\n", "rejects the right linear\n\n(.|\n)*not_there"),
        ("import os\nfrom functions import Linear\ndef test():\n    os._exit(0)\n", r"right linear \(a crash"),
    ],
)
def test_what_cannot_be_graded_is_said(write, text, message):
    with pytest.raises(UserError, match=message):
        graded(write(text), "linear")


HOW_IT_ENDS = {
    "if wrong(): signal.pause()": "the time limit",
    "while wrong(): pass": "the time limit",
    "if wrong(): os._exit(0)": "a crash, or an exit out of turn",
    "if wrong(): os.kill(os.getpid(), signal.SIGSEGV)": "a crash, or an exit out of turn",
    "if wrong(): sys.exit(0)": "test",
    "if wrong(): subprocess.Popen(['cat'], stdin=subprocess.PIPE).wait()": "the time limit",
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("ending", HOW_IT_ENDS)
def test_a_mutant_that_hangs_crashes_or_exits_is_killed(write, only, ending):
    only("relu", "absolute")
    text = f"""
import os, signal, subprocess, sys
import torch
from functions import relu

def wrong():
    return relu.apply(torch.tensor(-1.0)) > 0

def test():
    {ending}
"""
    limit = 4 if HOW_IT_ENDS[ending] == "the time limit" else 60  # what ends has all the time it may want
    assert graded(write(text), "relu", limit) == {"absolute": HOW_IT_ENDS[ending]}


@pytest.mark.slow
def test_tests_that_hang_on_the_right_one_are_not_graded(write):
    text = "from functions import ReLU\n\ndef test():\n    while True: pass\n"
    with pytest.raises(UserError, match=r"your test rejects the right relu \(the time limit\)"):
        graded(write(text), "relu", time_limit=0.2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from functions import Linear", ("functions", ("Linear",))),
        ("from course.tme1 import MSE, linear", ("course.tme1", ("linear",))),
        ("from f import Linear as L, LinearFunction", ("f", ("Linear", "LinearFunction"))),
        ("def test():\n    from f import Linear", ("f", ("Linear",))),
        ("import f\nf.Linear.apply(1)", ("f", ("Linear",))),
        ("import course.f as f\nf.Linear.apply(1)", ("course.f", ("Linear",))),
        ("from .functions import Linear", ("student.functions", ("Linear",))),
        ("from ..functions import Linear", ("functions", ("Linear",))),
    ],
)
def test_the_module_under_test_is_found(write, text, expected):
    write("", "student/__init__.py")
    assert find_import(write(text, "student/test_it.py"), "linear") == expected


def test_other_imports_keep_working(write, only):
    """Helpers, conftest, the author's other Functions, and those that only the package has."""
    only("linear", "no-bias")
    write("import functions\ndef zero():\n    return functions.NUMBER - 41\n", "helper.py")
    write("NUMBER = 41\nclass Linear: pass\nclass MSE: mine = True\n", "functions.py")
    write("import pytest\n@pytest.fixture\ndef one():\n    return 1\n", "conftest.py")
    text = """
import torch
from functions import Linear, MSE, Tanh
from helper import zero

def test(one):
    X, W, b = torch.zeros(2, 3), torch.zeros(3, 4), torch.ones(4)
    assert MSE.mine and Tanh.apply(X).sum() == zero()
    assert Linear.apply(X, W, b).sum() == 8 * one
"""
    assert graded(write(text), "linear") == {"no-bias": "test"}


def test_a_package_of_tests_is_graded(write, only):
    only("linear", "no-bias")
    write("", "student/__init__.py")
    text = "import torch\nfrom .functions import Linear\n\ndef test():\n    x = torch.ones(1, 1)\n"
    text += "    assert Linear.apply(x, x, x[0]).item() == 2\n"
    assert graded(write(text, "student/test_it.py"), "linear") == {"no-bias": "test"}
