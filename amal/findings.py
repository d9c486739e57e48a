"""What the doctor finds, in words that do not change: codes, findings, diagnoses."""

import json
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

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
    "mutates-input": "an input was changed",
    "mutates-grad-output": "grad_output was changed",
    "second-order": "the second derivative is wrong, and nothing says so",
    "keeps-tensors": "a tensor is kept alive, or on ctx where save_for_backward should have it",
    "engine": "torch's engine refuses what backward returns",
    "undefined-gradient": "a gradient comes out where none came in",
    "shared-gradient": "two gradients are views of one tensor, to which both will be added",
    "not-examined": "something could not be examined",
    "sampled": "a gradient was compared along random directions alone",
    "low-precision": "a result is off by more than rounding explains, or computed in float32 inside",
    "not-reached": "what was not tried, or no input reached",
    "samples": "which inputs were found by trying",
    "kink": "at a kink, the gradient is not the one that is agreed on",
    "raises": "the code raised an exception, did not come to an end, or used too much memory",
    "killed": "the process was killed, by nothing that is known of the code: run it again",
    "vmap": "torch.func.vmap gives something else than one example after the other",
    "no-vmap": "torch.func.vmap cannot be used",
    "no-jvp": "forward mode cannot be used",
    "surrogate": "backward is meant to give the derivative of another function",
    "definition": "which of several definitions this is",
}
"""Code of a finding -> what it stands for."""

Severity = Literal["error", "note"]
Verdict = Literal["correct", "wrong", "error", "not examined"]


@dataclass(frozen=True)
class Finding:
    """One thing that is to be said of a Function."""

    code: str
    message: str
    input: str | None = None
    """The parameter of forward whose gradient it is about."""
    severity: Severity = "error"


@dataclass(frozen=True)
class Diagnosis:
    """All that is to be said of a Function."""

    function: str
    operation: str
    definition: str
    """Which definition of the operation it follows; empty where none was recognised."""
    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What it comes to: `error` where the code could not be run, `not examined` where nothing could be compared."""
        codes = {finding.code for finding in self.findings if finding.severity == "error"}
        if not codes:
            return "correct"
        if codes == {"not-examined"}:
            return "not examined"
        return "error" if codes <= {"raises", "killed"} else "wrong"

    def __str__(self) -> str:
        """Return what is to be said, to read in a terminal."""
        return as_text([self])

    def as_dict(self) -> dict[str, Any]:
        """Return what --json prints."""
        findings = [
            {"code": of.code, "input": of.input, "message": of.message, "severity": of.severity} for of in self.findings
        ]
        return {
            "function": self.function,
            "operation": self.operation,
            "definition": self.definition,
            "verdict": self.verdict,
            "findings": findings,
        }


def diagnosis_from(entry: dict[str, Any]) -> Diagnosis:
    """Return the diagnosis that `as_dict` told."""
    findings = tuple(Finding(of["code"], of["message"], of["input"], of["severity"]) for of in entry["findings"])
    return Diagnosis(entry["function"], entry["operation"], entry["definition"], findings)


def as_json(diagnoses: Iterable[Diagnosis]) -> str:
    """Return the diagnoses as a JSON list."""
    return json.dumps([diagnosis.as_dict() for diagnosis in diagnoses], indent=2, ensure_ascii=False)


def as_text(diagnoses: Iterable[Diagnosis], width: int = 100) -> str:
    """Return the diagnoses as a table to read in a terminal: verdicts, then what was found, worst first."""
    blocks = []
    for of in diagnoses:
        known = f"{of.operation}: {of.definition}" if of.definition else of.operation
        lines = textwrap.wrap(f"{of.verdict.upper():<7} {of.function}  ({known})", width, subsequent_indent=" " * 8)
        for finding in sorted(of.findings, key=lambda finding: finding.severity):
            if finding.code == "definition":
                continue
            head = f"  {finding.code:<24}" if finding.severity == "error" else f"  {'note: ' + finding.code:<24}"
            head += f" {finding.input or '':<12} "
            lines += textwrap.wrap(finding.message, width, initial_indent=head, subsequent_indent=" " * 40)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
