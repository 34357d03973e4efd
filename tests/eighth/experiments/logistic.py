"""Two kinds of tumours told apart by 30 measurements: scikit-learn's breast cancer set."""

import dataclasses

import jax
import numpy as np
import optax
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from experiments.runner.config import RunConfig, require
from experiments.runner.finish import finish
from experiments.runner.loop import train
from experiments.runner.meshes import require_axes
from experiments.runner.run import start
from experiments.runner.seeds import seed_keys, seed_labels
from experiments.runner.stage import Stage
from sandbox.logistic import Labelled, log_loss
from sandbox.training import init_state, step_of

NAME, PRESETS = "logistic", {"quick": {}}


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """A line between two kinds."""

    learning_rate: float = 0.1
    """Adam's."""

    def __post_init__(self):
        super().__post_init__()
        require(self.dataset == "embedded", "--dataset", "embedded", self.dataset)
        require(0 < self.learning_rate < np.inf, "--learning-rate", "positive and finite", self.learning_rate)
        require_axes(self)


def run(config=Config()):
    """Learn, and be judged on the fifth that was held out."""
    with start(NAME, config) as work:
        seen, unseen = read(config)
        w = train(work, *stages(config, (seen, unseen), work.mesh)).state.params
        return finish(work, metrics={"test_accuracy": np.mean((w @ unseen.x.T > 0) == (unseen.y > 0), axis=1)},
                      reference={}, drawn={}, learned={"w": w[0]}, model=w[0])


def read(config):
    """Rows to learn from, and rows to be judged on; each measurement of mean 0 and deviation 1, and a constant."""
    x, y = load_breast_cancer(return_X_y=True)
    x = np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(len(y))])
    parts = train_test_split(x, y, np.ones(len(y)), test_size=0.2, random_state=0, stratify=y)
    return Labelled(*map(np.float32, parts[::2])), Labelled(*map(np.float32, parts[1::2]))


def stages(config, task, mesh):
    """Adam on the log loss of all rows, from small random weights."""
    adam, size = optax.adam(config.learning_rate), task[0].x.shape[1:]
    initial = jax.vmap(lambda key: init_state(0.01 * jax.random.normal(key, size), adam, key))
    return (Stage("learn", initial, (seed_keys(config),), step_of(log_loss, adam, lambda key, batch: batch), (task[0],),
                  num_steps=200, chunk_steps=20, labels=seed_labels(config)),)


def revive(config, learned):
    """The line that was drawn."""
    return learned["w"]
