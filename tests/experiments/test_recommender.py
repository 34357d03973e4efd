"""What a user of the recommender meets, on a posterior made by hand; ranking against a loop; folds of one shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.data import embedded_ratings
from experiments.data.ratings import Fold, RatingTable, select
from experiments.recommender import methods, problem, ranking, svdpp
from experiments.recommender.recommender import Recommender
from experiments.runner import metrics
from experiments.runner.config import RunConfig
from experiments.runner.errors import UserError
from experiments.runner.loop import train
from experiments.runner.run import Run
from sandbox.matrix_factorization import gibbs, init
from sandbox.matrix_factorization.conjugate import Gaussian
from sandbox.matrix_factorization.model import Params, Ratings
from sandbox.matrix_factorization.posterior import Kept
from sandbox.sharding import make_mesh

TITLES = ["Alien (1979)", "Aliens (1986)", "Brazil (1985)", "Casablanca (1942)"]
USER_IDS, ITEM_IDS = np.array([10, 20]), np.array([101, 102, 103, 104])
TABLE = RatingTable(np.array([0, 0, 1]), np.array([0, 2, 3]), np.array([5.0, 1.0, 4.0], np.float32), None,
                    USER_IDS, ITEM_IDS, np.array(TITLES), (1.0, 5.0))

# Two samples of one factor: for or against science fiction. They differ in what they hold of Aliens.
TASTE = np.array([[1.0], [1.0], [-1.0], [-1.0]], np.float32)
ITEM_BIAS = np.array([[0.0, 0.5, 0.0, 0.25], [0.0, -0.1, 0.0, 0.25]], np.float32)
USER_BIAS, FACTORS = np.array([0.0, 0.5], np.float32), np.array([[1.0], [-2.5]], np.float32)


def twice(leaf):
    return jnp.stack([jnp.asarray(leaf, jnp.float32)] * 2)


@pytest.fixture(scope="module")
def recommender():
    params = Params(twice(3.0), twice(USER_BIAS), jnp.asarray(ITEM_BIAS), twice(FACTORS), twice(TASTE))
    side = Gaussian(twice([0.0, 0.0]), twice(np.eye(2)))
    kept = Kept(jnp.array(2), gibbs.Sample(params, side, side, twice([1e4, 1e4])))
    return Recommender(kept, jnp.array([[1.0, 0.0], [1.0, 0.2], [-1.0, 0.1], [0.0, 1.0]]), TABLE)


def test_recommendations_are_the_best_unseen_with_their_spread(recommender):
    first, second = recommender.recommend(10)
    assert (first.title, second.title) == ("Aliens (1986)", "Casablanca (1942)")
    assert first.rating == pytest.approx(3 + 0.2 + 1) and first.std == pytest.approx(0.3, rel=1e-5)
    assert second.rating == pytest.approx(3 + 0.25 - 1) and second.std == pytest.approx(0, abs=1e-6)
    assert recommender.recommend(10, n=1) == [first]


def test_ratings_shown_are_on_the_scale(recommender):
    assert {one.title: one.rating for one in recommender.recommend(20)} == pytest.approx(
        {"Brazil (1985)": 5.0, "Alien (1979)": 1.0, "Aliens (1986)": 1.2})
    assert recommender.predict(20, "Brazil").rating == 5


def test_an_unknown_user_gets_what_an_average_one_would_like(recommender):
    assert [one.title for one in recommender.recommend(99, n=2)] == ["Casablanca (1942)", "Aliens (1986)"]
    assert recommender.predict(99, 104).rating == pytest.approx(3.25)


def test_an_unknown_item_counts_as_average(recommender):
    guess = recommender.predict(20, "Dune")
    assert guess.title == "Dune" and guess.rating == pytest.approx(3.5)


@pytest.mark.parametrize("alien, aliens", [("Alien (1979)", "Aliens (1986)"), (101, 102)])
def test_a_new_user_is_understood_from_a_few_ratings(recommender, alien, aliens):
    fan = recommender.recommend_for({alien: 5, "Brazil": 1})
    assert [one.title for one in fan] == ["Aliens (1986)", "Casablanca (1942)"]
    assert fan[0].rating > 4.5 and fan[1].rating < 2
    foe = recommender.recommend_for({alien: 1, aliens: 1})
    assert [one.title for one in foe] == ["Casablanca (1942)", "Brazil (1985)"]


def test_similar_items_are_others_by_title(recommender):
    (first, cosine), (second, _) = recommender.similar("Alien (1979)", n=2)
    assert (first, second) == ("Aliens (1986)", "Casablanca (1942)")
    assert cosine == pytest.approx(1 / np.sqrt(1.04), rel=1e-5)
    assert recommender.similar(101, n=2)[0][0] == first


@pytest.mark.parametrize("key, words", [
    ("Dune", "no item is called 'Dune'"),
    (999, "no item is called 999"),
    ("alien", r"'alien' begins several titles: Alien \(1979\), id 101; Aliens \(1986\), id 102"),
])
def test_an_item_that_is_none_or_several_is_refused(recommender, key, words):
    for ask in (recommender.item, recommender.similar, lambda key: recommender.recommend_for({key: 3})):
        with pytest.raises(UserError, match=words):
            ask(key)


@pytest.mark.parametrize("rating", [0.5, 6, float("nan")])
def test_a_rating_off_the_scale_is_refused(recommender, rating):
    with pytest.raises(UserError, match="ratings must be 1 to 5"):
        recommender.recommend_for({101: rating})


def test_items_without_titles_go_by_their_ids(recommender):
    plain = Recommender(recommender.kept, recommender.item_factors, TABLE._replace(titles=None))
    assert plain.recommend(10, n=1)[0].title == "item 102"
    with pytest.raises(UserError, match="no item is called 'Alien'"):
        plain.item("Alien")


def test_ranking_is_that_of_a_loop_over_users():
    users, items = 20, 150
    params = init(jax.random.key(0), num_users=users, num_items=items, rank=3, scale=1.0)
    rng = np.random.default_rng(0)
    cell = rng.choice(users * items, 300, replace=False)
    ones = np.ones(150, np.float32)
    seen, relevant = (Ratings(*np.divmod(part, items), ones, ones) for part in np.split(cell, 2))
    relevant = relevant._replace(weight=np.where(relevant.user == 7, 0, ones))  # 7 has no test positive
    recalls, ndcgs = [], []
    for user in sorted(set(relevant.user) - {7}):
        score = np.asarray(params.item_factors) @ np.asarray(params.user_factors[user])
        score[seen.item[seen.user == user]] = -np.inf
        ranked, wanted = np.argsort(-score), set(relevant.item[relevant.user == user].tolist())
        hits = np.array([item in wanted for item in ranked[:100]])
        discount = 1 / np.log2(np.arange(2, 102))
        recalls.append(hits[:20].sum() / min(20, len(wanted)))
        ndcgs.append(hits @ discount / discount[:len(wanted)].sum())
    assert ranking.evaluate(params, seen, relevant) == pytest.approx((np.mean(recalls), np.mean(ndcgs)), rel=1e-5)


def test_without_any_rating_a_new_user_is_an_average_one(recommender):
    assert len(recommender.recommend_for({})) == 4


def test_a_threshold_that_nothing_reaches_is_refused():
    with pytest.raises(UserError, match="--liked 6: a fold has no such rating, on a scale of 1 to 5"):
        problem.positives([Fold(TABLE, TABLE)], at_least=6)


def test_a_fingerprint_tells_renamed_items_and_other_ratings():
    fold = Fold(TABLE, TABLE)
    others = [TABLE._replace(item_ids=ITEM_IDS + 1), TABLE._replace(rating=TABLE.rating + 1)]
    prints = {problem.fingerprint([Fold(one, TABLE)]) for one in (TABLE, *others)}
    assert len(prints) == 3 and problem.fingerprint([fold]) in prints


def test_stacked_folds_are_padded_with_ratings_of_no_weight():
    one = Fold(TABLE, select(TABLE, np.array([0])))
    other = Fold(select(TABLE, np.array([1])), select(TABLE, np.array([2, 0])))
    stacked = problem.stack([one, other])
    assert (stacked.num_users, stacked.num_items) == (2, 4) and stacked.table is TABLE
    assert stacked.train.ratings.weight.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert stacked.test.weight.tolist() == [[1, 0], [1, 1]]
    train, test = problem.one_run((stacked.train, stacked.test), 1)
    assert test.rating.tolist() == [4, 5] and train.ratings.item[0] == 2
    grouped = [block.rows[np.any(block.entries < 3, axis=1)] for block in train.by_user]
    assert np.concatenate(grouped).tolist() == [0]  # padding is in no group


def test_positives_are_what_was_rated_at_least_so():
    (train, test), = problem.positives([Fold(TABLE, TABLE)], at_least=4)
    assert train.item.tolist() == test.item.tolist() == [0, 3]
    assert train.rating.tolist() == train.weight.tolist() == [1, 1]


def test_svdpp_learns_and_a_mesh_changes_nothing(tmp_path):
    folds = embedded_ratings.folds(2, num_users=30, num_items=20, num_ratings=400)
    ratings = problem.stack(folds)
    fitted = []
    for name, mesh in (("alone", None), ("shared", make_mesh({"data": 2}, jax.devices()[:2]))):
        (tmp_path / name).mkdir()
        run = Run("test", RunConfig(), tmp_path / name, mesh)
        runs = methods.Runs(seed=0, num_seeds=1, num=2, mesh=mesh)
        stage = svdpp.svdpp_stage(runs, ratings, rank=2, epochs=10, num_batches=3, l2=0.2, bias_l2=0.5,
                                  implicit_l2=10.0)
        fitted.append(jax.device_get(train(run, stage).state.params.explicit))
        lines = metrics.read(run.directory, "point")
        assert [line["step"] for line in lines] == [5, 5, 10, 10]
        assert lines[0]["loss"] > lines[2]["loss"] and lines[1]["loss"] > lines[3]["loss"]
        assert all(line["test_rmse"] < np.std(ratings.test.rating) for line in lines)
    for alone, shared in zip(*fitted, strict=True):
        np.testing.assert_allclose(alone, shared, rtol=1e-3, atol=1e-4)


def test_tastes_are_by_id_again_and_a_mesh_changes_nothing(tmp_path):
    folds = embedded_ratings.folds(2, num_users=30, num_items=20, num_ratings=400)
    ratings, chosen = problem.stack(folds), problem.positives(folds, 3.5)
    learned = []
    for name, mesh in (("alone", None), ("shared", make_mesh({"data": 2}, jax.devices()[:2]))):
        (tmp_path / name).mkdir()
        runs = methods.Runs(seed=0, num_seeds=1, num=2, mesh=mesh)
        stage = methods.implicit_stage(runs, ratings, chosen, rank=2, sweeps=4, unobserved_weight=0.1, l2=0.1)
        state = train(Run("test", RunConfig(), tmp_path / name, mesh), stage).state
        learned.append(jax.device_get(methods.implicit_params(stage, state, ratings)))
    for alone, shared in zip(*learned, strict=True):
        np.testing.assert_allclose(alone, shared, rtol=1e-3, atol=1e-4)
    for params, (train_on, _) in zip((problem.one_run(learned[0], k) for k in range(2)), chosen, strict=True):
        score = params.user_factors @ params.item_factors.T
        assert np.mean(score[train_on.user, train_on.item]) > np.mean(score) + 0.2, "what was liked scores higher"
