"""Experiment 3.5: tied autoencoders: codes of several sizes, several layers, two losses, noise.

Reported: code of 30: 0.0236 / 0.0234 on train / test; 500-100-30: 0.0127 / 0.0131 (MNIST, MSE per pixel, R-a TP3); of
MSE and BCE, BCE is sharper (R-c 6.1).

Each model is named for the sizes of its encoder's layers: 30 is one layer, 500-100-30 three, "30 untied" has a
decoder with weights of its own. "30 bce", "30 noise" and "30 binarized" are trained as --loss bce, --noise gaussian and
--binarize train all of them. Beside the errors stands what as many principal components leave.

Also 3.6: three layers or more (--models "*-*-*"). Reported: 500-100-30: 0.0127 / 0.0131 on train / test (MNIST, MSE per
pixel, R-a TP3).

Also 3.9: trained on the cross-entropy of pixels, not on their squared error (--loss bce). Reported: 256-100-10 with
tanh; of MSE and BCE, BCE is sharper (R-c 6.1).

Also 3.9: the same, of one model among others (--models "* bce").

Also 3.10: noise in what is given, not in what is asked for (--noise gaussian). Reported: no figures (R-c 6.2).

Also 3.10: the same, of one model among others (--models "* noise").

Also 3.11: pixels made 0 or 1 (--binarize). Reported: no figures (R-c 6.3).

Also 3.11: the same, of one model among others (--models "* binarized").

In TensorBoard: Images, `reconstructions` of all below each other, then the sliders of each and of its `weights`;
Custom scalars, the mse: which code is large enough?; Histograms, `code`; HParams, the errors.

    python -m tme3.autoencoder
    python -m tme3.autoencoder --noise gaussian --sigma 0.5 --models 30
    python -m tme3.autoencoder --dataset mnist --data-root data --models 30 --code relu --loss bce --batch-size 100
    python -m tme3.autoencoder --dataset usps --data-root data --models 100-10 --hidden tanh --code tanh --loss bce
"""

from dataclasses import dataclass, replace
from typing import Any

from amal.data import Images
from amal.functional import mse_loss
from amal.nn import Autoencoder
from amal.plots import image_rows, training_curves
from amal.runs import Outcome, launch
from amal.training import Logbook, Progress
from tme3._codes import (
    SHOWN,
    CodeConfig,
    autoencoder,
    binarized,
    learn_codes,
    pca_errors,
    reconstruction,
    require_models,
    sizes_of,
    spoiled,
)

CHANGES: dict[str, dict[str, Any]] = {
    "bce": {"loss": "bce"},
    "noise": {"noise": "gaussian"},
    "binarized": {"binarize": True},
}
"""Last word of a model's name -> settings that it is trained with."""
REPORTED = {"30": "0.0236 / 0.0234", "500-100-30": "0.0127 / 0.0131"}


@dataclass(frozen=True)
class Config(CodeConfig):
    """Adam, its learning rate rising and falling once, for each autoencoder."""

    models: tuple[str, ...] = (
        "10",
        "30",
        "30 untied",
        "30 bce",
        "30 noise",
        "30 binarized",
        "100",
        "500",
        "500-100-30",
    )
    """Sizes of the layers of each encoder, then in what it differs, if it does: untied, bce, noise or binarized."""
    epochs: int = 20
    """Passes over the training set, of each training."""
    lr: float = 0.02
    """The greatest learning rate (the sheet's ε)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_models("--models", [_split(name)[0] for name in self.models])


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train each autoencoder, and set what they keep side by side."""
    data = config.load(config.seed, config.device)
    models: dict[str, tuple[Autoencoder, Progress]] = {}
    for name in config.models:
        plain, change = _split(name)
        changed = replace(config, **CHANGES.get(change, {}))
        images = changed.load(config.seed, config.device) if changed.binarize else data
        model, book = autoencoder(plain, data, changed), logbook.child(called(name))
        done = learn_codes(model, images, changed, book, name)
        models[name] = model, done
        results = {f"mse_{part}": done.last_row[f"mse/{part}"] for part in ("train", "test")}
        book.settings({"sizes": name}, results)

    histories = {name: done.history for name, (_, done) in models.items()}
    title = f"{data.name}: mean squared error of a pixel"
    logbook.figure("errors", training_curves(histories, "mse", title, log=True), 0)
    compare(models, data, config, logbook)
    return tabulate(models, data, config, logbook)


def called(name: str) -> dict[str, Any]:
    """Return in what an autoencoder differs from the others."""
    plain, change = _split(name)
    sizes = plain.removesuffix(" untied")
    return {"sizes": sizes} | ({"tied": False} if sizes != plain else {}) | CHANGES.get(change, {})


def _split(name: str) -> tuple[str, str]:
    """Return the name of an autoencoder without the change of its settings, and that change, if there is one."""
    plain, _, change = name.rpartition(" ")
    return (plain, change) if change in CHANGES else (name, "")


def compare(models: dict[str, tuple[Autoencoder, Progress]], data: Images, config: Config, logbook: Logbook) -> None:
    """Draw images of the test set above what each autoencoder makes of them."""
    images = data.test.input[:SHOWN]
    rows = {"image": images}
    if config.noise == "gaussian":
        rows["with noise"] = images = spoiled(images, config)
    rows |= {name: reconstruction(model, images) for name, (model, _) in models.items()}
    columns = [data.classes[number] for number in data.test.target[:SHOWN]]
    logbook.figure("reconstructions", image_rows(rows, f"{data.name}, test set", columns), 0)


def tabulate(
    models: dict[str, tuple[Autoencoder, Progress]], data: Images, config: Config, logbook: Logbook
) -> Outcome:
    """Return the errors, reported and measured, beside those of principal components."""
    sizes = [sizes_of(name)[-1] for name in models]
    of_pca = {True: pca_errors(binarized(data), sizes), False: pca_errors(data, sizes)}
    heads = ["reported on MNIST, train / test", "train", "test", "BCE test", "PCA test", "parameters", "s"]
    noise = config.noise == "gaussian"
    if noise:
        heads.insert(3, "test, noise undone")
        spoilt = spoiled(data.test.input, config)
    lines = [f"| {data.name}, MSE per pixel | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    metrics = {}
    for name, (model, done) in models.items():
        row = done.last_row
        errors = {part: row[f"mse/{part}"] for part in ("train", "test")}
        if noise:
            errors["denoised"] = float(mse_loss(reconstruction(model, spoilt), data.test.input))
        errors["bce"] = row["bce/test"]
        of_images = of_pca[_split(name)[1] == "binarized"]
        errors["pca"] = of_images.get(sizes_of(name)[-1], 0.0)  # with a component for every pixel nothing is left
        metrics |= {f"{name}_{what}": error for what, error in errors.items()}
        shown = " | ".join(f"{error:.4f}" for error in errors.values())
        parameters = sum(parameter.numel() for parameter in model.parameters())
        lines.append(f"| {name} | {REPORTED.get(name, '–')} | {shown} | {parameters} | {done.seconds:.1f} |")
    if noise:
        before = float(mse_loss(spoilt, data.test.input))
        lines.append(f"\nThe noise itself is an error of {before:.4f}.")
    print("\n".join(lines))
    logbook.text("errors", "\n".join(lines))
    words = ", ".join(f"{name} {metrics[f'{name}_train']:.4f} / {metrics[f'{name}_test']:.4f}" for name in models)
    return Outcome(f"{data.name}, MSE per pixel, train / test: {words}", metrics)


if __name__ == "__main__":
    launch(run)
