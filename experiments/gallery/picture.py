"""The picture of the README: what the newest run of each experiment learned, in a square.

python -m experiments.gallery.picture
"""

import io
import sys
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse

import experiments
from experiments import kalman
from experiments.acting.planes import PLANES
from experiments.data import embedded_digits
from experiments.runner import files
from experiments.runner.directory import RUNS
from experiments.runner.errors import UserError
from experiments.runner.figures import style
from experiments.runner.progress import say
from experiments.runner.result import Result

WHERE = Path(__file__).parent / "seven.png"
PIECE = 70  # rows of a track


def likes(axes: Axes, result: Result) -> None:
    """Ratings of users (down) and items (across), as one sample has them, in the order of its first direction."""
    params = result.model.kept.samples.params
    users, items = (np.asarray(factors[-1]) for factors in (params.user_factors, params.item_factors))
    ratings = users @ items.T
    left, _, right = np.linalg.svd(ratings, full_matrices=False)
    rows, columns = (np.argsort(side)[:: max(1, len(side) // 90)] for side in (left[:, 0], right[0]))
    most = np.abs(ratings).max() / 2
    axes.imshow(ratings[rows][:, columns], cmap="RdBu_r", aspect="auto", vmin=-most, vmax=most)


def attends(axes: Axes, result: Result) -> None:
    """Which characters (across) a head of the last layer looks at, from each (down)."""
    maps = result.model.attention_maps("The quality of mercy is not strained, ")
    axes.imshow(np.sqrt(maps[-1][-1]), cmap="magma", aspect="auto")


def sees(axes: Axes, result: Result) -> None:
    """Two unseen digits, and beside each what would make the network surer: red where brighter, blue where darker."""
    images = embedded_digits.load().test_images[2:4]
    slopes = np.asarray(result.model.saliency(images))[..., 0]
    gray = plt.get_cmap("gray")(images[..., 0] / embedded_digits.MAX_PIXEL)
    tint = plt.get_cmap("RdBu_r")(0.5 + slopes / (2 * np.abs(slopes).max((1, 2), keepdims=True)))
    tiles = np.ones((2, 9, 2, 9, 4))
    tiles[:, :8, :, :8] = np.stack([gray, tint], axis=2)
    axes.imshow(tiles.reshape(18, 18, 4)[:17, :17], aspect="auto")


def acts(axes: Axes, result: Result) -> None:
    """What a state of the pole is worth, by angle and angular velocity; and an episode."""
    agents, plane = result.model, PLANES["CartPole-v1"]
    u, v = (np.linspace(*reach, 101) * 0.4 for reach in plane.reach)
    x = np.stack([plane.state(a, b) for b in v for a in u]).astype(np.float32)
    worth = agents.worth(np.asarray(jax.vmap(agents.environment.observe)(x)))
    axes.pcolormesh(u, v, worth.reshape(len(v), len(u)), cmap="viridis", rasterized=True)
    axes.plot(*plane.coordinates(agents.play().observations), color="white", linewidth=0.4, alpha=0.8)


def tracks(axes: Axes, result: Result) -> None:
    """A piece of the path: what was measured, the filter with two standard deviations, the smoother in orange."""
    task = kalman.read(result.config)
    filtered, smoothed = result.model.smooth(task.track)
    mean, covariance = np.asarray(filtered.updated.mean), np.asarray(filtered.updated.covariance)[:, :2, :2]
    piece = slice(len(mean) // 3, len(mean) // 3 + PIECE)
    lidar = (task.recording.sensor[piece] == 0) & task.recording.mask[piece, :2].all(axis=1)
    for center, spread in zip(mean[piece, :2], covariance[piece]):
        variances, directions = np.linalg.eigh(spread)
        width, height = 4 * np.sqrt(np.maximum(variances[::-1], 0))
        axes.add_patch(Ellipse(tuple(center), width, height, angle=np.degrees(np.arctan2(*directions[::-1, 1])),
                               fill=False, color="C0", alpha=0.5, linewidth=0.6))
    axes.plot(*task.recording.measurement[piece][lidar, :2].T, ".", color="C2", markersize=5)
    axes.plot(*mean[piece, :2].T, color="C0", linewidth=1)
    axes.plot(*np.asarray(smoothed.rows.mean)[piece, :2].T, color="C1", linewidth=2)
    axes.set_aspect("equal", adjustable="datalim")


def forges(axes: Axes, result: Result) -> None:
    """Forged points over the discriminator's logits."""
    u = np.linspace(-1.4, 1.4, 141)
    grid = np.stack(np.meshgrid(u, u), axis=-1).reshape(-1, 2)
    axes.pcolormesh(u, u, result.model.realness(grid).reshape(141, 141), cmap="RdBu_r", rasterized=True)
    axes.plot(*result.model.forge(1500, seed=1).T, ".", color="black", markersize=1.5)
    axes.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4))


def points(axes: Axes, result: Result) -> None:
    """The density, and the score of it at a level of noise."""
    diffuser = result.model
    u, at = np.linspace(-6.5, 6.5, 81), np.linspace(-6, 6, 17)
    dense, few = (np.stack(np.meshgrid(one, one), axis=-1).reshape(-1, 2).astype(np.float32) for one in (u, at))
    axes.pcolormesh(u, u, np.exp(diffuser.log_density(dense)).reshape(81, 81), cmap="Blues", rasterized=True)
    score = diffuser.score(few, level=0.8)
    axes.quiver(*few.T, *(score / np.sqrt(np.linalg.norm(score, axis=1, keepdims=True))).T, color="C1", width=0.006)


PANELS = {
    "matrix_factorization": (likes, "Recommendations", r"$\partial e^2/\partial p_u = -2\,e\,q_i$"),
    "attention": (attends, "Language", r"$J = \mathrm{diag}(s) - s\,s^{\top}$"),
    "convolution": (sees, "Computer vision", r"$\partial L/\partial w = x \star \partial L/\partial y$"),
    "reinforce": (acts, "Reinforcement learning", r"$\nabla J = E\,[(G-b)\,\nabla\log\pi]$"),
    "kalman": (tracks, "Sensor fusion", r"$K = P H^{\top}(H P H^{\top}+R)^{-1}$"),
    "gan": (forges, "GANs", r"$\min_G \max_D\; V(D, G)$"),
    "score_matching": (points, "Diffusion", r"$s = \nabla_x \log p_\sigma(x)$"),
}


def draw(runs: Path) -> bytes:
    """The picture as a PNG, of runs/NAME/latest."""
    own = {"axes.grid": False, "mathtext.fontset": "cm", "figure.constrained_layout.w_pad": 0.12,
           "figure.constrained_layout.h_pad": 0.12}
    with plt.rc_context({**style(), **own}):
        figure, grid = plt.subplots(2, 4, figsize=(11, 6.6))
        for axes, (name, (panel, title, formula)) in zip(grid.flat, PANELS.items()):
            panel(axes, experiments.load(runs / name / "latest"))
            axes.set_title(title)
            axes.set_xlabel(formula, fontsize=13)
        grid.flat[7].text(0.5, 0.5, "the eighth\nis yours", ha="center", va="center", color="gray", fontsize=13)
        for axes in grid.flat:
            axes.set(xticks=[], yticks=[])
            axes.set_box_aspect(1)
            axes.spines[:].set(visible=True, color="lightgray")
        grid.flat[7].spines[:].set_linestyle((0, (4, 4)))
        content = io.BytesIO()
        figure.savefig(content, format="png")
        plt.close(figure)
        return content.getvalue()


if __name__ == "__main__":
    try:
        files.write_bytes(WHERE, draw(RUNS))
    except UserError as error:
        sys.exit(f"error: {error}. The picture is of what `make run-experiment` learns")
    say(f"{WHERE}")
