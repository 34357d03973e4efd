"""Pictures of games: how the two fared, and what the smallest of all games says of the ways to play."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.runner.figures import style
from sandbox import gan
from sandbox.gan import Plan, Players

STEP_SIZE, SIDE, REACH, PLAYED = 0.6, 13, 1.8, 60
START = (1.0, 1.0)  # of θ and ψ
GAMMAS = np.linspace(0, 2.5, 26)
NAMED = {0.0: (5, 2), 0.3: (-40, 0), 1.0: (-4, 8), 2.0: (-14, 8)}  # and where their names stand, in points
PLANS = tuple(Plan(name, Players(STEP_SIZE, STEP_SIZE), consensus_weight=0.5) for name in gan.LINEARISED)


def learning(lines: list[dict]) -> Figure:
    """Losses, and norms of both players' gradients, against steps; of a game that diverged, up to then."""
    with plt.rc_context(style()):
        figure, axes = plt.subplots(1, 2, figsize=(9.4, 3.6))
        for player, color in (("generator", "C1"), ("discriminator", "C0")):
            for k, run in enumerate(dict.fromkeys(line["run"] for line in lines)):
                own = [line for line in lines if line["run"] == run and line[f"{player}_field_norm"]]
                steps = [line["step"] for line in own]
                label = player if k == 0 else None
                axes[0].plot(steps, [line[player] for line in own], color=color, linewidth=0.7, alpha=0.7, label=label)
                axes[1].plot(steps, [line[f"{player}_field_norm"] for line in own], color=color, linewidth=0.7,
                             alpha=0.7)
        axes[0].set(title="What each player loses", xlabel="step", ylabel="loss, with penalties")
        axes[1].set(title="How far the game is from rest", xlabel="step", ylabel="norm of a player's gradient",
                    yscale="log")
        axes[0].legend()
        return figure


def dynamics() -> Figure:
    """The game of one fake sample θ and one slope ψ: its field and who ends where; and why, by eigenvalues."""
    seen = _dynamics()
    with plt.rc_context(style()):
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13.2, 4.2))
        _trajectories(left, seen["field"], seen["paths"])
        _flow(middle, seen["of_field"])
        _updates(right, {name: np.linalg.eigvals(np.asarray(matrix)) for name, matrix in seen["updates"].items()})
        return figure


@jax.jit
def _dynamics() -> dict:
    """field: θ, ψ and the velocities there. paths: of each plan, (PLAYED + 1, 2). of_field: eigenvalues of the field at
    rest, by penalty of GAMMAS. updates: of each plan, the matrix of a step at rest."""
    game, rest = gan.dirac_gan(), Players(jnp.zeros(()), jnp.zeros(()))
    theta, psi = jnp.meshgrid(*[jnp.linspace(-REACH, REACH, SIDE)] * 2)
    velocity = jax.vmap(jax.vmap(lambda x, y: gan.field(game, Players(x, y))))(theta, psi)
    J = gan.jacobian(game, rest)
    return {
        "field": (theta, psi, *velocity),
        "paths": {plan.name: played(game, plan) for plan in PLANS},
        "of_field": jax.vmap(lambda gamma: gan.eigenvalues(gan.jacobian(gan.dirac_gan(r1=gamma), rest)))(
            jnp.asarray(GAMMAS)),
        "updates": {plan.name: gan.linearised_update(J, 1, plan) for plan in PLANS},
    }


def played(game: gan.Game, plan: Plan) -> jax.Array:
    """Where θ and ψ go, (PLAYED + 1, 2)."""
    method, optimizers = gan.method_of(plan)
    state = gan.init_game(Players(*map(jnp.asarray, START)), optimizers, jax.random.key(0))
    step = gan.game_step(gan.losses_of(game), optimizers, lambda key: None, method=method)
    _, path = jax.lax.scan(lambda state, _: (step(state)[0], jnp.stack(state.params)), state, length=PLAYED + 1)
    return path


def _trajectories(axes, velocities, paths) -> None:
    axes.quiver(*velocities, color="gray", alpha=0.5, width=0.003)
    for name, path in paths.items():
        axes.plot(*np.asarray(path).T, ".-", markersize=2.5, linewidth=0.7, label=name)
    axes.plot(*START, "ko", markersize=4)
    axes.set(title=f"Dirac-GAN: {PLAYED} steps of {STEP_SIZE}", xlabel="θ, where the fake sample is",
             ylabel="ψ, the discriminator's slope", xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")


def _flow(axes, found) -> None:
    """Eigenvalues of the field, as the penalty grows."""
    branches = np.asarray(gan.game_derivatives.dirac_eigenvalues(jnp.linspace(0, GAMMAS[-1], 501)))
    axes.plot(np.real(branches), np.imag(branches), color="C0", linewidth=0.9)
    axes.plot(np.real(found).ravel(), np.imag(found).ravel(), "o", color="C1", markersize=3.5)
    for gamma, place in NAMED.items():
        value = complex(gan.game_derivatives.dirac_eigenvalues(jnp.asarray(gamma))[0])
        axes.annotate(f"γ = {gamma:g}", (value.real, value.imag), textcoords="offset points", xytext=place, fontsize=7)
    axes.axvline(0, color="gray", linewidth=0.8)
    axes.set(title="Eigenvalues of its field, with R1", xlabel="real part: left of 0 it comes home",
             ylabel="imaginary part: it turns")
    axes.plot([], [], "o", color="C1", markersize=3.5, label="of the Jacobian")
    axes.plot([], [], color="C0", linewidth=0.9, label="−γ/2 ± √(γ²/4 − ¼)")
    axes.legend(fontsize=7, loc="upper left")


def _updates(axes, values) -> None:
    """Eigenvalues of each method's step, beside the circle of those that neither come home nor leave."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 200)
    axes.plot(np.cos(angle), np.sin(angle), color="gray", linewidth=0.8)
    for name, own in values.items():
        axes.plot(own.real, own.imag, "o", markersize=5, alpha=0.8, label=f"{name}, {np.abs(own).max():.3f}")
    axes.set(title="Eigenvalues of a step, no penalty", xlabel="inside the circle it comes home, by that factor a step",
             aspect="equal", xlim=(-0.05, 1.15), ylim=(-0.6, 0.6))
    axes.legend(fontsize=7, loc="center", bbox_to_anchor=(0.42, 0.5))
