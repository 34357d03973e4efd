"""What this wing satisfies: slopes and losses by hand, what the best discriminator measures, and the game."""

from functools import partial

import jax
import jax.numpy as jnp

from sandbox.gan import derivatives
from sandbox.gan.best_discriminators import BEST_DISCRIMINATORS, all_pairs, jensen_shannon
from sandbox.gan.criteria import CRITERIA, LEAST_SQUARES, MINIMAX, NON_SATURATING, RELATIVISTIC, WASSERSTEIN
from sandbox.gan.derivatives import CRITERION_SLOPES, Affine, OneHidden, affine, one_hidden
from sandbox.gan.game_identities import GAME_IDENTITIES
from sandbox.gan.losses import Pairs, discriminator_loss, generator_loss
from sandbox.identities import Identity, finite_difference, normals
from sandbox.reductions import weighted_mean

__all__ = ["IDENTITIES"]

ROWS, LATENTS, NUMBERS, HIDDEN, KINDS = 5, 2, 3, 4, 4
GENERATORS = (MINIMAX, LEAST_SQUARES, RELATIVISTIC)
PENALTIES = {"r1": 0.7, "r2": 0.3, "gradient_penalty": 1.3}
NETWORKS = {"generate": affine, "discriminate": one_hidden}
SHAPES = ((HIDDEN, NUMBERS), (HIDDEN,), (HIDDEN,), (), (NUMBERS, LATENTS), (NUMBERS,), (ROWS, NUMBERS), (ROWS, LATENTS),
          (ROWS,))


def _players(key, dtype):
    """A discriminator, a generator, and a batch of which one row is padding."""
    W, b, v, a, B, c, real, latents, mix = normals(*SHAPES)(key, dtype)
    batch = Pairs(real, latents, jax.nn.sigmoid(mix), jnp.arange(ROWS).astype(dtype))
    return OneHidden(W / 2, b, v, a), Affine(B, c), batch


def _by_logits(slopes, real, fake):
    return {name: (of.discriminator(real, fake), of.generator(real, fake)) for name, of in slopes.items()}


def _slopes_by_jax(real, fake):
    def of(values):
        return jax.grad(lambda r, f: jnp.sum(values(r, f)), (0, 1))(real, fake)
    return {name: (of(one.discriminator), of(one.generator)) for name, one in CRITERIA.items()}


def _discriminator_grad_by_hand(discriminator, generator, batch):
    return derivatives.discriminator_loss_grad(discriminator, generator, batch, criterion=NON_SATURATING, **PENALTIES)


def _discriminator_grad(discriminator, generator, batch, **how):
    return jax.grad(lambda params: discriminator_loss(params, batch, opponent=generator, **NETWORKS, **how)[0])(
        discriminator)


def _generator_grads(discriminator, generator, batch):
    def loss(params, criterion):
        return generator_loss(params, batch, opponent=discriminator, criterion=criterion, **NETWORKS)[0]
    return [jax.grad(loss)(generator, criterion) for criterion in GENERATORS]


def _generator_grads_by_hand(discriminator, generator, batch):
    return [derivatives.generator_loss_grad(generator, discriminator, batch, criterion=criterion)
            for criterion in GENERATORS]


def _penalty_grads_by_hand(discriminator, generator, batch):
    return [penalty(discriminator, batch.real, batch.weights)
            for penalty in (derivatives.squared_slope_grad, derivatives.gradient_penalty_grad)]


def _penalty(of_norm, batch, params):
    """As it is defined: the slope of each sample by itself."""
    slopes = jax.vmap(jax.grad(lambda x: one_hidden(params, x[None])[0]))(batch.real)
    return weighted_mean(of_norm(jnp.linalg.norm(slopes, axis=1)), batch.weights)


def _penalty_grads(discriminator, generator, batch):
    return [jax.grad(partial(_penalty, of_norm, batch))(discriminator)
            for of_norm in (lambda norm: norm**2 / 2, lambda norm: (norm - 1) ** 2)]


def _everything(discriminator, generator, batch, shift=0.0, criterion=RELATIVISTIC):
    """Values and gradients of both, the discriminator raised by a constant."""
    raised = discriminator._replace(a=discriminator.a + shift)
    how = {"criterion": criterion, **NETWORKS}
    return (jax.value_and_grad(lambda params: discriminator_loss(params, batch, opponent=generator, **how,
                                                                 **PENALTIES)[0])(raised),
            jax.value_and_grad(lambda params: generator_loss(params, batch, opponent=raised, **how)[0])(generator))


def _everything_of_two(discriminator, generator, batch, shift=0.0):
    return [_everything(discriminator, generator, batch, shift, criterion) for criterion in (RELATIVISTIC, WASSERSTEIN)]


def _sums(discriminator, generator, batch, factor):
    """Both gradients to both players' params, of the discriminator's loss (times −1) or the generator's."""
    def of(criterion, params):
        how = {"criterion": criterion, "held": False, **NETWORKS}
        if factor < 0:
            return -discriminator_loss(params[0], batch, opponent=params[1], **how)[0]
        return generator_loss(params[1], batch, opponent=params[0], **how)[0]
    return [jax.value_and_grad(partial(of, criterion))((discriminator, generator))
            for criterion in (MINIMAX, WASSERSTEIN)]


def _distributions(key, dtype):
    p, q = normals((KINDS,), (KINDS,))(key, dtype)
    return jax.nn.softmax(p), jax.nn.softmax(q)


TABLE = {"generate": lambda params, latents: latents, "discriminate": lambda logits, things: things @ logits}


def _at_the_best(p, q):
    """The least value, and its slope; at the kinks of a hinge, only the value."""
    def loss(logits, criterion):
        return discriminator_loss(logits, all_pairs(p, q), opponent=None, criterion=criterion, **TABLE)[0]

    found = {name: jax.value_and_grad(loss)(best.logits(p, q), CRITERIA[name])
             for name, best in BEST_DISCRIMINATORS.items()}
    return found | {"hinge": (found["hinge"][0], jnp.zeros_like(p))}


def _least(p, q):
    return {name: (best.least(p, q), jnp.zeros_like(p)) for name, best in BEST_DISCRIMINATORS.items()}


def _generator_against_the_best(p, q):
    """Value and slope by the logits of q, the discriminator standing still."""
    best = BEST_DISCRIMINATORS["minimax"].logits(p, q)
    return jax.value_and_grad(lambda z: generator_loss(
        None, all_pairs(p, jax.nn.softmax(z)), opponent=best, criterion=MINIMAX, **TABLE)[0])(jnp.log(q))


def _divergence(p, q):
    return jax.value_and_grad(lambda z: 2 * jensen_shannon(p, jax.nn.softmax(z)) - jnp.log(4))(jnp.log(q))


IDENTITIES = (
    Identity("slopes of the criteria by the logits", partial(_by_logits, CRITERION_SLOPES), _slopes_by_jax,
             normals((ROWS,), (ROWS,))),
    Identity("∇ ½ ‖∇D‖² and ∇ (‖∇D‖ − 1)²", _penalty_grads_by_hand, _penalty_grads, _players),
    Identity("∇ ½ ‖∇D‖² = by finite differences",
             lambda discriminator, generator, batch: derivatives.squared_slope_grad(
                 discriminator, batch.real, batch.weights),
             lambda discriminator, generator, batch: finite_difference(
                 partial(_penalty, lambda norm: norm**2 / 2, batch), discriminator),
             _players, tolerance=1e-6, float32_tolerance=0.02),
    Identity("∇ discriminator's loss, with all penalties", _discriminator_grad_by_hand,
             partial(_discriminator_grad, **PENALTIES), _players),
    Identity("∇ generator's loss", _generator_grads_by_hand, _generator_grads, _players),
    Identity("minimax, Wasserstein: what one pays the other gets", partial(_sums, factor=1), partial(_sums, factor=-1),
             _players),
    Identity("relativistic, Wasserstein: D and D + 2 play the same", _everything_of_two,
             partial(_everything_of_two, shift=2.0), _players),
    Identity("the best D: log 4 − 2 JSD, (2 − χ²)/8, 2 − 2 TV, log 2 − JSD of pairs", _at_the_best, _least,
             _distributions),
    Identity("against the best D: 2 JSD − log 4, with its slope", _generator_against_the_best, _divergence,
             _distributions),
    *GAME_IDENTITIES,
)
