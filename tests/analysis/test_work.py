"""How much of an analysis is done, told over all of its pieces."""

import pytest

from keras_kd.analysis import inputs, landscape, work
from keras_kd.analysis.landscape import costs
from keras_kd.analysis.trainings import Training
from keras_kd.cli import analyses
from keras_kd.utils import progress
from tests.support.networks import mlp

QUICK = landscape.LandscapeConfig(steps=3, hessian_steps=0, eigenvalues=1, trace_samples=2)


def test_what_is_done_counts_by_its_cost_and_what_was_stored_is_done():
    told = []
    whole = work.WholeWork({"a": 1.0, "b": 2.0, "c": 5.0}, lambda title, share: told.append((title, share)))
    for piece in (("a", 0, 4), ("a", 2, 4), ("c", 0, 2), ("other", 1, 3), ("c", 2, 2)):
        whole(*piece)
    assert told == [("a", 0.0), ("a", 1 / 16), ("c", 3 / 8), ("other", 3 / 8), ("c", 1.0)]


def test_every_piece_of_a_landscape_has_a_cost_in_its_order(data, tmp_path):
    x, y = data
    networks = {"a": mlp(units=3), "b": mlp(units=4)}
    ways = {"a": Training({0: {}, 1: {}}, networks["a"])}
    planned = costs.costs(networks, ways, QUICK)
    assert {"the trajectory of a", "curvature on the way of a"} < planned.keys()
    titles = []
    landscape.analyze(networks, x, y, QUICK, tmp_path, on_progress=lambda title, *done: titles.append(title))
    measured = list(dict.fromkeys(titles))
    assert measured == [title for title in planned if title in measured]
    assert set(planned) - set(measured) == {
        "the trajectory of a",
        "curvature on the way of a",
        "Hessian around a",
        "Hessian around b",
    }
    assert planned["Hessian around a"] == 0
    assert planned["around a"] == pytest.approx(9)


def test_the_line_counts_networks_over_all_groups_and_a_signal_ends_the_work(capsys):
    now = [0.0]
    groups = [inputs.NetworkGroup(f"seed {seed}", dict.fromkeys("abc"), seed) for seed in (0, 1)]
    stopped = []
    with progress.WorkLine("networks", 6, now=lambda: now[0]) as line:
        for seconds, group, share in ((0, 0, 0.0), (10, 0, 0.5), (40, 1, 1 / 3)):
            now[0] = float(seconds)
            analyses._on_progress(line, groups, stopped.append, groups[group], "spectrum at a", share)
    assert capsys.readouterr().err == "4 of 6 networks, 0:24 left, seed 1, spectrum at a\n"
    assert stopped[-1] == "seed 1, spectrum at a: 33% done"
