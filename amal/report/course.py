"""The figures of the course documents beside numbers of the runs, and the most important pictures.

A figure is subtracted from a measured number only if both measure the same thing: the same data, the
same quantity, and the settings that the document gives. A remark names small differences. If they are
larger, the two stand beside each other, and nothing is subtracted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A number that an experiment is judged by, and its value in the documents, if there is one."""

    number: str
    """The experiment, such as 3.5."""
    title: str
    script: str
    metric: str
    """Its name in metrics.json."""
    reported: float | None = None
    source: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings that a run must have for its number to be this one."""
    better: Literal["more", "less", "neither"] = "more"
    percent: bool = False
    """Whether it is shown in percent; the metric is a number from 0 to 1."""
    remark: str = ""
    """Small differences between the two, or how the figure was reported."""
    is_comparable: bool = True
    """Whether a difference means something; if not, the remark says why."""


MNIST = {"dataset": "mnist"}
USPS = {"dataset": "usps"}
OTHER_CUT = "the document's USPS is another, smaller cut"
WHICH_POINTS = "R-c does not say whether on train or test"


def _pair(  # train and test of one model, as most documents report them
    number: str,
    title: str,
    script: str,
    model: str,
    train: float,
    test: float,
    source: str,
    settings: Mapping[str, object],
    better: Literal["more", "less", "neither"] = "more",
    remark: str = "",
) -> tuple[Figure, Figure]:
    return (
        Figure(number, f"{title}, train", script, f"{model}_train", train, source, settings, better, remark=remark),
        Figure(number, f"{title}, test", script, f"{model}_test", test, source, settings, better, remark=remark),
    )


FIGURES: tuple[Figure, ...] = (
    Figure(
        "1.4", "R² of descent, test", "tme1.regression", "line_r2_test", 0.52, "R-e 1.3.1",
        remark="another noisy line", is_comparable=False,
    ),
    Figure(
        "1.4", "R² of scikit-learn, test", "tme1.regression", "line_r2_test_sklearn", 0.47, "R-e 1.3.1",
        remark="another noisy line", is_comparable=False,
    ),
    Figure(
        "1.5", "accuracy, test", "tme1.classification", "accuracy_test", 1.0, "R-c ch. 2, R-e 1.3.2",
        {"dataset": "two-gaussians"}, percent=True,
    ),
    Figure(
        "1.6", "loss on noise, bias gradient not summed", "tme1.bugs", "bias not summed, loss on train_wrong", 3e-5,
        "18 student solutions", better="neither", remark="other noise", is_comparable=False,
    ),
    Figure(
        "1.6", "loss on noise, right", "tme1.bugs", "bias not summed, loss on train_right", 2.4,
        "18 student solutions", better="neither", remark="other noise", is_comparable=False,
    ),
    *_pair("2.3", "two layers", "tme2.four_gaussians", "two_layers", 0.996, 1.0, "R-e 3.3.1", {}),
    Figure(
        "2.3", "two layers and a bias column, test", "tme2.four_gaussians", "bias_column_test", 0.999, "R-c ch. 3",
        percent=True, remark=WHICH_POINTS,
    ),
    *_pair("2.3", "one layer", "tme2.four_gaussians", "one_layer", 0.494, 0.511, "R-e ch. 2", {}, "neither"),
    *(
        Figure(
            "2.4", f"{kind}, test", "tme2.three_descents", f"{kind}_accuracy_test", reported, "R-c ch. 4",
            percent=True, remark=WHICH_POINTS,
        )
        for kind, reported in (("stochastic", 0.996), ("mini-batch", 0.997), ("batch", 0.999))
    ),
    *_pair("2.5", "1500 iterations, 10 batches", "tme2.checkerboard", "1500, 10", 0.906, 0.782, "R-e 3.3.2", {}),
    *_pair(
        "2.5", "the best", "tme2.checkerboard", "best", 0.906, 0.782, "R-e 3.3.2", {},
        remark="ours is the best on validation; R-e does not say by what it chose",
    ),
    *_pair(
        "2.6", "learning rate 0.1", "tme2.learning_rate", "0.1", 0.5, 0.485, "R-e 3.3.2", {}, "neither", "diverges"
    ),
    *_pair("2.6", "learning rate 0.01", "tme2.learning_rate", "0.01", 0.906, 0.782, "R-e 3.3.2", {}),
    *_pair("2.6", "learning rate 0.001", "tme2.learning_rate", "0.001", 0.596, 0.586, "R-e 3.3.2", {}),
    Figure(
        "2.7", "two layers, test", "tme2.depth", "two layers_test", 0.6, "R-e 3.3.3", better="neither",
        remark="reported as “at or below 60 %”", is_comparable=False,
    ),
    Figure("2.7", "four layers, test", "tme2.depth", "four layers_test"),
    Figure("2.7", "four layers, not shuffled, test", "tme2.depth", "not shuffled_test"),
    Figure("2.7", "four layers, ReLU, test", "tme2.depth", "ReLU_test"),
    Figure(
        "3.2", "one hidden layer, tanh, test", "tme3.perceptron_to_mlp", "one hidden layer, tanh_test", 0.8585,
        "R-c ch. 5", USPS, percent=True, remark=f"{OTHER_CUT}; {WHICH_POINTS}",
    ),
    Figure(
        "3.2", "MLP, train", "tme3.classifier", "accuracy_train", 0.919, "R-e ch. 4", USPS, percent=True,
        remark=OTHER_CUT,
    ),
    Figure(
        "3.2", "MLP, test", "tme3.classifier", "accuracy_test", 0.892, "R-e ch. 4", USPS, percent=True,
        remark=OTHER_CUT,
    ),
    Figure(
        "3.2", "MLP, test, beside 256-100-10 with tanh", "tme3.classifier", "accuracy_test", 0.8585, "R-c ch. 5", USPS,
        percent=True, remark=f"256-100-10 there; {OTHER_CUT}; {WHICH_POINTS}",
    ),
    Figure("3.3", "MLP on MNIST, test", "tme3.classifier", "accuracy_test", settings=MNIST, percent=True),
    *_pair("3.5", "code of 30, MSE", "tme3.autoencoder", "30", 0.0236, 0.0234, "R-a TP3", MNIST, "less"),
    *_pair("3.6", "500-100-30, MSE", "tme3.autoencoder", "500-100-30", 0.0127, 0.0131, "R-a TP3", MNIST, "less"),
    *_pair("3.8", "highway, MSE", "tme3.highway", "highway", 0.0175, 0.0173, "R-a", MNIST, "less"),
    *_pair("3.8", "one layer, MSE", "tme3.highway", "one layer", 0.0236, 0.0234, "R-a", MNIST, "less"),
    *(
        Figure("3.12", title, "tme3.latent", metric, reported, source, USPS, remark=OTHER_CUT)
        for title, metric, reported, source in (
            ("purity, codes, test", "original_purity", 0.6347, "R-c ch. 6"),
            ("purity, codes learnt with noise, test", "noise_purity", 0.6243, "R-c ch. 6"),
            ("purity, codes of binarised images, test", "binarized_purity", 0.5941, "R-c ch. 6"),
            ("mean purity of a cluster, pixels", "pixels_mean purity", 0.669, "R-e 5.2.2"),
            ("mean purity of a cluster, codes", "original_mean purity", 0.510, "R-e 5.2.2"),
            ("silhouette, pixels", "pixels_silhouette", 0.094, "R-e 5.2.2"),
            ("silhouette, codes", "original_silhouette", 0.398, "R-e 5.2.2"),
        )
    ),
    Figure(
        "3.12", "silhouette, codes learnt with noise", "tme3.latent", "noise_silhouette", 0.398, "R-e 5.2.2", USPS,
        remark="the document's codes are learnt without noise, on another, smaller cut",
    ),
    *(
        Figure(
            "3.12", f"inertia, {data}", "tme3.latent", f"{key}_inertia", reported, "R-e 5.2.2", USPS, "neither",
            remark="a sum over other images, and for codes in other units", is_comparable=False,
        )
        for data, key, reported in (("pixels", "pixels", 172488.0), ("codes", "original", 2653.0))
    ),
    *_pair(
        "3.14", "codes, 32 hidden, tanh", "tme3.latent_classifier", "codes, tanh", 0.647, 0.634, "R-e 5.2.3", USPS,
        remark=OTHER_CUT,
    ),
    *_pair(
        "3.14", "codes, 32 hidden, ReLU", "tme3.latent_classifier", "codes, relu", 0.489, 0.515, "R-e 5.2.3", USPS,
        remark=OTHER_CUT,
    ),
    Figure(
        "3.15", "Conv1d, 100 images of MNIST, train", "tme3.convolution", "Conv1d_train", 0.94, "R-c ch. 7",
        {**MNIST, "examples": 100}, percent=True,
    ),
    *_pair(
        "3.15", "Conv1d, 1100 images of USPS", "tme3.convolution", "Conv1d", 0.574, 0.548, "R-e 6.2.1",
        {**USPS, "examples": 1100}, remark="R-e's test set has 500 images",
    ),
    Figure("3.15", "Conv1d, all of USPS, test", "tme3.convolution", "Conv1d_test", settings={**USPS, "examples": None}),
    *_pair(
        "3.16", "Conv2d, 100 batches, lr 0.1, 1000 images of USPS", "tme3.convolution", "100 batches, lr 0.1",
        0.58, 0.505, "R-e 6.2.2", {**USPS, "table": True}, remark="R-e's best setting; its test set has 200 images",
    ),
    Figure("3.16", "Conv2d, all of USPS, test", "tme3.convolution", "Conv2d_test", settings={**USPS, "examples": None}),
    Figure("3.18", "LeNet on MNIST, test", "tme3.convolution", "LeNet_test", settings=MNIST, percent=True),
    Figure(
        "3.19", "the example, test", "tme3.reference_example", "the example_test", 0.99, "R-d Q1", MNIST, percent=True,
        remark="reported as “about 99 %”",
    ),
)  # fmt: skip

PICTURE_ORDER: Mapping[str, tuple[str, ...]] = {
    "3.3": ("errors/*",),
    "3.4": ("learning curves*",),
    "3.7": ("interpolation*", "halfway*"),
    "3.8": ("*depth*", "*reconstructions*", "*gates*"),
    "3.12": ("means*", "neighbours*"),
    "3.13": ("t-SNE*",),
    "3.15": ("accuracy*", "errors/worst*"),
    "3.16": ("filters*",),
    "3.17": ("filters*",),
}
"""Experiment -> patterns of tags: the pictures that answer its question, in their order."""
