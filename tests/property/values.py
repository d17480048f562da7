"""Types of columns: literals that writers use, and what a migration may make of them.

A literal is the text between quotes of a constant, None is NULL. An expression has {c} for the column; `down` is over
the new half, `up` over the old one.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """What may become of a column's values.

    type: the new one, None: as it was. up, down None: left out of the file, which means a cast (or nothing at all).
    same: each literal is one of both types, so the column may keep its name. once: different values stay different.
    keeps: the text of a value stays as it is (keys are known by their text).
    """

    kind: str
    type: str = None
    up: str = None
    down: str = None
    same: bool = False
    once: bool = False
    keeps: bool = False


@dataclass(frozen=True)
class Family:
    type: str
    pool: tuple
    changes: tuple = ()
    checks: tuple = ()  # true for every literal of the pool
    number: str = None  # a literal from a number, for columns whose values are all different
    keyed: bool = True  # btree knows it
    gin: bool = False
    needs: str = None  # a type of the schema: "enum", "domain", "composite", or an extension


def huge(n, size=12000):
    """Does not compress to nothing, so it is stored out of line."""
    text = ""
    while len(text) < size:
        text += hashlib.sha256(f"{n}/{len(text)}".encode()).hexdigest()
    return text[:size]


IDENTITY = Change("identity")


def cast(kind, **flags):
    return Change("cast", kind, **flags)


TEXTS = ("", "a", "A b", " lead", "it's", "back\\slash", "Grüße ✓", "line\nbreak", "NULL", '{"n": 1}', "x,y", "%s $1", huge(1))
SHORT = ("", "a", "A b", "it's", "Grüße", "NULL", "x,y")

FAMILIES = {
    "text": Family("text", TEXTS, (
        Change("cast", "varchar", same=True, once=True, keeps=True),
        Change("cast", "varchar(20000)", "{c}::varchar(20000)", "{c}::text", same=True, once=True, keeps=True),
        Change("loss", None, "upper({c})", "lower({c})", same=True),
        Change("loss", None, "btrim({c})", "{c}", same=True),
        Change("null", None, "nullif({c}, 'a')", "coalesce({c}, 'a')", same=True),
        Change("mend", None, "coalesce({c}, 'none')", "{c}", same=True),
        Change("mend", None, "coalesce({c}, 'none')", "nullif({c}, 'none')", same=True, once=True),
        Change("loss", "jsonb", "segue.json_or_wrap({c})", "segue.json_unwrap({c})"),
        Change("loss", "integer", "length({c})", "repeat('x', {c})"),
        Change("cast", "text[]", "string_to_array({c}, ',')", "array_to_string({c}, ',')"),
        Change("cast", "bytea", "convert_to({c}, 'UTF8')", "convert_from({c}, 'UTF8')", once=True),
        Change("loss", None, "CASE WHEN {c} = 'a' THEN 'b' ELSE {c} END", "{c}", same=True),
    ), ("length({c}) < 100000", "{c} IS DISTINCT FROM 'never'"), "n {}"),
    "varchar": Family("varchar(20)", SHORT, (
        Change("cast", "text", same=True, once=True, keeps=True),
        Change("cast", "varchar(40)", same=True, once=True, keeps=True),
        Change("cast", "varchar(60)", "{c}::varchar(60)", "{c}::varchar(20)", same=True, once=True, keeps=True),
        Change("loss", "varchar(2)", "left({c}, 2)", "{c}"),
        Change("null", None, "nullif({c}, '')", "coalesce({c}, '')", same=True),
    ), ("length({c}) <= 20", "{c} <> 'never'"), "v{}"),
    "char": Family("character(5)", ("", "a", "it's", "ab c"), (
        Change("cast", "text", "btrim({c})", "{c}::character(5)"),
        Change("cast", "varchar(5)", "btrim({c})", "{c}::character(5)"),
    ), ("{c} <> 'never'",)),
    "citext": Family("citext", ("", "a", "A", "Grüße"), (
        Change("cast", "text", same=True, once=True),
        Change("loss", None, "lower({c}::text)::citext", "{c}", same=True),
    ), ("length({c}::text) < 100",), "c{}", needs="citext"),
    "smallint": Family("smallint", ("0", "1", "-32768", "32767"), (
        cast("integer", same=True, once=True, keeps=True), cast("bigint", same=True, once=True, keeps=True),
        Change("null", None, "nullif({c}, 0::smallint)", "coalesce({c}, 0::smallint)", same=True),
    ), ("{c} > -40000",)),
    "integer": Family("integer", ("0", "1", "-7", "42", "2147483647", "-2147483648"), (
        cast("bigint", same=True, once=True, keeps=True),
        Change("cast", "bigint", "{c}::bigint", "{c}::integer", same=True, once=True, keeps=True),
        cast("numeric", same=True, once=True, keeps=True), cast("text", same=True, once=True, keeps=True),
        Change("cast", "numeric(12,2)", "{c} / 100.0", "({c} * 100)::integer", once=True),
        Change("loss", "boolean", "{c} <> 0", "{c}::integer"),
        Change("null", None, "nullif({c}, 0)", "coalesce({c}, 0)", same=True),
        Change("mend", None, "coalesce({c}, -1)", "nullif({c}, -1)", same=True, once=True),
        Change("mend", None, "coalesce({c}, 0)", "{c}", same=True),
        Change("loss", None, "{c} / 10", "{c}", same=True),
        Change("cast", "integer[]", "ARRAY[{c}]", "{c}[1]", once=True),
        Change("cast", "jsonb", "to_jsonb({c})", "({c} #>> '{{}}')::integer", once=True),
        Change("loss", "double precision", None, None, same=True, once=True),
    ), ("{c} IS DISTINCT FROM -1313", "{c} > -3000000000"), "{}"),
    "bigint": Family("bigint", ("0", "9", "-9223372036854775808", "9223372036854775807", "77"), (
        cast("numeric", same=True, once=True, keeps=True), cast("text", same=True, once=True, keeps=True),
        Change("mend", None, "greatest({c}, 0)", "{c}", same=True),
    ), ("{c} IS DISTINCT FROM -1313",), "{}"),
    "numeric": Family("numeric", ("0", "1.0", "1.00", "-3.14159", "NaN", "12345678901234567890.5"), (
        cast("text", same=True, once=True), Change("loss", "numeric(30,1)", "round({c}, 1)", "{c}"),
        Change("null", None, "nullif({c}, 0)", "coalesce({c}, 0)", same=True),
    ), ("{c} <> -1313",), "{}.5"),
    "money2": Family("numeric(12,2)", ("0", "1.10", "-3.14", "9999999999.99"), (
        Change("cast", "bigint", "({c} * 100)::bigint", "{c} / 100.0", once=True),
        cast("numeric(14,2)", same=True, once=True, keeps=True), cast("numeric", same=True, once=True, keeps=True),
        Change("cast", "numeric(20,4)", "{c}::numeric(20,4)", "{c}::numeric(12,2)", same=True, once=True),
    ), ("{c} > -100000",), "{}.25"),
    "double": Family("double precision", ("0", "-0", "NaN", "Infinity", "1.5", "1e300", "0.1"), (
        cast("text", same=True, once=True), Change("mend", None, "coalesce({c}, 0)", "{c}", same=True),
    ), ("{c} <> -1313",), "{}"),
    "boolean": Family("boolean", ("true", "false"), (
        Change("cast", "integer", "{c}::integer", "{c}::boolean", once=True), Change("identity2", None, "NOT {c}", "NOT {c}"),
        cast("text", once=True), Change("mend", None, "coalesce({c}, false)", "{c}", same=True),
        Change("null", None, "nullif({c}, false)", "coalesce({c}, false)", same=True),
    ), ("{c} IS NOT NULL OR {c} IS NULL",)),
    "timestamptz": Family("timestamp with time zone", (
        "2024-02-29 12:00:00.000001+00", "infinity", "-infinity", "1970-01-01 00:00:00+00", "0044-03-15 00:00:00+00 BC"), (
        Change("cast", "timestamp", "{c} AT TIME ZONE 'UTC'", "{c} AT TIME ZONE 'UTC'", once=True),
        Change("loss", "date", "({c} AT TIME ZONE 'UTC')::date", "({c}::timestamp) AT TIME ZONE 'UTC'"),
        Change("mend", None, "coalesce({c}, 'epoch'::timestamptz)", "nullif({c}, 'epoch'::timestamptz)", same=True),
    ), ("{c} IS DISTINCT FROM '1999-01-01 00:00:00+00'::timestamptz",)),
    "date": Family("date", ("2024-02-29", "infinity", "1970-01-01", "0001-01-01 BC"), (
        Change("cast", "timestamp", "{c}::timestamp", "{c}::date", once=True), cast("timestamp", same=True, once=True),
        Change("null", None, "nullif({c}, 'epoch'::date)", "coalesce({c}, 'epoch'::date)", same=True),
    ), ("{c} <> '1999-01-01'::date",)),
    "interval": Family("interval", ("1 mon", "30 days", "00:00:00", "-1 year 2 days 03:04:05.6"), (
        cast("text"),
    ), ("{c} < '1000 years'::interval",)),
    "jsonb": Family("jsonb", ("{}", "null", "[1, 2]", '{"a": {"b": "it\'s"}}', '"text"', '{"big": "' + huge(2, 4000) + '"}'), (
        cast("json", same=True, once=True), cast("text", same=True, once=True),
        Change("loss", "text", "{c} #>> '{{a,b}}'", "to_jsonb({c})"),
        Change("mend", None, "coalesce({c}, '{{}}'::jsonb)", "{c}", same=True),
        Change("cast", None, "jsonb_build_object('v', {c})", "{c} -> 'v'", once=True),
    ), ("jsonb_typeof({c}) <> 'never'",), '{{"n": {}}}', gin=True),
    "json": Family("json", ("{}", '{"a":1, "a":2}', " [1 , 2]", "null"), (
        Change("loss", "jsonb", None, None, same=True), cast("text", same=True, once=True),
        Change("mend", None, "coalesce({c}, '{{}}'::json)", "{c}", same=True),
    ), ("json_typeof({c}) <> 'never'",), '{{"n": {}}}', keyed=False),
    "uuid": Family("uuid", ("00000000-0000-0000-0000-000000000000", "5f0c1e9e-7d4f-4c3a-9c1e-0123456789ab"), (
        cast("text", same=True, once=True, keeps=True),
        Change("cast", "varchar(36)", "{c}::varchar(36)", "{c}::uuid", same=True, once=True, keeps=True),
    ), ("{c} IS DISTINCT FROM 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid",), "00000000-0000-4000-8000-{:012d}"),
    "text[]": Family("text[]", ("{}", "{a,b}", '{"it\'s",NULL}', "[2:3]={x,y}"), (
        Change("loss", "text", "array_to_string({c}, ',')", "string_to_array({c}, ',')"),
        Change("cast", "jsonb", "to_jsonb({c})", "translate({c}::text, '[]', '{{}}')::text[]"),
        cast("varchar[]", same=True, once=True), cast("text", same=True, once=True),
    ), ("cardinality({c}) < 50",), '{{n{}}}', gin=True),
    "integer[]": Family("integer[]", ("{}", "{1,NULL,3}", "{{1,2},{3,4}}"), (
        cast("bigint[]", same=True, once=True), cast("text", same=True, once=True), Change("loss", "integer", "{c}[1]", "ARRAY[{c}]"),
    ), ("cardinality({c}) < 50",), "{{{}}}", gin=True),
    "enum": Family("mood", ("sad", "ok", "it's fine"), (
        cast("text", same=True, once=True, keeps=True),
        Change("cast", "mood2", "{c}::text::mood2", "{c}::text::mood", same=True, once=True),
        Change("mend", None, "coalesce({c}, 'ok'::mood)", "{c}", same=True),
    ), ("{c} >= 'sad'::mood",), needs="enum"),
    "domain": Family("short_text", ("", "a", "it's"), (
        Change("cast", "text", "{c}::text", "{c}::short_text", same=True, once=True), cast("text", same=True, once=True),
    ), ("length({c}) < 100",), "d{}", needs="domain"),
    "plain_domain": Family("label_text", ("", "a", "it's"), (
        cast("text", same=True, once=True), Change("loss", None, "upper({c})::label_text", "{c}", same=True),
    ), ("length({c}) < 100",), "d{}", needs="domain"),
    "composite": Family("place", ('(1,"a b")', "(,)", '(2,"it\'s")'), (
        Change("cast", "text", "({c})::text", "({c})::place", same=True, once=True), Change("loss", "integer", "({c}).no", "ROW({c}, NULL)::place"),
    ), ("{c} IS NULL OR true",), "({},x)", needs="composite"),
    "bytea": Family("bytea", ("\\x", "\\x00ff", "\\x6974"), (
        Change("cast", "text", "encode({c}, 'hex')", "decode({c}, 'hex')", once=True),
    ), ("length({c}) < 100000",)),
    "inet": Family("inet", ("10.0.0.1", "::1", "192.168.0.0/16"), (
        cast("text", once=True), cast("cidr"),
    ), ("family({c}) IN (4, 6)",)),
    "range": Family("int4range", ("empty", "[1,5)", "(,)", "[7,)"), (
        cast("text", same=True, once=True),
    ), ("{c} IS DISTINCT FROM '[13,14)'::int4range",)),
    "bits": Family("bit varying(8)", ("", "0", "10101010"), (
        Change("cast", "bit varying(16)", "{c}::bit varying(16)", "{c}::bit varying(8)", same=True, once=True), cast("text", same=True, once=True),
    ), ("length({c}) <= 8",)),
    "point": Family("point", ("(0,0)", "(1.5,-2)"), (
        Change("cast", "text", "{c}::text", "{c}::point", once=True), Change("loss", "double precision", "{c}[0]", "point({c}, 0)"),
    ), ("{c}[0] < 1000",), keyed=False),
    "xml": Family("xml", ("<a/>", "<a>x &amp; y</a>"), (
        Change("cast", "text", "{c}::text", "{c}::xml", same=True, once=True),
    ), (), keyed=False),
    "tsvector": Family("tsvector", ("", "'a' 'b':2"), (cast("text", once=True),), (), gin=True),
}

# Types that belong to a schema; a case makes those that its columns have.
TYPES = {
    "enum": ("CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s fine')", "CREATE TYPE mood2 AS ENUM ('it''s fine', 'ok', 'sad', 'more')"),
    "domain": ("CREATE DOMAIN short_text AS text CHECK (length(VALUE) < 200)", "CREATE DOMAIN label_text AS text"),
    "composite": ("CREATE TYPE place AS (no integer, name text)",),
    "citext": (),
}

# A type in the words of the server, so that what a plan says can be compared.
KEYS = ("integer", "bigint", "uuid", "text")


def quote(value):
    """A literal as SQL."""
    if value is None:
        return "NULL"
    text = value.replace("'", "''")
    return f"E'{text}'".replace("\\", "\\\\") if "\\" in text else f"'{text}'"


def ident(name):
    return '"' + name.replace('"', '""') + '"'


def numbered(family, n):
    """The n-th of many different literals."""
    return FAMILIES[family].number.format(n)
