"""Names are nouns and verbs: no preposition or participle names a module, function, parameter, variable or field."""

import ast
import re
from pathlib import Path

AMAL = Path(__file__).parent.parent / "amal"
WORDS = """
    of at by to into onto from upon under within without beside besides behind above below along across around
    among inside outside beyond through between after before until here there mine
    found told asked given known drawn said seen taken made meant wanted needed left kept done shown tried lost
    held begun written spent chosen
"""
NAME = re.compile(rf"_*(of_\w+|{'|'.join(WORDS.split())})_*", re.IGNORECASE)
FUNCTION = re.compile(rf"{NAME.pattern}|_*[a-z]*[^e]ed", re.IGNORECASE)  # `need` and `feed` are verbs
ALLOWED = {"to", "left", "LEFT", "saved", "killed", "measured", "said"}
"""Names that torch has, that stand beside `right`, or that a file for others holds as a key."""


def complaints(module, source):
    """Return the names in a file that are no nouns or verbs."""
    variables, functions = [module], []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions.append(node.name)
        elif isinstance(node, ast.arg):
            variables.append(node.arg)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            variables.append(node.id if isinstance(node, ast.Name) else node.attr)
    return sorted({*filter(NAME.fullmatch, variables), *filter(FUNCTION.fullmatch, functions)} - ALLOWED)


def test_names_are_nouns_and_verbs():
    found = {path.name: complaints(path.stem, path.read_text()) for path in AMAL.rglob("*.py")}
    assert {name: names for name, names in found.items() if names} == {}


def undocumented(source):
    """Return the arguments that docstrings speak of and their functions do not take."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            part = re.search(r"^Args:\n((?: {4}.*\n?|\n)+)", ast.get_docstring(node) or "", re.MULTILINE)
            lines = re.findall(r"^ {4}(\w+(?:, \w+)*):", part[1], re.MULTILINE) if part else []
            taken = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
            yield from sorted({name for line in lines for name in line.split(", ")} - taken)


def test_docstrings_speak_of_the_arguments_that_there_are():
    assert {path.name: names for path in AMAL.rglob("*.py") if (names := [*undocumented(path.read_text())])} == {}
    assert [*undocumented('def f(a):\n    """F.\n\n    Args:\n        a: one.\n        b: old.\n    """')] == ["b"]


def test_a_preposition_and_a_participle_are_seen():
    source = "class A:\n    given: int\n    def squared(self, at): self._kept = [of for of in at]\n    need = seed = 1"
    assert complaints("found", source) == ["_kept", "at", "found", "given", "of", "squared"]
