"""A study's findings as one HTML page that needs no network: the answer in sentences, then the picture.

report.write(result, "runs/study-depth/report.html")
"""

import math

import markupsafe

from keras_kd.reporting import charts, html
from keras_kd.reporting.formatting import (
    accuracies_between,
    counted,
    equals,
    p_value,
    percent,
    plain,
    points,
    shared,
)
from keras_kd.study.findings import charts as study_charts
from keras_kd.study.findings import naming, sentences, verdicts
from keras_kd.study.findings.claims import CLAIMS
from keras_kd.training import failures
from keras_kd.utils import locks

PAGE = "report.html"


def alone(folder):
    """Holds the lock of a study's page and of the result that it shows; two commands may renew them."""
    return locks.held(folder / ".report.lock", folder, patience=60.0)


def write(result, path, sections=(), planned=None):
    """Writes the page, atomically.

    Args:
      result: a `results.StudyResult`.
      path: of the page.
      sections: further ones, see `html.section`.
      planned: how many runs the study has, where some may not be there yet.
    """
    found = result.summary
    titles = {each.condition.name: each.condition.title for each in found.conditions}
    failed = [
        (naming.title_of_row(row, titles), failures.in_words(row.error), row.error)
        for row in found.rows
        if not row.is_done
    ]
    picture, *drawn = [charts.section(chart) for chart in study_charts.described(found)] or [None]
    html.write(
        PAGE,
        path,
        answer=sentences.of_study(found, result.replications),
        result=result,
        found=found,
        scope=scope(result, planned),
        failed=failed,
        picture=picture,
        sections=[*drawn, *sections, *html.notes_sections(result.notes)],
        limits=limits(result),
        facts=facts(result),
        sentence=sentence,
        amount=amount,
        percent=percent,
        between=accuracies_between,
        plain=plain,
        points=points,
        shared=shared,
    )


def amount(number, verdict):
    """A number of a verdict in its unit: points of accuracy, but for the slope of C4."""
    return plain(number) if CLAIMS[verdict.claim].is_slope else points(number)


def sentence(verdict):
    """A verdict in plain words; its first word is marked up."""
    word = markupsafe.Markup(f'<span class="word">{verdict.verdict.capitalize()}.</span> ')
    missing = verdict.missing
    if verdict.verdict == verdicts.SUPPORTED:
        return word + f"The data show it (p {equals(verdict.p_for)}, corrected)."
    if verdict.verdict == verdicts.NOT_SUPPORTED:
        return word + f"The data speak against it (p {equals(verdict.p_against)}, corrected)."
    reason = f" To decide it the study lacks something: {missing}." if missing else ""
    return word + (
        f"The data show neither the claim (p = {p_value(verdict.p_for)}) nor its opposite "
        f"(p = {p_value(verdict.p_against)}).{reason}"
    )


def scope(result, planned=None):
    """What was run on what, in a sentence, and what is not there yet."""
    rows, described = result.summary.rows, result.description
    done = sum(row.is_done for row in rows)
    dataset = described["dataset"]
    sizes = [
        f"{count:,} {kind} images"
        for name, kind in (("train", "training"), ("test", "test"))
        if (count := dataset["examples"].get(name))
    ]
    parts = [
        f"{done} of {counted(max(planned or 0, len(rows)), 'run')}",
        counted(len(result.seeds), "seed"),
        _length(described["settings"]),
        *([" and ".join(sizes)] if sizes else []),
    ]
    text = f"Study {result.study} on {dataset['name']}: {', '.join(parts)}."
    if planned and planned > len(rows):
        absent = planned - len(rows)
        text += (
            f" {counted(absent, 'run')} {'is' if absent == 1 else 'are'} not there yet: a comparison without "
            f"any speaks for no verdict."
        )
    return text


def _length(settings):
    most = "at most " if settings.get("early_stopping") else ""
    return f"{most}{counted(settings['epochs'], 'epoch')} each"


def limits(result):
    """What the numbers cannot say: a list of texts."""
    dataset, settings = result.description["dataset"], result.description["settings"]
    shape, examples = dataset.get("image_shape"), dataset["examples"]
    name = f"{dataset['name']} ({' x '.join(map(str, shape))})" if shape else dataset["name"]
    worth = f" One test image is worth {100 / examples['test']:.2f} points, and" if examples["test"] else ""
    few = ", with which few differences can be shown" if len(result.seeds) < 5 else ""
    images = f" of {examples['train']:,} images" if examples.get("train") else ""
    batch = f", batch {settings['batch_size']}" if "batch_size" in settings else ""
    return [
        f"One dataset, {name}.{worth or ' '}{' all' if worth else 'All'} seeds share the test images: "
        "intervals are over seeds (initial weights, batches), not over test images.",
        f"{counted(len(result.seeds), 'seed')}{few}; {counted(settings['epochs'], 'epoch')}{images}; one "
        f"recipe for all networks (learning rate {settings['learning_rate']}{batch}), which need not suit "
        "each of them.",
        f"{_kept_epoch(settings)}, and test is touched once a run.",
        "The Trainee-Mentor hypotheses (H1 to H3) are second-hand, from readers' notes on the paper.",
    ]


def _kept_epoch(settings):
    """Which epoch of a run counts."""
    patience = settings.get("early_stopping")
    if not patience:
        return "No epoch is selected: the last one counts"
    return (
        f"Of each run the epoch counts that is best on validation, and it ends after "
        f"{counted(patience, 'epoch')} without a better one (a student that loses its shortcuts on the way "
        f"is trained to the last)"
    )


def facts(result):
    """How it was made: `{name: text}`."""
    described = result.description
    dataset, machine = described["dataset"], described["machine"]
    splits = [
        f"{count:,} {name}" for name, count in dataset["examples"].items() if count
    ]  # training, validation, test
    data = [dataset["name"], ", ".join(splits) + " images"]
    if "fingerprint" in dataset:
        data.insert(1, f"fingerprint {dataset['fingerprint']}")
    settings = {name: value for name, value in described["settings"].items() if name != "seed"}
    told = {
        "data": ", ".join(data),
        "seeds": ", ".join(map(str, result.seeds)),
        "recipe": ", ".join(f"{name} {value}" for name, value in settings.items()),
        "training time": f"{duration(sum(row.seconds or 0 for row in result.summary.rows))} in all runs",
        "versions": ", ".join(f"{name} {version}" for name, version in described["versions"].items()),
        "machine": ", ".join(filter(None, (machine.get("system"), _cores(machine)))),
    }
    return {name: text or "not in the table that this was drawn from" for name, text in told.items()}


def _cores(machine):
    return f"{machine['cores']} cores" if "cores" in machine else ""


def duration(seconds):
    """Hours and minutes."""
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
