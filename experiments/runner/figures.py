"""Figures: one style, drawn without a screen, replaced atomically."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.runner import files

STYLE = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 130,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "font.size": 9,
}


def style() -> dict:
    """Settings for `with matplotlib.rc_context(style()):` around a figure's making."""
    return STYLE


def save(directory: Path, name: str, figure: Figure) -> Path:
    """Write figures/NAME.png of a run, close the figure, and return its path."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    plt.close(figure)  # or pyplot keeps it, and warns of twenty
    path = directory / "figures" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    files.write_bytes(path, content.getvalue())
    return path
