"""The labs to fill in: made of the solution, which is right, without a line of it; what is not done fails, alone."""

import ast
import itertools
import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from running import command

from amal import cli
from amal.course import exercises
from amal.course.exercises import source, trial
from amal.course.exercises.progress import Answer
from amal.errors import UserError
from amal.experiments import LABS

progress_module = sys.modules["amal.course.exercises.progress"]
PARTS = [(lab, part) for lab in LABS for name, text in source.read(lab).items() for part in source.parts(name, text)]
TESTS = [(lab, test) for lab in LABS for name, text in source.read(lab).items() for test in source.tests(name, text)]
FILES = [(lab, name) for lab in LABS for name in source.read(lab) if name.endswith(".py")]


def write(folder, texts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def states(monkeypatch):
    """Tell the state of each question, its tests run in this process, which has imported torch already."""

    def results(folder, texts, tests, limits):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            for path in folder.glob("*.py"):
                patch.delitem(sys.modules, path.stem, raising=False)
            modules = {
                file: trial.load(file, texts[file], str(folder)) for file in dict.fromkeys(t.file for t in tests)
            }
            for test in tests:
                module = modules[test.file]
                broken = isinstance(module, tuple)
                yield test.name, module if broken else trial.attempt(vars(module)[test.name], str(folder))
            for path in folder.glob("*.py"):
                sys.modules.pop(path.stem, None)

    monkeypatch.setattr(progress_module, "_results", results)
    return lambda folder: {answer.question: (answer.state, answer.said) for answer in exercises.progress(folder)}


def questions_in(lab):
    return [part.question for home, part in PARTS if home == lab]


@pytest.mark.parametrize("lab", LABS)
def test_the_readme_lists_the_questions_in_their_order(lab):
    rows = re.findall(r"^\| (\S+) \| `(\S+)` \| `(\S+)`: ", source.read(lab)["README.md"], re.MULTILINE)
    assert rows
    assert rows == [(part.question, part.file, part.title) for home, part in PARTS if home == lab]


@pytest.mark.parametrize("lab", LABS)
def test_every_question_has_tests_and_every_test_a_question(lab):
    assert {test.question for home, test in TESTS if home == lab} == set(questions_in(lab))
    functions = [
        node.name
        for file, text in source.read(lab).items()
        if file.startswith("test_")
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
    ]
    names = [test.name for home, test in TESTS if home == lab]
    assert sorted(functions) == sorted(names), "a test that no question counts"


@pytest.mark.parametrize("lab", LABS)
def test_the_solution_passes(lab, states, tmp_path):
    exercises.write(lab, tmp_path / "mine", solution=True)
    assert states(tmp_path / "mine") == dict.fromkeys(questions_in(lab), ("done", ""))


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("lab", "part"), PARTS, ids=lambda value: getattr(value, "question", value))
def test_of_all_solved_but_one_exactly_that_one_is_to_do(lab, part, states, tmp_path):
    answers = states(write(tmp_path / "mine", source.to_fill_in(lab, [part.question])))
    assert {question for question, (state, _) in answers.items() if state != "done"} == {part.question}
    state, message = answers[part.question]
    assert state == "to do"
    assert message.startswith(f"{source.title(lab)}, question {part.question}: {part.title}")


@pytest.mark.one_in(3)
@pytest.mark.parametrize("lab", LABS)
def test_at_each_stage_what_is_written_passes_and_needs_nothing_that_comes_later(lab, states, tmp_path):
    questions = questions_in(lab)
    for stage in range(len(questions) + 1):
        folder = write(tmp_path / f"stage{stage}", source.to_fill_in(lab, questions[stage:]))
        expected = ["done"] * stage + ["to do"] * (len(questions) - stage)
        assert [state for state, _ in states(folder).values()] == expected


@pytest.mark.parametrize(("lab", "file"), FILES)
def test_no_lab_needs_another_one(lab, file):
    modules = {Path(name).stem for name in source.read(lab)}
    tree = ast.parse(source.solution_files(lab)[file])
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert {name.split(".")[0] for name in imported} <= {*sys.stdlib_module_names, "torch", "amal", *modules}
    assert not any(node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))


def outline(text):
    """Names, signatures, docstrings: all that a student gets of a function."""
    return [
        (
            node.name,
            ast.get_docstring(node),
            [ast.unparse(decorator) for decorator in node.decorator_list],
            *([ast.unparse(node.args), node.returns and ast.unparse(node.returns)] if hasattr(node, "args") else []),
        )
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]


@pytest.mark.parametrize(("lab", "file"), FILES)
def test_signatures_and_docstrings_are_those_of_the_solution(lab, file):
    assert outline(source.to_fill_in(lab)[file]) == outline(source.solution_files(lab)[file])


@pytest.mark.parametrize(("lab", "file"), FILES)
def test_no_line_of_the_solution_is_left(lab, file):
    marked = source.read(lab)[file]
    blocks = [block.split(source.END)[0] for block in marked.split(source.BEGIN)[1:]]
    secret = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]
    text = source.to_fill_in(lab)[file]
    assert source.BEGIN not in text
    assert source.END not in text
    assert "type: ignore" not in text
    lines = {line.strip() for line in text.split("\ndef main()")[0].splitlines()}
    assert not lines & {line for line in secret if len(line) > 8}
    assert text.count("raise NotImplementedError(") == len(blocks)
    if blocks:
        assert secret


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f():\n    ### BEGIN SOLUTION\n    pass\n", "no ### END SOLUTION"),
        ('def f():\n    """Question 1. F."""\n    ### BEGIN SOLUTION\n    pass\n', "no ### END SOLUTION"),
        ('def f():\n    """Question 1. F."""\n    pass\n    ### END SOLUTION\n', "line 4: ### END SOLUTION where"),
        ("def f():\n    ### BEGIN SOLUTION\n    pass\n    ### END SOLUTION\n", "outside any question"),
    ],
)
def test_marks_that_do_not_fit_are_seen(text, message):
    with pytest.raises(ValueError, match=message if "Question" in text else "outside any question"):
        source.without_solution(text, "tme1")


def test_a_file_of_the_student_is_never_overwritten(tmp_path):
    folder = tmp_path / "mine"
    write(folder, {"descent.py": "my own work"})
    with pytest.raises(UserError, match=r"already holds descent\.py: nothing was written"):
        exercises.write("tme1", folder)
    assert [path.name for path in folder.iterdir()] == ["descent.py"]
    assert (folder / "descent.py").read_text() == "my own work"


def test_a_broken_link_counts_as_a_file(tmp_path):
    (tmp_path / "functions.py").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"functions\.py"):
        exercises.write("tme1", tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_comes_meanwhile_is_left_and_what_was_written_goes(tmp_path, monkeypatch):
    write(tmp_path, {"descent.py": "my own work"})
    monkeypatch.setattr(Path, "exists", lambda path: False)
    with pytest.raises(UserError, match=r"descent\.py cannot be written \(File exists\)"):
        exercises.write("tme1", tmp_path)
    monkeypatch.undo()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"descent.py": "my own work"}


def test_what_is_no_folder_is_refused(tmp_path):
    write(tmp_path, {"mine": ""})
    with pytest.raises(UserError, match="cannot be written"):
        exercises.write("tme1", tmp_path / "mine")


def test_the_command_writes_once_and_refuses_the_second_time(tmp_path, capsys):
    cli.exercise("tme2", tmp_path / "new" / "mine")
    printed = capsys.readouterr().out
    assert "regression.py" in printed
    assert f"amal check {tmp_path / 'new' / 'mine'}" in printed
    assert sorted(path.name for path in (tmp_path / "new" / "mine").iterdir()) == sorted(source.read("tme2"))
    before = {path: path.read_bytes() for path in (tmp_path / "new" / "mine").iterdir()}
    with pytest.raises(SystemExit) as stop:
        cli.app.cli(["exercise", "tme2", str(tmp_path / "new" / "mine"), "--solution"])
    assert stop.value.code == 2
    assert "amal exercise: " in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def wrong_fillings():
    """The entries of wrong_fillings.txt: lab, file, question, message, and pairs of a right and a wrong text."""
    text = Path(__file__).with_name("wrong_fillings.txt").read_text(encoding="utf-8")
    for entry in text.strip().split("\n\n")[1:]:
        head, *lines = entry.split("\n")
        lab, file, question, message = re.fullmatch(r"(\S+) (\S+) (\S+): (.+)", head).groups()
        pairs = []
        for sign, group in itertools.groupby(lines, key=lambda line: line[0]):
            block = "\n".join(line[2:] for line in group)
            pairs += [[block]] if sign == "-" else []
            if sign == "+":
                pairs[-1].append(block)
        yield pytest.param(lab, file, question, message, pairs, id=f"{lab} {question} {pairs[0][1].strip()}"[:60])


def test_every_question_has_a_wrong_filling():
    assert {(row.values[0], row.values[2]) for row in wrong_fillings()} == {(lab, part.question) for lab, part in PARTS}


@pytest.mark.one_in(5)
@pytest.mark.parametrize(("lab", "file", "question", "message", "pairs"), list(wrong_fillings()))
def test_a_wrong_filling_is_seen_and_only_its_own_question_is_wrong(
    lab, file, question, message, pairs, states, tmp_path
):
    texts = source.solution_files(lab)
    for right, wrong in pairs:
        assert right in texts[file]
        texts[file] = texts[file].replace(right, wrong, 1)
    answers = states(write(tmp_path / "mine", texts))
    assert {key for key, (state, _) in answers.items() if state != "done"} == {question}
    state, words = answers[question]
    assert state == "wrong"
    assert re.search(message, words), words


def test_what_a_student_may_do_to_a_process_is_an_answer_like_another(tmp_path):
    """One folder with all of it: a flood, an exit, SystemExit, a crash, and what is right."""
    texts = source.solution_files("tme1")
    plant = {
        "functions.py": [
            ("        ctx.save_for_backward(prediction, target)", "        print('x' * 100_000)\n{}"),
            ("        ctx.save_for_backward(X, W)", "        import os; os._exit(0)\n{}"),
        ],
        "descent.py": [
            ("        self._saved = tensors", "        raise SystemExit(3)\n{}"),
            ("    of_linear, of_mse =", "    import faulthandler; faulthandler._sigsegv()\n{}"),
        ],
    }
    for file, changes in plant.items():
        for line, replacement in changes:
            assert line in texts[file]
            texts[file] = texts[file].replace(line, replacement.format(line), 1)
    answers = exercises.progress(write(tmp_path / "mine", texts), seconds=60)
    assert [(answer.question, answer.state) for answer in answers] == [
        ("6a", "done"), ("6b", "wrong"), ("7a", "wrong"), ("7b", "wrong"), ("7c", "done"),
    ]  # fmt: skip
    messages = [answer.said for answer in answers]
    assert messages[1] == "it ended Python, with exit status 0"
    assert messages[2].startswith("SystemExit: 3 (descent.py, line ")
    assert messages[3].startswith("it crashed Python (SIG")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == sorted(texts), "something was written there"


def test_a_wait_without_end_is_wrong(tmp_path):
    texts = source.solution_files("tme1")
    texts["descent.py"] = texts["descent.py"].replace("    losses = []", "    import signal; signal.pause()", 1)
    *_, last = exercises.progress(write(tmp_path / "mine", texts), seconds=3)
    assert (last.question, last.state) == ("7c", "wrong")
    assert last.said == "it did not come to an end within 3 seconds"


def test_a_file_that_does_not_import_is_told_with_its_line(states, tmp_path):
    texts = source.solution_files("tme1")
    answers = states(write(tmp_path / "mine", {**texts, "functions.py": texts["functions.py"] + "\n)\n"}))
    assert {state for state, _ in answers.values()} == {"wrong"}
    line = len(texts["functions.py"].splitlines()) + 2
    assert answers["6a"][1] == f"SyntaxError: unmatched ')' (functions.py, line {line})"


def test_a_file_that_is_not_there_is_to_do(states, tmp_path):
    texts = source.solution_files("tme3")
    del texts["highway.py"]
    answers = states(write(tmp_path / "mine", texts))
    assert answers["7a"] == answers["7b"] == ("to do", "highway.py is not there")
    assert answers["4"] == ("done", "")


def test_a_half_done_question_is_to_do_and_a_wrong_one_is_wrong_first(states, tmp_path):
    texts = source.to_fill_in("tme1", ["6b"])
    half = "        ctx.save_for_backward(X, W)\n        return X @ W + b\n"
    unwritten = '        raise NotImplementedError("TME 1, question 6b: Linear.forward")\n'
    assert unwritten in texts["functions.py"]
    texts["functions.py"] = texts["functions.py"].replace(unwritten, half)
    assert states(write(tmp_path / "half", texts))["6b"] == ("to do", "TME 1, question 6b: Linear.backward")
    texts["functions.py"] = texts["functions.py"].replace("X @ W + b", "X @ W - b")
    assert states(write(tmp_path / "wrong", texts))["6b"][0] == "wrong"


def test_the_tests_are_the_package_s_and_not_the_student_s(states, tmp_path):
    texts = {**source.to_fill_in("tme1"), "test_functions.py": "def test_6a_all_is_well(): pass\n"}
    assert states(write(tmp_path / "mine", texts))["6a"][0] == "to do"


def test_a_folder_without_an_exercise_is_none(tmp_path):
    assert not exercises.is_exercise(write(tmp_path / "mine", {"functions.txt": "", "README.md": ""}))
    assert exercises.progress(tmp_path / "mine") == []
    assert exercises.is_exercise(write(tmp_path / "mine", {"functions.py": ""}))


@pytest.mark.parametrize(("questions", "status"), [((), 0), (["4"], 1)])
def test_the_command_tells_the_progress_and_whether_all_is_done(questions, status, states, tmp_path, capsys):
    folder = write(tmp_path / "mine", source.to_fill_in("tme3", questions))
    with pytest.raises(SystemExit) as stop:
        cli.check(folder)
    assert stop.value.code == status
    count = len(questions_in("tme3"))
    assert capsys.readouterr().out.endswith(f"\n{count - len(questions)} of {count} done\n")
    with pytest.raises(SystemExit):
        cli.check(folder, as_json=True)
    entries = json.loads(capsys.readouterr().out)
    assert [entry["state"] for entry in entries].count("done") == count - len(questions)
    assert {"question", "title", "state", "said", "file", "lab"} == set(entries[0])


@pytest.mark.parametrize("names", [(), ("MSE",)])
def test_the_command_refuses_a_folder_that_it_can_make_nothing_of(names, tmp_path, capsys):
    write(tmp_path, source.solution_files("tme1") if names else {})
    with pytest.raises(SystemExit) as stop:
        cli.check(tmp_path, names, as_json=True)
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == "[]\n"
    assert printed.err.startswith(f"amal check: {tmp_path} ")


def test_answers_are_shown_as_text_and_as_json():
    answers = [
        Answer("6a", "MSE", "done", "", "functions.py", "tme1"),
        Answer("6b", "Linear", "wrong", "the gradient by b is wrong", "functions.py", "tme1"),
        Answer("7c", "descend", "to do", "TME 1, question 7c: descend", "descent.py", "tme1"),
    ]
    assert exercises.as_text(answers).splitlines() == [
        "✓ done      6a  MSE      functions.py",
        "✗ wrong     6b  Linear   functions.py",
        "                the gradient by b is wrong",
        "· to do     7c  descend  descent.py    descend",
        "",
        "1 of 3 done",
    ]
    assert json.loads(exercises.as_json(answers))[1] == {
        "question": "6b",
        "title": "Linear",
        "state": "wrong",
        "said": "the gradient by b is wrong",
        "file": "functions.py",
        "lab": "tme1",
    }


@pytest.mark.slow
def test_pytest_in_the_student_s_folder_fails_for_the_same_tests(tmp_path):
    folder = write(tmp_path / "mine", source.to_fill_in("tme1", ["6b", "7a"]))
    ran = command("pytest", "-q", "-p", "no:cacheprovider", "--junitxml=../results.xml", cwd=folder)
    assert ran.returncode == 1
    cases = list(ElementTree.parse(tmp_path / "results.xml").iter("testcase"))
    failed = {
        case.get("name"): case.find("failure").get("message") for case in cases if case.find("failure") is not None
    }
    assert set(failed) == {test.name for lab, test in TESTS if lab == "tme1" and test.question in ("6b", "7a")}
    assert all(message.startswith("NotImplementedError: TME 1, question ") for message in failed.values())
    assert len(cases) == sum(lab == "tme1" for lab, _ in TESTS)


def test_labs_may_share_a_folder(states, tmp_path):
    for lab in LABS:
        exercises.write(lab, tmp_path / lab)
    names = [path.name for lab in LABS for path in (tmp_path / lab).iterdir() if path.name != "README.md"]
    assert len(names) == len(set(names)), "pytest would take one file for the other"
    both = write(tmp_path / "both", source.solution_files("tme1") | source.to_fill_in("tme2"))
    answers = [(answer.lab, answer.state) for answer in exercises.progress(both)]
    assert [key for key, _ in itertools.groupby(answers)] == [("tme1", "done"), ("tme2", "to do")]
