"""What a Markdown page says, as GitHub would read it: its formulas, links, anchors, commands and pictures.

Each function that looks for faults returns them in words, with the line, so that it can be tried on planted ones.
"""

import importlib.util
import itertools
import re
import shlex
import sys
from pathlib import Path

from matplotlib.mathtext import MathTextParser

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "runs/*.md", "tme*/README.md", "tme*/exercise/README.md")
    for page in ROOT.glob(pattern)
)

GENERATED = ("docs/OPERATIONS.md", "docs/RESULTS.md", "benchmarks/RESULTS.md")
"""Pages that a command writes, each held by a test of its own."""


def docs_module(name):
    """Return a script of docs/, imported."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------- what is code, what is not


def blocks(text):
    """Yield (line number, language or None for prose, text) of each fenced block and of the prose between them."""
    start, language, lines = 1, None, []
    for number, line in enumerate(text.splitlines(), start=1):
        fence = re.match(r"\s*```(\w*)", line)
        if fence:
            yield start, language, "\n".join(lines)
            start, lines = number + 1, []
            language = fence[1] if language is None else None
        else:
            lines.append(line)
    yield start, language, "\n".join(lines)


def without_code(prose):
    """Return prose with its spans of code blanked; a formula within dollar and backtick is none."""
    spans = r"(\$`[^`\n]+`\$)|(?<!`)(`+)(?!`)[^\n]+?(?<!`)\2(?!`)"
    return re.sub(spans, lambda span: span[1] or "code", prose)


# ---------------------------------------------------------------------------------- formulas

INLINE = re.compile(r"(?P<before>.?)(?:\$`(?P<safe>[^`]*)`\$|(?<![\\$])\$(?!\$)(?P<plain>[^$]*)\$)(?P<after>.?)")
TAKEN_BY_MARKDOWN = {
    r"\\[^A-Za-z]": "a backslash before a sign, which Markdown drops",
    r"\*": "a star, which Markdown takes for emphasis",
    r"(?<![A-Za-z0-9])_": "an underscore after a sign, which Markdown may take for emphasis",
    r"[<>]": "a sign of HTML",
    r"\]\(": "what Markdown takes for a link",
    r"\|": "a bar, which ends the cell of a table",
    r"#": "a #",
}
"""What may not stand in $...$, and is safe in $`...`$ and in a block of math."""


def math_faults(text):
    """Return what GitHub would not show, or not as it is meant."""
    faults = []
    for start, language, content in blocks(text):
        if language == "math":
            faults += [f"line {start}: {fault}" for fault in tex_faults(content)]
        elif language is None:
            for number, line in enumerate(without_code(content).split("\n"), start=start):
                faults += [f"line {number}: {fault}" for fault in inline_faults(line)]
    return faults


def inline_faults(line):
    """Return what is wrong with the formulas within a line of prose."""
    if "$$" in line:
        return ["$$ in the place of a block of math"]
    faults = []
    for found in INLINE.finditer(line):
        tex = found["safe"] if found["plain"] is None else found["plain"]
        faults += tex_faults(tex)
        if found["plain"] is not None:
            faults += [f"${tex}$: {why}" for taken, why in TAKEN_BY_MARKDOWN.items() if re.search(taken, tex)]
            if tex != tex.strip():
                faults.append(f"${tex}$: a blank inside the dollars")
        elif "|" in tex and line.startswith("|"):
            faults.append(f"{tex}: a bar, which ends the cell of a table")
        if re.match(r"[\w\-$'\"*]", found["before"]) or re.match(r"[\w\-$'\"*]", found["after"]):
            faults.append(f"{found[0]}: touches a letter, a digit, a hyphen, a quote or a star")
    left = INLINE.sub("", line)
    return faults + ([f"a dollar that is alone: {line}"] if re.search(r"(?<!\\)\$", left) else [])


def tex_faults(tex):
    """Return what is wrong with a formula: matplotlib's parser must read it, but for what it has no name for."""
    faults = []
    if r"\operatorname" in tex or r"\\" in tex:
        faults.append(f"{tex}: GitHub shows no \\operatorname, and a formula is one line here")
    known = re.sub(r"\\[bB]igg?[lr]?(?=[^A-Za-z])|\\mathstrut", "", tex)
    known = re.sub(r"\\[tdc]frac\b", r"\\frac", known).replace(r"\lVert", r"\|").replace(r"\rVert", r"\|")
    known = re.sub(r"\\[lr]vert\b", "|", known).replace(r"\!", "")
    try:
        MathTextParser("agg").parse("$" + " ".join(known.split()) + "$")
    except ValueError as error:
        faults.append(f"{tex}: {str(error).strip().splitlines()[-1]}")
    return faults


# ---------------------------------------------------------------------------------- links


def anchors(text):
    """Return the names that GitHub gives the headings of a page."""
    found, seen = set(), {}
    for heading in re.findall(r"^#{1,6} +(.+?)\s*#*$", headings_only(text), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(name if name not in seen else f"{name}-{seen[name]}")
        seen[name] = seen.get(name, 0) + 1
    return found


def headings_only(text):
    return "\n".join(content for _, language, content in blocks(text) if language is None)


def links(text):
    """Return the (line, target) of every link and picture."""
    found = []
    for start, language, content in blocks(text):
        for number, line in enumerate(content.split("\n") if language is None else (), start=start):
            targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"(?<!`)`[^`]+`(?!`)", "code", line))
            found += [(number, target) for target in targets]
    return found


def link_faults(page, text):
    """Return the links of a page to files and headings that are not there."""
    faults = []
    for number, target in links(text):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path
        if path and not file.exists():
            faults.append(f"line {number}: {target}: no such file")
        elif anchor and anchor not in anchors(file.read_text(encoding="utf-8") if path else text):
            faults.append(f"line {number}: {target}: no such heading")
    return faults


def pictures(page):
    """Return the names of the pictures of docs/img that a page shows."""
    targets = [target for _, target in links(read(page))] + re.findall(r'(?:src|srcset)="([^"]+)"', read(page))
    return {Path(target).name for target in targets if "docs/img/" in target or target.startswith("img/")}


# ---------------------------------------------------------------------------------- commands

PROGRAM = re.compile(
    r"(?:\.venv/bin/|torchrun .*?-m |torchrun .*?(?=tme))?(?:python -m |-m )?(tme\d\.\w+|amal)(?:\s+(.*))?$"
)


def commands(text):
    """Return (program, arguments) of every command line on a page that runs a script of the labs, or `amal`."""
    found = []
    for _, language, content in blocks(text):
        named = re.findall(r"(?<!`)`([^`\n]+)`", content)
        spans = [span for span in named if not re.fullmatch(r"amal [a-z-]+", span)]  # a command that is spoken of
        for line in spans if language is None else content.split("\n") if language in ("", "console") else ():
            command = re.sub(r"\s+#.*", "", line.strip().removeprefix("$ "))
            if re.match(r"(\.venv/bin/)?(python -m tme\d|amal |torchrun )", command):
                match = PROGRAM.match(command)
                found.append((match[1], shlex.split(match[2] or "")) if match else (command, None))
    return found


def pasted(text, beginning):
    """Return the lines of a page from one that begins so to the end of its paragraph."""
    lines = text.split("\n")
    [start] = [place for place, line in enumerate(lines) if line.startswith(beginning)]
    return list(itertools.takewhile(lambda line: line.strip("` "), lines[start:]))
