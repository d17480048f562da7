"""Operations on columns: renamed, changed, split and merged, added, dropped."""

from dataclasses import replace

from property.op import KEEP, Base, Op, Pair
from property.values import FAMILIES, IDENTITY, Change, ident, quote

SPLITS = ("one to two", "two to one", "two to two")
SERIALS = ("smallserial", "serial", "bigserial")
# who may write to the table numbers its rows: plan says so
USAGE = """DO $$ DECLARE one record; BEGIN FOR one IN
    SELECT DISTINCT grantee::regrole AS role FROM pg_class c, LATERAL (SELECT relacl AS acl UNION ALL SELECT attacl FROM pg_attribute
        WHERE attrelid = c.oid AND NOT attisdropped) l, aclexplode(acl) WHERE c.oid = {table}::regclass
        AND privilege_type IN ('INSERT', 'UPDATE') AND grantee <> relowner
    LOOP EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %s', pg_get_serial_sequence({table}, {column}), one.role); END LOOP; END $$"""
# a sequence counts as far as its column, when the narrower one is gone
WIDER = """DO $$ DECLARE s text := pg_get_serial_sequence({table}, {column}); BEGIN
    IF s IS NOT NULL THEN EXECUTE format('ALTER SEQUENCE %s AS bigint', s); END IF; END $$"""


class Columns(Base):
    # ---- pairs ----

    def pair_of(self, column, change, to):
        kind = change.type or FAMILIES[column.family].type
        return Pair(column, to, change, kind, column.not_null, KEEP)

    def pair_json(self, pair):
        out = {}
        if pair.change.type:
            out["type"] = pair.change.type
        if pair.change.up:
            out["up"] = pair.up
        if pair.change.down:
            out["down"] = pair.down
        return out

    def pair_plain(self, table, pair):
        name, out = pair.column.name, []
        if pair.to != name:
            out.append(f"ALTER TABLE {table.sql_name} RENAME COLUMN {ident(name)} TO {ident(pair.to)}")
        if pair.change.type:
            collate = ' COLLATE "C"' if "COLLATE" in pair.column.options and pair.change.type.startswith(("varchar", "text")) and \
                "[" not in pair.change.type else ""
            using = f"{ident(pair.to)}::{pair.type}" if pair.column.default is not None else f"NULL::{pair.type}"
            out.append(f"ALTER TABLE {table.sql_name} ALTER COLUMN {ident(pair.to)} TYPE {pair.change.type}{collate} USING {using}")
            if pair.change.type == "bigint":
                out.append(WIDER.format(table=quote(table.sql_name), column=quote(pair.to)))
            # PostgreSQL makes extended statistics over it again and forgets their target, which segue carries
            out += [statement for statement in table.after if statement.startswith("ALTER STATISTICS")]
        return out

    def key_column(self, table):
        """Of the primary key, or of a foreign one, on either side."""
        return self.column(table, lambda c: c is table.id or c.part or self.linked(table, c), moves=True)

    def rename_column(self, table):
        column = self.key_column(table) if self.dice.random() < 0.4 else None
        column = column or self.column(table, moves=True)
        if column is None:
            return None
        # up and down of a rename need a type, and then a default goes through up
        changes = [IDENTITY] * 3 + [replace(c, type=c.type or FAMILIES[column.family].type) for c in self.changes(table, column)
                                    if (c.down is not None or c.up is None) and column.default is None]
        change = self.dice.choice(changes)
        pair = self.pair_of(column, change, self.new_name(table))
        return Op("rename_column", table, {"rename_column": {
            "table": table.name, "from": column.name, "to": pair.to, **self.pair_json(pair)}},
            self.pair_plain(table, pair), [column.name, pair.to], pair=pair)

    def alter_pair(self, table):
        """alter_column with a second half, under its own name or a new one, and more changed along."""
        column = self.column(table, moves=True)
        if column is None:
            return None
        same = self.dice.random() < 0.6
        changes = self.changes(table, column, same)
        changes += [IDENTITY] * (0 if same else 2)
        if not changes:
            return None
        change = self.dice.choice(changes)
        pair = self.pair_of(column, change, column.name if same else self.new_name(table))
        body = {"table": table.name, "column": column.name, **self.pair_json(pair)}
        if not same:
            body["name"] = pair.to
        plain, names = self.pair_plain(table, pair), [column.name, pair.to]
        self.more_of_pair(table, pair, body, plain)
        if self.dice.random() < 0.4:
            self.bind(table, column, body, plain, names, pair)
        return Op("alter_pair", table, {"alter_column": body}, plain, names, pair=pair)

    def more_of_pair(self, table, pair, body, plain):
        dice, where = self.dice, f"ALTER TABLE {table.sql_name} ALTER COLUMN {ident(pair.to)}"
        if pair.change.kind == "mend" and not pair.not_null and dice.random() < 0.7:
            body["nullable"], pair.not_null = False, True
            plain.append(f"{where} SET NOT NULL")
        elif pair.not_null and pair.change.kind != "identity" and pair.column is not table.id and not pair.column.part and dice.random() < 0.2:
            body["nullable"], pair.not_null = True, False
            plain.append(f"{where} DROP NOT NULL")
        if dice.random() < 0.2 or len(body) == 4 and "up" in body and "down" in body:  # values alone are no change
            body["comment"] = dice.choice(["new", "it's new"])
            plain.append(f"COMMENT ON COLUMN {table.sql_name}.{ident(pair.to)} IS {quote(body['comment'])}")
        if pair.column.default is not None and dice.random() < 0.3:
            body["default"], pair.default = None, None
            plain.append(f"{where} DROP DEFAULT")
        elif pair.change.type is None and not pair.column.numbered and not pair.column.parent and dice.random() < 0.3:
            literal = dice.choice([v for v in pair.column.pool if v is not None and len(v) < 100])
            body["default"], pair.default = quote(literal), literal
            plain.append(f"{where} SET DEFAULT {quote(literal)}")

    # ---- what alter_column binds a column by ----

    def bind(self, table, column, body, plain, names, pair=None):
        """A constraint of the column alone: in place, or of its new half, of which values are as they were, or made by up."""
        to, kind = (pair.to, pair.change.type) if pair else (column.name, None)
        can = []
        if column.numbered and FAMILIES[column.family].keyed and not column.big and not table.partition and (not pair or pair.keeps):
            can.append("unique")
        if kind is None and FAMILIES[column.family].checks:
            can.append("check")
        if column.parent and not column.beside and not column.mate and (not pair or pair.keeps):
            can.append("references")
        if not can:
            return False
        what = self.dice.choice(can)
        name = self.name(f"alters_{what}")
        made = getattr(self, "bind_" + what)(column, to, name, body)
        if made is None:
            return False
        names.append(name)
        plain.append(f"ALTER TABLE {table.sql_name} ADD CONSTRAINT {ident(name)} {made}")
        return True

    def bind_unique(self, _column, to, name, body):
        body["unique"] = {"name": name}
        more = self.deferral(body["unique"])
        return f"UNIQUE ({ident(to)}){more}"

    def bind_check(self, column, to, name, body):
        check = self.dice.choice(FAMILIES[column.family].checks)
        made = check.format(c=ident(to))
        body["check"] = {"name": name, "constraint": made}
        return f"CHECK ({made})"

    def bind_references(self, column, to, name, body):
        theirs = self.now(column.parent, column.parent.id)
        if theirs is None:
            return None
        body["references"] = {"name": name, "table": column.parent.name, "column": theirs}
        return (f"FOREIGN KEY ({ident(to)}) REFERENCES {column.parent.sql_name} ({ident(theirs)})"
                + self.behaviour(body["references"]))

    # ---- in place ----

    def alter_default(self, table):
        column = self.simple(table)
        if column is None:
            return None
        literal = self.dice.choice([v for v in column.pool if v is None or len(v) < 100])
        if literal is None and column.not_null:
            return None
        literal = self.dice.choice([literal, None]) if not column.not_null else literal
        action = "DROP DEFAULT" if literal is None else f"SET DEFAULT {quote(literal)}"
        return Op("alter_default", table, {"alter_column": {"table": table.name, "column": column.name,
                                                            "default": None if literal is None else quote(literal)}},
                  [f"ALTER TABLE {table.sql_name} ALTER {ident(column.name)} {action}"], [column.name], default=(column.name, literal))

    def alter_comment(self, table):
        column = self.column(table)
        if column is None:
            return None
        text = self.dice.choice(["x", "it's", None])
        return Op("alter_comment", table, {"alter_column": {"table": table.name, "column": column.name, "comment": text}},
                  [f"COMMENT ON COLUMN {table.sql_name}.{ident(column.name)} IS {quote(text)}"], [column.name])

    def alter_nullable(self, table):
        column = self.column(table, lambda c: c is not table.id and not c.part and (c.not_null or None not in c.pool))
        if column is None:
            return None
        where = f"ALTER TABLE {table.sql_name} ALTER {ident(column.name)}"
        body = {"table": table.name, "column": column.name, "nullable": column.not_null}
        if column.not_null:
            if self.dice.random() < 0.5:
                body["down"] = self.literal(column)
            return Op("alter_nullable", table, {"alter_column": body}, [f"{where} DROP NOT NULL"], [column.name], freed=column.name)
        return Op("alter_nullable", table, {"alter_column": body}, [f"{where} SET NOT NULL"], [column.name], not_null=column.name)

    def alter_bound(self, table):
        """A constraint of a column that stays as it is, with something else in place."""
        column = self.column(table, lambda c: (table.name, c.name) not in self.moved)
        if column is None:
            return None
        body, plain, names = {"table": table.name, "column": column.name}, [], [column.name]
        if not self.bind(table, column, body, plain, names):
            return None
        if self.dice.random() < 0.4:
            body["comment"] = "bound"
            plain.append(f"COMMENT ON COLUMN {table.sql_name}.{ident(column.name)} IS 'bound'")
        self.named.add((table.name, column.name))
        return Op("alter_bound", table, {"alter_column": body}, plain, names)

    # ---- split and merged ----

    def change_columns(self, table):
        """Texts to texts."""
        how = self.dice.choice(SPLITS)
        families = ("text",) if how == "two to two" else ("text", "varchar")  # what does not fit is an error, and no cast
        want = lambda c: c.family in families and not c.not_null and c.default is None
        olds = [self.simple(table, want, moves=True) for _ in range(how.startswith("two") + 1)]
        if None in olds:
            return None
        news = [self.new_name(table) for _ in range(how.endswith("two") + 1)]
        c, n = [ident(column.name) for column in olds], [ident(name) for name in news]
        if how == "one to two":
            pools = ("", "x"), ("", "yz", "ü")
            up = [f"left({c[0]}, 1)", f"substr({c[0]}, 2)"]
            down = [f"coalesce({n[0]}, '') || coalesce({n[1]}, '')"]
        elif how == "two to one":
            pools = (("a|b", "|", "x|"),)
            up = [f"coalesce({c[0]}, '') || '|' || coalesce({c[1]}, '')"]
            down = [f"split_part({n[0]}, '|', 1)", f"substr({n[0]}, length(split_part({n[0]}, '|', 1)) + 2)"]
        else:
            pools = ("", "a b"), ("0", "2", "17")
            up = [f"coalesce({c[0]}, '') || coalesce({c[1]}, '')", f"coalesce(length({c[0]}), 0)::text"]
            down = [f"left({n[0]}, {n[1]}::integer)", f"substr({n[0]}, {n[1]}::integer + 1)"]
        to = {name: self.part_of_split(how, pool) for name, pool in zip(news, pools)}
        return self.changed(table, dict(zip((o.name for o in olds), down)), to, dict(zip(news, up)))

    def part_of_split(self, how, pool):
        """(type, pool, not_null, default)"""
        strict = how != "one to two" and self.dice.random() < 0.5
        return "text", pool, strict, self.dice.choice(pool) if self.dice.random() < 0.25 else None

    def changed(self, table, down, to, up):
        body = {"table": table.name, "from": list(down), "up": up, "down": down, "to": []}
        plain, where = [], f"ALTER TABLE {table.sql_name}"
        for name, (kind, _pool, strict, default) in to.items():
            one = {"name": name, "type": kind, "nullable": not strict}
            text = f"{where} ADD COLUMN {ident(name)} {kind}"
            if default is not None:
                one["default"] = quote(default)
                text += f" DEFAULT {quote(default)}"
            plain.append(text + " NOT NULL" * strict)
            if self.dice.random() < 0.2:
                one["comment"] = "a part"
                plain.append(f"COMMENT ON COLUMN {table.sql_name}.{ident(name)} IS 'a part'")
            body["to"].append(one)
        plain += [f"{where} DROP COLUMN {ident(n)}" for n in down]
        if any("GRANT" in text for n in down for text in table.column(n).attributes):  # the new ones get what the old ones had
            plain += [f"GRANT SELECT ({ident(n)}), UPDATE ({ident(n)}) ON {table.sql_name} TO reader" for n in to]
        return Op("change_columns", table, {"change_columns": body}, plain, [*down, *to], group={"to": to, "up": up, "down": down})

    # ---- columns that come and go ----

    def add_column(self, table):
        return getattr(self, "add_" + self.dice.choice(["valued"] * 6 + ["unique", "bound", "serial", "computed", "key", "of_made_type"]))(table)

    def added(self, table, column, words, added=None, more=(), truths=()):
        """words: behind the type, in plain DDL."""
        name = column["name"]
        body = {"table": table.name, "column": column}
        if added and added["up"]:
            body["up"] = added["up"]
        plain = [f"ALTER TABLE {table.sql_name} ADD COLUMN {ident(name)} {column['type']}{words}", *more]
        if self.dice.random() < 0.2:
            column["comment"] = "added"
            plain.append(f"COMMENT ON COLUMN {table.sql_name}.{ident(name)} IS 'added'")
        return Op("add_column", table, {"add_column": body}, plain, [name], added=added, truths=list(truths))

    @staticmethod
    def slot(name, kind, pool, **more):
        return {"name": name, "type": kind, "pool": pool, "family": None, "up": None, "reads": [], "default": None, "instant": None,
                "not_null": False, **more}

    def some_family(self, want=lambda facts: True):
        return self.dice.choice([f for f, facts in FAMILIES.items() if (not facts.needs or facts.needs in self.schema.types) and want(facts)])

    def add_valued(self, table):
        dice = self.dice
        family = self.some_family()
        kind = FAMILIES[family].type
        column = {"name": self.new_name(table), "type": kind, "nullable": dice.random() < 0.6}
        pool = [v for v in FAMILIES[family].pool if len(v) < 1000]
        added, words = self.slot(column["name"], kind, pool), ""
        how = dice.choice(["default", "default", "up", "both", "nothing"])
        if how in ("default", "both"):
            added["default"] = dice.choice(pool)
            column["default"] = quote(added["default"])
            words += f" DEFAULT {quote(added['default'])}"
        if how in ("up", "both"):
            source = self.column(table, lambda c: not c.big) or table.id
            added["up"] = self.up_for(source, family, pool)
            added["reads"] = [source.name] if ident(source.name) in added["up"] else []
        if how == "nothing":
            column["nullable"] = True
        added["not_null"] = not column["nullable"]
        if how == "default":
            added["instant"] = added["default"]
        return self.added(table, column, words + " NOT NULL" * added["not_null"], added)

    def up_for(self, source, family, pool):
        name = ident(source.name)
        if family == "text":
            return f"coalesce({name}::text, 'nothing')"
        if family == "integer":
            return f"coalesce(length({name}::text), 0)"
        if family == "boolean":
            return f"{name} IS NULL"
        return f"{quote(self.dice.choice(pool))}::{FAMILIES[family].type}"

    def add_unique(self, table):
        """Who knows it writes another value each time; else it is NULL, or made of the key."""
        name = self.new_name(table)
        family = self.some_family(lambda facts: facts.number and facts.keyed)
        column = {"name": name, "type": FAMILIES[family].type, "nullable": True, "unique": True}
        added = self.slot(name, column["type"], None, family=family)
        if table.partition:
            return None
        if family == "text" and (table.name, table.id.name) not in self.taken:
            self.taken.add((table.name, table.id.name))
            column["nullable"], added["not_null"] = False, True
            added["up"], added["reads"] = f"'of ' || {ident(table.id.name)}::text", [table.id.name]
        words = " NOT NULL" * added["not_null"] + " UNIQUE"
        if self.dice.random() < 0.5:
            column["unique"] = {"name": self.name("only")}
            words = " NOT NULL" * added["not_null"] + f" CONSTRAINT {ident(column['unique']['name'])} UNIQUE"
            words += self.deferral(column["unique"])
        return self.added(table, column, words, added)

    def add_bound(self, table):
        """With a check, or a foreign key."""
        name = self.new_name(table)
        parents = [t for t in self.schema.tables if t.referable]
        if parents and self.dice.random() < 0.5:
            parent = self.dice.choice(parents)
            theirs = self.now(parent, parent.id)
            if theirs is None or parent.part:
                return None
            kind = FAMILIES[parent.id.family].type
            column = {"name": name, "type": kind, "nullable": True,
                      "references": {"name": self.name("refers"), "table": parent.name, "column": theirs}}
            words = (f" CONSTRAINT {ident(column['references']['name'])} REFERENCES {parent.sql_name} ({ident(theirs)})"
                     + self.behaviour(column["references"]))
            return self.added(table, column, words, self.slot(name, kind, [parent.id_literal(n) for n in range(1, 6)]))
        family = self.some_family(lambda facts: facts.checks)
        pool, check = [v for v in FAMILIES[family].pool if len(v) < 1000], self.dice.choice(FAMILIES[family].checks).format(c=ident(name))
        added = self.slot(name, FAMILIES[family].type, pool)
        added["default"] = added["instant"] = self.dice.choice(pool)
        column = {"name": name, "type": added["type"], "nullable": True, "default": quote(added["default"]),
                  "check": {"name": self.name("holds"), "constraint": check}}
        no_inherit = not table.partition and self.dice.random() < 0.3
        if no_inherit:
            column["check"]["no_inherit"] = True
        return self.added(table, column, f" DEFAULT {quote(added['default'])}", added, [
            f"ALTER TABLE {table.sql_name} ADD CONSTRAINT {ident(column['check']['name'])} CHECK ({check})" + " NO INHERIT" * no_inherit])

    def add_serial(self, table):
        """The server numbers all rows: the oracle only knows that they differ."""
        name, kind = self.new_name(table), self.dice.choice(SERIALS)
        column, words = {"name": name, "type": kind, "nullable": False}, ""
        if table.key == "none" and not table.partition and self.takes_key(table):
            column["pk"], words = True, " PRIMARY KEY"
        counted = f"SELECT count(*) = count(DISTINCT {ident(name)}) FROM {{}}"
        usage = USAGE.format(table=quote(table.sql_name), column=quote(name))
        return self.added(table, column, words, more=[usage], truths=[counted])

    def add_computed(self, table):
        """A virtual column."""
        source = self.column(table, lambda c: not c.big and c.family in ("text", "varchar", "integer", "bigint"), moves=True)
        if source is None or self.version < 18:
            return None
        self.named.add((table.name, source.name))
        name, expression = self.new_name(table), f"length({ident(source.name)}::text)"
        column = {"name": name, "type": "integer", "nullable": True, "generated": {"expression": expression, "virtual": True}}
        return self.added(table, column, f" GENERATED ALWAYS AS ({expression}) VIRTUAL",
                          truths=[f"SELECT count(*) = 0 FROM {{}} WHERE {ident(name)} IS DISTINCT FROM {expression}"])

    def add_key(self, table):
        """The key of a table that has none."""
        if table.key not in ("none", "unique") or table.partition or (table.name, table.id.name) in self.taken or not self.takes_key(table):
            return None
        self.taken.add((table.name, table.id.name))
        name = self.new_name(table)
        column = {"name": name, "type": "text", "nullable": False, "pk": True}
        added = self.slot(name, "text", None, family="text", not_null=True, up=f"'of ' || {ident(table.id.name)}::text", reads=[table.id.name])
        return self.added(table, column, " PRIMARY KEY", added)

    def add_of_made_type(self, table):
        """Of an enum that the same file makes."""
        free = [op for op in self.enums if op.table is None]
        if not free:
            return None
        made = self.dice.choice(free)
        self.needs.append(made)
        body = made.json["create_enum"]
        name, kind = self.new_name(table), ident(body["name"])
        column = {"name": name, "type": kind, "nullable": True}
        return self.added(table, column, "", self.slot(name, kind, list(body["values"])))

    def drop_column(self, table):
        column = self.column(table, lambda c: c is not table.id and not c.part, moves=True)
        if column is None:
            return None
        body, going = {"table": table.name, "column": column.name}, {"name": column.name, "down": None, "reads": []}
        if not column.numbered and not column.parent and (column.not_null and column.default is None or self.dice.random() < 0.4):
            body["down"] = going["down"] = self.literal(column)
            if column.family == "text" and self.dice.random() < 0.5 and table.id.family != "text":
                body["down"] = going["down"] = f"'of ' || {ident(table.id.name)}"
                going["reads"] = [table.id.name]
                if (table.name, table.id.name) in self.taken:
                    return None
                self.taken.add((table.name, table.id.name))
        return Op("drop_column", table, {"drop_column": body},
                  [f"ALTER TABLE {table.sql_name} DROP COLUMN {ident(column.name)}"], [column.name], going=going)

    # ---- a check that rows do not meet: `up` mends them ----

    def create_constraint_up(self, table):
        column = self.simple(table, lambda c: c.family in ("text", "varchar", "integer") and c.default is None, moves=True)
        if column is None:
            return None
        name, bad, good = self.name("meets"), *{"integer": ("1", "2")}.get(column.family, ("a", "b"))
        c = ident(column.name)
        check = f"{c} <> {quote(bad)}"
        up = f"CASE WHEN {c} = {quote(bad)} THEN {quote(good)} ELSE {c} END"
        pair = Pair(column, column.name, Change("mend", None, up.replace("{", "{{"), c.replace("{", "{{"), same=True),
                    FAMILIES[column.family].type, column.not_null, KEEP, bad)
        body = {"table": table.name, "name": name, "type": "check", "columns": [column.name], "check": check,
                "up": {column.name: up}, "down": {column.name: c}}
        return Op("create_constraint_up", table, {"create_constraint": body},
                  [f"ALTER TABLE {table.sql_name} ADD CONSTRAINT {ident(name)} CHECK ({check})"], [name, column.name], pair=pair)
