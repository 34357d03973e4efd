"""The README's tour of the explorer's shell does what it says, word for word."""

import pytest

from tests.experiments.desk.shell import said_by
from tests.experiments.desk.short import SHORT
from tests.experiments.desk.tour import statements


@pytest.mark.slow
def test_the_tour_runs_from_top_to_bottom_and_shows_what_it_says(tmp_path):
    played, said = said_by(f"""
        from tests.experiments.desk.tour import play
        for name, flags in {SHORT!r}.items():
            getattr(experiments, name).run(experiments.configure(name, **flags))
        answer = list(play())
        """, tmp_path)
    assert len(played) == len(list(statements())) > 30
    assert not [step["source"] for step in played if not step["success"]], said
    stated = [step for step in played if step["stated"]]
    assert len(stated) > 10
    for step in stated:
        assert "".join(step["shown"].split()) == "".join(step["stated"].split()), step["source"]
    [table] = [step["shown"] for step in played if step["source"].startswith("result  ")]
    assert "rmse_px" in table and "loss of learn" in table and "figures/track.png" in table
