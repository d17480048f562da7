-- COPY TO
COPY checks TO STDOUT;

-- COPY TO with a header
COPY checks TO STDOUT WITH (FORMAT csv, HEADER);

-- COPY TO in binary
COPY archive TO STDOUT (FORMAT binary);

-- COPY TO of a table with quoted names
COPY "Order Lines" TO STDOUT CSV HEADER;

-- COPY TO of a table with a generated column
COPY readings TO STDOUT (FORMAT csv, HEADER);

-- COPY TO with a list
COPY checks (id, {claim}) TO STDOUT;

-- COPY TO of all types
COPY kinds TO STDOUT;

-- COPY TO of all types in binary
COPY kinds TO STDOUT (FORMAT binary);

-- COPY TO of a query
COPY (SELECT * FROM checks ORDER BY id) TO STDOUT (FORMAT csv, HEADER);

-- COPY TO of a query that writes
COPY (UPDATE words SET {title} = 'c' WHERE id = 1 RETURNING *) TO STDOUT;

-- COPY TO with a schema
COPY public.words TO STDOUT;

-- COPY FROM
COPY words FROM STDIN;
100	one
101	\N
\.

-- COPY FROM with a list
COPY archive (id, {claim}, run_id) FROM STDIN;
100	a claim	r
\.

-- COPY FROM in CSV with a header
COPY words FROM STDIN (FORMAT csv, HEADER);
id,anything
100,"two ""words"""
\.

-- COPY FROM with a header that must match
COPY words FROM STDIN (FORMAT csv, HEADER match);
id,{title}
\.

-- COPY FROM with too few columns
COPY archive FROM STDIN;
100	r	claim
\.

-- COPY FROM into a table with a generated column
COPY readings FROM STDIN;
60	s	1	2	mm
\.

-- COPY FROM into a partitioned table
COPY events FROM STDIN;
100	eu	copied	1.5
101	us	copied	2.5
\.

-- COPY FROM with FORCE_NULL
COPY words FROM STDIN (FORMAT csv, FORCE_NULL ({title}));
100,""
\.

-- COPY FROM with WHERE
COPY words FROM STDIN WHERE id > 100;
100	a
101	b
\.

-- COPY out in binary and in again
-- @again
COPY archive TO STDOUT (FORMAT binary);
DELETE FROM archive;
COPY archive FROM STDIN (FORMAT binary);

-- COPY all types out in binary and in again
-- @again
COPY kinds TO STDOUT (FORMAT binary);
DELETE FROM kinds;
COPY kinds FROM STDIN (FORMAT binary);

-- COPY FROM with WHERE of a default
COPY readings (sensor) FROM STDIN WHERE {uom} = 'mm' AND readings.{amount} = 7;
x
\.
SELECT count(*) FROM readings;

-- COPY FROM with WHERE of a default that is not met
COPY readings (sensor) FROM STDIN WHERE {uom} IS NULL;
x
\.
SELECT count(*) FROM readings;

-- COPY FROM with WHERE of what is in its list, and of what is not
COPY readings (sensor, {amount}) FROM STDIN WHERE {amount} > 1 AND coalesce({uom}, 'm') = 'mm' AND low > 0;
x	1
y	2
\.
SELECT count(*) FROM readings;

-- COPY FROM with a mistake in its WHERE
COPY readings (sensor) FROM STDIN WHERE {uom} > 5;
x
\.

-- COPY FROM with a word for the default of a renamed column
-- @since: 16
COPY readings (sensor, {uom}, {amount}) FROM STDIN (FORMAT csv, DEFAULT 'D') WHERE {uom} <> 'x' AND {amount} > 1;
a,D,5
b,km,D
c,x,D
\.
COPY readings ({uom}) FROM STDIN (DEFAULT 'D');
D
\N
\.
SELECT sensor, {uom}, {amount} FROM readings;
