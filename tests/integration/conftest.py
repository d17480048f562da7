"""Fixtures of the integration tests; README.md tells how to use them.

pg      a running cluster; a test that uses it (or db, or segue) runs once a version
db      a fresh database on it
segue   a function: segue(db, **options) starts a proxy in front of db
private_pg  a cluster of the test's own, to be crashed
certs   certificates of the run; private_pg.enable_tls(certs) gives them to a server
tls_pg, tls_only_pg  clusters that speak TLS, and nothing else over TCP; tls_db is on the first
"""

import faulthandler
import itertools
import os
import re
import signal

import psycopg
import pytest
from lib.certs import Certs
from lib.cluster import TEMPLATE, Clusters, Database, versions
from lib.segue import PROGRAM, Segue
from lib.wait import SLOW

DEADLINE_S = 90
# Files of more than half a minute: begun last, one of them keeps the other processes waiting at the end.
LONG_FILES = ("soak_slice", "faults_slice", "bench_backfill", "throttle_signals", "transparency", "rules_published",
              "drivers", "crash_resume", "usage", "login_modes", "rewrite_generated", "retype_key", "dualwrite_rules")


def pytest_configure(config):
    config.addinivalue_line("markers", "one_version: runs on the newest server only")
    config.addinivalue_line("markers", "versions(*v): runs on these servers only, where selected")
    config.addinivalue_line("markers", f"deadline(seconds): of one test, {DEADLINE_S} unless told")


def pytest_generate_tests(metafunc):
    if "pg_version" not in metafunc.fixturenames:
        return
    chosen = versions()
    only = metafunc.definition.get_closest_marker("versions")
    if only:
        chosen = [v for v in chosen if v in only.args]
    if metafunc.definition.get_closest_marker("one_version"):
        chosen = chosen[-1:]
    metafunc.parametrize("pg_version", chosen, ids=[f"pg{v}" for v in chosen], indirect=True, scope="session")


def pytest_collection_modifyitems(items):
    def rank(item):
        name = item.path.stem.removeprefix("test_")
        return LONG_FILES.index(name) if name in LONG_FILES else len(LONG_FILES)

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
    all_clusters = Clusters()
    yield all_clusters
    all_clusters.close()


@pytest.fixture
def pg(clusters, pg_version):
    return clusters.get(pg_version)


_numbers = itertools.count(1)


def _database(cluster):
    name = f"t{os.getpid()}_{next(_numbers)}"
    with cluster.connect() as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    return Database(cluster, name)


def _drop(database):
    database.close()
    try:
        with database.cluster.connect() as conn:
            conn.execute("SET client_min_messages = error")
            # prepared transactions would hold the database
            with database.cluster.connect(database.name) as inside:
                for (gid,) in inside.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()").fetchall():
                    inside.execute(f"ROLLBACK PREPARED '{gid}'")
                for (slot,) in inside.execute(
                        "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()").fetchall():
                    inside.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
            conn.execute(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")
    except psycopg.OperationalError:
        pass  # the test has crashed its server and left it so


@pytest.fixture
def db(pg):
    database = _database(pg)
    yield database
    _drop(database)


@pytest.fixture
def private_pg(clusters, pg_version):
    cluster = clusters.private(pg_version)
    yield cluster
    cluster.crash()


@pytest.fixture
def private_db(private_pg):
    database = _database(private_pg)
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
    database = _database(tls_pg)
    yield database
    _drop(database)


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
    database = _database(pg)
    yield database
    _drop(database)
