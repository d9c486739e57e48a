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


def test_a_preposition_and_a_participle_are_seen():
    source = "class A:\n    given: int\n    def squared(self, at): self._kept = [of for of in at]\n    need = seed = 1"
    assert complaints("found", source) == ["_kept", "at", "found", "given", "of", "squared"]
