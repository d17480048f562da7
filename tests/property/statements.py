"""One write as SQL, in one of many forms."""

from property.tables import quoted
from property.values import ident, quote

INSERTS = ("values", "values", "values", "select", "copy", "cte")
UPDATES = ("set", "set", "set", "row", "from", "cte", "merge")
STYLES = ("parameters", "parameters", "prepared", "text", "text", "sql")


def sql_name(name, qualified):
    return "public." * qualified + ident(name)


class Statement:
    def __init__(self, writer, known, n, kind, values, leaf=None):
        self.writer, self.known, self.n, self.kind = writer, known, n, kind
        self.dice = writer.dice
        self.values = values
        self.name = leaf or writer.called(known)
        self.sql_name = sql_name(self.name, writer.qualifies or self.dice.random() < 0.15)
        self.style = self.dice.choice(STYLES)
        if self.style in ("prepared", "sql") and known.retypes:  # a parameter keeps the type that the column had
            self.style = "parameters"
        self.form = self.dice.choice(UPDATES if kind == "update" else INSERTS if kind == "insert" else ("values",))
        same = {known.slots[at].old for pair in known.model.same.items() for at in pair}
        if self.form in ("select", "from", "merge") and (same & {*values, known.key_name(writer.side, "forward")}):
            self.form = "set" if kind == "update" else "values"
        self.returning = [k for k in values] if kind != "delete" and self.form not in ("copy", "merge") and self.dice.random() < 0.4 else []
        if self.form == "copy" and writer.barred(known):
            self.form = "values"
        if self.form == "copy":
            self.style = "text"
        self.long = self.dice.random() < 0.2  # columns with the table's name in front

    # ---- text ----

    def type_of(self, name):
        at = self.known.model.names(self.writer.side, "forward").get(name)
        return self.known.slots[at].type if at is not None else "text"

    def type_of_key(self):
        return self.type_of(self.known.key_name(self.writer.side, "forward"))

    def pieces(self):
        """(SQL with a mark for each value, values)."""
        table, names = self.known.table, list(self.values)
        key = ident(self.known.key_name(self.writer.side, {"new": "forward"}.get(self.writer.side, "forward")))
        where = f"{ident(self.name)}.{key}" if self.long else key
        id_value = self.known.table.id_literal(self.n)
        back = ""
        if self.returning:
            back = " RETURNING " + self.known.model.sql_read(self.returning)
        if self.kind == "delete":
            return f"DELETE FROM {self.sql_name} WHERE {where} = \0", [id_value]
        if self.kind == "update":
            return self.update(names, key, where, id_value, back)
        over = " OVERRIDING SYSTEM VALUE" if table.key == "always" else ""
        head = f"INSERT INTO {self.sql_name} ({quoted(names)}){over} "
        values = list(self.values.values())
        if self.kind == "upsert":
            return self.upsert(head, names, values, key, back)
        if self.form == "select":
            return head + "SELECT " + ", ".join(f"\0::{self.type_of(n)}" for n in names) + back, values
        text = head + "VALUES (" + ", ".join("\0" for _ in names) + ")" + back
        if self.form == "cte":
            text = self.with_cte(text)
        return text, values

    def with_cte(self, text):
        if self.returning:
            shown = ", ".join(f"x{i}" for i in range(len(self.returning)))
            return f"WITH w ({shown}) AS ({text}) SELECT * FROM w"
        return f"WITH w AS ({text}) SELECT 1"

    def update(self, names, key, where, id_value, back):
        values = [*self.values.values(), id_value]
        if self.form == "row":
            text = f"UPDATE {self.sql_name} SET ({quoted(names)}) = ROW({', '.join(chr(0) for _ in names)}) WHERE {where} = \0{back}"
        elif self.form == "from":
            given = ", ".join(f"\0::{self.type_of(n)} AS v{i}" for i, n in enumerate(names))
            sets = ", ".join(f"{ident(n)} = v.v{i}" for i, n in enumerate(names))
            text = f"UPDATE {self.sql_name} SET {sets} FROM (SELECT {given}) v WHERE {where} = \0{back}"
        elif self.form == "merge":
            sets = ", ".join(f"{ident(n)} = \0" for n in names)
            text = (f"MERGE INTO {self.sql_name} AS t USING (SELECT \0::{self.type_of_key()} AS k) s ON t.{key} = s.k "
                    f"WHEN MATCHED THEN UPDATE SET {sets}")
            values = [id_value, *self.values.values()]
        else:
            sets = ", ".join(f"{ident(n)} = \0" for n in names)
            text = f"UPDATE {self.sql_name} SET {sets} WHERE {where} = \0{back}"
            if self.form == "cte":
                text = self.with_cte(text)
        return text, values

    def upsert(self, head, names, values, key, back):
        target = [key]
        if self.known.table.key == "composite":
            target.append(ident(self.known.name_of(self.known.part_slots, self.writer.side, "forward")))
        keys = {t.strip() for t in target}
        sets = [f"{ident(n)} = EXCLUDED.{ident(n)}" for n in names if ident(n) not in keys]
        does = f"DO UPDATE SET {', '.join(sets)}" if sets else f"DO UPDATE SET {key} = EXCLUDED.{key}"
        marks = ", ".join("\0" for _ in names)
        return f"{head}VALUES ({marks}) ON CONFLICT ({', '.join(target)}) {does}{back}", values

    def text(self):
        sql, values = self.pieces()
        for value in values:
            sql = sql.replace("\0", quote(value if value is None or len(value) < 200 else value[:200] + "..."), 1)
        return f"{sql}  -- {self.style} {self.form}"

    # ---- sending ----

    def run(self, conn):
        """None, or (names, row) of what came back."""
        if self.form == "copy":
            self.copy(conn)
            return None
        sql, values = self.pieces()
        if self.style in ("parameters", "prepared"):
            cur = conn.execute(sql.replace("%", "%%").replace("\0", "%s"), values, prepare=self.style == "prepared")
        elif self.style == "sql":
            cur = self.prepare_sql(conn, sql, values)
        else:
            cur = conn.execute(self.inlined(sql, values).encode())
        rows = cur.fetchall() if cur.description else []
        if self.form != "cte" and cur.rowcount != 1:
            raise AssertionError(f"{self.writer.name}: {cur.rowcount} rows, not 1: {self.text()[:400]}")
        if self.returning:
            if len(rows) != 1:
                raise AssertionError(f"{self.writer.name}: {len(rows)} rows came back: {self.text()[:400]}")
            return self.returning, tuple(rows[0])
        return None

    @staticmethod
    def inlined(sql, values):
        for value in values:
            head, _, tail = sql.partition("\0")
            sql = head + quote(value) + tail
        return sql

    def prepare_sql(self, conn, sql, values):
        for i in range(len(values)):
            sql = sql.replace("\0", f"${i + 1}", 1)
        name = f"p{self.dice.randrange(10 ** 9)}"
        conn.execute(f"PREPARE {name} AS {sql}".encode())
        cur = conn.execute(f"EXECUTE {name}({', '.join(map(quote, values))})".encode())
        if self.dice.random() < 0.7:
            conn.execute(f"DEALLOCATE {name}".encode())
        return cur

    def copy(self, conn):
        fields = []
        for value in self.values.values():
            if value is None:
                fields.append("\\N")
            else:
                for one, other in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
                    value = value.replace(one, other)
                fields.append(value)
        with conn.cursor().copy(f"COPY {self.sql_name} ({quoted(self.values)}) FROM STDIN") as copy:
            copy.write("\t".join(fields) + "\n")
