"""One operation against the plain DDL: the same tables in two schemas, the catalogs compared at the end."""

import ast

from . import catalog
from .wait import until


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


def old(proxy, **kwargs):
    return proxy.connect(options="-c segue.schema=old", **kwargs)


def new(proxy, **kwargs):
    return proxy.connect(options="-c segue.schema=new", **kwargs)


def complete(proxy, name):
    """Once what binds since the cut-over is proven."""
    until("the proofs", lambda: proxy.cli("complete", name, "--force", check=None).code == 0, every=0.1)
