#!/usr/bin/python3
"""make soak-migrate: migrations back and forth on a large table under traffic, replicas attached; nothing may be lost.

README.md says what is played. SEGUE_PG selects versions.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "integration")]

from lib.cluster import versions  # noqa: E402
from lib.segue import Segue  # noqa: E402
from lib.wait import SLOW  # noqa: E402

from longrun import report  # noqa: E402
from longrun.road import Road  # noqa: E402
from longrun.servers import DATABASE, Servers  # noqa: E402
from longrun.traffic import Traffic  # noqa: E402

RSS_MORE_KIB = 4096  # plus a tenth: what an allocator may keep
AWAY_S = 7  # a proxy gives memory back some seconds after a crowd has left
FAILURES_SHOWN = 20


def parse_arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=30, help="a version; the cycle that has begun is played to its end")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rate", type=float, default=200, help="requests a second of all clients together")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--dwell", type=int, default=400, help="requests in each phase that nothing else ends")
    parser.add_argument("--rows-per-s", type=int, default=0, help="cap of the backfill until the standby has been away")
    parser.add_argument("--no-subscriber", action="store_true", help="without the logical subscriber")
    parser.add_argument("--out", help="JSON of what was measured")
    return parser.parse_args(words)


class Held:
    """What segue holds while all clients are away: descriptors, KiB."""

    def __init__(self):
        self.seen = []

    def look(self, when, traffic, proxy, away_s):
        traffic.say(away=True)
        proxy._drop_console()
        time.sleep(away_s)
        pid = proxy.process.pid
        rss = next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
                   if line.startswith("VmRSS:"))
        self.seen.append({"when": when, "descriptors": len(os.listdir(f"/proc/{pid}/fd")), "rss_kib": rss})
        traffic.say()

    def failures(self):
        first, last = self.seen[0], self.seen[-1]
        if last["descriptors"] > first["descriptors"]:
            yield f"segue holds {last['descriptors']} descriptors, at first {first['descriptors']}"
        if SLOW == 1 and last["rss_kib"] > first["rss_kib"] * 1.1 + RSS_MORE_KIB:
            yield f"segue holds {last['rss_kib']} KiB, at first {first['rss_kib']}"


def cycles(road, traffic, held, minutes, away_s):
    """There and back until the time is over. What fails is told at once, and ends the run."""
    end = time.monotonic() + minutes * 60
    while not traffic.failures() and not road.failures and (road.number == 0 or time.monotonic() < end):
        for _ in range(2):
            road.one()
        held.look(f"after {road.number}", traffic, road.proxy, away_s)
        road.say(f"{road.number} migrations, {traffic.requests()} requests, {traffic.lost} sessions lost by kills, "
                 f"{len(traffic.failures())} failures; {road.servers.size() >> 20} MiB")


def run(version, args, say=print, away_s=AWAY_S):
    """One version. What was measured; `failures` of it is empty when all is well."""
    began = time.monotonic()

    def tell(line):
        say(f"pg{version} {time.monotonic() - began:7.1f} s  {line}")

    with tempfile.TemporaryDirectory(prefix="segue-longrun-") as folder, \
            Servers(version, args.rows, not args.no_subscriber, tell) as servers:
        proxy = Segue(servers.db.url(), folder)
        traffic = Traffic(proxy.port, servers.primary.port, DATABASE, args.rows, args.rate, args.seed)
        options = {"dwell": args.dwell, "rows_per_s": args.rows_per_s, "fill_s": 300 + args.rows / 1000}
        road = Road(servers, traffic, proxy, options, tell)
        held, bytes_at_first, failures = Held(), servers.size(), []
        try:
            traffic.start()
            traffic.flows(args.dwell)
            held.look("at first", traffic, proxy, away_s)
            road.throttle()
            cycles(road, traffic, held, args.minutes, away_s)
            traffic.stop()
            servers.caught_up(1800)
            checked, lost = traffic.check(servers.db, road.side)
            contents = servers.contents(road.side)
            if len(set(contents.values())) != 1:
                failures.append(f"contents differ: {contents}")
            if servers.follower and servers.follower.failure:
                failures.append(servers.follower.failure)
            road.proxy.stop()
        except BaseException:
            traffic.over = True
            for line in traffic.failures()[:FAILURES_SHOWN]:
                tell(f"FAILED {line}"[:1500])
            tell(road.proxy.log_tail(40))
            road.kill_all()
            raise
        failures += [*traffic.failures(), *road.failures, *lost, *held.failures()]
        return {"version": version, "rows": args.rows, "rate": args.rate, "seconds": round(time.monotonic() - began, 1),
                "bytes_at_first": bytes_at_first, "migrations": [vars(r) for r in road.records],
                "clients": report.latencies(traffic), "segue": held.seen, "requests": traffic.requests(),
                "lost_by_kills": traffic.lost, "rows_checked": checked,
                "contents": f"{contents['primary'][0]} rows, the same on {', '.join(contents)}",
                "failures": failures[:FAILURES_SHOWN]}


def main():
    args = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is ended all the same
    results = []
    for version in versions():
        results.append(run(version, args))
        print("\n".join(report.table(results[-1])), flush=True)
        if args.out:
            report.write(args.out, results)
    failed = sum(len(result["failures"]) for result in results)
    print("ok" if not failed else f"{failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
