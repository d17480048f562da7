"""What the generator draws from: types with texts for their input functions, and expressions.

The first texts of a type are valid, the last ones (in BAD) are not. Nothing here depends on the time,
the oid counter, the process or the locale.
"""

TYPES = {
    "bool": ["t", "false", "yes", "0"],
    "int2": ["0", "-32768", "32767", " 12 "],
    "int4": ["0", "-2147483648", "2147483647", "007"],
    "int8": ["0", "-9223372036854775808", "9223372036854775807", "42"],
    "numeric": ["0", "-1.50", "12345678901234567890.0123456789", "NaN", "Infinity", "1e-20"],
    "numeric(6,2)": ["0", "1234.555", "-9999.99"],
    "float4": ["0", "-1.5", "3.4e38", "NaN", "-Infinity"],
    "float8": ["-0", "1e308", "0.1", "Infinity"],
    "money": ["$1.00", "-12.34", "0"],
    "text": ["", "a", "it''s", "tab\\t", "ünï", "x y"],
    "varchar(4)": ["", "ab", "abcd"],
    "char(4)": ["", "ab", "abcd"],
    "name": ["", "pg_class", "a name"],
    '"char"': ["", "a", "\\\\101"],
    "bytea": ["", "\\\\x00ff", "abc", "\\\\001\\\\002"],
    "date": ["2024-02-29", "0001-01-01 BC", "infinity", "1999/12/31"],
    "time": ["00:00", "23:59:59.999999", "24:00:00", "04:05 PM"],
    "timetz": ["00:00+00", "12:34:56.789-08", "23:59:60+05:30"],
    "timestamp": ["2024-02-29 12:34:56.789", "-infinity", "0044-03-15 12:00 BC"],
    "timestamptz": ["2024-02-29 12:34:56+02", "infinity", "2024-07-01 America/New_York"],
    "interval": ["0", "1 year 2 mons 3 days 04:05:06.7", "-1 day", "P1Y2M3DT4H5M6S", "1 century ago"],
    "interval day to second": ["1 12:00", "2 days"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "{a0eebc999c0b4ef8bb6d6bb9bd380a11}"],
    "json": ["null", "{\"a\": 1, \"a\": [true, 2.50]}", "\"\\u00e9\"", "[]"],
    "jsonb": ["null", "{\"b\": 1, \"a\": [true, 2.50], \"b\": 3}", "\"\\u00e9\"", "[1, {\"k\": null}]"],
    "jsonpath": ["$", "$.a[*] ? (@ > 1)", "lax $.b.size()"],
    "xml": ["<a/>", "<a b=\"c\">d</a>", "text only"],
    "inet": ["127.0.0.1", "10.1.2.3/8", "::1", "2001:db8::/32"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03", "0800.2b01.0203"],
    "macaddr8": ["08:00:2b:01:02:03:04:05", "08002b010203"],
    "point": ["(1,2)", "0,0", "(1e300,-1)"],
    "line": ["{1,2,3}", "[(0,0),(1,1)]"],
    "lseg": ["[(0,0),(1,1)]", "1,2,3,4"],
    "box": ["(1,1),(0,0)", "((0,0),(2,3))"],
    "path": ["[(0,0),(1,1),(2,0)]", "((0,0),(1,1),(2,0))"],
    "polygon": ["((0,0),(1,1),(2,0))", "(0,0)"],
    "circle": ["<(0,0),1>", "((1,2),3)"],
    "bit(3)": ["101", "000", "x7"],
    "varbit": ["", "1", "10110", "xff"],
    "tsvector": ["a:1A b:2 ''c d''", "", "fat cat"],
    "tsquery": ["a & !b | c:*", "", "''x y'' <-> z"],
    "int4range": ["[1,5)", "empty", "(,)", "[3,3]"],
    "int8range": ["[1,)", "(,-1]"],
    "numrange": ["[1.5,2.5]", "(,0)"],
    "tsrange": ["[2020-01-01,2021-01-01)", "empty"],
    "tstzrange": ["[2020-01-01 00:00+00,)", "(,infinity]"],
    "daterange": ["[2020-01-01,2020-01-31]", "(2020-01-01,)"],
    "int4multirange": ["{}", "{[1,3),[5,7)}", "{[1,4),[2,8)}"],
    "nummultirange": ["{[1.1,2.2]}", "{(,)}"],
    "datemultirange": ["{[2020-01-01,2020-02-01),[2020-03-01,2020-04-01)}"],
    "int4[]": ["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={7,8}"],
    "text[]": ["{}", "{a,\"b c\",NULL,\"NULL\"}", "{\"\\\\\"\"}"],
    "int2vector": ["", "1 2 3"],
    "oidvector": ["1 2"],
    "oid": ["0", "4294967295", "26"],
    "xid8": ["0", "18446744073709551615"],
    "pg_lsn": ["0/0", "16/B374D848"],
    "tid": ["(0,1)", "(4294967295,65535)"],
    "regclass": ["pg_class", "pg_catalog.pg_type"],
    "regtype": ["int4", "timestamp with time zone", "text[]"],
    "regproc": ["now", "pg_catalog.lower"],
    "regprocedure": ["abs(int4)", "pg_catalog.now()"],
    "regoper": ["||/", "pg_catalog.!~~*"],
    "regoperator": ["+(int4,int4)", "-(none,int4)"],
    "regrole": ["postgres"],
    "regnamespace": ["pg_catalog"],
    "regconfig": ["english", "simple"],
    "txid_snapshot": ["10:20:10,14,15"],
    "aclitem": ["=r/postgres", "postgres=arwdDxt/postgres"],
}

# Texts that most input functions refuse; given to every type.
BAD = ["nonsense", "99999999999999999999999999", "{1,2", "(1,2", "[1", "1 2 3 x", "\\\\x0", "2024-13-45 25:61"]

# Operators by what they take; tried between texts of one type.
OPERATORS = ["=", "<>", "<", ">=", "||", "+", "-", "*", "/", "%", "&", "@>", "<@", "&&", "#", "->", "->>", "#>>", "?",
             "~", "~~", "!~*", "<<", "-|-", "@@", "<->", "^", "IS DISTINCT FROM", "@?"]

# One argument each, tried on a value of every type.
FUNCTIONS = ["length", "abs", "upper", "lower", "to_json", "to_jsonb", "quote_literal", "quote_nullable", "md5", "ascii",
             "char_length", "octet_length", "pg_typeof", "num_nulls", "concat", "isempty", "area", "host", "masklen",
             "family", "numnode", "strip", "array_ndims", "array_length", "cardinality", "jsonb_typeof", "json_typeof",
             "sign", "sqrt", "ln", "floor", "round", "trunc", "factorial", "gamma", "justify_hours", "date_part", "age",
             "to_hex", "chr", "reverse", "initcap", "unnest", "format_type", "pg_column_size", "hashtext", "cbrt",
             "to_tsvector", "plainto_tsquery", "regexp_split_to_array", "parse_ident", "encode", "center", "diameter",
             "isclosed", "npoints", "bit_count", "get_byte", "lower_inc", "upper_inf", "range_merge", "scale", "trim_scale"]

# Scalar expressions over nothing; the random queries are built of them.
INTS = ["0", "1", "-7", "a", "b", "a + b", "a % 3", "coalesce(b, 0)", "length(c)", "abs(a)", "a * 1000000000", "1 / a",
        "(SELECT max(x.a) FROM corpus_t x)", "CASE WHEN a > b THEN a ELSE b END", "position('x' IN c)", "b::int2",
        "nullif(a, 3)", "greatest(a, b, 5)", "extract(day FROM d)::int", "array_length(e, 1)"]
TEXTS = ["c", "'x'", "upper(c)", "a::text", "d::text", "c || a", "left(c, 2)", "format('%s-%I', a, c)", "lpad(c, 5, '*')",
         "f::text", "f ->> 'k'", "e[1]::text", "to_char(d, 'YYYY-MM-DD')", "to_char(a, '999G99')", "repeat(c, 2)",
         "split_part(c, '-', 2)", "md5(c)", "translate(c, 'abc', 'xyz')", "c COLLATE \"C\"",
         "regexp_replace(c, '[aeiou]', '#', 'g')", "quote_ident(c)", "encode(g, 'hex')", "substr(c, -1, 3)"]
CONDITIONS = ["a > 3", "b IS NULL", "c LIKE 'r%'", "d < '2024-06-01'", "e @> ARRAY[2]", "f ? 'k'", "a IN (1, 2, 3)",
              "a BETWEEN b AND 9", "c ~ '^[a-z]+-[0-9]$'", "NOT (a = b)", "EXISTS (SELECT FROM corpus_u u WHERE u.ref = t.a)",
              "f @> '{\"k\": 1}'", "a = ANY (e)", "(a, b) < (5, 5)", "c IS NOT DISTINCT FROM 'row-1'", "a / b > 0",
              "length(c) = 5", "true", "g = '\\x01'"]
