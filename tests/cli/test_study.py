"""`study` as a person types it: what it prints, writes and refuses."""

import json
import re
import shutil

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_kd.study import session
from tests.support import golden
from tests.support.commands import call
from tests.support.processes import ROOT, error_line
from tests.support.studies import STUDY_FILE, STUDY_RUNS, found_of, records, study_folder, study_table

pytestmark = pytest.mark.slow  # whole runs

COMMAND = ("--study=mine.yaml", "--out=runs/mine")

SMALL = ("--steps=3", "--eigenvalues=1", "--trace_samples=2")  # of a landscape


def script(*flags, cwd):
    return call("study", *COMMAND, *flags, cwd=cwd)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    cwd = study_folder(tmp_path_factory, "finished")
    status, output, errors = script(cwd=cwd)
    assert status == 0, errors
    return cwd, output, errors


def test_what_the_terminal_shows(finished):
    golden.check("study", finished[1])


def test_it_prints_its_plan_its_progress_and_its_findings(finished):
    _, output, errors = finished
    assert "6 runs: 3 conditions with 2 seeds, on tiny.npz" in output
    assert "finds a paired difference of 1.0 points" in output
    assert "(level 2.5 %;" in output
    assert re.search(r"│ 1.0 points +│ +10 │ +2 │", output)
    for number in range(1, STUDY_RUNS + 1):
        line = rf"\[{number}/6.*\] (residual|plain)-8, width 4.*, seed [01]: [\d.]+% on test"
        assert re.search(line, errors), errors
    word = r"(supported \(p .*\)|not supported \(p .*\)|undecided \(p .* for, .* against\))"
    answer = rf"^C1, {word}: In most cases .* points \(.* to .*; 2 seeds\)\.$"
    assert re.search(answer, output, re.M), output
    assert output.index("C1, ") < output.index("Study mine on tiny.npz: 6 of 6") < output.index("On test")
    assert re.search(r"C1 +│ +(supported|not supported|undecided)", output)
    assert output.splitlines()[-1] == "next: keras-kd reuse --run=runs/mine"


def test_its_folder_is_whole(finished):
    cwd, output, _ = finished
    paths = dict(re.findall(r"^(run|report|results|pictures|tensorboard|result) +(\S+)$", output, re.M))
    assert len(paths) == 6
    found = json.loads((cwd / paths["result"]).read_text())
    assert [verdict["claim"] for verdict in found["verdicts"]] == ["C1", "C3"]
    assert found["command"] == " ".join(["keras-kd study", *COMMAND])
    assert found["dataset"]["examples"]["test"] == 24
    assert {"keras", "tensorflow", "scipy"} <= found["versions"].keys()
    rows = study_table(cwd)
    assert len(rows) == STUDY_RUNS
    assert {row["status"] for row in rows} == {"done"}
    for seed in "01":
        accuracies = {row["cell"]: row for row in rows if row["seed"] == seed}
        taught = accuracies["p8w4-kd-r8w4-T4-a0.9"]
        assert taught["teacher_accuracy"] == accuracies["r8w4"]["accuracy"]
    assert "<h1>Does it run?</h1>" in (cwd / paths["report"]).read_text(encoding="utf-8")


def test_twins_and_their_students_start_alike_and_seeds_do_not(finished):
    cwd, _, _ = finished
    starts = {}
    for row in study_table(cwd):
        path = cwd / "runs" / "mine" / "runs" / row["run"] / "result.json"
        starts.setdefault(row["seed"], set()).add(json.loads(path.read_text())["start"])
    assert [len(each) for each in starts.values()] == [1, 1]
    assert starts["0"] != starts["1"]


def test_one_depth_has_no_picture_over_depth(finished):
    cwd, _, _ = finished
    pictures = cwd / "runs" / "mine" / "pictures"
    assert [path.name for path in pictures.iterdir()] == ["gains.png"]
    assert (pictures / "gains.png").read_bytes().startswith(b"\x89PNG")


def test_its_table_alone_draws_it_again_elsewhere(finished, tmp_path):
    cwd, output, _ = finished
    for name in ("mine.yaml", "runs/mine/results.csv"):
        shutil.copy(cwd / name, tmp_path)
    flags = ("--study=mine.yaml", "--report_only", "--results=results.csv", "--data_dir=there")
    status, again, errors = call("study", *flags, cwd=tmp_path)
    assert status == 0, errors
    found = output[output.index("C1, ") : output.rindex("\nrun ")]
    told = [line for line in found.splitlines() if not line.startswith("Study mine")]
    assert [line for line in again.splitlines() if line in told] == told
    assert again.splitlines()[-1] == "next: keras-kd study --study=mine.yaml --data_dir=there"
    assert "<h1>Does it run?</h1>" in (tmp_path / "runs/report-mine/report.html").read_text(encoding="utf-8")
    status, _, errors = call("study", *flags[:2], cwd=tmp_path)
    assert status == 1
    assert "give its path with --results" in error_line(errors)


def test_other_seeds_say_which_verdicts_came_again(finished, tmp_path):
    cwd, _, _ = finished
    shutil.copy(cwd / "mine.yaml", tmp_path)
    table = (cwd / "runs" / "mine" / "results.csv").read_text()
    first, again = tmp_path / "first.csv", tmp_path / "again.csv"
    first.write_text(table)
    rows = [line.split(",") for line in table.splitlines()]
    place = rows[0].index("seed")
    for row in rows[1:]:
        row[place] = str(int(row[place]) + 5)
        row[0] = f"{row[0].rpartition('-s')[0]}-s{row[place]}"
    again.write_text("\n".join(map(",".join, rows)))
    flags = ("--study=mine.yaml", "--report_only", f"--replicates={first}", f"--results={again}")
    status, output, errors = call("study", *flags, "--seeds=5..6", cwd=tmp_path)
    assert status == 0, errors
    told = r"^C1, \w.*: .* (Undecided with seeds 0, 1 and|Stable over both sets)"
    assert re.search(told, output, re.M), output
    assert (tmp_path / "runs/report-mine-again/report.html").is_file()
    status, _, errors = call("study", *flags, cwd=tmp_path)
    assert status == 1
    assert "with other seeds: these are 0, 1, and the first has 0, 1" in error_line(errors)


def test_a_page_is_not_drawn_into_the_folder_of_another_run(tmp_path):
    (tmp_path / "flags.cfg").write_text("# keras-kd distill\n--dataset=digits\n")
    (tmp_path / "report.html").write_text("theirs")
    flags = ("--study=methods_residual", "--report_only", f"--out={tmp_path}")
    status, _, errors = call("study", *flags, cwd=ROOT)
    assert status == 1
    assert "is a run of distill: it is not overwritten" in error_line(errors)
    assert (tmp_path / "report.html").read_text() == "theirs"


def test_a_table_of_one_seed_is_repeated_by_that_seed(tmp_path):
    text = (ROOT / "experiments/results/methods_residual.csv").read_text()
    (tmp_path / "seven.csv").write_text(re.sub(r"-s0,(.*?),0,done", r"-s7,\1,7,done", text))
    flags = ("--study=methods_residual", "--report_only", f"--out={tmp_path / 'out'}")
    status, output, errors = call("study", *flags, f"--replicates={tmp_path / 'seven.csv'}", cwd=ROOT)
    assert status == 0, errors
    assert "Undecided with seeds 7 and again with 0." in output


@pytest.mark.slow
def test_a_finished_study_grows_by_seeds_and_by_its_own_flagfile(finished, tmp_path):
    cwd = tmp_path / "copy"
    shutil.copytree(finished[0], cwd)
    before = study_table(cwd)
    assert (cwd / "runs" / "mine" / "flags.cfg").read_text() == "# keras-kd study\n--study=mine.yaml\n"
    flags = ("--flagfile=runs/mine/flags.cfg", "--out=runs/mine", "--jobs=2", "--seeds=3")
    status, output, errors = call("study", *flags, cwd=cwd)
    assert status == 0, errors
    after = study_table(cwd)
    assert after[:STUDY_RUNS] == before
    assert len(after) == STUDY_RUNS + 3
    assert "9 runs: 3 conditions with 3 seeds" in output
    assert "[9/9" in errors


@pytest.mark.slow
def test_a_studys_page_shows_what_was_seen_inside(finished, tmp_path):
    cwd = tmp_path / "copy"
    shutil.copytree(finished[0], cwd)
    for name, flags in (
        ("landscape", (*SMALL, "--hessian_steps=0", "--examples=24")),
        ("reuse", ("--draws=1", "--most=1", "--probe_examples=0", "--examples=24", "--seeds=0,1")),
    ):
        status, output, errors = call(name, "--run=runs/mine", *flags, cwd=cwd)
        assert status == 0, errors[-3000:]
        assert "plain + KD minus residual" in output
        assert re.search(r"^report +runs/mine/report.html$", output, re.M)
        result = json.loads((cwd / "runs" / "mine" / name / "result.json").read_text())
        assert [group["seed"] for group in result["groups"]] == [0, 1]
        assert {cell["count"] for cell in result["summary"]["cells"]} == {2}
    page = (cwd / "runs" / "mine" / "report.html").read_text(encoding="utf-8")
    status, _, errors = script("--jobs=2", cwd=cwd)
    assert status == 0, errors[-3000:]
    again = (cwd / "runs" / "mine" / "report.html").read_text(encoding="utf-8")
    for text in (page, again):
        assert "<h1>Does it run?</h1>" in text
        assert "The loss landscape: over seeds" in text
        assert "Feature reuse: differences over seeds" in text
    status, _, errors = call("reuse", "--run=runs/mine", "--seeds=0,20", "--out=x", cwd=cwd)
    assert status == 1
    assert "has no residual network of seed 20 with its plain twin" in error_line(errors)


@pytest.mark.slow
def test_a_run_that_fails_stops_no_other_and_is_retried_when_asked(tmp_path_factory):
    cwd = study_folder(tmp_path_factory, "failing")
    other = cwd / "runs" / "mine" / "runs" / "p8w4-s0"
    other.mkdir(parents=True)
    (other / "flags.cfg").write_text("--depth=14\n")
    (cwd / "runs" / "mine" / "flags.cfg").write_text("--study=mine.yaml\n")
    status, _, errors = script("--seeds=1", cwd=cwd)
    assert status == 1
    line = error_line(errors)
    assert "1 of 3 runs failed, plain-8, width 4, seed 0: its folder holds another run; see " in line
    assert "--retry_failed" in line
    rows = {row["run"]: row for row in study_table(cwd)}
    assert rows["p8w4-s0"]["status"] == "failed"
    assert [row["status"] for row in rows.values()].count("done") == 2
    verdicts = json.loads((cwd / "runs" / "mine" / "result.json").read_text())["verdicts"]
    assert {verdict["verdict"] for verdict in verdicts} == {"undecided"}
    assert "<h1>" in (cwd / "runs" / "mine" / "report.html").read_text(encoding="utf-8")
    (other / "flags.cfg").unlink()
    status, _, errors = script("--seeds=1", "--retry_failed", cwd=cwd)
    assert status == 0, errors
    assert {row["status"] for row in study_table(cwd)} == {"done"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--study=depht"], "a study must be one of assistants, born_again, depth,"),
        (["--study=none.yaml"], "there is no study file 'none.yaml'"),
        (["--weight_decay=0.1"], "weight_decay belongs to each run: give it as an axis in the study file"),
        (["--seed=3"], "seed belongs to each run"),
        (["--seeds=0"], "--seeds=0: seeds must be a whole number from 1"),
        (["--epochs=0"], "epochs must be a whole number"),
        (["--epochs=4"], "was begun with other flags: --epochs was not given and is 4"),
        (["--threads=2"], "was begun with other flags: --threads was not given and is 2"),
        (["--batch_size=100", "--out=runs/x"], "batch_size must be a whole number from 1 to"),
        (["--cluster=127.0.0.1:1"], "no Ray cluster answers at '127.0.0.1:1'"),
        (["--dataset=other.npz", "--out=runs/x"], "other.npz': give the path of an .npz file"),
    ],
)
def test_bad_input_is_one_line(finished, flags, message):
    status, _, errors = script(*flags, cwd=finished[0])
    assert status == 1
    assert message in error_line(errors)


def test_a_study_with_another_grid_is_refused(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "copy")
    other = STUDY_FILE.replace("epochs: 3", "epochs: 4").replace("twin}", "twin, alpha: 0.5}")
    (tmp_path / "copy" / "mine.yaml").write_text(other)
    status, _, errors = script(cwd=tmp_path / "copy")
    assert status == 1
    line = error_line(errors)
    assert "holds another study: settings was" in line
    assert "runs that are not in this study: p8w4-kd-r8w4-T4-a0.9-s0" in line


def test_pictures_reach_tensorboard(tmp_path):
    session.write(tmp_path, found_of(records()))
    names = {path.stem for path in (tmp_path / "pictures").iterdir()}
    assert names == {"accuracy_over_depth", "gains", "recovery_over_depth", "gain_over_advantage"}
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {f"pictures/{name}" for name in names} <= set(events.Tags()["tensors"])
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "result.json").is_file()
