"""What the pages show of code and of output is what there is: every block is a command, a formula, or held here."""

import ast
import doctest
import inspect
import os
import re
import runpy
import shlex
import tempfile
from dataclasses import replace
from pathlib import Path

import newcomer
import pytest
import torch
from pages import GENERATED, PAGES, ROOT, blocks, docs_module, read
from test_docs_commands import parse

from amal.checking import assert_correct, check
from amal.course.labs import Row, as_table
from amal.doctor import examine
from amal.doctor.findings import as_text
from amal.experiments import find_experiments, read_experiment
from amal.proofs import matrix

# ---------------------------------------------------------------------------------- what holds a block


def in_order(shown, said):
    """Return the first line that is shown, and does not stand in what was said after the ones before it."""
    left = iter(line.rstrip() for line in said.split("\n"))
    return next((line for line in shown.split("\n") if line.strip() not in ("", "...") and line not in left), None)


def holds_linear(shown):
    """Code stands in the file that it is said to be from, line after line."""
    assert shown in read("amal/ops/linear.py")


def holds_labs(shown):
    """The table of `amal labs`, from what the newest runs measured; its seconds are of any run."""
    measured = docs_module("tables").rows(read("docs/RESULTS.md").split("## TME 1")[0])
    experiment = find_experiments()["tme1.gradcheck"]
    [words] = [cells[3] for cells in measured if cells[0] == experiment.number]
    seconds = float(re.search(r" (\d+\.\d)$", shown, re.MULTILINE)[1])
    assert (
        in_order(shown, as_table([Row("tme1.gradcheck", experiment, words, seconds, False, "")], 120, seconds)) is None
    )


def holds_mistakes(shown):
    """Rows of the table that the sheet shows, which a test of tme1.gradcheck holds against its output."""
    assert in_order(shown, read("tme1/README.md")) is None


class MSE(torch.autograd.Function):
    """The error of the sheet, with the factor of another one in its derivative."""

    @staticmethod
    def forward(ctx, prediction, target):
        ctx.save_for_backward(prediction, target)
        return ((prediction - target) ** 2).sum() / len(prediction)

    @staticmethod
    def backward(ctx, grad_output):
        prediction, target = ctx.saved_tensors
        grad = grad_output * 2 * (prediction - target) / prediction.numel()
        return grad, -grad


def holds_doctor(shown):
    """What `amal check` says of the two mistakes in lab.py, in a terminal of 120 columns."""
    imports, linear = newcomer.WRONG.split("\n\n\n", 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lab.py")
        path.write_text("\n\n\n".join([imports, inspect.getsource(MSE).rstrip(), linear]), encoding="utf-8")
        functions = runpy.run_path(str(path))
        found = [examine(functions[name], name.lower()) for name in ("MSE", "Linear")]
    said = as_text([replace(of, file=os.path.abspath("lab.py")) for of in found], 120)
    assert in_order(shown, said) is None, said


def holds_check(shown):
    """The lines of Python run, on a Function that is right."""
    input, weight = torch.ones(2, 3, dtype=torch.float64), torch.ones(4, 3, dtype=torch.float64)
    scope = {"MyFunction": Product, "torch": torch, "input": input, "weight": weight, "print": str}
    scope |= {
        "Spike": Spike,
        "OnceOnly": OnceOnly,
        "my_module": torch.nn.Linear(3, 2),
        "my_loss": my_loss,
    }
    scope |= {"voltage": torch.linspace(-1.3, 1.2, 4), "prediction": input, "target": 2 * input}
    exec(shown, scope)
    assert scope["check"] is check
    assert scope["assert_correct"] is assert_correct


def holds_declared(shown):
    """What the class says is understood."""
    scope = {"torch": torch}
    exec(shown, scope)
    rounded = type("Rounded", (scope["Round"], Rounding), {})
    assert check(rounded).verdict == "correct"
    assert check(Rounding).verdict == "wrong"


class Rounding(torch.autograd.Function):
    """Straight through."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


class Product(torch.autograd.Function):
    """X Wᵀ, right."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w.mT

    @staticmethod
    def backward(ctx, grad_output):
        x, w = ctx.saved_tensors
        return grad_output @ w, grad_output.mT @ x


class Spike(torch.autograd.Function):
    """1 above 0, with the slope of a sigmoid."""

    @staticmethod
    def forward(ctx, voltage):
        ctx.save_for_backward(voltage)
        return (voltage > 0).to(voltage.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        (voltage,) = ctx.saved_tensors
        return 4 * torch.sigmoid(4 * voltage) * (1 - torch.sigmoid(4 * voltage)) * grad_output


class OnceOnly(torch.autograd.Function):
    """x³, whose second derivative is wrong without a word."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return 3 * x.detach() ** 2 * grad_output


def my_loss(prediction, target):
    return torch.nn.functional.mse_loss(prediction, target)


def holds_workflow(shown):
    """Each step uses an action of some version, or runs what its program would understand."""
    steps = re.findall(r"^ *- (\w+): (.+)$", shown, re.MULTILINE)
    assert {kind for kind, _ in steps} == {"uses", "run"}
    assert [of for kind, of in steps if kind == "uses" and not re.fullmatch(r"[\w-]+(/[\w-]+)+@v\d+", of)] == []
    checks = [shlex.split(of.split(" > ")[0]) for kind, of in steps if kind == "run" and of.startswith("amal")]
    for program, *arguments in checks:
        parse(program, arguments)
    assert {arguments[-1] for arguments in checks} == {"github", "sarif"}


def holds_ops(shown):
    """Rows of docs/OPERATIONS.md, set for a terminal, and what `amal ops` says below them."""
    header, *known = docs_module("tables").rows(read("docs/OPERATIONS.md"))[:-1]
    cells = {name.strip("`"): values for name, *values in known}
    table, _, legend = shown.partition("\n...\n\n")
    (first, *titles), *lines = (re.split(r"\s{2,}", line.strip()) for line in table.split("\n"))
    assert [first, *titles] == header
    assert len(lines) > 3
    assert {name: values for name, *values in lines} == {name: cells[name] for name, *_ in lines}
    assert legend.strip() == matrix.LEGEND


def holds_errors(shown):
    """A session whose errors are shown by their last line."""
    scope, said = {}, None
    for line in shown.strip().split("\n"):
        if line.startswith(">>> "):
            assert said is None, f"an error is not shown: {said}"
            try:
                exec(line.removeprefix(">>> "), scope)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
        else:
            assert line == said
            said = None
    assert said is None


def holds_session(shown):
    """A session says what Python says."""
    test = doctest.DocTestParser().get_doctest(shown + "\n", {}, "session", None, 0)
    assert test.examples
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None).failed == 0


def holds_map(shown):
    """Every file that is named is there, and every room of the package is named."""
    named = []
    for line in shown.split("\n"):
        head = re.split(r"\s{2,}", line.strip())[0]
        named += [
            ("amal/" if line.startswith(" ") else "") + place for place in re.findall(r"\w+(?:/|\.py)(?=\s|$)", head)
        ]
    assert len(named) > len(shown.split("\n"))
    assert [place for place in named if not (ROOT / place).exists()] == []
    rooms = {f"amal/{path.parent.name}/" for path in (ROOT / "amal").glob("*/__init__.py")}
    assert rooms - set(named) == set()


def holds_template(shown):
    """The module that a new experiment begins as is Python, and declares one."""
    tree = ast.parse(shown)
    experiment = read_experiment(ast.get_docstring(tree))
    assert experiment
    assert experiment.look
    assert not experiment.alone


def holds_run(shown):
    """The files of a run folder are those that runs have."""
    written = "\n".join(
        (ROOT / "amal" / name).read_text("utf-8") for name in ("runs/launcher.py", "training/checkpoint.py")
    )
    named = re.findall(r"^    ([\w.-]+)", shown, re.MULTILINE)
    assert [name for name in named if name.endswith(".json")] == ["config.json", "metrics.json"]
    assert all(name in written for name in ("config.json", "metrics.json"))


def holds_step(shown):
    """The lines of Python move parameters as SGD does, and forget the gradients."""
    by_hand, by_torch = (torch.arange(3.0).requires_grad_() for _ in range(2))
    for parameter in (by_hand, by_torch):
        (parameter**2).sum().backward()
    exec(shown, {"torch": torch, "parameters": [by_hand], "learning_rate": 0.1})
    torch.optim.SGD([by_torch], 0.1).step()
    assert by_hand.equal(by_torch)
    assert by_hand.grad is None


def holds_profiler(shown):
    """Names and calls are those of a step; times are of any machine."""
    from tme2 import profiler

    step = profiler.steps(10, 20, torch.device("cpu"))
    step()
    watched = profiler.profiled(step, torch.device("cpu")).key_averages()
    said = {f"`{event.key}`": str(event.count // profiler.STEPS) for event in watched}
    lines = [[cell.strip() for cell in line.split("|")][1:3] for line in shown.split("\n") if line.startswith("| `")]
    assert len(lines) > 6
    assert [(name, calls) for name, calls in lines if said.get(name) != calls] == []


def holds_loader(shown):
    """Batches are counted, and milliseconds are those of docs/RESULTS.md."""
    tables = docs_module("tables")
    values = tables.run_of("3.1", "mnist").values
    for name, batches, last, _, milliseconds in tables.rows(shown)[1:]:
        size = 500 if "500" in name else 32
        whole, rest = divmod(55_000, size)
        expected = (whole, size) if "drop_last" in name or not rest else (whole + 1, rest)
        assert (int(batches), int(last)) == expected, name
        key = name.replace("_", " ")
        assert float(milliseconds) == pytest.approx(1000 * float(values[f"{key}, seconds"]), abs=0.5)


HELD = {
    ("docs/DOCTOR.md", "from amal.checking"): holds_check,
    ("docs/DOCTOR.md", "class Round"): holds_declared,
    ("README.md", "experiment  "): holds_labs,
    ("README.md", "    @staticmethod"): holds_linear,
    ("README.md", "a mistake  "): holds_mistakes,
    ("README.md", "WRONG   MSE"): holds_doctor,
    ("README.md", "from amal.checking"): holds_check,
    **dict.fromkeys(
        [
            ("README.md", "# src/functions.py"),
            ("README.md", "# tests/test_functions.py"),
            ("README.md", "# pytest.ini"),
            ("README.md", "tests/test_functions.py ."),
        ],
        "tests/doctor/test_pytest_plugin.py",
    ),
    ("README.md", "    steps:"): holds_workflow,
    ("README.md", "operation  "): holds_ops,
    ("README.md", ">>> import torch"): holds_errors,
    ("README.md", "amal/"): holds_map,
    ("CONTRIBUTING.md", '"""Experiment'): holds_template,
    ("runs/README.md", "runs/<lab>"): holds_run,
    ("tme1/README.md", "a mistake  "): "tests/course/test_tme1.py",
    ("tme1/README.md", "squared errors"): "tests/docs/test_docs_commands.py",
    ("tme2/README.md", "with torch.no_grad()"): holds_step,
    ("tme2/README.md", ">>> from amal.nn"): holds_session,
    ("tme2/README.md", "batch of 10: "): holds_profiler,
    ("tme3/README.md", ">>> import torch"): holds_session,
    ("tme3/README.md", "python -m tme3.data_loader --dataset mnist"): holds_loader,
}
"""(page, how a block begins) -> what holds it, or the file whose test does."""

COMMAND = re.compile(r"(\.venv/bin/)?(make|source|amal|python3?|torchrun)\b")


def is_commands(content):
    return all(COMMAND.match(line) for line in content.split("\n") if line.strip())


def shown_in(page):
    """Yield (line, text) of every block of a page that is neither formulas nor commands alone."""
    for number, language, content in blocks(read(page)):
        if language not in (None, "math") and not is_commands(content):
            yield number, content.strip("\n")


def holder(page, content):
    return next((test for (where, start), test in HELD.items() if where == page and content.startswith(start)), None)


SHOWN = [(page, number, content) for page in PAGES if page not in GENERATED for number, content in shown_in(page)]


@pytest.mark.parametrize(("page", "number", "content"), SHOWN, ids=lambda value: str(value).split("\n")[0][:40])
def test_what_a_page_shows_is_what_there_is(page, number, content):
    held = holder(page, content)
    assert held, f"{page}, line {number}: no test holds this block against its source; add it to HELD"
    if callable(held):
        held(content)
    else:
        assert content[:9] in read(held)


def test_everything_that_is_held_is_shown():
    assert {
        key for key in HELD if not any(page == key[0] and text.startswith(key[1]) for page, _, text in SHOWN)
    } == set()


# ---------------------------------------------------------------------------------- and it can fail

CHANGES = [
    ("README.md", "    @staticmethod", "grad_output.sum(0)", "grad_output.mean(0)"),
    ("README.md", "experiment  ", "287", "288"),
    ("README.md", "WRONG   MSE", "0.163794", "0.163795"),
    ("README.md", "WRONG   MSE", "lab.py:14", "lab.py:15"),
    ("README.md", "    steps:", "--format sarif", "--formats sarif"),
    ("README.md", "    steps:", "checkout@v5", "checkout"),
    ("README.md", "a mistake  ", "exact shapes", "gradient"),
    ("README.md", "operation  ", "1.74", "1.75"),
    ("README.md", "operation  ", "at most 1.", "at most 2."),
    ("README.md", ">>> import torch", "expects 3 features", "expects 4 features"),
    ("README.md", "amal/", "  graph/", "  graphs/"),
    ("README.md", "amal/", "  show/           an operation's derivation, code and worked example\n", ""),
    ("README.md", "from amal.checking", "assert_correct(", "assert_right("),
    ("CONTRIBUTING.md", '"""Experiment', "Reported:", "Said:"),
    ("tme2/README.md", "with torch.no_grad()", "parameter.grad = None", "pass"),
    ("tme2/README.md", "batch of 10: ", "| `LinearFunction` | 2 |", "| `LinearFunction` | 3 |"),
    ("tme3/README.md", "python -m tme3.data_loader", "1719", "1718"),
    ("tme3/README.md", "python -m tme3.data_loader", "182.5", "183.5"),
    ("tme3/README.md", ">>> import torch", "0.7966", "0.7967"),
    ("runs/README.md", "runs/<lab>", "metrics.json", "results.json"),
]


@pytest.mark.parametrize(("page", "start", "old", "new"), CHANGES)
def test_a_block_that_has_drifted_is_seen(page, start, old, new):
    [content] = [text for where, _, text in SHOWN if where == page and text.startswith(start)]
    assert old in content
    with pytest.raises((AssertionError, NameError, ImportError, KeyError, ValueError)):
        holder(page, content)(content.replace(old, new, 1))


def test_a_block_that_nothing_holds_is_seen():
    assert holder("README.md", "epoch 1: loss 0.3") is None
    assert not is_commands("make\nloss 0.3")
    assert is_commands("make test   # all\n\n.venv/bin/amal board")


def test_lines_must_stand_in_their_order():
    assert in_order("a\n...\nc", "a\nb\nc") is None
    assert in_order("c\na", "a\nb\nc") == "a"
