"""A study's findings as one HTML page that needs no network: verdicts first, then pictures one can touch.

report.write(result, "runs/study-depth/report.html")
"""

import math

import jinja2

from keras_kd.reporting import charts, html
from keras_kd.reporting.formatting import percent, plain, points, shared
from keras_kd.study.findings import charts as study_charts
from keras_kd.study.findings import claims


def write(result, path, sections=()):
    """Writes the page, atomically.

    Args:
      result: a `results.StudyResult`.
      path: of the page.
      sections: further ones, see `html.section`.
    """
    found = result.summary
    failed = [row for row in found.rows if not row.is_done]
    drawn = [charts.section(chart) for chart in study_charts.described(found)]
    html.write(
        "report.html",
        path,
        result=result,
        found=found,
        described=result.description,
        failed=failed,
        done=len(found.rows) - len(failed),
        sections=[*drawn, *sections],
        hours=duration(sum(row.seconds or 0 for row in found.rows)),
        sentence=sentence,
        amount=amount,
        percent=percent,
        plain=plain,
        points=points,
        shared=shared,
    )


def amount(number, verdict):
    """A number of a verdict in its unit: points of accuracy, but for the slope of C4."""
    return plain(number) if verdict.claim == "C4" else points(number)


def sentence(verdict):
    """A verdict in plain words; its first word is marked up."""
    word = jinja2.filters.do_mark_safe(f'<span class="word">{verdict.verdict.capitalize()}.</span> ')
    missing = verdict.missing
    if verdict.verdict == claims.SUPPORTED:
        return word + f"The data show it (p = {verdict.p_for:.3f}, corrected)."
    if verdict.verdict == claims.NOT_SUPPORTED:
        return word + f"The data show the opposite (p = {verdict.p_against:.3f}, corrected)."
    reason = f" To decide it the study lacks something: {missing}." if missing else ""
    return word + (
        f"The data show neither the claim (p = {verdict.p_for:.2f}) nor its opposite "
        f"(p = {verdict.p_against:.2f}).{reason}"
    )


def duration(seconds):
    """Hours and minutes."""
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
