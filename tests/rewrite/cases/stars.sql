-- A star lists the columns of the session's side
-- @ordered
SELECT * FROM checks ORDER BY id;

-- A star behind an alias
-- @ordered
SELECT c.* FROM checks AS c ORDER BY c.id;

-- A star behind the table's own name
SELECT checks.* FROM checks;

-- A star behind schema and table
SELECT public.checks.* FROM public.checks;

-- A star among other columns
SELECT id, *, upper({claim}) AS loud, c.* FROM checks c;

-- A star of a table with quoted names
SELECT * FROM "Order Lines";

-- A star by an escaped name
SELECT U&"Order\0020Lines".* FROM U&"Order\0020Lines";

-- A star in upper case
SELECT CHECKS.* FROM CHECKS;

-- Comments stand around the star
SELECT /* all * of */ * -- here
FROM /* it's */ checks /* c */;

-- Dollar quotes stand in front of the star
SELECT $a$ * FROM checks $a$ AS text, * FROM checks;

-- A star of two tables that migrate
SELECT * FROM checks c JOIN archive a ON a.id = c.id;

-- A star of a table that migrates and one that does not
SELECT * FROM checks c, notes n WHERE n.check_id = c.id;

-- A star of the other table alone
SELECT n.* FROM checks c, notes n WHERE n.check_id = c.id;

-- A join with USING merges what the side sees
SELECT * FROM checks JOIN archive USING (id, run_id);

-- A join with USING by the renamed column
SELECT * FROM checks JOIN archive USING ({claim});

-- A natural join does not join on the other side's columns
SELECT * FROM checks NATURAL JOIN archive;

-- A natural join with a table that has columns called like the other side's
SELECT * FROM events NATURAL LEFT JOIN people;

-- A natural full join
SELECT id FROM archive NATURAL FULL JOIN notes;

-- A self join
SELECT * FROM archive one JOIN archive two ON two.id = one.id + 1;

-- A natural self join
SELECT * FROM archive one NATURAL JOIN archive two;

-- Left, right and full joins
SELECT a.*, n.id FROM archive a LEFT JOIN notes n ON n.claim = a.{claim} RIGHT JOIN people p ON p.id = n.id FULL JOIN words t ON t.id = p.id;

-- Brackets around a join
SELECT * FROM (checks c JOIN archive a ON a.id = c.id) JOIN notes n ON n.id = c.id;

-- An alias of a join
SELECT * FROM (archive a JOIN words t ON t.id = a.id - 4) AS j;

-- An alias of a join with USING
SELECT j.id FROM archive a JOIN events e USING (id) AS j;

-- A lateral sub-select
SELECT * FROM checks c, LATERAL (SELECT * FROM archive a WHERE a.id = c.id) x;

-- A lateral sub-select with a star of outside
SELECT x.* FROM archive a CROSS JOIN LATERAL (SELECT a.*, 1 AS one) x;

-- A function beside a star
SELECT * FROM archive a, generate_series(1, 2) g;

-- A star of a sub-select
SELECT * FROM (SELECT * FROM checks) s;

-- A star of a sub-select with an alias list
SELECT * FROM (SELECT id, {claim} FROM checks) s (one, two);

-- A list of column aliases renames from the left
SELECT * FROM archive AS a (one, two, three);

-- A list of column aliases with one twice
SELECT * FROM kinds AS k (a, b, b);

-- A list of column aliases with the name of a column that keeps its own
SELECT k.*, 1 FROM words AS k (id, id);
SELECT (k).* FROM archive AS k (kept);

-- Fields of a row that is called like a hidden column, beside a list of column aliases with one twice
SELECT (config_json).*, (aggregation).* FROM checks JOIN kinds AS config_json (a, a) ON true JOIN kinds AS aggregation (a, a) ON true;

-- A whole row beside a list of column aliases with one twice
-- @doubt: a whole row where its type matters
SELECT *, row_to_json(k)::text FROM words AS k (a, a);

-- A list of column aliases for all
SELECT c3, c5 FROM archive AS a (c1, c2, c3, c4, c5);

-- A star of a CTE
WITH c AS (SELECT * FROM checks) SELECT * FROM c;

-- A CTE with a column list
WITH c (one, two) AS (SELECT id, {claim} FROM checks) SELECT * FROM c;

-- A CTE called like a table that migrates
WITH checks AS (SELECT 1 AS only) SELECT * FROM checks;

-- A CTE called like the table it reads
WITH archive AS (SELECT * FROM archive) SELECT * FROM archive;

-- A CTE of an inner query is not seen outside
SELECT (WITH words AS (SELECT 1 AS one) SELECT one FROM words), t.* FROM words t;

-- A recursive CTE
WITH RECURSIVE r AS (SELECT * FROM archive WHERE id = 5 UNION ALL SELECT a.* FROM archive a JOIN r ON a.id = r.id + 1) SELECT * FROM r;

-- A recursive CTE called like a table
WITH RECURSIVE archive AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM archive WHERE n < 3) SELECT * FROM archive;

-- A union of two tables that migrate
SELECT * FROM archive UNION SELECT * FROM archive WHERE id > 6;

-- A union with a table of the same shape
SELECT * FROM archive UNION ALL SELECT id, run_id, {claim}, {config_json}, NULL FROM checks;

-- EXCEPT and INTERSECT
(SELECT * FROM archive EXCEPT SELECT * FROM archive WHERE id = 5) INTERSECT TABLE archive;

-- A union in a sub-select
SELECT * FROM (TABLE words UNION ALL SELECT * FROM words) u;

-- TABLE is a star
TABLE checks;

-- What an error says of the columns of TABLE has no position
SELECT FROM words UNION ALL TABLE words;

-- TABLE with a schema
TABLE public."Order Lines";

-- DISTINCT counts the side's columns
SELECT DISTINCT * FROM archive;

-- DISTINCT ON with a star
-- @ordered
SELECT DISTINCT ON (env) * FROM checks ORDER BY env, id;

-- EXISTS with a star
SELECT id FROM checks c WHERE EXISTS (SELECT * FROM notes n WHERE n.check_id = c.id);

-- EXISTS with a star of a table that migrates
SELECT id FROM notes n WHERE EXISTS (SELECT * FROM checks c WHERE c.id = n.check_id AND c.{claim} = n.claim);

-- IN with one column
SELECT * FROM notes WHERE claim IN (SELECT {claim} FROM checks);

-- IN with a star of one column
SELECT 1 IN (SELECT x.* FROM (SELECT id FROM checks) x);

-- A row in a star of words
SELECT (1, 'word 1') IN (SELECT * FROM words), (1, 'word 1') = ANY (TABLE words);

-- An array of a sub-select
SELECT ARRAY(SELECT {claim} FROM checks ORDER BY id);

-- A star in VALUES' neighbour
SELECT * FROM (VALUES (1, 'a')) v (id, {claim}) JOIN checks USING (id);

-- ORDER BY a position behind a star
-- @ordered
SELECT *, id AS again FROM archive ORDER BY 6 DESC;

-- ORDER BY the name of a renamed column
-- @ordered
SELECT * FROM archive ORDER BY {claim}, id DESC LIMIT 3;

-- GROUP BY the primary key with a star
SELECT c.*, count(*) FROM checks c JOIN notes n ON n.id = c.id GROUP BY c.id;

-- GROUP BY a position
SELECT {claim}, count(*) FROM checks GROUP BY 1;

-- A window over a star
SELECT *, row_number() OVER (PARTITION BY {claim} ORDER BY id) FROM checks;

-- FOR UPDATE of a table whose columns have other names
-- @ordered
SELECT b, w.a FROM words AS w(a, b) ORDER BY a FOR UPDATE;

-- FOR SHARE of a table with an alias for some of its columns
-- @ordered
SELECT r, s, env, x.kept FROM (SELECT 1 AS env) e, archive AS x(r, s, t, u) ORDER BY r FOR SHARE OF x;

-- A system column of a table whose columns have other names
SELECT w.ctid IS NULL, b FROM words w(a, b) WHERE w.tableoid > 0;

-- Samples of a table whose columns have other names
SELECT b, w.a FROM ONLY words w(a, b) TABLESAMPLE SYSTEM (100);

-- The key by another name
SELECT a, b FROM words w(a, b) GROUP BY a;

-- Rows that are locked, joined by all names
-- @unfilled: a join by names beside what forbids a sub-select
SELECT a.id, a.run_id, n.body FROM archive a NATURAL JOIN notes n FOR UPDATE OF a;

-- Rows that are locked below an alias over a join
-- @unfilled: a join by names beside what forbids a sub-select
SELECT j.sort, j.{title} FROM (words w JOIN (SELECT 1 AS sort) s ON w.id > s.sort) AS j FOR UPDATE;

-- FOR UPDATE with a star
SELECT * FROM checks WHERE id < 3 FOR UPDATE;

-- FOR UPDATE OF an alias
SELECT c.*, n.claim FROM checks c JOIN notes n ON n.id = c.id FOR NO KEY UPDATE OF c SKIP LOCKED;

-- ONLY of a partitioned table
SELECT * FROM ONLY events;

-- A partition by its own name
SELECT * FROM events_eu;

-- A partition whose columns have another order
SELECT * FROM events_us;

-- A partitioned table
SELECT * FROM events;

-- TABLESAMPLE with a star
SELECT * FROM checks TABLESAMPLE bernoulli (100);

-- A generated column is in the star
SELECT * FROM readings;

-- A star of all types
SELECT * FROM kinds;

-- SELECT INTO
SELECT * INTO TEMP made FROM checks;
SELECT * FROM made;

-- A query without a list
SELECT FROM checks;

-- System columns beside a star
SELECT tableoid::regclass, r.* FROM events r;

-- A star in brackets
SELECT (words.*), ((words.*)), 1 FROM words;

-- A star with a schema, in brackets
SELECT (public.words.*), ( ( public . words . * ) ) FROM public.words;

-- A star with a name, of which the server takes no notice
SELECT words.* AS x, words.* "y z", (words.*) AS q, (words).* w, ((words).*) AS v FROM words;

-- A star in brackets in a sub-select
SELECT s.id, s.{title} FROM (SELECT (w.*) FROM words w) s ORDER BY ((s.*)) IS NULL, s.id;

-- A star in brackets of what is written
UPDATE words SET {title} = 'x' WHERE id = 1 RETURNING (words.*), (words).* AS w;

-- A star in brackets in a row
-- @doubt: a star whose columns cannot be listed
SELECT ROW((words.*)) FROM words;

-- All fields in brackets in a row
-- @doubt: a star whose columns cannot be listed
SELECT (((words).*), 1) FROM words;

-- All fields of the rows of before and after
-- @since: 18
UPDATE words SET {title} = 'x' WHERE id = 1 RETURNING (old).*, (new).* AS n, (old.*);

-- All fields of rows with names
-- @since: 18
UPDATE words SET {title} = 'x' WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) ((o).*), (n).*, (o.*) AS x;

-- System columns beside a join by all names
-- @unfilled: a join by names beside what forbids a sub-select
SELECT archive.ctid IS NULL, id, body FROM archive NATURAL JOIN notes;
SELECT tableoid > 0, w.id FROM words w NATURAL JOIN (SELECT 1 AS id) x WHERE tableoid > 0;

-- Samples beside a join by all names
-- @unfilled: a join by names beside what forbids a sub-select
SELECT archive.id, run_id, notes.body FROM archive TABLESAMPLE bernoulli (100) NATURAL LEFT JOIN notes WHERE notes.amount IS NOT NULL;

-- A name with its schema beside a join by all names
-- @doubt: a join by names beside what forbids a sub-select
SELECT public.archive.id, archive.ctid IS NULL FROM archive NATURAL JOIN notes;
