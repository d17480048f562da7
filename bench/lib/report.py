"""Table, acceptance lines and plots of what bench/proxy.py has measured; pure but for the files written.

A cell is {"script", "mode", "clients", "tls", "runs": {contender: [run, ...]}}, one run a round and
contender. Ratios are made round by round and then summed up, so that what the machine does to a
whole round cancels out.
"""

import subprocess
from statistics import median

AGAINST = "pgbouncer"
COLOURS = {"direct": "#9aa0a6", "segue": "#1a73e8", "pgbouncer": "#e37400", "haproxy": "#188038"}
MORE_COLOURS = ["#9334e6", "#d01884", "#12b5cb"]


def values(cell, contender, key):
    return [r[key] for r in cell["runs"].get(contender, []) if r.get(key) is not None]


def middle(cell, contender, key):
    got = values(cell, contender, key)
    return median(got) if got else None


def ratios(cell, contender, key, against=AGAINST):
    return [a / b for a, b in zip(values(cell, contender, key), values(cell, against, key)) if b]


def added_p50(cell, contender):
    """To a direct connection's, in us: of each turn, or of each round where there are no turns."""
    def each(name):
        return [p50 for run in cell["runs"].get(name, []) for p50 in run.get("turns_p50_us") or [run["p50_us"]]]
    return [a - b for a, b in zip(each(contender), each("direct")) if a is not None and b is not None]


def spread_text(numbers):
    return f"{median(numbers):.2f} ({min(numbers):.2f}-{max(numbers):.2f})" if numbers else ""


def cell_name(cell):
    tls = "TLS" if cell["tls"] else "plain"
    return f"{cell['script']} {cell['mode']} {cell['clients']} {tls}"


def contenders(cells):
    names = []
    for cell in cells:
        names += [n for n in cell["runs"] if n not in names]
    return names


def shown(name, cell):
    return f"{name} (pass-through)" if name.startswith("haproxy") and cell["tls"] else name


# ---- the table ----


def number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def cell_rows(cell):
    for name in cell["runs"]:
        yield [cell["script"], cell["mode"], str(cell["clients"]), "TLS" if cell["tls"] else "plain", shown(name, cell),
               number(middle(cell, name, "tps")), number(middle(cell, name, "p50_us")),
               number(middle(cell, name, "p99_us")), number(middle(cell, name, "cpu_us"), 2),
               "" if name == AGAINST else spread_text(ratios(cell, name, "tps")),
               "" if name == AGAINST else spread_text(ratios(cell, name, "cpu_us"))]


def markdown(head, rows):
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    line = lambda row: "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |"  # noqa: E731
    return "\n".join([line(head), "|" + "|".join("-" * (w + 2) for w in widths) + "|", *map(line, rows)])


def table(cells):
    head = ["script", "protocol", "clients", "", "through", "tps", "p50 us", "p99 us", "CPU us/tx",
            f"tps / {AGAINST}", f"CPU / {AGAINST}"]
    return markdown(head, [row for cell in cells for row in cell_rows(cell)])


def memory_table(memory):
    head = ["", "through", "idle sessions", "base RSS KiB", "RSS KiB/session", "PSS KiB/session"]
    return markdown(head, [["TLS" if m["tls"] else "plain", m["name"], str(m["sessions"]), number(m["base_rss_kib"]),
                            number(m["rss_kib"], 1), number(m["pss_kib"], 1)] for m in memory])


# ---- what is asked ----


def verdict(holds):
    return "ok" if holds else "MISSED"


def acceptance(cells, memory):
    """Lines, one a claim and cell."""
    out = []
    for cell in cells:
        if cell["script"] == "connect":
            continue
        name = cell_name(cell)
        noise = values(cell, "direct", "tps")
        gauge = f"; direct's tps spread {min(noise) / median(noise):.2f}-{max(noise) / median(noise):.2f}" if noise else ""
        cpu, tps = ratios(cell, "segue", "cpu_us"), ratios(cell, "segue", "tps")
        if cpu and cell["clients"] > 1:
            out.append(f"{name}: CPU a transaction: segue / PgBouncer = {spread_text(cpu)} (<= 1.00 asked): "
                       f"{verdict(median(cpu) <= 1.0)}")
            out.append(f"{name}: transactions/s: segue / PgBouncer = {spread_text(tps)} (>= 1.00 asked): "
                       f"{verdict(median(tps) >= 1.0)}{gauge}")
        elif cpu:
            ours, theirs = added_p50(cell, "segue"), added_p50(cell, AGAINST)
            if ours and theirs:
                out.append(f"{name}: added p50: segue {median(ours):.0f} us, PgBouncer {median(theirs):.0f} us, medians of {len(ours)} "
                           f"and {len(theirs)} differences (at most PgBouncer's asked): {verdict(median(ours) <= median(theirs))}{gauge}")
    for m in memory:
        if m["name"] == "segue" and not m["tls"]:
            out.append(f"memory: {m['rss_kib']:.1f} KiB resident an idle session pair (<= 10 asked): "
                       f"{verdict(m['rss_kib'] <= 10)}")
    return out


# ---- plots ----

PLOT = """\
set terminal svg size {width},{height} dynamic font 'sans,11' background 'white'
set output '{output}'
set multiplot layout {panels},1
set style data histograms
set style histogram errorbars gap 1.5 lw 1
set style fill solid 0.85 noborder
set grid ytics lc rgb '#e0e0e0'
set errorbars lc rgb '#202124'
set border 3
set tics nomirror
set xtics rotate by -35
set yrange [0:*]
set key above
"""


def colour(name, names):
    return COLOURS.get(name) or MORE_COLOURS[names.index(name) % len(MORE_COLOURS)]


def panel(title, label, cells, names, numbers):
    """One set of bars; numbers(cell, name) gives the values of the rounds."""
    out = [f"set title '{title}'", f"set ylabel '{label}'", "$data << EOD"]
    for cell in cells:
        row = [f'"{cell["script"]} {cell["mode"]} {cell["clients"]}"']
        for name in names:
            got = numbers(cell, name)
            row += [f"{median(got):.4f}", f"{min(got):.4f}", f"{max(got):.4f}"] if got else ["NaN", "NaN", "NaN"]
        out.append(" ".join(row))
    out.append("EOD")
    bars = [f"$data using {2 + 3 * i}:{3 + 3 * i}:{4 + 3 * i}:xtic(1) title '{name}' lc rgb '{colour(name, names)}'"
            for i, name in enumerate(names)]
    if label == "ratio":
        bars.append("1 with lines dt 2 lc rgb '#202124' notitle")
    return "\n".join([*out, "plot " + ", ".join(bars)])


METRICS = {
    "cpu": ("CPU of the proxy a transaction", "us", lambda cell, name: values(cell, name, "cpu_us"), False),
    "tps": ("transactions/s against PgBouncer", "ratio", lambda cell, name: ratios(cell, name, "tps"), True),
    "latency": ("latency p50", "us", lambda cell, name: values(cell, name, "p50_us"), True),
    "latency-p99": ("latency p99", "us", lambda cell, name: values(cell, name, "p99_us"), True),
}


def plots(cells, folder):
    """Writes proxy-METRIC.svg: a panel for plain text, one for TLS; bars are medians, whiskers min and max."""
    written = []
    cells = [c for c in cells if c["script"] != "connect"]
    halves = [(tls, [c for c in cells if c["tls"] == tls]) for tls in (False, True)]
    halves = [(tls, some) for tls, some in halves if some]
    for metric, (title, label, numbers, with_direct) in METRICS.items():
        names = [n for n in contenders(cells) if with_direct or n != "direct"]
        if not halves or not names:
            continue
        output = folder / f"proxy-{metric}.svg"
        widest = max(len(some) for _, some in halves)
        text = PLOT.format(width=max(700, 80 * widest), height=420 * len(halves), output=output, panels=len(halves))
        for tls, some in halves:
            text += panel(f"{title}, {'TLS (HAProxy: passed through)' if tls else 'plain text'}", label, some, names,
                          numbers) + "\n"
        subprocess.run(["gnuplot"], input=text, text=True, check=True)
        written.append(output)
    return written
