"""`amal check` on files of every kind, and `check` on Functions of one's own: what is said, and how it ends."""

import json
import linecache
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.autograd import Function

from amal import cli
from amal.checking import assert_correct, check, examine
from amal.course.mutants import SOLUTIONS
from amal.doctor import student
from amal.doctor.definitions import all_operations
from amal.doctor.findings import CODES, as_text, diagnosis_from
from amal.doctor.isolation import examine_file, last_report
from amal.errors import UserError
from amal.ops import LinearFunction, MSEFunction
from tme1._mistakes import BiasNotSummed, DetachedBackward, GradOutputInPlace, TensorKeptOnContext

HEAD = "import ctypes, os, sys\nimport torch\nfrom torch.autograd import Function\n"
LINEAR = SOLUTIONS["linear"]
SQUARE = """
class {name}(Function):
    @staticmethod
    def forward(ctx, x):
        {forward}
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad_output):
        {backward}
        return 2 * ctx.saved_tensors[0] * grad_output
"""


def square(name="Square", forward="pass", backward="pass"):
    return SQUARE.format(name=name, forward=forward, backward=backward)


def write(folder, *parts, name="lab.py"):
    path = folder / name
    path.write_text(HEAD + "".join(parts))
    return path


def run(*arguments, status):
    ended = 0
    try:
        cli.app.cli(args=["check", *map(str, arguments)])
    except SystemExit as stopped:
        ended = stopped.code
    assert ended == status


@pytest.fixture
def in_process(monkeypatch):
    """What the examining process says of a file, without a process of its own."""

    def failure(path, *names):
        monkeypatch.setattr(sys, "path", sys.path.copy())
        monkeypatch.setattr(sys, "argv", sys.argv)
        monkeypatch.setattr(sys, "modules", sys.modules.copy())
        monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
        messages = []
        student.main(lambda **message: messages.append(message), str(path), list(names), {}, 0)
        return messages[-1]["failed"]

    return failure


def test_a_right_file_is_correct(tmp_path, capsys):
    run(write(tmp_path, LINEAR, square()), "--json", status=0)
    linear, squared = json.loads(capsys.readouterr().out)
    assert (linear["function"], linear["operation"], linear["verdict"]) == ("Linear", "linear", "correct")
    assert linear["definition"] == "X W + b, weight (in, out), bias (out)"
    assert squared["verdict"] == "correct"
    assert {finding["severity"] for finding in linear["findings"]} == {"note"}


def test_json_has_the_fields_that_are_promised(tmp_path, capsys):
    run(write(tmp_path, LINEAR.replace("grad_output.sum(0)", "grad_output")), "--json", status=1)
    (diagnosis,) = json.loads(capsys.readouterr().out)
    assert diagnosis.keys() == {"function", "operation", "definition", "verdict", "file", "line", "findings"}
    (finding,) = (finding for finding in diagnosis["findings"] if finding["severity"] == "error")
    assert finding.keys() == {"code", "input", "message", "severity", "method", "line"}
    assert (finding["code"], finding["input"], diagnosis["verdict"]) == ("not-summed", "b", "wrong")
    assert "(10, 3)" in finding["message"]
    assert "TME 1, question" in finding["message"]
    assert diagnosis_from(diagnosis).as_dict() == diagnosis


def test_the_table_tells_the_worst_entry_and_the_batch_size(tmp_path, capsys):
    run(write(tmp_path, LINEAR.replace("grad_output.sum(0)", "grad_output.mean(0)")), status=1)
    text = " ".join(capsys.readouterr().out.split())
    assert "WRONG Linear (linear: X W + b, weight (in, out), bias (out))" in text
    assert "0.1 times what it should be: 1 / the batch size 10" in text
    assert "backward gives" in text
    assert "the slope of the output is" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("raise ValueError('broken')", r"cannot be imported: ValueError: broken \(line 4\)"),
        ("def f(:", r"SyntaxError.*\(line 4\)"),
        ("import no_such_module", "holds none at all.* Not installed: no_such_module"),
        ("sys.exit(0)", "calls sys.exit"),
        ("x = 1", "holds none at all"),
    ],
)
def test_a_file_that_cannot_be_examined_is_refused_in_words(content, words, tmp_path, in_process):
    assert re.search(words, in_process(write(tmp_path, content)))


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("os._exit(3)", "cannot be imported: it ended Python, with exit status 3"),
        ("while True: pass", "cannot be imported: it did not come to an end within 2 seconds"),
        ("input()", "cannot be imported: EOFError"),
    ],
)
def test_a_file_that_ends_its_process_is_refused_in_words(content, words, tmp_path, capsys):
    run(write(tmp_path, content), "--json", "--time-limit", "2", status=2)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == []
    assert captured.err.startswith("amal check: ")
    assert words in captured.err


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("Conv",), "no Function Conv; there are Square"),
        (("Square=conv9d",), "no operation conv9d"),
        (("Square=linear:odd",), "linear has no definition odd; there are course"),
    ],
)
def test_a_name_that_is_not_there_is_refused_in_words(names, words, tmp_path, in_process):
    assert words in in_process(write(tmp_path, square()), *names)


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path):
    with pytest.raises(UserError, match="is not there"):
        last_report(examine_file(tmp_path / "nothing.py"))
    with pytest.raises(UserError, match="is not a file"):
        last_report(examine_file(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_what_crashes_hangs_or_exits_stops_neither_the_checker_nor_the_others(tmp_path):
    path = write(
        tmp_path,
        square("Exp", forward="ctypes.string_at(0)"),
        square("Log", backward="while True: print('flood' * 1000)"),
        square("Sqrt", forward="os._exit(7)"),
        square("Tanh", backward="sys.exit(0)"),
        square("Sigmoid", forward="raise NotImplementedError('to do')"),
        square(),
    )
    report = last_report(examine_file(path, (), 3.0))
    results = {diagnosis.function: (diagnosis.verdict, diagnosis.findings[0].message) for diagnosis in report.diagnoses}
    assert list(results) == ["Exp", "Log", "Sqrt", "Tanh", "Sigmoid", "Square"]
    assert results["Exp"] == ("error", "Exp crashed Python (SIGSEGV).")
    assert results["Log"] == ("error", "Log did not come to an end within 3 seconds.")
    assert results["Sqrt"] == ("error", "Sqrt ended Python, with exit status 7.")
    assert results["Tanh"][0] == "wrong"  # its values are not those of tanh, besides
    assert "NotImplementedError: to do (line" in results["Sigmoid"][1]
    assert results["Sigmoid"][0] == "error"
    assert results["Square"][0] == "correct"
    classes = [number for number, line in enumerate(path.read_text().split("\n"), 1) if line.startswith("class ")]
    assert [diagnosis.line for diagnosis in report.diagnoses] == classes
    assert {diagnosis.file for diagnosis in report.diagnoses} == {str(path)}


def test_what_a_file_prints_is_shown_apart_and_cut(tmp_path, capfd):
    run(write(tmp_path, "print('hello ' * 100_000)\n", square()), status=0)
    captured = capfd.readouterr()
    assert "hello" not in captured.out
    assert "lab.py printed:" in captured.err
    assert len(captured.err) < 5000


def test_a_name_can_be_mapped_to_an_operation(tmp_path):
    path = write(tmp_path, square("Foo"), LINEAR.replace("class Linear", "class Affine2"))
    diagnoses = last_report(examine_file(path, ("Foo=square", "Affine2=linear:course"))).diagnoses
    assert [(diagnosis.function, diagnosis.operation, diagnosis.verdict) for diagnosis in diagnoses] == [
        ("Foo", "square", "correct"),
        ("Affine2", "linear", "correct"),
    ]


def test_a_file_may_import_its_neighbour_and_be_part_of_a_package(tmp_path):
    write(tmp_path, "two = 2\n", name="neighbour.py")
    path = write(tmp_path, "from neighbour import two\n", square())
    assert last_report(examine_file(path)).diagnoses[0].verdict == "correct"
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    write(package, "two = 2\n", name="neighbour.py")
    path = write(package, "from .neighbour import two\n", square())
    assert last_report(examine_file(path)).diagnoses[0].verdict == "correct"


def test_as_a_command_it_ends_with_the_status_that_is_promised(tmp_path):
    path = write(tmp_path, square(), square("MySquare", backward="return 3 * grad_output"))
    process = subprocess.run(
        [sys.executable, "-m", "amal", "check", str(path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.returncode == 1
    assert "CORRECT Square" in process.stdout
    assert "WRONG   MySquare" in process.stdout


# ---------------------------------------------------------------------------------- in Python

INPUTS = torch.randn(5, 3), torch.randn(4, 3), torch.randn(4)


def test_check_takes_any_function_and_inputs_with_a_reference_or_without():
    assert check(LinearFunction, INPUTS).verdict == "correct"
    assert check(LinearFunction, INPUTS, reference=torch.nn.functional.linear).verdict == "correct"
    other = check(LinearFunction, INPUTS, reference=lambda input, weight, bias: input @ weight.T)
    assert [finding.code for finding in other.findings] == ["forward-value"]


@pytest.mark.parametrize(
    ("function", "inputs", "code"),
    [
        (BiasNotSummed, INPUTS, "not-summed"),
        (DetachedBackward, INPUTS, "second-order"),
        (TensorKeptOnContext, INPUTS, "keeps-tensors"),
        (GradOutputInPlace, (torch.randn(5, 3), torch.randn(5, 3), "mean"), "mutates-grad-output"),
    ],
)
def test_check_without_a_reference_sees_what_gradcheck_does_not(function, inputs, code):
    diagnosis = check(function, inputs)
    assert [finding.code for finding in diagnosis.findings if finding.severity == "error"] == [code]
    with pytest.raises(AssertionError, match=code):
        assert_correct(function, inputs)


def test_assert_correct_is_silent_about_what_is_right():
    assert_correct(MSEFunction, (torch.randn(5, 3), torch.randn(5, 3), "mean"))


def test_only_functions_and_known_operations_are_examined():
    with pytest.raises(TypeError, match="expected a Function, a module or another callable"):
        check("tanh", INPUTS)
    with pytest.raises(TypeError, match=r"expected a subclass of torch\.autograd\.Function"):
        examine(torch.tanh, "tanh")
    with pytest.raises(ValueError, match="no operation sorting"):
        examine(LinearFunction, "sorting")
    with pytest.raises(ValueError, match="linear has no definition odd"):
        examine(LinearFunction, "linear", "odd")


def test_what_is_random_is_not_taken_for_right():
    own = torch.Generator().manual_seed(0)

    class Noise(Function):
        generator = None

        @classmethod
        def forward(cls, ctx, x):
            return x + torch.rand((), generator=cls.generator)

        @staticmethod
        def backward(ctx, grad_output):
            return grad_output

    assert check(Noise, (torch.randn(3),)).verdict == "correct"  # torch's numbers are the same at each call
    Noise.generator = own
    assert "another value at each call" in check(Noise, (torch.randn(3),)).findings[0].message


def test_the_documented_codes_are_those_that_can_be_said():
    doctor = Path(cli.__file__).parent / "doctor"
    source = "".join(path.read_text() for path in doctor.rglob("*.py") if path.name != "findings.py")
    assert {code for code in CODES if f'"{code}"' not in source} == set()


def test_a_diagnosis_reads_as_text():
    text = str(check(BiasNotSummed, INPUTS))
    assert text == as_text([check(BiasNotSummed, INPUTS)])
    assert text.splitlines()[0].startswith("WRONG   BiasNotSummed")


def test_the_page_of_the_doctor_lists_every_code_and_every_operation():
    page = (Path(__file__).parents[2] / "docs/DOCTOR.md").read_text(encoding="utf-8")
    assert [code for code in CODES if f"| `{code}` |" not in page] == []
    assert [name for name in all_operations() if f"| {name} |" not in page] == []


ROW_BIAS = """
from torch.autograd import Function

# {comment}
class Linear(Function):
    {docstring}

    @staticmethod
    def forward(ctx, X, W, b):
        {code}
        ctx.save_for_backward(X, W, b)
        return X @ W + b

    @staticmethod
    def backward(ctx, grad_output):
        X, W, b = ctx.saved_tensors
        return grad_output @ W.T, X.T @ grad_output, {gradient}
"""
ANY_SHAPE = "grad_output.sum(0).reshape(b.shape)"
SAYS = {
    "docstring": {"docstring": '"""X W + b; b (1, p)."""'},
    "comment": {"comment": "b is (1, p)"},
    "forward's docstring": {"code": '"""Return X W + b, b (1, p)."""'},
    "code": {"code": "assert b.shape[1] == W.shape[1]"},
}


def class_by_exec(cell=None, **words):
    """The class as a notebook's cell makes it, whose text is kept; as exec does, without one; never of this module."""
    source = ROW_BIAS.format(**{"comment": "", "docstring": "", "code": "", "gradient": ANY_SHAPE, **words})
    name = f"<cell {cell}>" if cell else "<string>"
    if cell:
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    scope = {"__name__": __name__}
    exec(compile(source, name, "exec"), scope)
    return scope["Linear"]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("where", SAYS)
def test_what_a_class_in_a_notebook_says_of_its_bias_is_read(where):
    try:
        diagnosis = examine(class_by_exec(cell=where, **SAYS[where]), "linear")
    finally:
        linecache.cache.pop(f"<cell {where}>", None)
    assert diagnosis.verdict == "correct", diagnosis
    assert "bias (1, out)" in diagnosis.definition
    assert "bias (out)" in examine(class_by_exec(), "linear").definition


@pytest.mark.parametrize("where", ["docstring", "forward's docstring"])
def test_what_a_class_without_a_source_says_in_docstrings_is_read(where):
    assert "bias (1, out)" in examine(class_by_exec(**SAYS[where]), "linear").definition


@pytest.mark.one_in(2)
@pytest.mark.parametrize("says", ["nothing", "docstring", "comment", "forward's docstring"])
@pytest.mark.parametrize(("gradient", "bias"), [("sum(0)", "(out)"), ("sum(0, keepdim=True)", "(1, out)")])
def test_the_shape_of_its_gradient_says_what_the_bias_is_and_words_do_not(gradient, bias, says):
    function = class_by_exec(cell=f"{gradient} {says}", **SAYS.get(says, {}), gradient=f"grad_output.{gradient}")
    diagnosis = examine(function, "linear")
    linecache.cache.pop(f"<cell {gradient} {says}>", None)
    assert diagnosis.verdict == "correct", diagnosis
    assert f"bias {bias}" in diagnosis.definition


@pytest.mark.parametrize(
    ("gradient", "bias", "code"),
    [
        ("mean(0, keepdim=True)", "(1, out)", "grad-factor"),
        ("mean(0)", "(out)", "grad-factor"),
        ("clone()", "(out)", "not-summed"),
        ("sum()", "(out)", "grad-shape"),
    ],
)
def test_what_is_wrong_for_both_shapes_is_told_about_the_likelier_one(gradient, bias, code):
    diagnosis = examine(class_by_exec(gradient=f"grad_output.{gradient}"), "linear")
    assert [(finding.code, finding.input) for finding in diagnosis.findings if finding.severity == "error"] == [
        (code, "b")
    ]
    assert f"bias {bias}" in diagnosis.definition


@pytest.mark.parametrize("option", ["--time-limit", "--memory-limit"])
@pytest.mark.parametrize("limit", ["-1", "0", "nan", "inf"])
def test_limits_within_which_nothing_can_run_are_refused(option, limit, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        cli.app.cli(["check", str(tmp_path), f"{option}={limit}"])
    assert end.value.code == 2
    assert capsys.readouterr().err == f"amal check: {option} {float(limit):g}: expected a positive number\n"
