"""The page of a search: where good settings lie, how it went, what mattered."""

import math

import numpy as np
import plotly.graph_objects as go
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from keras_kd import pages, spaces

# With fewer trials a forest has nothing to say.
FEWEST_TRIALS = 10
_TREES = 300
_REPEATS = 30

TITLES = {
    "temperature": "temperature",
    "alpha": "alpha",
    "learning_rate": "learning rate",
    "mentor_epochs": "epochs with the teacher",
    "teacher": "teacher",
    "epochs": "epochs trained",
}
SELECTED = (
    "The best setting was chosen by what these same students did on validation, the default by nobody: the "
    "gain is biased upwards, the more so the more trials there were. Other seeds tell what it is worth."
)

OBJECTIVES = {"val_accuracy": "validation accuracy", "val_hard_loss": "validation cross-entropy, nats"}


def sections(found):
    """The parts of the page.

    Args:
      found: of a search: `{"trials": [record], "objective": measure, "direction": "max" or "min",
        "epochs": of a training to the end, "seeds", "space"}`, a record as `search.Record`, as plain values.
    """
    done = [trial for trial in found["trials"] if trial["score"] is not None]
    return [
        _plane(found, done),
        _progress(found, done),
        _importance(found, done),
        _table(found),
    ]


def _plane(found, done):
    figure = pages.figure("temperature (log scale)", "alpha, weight of the teacher's term")
    for epochs, symbol in zip(_epochs(done), ("circle", "diamond", "square", "cross", "x") * 9, strict=False):
        those = [trial for trial in done if trial["epochs"] == epochs]
        figure.add_trace(
            go.Scatter(
                x=[trial["values"]["temperature"] for trial in those],
                y=[trial["values"]["alpha"] for trial in those],
                mode="markers",
                name=f"{epochs} epochs",
                text=[f"trial {t['trial']}: {shown(t['score'], found['objective'])}" for t in those],
                hovertemplate="%{text}<br>T %{x:.3g}, alpha %{y:.3g}" + pages.NAME,
                marker={
                    "color": [trial["score"] for trial in those],
                    "coloraxis": "coloraxis",
                    "size": 13,
                    "symbol": symbol,
                    "line": {"width": 1, "color": "#333"},
                },
            )
        )
    figure.update_layout(coloraxis={"colorscale": "Cividis", "colorbar": {"title": "score"}})
    figure.update_coloraxes(reversescale=found["direction"] == "min")
    figure.update_xaxes(type="log")
    words = (
        f"Each point is a trial, coloured by its {OBJECTIVES[found['objective']]} (mean over "
        f"{len(found['seeds'])} seeds): the lighter, the better. Trials of other lengths have other symbols."
    )
    return pages.section("plane", "Score over temperature and alpha", words, figure)


def _epochs(trials):
    return sorted({trial["epochs"] for trial in trials}, reverse=True)


def _progress(found, done):
    """Scores in the order of trials, and the best so far of those trained to the end."""
    figure = pages.figure("trial", OBJECTIVES[found["objective"]])
    order = [i for i, trial in enumerate(found["trials"], 1) if trial["score"] is not None]
    figure.add_trace(
        go.Scatter(x=order, y=[trial["score"] for trial in done], mode="markers", name="a trial")
    )
    better = max if found["direction"] == "max" else min
    whole = [(i, t["score"]) for i, t in zip(order, done, strict=True) if t["epochs"] == found["epochs"]]
    best = [better(score for _, score in whole[: i + 1]) for i in range(len(whole))]
    figure.add_trace(
        go.Scatter(
            x=[place for place, _ in whole], y=best, mode="lines", line={"shape": "hv"}, name="best so far"
        )
    )
    words = (
        "Trials in the order in which they began. The best so far is among those that were trained to the "
        "end; it can only get better, also when nothing is learnt: the best of many noisy numbers is lucky."
    )
    return pages.section("progress", "Best so far", words, figure)


def _importance(found, done):
    title = "What mattered"
    told = importance(done)
    if told is None:
        words = (
            f"{len(done)} trials ended with a score: fewer than the {FEWEST_TRIALS} that it takes to say "
            f"anything about what mattered. Nothing is drawn rather than noise."
        )
        return pages.section("importance", title, words)
    figure = pages.figure("importance: R² that is lost when the values are shuffled", "")
    figure.add_trace(
        go.Bar(
            y=[TITLES[name] for name in told["names"]],
            x=told["means"],
            error_x={"array": told["deviations"]},
            orientation="h",
            name="importance",
        )
    )
    words = (
        f"Permutation importance (Breiman 2001; scikit-learn) of a random forest of {_TREES} trees on "
        f"{len(done)} trials, with the spread over {_REPEATS} shufflings. On trials that a tree has not seen "
        f"the forest explains R² = {told['r2']:.2f} of the score"
        + (": it predicts nothing, so these bars mean nothing." if told["r2"] <= 0 else ".")
    )
    return pages.section("importance", title, words, figure)


def importance(trials):
    """How much each hyperparameter matters, or None with too few trials.

    Args:
      trials: records with a score.

    Returns:
      `{"names", "means", "deviations", "r2"}`: for each that varied the R² of a random forest that is lost
      when its values are shuffled; and the R² on trials that its trees have not seen.

    Source: Breiman 2001, "Random forests", section 10.
    """
    columns = _columns(trials)
    if len(trials) < FEWEST_TRIALS or not columns:
        return None
    values = np.column_stack(list(columns.values()))
    scores = np.array([trial["score"] for trial in trials])
    if np.ptp(scores) == 0:
        return None
    forest = RandomForestRegressor(_TREES, oob_score=True, random_state=0).fit(values, scores)
    lost = permutation_importance(forest, values, scores, n_repeats=_REPEATS, random_state=0)
    return {
        "names": list(columns),
        "means": lost.importances_mean.tolist(),
        "deviations": lost.importances_std.tolist(),
        "r2": float(forest.oob_score_),
    }


def _columns(trials):
    """`{name: [number per trial]}` of what varied; a teacher by its place in the order of names."""
    found = {}
    for name in TITLES:
        column = [trial["epochs"] if name == "epochs" else trial["values"].get(name) for trial in trials]
        if len(set(column)) < 2:
            continue
        if name == "teacher":
            column = [sorted(set(column)).index(value) for value in column]
        found[name] = np.log(column) if name in spaces.LOGARITHMIC else np.array(column, float)
    return found


def _table(found):
    columns, rows = table(found)
    failed = [trial for trial in found["trials"] if trial["error"]]
    words = f"{len(found['trials'])} trials, {len(failed)} of them failed." + "".join(
        f" Trial {trial['trial']}: {trial['error']}." for trial in failed
    )
    return pages.section("trials", "Every trial", words, table=(columns, rows))


def table(found, most=None):
    """`(columns, rows)`: the trials, those trained to the end first, the best of them on top."""
    names = list(found["space"])
    sign = -1 if found["direction"] == "max" else 1
    order = sorted(
        found["trials"],
        key=lambda t: (t["score"] is None, -t["epochs"], sign * (t["score"] or 0), t["trial"]),
    )
    columns = ["trial", *(TITLES[name] for name in names), "epochs", "score", "± sd", "seconds"]
    rows = [
        [
            trial["trial"],
            *(value(trial["values"][name]) for name in names),
            str(trial["epochs"]),
            "failed" if trial["error"] else shown(trial["score"], found["objective"]),
            spread(trial["measures"].get(found["objective"], []), found["objective"]),
            "n/a" if trial["seconds"] is None else f"{trial['seconds']:.0f}",
        ]
        for trial in order[:most]
    ]
    return columns, rows


def value(of):
    """A hyperparameter in words; of a path its end."""
    return of.rsplit("/", 1)[-1] if isinstance(of, str) else f"{of:.3g}"


def shown(score, objective):
    """A score in words."""
    if score is None or not math.isfinite(score):
        return "n/a"
    return f"{score:.1%}" if objective == "val_accuracy" else f"{score:.4f}"


def spread(values, objective):
    """The standard deviation over seeds in words; accuracies in points."""
    if len(values) < 2:
        return "n/a"
    deviation = float(np.std(values, ddof=1))
    return f"{100 * deviation:.1f}" if objective == "val_accuracy" else f"{deviation:.4f}"
