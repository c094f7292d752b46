"""The page of a search: where good settings lie, how it went, what mattered."""

import math

import numpy as np
import plotly.graph_objects as go

from keras_kd.reporting import html
from keras_kd.search import importance, sentences, space
from keras_kd.search.sentences import value
from keras_kd.training import failures

OBJECTIVES = {"val_accuracy": "validation accuracy", "val_hard_loss": "validation cross-entropy, nats"}


_OPTIONS = " An option of one loss stands at its median in the trials of the others."


def sections(found):
    """The parts of the page.

    Args:
      found: a `results.SearchResult`.
    """
    done = found.scored
    return [
        _plane(found, done),
        _progress(found, done),
        _importance(done),
        _table(found),
        *html.notes_sections(found.notes),
    ]


def _plane(found, done):
    figure = html.figure("temperature (log scale)", "alpha, weight of the teacher's term")
    for epochs, symbol in zip(_epochs(done), ("circle", "diamond", "square", "cross", "x") * 9, strict=False):
        those = [trial for trial in done if trial.epochs == epochs]
        figure.add_trace(
            go.Scatter(
                x=[trial.values["temperature"] for trial in those],
                y=[trial.values["alpha"] for trial in those],
                mode="markers",
                name=f"{epochs} epochs",
                text=[f"trial {t.trial}: {shown(t.score, found.objective)}" for t in those],
                hovertemplate="%{text}<br>T %{x:.3g}, alpha %{y:.3g}" + html.NAME,
                marker={
                    "color": [trial.score for trial in those],
                    "coloraxis": "coloraxis",
                    "size": 13,
                    "symbol": symbol,
                    "line": {"width": 1, "color": "#000000"},
                },
            )
        )
    figure.update_layout(
        coloraxis={"colorscale": "Cividis", "colorbar": {"title": "score", "tickformat": _tick_format(found)}}
    )
    figure.update_coloraxes(reversescale=found.direction == "min")
    figure.update_xaxes(type="log", **html.log_ticks(trial.values["temperature"] for trial in done))
    words = (
        f"Each point is a trial, coloured by its {OBJECTIVES[found.objective]} (mean over "
        f"{len(found.seeds)} seeds): the lighter, the better. Trials of other lengths have other symbols."
    )
    return html.section("plane", "Score over temperature and alpha", words, figure)


def _tick_format(found):
    """Of scores: accuracies are told in %."""
    return ".1~%" if found.objective == sentences.ACCURACY else None


def _epochs(trials):
    return sorted({trial.epochs for trial in trials}, reverse=True)


def _progress(found, done):
    """Scores of the trials by their numbers, and the best so far of those trained to the end."""
    figure = html.figure("trial", OBJECTIVES[found.objective])
    order = [int(trial.trial) for trial in done]
    figure.add_trace(go.Scatter(x=order, y=[trial.score for trial in done], mode="markers", name="a trial"))
    figure.update_xaxes(**html.whole_ticks(len(found.trials)))
    if found.objective == sentences.ACCURACY:
        figure.update_yaxes(tickformat=_tick_format(found), minallowed=0, maxallowed=1)
    better = max if found.direction == "max" else min
    whole = [(i, t.score) for i, t in zip(order, done, strict=True) if t.epochs == found.epochs]
    best = [better(score for _, score in whole[: i + 1]) for i in range(len(whole))]
    figure.add_trace(
        go.Scatter(
            x=[place for place, _ in whole], y=best, mode="lines", line={"shape": "hv"}, name="best so far"
        )
    )
    words = (
        "Trials by their numbers, as in the table and in the folder, in the order in which they began. The "
        "best so far is among those that were trained to the end; it can only get better, also when nothing "
        "is learnt: the best of many noisy numbers is lucky."
    )
    return html.section("progress", "Best so far", words, figure)


def _importance(done):
    title = "What mattered"
    told = importance.importance(done)
    if told is None:
        lack = (
            f"{len(done)} trials ended with a score: fewer than the {importance.FEWEST_TRIALS} that it takes"
        )
        if len(done) >= importance.FEWEST_TRIALS:
            lack = (
                f"The {len(done)} trials with a score do not differ, in it or in their settings, as it takes"
            )
        words = f"{lack} to say anything about what mattered. Nothing is drawn rather than noise."
        return html.section("importance", title, words)
    figure = html.figure("R² lost by shuffling the values", "")
    figure.add_trace(
        go.Bar(
            y=[space.TITLES.get(name, name) for name in told.names],
            x=told.means,
            error_x={"array": told.deviations, "color": "#000000"},
            orientation="h",
            name="importance",
        )
    )
    words = (
        f"Permutation importance (Breiman 2001; scikit-learn) of a random forest of {importance.TREES} trees "
        f"on {len(done)} trials, with the spread over {importance.REPEATS} shufflings. On trials that "
        f"a tree has not seen the forest explains R² = {told.r2:.2f} of the score"
        + (": it predicts nothing, so these bars mean nothing." if told.r2 <= 0 else ".")
        + (_OPTIONS if any(name not in space.TITLES for name in told.names) else "")
    )
    return html.section("importance", title, words, figure)


def _table(found):
    columns, rows = table(found)
    words = f"{sentences.counts(found)}." + "".join(
        f" Trial {trial.trial} failed: {failures.in_words(trial.error)} (what the libraries said is in "
        f"results/{trial.trial}.json)."
        for trial in found.failed
    )
    return html.section("trials", "Every trial", words, table=(columns, rows))


def table(found, most=None):
    """`(columns, rows)`: the trials, those trained to the end first, the best of them on top."""
    names = list(found.space)
    sign = -1 if found.direction == "max" else 1
    order = sorted(
        found.trials,
        key=lambda t: (t.score is None, -t.epochs, sign * (t.score or 0), t.trial),
    )
    is_accuracy = found.objective == sentences.ACCURACY
    score, spread_of = ("validation accuracy", "± sd, points") if is_accuracy else ("cross-entropy", "± sd")
    columns = ["trial", *(space.TITLES[name] for name in names), "epochs", score, spread_of, "seconds"]
    rows = [
        [
            trial.trial,
            *(value(trial.values[name]) for name in names),
            str(trial.epochs),
            _outcome(trial, found.objective),
            spread(trial.measures.get(found.objective, []), found.objective),
            "n/a" if trial.seconds is None else f"{trial.seconds:.0f}",
        ]
        for trial in order[:most]
    ]
    return columns, rows


def _outcome(trial, objective):
    if trial.error:
        return "failed"
    return "stopped" if trial.score is None else shown(trial.score, objective)


def shown(score, objective):
    """A score in words."""
    if score is None or not math.isfinite(score):
        return "n/a"
    return f"{score:.1%}" if objective == sentences.ACCURACY else f"{score:.4f}"


def spread(values, objective):
    """The standard deviation over seeds in words; accuracies in points."""
    if len(values) < 2:
        return "n/a"
    deviation = float(np.std(values, ddof=1))
    return f"{100 * deviation:.1f}" if objective == sentences.ACCURACY else f"{deviation:.4f}"
