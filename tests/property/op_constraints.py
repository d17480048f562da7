"""Operations on what is over columns: indexes, constraints, the replica identity."""

from property.op import ACTIONS, Base, Op
from property.schema import columns_of
from property.values import FAMILIES, ident

COLLATIONS = ("C", "pg_catalog.default")
TEXTS = ("text", "varchar")
# operator classes that no literal of a type minds
CLASSES = {"text": "text_pattern_ops", "varchar": "varchar_pattern_ops", "integer": "int4_ops", "bigint": "int8_ops", "uuid": "uuid_ops",
           "boolean": "bool_ops", "date": "date_ops"}
STORAGE = {"btree": ("fillfactor = 60", "deduplicate_items = off", "fillfactor = 80, deduplicate_items = on"), "hash": ("fillfactor = 50",),
           "gin": ("fastupdate = off",), "brin": ("pages_per_range = 16",)}


class Constraints(Base):
    # ---- indexes ----

    def create_index(self, table):
        dice, name = self.dice, self.name("nix")
        body = {"name": name, "table": table.name}
        method, columns = self.what_to_index(table, body)
        names = self.nows(table, columns)
        if names is None:
            return None
        keys, texts = {}, []
        for column, its in zip(columns, names):
            keys[its], text = self.key(table, column, method)
            texts.append(ident(its) + text)
        if not any(keys.values()):
            body["columns"] = names
        else:  # as a list, or as pgroll's older object
            body["columns"] = keys if dice.random() < 0.5 else [{"column": n, **more} if more else n for n, more in keys.items()]
        tail = ""
        if dice.random() < 0.3:
            body["storage_parameters"] = dice.choice(STORAGE[method])
            tail += f" WITH ({body['storage_parameters']})"
        if dice.random() < 0.3:
            body["predicate"] = f"{ident(names[0])} IS NOT NULL"
            tail += f" WHERE {body['predicate']}"
        if method != "btree":
            body["method"] = method
        unique = "UNIQUE " if body.get("unique") else ""
        return Op("create_index", table, {"create_index": body},
                  [f"CREATE {unique}INDEX {ident(name)} ON {table.sql_name} USING {method} ({', '.join(texts)}){tail}"], [name])

    def what_to_index(self, table, body):
        """(method, columns)"""
        dice, small = self.dice, self.small(table)
        gins = [c for c in table.columns if c.tracked and FAMILIES[c.family].gin]
        if dice.random() < 0.35:
            body["unique"] = True
            return "btree", self.unique_columns(table)
        if gins and dice.random() < 0.3:
            return "gin", [dice.choice(gins)]
        plain = [c for c in small if c.family in ("integer", "bigint", "date", "text", "uuid")]
        if plain and dice.random() < 0.2:
            return dice.choice(["hash", "brin"]), [dice.choice(plain)]
        return "btree", dice.sample(small, min(len(small), dice.choice([1, 1, 2])))

    def key(self, table, column, method):
        """(fields, text) of one key."""
        dice, out, text = self.dice, {}, ""
        moved = self.moved.get((table.name, column.name))
        known = CLASSES.get(column.family) if not (moved and moved.pair.change.type) else None
        if column.family in TEXTS and method == "btree" and dice.random() < 0.25:
            out["collate"] = dice.choice(COLLATIONS)
            text += " COLLATE " + ".".join(map(ident, out["collate"].split(".")))
        if known and method == "btree" and dice.random() < 0.25:
            out["opclass"] = {"name": known}
        if column.family == "jsonb" and method == "gin" and dice.random() < 0.5:
            out["opclass"] = {"name": "jsonb_path_ops"}
        if "opclass" in out:
            text += f" {out['opclass']['name']}"
        if method != "btree":
            return out, text
        if dice.random() < 0.3:
            out["sort"] = dice.choice(["ASC", "DESC"])
            text += f" {out['sort']}"
        if dice.random() < 0.2:
            out["nulls"] = dice.choice(["FIRST", "LAST"])
            text += f" NULLS {out['nulls']}"
        return out, text

    def drop_index(self, table):
        free = [i for i in table.indexes if ("index", i.name) not in self.taken]
        if table.key == "unique":  # what an upsert needs stays
            free = [i for i in free if i is not table.indexes[0]]
        if not free:
            return None
        index = self.dice.choice(free)
        self.taken.add(("index", index.name))
        return Op("drop_index", table, {"drop_index": {"name": index.name}}, [f"DROP INDEX {ident(index.name)}"], [index.name])

    # ---- constraints ----

    def create_constraint(self, table):
        kind = self.dice.choice(["unique", "unique", "check", "check", "foreign_key", "foreign_key", "primary_key"])
        name = self.name("new_" + kind)
        body = {"table": table.name, "name": name, "type": kind}
        made = getattr(self, "new_" + kind)(table, body)
        if made is None:
            return None
        return Op("create_constraint", table, {"create_constraint": body},
                  [f"ALTER TABLE {table.sql_name} ADD CONSTRAINT {ident(name)} {made}"], [name])

    def index_parameters(self, table, columns, body):
        """What the index of a constraint has beside its keys."""
        dice, more, text = self.dice, {}, ""
        others = [c for c in self.small(table) if c not in columns]
        if others and dice.random() < 0.2:
            names = self.nows(table, [dice.choice(others)])
            if names:
                more["include_columns"] = names
                text += f" INCLUDE ({columns_of(names)})"
        if dice.random() < 0.2:
            more["storage_parameters"] = "fillfactor = 70"
            text += " WITH (fillfactor = 70)"
        if more:
            body["index_parameters"] = more
        return text

    def new_unique(self, table, body):
        columns = self.unique_columns(table)
        body["columns"] = self.nows(table, columns)
        if body["columns"] is None:
            return None
        distinct = ""
        if columns[0].not_null and self.dice.random() < 0.3:
            body["nulls_not_distinct"], distinct = True, " NULLS NOT DISTINCT"
        text = f"UNIQUE{distinct} ({columns_of(body['columns'])})" + self.index_parameters(table, columns, body)
        # over the columns of a key a DEFERRABLE one ends each ON CONFLICT of them, as `plan` says
        keyed = {c.name for c in columns} == {c.name for c in [table.id, *table.bound()]}
        return text + ("" if keyed else self.deferral(body))

    def new_check(self, table, body):
        column = self.dice.choice([c for c in table.columns if c.tracked])
        checks = FAMILIES[column.family].checks
        name = self.now(table, column) if checks else None
        if name is None:
            return None
        body["check"] = self.dice.choice(checks).format(c=ident(name))
        body["columns"] = [name]
        if not table.partition and self.dice.random() < 0.2:
            body["no_inherit"] = True
            return f"CHECK ({body['check']}) NO INHERIT"
        return f"CHECK ({body['check']})"

    def new_foreign_key(self, table, body):
        loose = [c for c in table.columns if c.parent and not c.beside]
        if not loose:
            return None
        column = self.dice.choice(loose)
        ours, theirs = table.link(column)
        body["columns"], names = self.nows(table, ours), self.nows(column.parent, theirs)
        if body["columns"] is None or names is None:
            return None
        references = body["references"] = {"table": column.parent.name, "columns": names}
        text = f"FOREIGN KEY ({columns_of(body['columns'])}) REFERENCES {column.parent.sql_name} ({columns_of(names)})"
        if not column.mate:
            text += self.behaviour(references, body)
        elif self.dice.random() < 0.6:
            references["on_delete"] = self.dice.choice(ACTIONS)
            text += f" ON DELETE {references['on_delete']}"
        if references.get("on_delete", "").startswith("SET") and " ON UPDATE" not in text and "DEFERRABLE" not in text and self.dice.random() < 0.6:
            references["on_delete_set_columns"] = [self.dice.choice(body["columns"])]
            text += f" ({columns_of(references['on_delete_set_columns'])})"
        return text

    def new_primary_key(self, table, body):
        if table.key not in ("none", "unique") or not self.takes_key(table):
            return None
        columns = [table.id] + [c for c in table.bound() if c is not table.id]
        body["columns"] = self.nows(table, columns)
        if body["columns"] is None:
            return None
        return f"PRIMARY KEY ({columns_of(body['columns'])})" + self.index_parameters(table, columns, body)

    def constraint(self, table, want):
        free = [c for c in table.constraints if ("constraint", c.name) not in self.taken and want(c)]
        if not free:
            return None
        constraint = self.dice.choice(free)
        self.taken.add(("constraint", constraint.name))
        return constraint

    def drop_constraint(self, table):
        constraint = self.constraint(table, lambda c: c.kind in ("check", "foreign_key", "unique", "exclude"))
        if constraint is None:
            return None
        many = len(constraint.columns) > 1 or self.dice.random() < 0.2
        body = {"table": table.name, "name": constraint.name}
        if constraint.kind == "check" and self.dice.random() < 0.5:
            column = table.column(constraint.columns[0])
            if column is not table.id and not column.part:
                body["down"] = {column.name: self.literal(column)} if many else self.literal(column)
        kind = "drop_multicolumn_constraint" if many else "drop_constraint"
        return Op(kind, table, {kind: body}, [f"ALTER TABLE {table.sql_name} DROP CONSTRAINT {ident(constraint.name)}"], [constraint.name])

    def rename_constraint(self, table):
        constraint = self.constraint(table, lambda c: True)
        if constraint is None:
            return None
        name = self.name("renamed")
        return Op("rename_constraint", table, {"rename_constraint": {"table": table.name, "from": constraint.name, "to": name}},
                  [f"ALTER TABLE {table.sql_name} RENAME CONSTRAINT {ident(constraint.name)} TO {ident(name)}"], [constraint.name])

    # ---- the replica identity ----

    def set_replica_identity(self, table):
        if ("identity", table.name) in self.taken:
            return None
        self.taken.add(("identity", table.name))
        identity = self.identity(table)
        text = f"USING INDEX {ident(identity['index'])}" if "index" in identity else identity["type"].upper()
        return Op("set_replica_identity", table, {"set_replica_identity": {"table": table.name, "identity": identity}},
                  [f"ALTER TABLE {table.sql_name} REPLICA IDENTITY {text}"], [table.name, identity.get("index", table.name)])

    def identity(self, table):
        if self.dice.random() < 0.5:
            names = [x.name for x in table.constraints + table.indexes if x.identity]
            fit = [op for op in self.uniques if op.table is table]
            if fit and (not names or self.dice.random() < 0.7):
                op = self.dice.choice(fit)
                self.needs.append(op)
                return {"type": "index", "index": op.names[0]}
            if names:
                return {"type": "index", "index": self.dice.choice(names)}
        return {"type": self.dice.choice(["full", "default"] + ["nothing"] * (not table.published))}

    @staticmethod
    def may_identify(op, table):
        """Is it an index that a replica identity may use?"""
        body = op.json.get("create_index") or op.json.get("create_constraint")
        keys = body["columns"] if isinstance(body["columns"], list) else list(body["columns"])
        strict = {c.name for c in table.columns if c.not_null}
        return ("create_index" in op.json and body.get("unique") and "predicate" not in body
                or body.get("type") in ("unique", "primary_key") and "deferrable" not in body) and all(
            (key["column"] if isinstance(key, dict) else key) in strict for key in keys)
