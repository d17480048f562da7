"""`segue bench backfill`: what it says, and that nothing of it stays behind."""

import json
import signal
import statistics
import subprocess
from xml.etree import ElementTree

import pytest
from lib.segue import PROGRAM
from lib.wait import SLOW, until

pytestmark = pytest.mark.newest_unless_told

QUICK = ("--targets", "25", "--clients", "2", "--rate", "100")


def bench(db, *words, user="postgres", code=0):
    done = subprocess.run([PROGRAM, "bench", "backfill", "--dsn", db.url(user=user), *words], capture_output=True, text=True,
                          timeout=80 * SLOW, stdin=subprocess.DEVNULL)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def databases(db):
    return [name for (name,) in db.sql("SELECT datname FROM pg_database WHERE datname LIKE 'segue_bench%'")]


@pytest.mark.one_version  # a minute of waiting
def test_a_copy_of_a_table_is_measured_and_everything_is_dropped(db, tmp_path):
    db.sql("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE \"Odd names\" (n int, how mood, \"To fill\" json, tags text[]);"
           "INSERT INTO \"Odd names\" SELECT i, 'ok', to_json(i), '{a,b}' FROM generate_series(1, 3000) i; ANALYZE")
    plot = tmp_path / "plot.svg"
    done = bench(db, "--table", '"Odd names"', "--column", "To fill", "--json", "--yes", "--svg", str(plot), "--workers", "2", *QUICK)
    report = json.loads(done.stdout)
    assert report["rows"] == 3000 and report["source"] == 'a copy of "Odd names"'
    names = [one["name"] for one in report["medians"]]
    assert names == ["segue, 25 ms, 2 workers", "segue, 25 ms, 2 workers, throttled", "1000 keys, trigger", "one UPDATE"]
    for one in report["medians"]:
        assert one["rows_per_s"] > 0 and one["wal_bytes"] > 3000 and one["size_ratio"] >= 1, one
        assert one["client_p99_before_ms"] > 0 and one["request_errors"] == 0, one
        assert one["throttled"] or (one["client_p99_ratio"] is None and one["windows"] == []), one
    assert [one["name"] for one in report["runs"]] == names
    assert ElementTree.parse(plot).getroot().tag.endswith("svg") and "1000 keys, trigger" in plot.read_text()
    assert databases(db) == [] and db.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'segue'") == []
    assert db.one('SELECT count(*) FROM "Odd names"') == 3000


@pytest.mark.one_version
def test_a_throttled_fill_is_measured_on_and_off_in_turn(db):
    done = bench(db, "--contenders", "throttled", "--rows", "60000", "--window-ms", "200", "--json", "--yes", *QUICK)
    report = json.loads(done.stdout)
    (run,), (median,) = report["runs"], report["medians"]
    assert run["throttled"]
    windows, ratio = run["windows"], run["client_p99_ratio"]
    assert [w["filling"] for w in windows] == [n % 2 == 1 for n in range(len(windows))] and 2 <= len(windows) <= 17
    assert all(w["p99_ms"] > 0 and w["requests"] > 0 and w["seconds"] >= 0.24 for w in windows), windows
    paused, filling = [w for w in windows if not w["filling"]], [w for w in windows if w["filling"]]
    assert sum(w["rows"] for w in filling) == pytest.approx(run["rows"]) and run["rows"] > 0
    assert run["rows_per_s"] * sum(w["seconds"] for w in filling) == pytest.approx(run["rows"])
    assert run["client_p99_before_ms"] == pytest.approx(statistics.median(w["p99_ms"] for w in paused))
    assert run["client_p99_ms"] == pytest.approx(statistics.median(w["p99_ms"] for w in filling))
    pairs = [b["p99_ms"] / a["p99_ms"] if b["filling"] else a["p99_ms"] / b["p99_ms"] for a, b in zip(windows, windows[1:])]
    assert ratio["pairs"] == len(pairs) and ratio["median"] == pytest.approx(statistics.median(pairs))
    assert min(pairs) - 1e-6 <= ratio["quarter_below"] <= ratio["median"] <= ratio["quarter_above"] <= max(pairs) + 1e-6
    assert median["client_p99_ratio"] == ratio and median["windows"] == []


class Running:
    """A bench that is at work in its database."""

    def __init__(self, db):
        self.process = subprocess.Popen(
            [PROGRAM, "bench", "backfill", "--dsn", db.url(), "--rows", "20000", "--yes", *QUICK], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            # the first contender has its segue and its clients
            until("it to be at work", lambda: db.one(
                "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'segue_bench%%' AND application_name = 'segue'"))
        except BaseException:
            self.process.kill()
            raise

    def end(self, sig):
        self.process.send_signal(sig)
        out, err = self.process.communicate(timeout=30 * SLOW)
        return self.process.returncode, out + err


@pytest.mark.one_version
def test_ctrl_c_leaves_nothing_and_what_a_kill_leaves_the_next_run_drops(db):
    code, said = Running(db).end(signal.SIGINT)
    assert code == 130 and "stopped after 0 runs" in said, said
    assert databases(db) == []
    running = Running(db)
    (name,) = databases(db)
    # a run that lives is left alone, whatever others say
    bench(db, "--rows", "1000", code=1)
    assert databases(db) == [name]
    running.end(signal.SIGKILL)
    until("its connections to be gone", lambda: not db.one("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", name))
    # neither is a database that only has such a name
    db.sql("CREATE DATABASE segue_bench_of_mine")
    try:
        assert "dropped 1 databases that a killed run had left" in bench(db, "--rows", "1000", code=1).stderr
        assert databases(db) == ["segue_bench_of_mine"]
    finally:
        db.sql("DROP DATABASE segue_bench_of_mine")


@pytest.mark.one_version
def test_a_kill_in_the_middle_of_making_its_database_leaves_one_that_the_next_run_drops(db):
    with db.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE pg_catalog.pg_database IN SHARE MODE")
        process = subprocess.Popen([PROGRAM, "bench", "backfill", "--dsn", db.url(), "--rows", "1000", "--yes", *QUICK],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("it to make one", lambda: db.one(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE relation = 'pg_database'::regclass AND NOT granted "
            "AND query ~ 'CREATE DATABASE'"), 60)
        process.kill()
        holder.execute("COMMIT")
        process.wait()
    (name,) = until("the server to have made it", lambda: databases(db))
    until("its maker to be gone", lambda: not db.one("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", name))
    assert "dropped 1 databases" in bench(db, "--rows", "1000", code=1).stderr
    assert databases(db) == []


@pytest.mark.one_version
def test_it_refuses_before_it_writes(db):
    db.sql("CREATE TABLE nothing (n int)")
    for words, code, why in (
            (["--rows", "1000"], 1, "nothing was done"),
            (["--rows", "5"], 2, "an integer from 1000 to 100000000"),
            (["--targets", "25,x"], 2, "1 to 8 integers from 5 to 60000"),
            (["--workers", "9"], 2, "1 to 3 integers from 1 to 8"),
            (["--contenders", "segue,"], 2, "some of segue, throttled, keyset, update"),
            (["--contenders", "keys"], 2, "some of segue, throttled, keyset, update"),
            (["--colour", "red"], 2, "does not know the option --colour"),
            (["--rows"], 2, "--rows needs a value"),
            (["--table", "nobody", "--yes"], 1, 'there is no table "nobody"'),
            (["--table", "nothing", "--yes"], 1, "no column of type text or varchar"),
            (["--table", "nothing", "--column", "m", "--yes"], 1, 'no column "m"'),
            (["--rows", "100000", "--free-mb", "100", "--yes"], 1, "the bench needs some 508 MB")):
        assert why in bench(db, *words, code=code).stderr
    assert "may not create a database" in bench(db, "--yes", user="app", code=1).stderr
    done = subprocess.run([PROGRAM, "bench"], capture_output=True, text=True)
    assert done.returncode == 2 and "bench needs to know which" in done.stderr
    done = subprocess.run([PROGRAM, "bench", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--seconds-max" in done.stdout
    assert databases(db) == []


@pytest.mark.one_version
def test_the_time_limit_ends_it_and_what_was_measured_is_shown(db):
    done = bench(db, "--rows", "20000", "--seconds-max", "10", "--rounds", "9", "--yes", *QUICK, code=1)
    assert "out of time after" in done.stderr and "--seconds-max allows more" in done.stderr
    assert databases(db) == []
