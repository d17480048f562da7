-- COPY in and out in its formats, and what goes wrong in the middle of it.
CREATE TABLE c (id int PRIMARY KEY, t text, n numeric, d date, b bytea, a int[], j jsonb);
COPY c FROM STDIN;
1	plain	1.5	2024-01-01	\\x00ff	{1,2}	{"k": 1}
2	\N	\N	\N	\N	\N	\N
3	tab\there and \\ and ünï	-0.1	0044-03-15 BC	\\x	{}	[]
4	new\nline	NaN	infinity	abc	{NULL}	"x"
\.
SELECT * FROM c ORDER BY id;
COPY c TO STDOUT;
COPY c TO STDOUT WITH (FORMAT csv, HEADER);
COPY c TO STDOUT (FORMAT csv, FORCE_QUOTE (t, d), NULL 'nil', DELIMITER ';', QUOTE '~', ESCAPE '^');
COPY c (t, id) TO STDOUT (DELIMITER '|', NULL '');
COPY (SELECT id, t FROM c WHERE t IS NOT NULL ORDER BY id DESC) TO STDOUT CSV;
COPY (INSERT INTO c (id) VALUES (50), (51) RETURNING id, t) TO STDOUT;
COPY (DELETE FROM c WHERE id >= 50) TO STDOUT;
COPY (SELECT 1 WHERE false) TO STDOUT;
COPY (SELECT 1/(i-3) FROM generate_series(1, 5) i) TO STDOUT;
COPY (SELECT * FROM nosuch) TO STDOUT;
COPY (SELECT repeat('wide', 5000)) TO STDOUT;
COPY (SELECT i, i * i FROM generate_series(1, 500) i) TO STDOUT CSV;
COPY c FROM STDIN;
5	no such number	x
\.
COPY c (id, t) FROM STDIN;
6	fine
6	twice
7	never read
\.
COPY c (id, t) FROM STDIN;
8	too	many
\.
COPY c (id, t) FROM STDIN;
9
\.
COPY c (id, t) FROM STDIN;
\.
COPY c (id, t) FROM STDIN (FORMAT csv);
10,"quoted ""twice"", with, commas"
11,"two
lines"
12,
13,""
\.
SELECT id, t, t IS NULL FROM c WHERE id >= 10 ORDER BY id;
COPY c (id, t) FROM STDIN (FORMAT csv);
14,"never closed
\.
COPY c (id, t) FROM STDIN (FORMAT csv, HEADER);
anything,here
15,after the header
\.
COPY c (id, t) FROM STDIN (FORMAT csv, HEADER match);
id,wrong
\.
COPY c (id, t) FROM STDIN (FORMAT csv, FORCE_NOT_NULL (t));
16,
\.
COPY c (id, t) FROM STDIN (DELIMITER ',', NULL 'none') WHERE id > 20;
20,left out
21,none
\.
COPY c (id, nosuch) FROM STDIN;
COPY c FROM STDIN (FORMAT nosuch);
COPY c FROM STDIN (FREEZE, DELIMITER 'xx');
BEGIN;
COPY c (id) FROM STDIN;
100
x
\.
SELECT 'not in an aborted transaction';
ROLLBACK;
BEGIN;
COPY c (id) FROM STDIN;
101
\.
SAVEPOINT s;
COPY c (id) FROM STDIN;
101
\.
ROLLBACK TO s;
COMMIT;
SELECT count(*) FROM c;
CREATE FUNCTION slow_no() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.id % 4 = 0 THEN RAISE NOTICE 'four %', NEW.id; END IF; IF NEW.id > 230 THEN RAISE EXCEPTION 'no more'; END IF; RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION slow_no();
COPY c (id, t) FROM STDIN;
200	a
204	b
208	c
\.
COPY c (id) FROM STDIN;
212
232
216
\.
CREATE TABLE g (a int, b int GENERATED ALWAYS AS (a * 2) STORED, c int DEFAULT 7);
COPY g (a) FROM STDIN;
1
\.
COPY g (a, b) FROM STDIN;
COPY g FROM STDIN;
5	6
\.
SELECT * FROM g ORDER BY a;
CREATE VIEW gv AS SELECT a FROM g;
COPY gv TO STDOUT;
COPY gv FROM STDIN;
COPY kept (id, label, amount) TO STDOUT;
COPY (SELECT id, label FROM kept WHERE id < 5 ORDER BY id) TO STDOUT CSV HEADER;
COPY kept (id, label) FROM STDIN;
60	copied
61	copied too
\.
SELECT id, label, amount FROM kept WHERE id > 50 ORDER BY id;
\copy c (id, t) FROM PROGRAM 'printf "300\\tby a program\\n304\\tnoted\\n"'
\copy (SELECT id, t FROM c WHERE id >= 300 ORDER BY id) TO STDOUT CSV
\copy c (id) FROM '/nosuch/file'
\copy nosuch TO STDOUT
\copy (SELECT 1/0) TO STDOUT
\copy c (id, t) FROM PSTDIN
COPY c TO PROGRAM 'false';
SELECT 1 AS before \; COPY (SELECT 2) TO STDOUT \; SELECT 3 AS after;
COPY (SELECT 1) TO STDOUT (ENCODING 'LATIN1');
COPY (SELECT 'é€') TO STDOUT (ENCODING 'LATIN1');
SET client_encoding = 'LATIN1';
COPY (SELECT U&'\00e9') TO STDOUT;
RESET client_encoding;
