"""Every operation beside torch.nn.functional's: time and memory, as ratios measured in turn in one process.

    python -m benchmarks.ops                            # all, half an hour on two cores; most of it is compilation
    python -m benchmarks.ops --names tanh conv2d --no-compiled

Writes benchmarks/results/ops-<device>.json, and benchmarks/RESULTS.md from all that lies there.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from amal import functional
from amal.checking import CASES, Case
from amal.proofs.budget import saved_bytes
from amal.proofs.cases import case, keyword_case, present_tensors, random_like
from benchmarks.report import RESULTS, write
from benchmarks.roofline import roofline
from benchmarks.timing import compare, devices

CLASSES = torch.arange(4096) % 10
PRODUCTS = ("linear", "conv1d", "conv2d", "scaled_dot_product_attention")
"""Operations made of matrix products and convolutions; all others run over every entry."""


def on_entries(name: str, **options: Any) -> tuple[Case, Case]:
    """Small and realistic: a mini-batch of a lab, and a million entries."""
    return case(name, (32, 64), **options), case(name, (1024, 1024), **options)


def of_pairs(name: str, **options: Any) -> tuple[Case, Case]:
    """A loss of input and target."""
    return case(name, (32, 10), (32, 10), **options), case(name, (1024, 1024), (1024, 1024), **options)


def on_images(name: str, **options: Any) -> tuple[Case, Case]:
    """Pooling: eight channels of a small image, and a layer of a network on MNIST."""
    return case(name, (4, 8, 8, 8), **options), case(name, (64, 32, 28, 28), **options)


def attention(name: str, **options: Any) -> tuple[Case, Case]:
    """One head of a few tokens, and eight of 256, beside torch's fused kernel."""

    def of(function: Any) -> Any:
        return lambda *inputs: function(*inputs, **options)

    ours, theirs = (module.scaled_dot_product_attention for module in (functional, torch.nn.functional))
    return (
        Case(name, of(ours), of(theirs), ((1, 2, 8, 8),) * 3),
        Case(name, of(ours), of(theirs), ((8, 8, 256, 64),) * 3),
    )


def on_signals(name: str, **options: Any) -> tuple[Case, Case]:
    """Pooling in one dimension."""
    return case(name, (4, 8, 32), **options), case(name, (64, 32, 784), **options)


HALF = (0.05, 0.95)
NORMED = ("input", "weight", "bias")
WRITTEN: tuple[tuple[Case, Case], ...] = (
    (case("linear", (32, 64), (32, 64), (32,)), case("linear", (1024, 784), (512, 784), (512,))),
    (case("conv1d", (4, 4, 32), (8, 4, 3), (8,)), case("conv1d", (64, 16, 256), (32, 16, 5), (32,))),
    (case("conv2d", (4, 4, 8, 8), (8, 4, 3, 3), (8,)), case("conv2d", (32, 16, 28, 28), (32, 16, 3, 3), (32,))),
    (
        case("conv2d, first layer", (4, 1, 12, 12), (8, 1, 5, 5), (8,)),
        case("conv2d, first layer", (64, 1, 28, 28), (24, 1, 5, 5), (24,)),
    ),
    (
        case("conv2d, stride 2", (4, 4, 8, 8), (8, 4, 3, 3), (8,), stride=2, padding=1),
        case("conv2d, stride 2", (16, 64, 28, 28), (64, 64, 3, 3), (64,), stride=2, padding=1),
    ),
    (
        case("conv2d, same padding", (4, 4, 8, 8), (8, 4, 3, 3), (8,), padding="same"),
        case("conv2d, same padding", (16, 64, 28, 28), (64, 64, 3, 3), (64,), padding="same"),
    ),
    (
        case("conv2d, depthwise", (4, 8, 8, 8), (8, 1, 3, 3), (8,), padding=1, groups=8),
        case("conv2d, depthwise", (32, 64, 28, 28), (64, 1, 3, 3), (64,), padding=1, groups=64),
    ),
    attention("scaled_dot_product_attention"),
    attention("scaled_dot_product_attention, causal", is_causal=True),
    (case("highway", (32, 64), *[(64, 64), (64,)] * 2), case("highway", (4096, 64), *[(64, 64), (64,)] * 2)),
    (
        case("highway, wide", (32, 64), *[(64, 64), (64,)] * 2, activation="tanh"),
        case("highway, wide", (2048, 512), *[(512, 512), (512,)] * 2, activation="tanh"),
    ),
    on_entries("gelu, tanh", approximate="tanh"),
    on_entries("dropout", p=0.5),
    on_entries("softmax", dim=-1),
    on_entries("log_softmax", dim=-1),
    of_pairs("mse_loss"),
    of_pairs("mse_loss, sum", reduction="sum"),
    of_pairs("mse_loss, none", reduction="none"),
    of_pairs("l1_loss"),
    of_pairs("binary_cross_entropy", interval=HALF),
    of_pairs("binary_cross_entropy_with_logits"),
    (case("nll_loss", (32, 10), target=CLASSES[:32]), case("nll_loss", (4096, 1000), target=CLASSES)),
    (case("cross_entropy", (32, 10), target=CLASSES[:32]), case("cross_entropy", (4096, 1000), target=CLASSES)),
    (
        case("cross_entropy, probabilities", (32, 10), (32, 10)),
        case("cross_entropy, probabilities", (1024, 1000), (1024, 1000)),
    ),
    on_images("max_pool2d", kernel_size=2),
    on_images("avg_pool2d", kernel_size=2),
    on_images("avg_pool2d, overlapping", kernel_size=3, stride=2, padding=1),
    on_images("adaptive_avg_pool2d", output_size=4),
    on_signals("max_pool1d", kernel_size=2),
    on_signals("avg_pool1d", kernel_size=2),
    (
        keyword_case(
            NORMED, "batch_norm", (4, 8, 8, 8), (8,), (8,), running_mean=None, running_var=None, training=True
        ),
        keyword_case(
            NORMED, "batch_norm", (64, 32, 28, 28), (32,), (32,), running_mean=None, running_var=None, training=True
        ),
    ),
    (
        keyword_case(
            NORMED, "batch_norm, of vectors", (32, 64), (64,), (64,), running_mean=None, running_var=None, training=True
        ),
        keyword_case(
            NORMED,
            "batch_norm, of vectors",
            (4096, 512),
            (512,),
            (512,),
            running_mean=None,
            running_var=None,
            training=True,
        ),
    ),
    (
        keyword_case(NORMED, "layer_norm", (32, 64), (64,), (64,), normalized_shape=(64,)),
        keyword_case(NORMED, "layer_norm", (4096, 512), (512,), (512,), normalized_shape=(512,)),
    ),
    (
        keyword_case(("weight",), "embedding", (100, 16), input=CLASSES[:32]),
        keyword_case(
            ("weight",), "embedding", (10000, 256), input=(torch.arange(64 * 128) * 7919 % 10000).view(64, 128)
        ),
    ),
)


def from_table(first: Case) -> tuple[Case, Case]:
    """Make the rows of an operation that has none above: its first case in the table, small and realistic."""
    variables = len(first.shapes)
    return replace(first, shapes=((32, 64),) * variables), replace(first, shapes=((1024, 1024),) * variables)


FIRST = {case.op: case for case in reversed(CASES)}
SAME_SHAPES = [first for first in reversed(FIRST.values()) if len({*first.shapes}) == 1]
WORKLOADS = (
    *WRITTEN,
    *(from_table(first) for first in SAME_SHAPES if first.name not in {large.name for _, large in WRITTEN}),
)
"""An operation whose variables have one shape needs no row: its first case in the table is measured."""


@dataclass(frozen=True)
class Config:
    """What to measure."""

    names: tuple[str, ...] = ()
    """Operations to measure; all if none."""
    seconds: float = 1.0
    """Time spent on each comparison."""
    compiled: bool = True
    """Measure inside torch.compile too."""
    devices: tuple[str, ...] = field(default_factory=devices)
    """Where to measure."""


def measure(small: Case, large: Case, device: str, config: Config) -> dict[str, Any]:
    """Compare one operation at two sizes."""
    inputs = large.inputs(torch.float32, device)
    row = {
        "name": large.name,
        "kind": kind(large),
        "shapes": [shape for shape in large.shapes if shape is not None],
        "small forward": forward(small, device, config),
        "small both": both(small, device, config),
        "realistic forward": forward(large, device, config),
        "realistic both": both(large, device, config),
        "saved bytes": saved_bytes(large.operation, inputs),
        "saved bytes torch": saved_bytes(large.reference, inputs),
    }
    row |= roofline(with_gradient(large, large.operation, device), row["realistic both"]["ours"], device)
    if config.compiled:
        torch.compiler.reset()
        ours, theirs = (torch.compile(f, fullgraph=True) for f in (large.operation, large.reference))
        row["compiled both"] = both(replace(large, operation=ours, reference=theirs), device, config)
    return row


def forward(case: Case, device: str, config: Config) -> dict[str, float]:
    """Compare calls without a gradient."""
    inputs = case.inputs(torch.float32, device)
    with torch.no_grad():
        return compare(lambda: case.operation(*inputs), lambda: case.reference(*inputs), config.seconds)._asdict()


def both(case: Case, device: str, config: Config) -> dict[str, float]:
    """Compare calls and their gradients."""
    step, reference = (with_gradient(case, function, device) for function in (case.operation, case.reference))
    return compare(step, reference, config.seconds)._asdict()


def with_gradient(case: Case, function: Callable[..., Tensor], device: str) -> Callable[[], object]:
    """Return a call of the function and of its gradient."""
    inputs = case.inputs(torch.float32, device)
    grad_output = random_like(case.reference(*inputs), 1)
    return lambda: torch.autograd.grad(function(*inputs), present_tensors(inputs), grad_output)


def main(config: Config) -> None:
    """Measure what is asked for and write it down beside what was measured before."""
    for device in config.devices:
        path = RESULTS / f"ops-{device}.json"
        chosen = [pair for pair in WORKLOADS if not config.names or pair[1].op in config.names]
        before = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
        rows = {row["name"]: row for row in before if row["name"] in {large.name for _, large in WORKLOADS}}
        for small, large in tqdm(chosen, desc=device):
            rows[large.name] = rows.get(large.name, {}) | measure(small, large, device, config)
        order = [pair[1].name for pair in WORKLOADS]
        write("ops", device, {"rows": sorted(rows.values(), key=lambda row: order.index(row["name"]))})


def kind(large: Case) -> str:
    """Return the class of work that an operation is, which its budget goes by."""
    return "layer" if large.op == "highway" else "product" if large.op in PRODUCTS else "entries"


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
