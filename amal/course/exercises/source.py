"""A lab's exercise as it lies in the package, and the text that a student gets of it.

Two conventions, and no others:

- What the student has to write stands between `### BEGIN SOLUTION` and `### END SOLUTION`, as in nbgrader. The lines
  are replaced by one that raises NotImplementedError; everything else is the student's as it stands.
- The function that they are in, or its class, has a docstring that begins `Question 6a. What it is.` That is one part
  of the exercise, and the tests named `test_6a_...` are its tests (`test_3_1a_...` those of 3.1a).

A student's files stand alone, so `from .functions import MSE` becomes `from functions import MSE` there.
"""

import ast
import importlib.util
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
QUESTION = re.compile(r"Question (\d+(?:\.\d+)?[a-z]?)\. ")
TEST = re.compile(r"test_(\d+(?:_\d+)?[a-z]?)_\w+")


class Part(NamedTuple):
    """A function or class that the student writes."""

    question: str
    """Its number in the lab sheet, such as 6a."""
    title: str
    """The name of the function or class."""
    file: str
    """The file that it belongs to."""


class Test(NamedTuple):
    """A test of a question."""

    question: str
    file: str
    name: str


def read(lab: str) -> dict[str, str]:
    """Return the solved exercise as it lies in the package, file name -> text, in the order of the questions."""
    spec = importlib.util.find_spec(f"{lab}.exercise")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{lab} has no exercise")
    paths = [path for path in Path(spec.origin).parent.iterdir() if path.suffix in (".py", ".md")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(paths) if path.name != "__init__.py"}
    return dict(sorted(texts.items(), key=lambda entry: [_number(part.question) for part in parts(*entry)][:1]))


def solution_files(lab: str) -> dict[str, str]:
    """Return the exercise as a folder that stands alone, with its solution."""
    return to_fill_in(lab, questions=())


def to_fill_in(lab: str, questions: Collection[str] | None = None) -> dict[str, str]:
    """Return the exercise as a folder that stands alone, without the solution of some questions; None for all."""
    return {
        name: _stand_alone(without_solution(text, lab, questions)) if name.endswith(".py") else text
        for name, text in read(lab).items()
    }


def without_solution(text: str, lab: str, questions: Collection[str] | None = None) -> str:
    """Return the text of a file with NotImplementedError in the place of each marked body.

    Args:
        text: of a file that is solved.
        lab: the lab that it belongs to.
        questions: those to leave unanswered; None for all.

    Raises:
        ValueError: a mark without its other half, or outside a question.
    """
    places = list(_places(ast.parse(text)))
    lines, in_solution, dropping = [], False, False
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if line.strip() == (END if in_solution else BEGIN):
            in_solution = not in_solution
            question, name = _question_at(places, number) if in_solution else ("", "")
            dropping = in_solution and (questions is None or question in questions)
            if dropping:
                indent = line[: len(line) - len(line.lstrip())]
                message = f"{title(lab)}, question {question}: {name}"
                lines.append(f'{indent}raise NotImplementedError("{message}")\n')
        elif line.strip() in (BEGIN, END):
            raise ValueError(f"line {number}: {line.strip()} where the other mark was due")
        elif not dropping:
            lines.append(line)
    if in_solution:
        raise ValueError(f"no {END} at the end")
    return "".join(lines)


def parts(file: str, text: str) -> list[Part]:
    """Return the parts that a file leaves to the student."""
    if not file.endswith(".py"):
        return []
    places = _places(ast.parse(text))
    matches = ((QUESTION.match(ast.get_docstring(node) or ""), name) for node, name in places)
    return [Part(match[1], name, file) for match, name in matches if match]


def tests(file: str, text: str) -> list[Test]:
    """Return the tests of a file, each with its question."""
    if not file.startswith("test_"):
        return []
    functions = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    matches = (TEST.fullmatch(function.name) for function in functions)
    return [Test(match[1].replace("_", "."), file, match[0]) for match in matches if match]


_Node = ast.FunctionDef | ast.ClassDef


def _places(tree: ast.AST, parent: str = "") -> Iterator[tuple[_Node, str]]:
    """Yield each function and class with its dotted name, the outer before the inner."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _Node):
            name = f"{parent}.{node.name}" if parent else node.name
            yield node, name
            yield from _places(node, name)


def _question_at(places: list[tuple[_Node, str]], line: int) -> tuple[str, str]:
    """Return the question that a line answers, and the name of the function that it is in."""
    parents = [(node, name) for node, name in places if node.lineno <= line <= (node.end_lineno or 0)]
    for node, _ in reversed(parents):
        if match := QUESTION.match(ast.get_docstring(node) or ""):
            return match[1], parents[-1][1]
    raise ValueError(f"line {line}: a solution outside any question")


def _stand_alone(text: str) -> str:
    text = re.sub(r"^from \.(\w+) import ", r"from \1 import ", text, flags=re.MULTILINE)
    text = re.sub(r"^from \. import ", r"import ", text, flags=re.MULTILINE)
    return re.sub(r"  # type: ignore\[.+\]$", "", text, flags=re.MULTILINE)  # of no use to a student


def title(lab: str) -> str:
    """Return the name of a lab as it is written: TME 1."""
    return f"{lab[:3].upper()} {lab[3:]}"


def _number(question: str) -> tuple[float, str]:
    match = re.match(r"[\d.]+", question)
    return float(match[0]) if match else 0.0, question
