"""Fixtures of the integration tests; README.md tells how to use them.

pg      a running cluster; a test that uses it (or db, or segue) runs once a version
db      a fresh database on it
segue   a function: segue(db, **options) starts a proxy in front of db
planner_of  a function: planner_of(sql) makes one for a module's tests, which only plan
private_pg  a cluster of the test's own, to be crashed
certs   certificates of the run; private_pg.enable_tls(certs) gives them to a server
tls_pg, tls_only_pg  clusters that speak TLS, and nothing else over TCP; tls_db is on the first
"""

import collections
import contextlib
import faulthandler
import gc
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from lib.certs import Certs
from lib.cluster import SHARED, Clusters, in_memory, told_versions, versions
from lib.segue import PROGRAM, Segue
from lib.wait import SLOW

DEADLINE_S = 90
# Files that take longest, both versions together: begun last, one of them keeps the other processes waiting at the end.
LONG_FILES = ("soak_slice", "faults_slice", "crash_resume", "throttle_signals", "op_change_columns", "bench_backfill", "plan_carries",
              "traffic_whole_road", "rewrite_epochs", "drivers", "transparency", "rewrite_generated", "property_slice",
              "longrun_slice", "search_path", "relay_clients", "takeover", "plan_refuses", "usage", "version_tables",
              "rollback_both_ways", "retype_key", "retype_column", "sql_prepare", "tls_legs", "backfill_concurrent")


def pytest_configure(config):
    config.addinivalue_line("markers", "one_version: runs on the newest server only")
    config.addinivalue_line("markers", "newest_unless_told: runs on the newest server only, where SEGUE_PG does not name several")
    config.addinivalue_line("markers", "versions(*v): runs on these servers only, where selected")
    config.addinivalue_line("markers", f"deadline(seconds): of one test, {DEADLINE_S} unless told")

    # what runs in the background of a script, or under nohup, ignores these, and so would everything that tests start and signal
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    # Debian's psql is a script that looks for that of a version, and takes ten times as long
    for psql in sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))[-1:]:
        os.environ["PATH"] = f"{psql.parent}:{os.environ['PATH']}"
    if not hasattr(config, "workerinput"):
        config.shared = os.environ[SHARED] = tempfile.mkdtemp(prefix="segue-tests-")
        os.chmod(config.shared, 0o755)


def pytest_unconfigure(config):
    if hasattr(config, "shared"):
        shutil.rmtree(config.shared, ignore_errors=True)


def pytest_generate_tests(metafunc):
    if "pg_version" not in metafunc.fixturenames:
        return
    chosen = versions()
    only = metafunc.definition.get_closest_marker("versions")
    if only:
        chosen = [v for v in chosen if v in only.args]
    if metafunc.definition.get_closest_marker("one_version") or (
            metafunc.definition.get_closest_marker("newest_unless_told") and not told_versions()):
        chosen = chosen[-1:]
    metafunc.parametrize("pg_version", chosen, ids=[f"pg{v}" for v in chosen], indirect=True, scope="session")


@pytest.hookimpl(hookwrapper=True)
def pytest_collection():
    """What is collected stays to the end: it is not gone through for what could be thrown away, now or later."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    """The long files first, then those of many tests: what is left at the end is little for each process."""
    many = collections.Counter(item.path for item in items)

    def rank(item):
        name = item.path.stem.removeprefix("test_")
        return LONG_FILES.index(name) if name in LONG_FILES else len(LONG_FILES), -many[item.path], name

    items.sort(key=rank)


def pytest_sessionstart(session):
    if not PROGRAM.exists() and not session.config.option.collectonly:
        pytest.exit(f"{PROGRAM} is not there: make build", returncode=2)


# ---- a deadline for every test ----


class Deadline(BaseException):
    """Not an Exception: no test code may catch it by accident."""


@pytest.fixture(autouse=True)
def deadline(request):
    mark = request.node.get_closest_marker("deadline")
    seconds = (mark.args[0] if mark else DEADLINE_S) * SLOW

    def ring(_signal, _frame):
        faulthandler.dump_traceback()
        raise Deadline(f"the test has run for {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + 60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


# ---- servers and databases ----


@pytest.fixture(scope="session")
def pg_version(request):
    """Version of the server; parametrised above."""
    return request.param


@pytest.fixture(scope="session")
def clusters():
    all_clusters = Clusters(in_memory())
    yield all_clusters
    all_clusters.close()


@pytest.fixture
def pg(clusters, pg_version):
    return clusters.get(pg_version)


@pytest.fixture
def db(pg):
    with pg.database() as database:
        yield database


@pytest.fixture
def private_pg(clusters, pg_version):
    cluster = clusters.private(pg_version)
    yield cluster
    cluster.crash()


@pytest.fixture
def private_db(private_pg):
    database = private_pg.lend()
    yield database
    database.close()


# ---- TLS ----


@pytest.fixture(scope="session")
def certs(clusters):
    return Certs(clusters.root / "certs")


@pytest.fixture
def tls_pg(clusters, pg_version, certs):
    """Shared; speaks TLS with those who ask."""
    return clusters.with_tls(pg_version, certs)


@pytest.fixture
def tls_db(tls_pg):
    with tls_pg.database() as database:
        yield database


@pytest.fixture
def tls_only_pg(clusters, pg_version, certs):
    """Shared; pg_hba.conf refuses TCP without TLS."""
    return clusters.with_tls(pg_version, certs, required=True)


# ---- segue ----


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, "report_" + report.when, report)
    if report.failed:
        for proxy in getattr(item, "proxies", []):
            report.sections.append((f"segue on port {proxy.port}", proxy.log_tail(120)))


@pytest.fixture(scope="module")
def planner_of(clusters, pg_version, tmp_path_factory):
    """A function that starts a proxy in front of what the SQL makes; its tests change nothing of that."""
    with contextlib.ExitStack() as stack:
        started = []

        def start(*sql):
            database = stack.enter_context(clusters.get(pg_version).database())
            for one in sql:
                database.sql(one)
            proxy = Segue(database.url(), tmp_path_factory.mktemp("plan"))
            stack.callback(proxy.kill9)
            started.append(proxy)
            return proxy

        yield start
        for proxy in started:
            proxy.stop()


@pytest.fixture
def segue(request, tmp_path):
    """A function that starts a proxy. All are stopped with the test, and must end cleanly."""
    started = request.node.proxies = []

    def start(database=None, upstream=None, start=True, arguments=(), environment=None, **options):
        """upstream: a URL in place of the database's own (a relay between them)."""
        proxy = Segue(upstream or database.url(), tmp_path, start=False, arguments=arguments,
                      environment=environment, **options)
        started.append(proxy)
        if start:
            proxy.start()
        return proxy

    yield start
    failed = getattr(request.node, "report_call", None) is None or request.node.report_call.failed
    trouble = None
    for proxy in started:
        try:
            if failed:
                proxy.kill9()
            else:
                if proxy.running():
                    proxy.signal(signal.SIGTERM)
        except ProcessLookupError:
            pass
    if not failed:
        for proxy in started:
            try:
                proxy.stop()
            except AssertionError as problem:
                trouble = trouble or problem
                proxy.kill9()
    if trouble:
        raise trouble


@pytest.fixture
def slug(request):
    """The test's name as an identifier."""
    return re.sub(r"\W+", "_", request.node.name).strip("_").lower()[:50]


@pytest.fixture
def copy(pg):
    """A second fresh database, for what plain DDL makes of the same schema."""
    with pg.database() as database:
        yield database
