"""How long commands take from the shell, and how much memory they hold at most.

    python -m benchmarks.startup

Whole processes, in turn, five of each after a first.

Writes benchmarks/results/startup-cpu.json, and benchmarks/RESULTS.md from all that lies there.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from amal.course.mutants import SOLUTIONS
from benchmarks.report import write

ROUNDS = 5


WATCHER = """
import contextlib, os, resource, subprocess, sys, time
from amal.sandbox.guard import adopt_orphans

adopt_orphans()
started = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
seconds = time.perf_counter() - started
with contextlib.suppress(ChildProcessError):
    while True:
        os.wait()
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Its usage is that of what it has waited for: on Linux, of what the command leaves dead behind too."""


def measured(command: list[str]) -> tuple[float, float]:
    """Return the seconds that a command takes, and the megabytes of its largest process."""
    done = subprocess.run([sys.executable, "-c", WATCHER, *command], capture_output=True, text=True, check=True)
    seconds, kilobytes = map(float, done.stdout.split())
    return seconds, kilobytes / 1024


def main() -> None:
    """Measure every command."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder) / "lab.py"
        lab.write_text(SOLUTIONS["mse"] + SOLUTIONS["linear"], encoding="utf-8")
        python = sys.executable
        commands = {
            "python -c 'import torch'": [python, "-c", "import torch"],
            "amal --help": [python, "-m", "amal", "--help"],
            "amal check lab.py": [python, "-m", "amal", "check", str(lab)],
            "amal show linear": [python, "-m", "amal", "show", "linear"],
            "python -m tme3.classifier --help": [python, "-m", "tme3.classifier", "--help"],
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(ROUNDS + 1):
            for name, command in commands.items():
                found[name].append(measured(command))
    rows = []
    for name, times in found.items():
        seconds = [of for of, _ in times[1:]]
        memory = max(of for _, of in times)
        spread = {"seconds": statistics.median(seconds), "least": min(seconds), "most": max(seconds)}
        rows.append({"command": name, **spread, "mbyte": memory})
    write("startup", "cpu", {"rows": rows})


if __name__ == "__main__":
    main()
