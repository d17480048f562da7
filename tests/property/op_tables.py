"""Operations on whole things: tables, types, and SQL of the file's own."""

from property.op import Base, Op
from property.schema import TABLE_NAMES
from property.values import FAMILIES, ident, quote

COUNTS = ("START WITH 100 INCREMENT BY 5", "MINVALUE 1 MAXVALUE 9000 CYCLE CACHE 3")


class Made:
    """A new table: as the file says it, and as plain DDL does."""

    def __init__(self, name):
        self.name = name
        self.columns, self.constraints, self.parts, self.more = [], [], [], []
        self.names = [name]

    def column(self, name, kind, words="", **more):
        """Columns are NOT NULL unless they say otherwise."""
        self.columns.append({"name": name, "type": kind, **more})
        self.parts.append(f"{ident(name)} {kind}{words}" + " NOT NULL" * (not more.get("nullable") and not more.get("pk")))

    def constraint(self, name, kind, words, **more):
        self.constraints.append({"name": name, "type": kind, **more})
        self.parts.append(f"CONSTRAINT {ident(name)} {words}")

    def json(self):
        out = {"name": self.name, "columns": self.columns}
        if self.constraints:
            out["constraints"] = self.constraints
        return out

    def plain(self):
        return [f"CREATE TABLE {ident(self.name)} ({', '.join(self.parts)})", *self.more]


class Tables(Base):
    # ---- tables ----

    def create_table(self, _table):
        made = Made(self.name("made"))
        self.key_of(made)
        made.column("é", "text", nullable=True, comment="c")
        made.more.append(f"COMMENT ON COLUMN {ident(made.name)}.\"é\" IS 'c'")
        for more in (self.checked, self.computed, self.referring, self.pairs, self.apart, self.itself):
            if self.dice.random() < 0.4:
                more(made)
        body = made.json()
        if self.dice.random() < 0.4:
            body["comment"] = "it's new"
            made.more.append(f"COMMENT ON TABLE {ident(made.name)} IS 'it''s new'")
        return Op("create_table", None, {"create_table": body}, made.plain(), made.names)

    def key_of(self, made):
        how = self.dice.choice(["plain", "identity", "serial", "pair"])
        if how == "plain":
            made.column("Id", "bigint", " PRIMARY KEY", pk=True)
        elif how == "serial":
            made.column("Id", "bigserial", " PRIMARY KEY", pk=True)
        elif how == "identity":
            identity, words, options = {}, "ALWAYS", ""
            if self.dice.random() < 0.6:
                words = identity["user_specified_values"] = self.dice.choice(["ALWAYS", "BY DEFAULT"])
            if self.dice.random() < 0.5:
                identity["sequence_options"] = self.dice.choice(COUNTS)
                options = f" ({identity['sequence_options']})"
            made.column("Id", "integer", f" GENERATED {words} AS IDENTITY{options} PRIMARY KEY", pk=True, generated={"identity": identity})
        else:
            made.column("Id", "bigint")
        unique = how != "pair" and self.dice.random() < 0.5
        made.column("n", "integer", " DEFAULT 7" + " UNIQUE" * unique, default="7", **{"unique": True} if unique else {})
        if how == "pair":
            self.constraint_of(made, "primary_key", "PRIMARY KEY", ["n", "Id"])

    def constraint_of(self, made, kind, words, columns):
        """Unique, or the key."""
        more, text, name = {}, "", self.name("its_" + kind)
        if self.dice.random() < 0.4:
            more["index_parameters"] = {"include_columns": ["é"], "storage_parameters": "fillfactor = 70"}
            text = ' INCLUDE ("é") WITH (fillfactor = 70)'
        text += self.deferral(more)
        made.constraint(name, kind, f"{words} ({', '.join(map(ident, columns))}){text}", columns=columns, **more)

    def checked(self, made):
        name, check = self.name("positive"), "m > 0"
        no_inherit = self.dice.random() < 0.4
        made.column("m", "smallint", f" CONSTRAINT {ident(name)} CHECK ({check})" + " NO INHERIT" * no_inherit, nullable=True,
                    check={"name": name, "constraint": check, **({"no_inherit": True} if no_inherit else {})})
        made.constraint(self.name("short"), "check", 'CHECK (length("é") < 1000)', check='length("é") < 1000')

    def computed(self, made):
        virtual = self.version >= 18 and self.dice.random() < 0.5
        made.column("twice", "integer", " GENERATED ALWAYS AS (n * 2) " + ("VIRTUAL" if virtual else "STORED"), nullable=True,
                    generated={"expression": "n * 2", **({"virtual": True} if virtual else {})})

    def referring(self, made):
        parents = [t for t in self.schema.tables if t.referable and not t.part]
        parent = self.dice.choice(parents) if parents else None
        theirs = self.now(parent, parent.id) if parent else None
        if theirs is None:
            return
        references, words = {"table": parent.name, "column": theirs}, ""
        if self.dice.random() < 0.5:
            references["name"] = self.name("refers")
            words = f" CONSTRAINT {ident(references['name'])}"
        words += f" REFERENCES {parent.sql_name} ({ident(theirs)})" + self.behaviour(references)
        made.column("p", FAMILIES[parent.id.family].type, words, nullable=True, references=references)
        made.names.append(parent.name)

    def pairs(self, made):
        made.column("x", "text", nullable=True)
        self.constraint_of(made, "unique", "UNIQUE", ["x", "n"])

    def apart(self, made):
        """What a table in use cannot get."""
        made.column("during", "int4range", nullable=True)
        if self.dice.random() < 0.5:
            made.constraint(self.name("apart"), "exclude", "EXCLUDE USING gist (during WITH &&) WHERE (n > 1)",
                            exclude={"index_method": "gist", "elements": "during WITH &&", "predicate": "n > 1"})
        else:
            made.constraint(self.name("alone"), "exclude", 'EXCLUDE ("é" WITH =) INCLUDE (n)',
                            exclude={"elements": '"é" WITH ='}, index_parameters={"include_columns": ["n"]})

    def itself(self, made):
        if not made.columns[0].get("pk"):
            return
        made.column("above", made.columns[0]["type"].replace("serial", "int"), nullable=True)
        made.constraint(self.name("of_itself"), "foreign_key",
                        f"FOREIGN KEY (above) REFERENCES {ident(made.name)} (\"Id\") ON DELETE SET NULL (above)",
                        columns=["above"], references={"table": made.name, "columns": ["Id"], "on_delete": "SET NULL",
                                                       "on_delete_set_columns": ["above"]})

    def index_of_made(self, _table):
        """An index of a table that the same file makes."""
        free = [op for op in self.tables if op.kind == "create_table"]
        if not free:
            return None
        made = self.dice.choice(free)
        self.needs.append(made)
        name, table = self.name("mix"), made.json["create_table"]["name"]
        body = {"name": name, "table": table, "columns": {"é": {"collate": "C", "nulls": "FIRST"}, "n": {}}, "storage_parameters": "fillfactor = 50"}
        return Op("index_of_made", None, {"create_index": body},
                  [f'CREATE INDEX {ident(name)} ON {ident(table)} ("é" COLLATE "C" NULLS FIRST, n) WITH (fillfactor = 50)'], [name, table])

    def drop_table(self, table):
        if any(name == table.name for name, _ in self.taken | self.named) or len(self.schema.tables) < 2:
            return None
        for column in table.columns:
            self.taken.add((table.name, column.name))
        for one in table.indexes:
            self.taken.add(("index", one.name))
        for one in table.constraints:
            self.taken.add(("constraint", one.name))
        return Op("drop_table", table, {"drop_table": {"name": table.name}}, [f"DROP TABLE {table.sql_name}"], [table.name], drops=True)

    def rename_table(self, table):
        names = [n for n in TABLE_NAMES + ("It's \"new\"", "Items", "größer", "table") if n not in self.made
                 and n not in {t.name for t in self.schema.tables}]
        if (table.name, "") in self.taken:
            return None
        name = self.dice.choice(names)
        self.taken.add((table.name, ""))
        self.made.add(name)
        return Op("rename_table", table, {"rename_table": {"from": table.name, "to": name}},
                  [f"ALTER TABLE {table.sql_name} RENAME TO {ident(name)}"], [table.name, name], renamed=name)

    # ---- types ----

    def create_enum(self, _table):
        name = self.name("kind")
        return Op("create_enum", None, {"create_enum": {"name": name, "values": ["a", "it's", "é"]}},
                  [f"CREATE TYPE {ident(name)} AS ENUM ('a', 'it''s', 'é')"], [name])

    def add_enum_value(self, _table):
        if "enum" not in self.schema.types:
            return None
        value = self.name("v")
        place = self.dice.choice([{}, {"before": "sad"}, {"after": "ok"}])
        words = "".join(f" {k.upper()} {quote(v)}" for k, v in place.items())
        return Op("add_enum_value", None, {"add_enum_value": {"name": "mood", "value": value, **place}},
                  [f"ALTER TYPE mood ADD VALUE {quote(value)}{words}"], ["mood"])

    def remove_enum(self, _table):
        if "enum" not in self.schema.types or ("type", "mood2") in self.taken:
            return None
        self.taken.add(("type", "mood2"))
        return Op("remove_enum", None, {"remove_enum": {"name": "mood2"}}, ["DROP TYPE mood2"], ["mood2"])

    # ---- SQL ----

    def sql(self, table):
        name = self.name("own")
        pick = self.dice.choice([
            (f"CREATE TABLE {ident(name)} (x int PRIMARY KEY, y text)", f"DROP TABLE {ident(name)}"),
            (f"CREATE FUNCTION {ident(name)}(i int) RETURNS int LANGUAGE sql AS $$ SELECT i + 1 $$", f"DROP FUNCTION {ident(name)}(int)"),
            (f"CREATE DOMAIN {ident(name)} AS integer CHECK (VALUE > 0)", f"DROP DOMAIN {ident(name)}"),
            (f"COMMENT ON TABLE {table.sql_name} IS 'of the file'", f"COMMENT ON TABLE {table.sql_name} IS NULL")])
        body = {"up": pick[0], "down": pick[1]}
        if self.dice.random() < 0.3:
            body = {"up": pick[0], "onComplete": True}
        return Op("sql", None, {"sql": body}, [pick[0]], [name, table.name])
