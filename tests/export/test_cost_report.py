"""The cost card: its table, and the memory that is drawn for twins."""

import dataclasses
import json

import keras
import numpy as np
from keras import layers

from keras_kd.export import cost_report
from keras_kd.export.cost_results import CostCard, NetworkCost
from keras_kd.export.latency import Latency
from keras_kd.models import cost
from keras_kd.reporting import formatting


def conv(channels, name):
    return layers.Conv2D(channels, 3, padding="same", name=name)


def network(shortcut):
    """Maps of 32, 80, 32 and 16 numbers; the first waits for a sum if there is one."""
    image = keras.Input((4, 4, 1))
    x = conv(2, "a")(image)
    y = conv(2, "c")(conv(5, "b")(x))
    y = layers.Add(name="sum")([x, y]) if shortcut else y
    return cost.cost(keras.Model(image, conv(1, "d")(y)))


def twins():
    return [NetworkCost.counted(name, network(name == "residual")) for name in ("residual", "plain")]


def test_the_table_has_what_was_counted_and_measured():
    residual, plain = twins()
    plain = dataclasses.replace(
        plain,
        accuracy=0.875,
        arena={"uint8": 1600},
        files={"ONNX": 2_340_000},
        latency={"LiteRT": {"32": Latency(1.5, 2.25, 9)}},
    )
    columns, rows = cost_report.rows([residual, plain])
    assert columns == ["", "residual", "plain"]
    table = {name: texts for name, *texts in rows}
    assert table["peak of feature maps, float32, kB"] == ["0.592", "0.464"]  # 4 * 144 + 16, 4 * 112 + 16
    assert table["highest at"] == ["c", "b"]
    assert table["of that waiting for a later operation"] == ["22%", "0%"]
    assert table["LiteRT's arena, uint8, kB"] == ["n/a", "1.6"]
    assert table["test accuracy, %"] == ["n/a", "87.5"]
    assert table["ONNX: file, MB"] == ["n/a", "2.34"]
    assert table["LiteRT: batch 32, ms (90th percentile)"] == ["n/a", "1.5 (2.25)"]
    assert "LiteRT's arena, float32, kB" not in table  # nothing was measured


def test_small_numbers_and_large_ones_are_told_in_a_unit_that_shows_them():
    small, large = twins()
    tiny = dataclasses.replace(small, latency={"LiteRT": {"1": Latency(0.00213, 0.0031, 9)}})
    assert ["LiteRT: batch 1, ms (90th percentile)", "0.00213 (0.0031)"] in cost_report.rows([tiny])[1]
    big = dataclasses.replace(large, multiply_adds=4_089_184_256)
    assert ["multiply-adds, billion", "4.09"] in cost_report.rows([big])[1]
    other = dataclasses.replace(large, multiply_adds=5_470_000)
    assert ["multiply-adds, million", "4,089", "5.47"] in cost_report.rows([big, other])[1]
    assert formatting.in_words(1_530_000) == "1.53 million"
    assert formatting.in_words(0) == "0"


def test_what_waits_is_drawn_between_two_lines():
    figure = cost_report.memory(twins())
    used, live, plain = figure.data
    np.testing.assert_allclose(used.y, [0.128, 0.448, 0.448, 0.192])
    np.testing.assert_allclose(live.y, [0.128, 0.448, 0.576, 0.192])
    np.testing.assert_allclose(plain.y, [0.128, 0.448, 0.448, 0.192])
    assert (live.fill, plain.fill) == ("tonexty", None)
    assert list(live.customdata) == list(plain.customdata) == ["a", "b", "c", "d"]
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == ["residual", "plain"]


def test_layers_of_one_name_stand_above_each_other():
    image = keras.Input((4, 4, 1))
    x = conv(2, "a")(image)
    projected = layers.Add()([conv(2, "c")(conv(5, "b")(x)), conv(2, "only_here")(x)])
    longer = NetworkCost.counted("longer", cost.cost(keras.Model(image, conv(1, "d")(projected))))
    places = {}
    for trace in cost_report.memory([longer, twins()[1]]).data:
        if trace.name:
            places[trace.name] = dict(zip(trace.customdata, trace.x, strict=True))
    assert len(places["longer"]) == 5
    assert all(places["longer"][name] == place for name, place in places["plain"].items())


def test_a_card_comes_back_from_json():
    residual, plain = twins()
    plain = dataclasses.replace(plain, accuracy=0.5, latency={"LiteRT": {"1": Latency(1.5, 2.25, 9)}})
    card = CostCard("typed", 1, {"cores": 2}, {"keras": "3"}, (residual, plain))
    assert CostCard.from_json(json.loads(json.dumps(card.to_json()))) == card
    older = card.to_json()
    for name in ("arena", "files", "latency", "accuracy"):
        del older["networks"][0][name]
    assert CostCard.from_json(older) == card


def test_what_is_not_counted_is_named_in_the_table():
    image = keras.Input((4, 4, 1))
    squared = layers.Lambda(lambda x: x @ x, output_shape=(4, 4, 2), name="mine")(conv(2, "a")(image))
    found = cost.cost(keras.Model(image, layers.BatchNormalization()(conv(1, "d")(squared))))
    unknown = NetworkCost.counted("unknown", found)
    table = {name: texts for name, *texts in cost_report.rows([unknown, twins()[0]])[1]}
    wanted = [f"{each.multiply_adds:,}" for each in (unknown, twins()[0])]
    assert table["multiply-adds"] == [f"> {wanted[0]}", wanted[1]]
    assert table["without"] == ["mine (Lambda)", "n/a"]
    assert table["statistics"] == [str(unknown.statistics), str(twins()[0].statistics)]
    many = dataclasses.replace(unknown, not_counted=tuple("abcdef"))
    assert ["without", "a, b, c and 3 more"] in cost_report.rows([many])[1]
    assert "without" not in dict(map(tuple, (row[:2] for row in cost_report.rows(twins())[1])))
