"""Experiment 3.12: what codes know of classes they were never told: clusters, neighbours, maps.

Reported: codes of 256-100-10, tanh: purity of k-means on test 0.6347, with noise 0.6243, binarised 0.5941 (R-c ch. 6);
pixels / codes: silhouette 0.094 / 0.398, mean purity of a cluster 0.669 / 0.510, inertia 172488 / 2653 (R-e 5.2.2).

A tied autoencoder learns codes of images as they are, with noise that it has to undo, and of pixels 0 or 1. Codes of
the test set are cut into ten clusters by k-means, and so are its pixels. A cluster's purity is the share of its most
frequent class; overall it is the share of all images that have the most frequent class of their cluster. The silhouette
says how far clusters lie apart, the adjusted Rand index how far they agree with the classes (0 by chance, 1 at best).
Maps of the test set are drawn with t-SNE and principal components, and images beside their nearest neighbours.

Also 3.13: maps of pixels and of codes, with t-SNE. Reported: pictures (R-c ch. 6, R-e 5.2.2).

In TensorBoard: Images, `t-SNE/classes` beside `t-SNE/clusters`; then `means` and `neighbours`; Projector, each image
at its code; Text, the clusters; HParams, purity and silhouette.

    python -m tme3.latent
    python -m tme3.latent --dataset usps --data-root data
    python -m tme3.latent --dataset usps --data-root data --variants noise --sigma 1.2 --loss bce
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from amal.data import Images
from amal.functional import sigmoid
from amal.plots import image_rows, points_by_class
from amal.runs import Outcome, launch
from amal.training import Logbook
from tme3._codes import Activation, CodeConfig, autoencoder, codes_of, learn_codes, require_models

Variant = Literal["original", "noise", "binarized"]
CHANGES: dict[str, dict[str, Any]] = {
    "original": {},
    "noise": {"noise": "gaussian"},
    "binarized": {"binarize": True},
}
REPORTED = {
    "pixels": ("–", "0.669", "0.094"),
    "original": ("0.6347", "0.510", "0.398"),
    "noise": ("0.6243", "–", "–"),
    "binarized": ("0.5941", "–", "–"),
}
"""Purity overall, mean purity of the clusters, silhouette."""
MAPPED = 1000
"""Images of the test set that the maps show."""
NEIGHBOURS = 8


@dataclass(frozen=True)
class Config(CodeConfig):
    """Adam, its learning rate rising and falling once, for each autoencoder."""

    model: str = "100-10"
    """Sizes of the encoder's layers; the last one is the code's."""
    code: Activation = "tanh"
    """Non-linearity of the code."""
    hidden: Activation = "tanh"
    """Non-linearity of the other hidden layers."""
    variants: tuple[Variant, ...] = ("original", "noise", "binarized")
    """Which images an autoencoder learns from, one for each."""
    sigma: float = 0.5
    """Standard deviation of the gaussian noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_models("--model", [self.model])


@dataclass(frozen=True)
class Clusters:
    """What k-means found in points (n, d) of known classes."""

    points: Tensor
    number: Tensor
    """Of the cluster of each point (n)."""
    centres: Tensor
    """(k, d)."""
    majority: Tensor
    """The most frequent class of each cluster (k)."""
    purities: Tensor
    """The share of it (k)."""
    scores: dict[str, float]


def run(config: Config, logbook: Logbook) -> Outcome:
    """Learn codes, look for clusters in them and in the pixels, and draw both."""
    data = replace(config, binarize=False).load(config.seed, config.device)
    clusters_by_name = {"pixels": clusters(data.test.input.flatten(1), data.test.target, config.seed)}
    clusters_by_name["pixels"].scores["neighbours"] = same_class(
        *(part.input.flatten(1) for part in (data.train, data.test)), data
    )
    centres = {"pixels": clusters_by_name["pixels"].centres.reshape(-1, *data.shape)}
    for name in config.variants:
        setting = replace(config, **CHANGES[name])
        images = setting.load(config.seed, config.device)
        model, book = autoencoder(config.model, images, setting), logbook.child({"images": name})
        done = learn_codes(model, images, setting, book, name)
        train, test = codes_of(model, images.train.input), codes_of(model, images.test.input)
        clusters_by_name[name] = clusters(test, data.test.target, config.seed)
        clusters_by_name[name].scores["neighbours"] = same_class(train, test, data)
        with torch.no_grad():
            centres[name] = sigmoid(model.decode(clusters_by_name[name].centres))
        draw_neighbours(train, test, data, book, done.step)
        labels = [data.classes[number] for number in data.test.target[:MAPPED]]
        book.embedding(test[:MAPPED], labels, 1 - images.test.input[:MAPPED])
        book.text("clusters", of_each(clusters_by_name[name], data))
        book.settings({"images": name}, clusters_by_name[name].scores)
    title = f"{data.name}: means of the clusters, in pixels, or decoded from codes"
    logbook.figure("means", image_rows(centres, title), 0)
    draw_maps(clusters_by_name, data, config.seed, logbook)
    return tabulate(clusters_by_name, data, logbook)


def clusters(points: Tensor, target: Tensor, seed: int) -> Clusters:
    """Cut points (n, d) into as many clusters as there are classes, and see how pure these are."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    k = int(target.max()) + 1
    seen, truth = points.double().cpu().numpy(), target.cpu()
    fitted = KMeans(k, n_init=10, random_state=seed % 2**32).fit(seen)
    number = torch.from_numpy(fitted.labels_).long()
    counts = torch.bincount(k * number + truth, minlength=k * k).reshape(k, k)
    largest, majority = counts.max(1)
    purities = largest / counts.sum(1)
    scores = {
        "purity": float(largest.sum() / len(truth)),
        "mean purity": float(purities.mean()),
        "silhouette": float(silhouette_score(seen, fitted.labels_)),
        "adjusted Rand": float(adjusted_rand_score(truth.numpy(), fitted.labels_)),
        "inertia": float(fitted.inertia_),
    }
    return Clusters(points, number, torch.from_numpy(fitted.cluster_centers_).to(points), majority, purities, scores)


def nearest(train: Tensor, test: Tensor, count: int) -> Tensor:
    """Return the numbers (n, count) of the points of `train` that are nearest to each of `test`, the nearest first."""
    return torch.cat([torch.cdist(part, train).topk(count, largest=False).indices for part in test.split(500)])


def same_class(train: Tensor, test: Tensor, data: Images) -> float:
    """Return how many of a test point's nearest neighbours in the training set have its class, as a mean share."""
    neighbours = data.train.target[nearest(train, test, NEIGHBOURS)]
    return float((neighbours == data.test.target.unsqueeze(1)).double().mean())


def draw_neighbours(train: Tensor, test: Tensor, data: Images, logbook: Logbook, step: int) -> None:
    """Draw images of the test set, and in the same row the images of the training set with the nearest codes."""
    shown = range(10)
    rows = {
        f"{place + 1}: a {data.classes[data.test.target[place]]}": torch.cat(
            [data.test.input[place : place + 1], data.train.input[near]]
        )
        for place, near in zip(shown, nearest(train, test[:10], NEIGHBOURS), strict=True)
    }
    columns = ["image", *(str(rank + 1) for rank in range(NEIGHBOURS))]
    logbook.figure("neighbours", image_rows(rows, f"{data.name}: the nearest codes", columns), step)


def draw_maps(clusters_by_name: Mapping[str, Clusters], data: Images, seed: int, logbook: Logbook) -> None:
    """Draw the test set on a plane, by t-SNE and by principal components, in the colours of classes and of clusters."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    methods: dict[str, Callable[[], Any]] = {
        "t-SNE": lambda: TSNE(random_state=seed % 2**32),
        "PCA": lambda: PCA(2, random_state=seed % 2**32),
    }
    truth = data.test.target[:MAPPED].cpu()
    names = [str(number + 1) for number in range(len(data.classes))]
    for method, make in methods.items():
        points = {
            name: torch.from_numpy(make().fit_transform(group.points[:MAPPED].cpu().numpy()))
            for name, group in clusters_by_name.items()
        }
        by_class = {name: (places, truth) for name, places in points.items()}
        title = f"{data.name}, test set, {method}"
        logbook.figure(f"{method}/classes", points_by_class(by_class, data.classes, f"{title}: classes"), 0)
        by_cluster = {name: (places, clusters_by_name[name].number[:MAPPED]) for name, places in points.items()}
        logbook.figure(f"{method}/clusters", points_by_class(by_cluster, names, f"{title}: clusters of k-means"), 0)


def of_each(group: Clusters, data: Images) -> str:
    """Return a table of the clusters."""
    lines = ["| cluster | most frequent | purity | images |", "|---|---|---|---|"]
    sizes = torch.bincount(group.number, minlength=len(group.centres))
    for place, (majority, purity, size) in enumerate(zip(group.majority, group.purities, sizes, strict=True), start=1):
        lines.append(f"| {place} | {data.classes[majority]} | {purity:.3f} | {size} |")
    return "\n".join(lines)


def tabulate(clusters_by_name: Mapping[str, Clusters], data: Images, logbook: Logbook) -> Outcome:
    """Return what was found, beside what is reported."""
    lines = [
        f"| {data.name}, test set | purity, reported on USPS | purity | mean purity, reported | mean purity "
        "| silhouette, reported | silhouette | adjusted Rand | inertia | neighbours of the same class |",
        "|---" * 10 + "|",
    ]
    for name, group in clusters_by_name.items():
        reported, scores = REPORTED[name], group.scores
        measured = [f"{scores[what]:.3f}" for what in ("purity", "mean purity", "silhouette", "adjusted Rand")]
        both = [cell for pair in zip(reported, measured[:3], strict=True) for cell in pair]
        cells = [*both, measured[3], f"{scores['inertia']:.0f}", f"{scores['neighbours']:.3f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    text = "\n".join(lines)
    print(text)
    print("\n".join(f"\n{name}\n{of_each(group, data)}" for name, group in clusters_by_name.items()))
    logbook.text("clusters", text)
    words = ", ".join(
        f"{name} {group.scores['purity']:.3f} ({group.scores['silhouette']:.3f})"
        for name, group in clusters_by_name.items()
    )
    metrics = {
        f"{name}_{what}": value for name, group in clusters_by_name.items() for what, value in group.scores.items()
    }
    return Outcome(f"{data.name}, purity of k-means on test (silhouette): {words}", metrics)


if __name__ == "__main__":
    launch(run)
