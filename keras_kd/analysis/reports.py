"""How the result of an analysis is shown: its numbers as tables, its sections of a page, its pictures."""

import dataclasses
from collections.abc import Callable

from keras_kd.reporting import formatting, html


@dataclasses.dataclass(frozen=True)
class AnalysisReport:
    """What one analysis calls its numbers, and how it draws a `results.GroupResult`.

    Attributes:
      name: of the analysis, its folder and its pages.
      title: in words.
      measures: `{number of a network: its title}`, in the order of tables.
      compared: those of them that are compared over a study's seeds.
      percent: those of them that are shares, told in % or points.
      answer: `answer(groups, others)`, an `answers.Answer`: what was found in sentences with their
        uncertainty; `others` intervals stand on the same page.
      words: what the table of a group means; `{first}` stands for the first network.
      result_type: of the analysis, with `from_json`.
      sections: `sections(group, prefix)`, those of a group's page, the main picture first.
      overview: `overview(group, prefix)`, those of a study's page about one group; few.
      pictures: `pictures(group)`, `{name: matplotlib figure}`.
      remarks: `remarks(group)`, sentences about what was left out that belong on the screen too.
    """

    name: str
    title: str
    measures: dict
    compared: tuple
    answer: Callable
    words: str
    result_type: type
    sections: Callable
    overview: Callable
    pictures: Callable
    remarks: Callable = lambda group: []
    percent: tuple = ()

    def table(self, group):
        """`(columns, rows)`: every number of the networks of a group that one of them has."""
        networks = group.result.networks
        rows = [
            [title, *(self.text(measure, getattr(network, measure)) for network in networks)]
            for measure, title in self.measures.items()
            if any(getattr(network, measure) is not None for network in networks)
        ]
        return ["measure", *(network.label for network in networks)], rows

    def text(self, measure, value):
        """A number of a network for a table."""
        is_share = measure in self.percent
        return formatting.percent(value) if is_share else formatting.number(value)

    def page_sections(self, group):
        """The sections of a group's page: the main picture, all its numbers, then what else is drawn."""
        words = self.words.format(first=group.result.networks[0].label)
        table = html.section(f"{self.name}-numbers", "In numbers", words, table=self.table(group))
        main, *others = self.sections(group, self.name)
        return [main, table, *others]
