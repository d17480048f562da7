"""One case: a schema, a migration that plan accepts, writers, a road, faults; and what must be true in the end."""

import json
import random
import re
import tempfile
from collections import Counter
from dataclasses import dataclass

import psycopg
from lib import catalog
from lib.segue import Segue

from property import compare, operations, schema, version, writers
from property.judge import Judge
from property.model import ABSENT
from property.overlook import Overlook
from property.refusals import STRANGE, is_permitted
from property.road import FAULTS, ROADS, Road
from property.tables import Known
from property.values import ident

NAME = "prop"
GRANTS = [f"GRANT {what} IN SCHEMA public TO app" for what in ("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES", "USAGE ON ALL SEQUENCES")]
THROWN = 7  # operations, of which plan refuses some
SIDES = [("old", False), ("new", False), ("old", False), ("both", True), ("new", True), ("old", True), ("both", False), ("new", False)]
# plain DDL has an order: what frees comes first, what takes names away comes last
ORDER = {"create_enum": 0, "add_enum_value": 1, "drop_constraint": 2, "drop_multicolumn_constraint": 2, "change_columns": 6, "drop_column": 6,
         "rename_table": 7, "drop_table": 8, "remove_enum": 9}


@dataclass(frozen=True)
class Options:
    """A case is its seed; the rest makes it smaller."""

    seed: int
    ops: tuple = None  # numbers of operations that stay
    tables: tuple = None  # numbers of tables that stay
    writers: int = 8
    faults: bool = True
    road: str = ""
    rows: int = 1000  # at most
    plans: bool = False  # what plan says, and what plain DDL does, is all

    def words(self):
        out = f"--case {self.seed}"
        if self.ops is not None:
            out += f" --ops {','.join(map(str, self.ops))}"
        if self.tables is not None:
            out += f" --tables {','.join(map(str, self.tables))}"
        if self.writers != 8:
            out += f" --writers {self.writers}"
        if not self.faults:
            out += " --no-faults"
        if self.road:
            out += f" --road {self.road}"
        if self.rows != 1000:
            out += f" --rows {self.rows}"
        out += " --plans" * self.plans
        return out


class Nothing(Exception):
    """plan has refused everything, or there is nothing to compare with."""


class Wrong(AssertionError):
    """Something that must be true is not."""


class Case:
    def __init__(self, stage, options):
        self.stage, self.options = stage, options
        self.dice = random.Random(f"{options.seed}/case")
        self.refusals = Counter()
        self.folder = tempfile.TemporaryDirectory(prefix="segue-property-")
        self.full = schema.Maker(options.seed).make()
        dice = random.Random(f"{options.seed}/roles")
        self.ordinary = any(t.secured for t in self.full.tables) or dice.random() < 0.2  # clients to whom policies apply
        self.owner = dice.choice(["postgres", "keeper", "keeper_of_all", "keeper_of_all"]) if self.ordinary else "postgres"
        self.shadows = dice.random() < 0.15
        self.db = stage.database("d", owner=self.owner)
        self.plain = stage.database("p", "property_template", self.owner)
        self.views = Overlook(lambda text: self.execute(self.db, [text], self.owner))
        self.proxy = None
        self.road = None
        self.judge = Judge(lambda: stage.cluster.connect(self.plain.name))
        self.schema = None
        self.writers = []
        self.known, self.ops, self.chosen, self.goals = [], [], [], ()
        self.first, self.rest = {}, {}
        self.before = self.after = self.migration = None
        self.facts = {"rows": 0}
        self.version = version.of(options.seed) if self.dice.random() < 0.3 else None

    # ---- the schema ----

    def make_schema(self):
        made = schema.Schema(self.full.types, list(self.full.tables))
        if self.options.tables is not None:
            made.tables = [t for i, t in enumerate(made.tables) if i in self.options.tables]
        for table in made.tables:
            table.rows = min(table.rows, self.options.rows)
        for db in (self.db, self.plain):
            versions = list(self.version[1].make) if self.version else []
            self.execute(db, made.sql() + versions + GRANTS * self.ordinary, self.owner)
        return made

    def execute(self, db, statements, user="postgres"):
        with self.stage.cluster.connect(db.name, user) as conn:
            for statement in statements:
                try:
                    conn.execute(statement.encode())
                except psycopg.Error as error:
                    raise RuntimeError(f"the generator has made what the server refuses: {statement[:300]}: {error}") from None

    # ---- the migration ----

    def file(self, ops):
        """A table has its new name in what stands behind its rename: all others stand in front."""
        out = {"name": NAME, "operations": [op.json for op in sorted(ops, key=lambda op: op.kind == "rename_table")]}
        if self.version:
            out["version_table"] = {self.version[0]: self.version[1].json}
        return out

    def plan(self, ops):
        """What plan refuses of a migration with these; views that are in its way are dropped."""
        rows = self.planned(ops)
        if self.views.heed(rows):
            rows = self.planned(ops)
        return [(row[2], row[5]) for row in rows if row[1] == "REFUSED"]

    def planned(self, ops):
        text = json.dumps(self.file(ops), ensure_ascii=self.options.seed % 2 == 0)
        with psycopg.connect(host="127.0.0.1", port=self.proxy.port, dbname="segue", user="postgres", autocommit=True,
                             prepare_threshold=None) as conn:
            try:
                rows = conn.execute(("PLAN '" + text.replace("'", "''") + "'").encode()).fetchall()
            except psycopg.Error as error:
                if conn.broken:
                    raise
                return [(None, "REFUSED", error.diag.message_primary or str(error), "", "", error.diag.message_hint or "", "")]
        return rows

    def judge_refusal(self, ops, refusal):
        """It names what it is of, says what to do, and is one that is meant."""
        said, hint = refusal
        text = json.dumps([op.json for op in ops], ensure_ascii=False)
        if STRANGE.search(said) or not is_permitted(said):
            raise Wrong(f"plan says of {text}: {said}")
        if not hint:
            raise Wrong(f"plan does not say what to do about {text}: {said}")
        names = [name for op in ops for name in op.names + ([op.table.name] if op.table else [])]
        # what is over its columns, or refers to it
        names += [name for t in self.schema.tables for name in t.others + [x.name for x in t.constraints + t.indexes]] * any(op.table for op in ops)
        quoted = said.replace('""', '"')
        if not any(name in quoted for name in names):
            raise Wrong(f"plan names nothing of {text}: {said}")
        for name in sorted(set(names + [n for t in self.schema.tables for n in self.names_of(t)]), key=len, reverse=True):
            quoted = quoted.replace(name, "X") if len(name) > 1 else quoted
        self.refusals[f"{ops[0].kind if len(ops) == 1 else 'together'}: " + re.sub(r"\d+", "N", quoted)[:140]] += 1

    @staticmethod
    def names_of(table):
        return [table.name] + table.others + [x.name for x in table.columns + table.constraints + table.indexes]

    def choose(self):
        """Operations that plan accepts together."""
        maker = operations.Maker(self.options.seed, self.full, self.stage.cluster.version)
        wanted = self.dice.choice([1, 2, 3, 4, 4])
        accepted = []
        for number, op in enumerate(maker.make(THROWN)):
            if len(accepted) == wanted and self.options.ops is None and not self.options.plans:
                break
            if self.options.ops is not None and number not in self.options.ops:
                continue
            if op.table is not None and op.table not in self.schema.tables:
                continue
            if any(need not in [o for _, o in accepted] for need in op.needs):
                continue
            said = self.plan([*op.needs, op])
            if said:
                self.chosen = [n for n, o in accepted if o in op.needs] + [number]
                self.judge_refusal([*op.needs, op], said[0])
            else:
                accepted.append((number, op))
        while accepted:
            said = self.plan([op for _, op in accepted])
            self.chosen = [number for number, _ in accepted]
            if not said:
                break
            self.judge_refusal([op for _, op in accepted], said[0])
            accepted.pop()
        if not accepted:
            raise Nothing("plan refuses all of it")
        if self.views.scripts and any(op.kind == "rename_table" for _, op in accepted):
            self.views.anew()  # made again they name the table as this migration leaves it
            said = self.plan([op for _, op in accepted])
            if said:
                raise Wrong(f"plan refuses what it has accepted: {said[0]}")
        return [op for _, op in accepted]

    def run_plain(self, ops):
        """The same by plain DDL, on the copy: (catalog before, after)."""
        drops, makes = self.views.plain()
        with self.stage.cluster.connect(self.plain.name, self.owner) as conn:
            before = compare.whole(conn)
            for text in drops:
                conn.execute(text.encode())
            for op in sorted(ops, key=lambda o: ORDER.get(o.kind, 5)):
                for statement in op.plain:
                    try:
                        conn.execute(statement.encode())
                    except psycopg.Error as error:
                        raise Wrong(f"plan accepts what plain DDL cannot: {op.kind}: {statement[:300]}: {error}") from None
                if op.kind == "add_enum_value":
                    before["types"] = compare.whole(conn)["types"]
            for text in makes:
                conn.execute(text.encode())
            after = compare.whole(conn)
        return before, after

    # ---- the run ----

    def run(self):
        self.schema = self.make_schema()
        for table in self.schema.tables:
            statements, rows = schema.rows_sql(table, self.options.seed)
            self.execute(self.db, statements)
            self.first[table.name] = rows
        self.proxy = Segue(self.db.url(self.owner), self.folder.name, start=False, vacuum_rows=100, batch_target_ms=5, cutover_drain_ms=500,
                           cutover_attempts_max=20)
        self.proxy.start()
        self.ops = self.choose()
        self.migration = self.file(self.ops)
        # the judge knows the schema as it was: what expressions read is there before
        self.known = [Known(t, self.ops, self.judge) for t in self.schema.tables]
        for known in self.known:
            known.mend_pools()
        self.before, self.after = self.run_plain(self.ops)
        if self.options.plans:
            return
        self.prepare_road()
        self.travel()
        self.check()

    def prepare_road(self):
        name = self.options.road or self.dice.choice(["done", "done", "done", "abort", "early", "back", "back", "again", "again", "again"])
        self.facts["road"] = name
        self.goals = ROADS[name]
        faults = []
        count = self.dice.choice([0, 0, 1, 1, 2])
        for _ in range(count):
            faults.append((self.dice.randrange(len(self.goals)), self.dice.choice([0.0, 0.02, 0.1, 0.3]), self.dice.choice(FAULTS)))
        if not self.options.faults:
            faults = []
        self.facts["faults"] = [kind for _, _, kind in faults]
        self.road = Road(self.proxy, self.db, self.migration, self.options.seed, faults)
        if any(known.table.unlogged for known in self.known):
            self.road.outage = self.outage
        for no, (side, direct) in enumerate(SIDES[:self.options.writers]):
            self.writers.append(writers.Writer(no, side, direct, self.connect, self.known, self.road, self.options.seed,
                                               self.ordinary, self.shadows))
        for known in self.known:
            states = {n: known.first_state(row) for n, row in self.first[known.table.name].items()}
            self.rest[known.table.name] = writers.shares(self.writers, known, states)

    def connect(self, writer):
        more = {"application_name": f"w{writer.no}", "autocommit": True, "connect_timeout": 20, "prepare_threshold": 10**9,
                "user": "app" if self.ordinary else "postgres"}
        if writer.direct:
            return self.stage.cluster.connect(self.db.name, **more)
        side = {"both": ""}.get(writer.side, f"-c segue.schema={writer.side}")
        return psycopg.connect(host="127.0.0.1", port=self.proxy.port, dbname=self.db.name, options=side, **more)

    def outage(self, strike):
        """Unlogged tables lose their rows with the server: then nobody writes."""
        writing = [w for w in self.writers if w.running()]
        for w in writing:
            w.stop()
        if strike():
            for known in [k for k in self.known if k.table.unlogged]:
                self.rest[known.table.name].clear()
                for w in self.writers:
                    w.forget(known)
        for w in writing:
            w.start()

    def run_writers(self, *sides):
        """These write, the others do not."""
        for w in self.writers:
            if w.side not in sides and w.running():
                w.stop()
            elif w.side in sides and not w.running() and w.tables:
                w.start()
        for w in self.writers:
            if w.error:
                raise w.error

    def flow(self, more=3):
        writers.wait_for([w for w in self.writers if w.running()], more)

    def travel(self):
        road = self.road
        self.run_writers("old")
        self.flow()
        for index, goal in enumerate(self.goals):
            if goal == "aborted":
                self.run_writers("old")
                road.may_be("before", "forward")
                road.filled = False
            elif goal == "ready" and index == 0:
                road.may_be("before", "forward")
                road.filled = False
            elif goal == "done":
                self.run_writers("new")
                road.may_be("reverse", "after")
            else:
                road.may_be("forward", "reverse")
            if goal == "ready":  # a way back needs them dropped once more
                self.views.put(False)
            road.drive(goal, index)
            if goal in ("soaking", "aborted"):
                self.views.put(True)
            if goal == "ready":
                road.may_be("forward")
                road.filled = True
                self.run_writers("old", "new", "both")
            elif goal == "soaking":
                road.may_be("reverse")
            self.flow()
            self.check_version(goal)
            if goal in ("ready", "soaking") and self.dice.random() < 0.3:
                self.verify(goal)
        road.may_be("before" if goal == "aborted" else "after")
        self.flow()
        for w in self.writers:
            w.stop()
        for w in self.writers:
            if w.error:
                raise w.error

    def check_version(self, goal):
        if not self.version:
            return
        kind = self.version[1]
        with self.stage.cluster.connect(self.db.name) as conn:
            found = conn.execute(kind.read.encode()).fetchall()
        if found != (kind.after if goal in ("soaking", "done") else kind.before):
            raise Wrong(f"the version is {found} in {goal}")

    def verify(self, goal):
        rows = self.road.say(f"VERIFY {NAME}")
        if rows is None and not self.road.faults:
            raise Wrong(f"verify in {goal}: {self.road.refused}")
        if rows and any(row["rows_bad"] for row in rows):
            raise Wrong(f"verify in {goal} finds rows that are not in step: {rows}")

    # ---- what must be true in the end ----

    def check(self):
        goal = self.goals[-1]
        if self.road.stopped and not self.road.faults:
            raise Wrong(f"it has stopped: {self.road.stopped}")
        side, mode = ("new", "after") if goal == "done" else ("old", "before")
        with self.stage.cluster.connect(self.db.name) as conn:
            for known in self.known:
                if not (known.dropped and goal == "done"):
                    self.check_rows(conn, known, side, mode)
            self.check_catalog(conn, goal)
            if goal == "done":
                self.check_truths(conn)
        self.proxy.stop()

    def check_rows(self, conn, known, side, mode):
        names = sorted(known.model.names(side, mode))
        table, key = known.table, known.key_name(side, mode)
        names.remove(key)
        shown = known.model.sql_read([key] + names)
        stored, name = {}, known.called(side)
        for row in conn.execute(f"SELECT {shown} FROM {ident(name)}".encode()).fetchall():
            stored.setdefault(row[0], []).append(tuple(row[1:]))
        expected = {n: {s} for n, s in self.rest[table.name].items()}
        for w in self.writers:
            expected.update(w.rows[table.name])
        wrong = []
        for n, states in expected.items():
            got = stored.pop(known.key_text(n), [])
            allowed = set().union(*(known.model.seen(side, {mode}, s, names) for s in states if s is not ABSENT))
            if len(got) > 1 or (got and got[0] not in allowed) or (not got and ABSENT not in states):
                wrong.append((n, [dict(zip(names, t)) for t in got], "not one of", [dict(zip(names, t)) for t in list(allowed)[:3]]))
        wrong += [(key, "nobody's row") for key in stored]
        if wrong:
            raise Wrong(f"table {table.name}: {len(wrong)} of {len(expected)} rows are not as acknowledged: {str(wrong[:2])[:3000]}")
        self.facts["rows"] += len(expected)

    def check_truths(self, conn):
        """What the oracle does not know row by row."""
        for known in self.known:
            for sql in (sql for op in known.ops for sql in op.truths):
                text = sql.format(ident(known.called("new")))
                if conn.execute(text.encode()).fetchone() != (True,):
                    raise Wrong(f"after done it is not true: {text}")

    def check_catalog(self, conn, goal):
        left = catalog.traces(conn)
        invalid = conn.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid").fetchall()
        if left or invalid:
            raise Wrong(f"left over after {goal}: {left} {invalid}")
        now = compare.whole(conn)
        expected = self.after if goal == "done" else self.before
        if goal == "aborted" and self.goals == ("aborted",):  # it may not have come to the enum's values
            expected = {**expected, "types": now["types"]}
        differs = catalog.difference(expected, now)
        if differs:
            raise Wrong(f"the catalog after {goal} differs (expected against found):\n  " + "\n  ".join(differs[:12]))

    # ---- telling ----

    def describe(self):
        out = [f"operations {self.chosen}: {json.dumps(getattr(self, 'migration', {}), ensure_ascii=False)}",
               f"road {self.facts.get('road')}, faults {self.road.faults if self.road else ''}, came to {self.road.told if self.road else ''}"]
        return "\n".join(out)

    def tables_named(self):
        """Numbers of tables that the migration needs."""
        named = {op.table.name for op in self.ops if op.table}
        for table in reversed(self.full.tables):  # parents come first
            if table.name in named:
                named |= {c.parent.name for c in table.columns if c.parent}
        return tuple(i for i, t in enumerate(self.full.tables) if t.name in named)

    def close(self):
        for w in self.writers:
            w.over.set()
        if self.proxy and self.proxy.running():
            self.proxy.kill9()
        for w in self.writers:
            try:
                w.stop()
            except AssertionError:
                pass
        self.judge.close()
        self.stage.drop(self.db)
        self.stage.drop(self.plain)
        self.folder.cleanup()
