"""One primary, a physical standby, a logical subscriber: real servers in one temporary folder, gone with it."""

import threading

import psycopg
from lib.cluster import TEMPLATE, Clusters, Database
from lib.standby import Standby
from lib.wait import until

from . import schema

DATABASE = "longrun"
SUBSCRIPTION = "longrun_subscriber"
ROWS_AT_ONCE = 500_000


class Servers:
    """Opens with `with`: everything ends with it, whatever happens."""

    def __init__(self, version, rows, subscribed, say):
        self.version, self.rows, self.subscribed, self.say = version, rows, subscribed, say
        self.clusters, self.subscriber, self.follower = None, None, None

    def __enter__(self):
        self.clusters = Clusters()
        try:
            self._open()
        except BaseException:
            self.clusters.close()
            raise
        return self

    def __exit__(self, *_):
        if self.follower:
            self.follower.stop()
        self.clusters.close()

    def _open(self):
        self.primary = self.clusters.private(self.version)
        self.db = self._database(self.primary)
        # what a receiver that is away keeps of WAL is bounded, the rest by max_wal_size
        for setting in ("max_slot_wal_keep_size = '8GB'", "checkpoint_timeout = '2min'"):
            self.db.sql(f"ALTER SYSTEM SET {setting}")
        self.db.sql("SELECT pg_reload_conf()")
        self.db.sql(schema.CREATE)
        for first in range(1, self.rows + 1, ROWS_AT_ONCE):
            self.db.sql(schema.FILL % (first, min(self.rows, first + ROWS_AT_ONCE - 1)))
        self.db.sql(f"VACUUM ANALYZE {schema.TABLE}")
        self.standby = Standby(self.primary)
        self.clusters.running.append(self.standby)
        self.standby.start()
        self.say(f"{self.rows} rows, {self.size() >> 20} MiB; a standby streams")
        if self.subscribed:
            self._subscribe()

    @staticmethod
    def _database(cluster):
        with cluster.connect() as conn:
            conn.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE}")
        return Database(cluster, DATABASE)

    def _subscribe(self):
        self.subscriber = self._database(self.clusters.private(self.version))
        self.subscriber.sql("ALTER SYSTEM SET wal_retrieve_retry_interval = '300ms'")
        self.subscriber.sql("SELECT pg_reload_conf()")
        self.subscriber.sql(schema.RECEIVER)
        self.db.sql(f"CREATE PUBLICATION longrun FOR TABLE {schema.TABLE}")
        self.subscriber.sql(f"CREATE SUBSCRIPTION {SUBSCRIPTION} CONNECTION '{self.db.url()}' PUBLICATION longrun")
        until("the subscriber to have copied the table", lambda: self.subscriber.one(
            "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel"), 600, every=0.3)
        self.follower = Follower(self.db, self.subscriber)
        self.say("a logical subscriber has copied the table")

    # ---- what they hold ----

    def size(self):
        return self.db.one("SELECT pg_total_relation_size(%s::regclass)", schema.TABLE)

    def caught_up(self, timeout):
        """Waits until both have what the primary has."""
        lsn = self.db.one("SELECT pg_current_wal_lsn()::text")
        self.standby.has_replayed(lsn, timeout)
        if self.subscribed:
            until("the subscriber to catch up", lambda: self.db.one(
                "SELECT replay_lsn >= %s::pg_lsn FROM pg_stat_replication WHERE application_name = %s", lsn, SUBSCRIPTION),
                timeout, every=0.3)

    def contents(self, side):
        """Number and sum of the rows' hashes: on the primary, and on those who follow it."""
        names = ", ".join(("id", "note", *schema.SIDES[side]))
        query = f"SELECT count(*), sum(hashtextextended(ROW({names})::text, 7)) FROM {schema.TABLE}"
        out = {"primary": self.db.sql(query)[0]}
        with self.standby.connect(DATABASE) as conn:
            out["standby"] = conn.execute(query).fetchone()
        if self.subscribed:
            out["subscriber"] = self.subscriber.sql(query)[0]
        return out


class Follower:
    """DDL is not replicated: a column that comes on the sender is added to the receiver, as its operators would. Nothing is
    dropped there, since what was sent before may still name it."""

    def __init__(self, sender, receiver):
        self.sender, self.receiver = sender, receiver
        self.ended = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    COLUMNS = (f"SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{schema.TABLE}'::regclass "
               "AND attnum > 0 AND NOT attisdropped")

    def _run(self):
        try:
            with self.sender.cluster.connect(DATABASE) as there, self.receiver.cluster.connect(DATABASE) as here:
                while not self.ended.wait(0.3):
                    have = dict(here.execute(self.COLUMNS).fetchall())
                    for name, kind in there.execute(self.COLUMNS).fetchall():
                        if name not in have:
                            here.execute(f'ALTER TABLE {schema.TABLE} ADD COLUMN "{name}" {kind}')
        except psycopg.Error as error:
            self.failure = f"following the columns: {error}"

    def stop(self):
        self.ended.set()
        self.thread.join(30)
