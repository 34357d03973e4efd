"""How a classifier learns: what it starts from, what it sees in a step, and what it makes of that."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from experiments.runner.stage import Stage
from experiments.vision import problem
from experiments.vision.problem import Augmentation, Part, Scale
from sandbox import convolution
from sandbox.averaging import Averaged, averaged, with_average
from sandbox.convolution import Images
from sandbox.training import init_state, step_of


class Learning(NamedTuple):
    """initial: (key) -> state. sample: (key, steps done, part) -> batch. take: (state, batch) -> (state, metrics).
    num_steps: of the run."""

    initial: Callable[[jax.Array], Averaged]
    sample: Callable[[jax.Array, jax.Array, Part], Images]
    take: Callable[[Averaged, Images], tuple[Averaged, dict[str, jax.Array]]]
    num_steps: int

    def step(self, state: Averaged, part: Part) -> tuple[Averaged, dict[str, jax.Array]]:
        """One step on images of a part."""
        return self.take(state, self.sample(state.state.key, state.state.step, part))

    def stage(self, name: str, keys: jax.Array, part: Part, labels: Sequence[str], *, num_chunks: int,
              **where: Any) -> Stage:
        """A run for each key, on images of a part; on a CPU, whose cache does not hold them all, one after another."""
        return Stage(name, jax.vmap(self.initial), (keys,), self.step, (part,), num_steps=self.num_steps,
                     chunk_steps=max(1, self.num_steps // num_chunks), labels=labels, runs="map-on-cpu", **where)


def learning(config: Any, model: nn.Module, scale: Scale, *, shape: tuple[int, ...], num_images: int, num_classes: int,
             flip: float) -> Learning:
    """Cross-entropy by Muon for kernels and Adam for the rest, on augmented images, its weights averaged.

    Args:
      config: of the convolution experiment. model: learns. scale: of pixels. shape: (H, W, C) of num_images images of
        num_classes classes. flip: probability that one is mirrored.
    """
    num_steps = max(1, round(config.epochs * (num_images // config.batch_size)))
    optimizer = convolution.kernels_and_rest(kernels=schedule(config.kernel_learning_rate, config.warmup, num_steps),
                                             rest=schedule(config.learning_rate, config.warmup, num_steps),
                                             beta=config.momentum)
    loss = partial(convolution.cross_entropy, apply_fn=model.apply, label_smoothing=config.label_smoothing)
    take = averaged(step_of(loss, optimizer, lambda key, batch: batch),
                    decay=1 - 1 / max(1.0, config.average * num_steps))
    sample = partial(problem.draw, scale=scale, num_classes=num_classes, batch_size=config.batch_size,
                     how=Augmentation(flip, config.shift, config.cutout, config.mixup))

    def initial(key: jax.Array) -> Averaged:
        return with_average(init_state(model.init(key, jnp.zeros((1, *shape))), optimizer, jax.random.fold_in(key, 1)))

    return Learning(initial, sample, take, num_steps)


def schedule(rate: float, warmup: float, num_steps: int) -> optax.Schedule:
    """Up from 0 in the first share of the steps, and down to 0 in the rest."""
    rising = round(warmup * num_steps)
    return optax.join_schedules([optax.linear_schedule(rate / (rising + 1), rate, rising),
                                 optax.linear_schedule(rate, 0.0, max(1, num_steps - rising))], [rising])
