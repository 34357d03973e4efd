"""A network that learns to see: y = x ∗ w, layer upon layer, and ∂L/∂w, the cross-correlation of x and ∂L/∂y.

It learns to tell classes of images apart, and is judged on images that it has never seen. Presets: quick, full, and
gpu, which wants an accelerator.
"""

import dataclasses
import json
import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from experiments.runner import metrics
from experiments.runner.config import RunConfig, require
from experiments.runner.devices import DTYPES
from experiments.runner.finish import finish
from experiments.runner.loop import begin, train
from experiments.runner.meshes import require_axes, require_divisible
from experiments.runner.result import Result
from experiments.runner.run import start
from experiments.runner.seeds import seed_keys, seed_labels
from experiments.runner.stage import Stage
from experiments.runner.summary import Reference
from experiments.vision import figures, problem, report
from experiments.vision.classifier import ImageClassifier
from experiments.vision.learning import learning
from experiments.vision.problem import Problem, Scale
from sandbox import convolution, sharding

NAME = "convolution"


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """A classifier of images."""

    dataset: str = "embedded"
    """Images: embedded or digits, 1,797 scans; fashion-mnist; mnist; cifar-10; or an .npz file with train_images,
    train_labels, test_images, test_labels."""
    seeds: int = 5
    """How many independent runs; each result is given for all of them, with mean and 95% interval."""
    network: str = "small"
    """small: convolutions one after another, no normalisation; residual: blocks with group normalisation, of widths
    that are multiples of 16 and depths of at least 1."""
    epochs: float = 20.0
    """How often each image is seen."""
    batch_size: int = 64
    """Images in a step."""
    widths: tuple[int, ...] = (16, 32, 64)
    """Channels of each stage; each is half the size of the one before it."""
    depths: tuple[int, ...] = (1, 1, 0)
    """Convolutions of each stage, beside the one that halves it; of residual, blocks."""
    stem_size: int = 3
    """Pixels on a side of the first kernel, of small."""
    stem_strides: int = 1
    """Pixels between two places of the first convolution, of small."""
    kernel_learning_rate: float = 0.05
    """Muon's, for kernels of convolutions."""
    learning_rate: float = 0.01
    """Adam's, for all else."""
    momentum: float = 0.9
    """Muon's β."""
    warmup: float = 0.05
    """First share of the steps, in which learning rates rise from 0; then they fall to 0 again, along a line."""
    label_smoothing: float = 0.1
    """ε of the loss."""
    flip: float | None = None
    """Probability that an image is mirrored. Without it: 0.5 for fashion-mnist and cifar-10, and 0 for the others.
    Where it is not 0, what is judged is the mean of an image and its mirror image."""
    shift: int = 1
    """Pixels, at most, that an image is moved by, each way."""
    cutout: int = 0
    """Pixels of a side of the square that is covered; 0 covers nothing."""
    mixup: float = 0.0
    """α of mixup, whose shares are Beta(α, α); 0 mixes nothing."""
    average: float = 0.03
    """Share of the steps that the moving average of the weights remembers; what is judged is the average."""
    hold_out: float = 0.0
    """Judge on this share of the training images, which is not learned from, in the place of the test images: to choose
    flags by."""
    dtype: str = "float32"
    """What the network computes in: float32 or bfloat16. Parameters are float32."""

    def __post_init__(self):
        super().__post_init__()
        require(self.preset in PRESETS, "--preset", f"one of {', '.join(PRESETS)}", self.preset)
        require(self.network in ("small", "residual"), "--network", "small or residual", self.network)
        require(0 < self.epochs < math.inf, "--epochs", "more than 0, and finite", self.epochs)
        require(len(self.widths) >= 1 and min(self.widths) >= 1, "--widths", "one number or more, each at least 1",
                self.widths)
        require(len(self.depths) == len(self.widths) and min(self.depths) >= 0, "--depths",
                f"as many numbers as --widths, {len(self.widths)}, each 0 or more", self.depths)
        if self.network == "residual":
            require(min(self.depths) >= 1, "--depths", "1 or more each for a residual network", self.depths)
            require(not any(width % 16 for width in self.widths), "--widths", "multiples of 16 for a residual network",
                    self.widths)
        for flag in ("batch_size", "stem_size", "stem_strides"):
            require(getattr(self, flag) >= 1, f"--{flag.replace('_', '-')}", "at least 1", getattr(self, flag))
        for flag in ("momentum", "label_smoothing", "hold_out"):
            require(0 <= getattr(self, flag) < 1, f"--{flag.replace('_', '-')}", "in [0, 1)", getattr(self, flag))
        for flag in ("kernel_learning_rate", "learning_rate", "shift", "cutout", "mixup"):
            require(0 <= getattr(self, flag) < math.inf, f"--{flag.replace('_', '-')}", "0 or more, and finite",
                    getattr(self, flag))
        for flag in ("warmup", "average"):
            require(0 <= getattr(self, flag) <= 1, f"--{flag}", "in [0, 1]", getattr(self, flag))
        require(self.flip is None or 0 <= self.flip <= 1, "--flip", "in [0, 1]", self.flip)
        require(self.dtype in DTYPES, "--dtype", " or ".join(DTYPES), self.dtype)
        require_axes(self)
        require_divisible(self, "--batch-size", self.batch_size)


PRESETS = {
    "quick": {},
    "full": {"seeds": 3, "epochs": 40.0, "batch_size": 128, "widths": (24, 48, 64), "depths": (2, 2, 0), "stem_size": 4,
             "stem_strides": 2, "kernel_learning_rate": 0.03, "learning_rate": 0.005, "shift": 1, "cutout": 8},
    "gpu": {"seeds": 3, "network": "residual", "epochs": 60.0, "batch_size": 256, "widths": (64, 128, 256),
            "depths": (2, 2, 2), "shift": 2, "cutout": 8, "dtype": "bfloat16"},
}

SVM = Reference(0.97, "scikit-learn's SVM example, on its split")
REFERENCE = {
    ("embedded", "small"): SVM,
    ("digits", "small"): SVM,
    ("fashion-mnist", "small"): Reference(0.925, "its own table, under 100,000 parameters; best plain net 0.939"),
    ("fashion-mnist", "residual"): Reference(0.954, "its own table, DenseNet-BC; WRN-40-4 0.967"),
    ("cifar-10", "residual"): Reference(0.9401, "airbench94, in 10 epochs"),
}  # by data set and network


def run(config: Config = Config()) -> Result:
    """Learn to tell images apart, be judged on unseen ones, and show what the network looks at."""
    task = read(config)
    num_images, num_classes = len(task.train.labels), len(task.class_names)
    require(config.batch_size <= num_images, "--batch-size", f"at most the {num_images:,} images to learn from",
            config.batch_size)
    model, flip, shape = network(config, num_classes), flip_rate(config, task), task.train.images.shape[1:]
    with start(NAME, config, task.fingerprint) as work:
        [learn] = stages(config, task, work.mesh)
        params = train(work, learn).state.average
        judge = partial(report.judge, model.apply, scale=task.scale, mirrored=flip > 0)
        log_p = np.asarray(begin(work, "judge", judge, params, task.judged))
        name = "val" if task.held_out else "test"
        reached = report.metrics(log_p, task.judged, name)
        lines = metrics.read(work.directory, "learn")
        published = REFERENCE.get((config.dataset, config.network))
        first = jax.tree.map(lambda leaf: leaf[0], params)
        classifier = ImageClassifier(model, first, shape, task.scale, task.class_names, flip > 0)
        return finish(
            work,
            metrics=reached,
            reference={} if task.held_out or published is None else {"test_accuracy": published},
            drawn={"learning": figures.learning(lines, reached[f"{name}_accuracy"], name),
                   "filters": figures.filters(classifier),
                   "weight_gradient": figures.weight_gradient(classifier, task.judged),
                   "confusion": figures.confusion(report.confusion(log_p[0], task.judged), task.class_names),
                   "saliency": figures.saliency(classifier, task.judged),
                   "mistakes": figures.worst_mistakes(classifier, task.judged, log_p[0])},
            learned={"params": first, "mean": task.scale.mean, "std": task.scale.std,
                     "of_problem": np.array([task.scale.max_pixel, flip > 0, *shape]),
                     "class_names": np.frombuffer(json.dumps(task.class_names).encode(), np.uint8)},
            model=classifier,
            sample=f"{sum(leaf.size for leaf in jax.tree.leaves(first)):,} parameters, {num_images:,} images to learn "
                   f"from, {len(task.judged.labels):,} to be judged on.\n",
        )


def read(config: Config) -> Problem:
    """The images that the flags name."""
    return problem.read(config.dataset, config.data_dir, config.hold_out)


def stages(config: Config, task: Problem, mesh: Mesh | None) -> tuple[Stage, ...]:
    """How seeds learn."""
    num_images, num_classes = len(task.train.labels), len(task.class_names)
    how = learning(config, network(config, num_classes), task.scale, shape=task.train.images.shape[1:],
                   num_images=num_images, num_classes=num_classes, flip=flip_rate(config, task))
    if mesh is not None:
        how = how._replace(sample=sharding.constrain_batch(mesh, how.sample))
    return (how.stage("learn", seed_keys(config), task.train, seed_labels(config), num_chunks=100),)


def revive(config: Config, learned: dict[str, Any]) -> ImageClassifier:
    """The classifier of a finished run, from what it learned."""
    max_pixel, mirrored, *shape = np.asarray(learned["of_problem"]).tolist()
    names = tuple(json.loads(np.asarray(learned["class_names"]).tobytes()))
    return ImageClassifier(network(config, len(names)), learned["params"], tuple(shape),
                           Scale(np.asarray(learned["mean"]), np.asarray(learned["std"]), max_pixel), names,
                           bool(mirrored))


def network(config: Config, num_classes: int) -> nn.Module:
    """The model that the flags describe."""
    dtype = DTYPES[config.dtype]
    if config.network == "residual":
        return convolution.ResidualNetwork(num_classes, config.widths, config.depths, dtype=dtype)
    return convolution.SmallNetwork(num_classes, config.widths, config.depths, config.stem_size, config.stem_strides,
                                    dtype=dtype)


def flip_rate(config: Config, task: Problem) -> float:
    """Of the flag, or what becomes the images."""
    return (0.5 if task.mirrored else 0.0) if config.flip is None else config.flip
