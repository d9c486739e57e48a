"""Where a finding stands, and what `amal check --format` says of it: text, JSON, SARIF, commands of GitHub."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch.autograd import Function

import amal
from amal import cli
from amal.checking import check, examine
from amal.course.mutants import SOLUTIONS
from amal.doctor import annotations, isolation
from amal.doctor.findings import CODES, METHODS, Diagnosis, Finding, as_json, as_text, diagnosis_from
from amal.errors import UserError

HEAD = "import torch\nfrom torch.autograd import Function\nfrom torch.autograd.function import once_differentiable\n"
LINEAR = SOLUTIONS["linear"]
CUBE = """
class Cube(Function):  # the class
    generate_vmap_rule = True

    @staticmethod
    def forward(x):  # forward
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):  # setup_context
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, grad_output):  # backward
        return 3 * ctx.saved_tensors[0] ** 2 * grad_output

    @staticmethod
    def jvp(ctx, tangent):  # jvp
        return 3 * ctx.saved_tensors[0] ** 2 * tangent
"""
OLD_FORM = """
class Cube(Function):  # the class
    @staticmethod
    def forward(ctx, x):  # forward
        ctx.kept = x
        return x**3

    @staticmethod
    def backward(ctx, grad_output):
        return 3 * ctx.kept ** 2 * grad_output
"""
OWN_VMAP = """
    @staticmethod
    def vmap(info, in_dims, x):  # vmap
        return Cube.apply(x) + 1, in_dims[0]
"""


def line_of(text, mark):
    return next(number for number, line in enumerate(text.split("\n"), 1) if line.endswith(f"  # {mark}"))


@pytest.fixture
def functions(tmp_path):
    """The classes of a file of some text."""

    def load(text):
        path = tmp_path / "lab.py"
        path.write_text(HEAD + text)
        specification = importlib.util.spec_from_file_location("lab", path)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module

    return load


def cube(*changes):
    text = CUBE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


BACKWARD = "return 3 * ctx.saved_tensors[0] ** 2 * grad_output"
JVP = "return 3 * ctx.saved_tensors[0] ** 2 * tangent"
ONCE = ("    @staticmethod\n    def back", "    @staticmethod\n    @once_differentiable\n    def back")
ATTRIBUTE = ("ctx.save_for_backward", "ctx.kept = inputs[0]; ctx.save_for_backward")
DOUBLED = "x = ctx.saved_tensors[0]; grad = 3 * x**2 * grad_output; x.mul_(2); return grad"
LINES = [
    (cube((BACKWARD, "return 2 * grad_output")), "grad-value", "backward"),
    (cube((BACKWARD, "return 2 * grad_output"), ONCE), "grad-value", "backward"),
    (cube(("return x**3", "return 2 * x**3")), "forward-value", "forward"),
    (cube(("return x**3", "raise ValueError('to do')")), "raises", "forward"),
    (cube((BACKWARD, "1 / 0")), "raises", "backward"),
    (cube((JVP, "return tangent")), "grad-value", "jvp"),
    (cube((JVP, "return (3 * ctx.saved_tensors[0] ** 2 * tangent).float()")), "grad-dtype", "jvp"),
    (cube(("    generate_vmap_rule = True", "")) + OWN_VMAP, "vmap", "vmap"),
    (cube(ATTRIBUTE), "keeps-tensors", "setup_context"),
    (OLD_FORM, "keeps-tensors", "forward"),
    (cube(("return x**3", "y = x**3; x.zero_(); return y")), "mutates-input", "forward"),
    (cube((BACKWARD, DOUBLED)), "mutates-input", "backward"),
]


@pytest.mark.parametrize(("text", "code", "mark"), LINES, ids=lambda value: value[:20].strip())
def test_a_finding_has_the_line_of_the_method_that_it_is_about(text, code, mark, functions):
    diagnosis = check(functions(text).Cube, (torch.randn(4),), reference=lambda x: x**3)
    error = next(finding for finding in diagnosis.findings if finding.code == code and finding.severity == "error")
    assert error.line == line_of(HEAD + text, mark), diagnosis
    assert error.method == mark
    assert (Path(diagnosis.file).name, diagnosis.line) == ("lab.py", line_of(HEAD + text, "the class"))


def test_a_method_of_another_class_of_the_file_has_its_line_and_one_of_torch_that_of_the_class(functions):
    text = cube((BACKWARD, "return 2 * grad_output"))
    text += "\n\nclass Child(Cube):  # the child\n    @staticmethod\n    def forward(x):\n        return x**3\n"
    diagnosis = check(functions(text).Child, (torch.randn(4),))
    assert diagnosis.line == line_of(HEAD + text, "the child")
    assert diagnosis.findings[0].line == line_of(HEAD + text, "backward")
    diagnosis = check(functions(cube(("generate_vmap_rule = True", "pass"))).Cube, (torch.randn(4),))
    assert [finding.line for finding in diagnosis.findings if finding.code == "no-vmap"] == [None]


def test_what_stands_in_no_file_has_no_line():
    scope = {"Function": Function, "torch": torch}
    exec(LINEAR, scope)
    for diagnosis in (examine(scope["Linear"], "linear"), check(torch.sin, (torch.ones(3),))):
        assert (diagnosis.file, diagnosis.line, diagnosis.place) == (None, None, "")
        assert as_json([diagnosis])


def test_methods_are_said_of_codes_that_there_are():
    assert METHODS.keys() <= CODES.keys()


# ---------------------------------------------------------------------------------- text and JSON

WRONG = Diagnosis(
    "Linear",
    "linear",
    "X W + b",
    (
        Finding("not-summed", "50 % off:\nline, two: b", "b", "error", "backward", 12),
        Finding("no-vmap", "There is no vmap.", None, "note"),
        Finding("definition", "X W + b.", None, "note", "forward", 7),
    ),
    str(Path.cwd() / "src" / "a lab, so: to say.py"),
    5,
)
RIGHT = Diagnosis("Square", "square", "entry by entry", WRONG.findings[2:], str(Path.cwd() / "src/right.py"), 40)
UNKNOWN = Diagnosis("Odd", "any function", "", (Finding("not-examined", "No inputs."),), "/elsewhere/odd.py", 3)
CRASHED = Diagnosis("Exp", "exp", "", (Finding("killed", "Exp was killed."),), str(Path.cwd() / "src/exp.py"), 9)
ALL = [WRONG, RIGHT, UNKNOWN, CRASHED]


def test_a_terminal_is_told_where_to_look_of_what_is_not_correct():
    heads = [block.splitlines()[0] for block in as_text(ALL).split("\n\n")]
    assert heads == [
        "WRONG   Linear  (linear: X W + b)  src/a lab, so: to say.py:12",
        "CORRECT Square  (square: entry by entry)",
        "NOT EXAMINED Odd  (any function)  /elsewhere/odd.py:3",
        "ERROR   Exp  (exp)  src/exp.py:9",
    ]


def test_json_has_file_and_line_of_the_class_and_of_each_finding():
    wrong, _, unknown, _ = json.loads(as_json(ALL))
    assert (wrong["file"], wrong["line"]) == ("src/a lab, so: to say.py", 5)
    assert [(finding["method"], finding["line"]) for finding in wrong["findings"]] == [
        ("backward", 12),
        (None, None),
        ("forward", 7),
    ]
    assert (unknown["file"], unknown["line"]) == ("/elsewhere/odd.py", 3)
    assert [diagnosis_from(each.as_dict()) for each in ALL] == ALL


# ---------------------------------------------------------------------------------- SARIF

SARIF = {
    "log": ({"version", "runs"}, {"$schema": str, "version": str, "runs": ["run"]}),
    "run": ({"tool"}, {"tool": "tool", "invocations": ["invocation"], "results": ["result"]}),
    "tool": ({"driver"}, {"driver": "component"}),
    "component": ({"name"}, {"name": str, "version": str, "rules": ["rule"]}),
    "rule": ({"id"}, {"id": str, "shortDescription": "text"}),
    "text": ({"text"}, {"text": str}),
    "invocation": ({"executionSuccessful"}, {"executionSuccessful": bool}),
    "result": (
        {"message"},
        {
            "ruleId": str,
            "ruleIndex": int,
            "level": str,
            "message": "text",
            "locations": ["location"],
            "partialFingerprints": {},
        },
    ),
    "location": (set(), {"physicalLocation": "physical", "logicalLocations": ["logical"]}),
    "physical": ({"artifactLocation"}, {"artifactLocation": "artifact", "region": "region"}),
    "artifact": (set(), {"uri": str, "uriBaseId": str}),
    "region": ({"startLine"}, {"startLine": int}),
    "logical": (set(), {"fullyQualifiedName": str}),
}
"""The part of the schema of SARIF 2.1.0 that is used: what each object must have, and may have."""


def sarif_faults(value, kind, where="log"):
    """Yield where a log is not what the schema wants."""
    if isinstance(kind, list):
        if not isinstance(value, list):
            yield f"{where} is no list"
            return
        for place, entry in enumerate(value):
            yield from sarif_faults(entry, kind[0], f"{where}[{place}]")
    elif isinstance(kind, str):
        required, fields = SARIF[kind]
        yield from (f"{where} has no {name}" for name in required - value.keys())
        for name, entry in value.items():
            if name in fields:
                yield from sarif_faults(entry, fields[name], f"{where}.{name}")
            else:
                yield f"{where} may not have {name}"
    elif isinstance(kind, dict):
        yield from (f"{where}.{name} is no text" for name, entry in value.items() if not isinstance(entry, str))
    elif type(value) is not kind:
        yield f"{where} is {value!r}"


def sarif(*diagnoses):
    log = json.loads(annotations.as_sarif(diagnoses))
    assert list(sarif_faults(log, "log")) == []
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("/sarif-schema-2.1.0.json")
    [run] = log["runs"]
    return run


def test_sarif_has_a_rule_for_every_code_and_the_version():
    driver = sarif()["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == list(CODES)
    assert driver["version"] == amal.__version__


def test_sarif_has_a_result_for_every_finding_but_which_definition_it_is():
    run = sarif(*ALL)
    levels = [(result["ruleId"], result["level"]) for result in run["results"]]
    assert levels == [("not-summed", "error"), ("no-vmap", "note"), ("not-examined", "warning"), ("killed", "warning")]
    assert {level for _, level in levels} <= {*get_args(annotations.Level)} <= {"none", "note", "warning", "error"}
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_sarif_points_to_the_line_from_the_working_folder_and_escapes_the_path():
    places = [result["locations"][0]["physicalLocation"] for result in sarif(*ALL)["results"]]
    assert [(each["artifactLocation"]["uri"], each["region"]["startLine"]) for each in places] == [
        ("src/a%20lab%2C%20so%3A%20to%20say.py", 12),
        ("src/a%20lab%2C%20so%3A%20to%20say.py", 5),
        ("file:///elsewhere/odd.py", 3),
        ("src/exp.py", 9),
    ]
    assert places[0]["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    assert "uriBaseId" not in places[2]["artifactLocation"]


def test_sarif_tells_two_findings_apart_and_knows_one_whose_line_has_moved():
    moved = replace(WRONG, line=50, findings=(replace(WRONG.findings[0], line=57),))
    other = replace(WRONG, findings=(replace(WRONG.findings[0], input="w"),))
    prints = [each["results"][0]["partialFingerprints"] for each in map(sarif, (WRONG, moved, other))]
    assert prints[0] == prints[1] != prints[2]


def test_sarif_says_whether_all_could_be_examined():
    for diagnoses, whole in (([WRONG, RIGHT], True), ([UNKNOWN], False), ([CRASHED], False)):
        assert sarif(*diagnoses)["invocations"] == [{"executionSuccessful": whole}]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"startLine"', '"line"', "region has no startLine"),
        ('"level"', '"severity"', "may not have severity"),
        ('"name": "amal"', '"name": 1', "is 1"),
        ('"driver"', '"drivers"', "tool has no driver"),
    ],
)
def test_a_log_that_is_no_sarif_is_seen(old, new, fault):
    log = annotations.as_sarif(ALL)
    assert old in log
    assert fault in " ".join(sarif_faults(json.loads(log.replace(old, new)), "log"))


# ---------------------------------------------------------------------------------- GitHub


def test_github_is_told_by_commands_with_what_must_be_escaped_escaped():
    path = "src/a lab%2C so%3A to say.py"
    assert annotations.as_github(ALL).split("\n") == [
        "WRONG   Linear  (linear: X W + b)",
        f"::error file={path},line=12,title=Linear%3A not-summed::50 %25 off:%0Aline, two: b",
        f"::notice file={path},line=5,title=Linear%3A no-vmap::There is no vmap.",
        "CORRECT Square  (square: entry by entry)",
        "NOT EXAMINED Odd  (any function)",
        "::warning file=/elsewhere/odd.py,line=3,title=Odd%3A not-examined::No inputs.",
        "ERROR   Exp  (exp)",
        "::warning file=src/exp.py,line=9,title=Exp%3A killed::Exp was killed.",
    ]


# ---------------------------------------------------------------------------------- the command


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """What `amal check` prints, and its status, of a file of which the doctor says something."""

    def run(*options, report):
        def examine_file(*_, **__):
            if isinstance(report, Exception):
                raise report
            yield report

        monkeypatch.setattr(isolation, "examine_file", examine_file)
        status = 0
        try:
            cli.app.cli(args=["check", str(tmp_path / "lab.py"), *options])
        except SystemExit as stopped:
            status = stopped.code
        return status, capsys.readouterr()

    return run


REPORT = isolation.Report([WRONG, RIGHT], "::error::this is what the file prints")


def test_a_format_is_chosen_and_json_has_a_short_form(command):
    output = {form: command("--format", form, report=REPORT)[1].out for form in ("text", "json", "sarif", "github")}
    assert output["text"] == command(report=REPORT)[1].out == as_text([WRONG, RIGHT], 120) + "\n"
    assert output["json"] == command("--json", report=REPORT)[1].out == as_json([WRONG, RIGHT]) + "\n"
    assert output["sarif"] == annotations.as_sarif([WRONG, RIGHT]) + "\n"
    assert output["github"] == annotations.as_github([WRONG, RIGHT]) + "\n"


def test_what_a_file_prints_is_no_command_of_a_workflow(command):
    for form in ("json", "sarif", "github"):
        status, printed = command("--format", form, report=REPORT)
        assert (status, printed.err) == (1, "")
        assert "what the file prints" not in printed.out
    assert "what the file prints" in command(report=REPORT)[1].err


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("text", ""),
        ("json", "[]\n"),
        ("sarif", '"text": "lab.py: it cannot be imported"'),
        ("github", "title=lab.py%3A not-examined::it cannot be imported"),
    ],
)
def test_a_file_that_cannot_be_examined_is_a_warning_where_nobody_reads_on(form, text, command):
    status, printed = command("--format", form, report=UserError("it cannot be imported"))
    assert (status, printed.err) == (2, "amal check: it cannot be imported\n")
    assert (text in printed.out) if text else not printed.out
    if form == "sarif":
        [result] = json.loads(printed.out)["runs"][0]["results"]
        assert (result["level"], result["ruleId"]) == ("warning", "not-examined")


def test_two_formats_and_a_format_of_a_folder_are_refused(command, tmp_path, capsys):
    status, printed = command("--json", "--format", "sarif", report=REPORT)
    assert (status, printed.err) == (2, "amal check: --json and --format sarif: give one of them\n")
    with pytest.raises(SystemExit) as stopped:
        cli.app.cli(["check", str(tmp_path), "--format", "github"])
    assert stopped.value.code == 2
    assert "--format github is for a file" in capsys.readouterr().err
