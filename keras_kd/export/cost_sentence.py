"""What a network costs against its residual twin, in a sentence with the uncertainty that is known."""

import math
import statistics

# The runtime and images at a time whose latency is told, where they were timed.
RUNTIME, BATCH = "LiteRT", "1"


def sentence(network, twin):
    """What a `cost_results.NetworkCost` costs against that of its residual twin."""
    told = [_memory(network, twin), _accuracy(network, twin), _latency(network, twin)]
    return f"{network.label}: {', '.join(filter(None, told))} against its residual twin."


def _memory(network, twin):
    """Of LiteRT, where it was measured; else as it is counted."""
    measured = "float32" in network.arena and "float32" in twin.arena
    own, other = (each.arena["float32"] if measured else each.peak["float32"] for each in (network, twin))
    change = f"{100 * (own / other - 1):+.0f} %"
    return f"{'the same' if own == other else change} peak memory{'' if measured else ' (counted)'}"


def _accuracy(network, twin):
    if network.accuracy is None or twin.accuracy is None:
        return None
    points = f"{100 * (network.accuracy - twin.accuracy):+.1f} points of accuracy"
    if not network.test_images:
        return points
    low, high = difference_interval(network.accuracy, twin.accuracy, network.test_images)
    told = f"95 %: {100 * low:+.1f} to {100 * high:+.1f}, {network.test_images} test images, one seed"
    return f"{points}{_undecided(low, high, 0)} ({told})"


def _latency(network, twin):
    own, other = (each.latency.get(RUNTIME, {}) for each in (network, twin))
    batch = next((each for each in (BATCH, *own) if each in own and each in other), None)
    if batch is None:
        return None
    own, other = own[batch], other[batch]
    about = f"{RUNTIME}, {'one image' if batch == BATCH else batch + ' images'} at a time"
    if own.turns and len(own.turns) == len(other.turns):
        ratios = [one / two for one, two in zip(own.turns, other.turns, strict=True)]
        about += f"; {min(ratios):.2f} to {max(ratios):.2f} over {len(ratios)} turns"
        about = f"latency{_undecided(min(ratios), max(ratios), 1)} ({about})"
    else:
        about = f"latency ({about})"
    return f"{own.median / other.median:.2f}x {about}"


def _undecided(low, high, nothing):
    return ", undecided" if low <= nothing <= high else ""


def difference_interval(one, other, images, confidence=0.95):
    """The interval of the difference of two accuracies that were measured on so many images each.

    It takes the networks' errors for independent. On the same images they rather agree, so that it is wider
    than it need be.

    Args:
      one, other: accuracies in [0, 1].
      images: how many.
      confidence: in (0, 1).

    Returns:
      `(low, high)`.

    Source: Agresti and Caffo 2000, The American Statistician 54(4), 280-288.
    """
    shares = [(share * images + 1) / (images + 2) for share in (one, other)]
    deviation = math.sqrt(sum(share * (1 - share) / (images + 2) for share in shares))
    half = statistics.NormalDist().inv_cdf((1 + confidence) / 2) * deviation
    middle = shares[0] - shares[1]
    return middle - half, middle + half
