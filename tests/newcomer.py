"""The path of a newcomer, walked: clone, install, labs, TensorBoard, the doctor, an exercise, a run killed and resumed.

Each step prints what one would type, and what was promised of it. No network: the packages are those of the interpreter
that runs this.

    python tests/newcomer.py                # some two minutes, in a temporary folder
    python tests/newcomer.py --everything   # `make` with all labs, some four minutes
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
WRONG = '''\
import torch
from torch.autograd import Function


class Linear(Function):
    """X W + b, as on the sheet; but the gradient of b is not summed over the batch."""

    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w + b

    @staticmethod
    def backward(ctx, grad_output):
        x, w = ctx.saved_tensors
        return grad_output @ w.t(), x.t() @ grad_output, grad_output
'''


class Broken(AssertionError):
    """A promise was not kept."""


class Newcomer:
    """Someone at a terminal, in a clone of the repository.

    Args:
        home: an empty folder; the clone is made in it.
    """

    def __init__(self, home):
        self.clone = Path(home) / "amal"
        self.env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "AMAL_DATA")}
        self.env |= {"PATH": f"{self.clone / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120"}

    def types(self, line, promised=(), status=0, cwd=None):
        """Run a command line, show it, and see that it ends and says as promised; return what it said."""
        print(f"\n$ {line}", flush=True)
        done = subprocess.run(
            shlex.split(line), cwd=cwd or self.clone, env=self.env, text=True, capture_output=True, check=False
        )
        said = done.stdout + done.stderr
        print("\n".join(said.rstrip().splitlines()[-6:]))
        keeps(line, done.returncode, said, status, promised)
        return said

    def starts(self, line):
        """Start a command line that stays; return its process, whose output can be read."""
        print(f"\n$ {line}", flush=True)
        return subprocess.Popen(
            shlex.split(line),
            cwd=self.clone,
            env=self.env | {"PYTHONUNBUFFERED": "1"},  # as on a terminal
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def metrics(self, run):
        """Return the last word of a run."""
        return json.loads((self.clone / run / "metrics.json").read_text(encoding="utf-8"))


def keeps(line, returned, said, status, promised):
    """Raise Broken unless a command ended with this status and said these words."""
    if returned != status:
        raise Broken(f"{line}: exit status {returned}, promised {status}; it said:\n{said[-3000:]}")
    for words in promised:
        if words not in said:
            raise Broken(f"{line}: said nothing of {words!r}, but:\n{said[-3000:]}")


def same(one, other):
    """Raise Broken unless two runs ended with the very same numbers."""
    if one["status"] != "completed" or one["metrics"] != other["metrics"]:
        raise Broken(f"resumed: {one['status']} with {one['metrics']}; uninterrupted: {other['metrics']}")


# ---------------------------------------------------------------------------------- the steps


def clone(student):
    """Git clone."""
    student.types(f"git clone --quiet {shlex.quote(str(ROOT))} amal", cwd=student.clone.parent)


def install(student, everything=False):
    """Make: the rules of the Makefile, with pip told to take what is there already."""
    student.env |= {
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
    }  # pip's 0 means: no isolation
    student.types(f"make .venv/bin/pip PYTHON={shlex.quote(sys.executable)}")
    [packages] = (student.clone / ".venv").glob("lib/python*/site-packages")
    installed = dict.fromkeys(sysconfig.get_path(which) for which in ("purelib", "platlib"))
    (packages / "those_of_the_tester.pth").write_text("\n".join(installed), encoding="utf-8")
    student.env["PYTHONPATH"] = os.pathsep.join(installed)  # its setuptools, rather than an old one that venv brings
    student.types("make .venv/installed")
    del student.env["PYTHONPATH"]
    student.types("python -c 'import amal; print(amal.__file__)'", [str(student.clone)])
    if everything:
        student.types("make", ["3.20"])
        student.types(
            "python docs/images.py", [f"docs/img/{name}.png" for name in ("why_float64", "checkerboard", "gates")]
        )
    else:
        student.types("amal labs tme1", ["1.1", "1.6", "gradcheck True for linear", "To see the curves"])


def look(student):
    """TensorBoard on the runs, at the address that it prints."""
    line = "amal board"
    board = student.starts(line)
    try:
        found = next((found for text in board.stdout if (found := re.search(r"http://\S+", text))), None)
        if not found:
            raise Broken(f"{line}: printed no address")
        print(found[0])
        address = re.match(r"http://[^/]+", found[0])[0]
        deadline = time.monotonic() + 120  # it answers at once, and reads the runs meanwhile
        runs = []
        while not any("chain_rule" in run for run in runs):
            if time.monotonic() > deadline:
                raise Broken(f"{line}: shows {runs}")
            with urllib.request.urlopen(f"{address}/data/runs", timeout=60) as answer:
                runs = json.load(answer)
            with contextlib.suppress(subprocess.TimeoutExpired):
                board.wait(timeout=0.2)
        print(f"{len(runs)} runs")
    finally:
        os.killpg(board.pid, signal.SIGTERM)  # not Ctrl-C, which whoever runs in the background does not hear
        board.stdout.close()
        board.wait(timeout=60)


def one_experiment(student):
    """A script with settings of one's own."""
    student.types("python -m tme1.classification --help", ["--dataset", "--run-dir"])
    student.types("python -m tme1.classification --dataset four-gaussians --epochs 100", ["written to runs/tme1"])
    student.types("python -m tme1.classification --epochs ten", ["--epochs"], status=2)


def doctor(student):
    """Amal check on a wrong Linear."""
    (student.clone / "lab.py").write_text(WRONG, encoding="utf-8")
    student.types("amal check lab.py", ["WRONG", "Linear", "not-summed", "has shape"], status=1)
    student.types("amal show linear", ["grad_bias"])


def exercise(student):
    """A lab to fill in: to do, never overwritten, and done."""
    student.types("amal exercise tme1 my_tme1", ["Begin with my_tme1/README.md"])
    student.types("amal check my_tme1", ["to do"], status=1)
    student.types("amal exercise tme1 my_tme1", ["my_tme1"], status=2)
    student.types("amal exercise tme1 solved --solution")
    said = student.types("amal check solved", ["done"])
    if "to do" in said:
        raise Broken("amal check: something is to do in the solution")


def resume(student):
    """A run that is killed in the middle, and resumed, ends as one that was not."""
    line = "python -m tme3.classifier --epochs 30 --checkpoint-every 20 --no-progress"
    killed = student.starts(f"{line} --run-dir runs/mine")
    checkpoints = student.clone / "runs" / "mine" / "checkpoints"
    while killed.poll() is None and len(list(checkpoints.glob("step*"))) < 2:
        with contextlib.suppress(subprocess.TimeoutExpired):
            killed.wait(timeout=0.02)
    killed.kill()
    killed.communicate()
    if killed.returncode != -signal.SIGKILL:
        raise Broken(f"{line}: ended with {killed.returncode} before it could be killed")
    print("Killed")
    student.types(f"{line} --run-dir runs/mine", ["runs/mine"], status=1)  # never overwritten
    student.types(f"{line} --run-dir runs/mine --resume", ["written to runs/mine"])
    student.types(f"{line} --run-dir runs/whole", ["written to runs/whole"])
    same(student.metrics("runs/mine"), student.metrics("runs/whole"))


def hand_in(student):
    """The report of it all."""
    student.types("amal report -o report.html")
    page = (student.clone / "report.html").read_text(encoding="utf-8")
    run = max((student.clone / "runs" / "tme1" / "chain_rule").iterdir())
    measured = student.metrics(run)["measured"].split(";")[0]
    keeps("report.html", 0, page, 0, ["<html", "tme1.chain_rule", measured.split("'")[0]])


def walk(home, everything=False):
    """Go the whole way, in an empty folder."""
    student = Newcomer(home)
    clone(student)
    install(student, everything)
    for step in (look, one_experiment, doctor, exercise, resume, hand_in):
        step(student)
    student.types("git status --short --untracked-files=no")
    print("\nEvery promise was kept.")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--everything", action="store_true", help="run every lab, as `make` does")
    with tempfile.TemporaryDirectory() as folder:
        walk(folder, options.parse_args().everything)
