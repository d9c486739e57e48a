"""Every benchmark, one after another: python -m benchmarks [--data-root data].

It takes about an hour, on a machine that does nothing else. Those on MNIST are left out where its files are not there.
Writes benchmarks/results/*.json and benchmarks/RESULTS.md.
"""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from amal.data import default_root
from benchmarks import epoch, loop, mnist, ops, optim, startup, steps, sweep


@dataclass(frozen=True)
class Config:
    """Where the data lie."""

    data_root: Path = field(default_factory=default_root)
    """Folder that holds MNIST/raw with its four files."""


def main(config: Config) -> None:
    """Measure everything."""
    ops.main(ops.Config())
    for benchmark in (optim, loop, steps, startup, sweep):
        print(benchmark.__name__, flush=True)
        benchmark.main()
    if (config.data_root / "MNIST").is_dir():
        epoch.main(epoch.Config(config.data_root))
        mnist.main(mnist.Config(config.data_root))
    else:
        print(f"no MNIST below {config.data_root}: benchmarks.epoch and benchmarks.mnist are left out")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
