"""The pages of `amal show`: an operation's derivation, its code, and a worked example."""

from amal.proofs.matrix import OPERATIONS

from . import source
from .examples import EXAMPLES as EXAMPLES
from .worked import WorkedExample as WorkedExample
from .worked import as_text as as_text
from .worked import work as work

NO_EXAMPLE = "There is none yet: a worked example is optional, and one would be added to amal/show/examples/."


def operations() -> dict[str, str]:
    """Return the first line of the derivation of every operation."""
    return {op: source.headline(op) for op in OPERATIONS}


def page(op: str, width: int, coloured: bool = False) -> str:
    """Return the page of one operation.

    Args:
        op: its name, such as `linear`.
        width: width of the terminal, in characters.
        coloured: whether to colour the code and the headings by ANSI codes.
    """
    parts = {
        f"DERIVATION  {source.path_of(op)}": source.derivation(op, width),
        "CODE": source.code(op, width, coloured),
        "A WORKED EXAMPLE": as_text(work(op), width) if op in EXAMPLES else NO_EXAMPLE,
    }
    rule = "═" * min(width, 100)
    bold, plain = ("\033[1m", "\033[0m") if coloured else ("", "")
    texts = [f"{bold}{heading}{plain}\n\n{text}" for heading, text in parts.items()]
    return "\n\n".join([f"{rule}\n{bold}{op}{plain}\n{rule}", *texts])
