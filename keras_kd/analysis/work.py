"""How much of an analysis is done, over all of its pieces."""


class WholeWork:
    """Takes what an analysis tells about its pieces and tells how much of the whole is done.

    Args:
      costs: `{title of a piece: cost}`, in any unit, in the order in which they are measured. Those before
        the piece under way are done: they were stored, or could not be measured.
      on_progress: is called with the title of the piece under way and the share of the whole that is done,
        in [0, 1].
    """

    def __init__(self, costs, on_progress):
        self._costs = costs
        self._on_progress = on_progress
        self._done = 0.0

    def __call__(self, title, done, total):
        """As `on_progress` of an analysis: so many steps of so many are done of the piece with this title."""
        if title in self._costs:
            titles = list(self._costs)
            before = sum(self._costs[each] for each in titles[: titles.index(title)])
            part = self._costs[title] * (done / total if total else 1)
            whole = sum(self._costs.values())
            self._done = max(self._done, (before + part) / whole if whole else 1.0)
        self._on_progress(title, self._done)
