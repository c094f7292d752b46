"""A study's table as it is read: what no study wrote is refused in a line that names the run."""

import re

import pytest

from keras_kd.study import table

ROW = {
    "run": "r20w8-s0",
    "cell": "r20w8",
    "seed": "0",
    "status": "done",
    "accuracy": "0.975",
    "loss": "0.1",
    "agreement": "",
    "validation_accuracy": "0.95",
    "parameters": "10",
    "training_accuracy": "0.99",
    "training_change": "-0.01",
    "teacher_accuracy": "",
}


def write(path, *rows):
    lines = [",".join(ROW), *(",".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def refused(path, message):
    return pytest.raises(ValueError, match="^" + re.escape(f"{path}: run {message}") + "$")


def test_a_row_has_numbers_and_none_where_a_cell_is_blank(tmp_path):
    (row,) = table.read_rows(write(tmp_path / "results.csv", ROW), ("validation_accuracy",))
    assert (row["run"], row["seed"], row["accuracy"], row["parameters"]) == ("r20w8-s0", 0, 0.975, 10)
    assert (row["agreement"], row["teacher_accuracy"], row["training_change"]) == (None, None, -0.01)


@pytest.mark.parametrize("value", ["inf", "nan", "-0.5", "97.78", "abc"])
@pytest.mark.parametrize(
    "name", ["accuracy", "agreement", "validation_accuracy", "training_accuracy", "teacher_accuracy"]
)
def test_shares_lie_between_0_and_1(tmp_path, name, value):
    path = write(tmp_path / "results.csv", ROW | {name: value})
    shown = repr(value) if value == "abc" else value
    with refused(path, f"r20w8-s0, {name} must lie in [0, 1]. Received: {name}={shown}"):
        table.read_rows(path)


@pytest.mark.parametrize("value", ["inf", "nan", "-1", "abc"])
def test_a_loss_is_finite(tmp_path, value):
    path = write(tmp_path / "results.csv", ROW | {"loss": value})
    with pytest.raises(ValueError, match="run r20w8-s0, loss must lie in .* Received: loss="):
        table.read_rows(path)


@pytest.mark.parametrize("status", ["", "Done", "don"])
def test_a_run_is_done_or_failed(tmp_path, status):
    path = write(tmp_path / "results.csv", ROW | {"status": status})
    with refused(path, f"r20w8-s0, status must be done or failed. Received: {status!r}"):
        table.read_rows(path)


def test_a_line_that_was_cut_is_refused(tmp_path):
    path = write(tmp_path / "results.csv", ROW)
    path.write_text(path.read_text() + "r20w8-s1,r20w8,1,done,0.9")
    with refused(
        path,
        "r20w8-s1, the line must have a place for each column. Received: 5 values for 12 columns",
    ):
        table.read_rows(path)


def test_a_run_is_there_once_and_is_that_of_its_cell_and_seed(tmp_path):
    path = write(tmp_path / "results.csv", ROW, ROW | {"accuracy": "0.1"})
    with refused(path, "r20w8-s0 stands there 2 times: keep the row that is right"):
        table.read_rows(path)
    path = write(tmp_path / "results.csv", ROW | {"seed": "3"})
    with refused(path, "r20w8-s0, its name must be cell-sSEED. Received: cell=r20w8, seed=3"):
        table.read_rows(path)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = write(tmp_path / "results.csv", ROW)
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert [row["run"] for row in table.read_rows(path)] == ["r20w8-s0"]


def test_what_is_no_table_is_named(tmp_path):
    path = tmp_path / "results.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"results.csv is no table of a study \("):
        table.read_rows(path)
    path.write_text("")
    with pytest.raises(ValueError, match=r"results.csv has no column accuracy, cell, run, seed, status: "):
        table.read_rows(path)
