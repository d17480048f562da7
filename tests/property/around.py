"""What stands around a table: whether its rows outlive a crash, row security, views over it. Each table has dice of its own."""

import random

from property.values import FAMILIES, ident, quote

PROTECTED = 5  # the first rows: others refer to them, no writer has them, and policies may hide them


def dice_of(seed, what, name):
    return random.Random(f"{seed}/{what}/{name}")


def unlogged(seed, name, partition):
    return not partition and dice_of(seed, "unlogged", name).random() < 0.2


# ---- row security ----


def secure(seed, table, leaf):
    """Policies under which writers see all rows of their own. leaf: a partition, which may have security of its own."""
    dice = dice_of(seed, "security", table.name)
    if leaf and dice.random() < 0.15:
        table.leaf_secured = True
        table.after += [f"ALTER TABLE {ident(leaf)} {word} ROW LEVEL SECURITY" for word in dice.choice([("ENABLE",), ("ENABLE", "FORCE")])]
    if dice.random() >= 0.25:
        return
    table.secured = dice.choice(["enabled", "enabled", "forced"])
    table.after.append(f"ALTER TABLE {table.sql_name} ENABLE ROW LEVEL SECURITY")
    if table.secured == "forced":
        table.after.append(f"ALTER TABLE {table.sql_name} FORCE ROW LEVEL SECURITY")
    condition = dice.choice([hides, hides, holds, lambda *_: "true"])(dice, table)
    whom = dice.choice(["app", "PUBLIC"])
    for n, (what, using, checks) in enumerate(dice.choice([
            [("ALL", True, True)], [("ALL", True, False)],
            [("SELECT", True, False), ("INSERT", False, True), ("UPDATE", True, True), ("DELETE", True, False)]])):
        text = f" USING ({condition})" * using + f" WITH CHECK ({condition})" * checks
        table.after.append(f"CREATE POLICY {ident(f'who {n}')} ON {table.sql_name} FOR {what} TO {whom}{text}")
    if dice.random() < 0.3:
        table.after.append(f"CREATE POLICY \"not for all\" ON {table.sql_name} AS RESTRICTIVE FOR ALL TO reader USING (false)")


def hides(_dice, table):
    """The rows that nobody writes."""
    literals = ", ".join(quote(table.id_literal(n)) for n in range(1, PROTECTED + 1))
    return f"{ident(table.id.name)} <> ALL (ARRAY[{literals}]::{FAMILIES[table.id.family].type}[])"


def holds(dice, table):
    """True of every value that is written."""
    column = dice.choice([c for c in table.columns if c.tracked])
    checks = FAMILIES[column.family].checks
    return f"({dice.choice(checks).format(c=ident(column.name))}) IS NOT FALSE" if checks else "true"


# ---- views ----


def overlook(seed, table):
    """Views, on which others may stand."""
    dice = dice_of(seed, "views", table.name)
    if dice.random() >= 0.3:
        return
    columns = dice.sample([c for c in table.columns if c.tracked], min(2, len(table.columns)))
    shown = ", ".join(f"{ident(c.name)} AS {ident(f'shown {i}')}" for i, c in enumerate(columns))
    where = dice.choice(["", f" WHERE {ident(columns[0].name)} IS NOT NULL"])
    first, second = ident(f"{table.name[:40]} shown"), ident(f"{table.name[:40]} on top")
    if dice.random() < 0.3:
        table.after.append(f"CREATE MATERIALIZED VIEW {first} AS SELECT {shown} FROM {table.sql_name}{where}")
        if not columns[0].big and FAMILIES[columns[0].family].keyed:
            table.after.append(f"CREATE INDEX {ident(f'{table.name[:40]} shown by')} ON {first} (\"shown 0\")")
    else:
        table.after.append(f"CREATE VIEW {first} AS SELECT {shown} FROM {table.sql_name}{where}")
        if dice.random() < 0.3:
            table.after.append(f"COMMENT ON VIEW {first} IS 'what is shown'")
        if dice.random() < 0.3:
            table.after.append(f"GRANT SELECT ON {first} TO reader")
    if dice.random() < 0.4:
        table.after.append(f"CREATE VIEW {second} AS SELECT count(\"shown 0\") AS n FROM {first}")
