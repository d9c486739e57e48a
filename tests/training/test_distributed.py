"""Two processes train one model: they find what one finds, and answer signals and mistakes as one.

torchrun itself starts them. Here it forks them from a process that has imported torch already, in a tenth of a second
instead of five; `-m slow` runs the same tests with processes started as users start them. What they train is an
ordinary script, `torchrun --nproc-per-node 2 -m test_distributed`, but for what the variable PLANT plants in it.
"""

import contextlib
import errno
import json
import multiprocessing
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from killing import LONGEST, SERVER, differing, newest_step, remains
from running import BRIEFLY, ROOT, events_of
from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler
from torch.optim.lr_scheduler import StepLR
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader, TensorDataset

from amal.data import Splits, four_gaussians
from amal.experiments import find_experiments
from amal.functional import mse_loss
from amal.locks import release
from amal.nn import Dropout, Linear, Sequential, Tanh
from amal.runs import Outcome, launch
from amal.runs.folder import open_run_dir
from amal.training import Checkpoints, Logbook, TrainingConfig, checkpoint, distributed, fit, loop

SERVER.set_forkserver_preload(
    ["amal.training", "amal.report", "pytest", "torch._dynamo", "torch.utils.tensorboard", "torch.distributed.run"]
)
FORK = multiprocessing.get_context("fork")
launching = sys.modules[launch.__module__]


# ---------------------------------------------------------------------------------- the experiment


@dataclass(frozen=True)
class Config(TrainingConfig):
    epochs: int = 12
    batch_size: int | None = 29
    """An odd number of examples, and a single one in the last of nine batches."""
    lr: float = 0.01
    checkpoint_every: int = 40
    progress: bool = False
    dropout: float = 0.0
    loader: bool = False
    """Whether the data comes from DataLoaders."""


def run(config: Config, logbook: Logbook) -> Outcome:
    data = four_gaussians(388, seed=config.seed)
    assert [len(part.input) for part in (data.train, data.validation, data.test)] == [8 * 29 + 1, 78, 77]
    if config.loader:
        data = Splits(loader(data.train, 29, shuffle=True), loader(data.validation, 7), loader(data.test, 7))
    model = Sequential(Linear(2, 10), Tanh(), Dropout(config.dropout), Linear(10, 1))
    print(model)
    logbook.graph(model, torch.zeros(5, 2))
    optimizer = torch.optim.Adam(model.parameters(), config.lr)
    done = fit(
        model,
        mse_loss,
        data,
        optimizer,
        config,
        logbook,
        Checkpoints(logbook.folder / "checkpoints"),
        metrics={"error": lambda output, target: (output.sign() != target).double().mean()},
        scheduler=StepLR(optimizer, 40, 0.5),
    )
    return Outcome("trained", {name: value for name, value in done.last_row.items() if name != "seconds"})


def loader(part, batch_size, shuffle=False):
    return DataLoader(TensorDataset(part.input, part.target), batch_size, shuffle)


# ---------------------------------------------------------------------------------- what is planted in it


def nothing():
    pass


def hit(number, whom, step):
    """After some steps, send a signal to the process of that rank, or to torchrun."""

    def count(*_):
        nonlocal left
        left -= 1
        if left or distributed.rank() != int(whom.replace("torchrun", "0")):
            return
        if whom == "torchrun":  # which hands it on, at its leisure
            handler, came = signal.getsignal(signal.Signals[number]), threading.Event()
            signal.signal(signal.Signals[number], lambda *args: (handler(*args), came.set()))
            os.kill(os.getppid(), signal.Signals[number])
            came.wait()
        else:
            os.kill(os.getpid(), signal.Signals[number])

    left = int(step)
    register_optimizer_step_post_hook(count)


def hit_in_slow_steps(*args):
    """Do so in a training whose steps take a tenth of a second."""
    register_optimizer_step_post_hook(lambda *_: time.sleep(0.1))
    hit(*args)


def die_before_joining(rank):
    """Never meet the other process, which waits for this one already."""

    def join(*args):
        if distributed.rank() != int(rank):
            Path("waiting").touch()
            whole(*args)
        while not Path("waiting").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

    whole, torch.distributed.init_process_group = torch.distributed.init_process_group, join


def slow_to_read():
    """Let the second process read its command line until the first one's end ends it too."""
    if distributed.rank() == 1:
        launching._parse = lambda *_, **__: time.sleep(LONGEST)


def slow_last_words(*args):
    """Let the first process end half a second after the other."""
    launching.print = lambda *args, **options: (time.sleep(0.5), print(*args, **options))
    if args:
        hit(*args)


def full_disk():
    def write(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    checkpoint.write_whole = write


def equal_shares():
    """Forget that a process with fewer rows of a batch counts less."""

    def local_rows(input, target):
        return *plain_rows(input, target)[:2], 1 / distributed.size()

    plain_rows, distributed.local_rows = distributed.local_rows, local_rows


def own_losses():
    """Forget the rows of the other process."""
    distributed.total = lambda values: values


def random_states():
    """Forget, in between, where the random generators were."""
    loop.restore_random_states = lambda *_: None


def optimizer_state():
    """Forget, in between, what the optimiser has kept."""
    torch.optim.Adam.load_state_dict = lambda *_: None


# ---------------------------------------------------------------------------------- torchrun


@dataclass
class Ended:
    """How processes ended."""

    status: int
    """Of torchrun, or of the process that was alone."""
    printed: list[str]
    """On standard output, by each process."""
    said: list[str]
    """On standard error, by each process."""
    told: str
    """On standard error, by torchrun."""

    @property
    def advice(self):
        """The command line that the run says would go on with it."""
        return shlex.split(self.said[0].partition("; go on with: ")[2])


class Forked:
    """As much of subprocess.Popen as torchrun needs, for `python -m module`; but everything is imported already."""

    ahead = []  # noqa: RUF012 (of one process)
    """Processes that wait for what to run, and where to tell them. Torchrun has threads, and a fork copies but one."""

    def __init__(self, args, env, stdout, stderr, cwd=".", start_new_session=True):
        what = args, dict(env), stdout.name, stderr.name, cwd
        if self.ahead:
            self._process, there = self.ahead.pop()
            there.send(what)
        else:
            self._process = SERVER.Process(target=_live, args=what)
            self._process.start()
        self.pid = self._process.pid

    @classmethod
    def fork_ahead(cls, number):
        for _ in range(number):
            here, there = FORK.Pipe(duplex=False)
            process = FORK.Process(target=_await, args=(here,))
            process.start()
            cls.ahead.append((process, there))

    def poll(self):
        return self._process.exitcode

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired("a fork", timeout)
        return self.poll()


def _await(here):
    _live(*here.recv())


def _live(args, env, stdout, stderr, cwd):
    os.setsid()
    signal.alarm(2 * LONGEST)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    for path, descriptor in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), descriptor)
    os.chdir(cwd)
    os.environ.update(env)
    Forked.fork_ahead(sum(int(arg.partition("=")[2]) for arg in args if arg.startswith("--nproc-per-node=")))
    subprocess_handler.Popen = Forked
    sys.argv = list(args[args.index("-m") + 1 :])
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def start(parent, *args, processes=2, forked=True, plant=""):
    """Run a script in so many processes to its end; a single one without torchrun."""
    folder = Path(tempfile.mkdtemp(dir=parent))
    together = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    together += ["--redirects=3", f"--log-dir={folder}", "-m"]
    argv = [sys.executable, "-m", *(together if processes > 1 else []), *map(str, args)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests", "OMP_NUM_THREADS": "1", "PLANT": plant}
    begin = Forked if forked else subprocess.Popen
    with (folder / "stdout.log").open("w") as stdout, (folder / "stderr.log").open("w") as stderr:
        process = begin(argv, env=env, stdout=stdout, stderr=stderr, cwd=str(folder))
        try:
            status = process.wait(2 * LONGEST)
            assert not list(living(folder)), "torchrun has ended, a process of it has not"
        finally:
            for pid in living(folder):
                os.kill(pid, signal.SIGKILL)
    logs = sorted(folder.glob("*/attempt_0/*/")) or [folder]
    printed, said = ([(log / name).read_text() for log in logs] for name in ("stdout.log", "stderr.log"))
    return Ended(status, printed, said, (folder / "stderr.log").read_text())


def living(folder):
    """Yield the processes that write into a folder."""
    for output in Path("/proc").glob("[0-9]*/fd/1"):
        with contextlib.suppress(OSError):  # it has just ended, or is somebody else's
            if output.readlink().is_relative_to(folder):
                yield int(output.parts[2])


# ---------------------------------------------------------------------------------- what they leave


def numbers(run_dir):
    """Return all numbers that a run found, as {name: tensor}; times apart."""
    content = torch.load(Checkpoints(run_dir / "checkpoints").paths()[0], weights_only=True)
    history = content["progress"][0]["history"]
    metrics = json.loads((run_dir / "metrics.json").read_text())["metrics"]
    events = events_of(run_dir)
    found = {f"history {name}": [row[name] for row in history[1:]] for name in history[-1] if name != "seconds"}
    found |= {f"metrics.json {name}": value for name, value in metrics.items()}
    found |= {f"TensorBoard {tag}": [e.value for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return content["models"][0] | {name: torch.tensor(value) for name, value in found.items()}


def distances(one, other):
    """Return how far what two runs found is apart, relative to the greatest value of each name."""
    assert one.keys() == other.keys()
    return {name: float((one[name] - other[name]).abs().max() / one[name].abs().max()) for name in one}


# ---------------------------------------------------------------------------------- the tests


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Runs of one kind or another that nobody interrupts: where they lie, and how they ended."""
    made = {}

    def of(*args, processes=2):
        if (args, processes) not in made:
            run_dir = tmp_path_factory.mktemp("whole") / "run"
            made[args, processes] = run_dir, trained(run_dir, *args, processes=processes)
        return made[args, processes]

    return of


@pytest.fixture(params=[pytest.param(True, id="forked"), pytest.param(False, id="started", marks=pytest.mark.slow)])
def forked(request):
    """Whether the processes are forked, or started as users do."""
    return request.param


def began(run_dir, *args, **options):
    """Run the experiment until it ends, somehow."""
    return start(run_dir.parent, "test_distributed", *args, "--run-dir", run_dir, **options)


def trained(run_dir, *args, **options):
    """Run the experiment to its end, with nothing to complain of."""
    ended = began(run_dir, *args, **options)
    assert (ended.status, "".join(ended.said)) == (0, "")
    return ended


# ---------------------------------------------------------------------------------- two find what one finds


@pytest.mark.parametrize(
    "data",
    [pytest.param((), id="tensors"), pytest.param(("--loader",), id="loader", marks=pytest.mark.slow)],
)
def test_two_processes_find_what_one_finds(whole, data):
    apart = distances(*(numbers(whole(*data, processes=processes)[0]) for processes in (1, 2)))
    print(f"at most {max(apart.values()):.0e} apart, relative")
    assert max(apart.values()) < 1e-5
    assert {"0.weight", "history gradient/norm", "metrics.json error/test", "TensorBoard loss/step"} <= apart.keys()


@pytest.mark.parametrize(
    ("plant", "seen"),
    [
        ("equal_shares", {"3.weight", "history loss/train", "TensorBoard loss/step"}),
        pytest.param(
            *("own_losses", {"history loss/test", "metrics.json error/test", "TensorBoard loss/step"}),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_two_processes_forget_is_seen(whole, tmp_path, plant, seen):
    trained(tmp_path / "run", plant=plant)
    apart = distances(numbers(whole(processes=1)[0]), numbers(tmp_path / "run"))
    assert seen <= {name for name, distance in apart.items() if distance > 1e-4}


def test_the_first_process_alone_prints_and_writes(whole):
    (alone, one), (run_dir, two) = whole(processes=1), whole(processes=2)
    assert two.printed == [one.printed[0].replace(str(alone), str(run_dir)), ""]
    assert one.printed[0].count("trained") == 1
    assert len(list(run_dir.glob("events*"))) == 1
    assert kinds_of_files(run_dir) == kinds_of_files(alone)


def kinds_of_files(run_dir):
    return sorted(re.sub(r"\d.*", "…", path.name) for path in run_dir.rglob("*"))


# ---------------------------------------------------------------------------------- killed, stopped, gone on with


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_run_goes_on_with_more_processes_or_fewer(whole, tmp_path, before, after, forked):
    run_dir = tmp_path / "run"
    assert began(run_dir, processes=before, forked=forked, plant="hit SIGTERM 0 57").status != 0
    assert 57 <= newest_step(run_dir) < 108
    trained(run_dir, "--resume", processes=after, forked=forked)
    apart = distances(numbers(whole(processes=1)[0]), numbers(run_dir))
    print(f"{before} -> {after}: at most {max(apart.values()):.0e} apart, relative")
    assert max(apart.values()) < 1e-5


DROPOUT = ("--dropout", "0.1")  # draws in each process
RANKS = [pytest.param("0", marks=pytest.mark.slow), "1"]


@pytest.mark.slow
@pytest.mark.parametrize("rank", RANKS)
def test_a_process_that_is_killed_leaves_no_trace(whole, tmp_path, rank, forked):
    run_dir = tmp_path / "run"
    killed = began(run_dir, *DROPOUT, forked=forked, plant=f"hit SIGKILL {rank} 57")
    assert killed.status != 0
    assert newest_step(run_dir) == 40
    trained(run_dir, *DROPOUT, "--resume", forked=forked)
    assert differing(remains(whole(*DROPOUT)[0]), remains(run_dir)) == []


@pytest.mark.parametrize("rank", RANKS)
def test_a_process_that_never_comes_is_not_waited_for(tmp_path, rank, forked):
    lost = began(tmp_path / "run", forked=forked, plant=f"die_before_joining {rank}")
    assert lost.status != 0
    assert "Signal 15 (SIGTERM)" in lost.told
    assert lost.said == ["", ""]


@pytest.mark.parametrize("whom", [*(pytest.param(rank, marks=pytest.mark.slow) for rank in "01"), "torchrun"])
def test_all_stop_when_one_is_told_to(whole, tmp_path, whom, forked):
    run_dir = tmp_path / "run"
    stopped = began(run_dir, *DROPOUT, forked=forked, plant=f"hit SIGTERM {whom} 57")
    assert stopped.status != 0
    assert "test_distributed: stopped by SIGTERM; go on with: torchrun " in stopped.said[0]
    assert "".join(stopped.said).count("\n") == 1
    program, processes, n, *rest = stopped.advice
    assert [program, processes, n] == ["torchrun", "--nproc-per-node", "2"]
    assert rest == ["-m", "test_distributed", *DROPOUT, "--resume", "--run-dir", str(run_dir)]
    assert start(tmp_path, *rest[1:], forked=forked).status == 0
    assert differing(remains(whole(*DROPOUT)[0]), remains(run_dir)) == []


@pytest.mark.slow
def test_all_stop_soon_when_steps_are_slow(tmp_path):
    stopped = began(tmp_path / "run", plant="hit_in_slow_steps SIGTERM 1 3")
    assert "stopped by SIGTERM; go on with: " in stopped.said[0]
    assert 3 < newest_step(tmp_path / "run") < loop.SYNC_EVERY / 2


@pytest.mark.slow
def test_a_stop_after_they_last_asked_each_other_is_none_the_less_one(whole, tmp_path):
    run_dir = tmp_path / "run"
    stopped = began(run_dir, plant="hit SIGTERM 1 108")
    assert stopped.status != 0
    assert [line.count("stopped by SIGTERM; go on with: ") for line in stopped.said] == [1, 0]
    trained(run_dir, "--resume")
    assert max(distances(numbers(whole(processes=1)[0]), numbers(run_dir)).values()) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "seen"), [("random_states", "random.1.torch"), ("optimizer_state", "optimizer.state.0.exp_avg")]
)
def test_what_two_processes_forget_in_between_is_seen(whole, tmp_path, plant, seen):
    run_dir = tmp_path / "run"
    began(run_dir, *DROPOUT, plant="hit SIGTERM torchrun 57")
    trained(run_dir, *DROPOUT, "--resume", plant=plant)
    assert seen in differing(remains(whole(*DROPOUT)[0]), remains(run_dir))


# ---------------------------------------------------------------------------------- mistakes


def complaint(run_dir, *args, **options):
    """Run the experiment, which must end with one line, and return it."""
    ended = began(run_dir, *args, **options)
    assert ended.status != 0
    assert "".join(ended.said).count("\n") == 1
    return ended.said[0]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param(["--lr", "-1"], "--lr -1.0: expected a positive number", marks=pytest.mark.slow),
        (["--lr", "1e30"], "the loss is inf at step 2 (epoch 1, learning rate 1e+30): try a --lr below 1e+30; "),
        pytest.param(
            *(["--nonsense", "3"], "python -m test_distributed: Unrecognized options: --nonsense, 3"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_mistake_is_answered_in_one_line(tmp_path, args, said, forked):
    assert said in complaint(tmp_path / "run", *args, forked=forked)


@pytest.mark.slow
def test_a_process_that_is_ended_for_another_ones_mistake_is_silent(tmp_path, forked):
    said = complaint(tmp_path / "run", "--lr", "-1", forked=forked, plant="slow_to_read")
    assert said == "test_distributed: --lr -1.0: expected a positive number\n"


@pytest.mark.slow
def test_a_folder_in_use_is_refused_and_untouched(tmp_path, forked):
    run_dir = open_run_dir(tmp_path / "run")
    assert "run belongs to a run that is going on: choose another" in complaint(run_dir, "--resume", forked=forked)
    release(run_dir)
    (run_dir / "thesis.tex").write_text("all of it")
    assert "run already holds thesis.tex: choose another folder" in complaint(run_dir, forked=forked)
    assert [path.read_text() for path in run_dir.iterdir()] == ["all of it"]


@pytest.mark.slow
def test_a_full_disk_is_told_in_one_line(tmp_path, forked):
    said = complaint(tmp_path / "run", forked=forked, plant="full_disk")
    assert "the checkpoint of step 40 cannot be written (No space left on device)" in said


@pytest.mark.parametrize(
    ("args", "plant"),
    [
        pytest.param(["--lr", "-1"], "slow_last_words", id="mistake"),
        pytest.param(DROPOUT, "slow_last_words SIGTERM 1 57", id="stop", marks=pytest.mark.slow),
    ],
)
def test_the_first_process_has_the_last_word(tmp_path, args, plant):
    complaint(tmp_path / "run", *args, plant=plant)


# ---------------------------------------------------------------------------------- every lab


@pytest.mark.slow
@pytest.mark.parametrize("lab", BRIEFLY)
def test_every_lab_runs_in_two_processes(tmp_path, lab, forked):
    found = []
    for processes in (1, 2):
        run_dir = tmp_path / f"{processes}"
        ended = start(
            tmp_path, lab, *shlex.split(BRIEFLY[lab]), "--run-dir", run_dir, processes=processes, forked=forked
        )
        assert (ended.status, "".join(ended.said), "".join(ended.printed[1:])) == (0, "", "")
        metrics = json.loads((run_dir / "metrics.json").read_text())["metrics"]
        found.append({name: value for name, value in metrics.items() if not name.endswith("seconds")})
    alone, together = ({name: float("nan" if value is None else value) for name, value in run.items()} for run in found)
    assert together == pytest.approx(alone, rel=1e-5, nan_ok=True)


def test_every_lab_that_trains_is_among_them():
    alone = {"tme1.gradcheck", "tme3.data_loader", "tme3.parameters", "tme1.bugs", "tme2.bugs", "tme3.bugs"}
    alone |= {"tme2.profiler", "tme3.fast"}
    assert set(find_experiments()) == BRIEFLY.keys() | alone


if __name__ == "__main__":
    name, *arguments = os.environ.get("PLANT", "").split() or ["nothing"]
    globals()[name](*arguments)
    launch(run)
