"""What the two players of a GAN want of the discriminator's logits: a value for each, both to be minimised."""

from collections.abc import Callable
from typing import NamedTuple

import jax

__all__ = [
    "CRITERIA", "HINGE", "LEAST_SQUARES", "MINIMAX", "NON_SATURATING", "RELATIVISTIC", "WASSERSTEIN", "Criterion",
]


class Criterion(NamedTuple):
    """What logits are worth to the players; see CRITERIA.

    name: of the criterion. discriminator, generator: (real logits, fake logits), each (N,), to values (N,) that the
    player minimises. Row n pairs the n-th real sample with the n-th fake one.
    """

    name: str
    discriminator: Callable[[jax.Array, jax.Array], jax.Array]
    generator: Callable[[jax.Array, jax.Array], jax.Array]


def _cross_entropy(real: jax.Array, fake: jax.Array) -> jax.Array:
    """−log D(x) − log(1 − D(x̃)), D the sigmoid of the logits; nats."""
    return jax.nn.softplus(-real) + jax.nn.softplus(fake)


def _minus_cross_entropy(real: jax.Array, fake: jax.Array) -> jax.Array:
    return -_cross_entropy(real, fake)


def _taken_for_fake(real: jax.Array, fake: jax.Array) -> jax.Array:
    """−log D(x̃): steep where the discriminator is sure, where log(1 − D(x̃)) is flat."""
    return jax.nn.softplus(-fake)


def _squares(real: jax.Array, fake: jax.Array) -> jax.Array:
    return 0.5 * ((real - 1) ** 2 + fake**2)


def _square_from_real(real: jax.Array, fake: jax.Array) -> jax.Array:
    return 0.5 * (fake - 1) ** 2


def _margins(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jax.nn.relu(1 - real) + jax.nn.relu(1 + fake)


def _minus_fake(real: jax.Array, fake: jax.Array) -> jax.Array:
    return -fake


def _fake_less_real(real: jax.Array, fake: jax.Array) -> jax.Array:
    return fake - real


def _real_less_fake(real: jax.Array, fake: jax.Array) -> jax.Array:
    return real - fake


def _softplus_fake_less_real(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jax.nn.softplus(fake - real)


def _softplus_real_less_fake(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jax.nn.softplus(real - fake)


MINIMAX = Criterion("minimax", _cross_entropy, _minus_cross_entropy)
"""Zero-sum: the generator's value is log D(x) + log(1 − D(x̃)), −log 4 at D = ½, and the discriminator's is minus
that. Source: Goodfellow et al. 2014, "Generative adversarial nets", eq. 1."""

NON_SATURATING = Criterion("non-saturating", _cross_entropy, _taken_for_fake)
"""The discriminator's of MINIMAX; the generator's −log D(x̃). Source: Goodfellow et al. 2014, section 3."""

LEAST_SQUARES = Criterion("least-squares", _squares, _square_from_real)
"""½ (D(x) − 1)² + ½ D(x̃)² and ½ (D(x̃) − 1)², of D the logits. Source: Mao et al. 2017, "Least squares generative
adversarial networks", eq. 9."""

HINGE = Criterion("hinge", _margins, _minus_fake)
"""max(0, 1 − D(x)) + max(0, 1 + D(x̃)) and −D(x̃). Source: Lim, Ye 2017, "Geometric GAN"; Miyato et al. 2018, "Spectral
normalization", eq. 16 and 17."""

WASSERSTEIN = Criterion("wasserstein", _fake_less_real, _real_less_fake)
"""Zero-sum: the generator's value is D(x) − D(x̃), which of the best D of slope at most 1 is the distance to be made
small; to be played with a gradient penalty. Source: Arjovsky, Chintala, Bottou 2017, "Wasserstein GAN", eq. 2."""

RELATIVISTIC = Criterion("relativistic", _softplus_fake_less_real, _softplus_real_less_fake)
"""softplus(D(x̃) − D(x)) and softplus(D(x) − D(x̃)): real is to be above fake, by however little, in pairs.
Source: Jolicoeur-Martineau 2019, "The relativistic discriminator", eq. 4; Huang et al. 2024, "The GAN is dead; long
live the GAN!", eq. 2."""

CRITERIA = {criterion.name: criterion for criterion in (MINIMAX, NON_SATURATING, LEAST_SQUARES, HINGE, WASSERSTEIN,
                                                        RELATIVISTIC)}
"""By name."""
