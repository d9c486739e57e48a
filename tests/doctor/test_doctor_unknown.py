"""Functions that the doctor does not know: inputs are given, declared or found; what was not reached is said."""

import itertools
import json
import linecache
import random
import subprocess
import sys
import textwrap

import pytest
import torch
from torch.autograd import Function

from amal import cli
from amal.checking import check, declare, examine
from amal.doctor import student

HEAD = "import torch\nfrom torch.autograd import Function\n"
FUNCTION = """
class {name}(Function):
    {doctor}
    @staticmethod
    def forward(ctx, {parameters}):
        ctx.save_for_backward({parameters})
        return {forward}

    @staticmethod
    def backward(ctx, g):
        {parameters}, = ctx.saved_tensors
        return {backward}
"""
RIGHT = "g[:, None] * (y @ a.T), x.T @ (g[:, None] * y), g[:, None] * (x @ a)"
TRANSPOSED = "g[:, None] * (y @ a.T), y.T @ (g[:, None] * x), g[:, None] * (x @ a)"


def function(name, parameters, forward, backward, doctor=""):
    return FUNCTION.format(name=name, parameters=parameters, forward=forward, backward=backward, doctor=doctor)


def bilinear(backward=RIGHT, **more):
    return function("Bilinear", "x, a, y", "((x @ a) * y).sum(1)", backward, **more)


ROUND = function("Round", "x", "x.round()", "g")
PICKY = function("Picky", "x", "x.reshape(11, 13).exp().reshape(x.shape)", "g * x.exp()")


def by_command(path, *arguments, status, capsys):
    ended = 0
    try:
        cli.app.cli(args=["check", str(path), *arguments, "--json"])
    except SystemExit as stopped:
        ended = stopped.code
    printed = capsys.readouterr()
    assert ended == status, printed
    return {row["function"]: row for row in json.loads(printed.out)}, printed.err


@pytest.fixture
def examine_text(tmp_path, monkeypatch):
    """What is said of each Function of a file, or why nothing is; without a process of its own."""

    def run(text, *names, inputs=None, surrogates=None):
        path = tmp_path / "lab.py"
        path.write_text(HEAD + text)
        linecache.checkcache()
        monkeypatch.setattr(sys, "path", sys.path.copy())
        monkeypatch.setattr(sys, "argv", sys.argv)
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
        monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
        messages = []
        options = {"inputs": inputs or {}, "surrogates": surrogates or {}}
        student.main(lambda **message: messages.append(message), str(path), list(names), options, 0)
        if "failed" in messages[-1]:
            return messages[-1]["failed"]
        return {
            message["diagnosis"]["function"]: message["diagnosis"] for message in messages if "diagnosis" in message
        }

    return run


def verdicts(diagnoses):
    return {name: diagnosis["verdict"] for name, diagnosis in diagnoses.items()}


def codes(diagnosis, severity="error"):
    return {finding.code for finding in diagnosis.findings if finding.severity == severity}


def message(diagnosis, code):
    return next(finding.message for finding in diagnosis.findings if finding.code == code)


# ---------------------------------------------------------------------------------- in a file


@pytest.mark.slow
def test_a_wrong_one_of_unknown_name_beside_a_right_one_is_wrong(examine_text):
    linear = function("Linear", "x, w, b", "x @ w + b", "g @ w.T, x.T @ g, g.sum(0)")
    diagnoses = examine_text(linear + bilinear(TRANSPOSED))
    assert verdicts(diagnoses) == {"Linear": "correct", "Bilinear": "wrong"}
    assert diagnoses["Bilinear"]["findings"][0]["code"] == "grad-transposed"
    assert verdicts(examine_text(bilinear())) == {"Bilinear": "correct"}


def test_the_exit_status_says_whether_all_was_examined(tmp_path, capsys):
    path = tmp_path / "lab.py"
    path.write_text(HEAD + function("Half", "x", "x / 2", "g / 2") + PICKY)
    diagnoses, _ = by_command(path, status=3, capsys=capsys)
    assert verdicts(diagnoses) == {"Half": "correct", "Picky": "not examined"}
    diagnoses, _ = by_command(path, "--inputs", "Picky=randn(11, 13)", status=0, capsys=capsys)
    assert set(verdicts(diagnoses).values()) == {"correct"}
    path.write_text(HEAD + PICKY + ROUND)
    by_command(path, status=1, capsys=capsys)
    by_command(path, "Round", "--surrogate", "Round=lambda x: x", status=0, capsys=capsys)
    _, complaint = by_command(path, "--inputs", "Picky", status=2, capsys=capsys)
    assert "--inputs: expected Name=EXPRESSION" in complaint


@pytest.mark.parametrize(
    "more",
    [
        "sample_inputs = {'Picky': lambda: (torch.randn(143),)}",
        "sample_inputs = {Picky: [torch.randn(143)]}",
        "Picky.doctor = {'inputs': (torch.randn(143),)}",
        "from amal.checking import declare\ndeclare(inputs=lambda: [torch.randn(143)])(Picky)",
    ],
)
def test_inputs_are_declared(examine_text, more):
    assert verdicts(examine_text(PICKY + more)) == {"Picky": "correct"}


def test_inputs_that_a_file_gives_are_tried_besides_those_of_the_definition(examine_text):
    exp = function("Exp", "x", "x.exp()", "g * x.exp() + (x == 77) * 5")
    assert verdicts(examine_text(exp)) == {"Exp": "correct"}
    assert verdicts(examine_text(exp + "sample_inputs = {Exp: [torch.tensor([77.0])]}")) == {"Exp": "wrong"}


def test_what_is_not_examined_is_said(examine_text):
    inner = "\ndef make():\n    class Inner(Function):\n        pass\n    return Inner\n"
    conditional = "\nif False:\n    class Never(Function):\n        pass\n"
    diagnoses = examine_text(PICKY + inner + conditional)
    assert verdicts(diagnoses) == dict.fromkeys(("Picky", "Inner", "Never"), "not examined")
    assert "give some" in diagnoses["Picky"]["findings"][0]["message"]
    assert "defined within make" in diagnoses["Inner"]["findings"][0]["message"]


def test_what_is_within_others_has_the_name_by_which_it_is_found(examine_text, tmp_path):
    (tmp_path / "beside_it.py").write_text(HEAD + "class Base(Function): ...\nclass PlainFunction: ...\n")
    methods = function("Inner", "x", "x.exp()", "g * x.exp()")
    outer = "from beside_it import Base, PlainFunction\nclass Outer:\n    class Middle:\n"
    outer += textwrap.indent(methods, " " * 8)
    local = "def make():\n" + textwrap.indent(methods.replace("Inner(Function)", "Local(Base)"), " " * 4)
    failed = "class Failed(Function):\n    x = 1 / 0\n"
    # Only what its base is called like would make these Functions.
    plain = methods.replace("Inner(Function)", "Plain(PlainFunction)")
    plain += "def other():\n" + textwrap.indent(plain.replace("class Plain(", "class Other("), " " * 4)
    diagnoses = examine_text(outer + local + failed + plain)
    assert verdicts(diagnoses) == {"Outer.Middle.Inner": "correct", "Local": "not examined", "Failed": "not examined"}
    assert "defined within make, out of reach" in diagnoses["Local"]["findings"][0]["message"]
    assert "is not there once the file is imported" in diagnoses["Failed"]["findings"][0]["message"]


def test_a_class_that_others_derive_from_is_none_to_examine(examine_text):
    base = "class Base(Function):\n    @staticmethod\n    def helper(): ...\n"
    derived = function("Mine", "x", "x.exp()", "g * x.exp()").replace("(Function)", "(Base)")
    nested = "class Room:\n" + "    ".join(function("Inner", "x", "x.exp()", "g * x").splitlines(keepends=True))
    assert verdicts(examine_text(base + derived + nested)) == {"Mine": "correct", "Room.Inner": "wrong"}


def test_a_surrogate_is_declared(examine_text):
    diagnoses = examine_text(ROUND)
    assert verdicts(diagnoses) == {"Round": "wrong"}
    assert "a surrogate" in diagnoses["Round"]["findings"][0]["message"]
    assert verdicts(examine_text(ROUND, surrogates={"Round": "lambda x: x"})) == {"Round": "correct"}
    declared = {"doctor": 'doctor = {"surrogate": lambda x: x}'}
    assert verdicts(examine_text(function("Round", "x", "x.round()", "g", **declared))) == {"Round": "correct"}
    docstring = {"doctor": '"""Rounds. surrogate=lambda x: x"""'}
    assert verdicts(examine_text(function("Round", "x", "x.round()", "g", **docstring))) == {"Round": "correct"}
    diagnoses = examine_text(function("Round", "x", "x.round()", "2 * g", **declared))
    assert diagnoses["Round"]["findings"][0]["code"] == "grad-factor"


def test_a_reference_that_is_declared_is_the_definition(examine_text):
    mean = function("Mean", "x", "x.mean(-1)", "(g[..., None] / x.shape[-1]).expand(x.shape)", doctor="{}")
    declared = mean.replace("{}", 'doctor = {"reference": lambda x: x.mean(-1)}')
    assert verdicts(examine_text(declared)) == {"Mean": "correct"}
    assert verdicts(examine_text(mean.replace("{}", ""))) == {"Mean": "wrong"}  # of all entries, says its name
    other = mean.replace("{}", 'doctor = {"reference": lambda x: x.sum(-1)}')
    assert verdicts(examine_text(other)) == {"Mean": "wrong"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": {"Picky": "randn(11"}}, "Picky: `randn(11` gives no value: SyntaxError"),
        ({"inputs": {"Piky": "randn(143)"}}, "no Function Piky; there are Picky"),
    ],
)
def test_what_is_not_understood_is_told(examine_text, options, words):
    assert words in examine_text(PICKY, **options)


def test_what_a_file_declares_wrongly_is_told(examine_text):
    wrong = function("Round", "x", "x.round()", "g", doctor='doctor = {"surogate": lambda x: x}')
    diagnoses = examine_text(wrong + bilinear())
    assert verdicts(diagnoses) == {"Round": "not examined", "Bilinear": "correct"}
    assert "Round.doctor: no surogate; there are inputs" in diagnoses["Round"]["findings"][0]["message"]
    raising = function("Round", "x", "x.round()", "g", doctor='doctor = {"inputs": lambda: 1 / 0}')
    assert "division by zero" in examine_text(raising)["Round"]["findings"][0]["message"]


def test_after_a_crash_the_rest_is_examined(tmp_path, capsys):
    crash = function("Crash", "x", "__import__('os')._exit(5)", "g")
    nested = "class Room:\n" + "    ".join(function("Inner", "x", "x.exp()", "g * x.exp()").splitlines(keepends=True))
    path = tmp_path / "lab.py"
    path.write_text(HEAD + crash + bilinear() + nested)
    diagnoses, _ = by_command(path, status=1, capsys=capsys)
    assert verdicts(diagnoses) == {"Crash": "error", "Bilinear": "correct", "Room.Inner": "correct"}


# ---------------------------------------------------------------------------------- inputs that are found


class Clip(Function):
    @staticmethod
    def forward(ctx, x, lo, hi):
        ctx.save_for_backward(x)
        ctx.lo, ctx.hi = lo, hi
        return x.clamp(lo, hi)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ((x > ctx.lo) & (x < ctx.hi)), None, None


class PickedLogProbability(Function):
    @staticmethod
    def forward(ctx, log_p, target):
        ctx.save_for_backward(target)
        ctx.shape = log_p.shape
        return -log_p[torch.arange(len(target)), target].mean()

    @staticmethod
    def backward(ctx, g):
        (target,) = ctx.saved_tensors
        picked = torch.zeros(ctx.shape, dtype=g.dtype)
        picked[torch.arange(len(target)), target] = -1 / len(target)
        return g * picked, None


class Entropy(Function):
    @staticmethod
    def forward(ctx, p):
        ctx.save_for_backward(p)
        return -(p * p.log()).sum(1)

    @staticmethod
    def backward(ctx, g):
        (p,) = ctx.saved_tensors
        return -g[:, None] * (p.log() + 1)


class Signal(Function):
    """Only of three dimensions."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return torch.conv1d(x, weight)

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return (
            torch.nn.grad.conv1d_input(x.shape, weight, g),
            torch.nn.grad.conv1d_weight(x, weight.shape, g),
        )


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("right", "text"),
    [
        (Clip, "-0.7, 0.9"),
        (PickedLogProbability, "(log_p, target) = (6, 4), (6,)"),
        (Entropy, "(p) = (6, 4)"),
        (Signal, "(x, weight) = (2, 6, 4), (2, 6, 4)"),
    ],
)
def test_inputs_are_found(right, text):
    diagnosis = check(right)
    assert diagnosis.verdict == "correct", str(diagnosis)
    assert text in message(diagnosis, "samples")


class BiasNotSummed(Function):
    @staticmethod
    def forward(ctx, x, bias):
        return x + bias

    @staticmethod
    def backward(ctx, g):
        return g, g


class Plus(Function):
    """A gradient is forgotten, unless y is a number."""

    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, g):
        return g, None


def test_inputs_that_do_not_fit_are_told():
    assert "Forward takes (6, 4), (6, 4) too, and there the gradient is None" in message(check(Plus), "samples")


def test_a_bias_is_a_vector():
    assert codes(check(BiasNotSummed)) == {"not-summed"}


# ---------------------------------------------------------------------------------- what was not reached


class Branches(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        if x.dim() == 5:
            return x.exp() + 1
        if x.is_complex():
            raise TypeError("complex numbers are left to others")
        return x.exp()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        if x.numel() > 10**6:
            g = 2 * g
        return g * x.exp()


def test_a_branch_that_nothing_entered_is_told():
    diagnosis = check(Branches, (torch.rand(3),))
    assert diagnosis.verdict == "correct"
    note = message(diagnosis, "not-reached")
    assert "`return x.exp() + 1`" in note
    assert "`g = 2 * g`" in note
    assert "raise" not in note
    assert "`return x.exp()`" not in message(check(Branches, (torch.rand(1, 1, 1, 1, 3),)), "not-reached").split("+ 1")


def test_what_watches_already_goes_on_watching():
    events = []
    trace = sys.gettrace()
    sys.settrace(lambda *event: events.append(event))
    try:
        diagnosis = check(Branches, (torch.rand(3),))
        assert sys.gettrace() is not None
    finally:
        sys.settrace(trace)
    assert events
    assert "reached line" not in str(diagnosis)


class LosesDigits(Function):
    """The square of x as a difference of large numbers: right in float64, noise in float16."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return ((x * 0.1 + 1).square() - 1 - 0.2 * x) * 100

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]


class RefusesHalf(Clip):
    @staticmethod
    def forward(ctx, x, lo, hi):
        if x.dtype == torch.float16:
            raise RuntimeError("no kernel for float16")
        return Clip.forward(ctx, x, lo, hi)


def test_low_precision_is_held_against_float64():
    assert codes(check(LosesDigits, (torch.rand(7),))) == {"low-precision"}
    assert check(LosesDigits, (torch.rand(7),), dtypes=(torch.float64, torch.float32)).verdict == "correct"
    assert check(LosesDigits, (torch.rand(7),), allow="low-precision").verdict == "correct"
    assert "float16: forward raised RuntimeError" in message(
        check(RefusesHalf, (torch.rand(7), 0.2, 0.7)), "not-reached"
    )


@pytest.mark.parametrize("operation", ["linear", "softmax", "cross_entropy", "layer_norm", "conv2d", "gelu"])
def test_torch_itself_is_within_the_budget_of_low_precision(operation):
    torch.manual_seed(0)
    F = torch.nn.functional
    function, inputs = {
        "linear": (F.linear, (torch.randn(33, 200), torch.randn(7, 200), torch.randn(7))),
        "softmax": (lambda x: F.softmax(4 * x, -1), (torch.randn(33, 20),)),
        "cross_entropy": (F.cross_entropy, (4 * torch.randn(33, 20), torch.randint(0, 20, (33,)))),
        "layer_norm": (F.layer_norm, (torch.randn(33, 20), (20,), torch.randn(20), torch.randn(20))),
        "conv2d": (F.conv2d, (torch.randn(3, 4, 9, 9), torch.randn(5, 4, 3, 3))),
        "gelu": (F.gelu, (3 * torch.randn(300),)),
    }[operation]
    assert "low-precision" not in codes(check(function, inputs))


# ---------------------------------------------------------------------------------- random numbers, options


class Dropout(Function):
    @staticmethod
    def forward(ctx, x, p):
        mask = (torch.rand_like(x) > p) / (1 - p)
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None


class AnotherMask(Dropout):
    @staticmethod
    def backward(ctx, g):
        return g * (torch.rand_like(g) > 0.5) * 2, None


def test_what_takes_float32_alone_is_examined_in_it():
    class Single(Function):
        factor = 2.0

        @staticmethod
        def forward(ctx, x):
            if x.dtype != torch.float32:
                raise TypeError("float32 alone")
            ctx.save_for_backward(x)
            return x * x

        @classmethod
        def backward(cls, ctx, g):
            return cls.factor * g * ctx.saved_tensors[0]

    assert check(Single).verdict == check(Single, (torch.rand(4),)).verdict == "correct"
    Single.factor = 2.1
    assert codes(check(Single)) == {"grad-factor"}


def test_a_function_of_the_course_is_examined_without_sympy_and_amal_s_own_operations():
    """Sympy takes torch as long to import as a file takes the doctor; the operations are not what is examined."""
    program = (
        "import sys, torch; from amal.checking import examine; from amal.course.mutants import SOLUTIONS\n"
        "exec('from torch.autograd import Function\\n' + SOLUTIONS['linear'])\n"
        "print(examine(Linear, 'linear').verdict, {'sympy', 'amal.ops'} & {*sys.modules})"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout == "correct set()\n"


def test_random_numbers_are_the_same_at_each_call_and_the_state_is_put_back():
    torch.manual_seed(5)
    random.seed(5)
    expected = torch.rand(()), random.random()
    torch.manual_seed(5)
    random.seed(5)
    diagnosis = check(Dropout, (torch.ones(5, 4), 0.5))
    assert (torch.rand(()), random.random()) == expected
    assert diagnosis.verdict == "correct"
    assert "it draws random numbers" in message(diagnosis, "not-reached")
    assert codes(check(AnotherMask, (torch.ones(5, 4), 0.5))) == {"grad-value"}


def sin_cos(x):
    return x.sin(), WrongCosine.apply(x)


class WrongCosine(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.cos()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].sin()


def test_options():
    inputs = (torch.rand(4),)
    assert check(sin_cos, inputs).verdict == "wrong"
    assert check(sin_cos, inputs, outputs=[0]).verdict == "correct"
    with pytest.raises(ValueError, match="no output 2 has a derivative"):
        check(sin_cos, inputs, outputs=[2])
    assert check(WrongCosine, inputs, atol=10, allow=["kink"]).verdict != "correct"  # the second derivative is another
    off = declare(inputs=inputs)(type("Off", (Branches,), {"backward": staticmethod(slightly_off)}))
    assert check(off).verdict == "wrong"
    assert check(off, rtol=1e-2, allow=["second-order"]).verdict == "correct"
    with pytest.raises(ValueError, match="float64 must be among them"):
        check(off, dtypes=[torch.float32])
    with pytest.raises(ValueError, match="no code speed"):
        check(off, allow="speed")


def slightly_off(ctx, g):
    return 1.001 * g * ctx.saved_tensors[0].exp()


def test_what_time_and_memory_do_not_allow_is_told():
    assert "the second derivative" in message(check(Branches, (torch.rand(3),), memory=-1.0), "not-reached")
    assert check(Branches, (torch.rand(3),), seconds=0.0).verdict == "not examined"
    with pytest.raises(ValueError, match="seconds is -1"):
        check(Branches, (torch.rand(3),), seconds=-1)


def test_no_call_begins_when_the_time_is_over(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: next(clock))  # a second for each look at the clock
    verdicts = {seconds: check(Branches, (torch.rand(3),), seconds=seconds).verdict for seconds in (5, 150, 10**6)}
    assert verdicts == {5: "not examined", 150: "correct", 10**6: "correct"}
    assert "150 seconds are over: " in message(check(Branches, (torch.rand(3),), seconds=150), "not-reached")


def test_another_seed_draws_others():
    first, second = (str(check(AnotherMask, (torch.ones(5, 4), 0.5), seed=seed)) for seed in (0, 1))
    assert first != second
    assert first == str(check(AnotherMask, (torch.ones(5, 4), 0.5), seed=0))


def test_a_declared_code_holds_for_examine_too():
    class ReLU(Function):
        doctor = {"allow": "kink"}  # noqa: RUF012

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, g):
            return torch.where(ctx.saved_tensors[0] == 0, 7.0, g * (ctx.saved_tensors[0] > 0))

    assert examine(ReLU, "relu").verdict == "correct"
    ReLU.doctor = {}
    assert codes(examine(ReLU, "relu")) == {"kink"}


# ---------------------------------------------------------------------------------- how tensors lie


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.wrong = ctx.minds(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return (3 if ctx.wrong else 2) * g * ctx.saved_tensors[0]


def channels_last(x):
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


@pytest.mark.parametrize(
    ("minds", "text"),
    [
        (channels_last, "channels lie last"),
        (lambda x: 0 in x.stride(), "(expanded)"),
        (lambda x: type(x) not in (torch.Tensor, torch.nn.Parameter), "a subclass of Tensor"),
        (lambda _: False, None),
    ],
)
def test_it_does_not_matter_how_inputs_lie_in_memory(minds, text):
    x = torch.rand(2, 3, 2, 2)
    minding = type("Minding", (Square,), {"forward": staticmethod(lambda ctx, x: keep_layout(ctx, x, minds))})
    diagnosis = check(minding, (x,), dtypes=[torch.float64])
    assert codes(diagnosis) == ({"grad-value"} if text else set()), str(diagnosis)
    assert text is None or text in message(diagnosis, "grad-value")


def keep_layout(ctx, x, minds):
    ctx.minds = minds
    return Square.forward(ctx, x)
