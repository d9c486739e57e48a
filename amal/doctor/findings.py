"""Codes, findings and diagnoses: what the doctor says, in codes that do not change."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from amal.text import wrap

CODES: Final = {
    "forward-value": "forward does not compute the operation",
    "forward-unstable": "forward or backward overflows where the result is an ordinary number",
    "grad-count": "backward does not return one gradient for each input of forward",
    "grad-shape": "a gradient does not have the shape of its input",
    "grad-dtype": "a gradient is no tensor, or not of the dtype of its input",
    "grad-missing": "backward returns None, or nothing, where the output depends on the input",
    "not-summed": "an input serves several examples, and its gradient is not summed over them",
    "grad-factor": "a gradient is a constant multiple of what it should be",
    "grad-sign": "a gradient has the wrong sign",
    "grad-transposed": "a gradient, or something that it is made of, is transposed",
    "grad-order": "gradients are returned in another order than the inputs",
    "grad-value": "a gradient is wrong, in another way",
    "ignores-grad-output": "backward does not use grad_output",
    "nonlinear-in-grad-output": "backward is not proportional to grad_output",
    "mutates-input": "an input, or the output, was changed",
    "mutates-grad-output": "grad_output was changed",
    "second-order": "the second derivative is wrong, and nothing says so",
    "keeps-tensors": "a tensor is kept alive, or on ctx where save_for_backward should have it",
    "engine": "torch's engine refuses what backward returns",
    "undefined-gradient": "a gradient comes out where none came in",
    "shared-gradient": "two gradients are views of one tensor, to which both will be added",
    "not-examined": "something could not be examined",
    "imported-in-part": "something in the file could not be imported or executed, and was left out",
    "sampled": "a gradient was compared along random directions alone",
    "low-precision": "a result is off by more than rounding explains, or computed in float32 inside",
    "not-reached": "what was not tried, or no input reached",
    "samples": "which inputs were found by trying",
    "kink": "at a kink, the gradient is not the one that is agreed on",
    "raises": "the code raised an exception, did not come to an end, or used too much memory",
    "raises-sometimes": "the code raised an exception where torch allows what it was given, and works otherwise",
    "killed": "the process was killed, by nothing that is known of the code: run it again",
    "vmap": "torch.func.vmap gives something else than one example after the other",
    "no-vmap": "torch.func.vmap cannot be used",
    "no-jvp": "forward mode cannot be used",
    "surrogate": "backward is meant to give the derivative of another function",
    "definition": "which of several definitions this is",
}
"""Code of a finding -> what it stands for."""
METHODS: Final = {
    **dict.fromkeys(("forward-value", "forward-unstable", "definition"), "forward"),
    "keeps-tensors": "setup_context",
    "vmap": "vmap",
    **dict.fromkeys(("raises", "raises-sometimes", "killed", "not-examined", "no-vmap", "no-jvp"), None),
    **dict.fromkeys(("samples", "not-reached", "imported-in-part", "low-precision"), None),
}
"""Code -> the method of the class that it is about, None for the class; backward for a code that is not here."""

Severity = Literal["error", "note"]
Verdict = Literal["correct", "wrong", "error", "not examined"]


@dataclass(frozen=True)
class Finding:
    """One remark on a Function."""

    code: str
    message: str
    input: str | None = None
    """The parameter of forward whose gradient it is about."""
    severity: Severity = "error"
    method: str | None = None
    """The method that it is about; None for the class."""
    line: int | None = None
    """Of that method in the file of the diagnosis, from 1; None if it is in no file, or in another one."""


@dataclass(frozen=True)
class Diagnosis:
    """All that the doctor says of a Function."""

    function: str
    operation: str
    definition: str
    """Which definition of the operation it follows; empty where none was recognised."""
    findings: tuple[Finding, ...] = ()
    file: str | None = None
    """Absolute path of the file with the class; None where there is none."""
    line: int | None = None
    """Of the class, from 1."""

    @property
    def verdict(self) -> Verdict:
        """The result: `error` if the code could not run, `not examined` if nothing could be compared."""
        codes = {finding.code for finding in self.findings if finding.severity == "error"}
        if not codes:
            return "correct"
        if codes == {"not-examined"}:
            return "not examined"
        return "error" if codes <= {"raises", "killed"} else "wrong"

    @property
    def place(self) -> str:
        """Where to look, such as `lab.py:12`: the first error, else the class; empty without a file."""
        if self.file is None:
            return ""
        lines = (error.line for error in self.findings if error.severity == "error" and error.line)
        line = next(lines, self.line)
        return f"{short_path(self.file)}:{line}" if line else short_path(self.file)

    def __str__(self) -> str:
        """Return the diagnosis as text to read in a terminal."""
        return as_text([self])

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, for `diagnosis_from`."""
        return {
            "function": self.function,
            "operation": self.operation,
            "definition": self.definition,
            "verdict": self.verdict,
            "file": self.file,
            "line": self.line,
            "findings": [asdict(finding) for finding in self.findings],
        }


def diagnosis_from(entry: dict[str, Any]) -> Diagnosis:
    """Return the diagnosis of which `as_dict` gave this."""
    fields = {name: value for name, value in entry.items() if name not in ("verdict", "findings")}
    return Diagnosis(**fields, findings=tuple(Finding(**finding) for finding in entry["findings"]))


def short_path(file: str) -> str:
    """Return a path relative to the working folder, if the file is below it."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file


def as_json(diagnoses: Iterable[Diagnosis]) -> str:
    """Return the diagnoses as a JSON list, with short paths."""
    entries = [
        {**diagnosis.as_dict(), "file": diagnosis.file and short_path(diagnosis.file)} for diagnosis in diagnoses
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False)


def printable(text: str) -> str:
    """Escape what a terminal would obey: control characters, and signs that turn the direction."""
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else sign.encode("unicode_escape").decode() for sign in text
    )


def as_text(diagnoses: Iterable[Diagnosis], width: int = 100) -> str:
    """Format the diagnoses as a table to read in a terminal: each verdict, then its findings, worst first."""
    blocks = []
    for diagnosis in diagnoses:
        place = "" if diagnosis.verdict == "correct" else f"  {diagnosis.place}"
        lines = wrap(heading(diagnosis) + place, width, 8)
        for finding in sorted(diagnosis.findings, key=lambda finding: finding.severity):
            if finding.code == "definition":
                continue
            code = ("note: " if finding.severity == "note" else "") + finding.code
            first = f"  {code:<24} {printable(finding.input or ''):<12} "
            lines += wrap(printable(finding.message), width, 40, first)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def heading(diagnosis: Diagnosis) -> str:
    """Return the verdict, the Function, and the operation and definition that it follows."""
    meaning = ": ".join(filter(None, (diagnosis.operation, diagnosis.definition)))
    return f"{diagnosis.verdict.upper():<7} {diagnosis.function}" + (f"  ({meaning})" if meaning else "")
