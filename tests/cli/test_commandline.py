"""A wrong command line is answered in one line with a guess at what was meant; who reads a part sees no traceback."""

import importlib
import os
import subprocess
import sys

import pytest
from running import ROOT

from amal import cli
from amal.commandline import quiet_without_reader
from amal.errors import did_you_mean
from amal.runs import launch

MISTYPED = {
    "chekc x": "amal: no command chekc (did you mean check?); there are labs, ops, ",
    "tabulate": "amal: no command tabulate; there are labs, ops, ",
    "labs tme": "amal labs: invalid choice 'tme' (did you mean tme",
    "exercise tmi1 x": "amal exercise: invalid choice 'tmi1' (did you mean tme1?)",
    "show liner": "amal show: no operation liner (did you mean linear?); there are linear, ",
    "show Linear": "amal show: no operation Linear (did you mean linear?); there are linear, ",
    "ops tahn": "amal ops: no operation tahn (did you mean tanh?); there are linear, ",
    "graph mpl": "amal graph: no network mpl (did you mean mlp?); there are mlp, ",
    "mutants liner": "amal mutants: no mutants of liner (did you mean linear?); there are those of linear, ",
    "mutants linear --show bais-not-summed": "amal mutants: linear has no mutant bais-not-summed (did you mean ",
    "grade x liner": "amal grade: no mutants of liner (did you mean linear?); there are those of linear, ",
    "check --time-limt 3 x": "amal check: Unrecognized options: --time-limt (did you mean --time-limit?)",
    "ops --markdwn=x": "amal ops: Unrecognized options: --markdwn=x (did you mean --markdown?)",
    "board --prot 3": "amal board: Unrecognized options: --prot (did you mean --port?), 3",
    "show --width 3": "amal show: Unrecognized options: --width, 3 (--help lists the options)",
    "--hlep": "amal: Unrecognized options: --hlep (did you mean --help?)",
}


@pytest.mark.parametrize("line", MISTYPED)
def test_a_mistyped_command_is_answered_with_a_guess(line, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.app.cli(line.split())
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(MISTYPED[line])
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "line", "message"),
    [
        ("tme1.regression", "--learning-rte 3", "--learning-rte (did you mean --lr?), 3"),
        ("tme1.regression", "--learning_rate=3", "--learning_rate=3 (did you mean --lr?)"),
        (
            "tme1.regression",
            "--epcohs=3 --sede 4",
            "--epcohs=3 (did you mean --epochs?), --sede (did you mean --seed?)",
        ),
        ("tme1.regression", "--no-progres", "--no-progres (did you mean --no-progress?)"),
        ("tme3.classifier", "--data_rot x", "--data_rot (did you mean --data-root?), x"),
        ("tme1.regression", "--dataset bostn", "--dataset bostn (did you mean boston?): expected some of"),
        (
            "tme1.classification",
            "--dataset checkerbord",
            "--dataset checkerbord (did you mean checkerboard?): expected",
        ),
        ("tme2.descent", "--dataset bostn", "invalid choice 'bostn' (did you mean boston?)"),
        ("tme3.classifier", "--dataset mnst", "invalid choice 'mnst' (did you mean mnist?)"),
        ("tme3.convolution", "--models conv1d", "--models conv1d (did you mean Conv1d?): expected some of"),
    ],
)
def test_a_mistyped_option_of_a_script_is_answered_with_a_guess(script, line, message, capsys):
    with pytest.raises(SystemExit):
        launch(importlib.import_module(script).run, line.split())
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_terminal_without_lines_gets_the_same_line(tmp_path):
    """tyro then draws its boxes of hyphens."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    line = [sys.executable, "-m", "amal", "board", "--prot", "3"]
    answer = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert answer.stderr == (
        "amal board: Unrecognized options: --prot (did you mean --port?), 3 (--help lists the options)\n"
    )


def test_a_word_like_none_gets_no_guess():
    assert did_you_mean("zebra", ["linear", "tanh"]) == ""


def test_help_still_helps(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.app.cli(["check", "--help"])
    assert not stop.value.code
    assert "--time-limit" in capsys.readouterr().out


# Nobody reads on

PRINTS = "import amal.cli; amal.cli.app.cli({args})"
LAUNCHES = """
from amal.runs import Outcome, launch
from amal.training import RunConfig
def run(config: RunConfig, logbook) -> Outcome:
    print("x" * 200_000)
    return Outcome("done", {{}})
launch(run, {args})
"""


@pytest.mark.one_in(3)
@pytest.mark.skipif(sys.platform == "win32", reason="there are no broken pipes on Windows")
@pytest.mark.parametrize(
    "code",
    [
        PRINTS.format(args=["--help"]),
        pytest.param(PRINTS.format(args=["graph"]), marks=pytest.mark.slow),
        pytest.param(PRINTS.format(args=["show", "tanh"]), marks=pytest.mark.slow),
        PRINTS.format(args=["chekc"]),
        pytest.param(LAUNCHES.format(args=["--help"]), marks=pytest.mark.slow),
        LAUNCHES.format(args=["--no-progress"]),
        pytest.param(LAUNCHES.format(args=["--epcohs=3"]), marks=pytest.mark.slow),
    ],
    ids=["help", "a list", "a page", "a complaint", "help of a script", "a script", "a script's complaint"],
)
def test_a_command_whose_output_is_not_read_ends_in_silence(code, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)  # before it begins: what `| head -1` does a moment later
    complaint = "chekc" in code or "epcohs" in code
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        process = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE if complaint else writer,
            stderr=writer if complaint else subprocess.PIPE,
            cwd=tmp_path,
            env=env,
            check=False,
        )
    finally:
        os.close(writer)
    assert process.returncode == 141
    assert not process.stderr
    assert not process.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there are no broken pipes on Windows")
def test_another_broken_pipe_is_told():
    with pytest.raises(BrokenPipeError), quiet_without_reader():
        raise BrokenPipeError
