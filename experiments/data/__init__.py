"""Data on the host: found, fetched, checked and read into numpy arrays."""

from experiments.data import embedded_ratings, movielens
from experiments.data.delimited import DataError
from experiments.data.rating_files import read_folds, read_table
from experiments.data.ratings import Fold, RatingTable, Unseen, k_folds, unseen
from experiments.data.sources import Dataset, DataUnavailable, locate

__all__ = [
    "DataError",
    "DataUnavailable",
    "Dataset",
    "Fold",
    "RatingTable",
    "Unseen",
    "embedded_ratings",
    "k_folds",
    "locate",
    "movielens",
    "read_folds",
    "read_table",
    "unseen",
]
