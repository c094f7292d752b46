"""Numbers as text, for pages and tables."""


def percent(share):
    """An accuracy for a table."""
    return "n/a" if share is None else f"{100 * share:.1f}"


def plain(number, digits=2):
    """A number for a table."""
    return "n/a" if number is None else f"{number:.{digits}f}"


def points(share):
    """A difference of accuracies, with its sign."""
    return "n/a" if share is None else f"{100 * share:+.1f}"


def number(value):
    """A number of whatever size for a table, in three digits."""
    return "n/a" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


# Of counts, the largest first.
_UNITS = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))


def unit_of(counts):
    """`(size, name)` of the largest unit in which none of the counts is below 1; of small ones `(1, "")`."""
    smallest = min((count for count in counts if count), default=0)
    return next(((size, name) for size, name in _UNITS if smallest >= size), (1, ""))


def in_words(count):
    """A count in its unit, in three digits: "1.53 million"."""
    size, name = unit_of([count])
    return f"{number(count / size)} {name}".rstrip()


def interval(estimate):
    """A `statistics.Estimate`, or what has its numbers with None for those that are not finite."""
    if estimate.low is None:
        return number(estimate.mean)
    return f"{number(estimate.mean)} ({number(estimate.low)} to {number(estimate.high)})"
