"""What a run has measured, as a table and as JSON."""

import json

PHASES = ("idle", "expanding", "backfilling", "standby away", "verifying", "ready", "cutover", "soaking", "rollback", "verify",
          "complete")


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def latencies(traffic):
    """Phase -> requests and milliseconds."""
    out = {}
    for phase, values in traffic.latencies.items():
        out[phase] = {"requests": len(values), "p50_ms": round(quantile(values, 0.5) * 1000, 2),
                      "p99_ms": round(quantile(values, 0.99) * 1000, 2), "worst_ms": round(max(values) * 1000, 1)}
    return out


def rows(header, lines):
    widths = [max(len(str(line[i])) for line in [header, *lines]) for i in range(len(header))]
    for line in [header, *lines]:
        yield "  ".join(str(cell).rjust(width) if i else str(cell).ljust(width)
                        for i, (cell, width) in enumerate(zip(line, widths))).rstrip()


def table(result):
    """Lines for people."""
    phases = [p for p in PHASES if any(p in m["phases"] for m in result["migrations"])]
    yield f"seconds of each migration; size of the table with its indexes, of {result['bytes_at_first'] >> 20} MiB at first"
    yield from rows(["", *phases, "rows/s", "size"], [
        [m["name"], *(f"{m['phases'].get(p, 0):.1f}" for p in phases), f"{m['rows_per_s']:.0f}",
         f"{m['bytes_after'] / result['bytes_at_first']:.2f}x"] for m in result["migrations"]])
    yield "clients through all of them (milliseconds)"
    seen = result["clients"]
    yield from rows(["", "requests", "p50", "p99", "worst"], [
        [p, seen[p]["requests"], seen[p]["p50_ms"], seen[p]["p99_ms"], seen[p]["worst_ms"]] for p in PHASES if p in seen])
    yield "segue with all clients away"
    yield from rows(["", "descriptors", "KiB"], [[h["when"], h["descriptors"], h["rss_kib"]] for h in result["segue"]])
    for m in result["migrations"]:
        yield from (f"{m['name']}: {event}" for event in m["events"])
        if m["held"]:
            yield f"{m['name']}: throttled in readings: " + ", ".join(f"{s} {n}" for s, n in sorted(m["held"].items()))
    for key in ("requests", "lost_by_kills", "rows_checked", "contents"):
        yield f"{key}: {result[key]}"
    yield from (f"FAILED {line}"[:1500] for line in result["failures"])


def write(path, results):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1, default=str)
