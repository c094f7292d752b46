"""Numbers and names as text, for pages and tables."""

import itertools
import re


def percent(share):
    """An accuracy for a table."""
    return "n/a" if share is None else f"{100 * share:.1f}"


def accuracies_between(low, high):
    """An interval about an accuracy for a table; what lies below 0 or above 100 % is no accuracy."""
    if low is None:
        return "n/a"
    return f"{percent(max(low, 0.0))} to {percent(min(high, 1.0))}"


def plain(number, digits=2):
    """A number for a table."""
    return "n/a" if number is None else f"{number:.{digits}f}"


def equals(p, digits=3):
    """A p behind its letter: "= 0.013", or "< 0.001", as no test proves a p of 0."""
    least = 10**-digits
    return f"< {least}" if p < least else f"= {p:.{digits}f}"


def p_value(p):
    """A p in two digits, in three where two could hide on which side of 0.05 it lies."""
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def points(share):
    """A difference of accuracies, with its sign."""
    return "n/a" if share is None else f"{100 * share:+.1f}"


def number(value):
    """A number of whatever size for a table, in three digits."""
    return "n/a" if value is None else f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def in_bytes(count):
    """A size in bytes, kB or MB (of 1000), in three digits."""
    for size, unit in ((1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{number(count / size)} {unit}"
    return f"{count} bytes"


def share_of_all(share):
    """A share, of images say, that is told as all only where it is."""
    text = f"{100 * share:.1f}"
    return "> 99.9 %" if text == "100.0" and share < 1 else f"{text} %"


def small_points(share):
    """A difference of accuracies with its sign, told as none only where it is."""
    return "n/a" if share is None else "0" if share == 0 else f"{100 * share:+.2g}"


# Letters of a beginning that are worth leaving out.
_SHARED = 12


def shared(names):
    """What names have in common, cut between words: `(beginning, [the rest of each], end)`.

    Nothing is by fewer than three, where the beginning is short, or where a name would be left empty. A rest
    has both of its brackets or none.
    """
    begins = _common([re.findall(r"[^ (]*[ (]", name) for name in names])
    rests = [name.removeprefix(begins[0]) for name in names]
    ends = _common([re.findall(r"[ ,)]?[^ ,)]*", rest)[::-1] for rest in rests], reverse=True)
    for begin, end in itertools.product(begins, ends):
        rests = [name.removeprefix(begin).removesuffix(end) for name in names]
        if all(map(_is_closed, rests)):
            break
    is_worth_it = len(names) > 2 and len(begin) >= _SHARED and all(rests)
    return (begin, rests, end) if is_worth_it else ("", list(names), "")


def _common(parts, reverse=False):
    """The first parts as long as they are equal in all lists, as texts: all of them, one less, ..., ""."""
    equal = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*parts, strict=False))
    found = [column[0] for column in equal]
    texts = [found[:count] for count in range(len(found), -1, -1)]
    return ["".join(text[::-1] if reverse else text) for text in texts]


def _is_closed(text):
    depths = list(itertools.accumulate((letter == "(") - (letter == ")") for letter in text))
    return not text or (min(depths) >= 0 and depths[-1] == 0)


# Of counts, the largest first.
_UNITS = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))


def unit_of(counts):
    """`(size, name)` of the largest unit in which none of the counts is below 1; of small ones `(1, "")`."""
    smallest = min((count for count in counts if count), default=0)
    return next(((size, name) for size, name in _UNITS if smallest >= size), (1, ""))


def counted(count, unit):
    """A count with its unit: "1 seed", "3 seeds"."""
    return f"{count} {unit}{'' if count == 1 else 's'}"


def in_words(count):
    """A count in its unit, in three digits: "1.53 million"."""
    size, name = unit_of([count])
    return f"{number(count / size)} {name}".rstrip()


def interval(estimate):
    """A `statistics.Estimate`, or what has its numbers with None for those that are not finite."""
    if estimate.low is None:
        return number(estimate.mean)
    return f"{number(estimate.mean)} ({number(estimate.low)} to {number(estimate.high)})"
