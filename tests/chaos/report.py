"""From a history to the table: for how long each center's callers were not answered, and what the checker found, by fault."""
import history

NS_PER_MS = 1_000_000
READS = ("get", "resolve")
OTHER = ("two", "writers", "undone", "strange", "not linearizable")


def windows(events):
    """The faults in their order: from before it is done until all was whole again."""
    return [event for event in events if event.get("look") == "window"]


def longest_gap_ms(calls, window, ops):
    """The longest time within the window in which no call of these was answered, or done, although some were sent."""
    ends = sorted(call["end"] for call in calls if call["op"] in ops and call["outcome"] == "ok"
                  and window["begin"] <= call["end"] <= window["end"])
    marks = [window["begin"], *ends, window["end"]]
    return max(later - earlier for earlier, later in zip(marks, marks[1:])) / NS_PER_MS


def of_window(window, violations):
    return [found for found in violations if window["begin"] <= found["at"] <= window["end"]]


def rows(events, violations):
    """A dictionary for each window. What lies between two windows counts to the earlier one, as its consequence."""
    calls = [event for event in events if "op" in event]
    found_windows = windows(events)
    spans = [{"begin": one["begin"], "end": later["begin"] - 1} for one, later in zip(found_windows, found_windows[1:])]
    spans += [{"begin": one["begin"], "end": float("inf")} for one in found_windows[-1:]]
    if spans:
        spans[0]["begin"] = 0
    for window, span in zip(found_windows, spans):
        row = {"fault": window["fault"], "seed": window["seed"], "promise": window["promise"], "recovered_s": window["recovered_s"],
               "recovered_by": window["recovered_by"], "violations": of_window(span, violations), "gaps_ms": {}}
        mine = [call for call in calls if window["begin"] <= call["end"] <= window["end"]]
        row["calls"] = len(mine)
        for center in ("A", "B"):
            here = [call for call in mine if call["center"] == center]
            row["gaps_ms"][center] = None if center in window["gone"] else {
                "reads": round(longest_gap_ms(here, window, READS)), "writes": round(longest_gap_ms(here, window, history.WRITES))}
        yield row


def count(row, *kinds):
    return sum(found["kind"] in kinds for found in row["violations"])


def gap(row, center, what):
    return "gone" if row["gaps_ms"][center] is None else str(row["gaps_ms"][center][what])


def table(all_rows):
    """Markdown."""
    lines = ["| Fault | no reads, ms: A | B | no writes, ms: A | B | lost | stale | other | whole again after, s | by | meanwhile |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    for row in all_rows:
        whole = "never" if row["recovered_s"] is None else f"{row['recovered_s']:.1f}"
        lines.append("| " + " | ".join([
            row["fault"], *(gap(row, center, what) for what in ("reads", "writes") for center in ("A", "B")),
            str(count(row, "lost")), str(count(row, "stale", "backwards")),
            str(count(row, *OTHER)), whole, row["recovered_by"] or "nothing to do", row["promise"]]) + " |")
    return "\n".join(lines) + "\n"


def faults(violations):
    """Without what is no fault, but worth knowing."""
    return [found for found in violations if found["kind"] != "early"]


def is_good(row):
    return row["recovered_s"] is not None and not faults(row["violations"])
