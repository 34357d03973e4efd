"""The MovieLens editions: from miniature files everywhere, from the real 100K where it is at hand."""

import os
import pathlib

import numpy as np
import pytest

from experiments.data import DataUnavailable, movielens, sources, unseen

REAL = pathlib.Path(os.environ.get("SANDBOX_DATA", "")) / "ml-100k" / "u.data"
needs_real_data = pytest.mark.skipif(not REAL.is_file(), reason="SANDBOX_DATA has no ml-100k: see README")

MINIATURES = {
    "movielens-100k": ("ml-100k", {"u.data": "1\t2\t3\t4\n", "u.item": "2|Deux (1995)|01-Jan-1995\n"}),
    "movielens-1m": ("ml-1m", {"ratings.dat": "1::2::3::4\n", "movies.dat": "2::Deux (1995)::Drama\n"}),
    "movielens-10m": ("ml-10M100K", {"ratings.dat": "1::2::3.5::4\n", "movies.dat": "2::Deux (1995)::X\n"}),
    "movielens-25m": ("ml-25m", {"ratings.csv": "userId,movieId,rating,timestamp\n1,2,0.5,4\n",
                                 "movies.csv": "movieId,title,genres\n2,Deux (1995),Drama\n"}),
}


@pytest.mark.parametrize("name", MINIATURES)
def test_each_edition_reads_its_own_files(tmp_path, name):
    folder, files = MINIATURES[name]
    (tmp_path / folder).mkdir()
    for filename, text in files.items():
        (tmp_path / folder / filename).write_text(text)
    table = movielens.load(name, tmp_path)
    assert table.user_ids.tolist() == [1] and table.item_ids.tolist() == [2]
    assert table.titles.tolist() == ["Deux (1995)"]
    assert table.scale == (1 if name in ("movielens-100k", "movielens-1m") else 0.5, 5)


def test_an_unknown_edition_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"movielens-100k, movielens-1m, .*got 'movielens-9k'"):
        movielens.load("movielens-9k")


def test_a_folder_without_the_folds(tmp_path, monkeypatch):
    monkeypatch.delenv("SANDBOX_DATA", raising=False)
    monkeypatch.setattr(sources.pooch, "os_cache", lambda _: tmp_path / "cache")
    monkeypatch.setattr(sources, "_download", lambda *_: (_ for _ in ()).throw(OSError(101, "no network")))
    (tmp_path / "ml-100k").mkdir()
    with pytest.raises(DataUnavailable, match=r"u1\.base is in none of .*ml-100k.*no network"):
        movielens.folds(tmp_path)


@needs_real_data
def test_movielens_100k():
    table = movielens.load()
    assert len(table.rating) == 100_000 and len(table.user_ids) == 943 and len(table.item_ids) == 1682
    assert table.titles[0] == "Toy Story (1995)" and "Misérables, Les (1995)" in table.titles
    counts = np.bincount(table.rating.astype(int), minlength=6)
    assert counts.tolist() == [0, 6110, 11370, 27145, 34174, 21201]  # from the set's own documentation


@needs_real_data
def test_movielens_100k_folds():
    folds = movielens.folds()
    whole = movielens.load()
    assert [len(fold.train.rating) for fold in folds] == [80_000] * 5
    tested = np.concatenate([fold.test.user * 1682 + fold.test.item for fold in folds])
    assert sorted(tested) == sorted(whole.user * 1682 + whole.item)
    for fold in folds:
        assert np.array_equal(fold.train.item_ids, whole.item_ids)
        assert not unseen(fold).user.any() and 0 < unseen(fold).item.sum() < 40
