"""Regular expressions of the decimal numbers of a range: how a 64-bit number is bounded where it is a text."""

INT64_MAX = 2**63 - 1


def decimal_pattern(low, high):
    """What matches the decimal texts of low..high (0 <= low <= high), without sign and leading zeros; no anchors."""
    parts, full = [], []
    for size in range(len(str(low)), len(str(high)) + 1):
        first, last = max(low, 10 ** (size - 1) if size > 1 else 0), min(high, 10**size - 1)
        if first == 10 ** (size - 1) and last == 10**size - 1:
            full.append(size - 1)
        else:
            parts += _of_one_size(str(first), str(last))
    if full:
        parts.insert(0, f"[1-9][0-9]{{{full[0]},{full[-1]}}}")
    return "|".join(parts)


def _of_one_size(low, high):
    """Alternatives for low..high, which have as many digits."""
    if not low:
        return [""]
    rest = len(low) - 1
    if low == "0" * len(low) and high == "9" * len(high) or (rest and low[1:] == "0" * rest and high[1:] == "9" * rest):
        return [_digit(low[0], high[0]) + _any_digits(rest)]
    if low[0] == high[0]:
        return [low[0] + tail for tail in _of_one_size(low[1:], high[1:])]
    parts = []
    first, last = int(low[0]), int(high[0])
    if low[1:] != "0" * rest:
        parts += [low[0] + tail for tail in _of_one_size(low[1:], "9" * rest)]
        first += 1
    tails_of_last = []
    if high[1:] != "9" * rest:
        tails_of_last = [high[0] + tail for tail in _of_one_size("0" * rest, high[1:])]
        last -= 1
    if first <= last:
        parts.append(_digit(str(first), str(last)) + _any_digits(rest))
    return parts + tails_of_last


def _digit(low, high):
    return low if low == high else f"[{low}-{high}]"


def _any_digits(count):
    return {0: "", 1: "[0-9]"}.get(count, f"[0-9]{{{count}}}")
