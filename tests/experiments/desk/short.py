"""Flags of runs that are over in a moment, of every experiment."""

SHORT = {
    "attention": {"steps": 4, "layers": 1, "width": 16, "heads": 2, "context": 16, "batch_size": 8, "sample_tokens": 5},
    "convolution": {"epochs": 0.2, "seeds": 1, "widths": (8, 16), "depths": (1, 0)},
    "gan": {"steps": 4, "widths": (16,), "batch_size": 16},
    "kalman": {"steps": 20, "smoother_iterations": 1},
    "matrix_factorization": {"folds": 1, "rank": 2, "sweeps": 4, "burn_in": 2, "point_rank": 2, "point_epochs": 2,
                             "implicit_rank": 2, "implicit_sweeps": 2},
    "reinforce": {"seeds": 1, "steps": 256, "widths": (8,), "episodes": 2, "plain_steps": 0},
    "score_matching": {"steps": 4, "width": 16, "layers": 1},
}
