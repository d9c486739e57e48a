"""Whether the project holds on the oldest versions that setup.cfg declares, and on the newest: run before a release.

    python tests/versions.py /usr/bin/python3.10 /usr/bin/python3.13

Each Python gets an environment of its own, with what amal and its tests ask for: the oldest declared Python the oldest
declared versions, every other one the newest. There a quick part of the tests runs. What is printed at the end is the
table of CONTRIBUTING.md. An environment takes up to six gigabytes, and is thrown away; with `--keep FOLDER` it stays
there, and is taken up again.
"""

import argparse
import configparser
import datetime
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINTERS = {"ruff", "mypy"}
"""What says the same with every version."""
SHOWN = ("torch", "torchvision", "numpy", "scikit-learn", "tensorboard")
QUICK = """
    operations functional nn losses pooling convolution normalization attention embedding dropout optim
    training checkpoint interruption data checking doctor check
"""
"""Tests that ask most of torch and of the Python, by the names of their files."""


def declared():
    """Return the oldest Python that setup.cfg declares, and what it asks pip for."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    asked = settings["options"]["install_requires"] + settings["options.extras_require"]["test"]
    asked = [line for line in asked.split("\n") if line.strip() and line.split()[0] not in LINTERS]
    return settings["options"]["python_requires"].removeprefix(">="), asked


def oldest(requirement):
    """Return the oldest that a requirement admits, in its last repair: torch >= 2.11 gives torch == 2.11.*."""
    return re.sub(r">= *(\d+\.\d+)$", r"== \1.*", requirement)


def environment(python, folder, requirements):
    """Make an environment, unless it is there; return its Python."""
    inside = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (folder / "ready").exists():
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([inside, "-m", "pip", "install", "--quiet", *requirements], check=True)
        (folder / "ready").touch()
    return inside


def ask(python, program):
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def tested(python, names):
    """Run tests in an environment; return pytest's last line, and whether all passed."""
    command = [python, "-m", "pytest", "-q", "--numprocesses=auto", "--durations=0", "-p", "no:cacheprovider"]
    files = [str(path) for name in names for path in sorted(ROOT.glob(f"tests/**/test_{name}.py"))]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *files], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, flush=True)
    return re.sub(r" in .*", "", done.stdout.strip().splitlines()[-1].strip("= ")), done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pythons", nargs="*", default=[sys.executable], help="interpreters")
    parser.add_argument("--keep", type=Path, help="a folder for the environments")
    parser.add_argument("--tests", default=QUICK, help='names of files of tests, in one word: "nn optim"')
    options = parser.parse_args()
    first, requirements = declared()
    rows, all_pass = [], True
    with tempfile.TemporaryDirectory() as scratch:
        for python in options.pythons:
            version = ask(python, "import platform; print(platform.python_version())")
            of_old = version.startswith(f"{first}.")
            asked = [oldest(each) for each in requirements] if of_old else requirements
            folder = Path(options.keep or scratch) / f"{version}-{'oldest' if of_old else 'newest'}"
            inside = environment(python, folder, asked)
            versions = ask(inside, f"from importlib.metadata import version; print(*map(version, {SHOWN}))").split()
            outcome, passed = tested(inside, options.tests.split())
            rows.append(f"| {version} | {' | '.join(versions)} | {outcome} |")
            all_pass &= passed
    print(f"{datetime.date.today()}:\n\n| Python | {' | '.join(SHOWN)} | tests |")
    print("|" + " --- |" * (len(SHOWN) + 2), *rows, sep="\n")
    raise SystemExit(not all_pass)


if __name__ == "__main__":
    main()
