"""Generative adversarial networks: min over G, max over D of V = E[log D(x)] + E[log(1 − D(G(z)))], D = sigmoid(d).

∂V/∂d = 1 − D(x) where x is real, and −D(x) where it is made; the best D is p/(p + q). Both players move along the
field v = (−∂V/∂G, ∂V/∂D), and the eigenvalues of its Jacobian say whether they come to rest or circle.

losses, criteria: what each player minimises, with penalties; best_discriminators: what that measures. derivatives,
game_derivatives, identities: the calculus by hand, and the proof. game, methods, competitive, playing: how it is
played; linearised, rates, divergence: how fast it settles, or runs away; dirac, bilinear: the smallest games.
networks, latents, mixtures, modes: players, and what they have covered.
"""

from sandbox.gan import derivatives, game_derivatives
from sandbox.gan.best_discriminators import (
    BEST_DISCRIMINATORS,
    BestDiscriminator,
    all_pairs,
    difference_chi_square,
    jensen_shannon,
    log_ratio,
    optimal_discriminator,
    pairs_jensen_shannon,
    total_variation,
)
from sandbox.gan.bilinear import bilinear_game
from sandbox.gan.competitive import competitive
from sandbox.gan.criteria import (
    CRITERIA,
    HINGE,
    LEAST_SQUARES,
    MINIMAX,
    NON_SATURATING,
    RELATIVISTIC,
    WASSERSTEIN,
    Criterion,
)
from sandbox.gan.dirac import dirac_gan
from sandbox.gan.divergence import DISCRIMINATOR, GENERATOR, NEITHER, Watched, halted, watched
from sandbox.gan.game import Game, Players, eigenvalues, field, field_norm, game_of, gradients, jacobian, losses_of
from sandbox.gan.latents import draw_latents
from sandbox.gan.linearised import LINEARISED, Plan, linearised_update
from sandbox.gan.losses import DiscriminatorAux, GeneratorAux, Pairs, discriminator_loss, generator_loss
from sandbox.gan.methods import Method, alternating, consensus, extra_gradient, optimistic, simultaneous
from sandbox.gan.mixtures import Mixture, draw_from_mixture, grid_of_modes, log_density, ring_of_modes
from sandbox.gan.modes import PERFECT_HIGH_QUALITY, Coverage, assign_modes, mode_coverage, reverse_kl_of_counts
from sandbox.gan.networks import ImageDiscriminator, ImageGenerator, PointDiscriminator, PointGenerator
from sandbox.gan.playing import GameState, game_step, init_game
from sandbox.gan.rates import method_of, observed_rate, predicted_rate, spectral_radius

__all__ = [
    "BEST_DISCRIMINATORS", "CRITERIA", "DISCRIMINATOR", "GENERATOR", "HINGE", "LEAST_SQUARES", "LINEARISED",
    "MINIMAX", "NEITHER", "NON_SATURATING", "PERFECT_HIGH_QUALITY", "RELATIVISTIC", "WASSERSTEIN",
    "BestDiscriminator", "Coverage", "Criterion", "DiscriminatorAux", "Game", "GameState", "GeneratorAux",
    "ImageDiscriminator", "ImageGenerator", "Method", "Mixture", "Pairs", "Plan", "Players", "PointDiscriminator",
    "PointGenerator", "Watched", "all_pairs", "alternating", "assign_modes", "bilinear_game", "competitive",
    "consensus", "derivatives", "difference_chi_square", "dirac_gan", "discriminator_loss", "draw_from_mixture",
    "draw_latents", "eigenvalues", "extra_gradient", "field", "field_norm", "game_derivatives", "game_of",
    "game_step", "generator_loss", "gradients", "grid_of_modes", "halted", "init_game", "jacobian", "jensen_shannon",
    "linearised_update", "log_density", "log_ratio", "losses_of", "method_of", "mode_coverage", "observed_rate",
    "optimal_discriminator", "optimistic", "pairs_jensen_shannon", "predicted_rate", "reverse_kl_of_counts",
    "ring_of_modes", "simultaneous", "spectral_radius", "total_variation", "watched",
]
