"""A server of the campaign's own, which cases may crash, and databases on it."""

import tempfile

from lib.cluster import TEMPLATE, Clusters, Database
from lib.segue import Segue
from lib.wait import until

PLAIN = "property_template"
KEEPERS = {"keeper": "NOBYPASSRLS", "keeper_of_all": "BYPASSRLS"}  # own a case's database, and are no superusers


class Stage:
    """cluster: one that others use, too, and that no case may crash."""

    def __init__(self, version, cluster=None):
        self.clusters = None if cluster else Clusters()
        self.cluster = cluster
        self.numbers = 0
        try:
            if not cluster:
                self.cluster = self.clusters.private(version)
            with self.cluster.connect() as conn:
                for name, more in KEEPERS.items():
                    conn.execute(f"CREATE ROLE {name} LOGIN {more}")
            self.template()
        except BaseException:
            self.close()
            raise

    def database(self, prefix, template=TEMPLATE, owner="postgres"):
        self.numbers += 1
        name = f"property_{prefix}{self.numbers}"
        with self.cluster.connect() as conn:
            conn.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {owner}")
        return Database(self.cluster, name)

    def template(self):
        """Of databases that nobody migrates, with the functions of segue's that files may call."""
        db = self.database("t")
        with tempfile.TemporaryDirectory(prefix="segue-property-") as folder:
            proxy = Segue(db.url(), folder)
            try:
                proxy.ready({"name": "first", "operations": [{"create_enum": {"name": "e", "values": ["a"]}}]})
                functions = [row[0] for row in db.sql("SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE pronamespace = "
                                                      "'segue'::regnamespace AND proname LIKE 'json%'")]
                proxy.stop()
            finally:
                proxy.kill9()
        self.drop(db)
        with self.cluster.connect() as conn:
            conn.execute(f"CREATE DATABASE {PLAIN} TEMPLATE {TEMPLATE}")
        with self.cluster.connect(PLAIN) as conn:
            conn.execute("CREATE SCHEMA segue")
            for text in functions:
                conn.execute(text.encode())

    def drop(self, database):
        database.close()

        def gone():
            with self.cluster.connect() as conn:
                conn.execute("SET client_min_messages = error")
                conn.execute(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")
            return True

        if not self.cluster.process or self.cluster.process.poll() is not None:
            self.cluster.start()
        until("the server to serve", self.cluster._answers, 60)
        until("the database to be dropped", gone)

    def close(self):
        if self.clusters:
            self.clusters.close()
        else:
            with self.cluster.connect() as conn:
                conn.execute(f"DROP DATABASE IF EXISTS {PLAIN} WITH (FORCE)")
                conn.execute(f"DROP ROLE IF EXISTS {', '.join(KEEPERS)}")
