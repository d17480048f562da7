"""One operation against the plain DDL: the same tables in two schemas, the catalogs compared at the end."""

import ast
import re
from contextlib import contextmanager

import pytest

from . import catalog
from .segue import REPO, Refused, Segue


def operation_names():
    """All that a file may say, as the program has them in its table."""
    text = (REPO / "proxy" / "engine" / "file.c").read_text(encoding="utf-8")
    names = re.findall(r'^    \[FILE_\w+\] = \{"(\w+)"', text, re.M)
    assert len(names) == len(set(names)) > 15
    return set(names)


def version_names():
    text = (REPO / "proxy" / "engine" / "file_version.c").read_text(encoding="utf-8")
    return set(re.findall(r'^        \{"(\w+)", read_\w+\}', text, re.M))


def build(db, sql):
    """`{s}` in the statements is `public`, which segue migrates, and `plain`."""
    db.sql("CREATE SCHEMA IF NOT EXISTS plain")
    for schema in ("public", "plain"):
        db.sql(sql.replace("{s}", schema))


def same_as_plain(db, ddl, *tables):
    """Runs the DDL on the copy; what segue has made of the original must not differ, nor leave a trace."""
    # nothing on the search path: every name comes with its schema
    with db.connect(options="-c search_path=") as conn:
        conn.execute(ddl.replace("{s}", "plain"))
        for name in tables:
            want = catalog.table(conn, f"plain.{name}")
            got = catalog.table(conn, f"public.{name}")
            want = ast.literal_eval(repr(want).replace("plain.", "public."))
            differs = catalog.difference(want, got)
            assert differs == [], "\n".join(differs)
    left = catalog.traces(db.connect())
    assert left == [], left


def unchanged(db, *tables):
    """After an abort: as if nothing had ever happened."""
    same_as_plain(db, "SELECT 1", *tables)


def is_refused(proxy, operations, wanted, what):
    """By plan, in these words, and by start."""
    file = proxy.file({"name": "m", "operations": operations})
    shown = proxy.cli("plan", file, check=None)
    assert wanted in shown.out + shown.err, f"{what}: {wanted!r} is not in\n{shown.out}\n{shown.err}"
    assert proxy.cli("start", file, "--detach", check=1).err.strip(), what


def old(proxy, **kwargs):
    return proxy.connect(options="-c segue.schema=old", **kwargs)


def new(proxy, **kwargs):
    return proxy.connect(options="-c segue.schema=new", **kwargs)


def connected(proxy):
    """After a start: its engine obeys."""
    return proxy.at_work()


def woken(conn):
    """A command of a client, which means nothing: the catalog is read soon, however long that takes."""
    conn.execute("DROP TABLE IF EXISTS of_no_interest")
    return conn


def beside(segue, db, proxy, **options):
    """A second segue in front of the same database, whose engine waits for that of the first."""
    proxy.at_work()
    second = segue(db, **options)
    second.logged("another segue is at work")
    return second


def complete(proxy, name):
    """It waits until what binds since the cut-over is proven."""
    connected(proxy).cli("complete", name, "--force")


@contextmanager
def migrated(cluster, folder, migration, fill, cut_over):
    """A database that fill(database) has made, behind a segue with the migration at ready, or soaking."""
    with cluster.database() as database:
        fill(database)
        proxy = Segue(database.url(), folder)
        try:
            (proxy.soaking if cut_over else proxy.ready)(migration)
            yield database, proxy
            proxy.stop()
        finally:
            proxy.kill9()


def unguarded(conn, table, statement):
    """Runs what writes to the table past its guard, as a row is that the backfill has not reached."""
    with conn.transaction():
        conn.execute(f'ALTER TABLE {table} DISABLE TRIGGER "~segue_guard"')
        conn.execute(statement)
        conn.execute(f'ALTER TABLE {table} ENABLE ALWAYS TRIGGER "~segue_guard"')


def abort_from_soaking(proxy, migration):
    name = proxy.soaking(migration)
    proxy.cli("rollback", name)
    proxy.cli("abort", name)


def refuses(proxy, name, said, *operations):
    """start refuses the operations, and says so."""
    with pytest.raises(Refused) as refused:
        proxy.cli("start", proxy.file({"name": name, "operations": operations}))
    assert said in str(refused.value), name
