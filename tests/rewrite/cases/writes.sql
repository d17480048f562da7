-- INSERT with a list
INSERT INTO checks (run_id, {claim}, {config_json}) VALUES ('new 1', 'a claim', 'median');

-- INSERT with a list, many rows
INSERT INTO archive ({claim}, id, run_id) VALUES ('one', 100, 'r'), (NULL, 101, 'r'), ('three', 102, 'r');

-- INSERT without the renamed columns takes the default
INSERT INTO checks (run_id) VALUES ('new 2') RETURNING *;

-- INSERT without a list
INSERT INTO archive VALUES (100, 'r', 'claim', 'mean', '2026-01-01') RETURNING *;

-- INSERT without a list and with fewer values
-- @side: old
INSERT INTO archive VALUES (100, 'r', 'claim') RETURNING *;

-- INSERT without a list, many rows
INSERT INTO words VALUES (100, 'one'), (101, NULL), (102, 'three');

-- INSERT without a list and with too many values
INSERT INTO words VALUES (100, 'one', 'two');

-- INSERT without a list, from a star
INSERT INTO words SELECT t.id + 100, t.{title} FROM words t;

-- INSERT without a list, of the same table's star
INSERT INTO archive SELECT * FROM archive ON CONFLICT DO NOTHING;

-- INSERT without a list, from a star of another
INSERT INTO words SELECT * FROM (VALUES (100, 'x'), (101, 'y')) v;

-- INSERT without a list, of a CTE with one column too many
WITH s AS (SELECT id + 100 AS id, {title}, 1 AS more FROM words) INSERT INTO words SELECT s.* FROM s;

-- INSERT without a list, of a CTE that is called as the table is
WITH words AS (SELECT id + 100 AS id, {title}, 1 AS more FROM words) INSERT INTO words SELECT * FROM words;

-- INSERT without a list, of a CTE with names of its own
WITH s (one) AS (SELECT id + 100, {title} FROM words) INSERT INTO words TABLE s RETURNING *;

-- INSERT without a list, of a set operation in a CTE
WITH s AS (TABLE words EXCEPT SELECT * FROM words WHERE id > 2) INSERT INTO words SELECT s.id + 100, (s).{title} FROM s ON CONFLICT DO NOTHING RETURNING *;

-- INSERT without a list, of a set operation in a CTE with one column too many
WITH s AS (SELECT *, 1 FROM words UNION SELECT *, 2 FROM words) INSERT INTO words SELECT * FROM s;

-- INSERT without a list, of VALUES in a CTE
WITH s AS (VALUES (100, 'a'), (101, 'b')), z AS (SELECT * FROM s) INSERT INTO words SELECT z.* FROM z RETURNING *;

-- INSERT without a list, of a CTE that goes on
WITH RECURSIVE s (a, b) AS (SELECT 100, 'a'::text UNION ALL SELECT a + 1, b FROM s WHERE a < 102) INSERT INTO words SELECT * FROM s RETURNING *;

-- INSERT without a list, of a CTE that goes on and looks for cycles
WITH RECURSIVE s (a, b) AS (SELECT 100, 'a'::text UNION ALL SELECT a + 1, b FROM s WHERE a < 102) CYCLE a SET c USING p INSERT INTO words SELECT * FROM s;

-- INSERT without a list, of what a CTE has changed
WITH d AS (DELETE FROM archive WHERE id = 5 RETURNING id + 100, {claim}) INSERT INTO words SELECT * FROM d RETURNING *;

-- INSERT without a list, of what a CTE has changed, one column too many
WITH d AS (UPDATE archive SET run_id = 'd' FROM words w WHERE archive.id = w.id + 4 RETURNING archive.id + 100, w.*) INSERT INTO words SELECT d.* FROM d;

-- INSERT without a list, of a join by names in a sub-select
INSERT INTO words SELECT * FROM (SELECT id + 100, {title} FROM words JOIN (SELECT * FROM words) w USING (id, {title})) s RETURNING *;

-- INSERT without a list, of a join by a name, one column too many
INSERT INTO words SELECT * FROM words JOIN (SELECT * FROM words) w USING (id);

-- INSERT without a list, of a row's fields
INSERT INTO words SELECT (w).* FROM words w ON CONFLICT (id) DO UPDATE SET {title} = 'again' RETURNING *;

-- INSERT without a list, of a function that says its columns
INSERT INTO words SELECT * FROM json_to_record('{"a": 100, "b": "x", "c": 1}') AS j (a int, b text, c int);

-- INSERT from TABLE
INSERT INTO archive TABLE archive ON CONFLICT (id) DO UPDATE SET {claim} = EXCLUDED.{claim} || '!';

-- INSERT from a CTE
WITH s AS (SELECT * FROM archive WHERE id < 7) INSERT INTO archive SELECT id + 100, run_id, {claim}, {config_json}, kept FROM s RETURNING *;

-- INSERT from a union
INSERT INTO words (id, {title}) SELECT 100, 'a' UNION ALL SELECT 101, 'b' UNION SELECT 102, NULL;

-- INSERT from a SELECT with DISTINCT, ORDER BY and LIMIT
INSERT INTO words (id, {title}) SELECT DISTINCT id + 100, {title} FROM words ORDER BY 1 LIMIT 2;

-- INSERT from a SELECT with GROUP BY
INSERT INTO words (id, {title}) SELECT 100 + count(*), {claim} FROM checks WHERE {claim} LIKE 'claim 1%' GROUP BY {claim};

-- INSERT from a SELECT of a star and the rest
INSERT INTO "Order Lines" SELECT "Id" + 100, check_id, "{priceunit}", "{from}" FROM "Order Lines";

-- DEFAULT VALUES
INSERT INTO readings DEFAULT VALUES RETURNING *;

-- DEFAULT among the values
INSERT INTO readings (sensor, {amount}, {uom}) VALUES (DEFAULT, DEFAULT, DEFAULT), ('s9', 5, 'km'), ('s8', DEFAULT, NULL) RETURNING *;

-- DEFAULT in a row without a list
INSERT INTO readings VALUES (DEFAULT, 's7', 3, 4) RETURNING *;

-- A generated column may be given DEFAULT
INSERT INTO readings VALUES (DEFAULT, 's7', 3, 4, DEFAULT, 'mm') RETURNING *;

-- A generated column may be given nothing else
INSERT INTO readings VALUES (DEFAULT, 's7', 3, 4, 8, 'mm');

-- An identity is overridden
INSERT INTO readings (id, {amount}) OVERRIDING SYSTEM VALUE VALUES (50, 1) RETURNING id, {amount};

-- An identity is not overridden
INSERT INTO readings (id, {amount}) VALUES (50, 1);

-- A volatile value is drawn once
INSERT INTO readings ({amount}) VALUES (nextval('ticks')) RETURNING {amount};

-- A volatile value in each of many rows
INSERT INTO words (id, {title}) VALUES (100, 'v' || nextval('ticks')), (101, 'w' || nextval('ticks')), (102, 'plain') RETURNING *;

-- A volatile value in a SELECT
INSERT INTO words (id, {title}) SELECT 100, 'v' || nextval('ticks');

-- A sub-select as a value
INSERT INTO words (id, {title}) VALUES (100, (SELECT max({claim}) FROM checks));

-- The current time as a value
INSERT INTO words (id, {title}) VALUES (100, left(now()::text, 0) || 'x');

-- RETURNING columns and expressions
INSERT INTO archive (id, run_id, {claim}) VALUES (100, 'r', 'x') RETURNING {claim}, upper({claim}) AS loud, archive.{config_json};

-- RETURNING through an alias
INSERT INTO archive AS a (id, run_id, {claim}) VALUES (100, 'r', 'x') RETURNING a.*, a.{claim};

-- ON CONFLICT DO NOTHING
INSERT INTO archive (id, run_id, {claim}) VALUES (5, 'r', 'x'), (100, 'r', 'y') ON CONFLICT DO NOTHING RETURNING id;

-- ON CONFLICT DO UPDATE with EXCLUDED
INSERT INTO archive (id, run_id, {claim}) VALUES (5, 'r', 'x') ON CONFLICT (id) DO UPDATE SET {claim} = EXCLUDED.{claim}, run_id = EXCLUDED.run_id RETURNING *;

-- ON CONFLICT DO UPDATE with the old and the new row
INSERT INTO archive AS a (id, run_id, {claim}) VALUES (5, 'r', 'x') ON CONFLICT (id) DO UPDATE SET {claim} = a.{claim} || EXCLUDED.{claim} WHERE a.{claim} IS DISTINCT FROM EXCLUDED.{claim};

-- ON CONFLICT ON CONSTRAINT
INSERT INTO checks (run_id, {claim}) VALUES ('run1', 'x') ON CONFLICT ON CONSTRAINT checks_run_id_key DO UPDATE SET ({claim}, env) = (EXCLUDED.{claim}, 'z') RETURNING {claim}, env;

-- ON CONFLICT of a column that is not given
INSERT INTO checks (run_id) VALUES ('run1') ON CONFLICT (run_id) DO UPDATE SET {config_json} = EXCLUDED.{config_json} RETURNING *;

-- ON CONFLICT with a sub-select
INSERT INTO words VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET {title} = (SELECT max(run_id) FROM archive) RETURNING *;

-- ON CONFLICT with DEFAULT
INSERT INTO "Order Lines" ("Id", "{from}") VALUES (1, 'x') ON CONFLICT ("Id") DO UPDATE SET "{from}" = DEFAULT RETURNING *;

-- UPDATE of one column
UPDATE checks SET {claim} = 'changed' WHERE id = 1 RETURNING *;

-- UPDATE of several
UPDATE checks SET env = 'x', {claim} = {claim} || '!', {config_json} = NULL;

-- UPDATE by another of its columns
UPDATE archive SET {claim} = {config_json}, {config_json} = {claim};

-- UPDATE of a list of columns
UPDATE archive SET ({claim}, {config_json}) = ('a', 'b') WHERE id = 5;

-- UPDATE of a list by ROW
UPDATE archive SET (run_id, {claim}) = ROW('r', lower({claim}));

-- UPDATE of a list by a sub-select
UPDATE archive a SET ({claim}, {config_json}) = (SELECT n.claim, n.config_json FROM notes n WHERE n.id = a.id - 4) RETURNING *;

-- UPDATE of a list by a sub-select with a name of outside
-- @side: old
UPDATE checks k SET ({claim}, {config_json}) = (SELECT claim, 'x' FROM events LIMIT 1) FROM notes o WHERE o.id = k.id;

-- UPDATE by a scalar sub-select
UPDATE archive a SET {claim} = (SELECT c.{claim} FROM checks c WHERE c.id = a.id);

-- UPDATE with DEFAULT
UPDATE readings SET {amount} = DEFAULT, {uom} = DEFAULT WHERE id = 2 RETURNING *;

-- UPDATE with DEFAULT, prepared by SQL
PREPARE q AS UPDATE readings SET {amount} = DEFAULT, {uom} = DEFAULT WHERE id = 2 RETURNING *;
EXECUTE q;
DEALLOCATE q;

-- UPDATE with DEFAULT of a column that changes its type and its name
UPDATE checks SET ({counts}, env) = (DEFAULT, 'd') WHERE id = 1 RETURNING {counts};
INSERT INTO checks (id, run_id) VALUES (2, 'run2') ON CONFLICT (id) DO UPDATE SET {counts} = DEFAULT RETURNING {counts};

-- UPDATE of a list with DEFAULT
UPDATE "Order Lines" SET ("{from}", qty) = (DEFAULT, 7) WHERE "Id" = 1 RETURNING *;

-- UPDATE with a volatile value
UPDATE readings SET {amount} = nextval('ticks') WHERE id = 3 RETURNING *;

-- UPDATE with FROM
UPDATE archive SET {claim} = n.claim FROM notes n WHERE n.id = archive.id - 4 RETURNING archive.*, n.*;

-- UPDATE with FROM and a star of both
-- @doubt: an unqualified name may mean another relation
UPDATE tags t SET {title} = o.title FROM other.tags o WHERE o.id = t.id RETURNING *;

-- UPDATE of what the side does not rename
UPDATE checks SET env = 'x' RETURNING *;

-- UPDATE of a column with another type
UPDATE checks SET {counts} = '{"k": 1}' WHERE id < 3 RETURNING {counts};

-- UPDATE of all types
UPDATE kinds SET {n_text} = {n_varchar}, {n_citext} = 'C', {n_json} = '[1, 2]', {n_bpchar} = 'z', {n_float8} = 'NaN', {n_numeric} = 1.50, {n_range} = '[2,3]', {n_mood} = 'happy', {n_money2} = 1.239 RETURNING *;

-- UPDATE of ONLY
UPDATE ONLY archive SET {claim} = 'o';

-- UPDATE through a partitioned table
UPDATE events SET {body} = 'e' || id, {mass} = {mass} + 1 WHERE region <> 'us' RETURNING *;

-- UPDATE that moves rows to another partition
UPDATE events SET region = 'us', {body} = 'moved' WHERE region = 'eu' RETURNING *;

-- UPDATE of a partition by its own name
UPDATE events_us SET {body} = 'u' RETURNING *;

-- UPDATE of a column twice
UPDATE archive SET {claim} = 'a', {claim} = 'b';

-- UPDATE of a column that is not there
UPDATE archive SET absent = 'a';

-- UPDATE that breaks NOT NULL
UPDATE archive SET run_id = NULL;

-- UPDATE with a qualified column on the right
UPDATE public.archive SET {claim} = public.archive.run_id WHERE public.archive.id = 5;

-- UPDATE of a field of a JSON column
UPDATE notes SET extra['k'] = '1' RETURNING extra;

-- UPDATE of an element of an array
UPDATE kinds SET {n_ints}[2] = 9 WHERE id = 1 RETURNING {n_ints};

-- DELETE with RETURNING
DELETE FROM archive WHERE {claim} = 'claim 1' RETURNING *;

-- DELETE with USING
DELETE FROM archive a USING notes n WHERE n.id = a.id - 4 AND n.claim = a.{claim} RETURNING a.*, n.claim;

-- DELETE with an alias and a star of it
DELETE FROM words AS t RETURNING t.*, t.{title};

-- A data-modifying CTE
WITH gone AS (DELETE FROM archive WHERE id > 7 RETURNING *) SELECT * FROM gone;

-- A data-modifying CTE that feeds an INSERT
WITH gone AS (DELETE FROM archive WHERE id > 7 RETURNING *) INSERT INTO words SELECT id, {claim} FROM gone RETURNING *;

-- An UPDATE in a CTE
WITH up AS (UPDATE archive SET {claim} = 'cte' WHERE id = 5 RETURNING id, {claim}) SELECT up.*, n.claim FROM up, notes n WHERE n.id = 1;

-- An INSERT in a CTE
WITH new AS (INSERT INTO words VALUES (100, 'cte') RETURNING *) SELECT * FROM new UNION ALL SELECT * FROM words;

-- MERGE
MERGE INTO archive a USING notes n ON n.id = a.id - 4 WHEN MATCHED THEN UPDATE SET {claim} = n.claim WHEN NOT MATCHED THEN INSERT (id, run_id, {claim}) VALUES (n.id + 100, 'm', n.claim_text);

-- MERGE that deletes and does nothing
MERGE INTO archive a USING notes n ON n.id = a.id - 4 WHEN MATCHED AND a.{claim} = 'claim 1' THEN DELETE WHEN MATCHED THEN DO NOTHING;

-- MERGE without a list of columns
MERGE INTO words t USING (VALUES (1, 'a'), (100, 'b')) v (id, name) ON v.id = t.id WHEN MATCHED THEN UPDATE SET {title} = v.name WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name);

-- MERGE from a table that migrates
MERGE INTO notes n USING checks c ON c.id = n.id WHEN MATCHED THEN UPDATE SET claim = c.{claim} WHEN NOT MATCHED THEN INSERT (id, claim) VALUES (c.id, c.{claim});

-- MERGE from a sub-select with a star
MERGE INTO archive a USING (SELECT * FROM checks) c ON c.id = a.id WHEN MATCHED THEN UPDATE SET ({claim}, {config_json}) = (c.{claim}, c.{config_json});

-- An INSERT that the foreign key refuses
INSERT INTO "Order Lines" ("Id", check_id, "{from}") VALUES (100, 12345, 'x');

-- An INSERT with a duplicate key
INSERT INTO archive (id, run_id, {claim}) VALUES (5, 'r', 'x');

-- An INSERT with a value of the wrong type
INSERT INTO readings ({amount}, sensor) VALUES ('many', 's');

-- An INSERT of a name that is not there
INSERT INTO archive (id, run_id, {claim}) VALUES (100, 'r', absent);

-- TRUNCATE
TRUNCATE words, archive;
SELECT count(*) FROM words;

-- Writes of several statements are seen by the next
INSERT INTO words (id, {title}) VALUES (50, 'a');
UPDATE words SET {title} = {title} || 'b' WHERE id = 50;
SELECT * FROM words WHERE id = 50;

-- Functions of each volatility in VALUES
INSERT INTO words (id, {title}) VALUES (60, lower('A')), (61, shout('b')), (62, tell('c')), (63, mood_of('d')), (64, draw('e')), (65, draw(6)::text || tick()), (66, extract(day FROM now())::text), (67, DEFAULT) RETURNING id, length({title});

-- Functions in VALUES with a WITH of its own, and without a column list
WITH a AS (SELECT 1 AS one) INSERT INTO words VALUES ((SELECT 70 + one FROM a), tell('x' || draw('y'))) ON CONFLICT (id) DO UPDATE SET {title} = draw(excluded.{title}) RETURNING *;

-- Numbers are drawn in the order of columns, with those of defaults
-- @how: simple, extended
INSERT INTO readings ({amount}, sensor) VALUES (nextval('ticks'), 'x' || nextval('ticks')), (nextval('ticks') * 10, 'y' || nextval('ticks')) RETURNING *;

-- A function for each row, whose value is another one each time
UPDATE words SET {title} = draw({title}) WHERE id > 1;
SELECT count(DISTINCT {title}) FROM words;

-- A function of nothing for each row
UPDATE words SET {title} = draw('x') WHERE id > 1;
SELECT count(DISTINCT {title}) FROM words;

-- A function of nothing for each row where no column is read
UPDATE words SET {title} = draw('x');
SELECT count(DISTINCT {title}) FROM words;

-- Two that are drawn for one row
UPDATE archive SET run_id = draw('r'), {claim} = draw('c'), {config_json} = draw('j') WHERE id = 5 RETURNING *;

-- A function with parameters in VALUES
-- @params: ["80", "Üx"]
INSERT INTO words (id, {title}) VALUES ($1, draw($2) || tell('ü')) RETURNING *;

-- A parameter that is used twice
-- @params: ["80"]
INSERT INTO words (id, {title}) VALUES ($1::integer, draw($1::integer)::text) RETURNING *;

-- A function with parameters in SET
-- @params: ["1", "Üx"]
UPDATE words SET {title} = draw($2) WHERE id = $1 RETURNING *;

-- A function for each row, beside a column of VALUES that is a constant to the planner
UPDATE words SET {title} = draw('a') FROM (VALUES (7)) v (org) WHERE v.org = 7 RETURNING *;

-- A function for each row, of a column that is a constant to the planner
UPDATE words SET {title} = v.pre || nextval('ticks') FROM (SELECT 'x' AS pre) v RETURNING words.*;

-- A function for each row, beside a column of a CTE that is a constant to the planner
WITH p AS (SELECT 3 AS org) UPDATE words AS w SET {title} = draw('b') FROM p WHERE p.org > w.id RETURNING w.*;

-- A function for each row, beside a function that is a constant to the planner
UPDATE words SET {title} = draw('c') FROM abs(-7) org WHERE org = 7 AND public.words.id > 1 RETURNING words.*;

-- ON CONFLICT with a function for each row
INSERT INTO words AS w (id, {title}) VALUES (1, 'a'), (2, 'b'), (90, 'c') ON CONFLICT (id) DO UPDATE SET {title} = draw(w.{title}) RETURNING *;

-- MERGE with a function for each row
MERGE INTO words t USING (VALUES (1, 'a'), (100, 'b')) v (id, name) ON v.id = t.id WHEN MATCHED THEN UPDATE SET {title} = draw(v.name) WHEN NOT MATCHED THEN INSERT (id, {title}) VALUES (v.id, draw(v.name));

-- MERGE with what may not be repeated in several of its arms
MERGE INTO words t USING notes n ON n.id = t.id WHEN MATCHED AND n.id < 3 THEN UPDATE SET {title} = (n.id IN (1, 4)) || n.body WHEN MATCHED THEN UPDATE SET {title} = (n.id BETWEEN 1 AND 3) || n.claim;

-- MERGE with what may not be repeated in one arm, and a sub-select for several columns in another
MERGE INTO archive a USING notes n ON n.id = a.id - 4 WHEN MATCHED AND n.id < 3 THEN UPDATE SET (run_id, kept) = (SELECT n.body, DATE '2026-01-01' + n.id) WHEN MATCHED THEN UPDATE SET {claim} = (n.id IN (3, 5)) || n.claim;

-- An error inside of a function's arguments in VALUES
INSERT INTO words (id, {title}) VALUES (100, 'é' || draw(absent('x')));

-- A name that is not there inside of a function's arguments in VALUES
INSERT INTO words (id, {title}) VALUES (100, 'é' || draw('a' || absent));

-- An error inside of a function's arguments in SET
UPDATE words SET {title} = 'é' || draw(absent) WHERE id = 1;

-- An error in a column that is read once more
INSERT INTO words (id, {title}) VALUES (1, 'é') ON CONFLICT (id) DO UPDATE SET {title} = 'é' || draw('a') WHERE absent = 1;

-- Of another type than the column, from a CTE by TABLE: no star is written
WITH archive AS (SELECT true, 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive TABLE archive;

-- Of another type than the column, from a star
WITH q AS (SELECT true, 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT * FROM q;

-- Of another type than the column, from an item in front of a star
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT 'é' = 'e', * FROM q;

-- Of another type than the column, from a star in front of an item
WITH q AS (SELECT 1 AS a, 'b' AS b, 'c' AS c, 'd' AS d) INSERT INTO archive SELECT *, 'é' = 'e' FROM q;

-- Of another type than the column, in brackets, from a sub-select, a row, a cast
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT ((1 = 2) OR true), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT (SELECT true), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT (1, 2), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT (b || '1')::bool, * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT CAST(b AS bool), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT b IS NULL, q.* FROM q;

-- Of another type than the column, from a literal of a type
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT CAST('t' AS bool), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT bool 't', * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT interval '1' DAY, * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT CAST(NULL AS bool), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT CAST(CAST('t' AS text) AS bool), * FROM q;

-- Of another type than the column, from what is compared
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT ROW(1, 2) = ROW(1, 2), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT (1, 2) IN (SELECT 1, 2), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT 1 IN (SELECT 1), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT b = ANY (SELECT 'x'), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT (SELECT true) AND false, * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT ROW(1, 2) IS NULL, * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT NOT (b = 'x'), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT - 1 = 2, * FROM q;

-- Of another type than the column, from an operator that is a function
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT now() AT TIME ZONE 'UTC', * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT (e AT TIME ZONE 'UTC'), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT (DATE '2020-01-01', e) OVERLAPS (e, e), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT (b COLLATE "C"), * FROM q;
WITH q AS (SELECT 'a' AS b, 'c' AS c, 'd' AS d, DATE '2026-01-01' AS e) INSERT INTO archive SELECT (ARRAY[true])[1], * FROM q;

-- Of another type than the column, from a union in which VALUES come first
INSERT INTO archive VALUES (1, 'a', 'b', 'c', true) UNION ALL SELECT 2, 'a', 'b', 'c', true;

-- Of another type than the column, from a union
INSERT INTO archive SELECT 1, 'a', 'b', 'c', 'é' = 'e' UNION ALL SELECT 2, 'a', 'b', 'c', true;

-- A function's value of the wrong type in VALUES
INSERT INTO readings (sensor, {amount}) VALUES ('é', draw('x') || 'y');

-- A function's value of the wrong type in SET
UPDATE readings SET sensor = 'é', {amount} = draw('x') || 'y' WHERE id = 1;

-- An aggregate, a window function, a set where none may be
UPDATE words SET {title} = max({title}) WHERE id = 1;

-- A window function in SET
UPDATE words SET {title} = lag({title}) OVER () WHERE id = 1;

-- A set in SET
UPDATE words SET {title} = generate_series(1, id) WHERE id = 1;

-- An aggregate in VALUES
INSERT INTO words (id, {title}) VALUES (100, count(*));

-- A set in VALUES
INSERT INTO words (id, {title}) VALUES (100, generate_series(1, 2));

-- Who may not read the table may still write it
SET ROLE pg_signal_backend;
INSERT INTO words (id, {title}) VALUES (100, draw('x'));
UPDATE words SET {title} = draw('y');
RESET ROLE;
SELECT count(DISTINCT {title}) FROM words;

-- A sub-select in the subscript of what is assigned
-- @how: simple
UPDATE kinds SET {n_ints}[(SELECT count(*) FROM (SELECT a.id FROM archive a NATURAL JOIN notes) x)] = 5 WHERE id = 1 RETURNING {n_ints};
UPDATE kinds SET ({n_ints}[(SELECT min(id) FROM {shelves})], {n_text}) = (6, 'x') WHERE id = 1 RETURNING {n_ints}, {n_text};
INSERT INTO kinds (id, {n_ints}[(SELECT min(id) FROM {shelves})], {n_text}) VALUES (77, 5, 'y') RETURNING {n_ints}, {n_text};
INSERT INTO kinds (id) VALUES (77) ON CONFLICT (id) DO UPDATE SET {n_ints}[(SELECT max(id) FROM (SELECT * FROM {shelves}) s)] = 8, {n_text} = 'z' RETURNING {n_ints}, {n_text};
MERGE INTO kinds k USING notes n ON n.id = k.id WHEN MATCHED AND k.id = 1 THEN UPDATE SET {n_ints}[(SELECT min(id) FROM {shelves})] = n.id, {n_text} = n.body;
SELECT {n_ints}, {n_text} FROM kinds WHERE id = 1;

-- A name in the subscript of what is assigned that a hidden column has, too
-- @side: old
-- @how: simple
UPDATE kinds SET k_ints[value] = 5 FROM notes n WHERE n.id = kinds.id AND n.id < 3 RETURNING k_ints;
UPDATE kinds SET k_ints[(SELECT max(r.id) FROM readings r WHERE r.value > amount)] = 5 FROM notes n WHERE n.id = kinds.id AND n.id < 3 RETURNING k_ints;

-- The same for the new side
-- @side: new
-- @how: simple
UPDATE kinds SET n_ints[(SELECT max(r.id) FROM readings r WHERE r.amount > value)] = 5 FROM notes n WHERE n.id = kinds.id AND n.id < 3 RETURNING n_ints;
