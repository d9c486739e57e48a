"""Write findings in the formats of services that show them beside the code: SARIF and GitHub's commands."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from amal import __version__

from .findings import CODES, Diagnosis, Finding, heading, short_path

Level = Literal["error", "warning", "note"]
SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
UNCERTAIN: Final = ("not-examined", "killed")
"""Codes that say nothing about the code itself, and so are warnings."""


def level(finding: Finding) -> Level:
    """Return how bad a finding is."""
    if finding.severity == "note":
        return "note"
    return "warning" if finding.code in UNCERTAIN else "error"


def failure(path: Path, why: str) -> Diagnosis:
    """Return the diagnosis of a file in which nothing could be examined."""
    return Diagnosis(path.name, "", "", (Finding("not-examined", why),), str(path.resolve()))


def _remarks(diagnosis: Diagnosis) -> Iterable[Finding]:
    """Return the findings to show: which definition a Function follows is no remark on it."""
    return (finding for finding in diagnosis.findings if finding.code != "definition")


def as_sarif(diagnoses: Sequence[Diagnosis]) -> str:
    """Return the findings as a log in SARIF 2.1.0, which code scanning services read.

    Levels are `error`, `warning` where something could not be examined, and `note`. Files below the
    working folder are relative to it, as `%SRCROOT%`. Source: OASIS, Static Analysis Results
    Interchange Format (SARIF) 2.1.0.
    """
    codes = list(CODES)
    rules = [{"id": code, "shortDescription": {"text": f"{says}."}} for code, says in CODES.items()]
    results = [
        {
            "ruleId": finding.code,
            "ruleIndex": codes.index(finding.code),
            "level": level(finding),
            "message": {"text": f"{diagnosis.function}: {finding.message}"},
            "locations": _locations(diagnosis, finding),
            # what makes it the same finding, wherever the line has moved to
            "partialFingerprints": {"functionAndInput/v1": f"{diagnosis.function}/{finding.input or ''}"},
        }
        for diagnosis in diagnoses
        for finding in _remarks(diagnosis)
    ]
    whole = not any(result["ruleId"] in UNCERTAIN and result["level"] == "warning" for result in results)
    run = {
        "tool": {"driver": {"name": "amal", "version": __version__, "rules": rules}},
        "invocations": [{"executionSuccessful": whole}],
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _locations(diagnosis: Diagnosis, finding: Finding) -> list[dict[str, Any]]:
    if diagnosis.file is None:
        return []
    path = Path(short_path(diagnosis.file))
    relative = {"uri": quote(path.as_posix()), "uriBaseId": "%SRCROOT%"}
    artifact = {"uri": path.as_uri()} if path.is_absolute() else relative
    region = {"startLine": finding.line or diagnosis.line or 1}
    name = ".".join(filter(None, (diagnosis.function, finding.method)))
    physical = {"artifactLocation": artifact, "region": region}
    return [{"physicalLocation": physical, "logicalLocations": [{"fullyQualifiedName": name}]}]


COMMANDS: Final[dict[Level, str]] = {"error": "error", "warning": "warning", "note": "notice"}


def as_github(diagnoses: Iterable[Diagnosis]) -> str:
    """Return the verdicts, and the findings as commands that a workflow of GitHub shows beside the code.

    Source: GitHub, Workflow commands for GitHub Actions; values are escaped as its toolkit does it.
    """
    lines = []
    for diagnosis in diagnoses:
        lines.append(heading(diagnosis))
        for finding in _remarks(diagnosis):
            properties = {
                "file": short_path(diagnosis.file) if diagnosis.file else None,
                "line": finding.line or diagnosis.line,
                "title": f"{diagnosis.function}: {finding.code}",
            }
            text = ",".join(f"{name}={_escape(str(value), ':,')}" for name, value in properties.items() if value)
            lines.append(f"::{COMMANDS[level(finding)]} {text}::{_escape(finding.message)}")
    return "\n".join(lines)


def _escape(text: str, more: str = "") -> str:
    for sign in f"%\r\n{more}":  # the percent sign first: it begins what the others become
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text
