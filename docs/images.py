"""Take the pictures of the documentation from the newest runs: `make`, then `python docs/images.py`."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from amal.experiments import find_experiments

EXPERIMENTS = find_experiments()
ROOT = Path(__file__).parent.parent
PICTURES = {
    "why_float64": ("tme1/gradcheck", ".", "why_float64"),
    "learning_rates": ("tme1/chain_rule", ".", "sweep of the learning rate"),
    "stacked_linear": ("tme1/stacked_linear", ".", "loss"),
    "diabetes": ("tme1/regression", "dataset=diabetes", "diabetes fit"),
    "frontier": ("tme1/classification", ".", "frontier"),
    "three_descents": ("tme2/descent", ".", "three kinds of descent"),
    "four_gaussians": ("tme2/four_gaussians", "model=two-layers", "frontier"),
    "worst": ("tme3/classifier", ".", "errors/worst"),
    "filters": ("tme3/convolution", "model=LeNet", "filters/weights"),
    "vertical_stroke": ("tme3/convolution", "model=LeNet", "filters/vertical stroke"),
    "reconstructions": ("tme3/autoencoder", ".", "reconstructions"),
    "between": ("tme3/interpolation", ".", "interpolation"),
    "gates": ("tme3/highway", "part=autoencoder-network=highway", "autoencoder gates"),
    "bias_not_summed": ("tme1/bugs", ".", "bias not summed/loss on train"),
    "profiler": ("tme2/profiler", ".", "parts"),
    "last_batch": ("tme2/bugs", ".", "last batch for the epoch/loss"),
    "softmax_twice": ("tme3/bugs", ".", "softmax twice/loss"),
    "tied_at_zero": ("tme3/bugs", ".", "tied weights at zero/reconstructions"),
    "checkerboard": ("tme2/checkerboard", "iterations=2000-batches=10", "frontier"),
}
"""Name of the picture -> experiment, run below it, tag without the number of the experiment; the last step is taken."""
SCREENSHOTS = ("dashboard", "projector", "board_about", "board_graph", "board_sweep")
"""Pictures of TensorBoard itself, taken in a browser."""


def main() -> None:
    """Write every picture to docs/img."""
    for name, (experiment, child, tag) in PICTURES.items():
        newest = max((ROOT / "runs" / experiment).iterdir())
        number = EXPERIMENTS[experiment.replace("/", ".")].number
        picture = EventAccumulator(str(newest / child)).Reload().Images(f"{number} {tag}")[-1]
        (ROOT / "docs" / "img" / f"{name}.png").write_bytes(picture.encoded_image_string)
        print(f"docs/img/{name}.png from {newest.relative_to(ROOT)}, step {picture.step}")


if __name__ == "__main__":
    main()
