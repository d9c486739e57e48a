"""Experiment 2.9: what one step of training spends its time on, as the profiler sees it.

Reported: no figures; of the descents of the documents only the whole is timed (R-b 2.1, R-c ch. 4).

torch.profiler watches a few steps of the two-layer tanh regressor: which parts of the step take how long, which
operations lie below them, and how much of the time is Python's own. A small batch is all Python: operations of some
microseconds each, and a large one is all arithmetic. The trace, every call on a line of time, is written beside the
run's other files, to be opened in Perfetto (ui.perfetto.dev) or chrome://tracing.

In TensorBoard: Images, `parts`: which part grows with the batch; Text, the operations of each batch size.

Alone: it measures time.

    python -m tme2.profiler
    python -m tme2.profiler --batch-sizes 10 10000 --width 500
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

from amal.functional import mse_loss
from amal.optim import SGD
from amal.plots import new_figure
from amal.runs import Outcome, launch
from amal.training import Logbook, RunConfig, choose_device, require_some
from tme2.exercise.regressor import sequential

PARTS = ("batch", "zero_grad", "forward", "loss", "backward", "update")
"""Of a step, in their order."""
STEPS, WARM_UP = 50, 20
FEATURES = 13
"""As many as Boston housing has."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Which steps to watch."""

    batch_sizes: tuple[int, ...] = (10, 10_000)
    """Examples per step."""
    width: int = 20
    """Hidden units."""
    device: str = "auto"
    """Where to compute: auto (CUDA if there is one, else the CPU), cpu, cuda, cuda:N or mps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some(self, "width")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Watch some steps with each batch size."""
    os.environ.setdefault(
        "KINETO_LOG_LEVEL", "5"
    )  # the profiler's own messages to stderr, such as that there is no GPU
    device = choose_device(config.device)
    shares: dict[str, dict[str, float]] = {}
    metrics = {}
    for size in config.batch_sizes:
        name = f"batch of {size}"
        step = steps(size, config.width, device)
        for _ in range(WARM_UP):
            step()
        watched = profiled(step, device)
        watched.export_chrome_trace(str(logbook.folder / f"trace-batch-{size}.json"))
        times = {of.key: of.cpu_time_total / STEPS for of in watched.key_averages()}
        whole = sum(times[part] for part in PARTS)
        shares[name] = {part: times[part] / whole for part in PARTS}
        metrics |= {f"{name}, µs a step": whole} | {f"{name}, {part}": shares[name][part] for part in PARTS}
        table = "\n".join(lines_of(watched))
        print(f"{name}: {whole:.0f} µs a step\n\n{table}\n")
        logbook.text(f"operations/{name}", table)
    logbook.figure("parts", drawn(shares), 0)
    sentence = "; ".join(
        f"{name} {metrics[f'{name}, µs a step']:.0f} µs, backward {100 * of['backward']:.0f} %"
        for name, of in shares.items()
    )
    return Outcome(f"a step of {FEATURES}-{config.width}-1: {sentence}", metrics)


def steps(batch_size: int, width: int, device: torch.device) -> Callable[[], None]:
    """Return one step of the regressor on batches drawn from 10 batches' worth of random examples."""
    input, target = (
        torch.randn(10 * batch_size, FEATURES, device=device),
        torch.randn(10 * batch_size, 1, device=device),
    )
    model = sequential(FEATURES, width).to(device)
    optimizer = SGD(model.parameters(), 0.01)
    order = torch.randperm(10 * batch_size, device=device)

    def step() -> None:
        with record_function("batch"):
            rows = order[:batch_size]
            x, y = input[rows], target[rows]
        with record_function("zero_grad"):
            optimizer.zero_grad()
        with record_function("forward"):
            prediction: Tensor = model(x)
        with record_function("loss"):
            loss = mse_loss(prediction, y)
        with record_function("backward"):
            loss.backward()  # type: ignore[no-untyped-call]
        with record_function("update"):
            optimizer.step()

    return step


def profiled(step: Callable[[], None], device: torch.device) -> Any:
    """Return what the profiler saw of some steps."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities, record_shapes=True) as watched:
        for _ in range(STEPS):
            step()
    return watched


def lines_of(watched: Any) -> list[str]:
    """Return a table of the operations that take most time themselves, those below them left out."""
    events = [event for event in watched.key_averages() if event.key not in PARTS and event.self_cpu_time_total > 0]
    events.sort(key=lambda event: -event.self_cpu_time_total)
    whole = sum(event.self_cpu_time_total for event in watched.key_averages())
    rows = [
        f"| `{event.key}` | {event.count / STEPS:.0f} | {event.self_cpu_time_total / STEPS:.1f} | "
        f"{100 * event.self_cpu_time_total / whole:.0f} % |"
        for event in events[:10]
    ]
    python = sum(event.self_cpu_time_total for event in watched.key_averages() if event.key in PARTS)
    rows.append(f"| between them: Python | | {python / STEPS:.1f} | {100 * python / whole:.0f} % |")
    return ["| operation | calls a step | µs a step, itself | share |", "|---|--:|--:|--:|", *rows]


def drawn(shares: dict[str, dict[str, float]]) -> Any:
    """Draw the parts of a step, one bar for each batch size."""
    figure = new_figure(7.0, 1.2 + 0.6 * len(shares))
    axes = figure.add_subplot(title="Where the time of a step goes", xlabel="share of the step's time", xlim=(0, 1))
    for name, parts in shares.items():
        start = 0.0
        for number, part in enumerate(PARTS):
            bar = axes.barh(
                name, parts[part], left=start, color=f"C{number}", label=part if name == next(iter(shares)) else None
            )
            if parts[part] > 0.06:
                axes.bar_label(bar, [f"{100 * parts[part]:.0f} %"], label_type="center", fontsize=8)
            start += parts[part]
    axes.legend(ncols=len(PARTS), loc="upper center", bbox_to_anchor=(0.5, -0.3), fontsize=8, frameon=False)
    axes.invert_yaxis()
    return figure


if __name__ == "__main__":
    launch(run)
