-- GROUPING SETS
SELECT {claim}, {config_json}, count(*), grouping({claim}) FROM checks GROUP BY GROUPING SETS (({claim}), ({config_json}), ());

-- ROLLUP and CUBE
SELECT {claim}, env, count(*) FROM checks GROUP BY ROLLUP ({claim}, env) HAVING count(*) > 0;

-- A named window
SELECT id, {claim}, lag({claim}) OVER w FROM archive WINDOW w AS (ORDER BY {claim}, id);

-- FILTER and WITHIN GROUP
SELECT count(*) FILTER (WHERE {claim} IS NULL), mode() WITHIN GROUP (ORDER BY {config_json}) FROM checks;

-- WITH ORDINALITY
SELECT w.*, o.n FROM words w, LATERAL unnest(string_to_array(w.{title}, ' ')) WITH ORDINALITY o (word, n);

-- ROWS FROM
SELECT * FROM words w JOIN ROWS FROM (generate_series(1, 2), generate_series(5, 7)) r (a, b) ON r.a = w.id;

-- A function that gives rows of a table
SELECT r.id, r.{title} FROM json_populate_recordset(NULL::words, '[{"id": 1, "label": "a", "title": "a"}]') r;

-- A column definition list
SELECT * FROM words w, json_to_record('{"a": 1}') AS j (a int, {claim} text);

-- XMLTABLE beside a star
SELECT w.*, x.v FROM words w, XMLTABLE('/a' PASSING '<a>1</a>' COLUMNS v int PATH '.') x;

-- A CTE in a CTE
WITH a AS (WITH b AS (SELECT * FROM archive) SELECT * FROM b) SELECT a.*, w.* FROM a JOIN words w ON w.id = a.id - 4;

-- Two CTEs, the second on the first
WITH a AS (SELECT * FROM words), b AS (SELECT a.*, 1 AS one FROM a) SELECT * FROM b;

-- A CTE with MATERIALIZED
WITH a AS MATERIALIZED (TABLE words) SELECT * FROM a NATURAL JOIN words;

-- A recursive CTE with SEARCH
WITH RECURSIVE r (id, {claim}) AS (SELECT id, {claim} FROM archive WHERE id = 5 UNION ALL SELECT a.id, a.{claim} FROM archive a, r WHERE a.id = r.id + 1) SEARCH DEPTH FIRST BY id SET o SELECT id, {claim} FROM r ORDER BY o;

-- A sub-select in LIMIT
-- @ordered
SELECT * FROM archive ORDER BY id LIMIT (SELECT count(*) FROM words) OFFSET 1;

-- FETCH FIRST WITH TIES
SELECT * FROM archive ORDER BY id FETCH FIRST 2 ROWS WITH TIES;

-- A sub-select in ORDER BY
-- @ordered
SELECT * FROM words w ORDER BY (SELECT max(n.id) FROM notes n WHERE n.id = w.id), w.id;

-- ANY and ALL of a sub-select
SELECT id FROM notes WHERE claim = ANY (SELECT {claim} FROM archive) AND id < ALL (SELECT id FROM archive);

-- A row IN a sub-select
SELECT id FROM archive WHERE (id, {claim}) IN (SELECT id, {claim} FROM checks);

-- CASE over EXISTS with a star
SELECT CASE WHEN EXISTS (TABLE words) THEN 1 ELSE 2 END, a.* FROM archive a;

-- COLLATE, AT TIME ZONE, EXTRACT
SELECT {claim} COLLATE "C", created_at AT TIME ZONE 'UTC', extract(year FROM created_at), position('a' IN {claim}), substring({claim} FROM 2 FOR 3) FROM checks;

-- OPERATOR and casts
SELECT id OPERATOR(pg_catalog.+) 1, CAST({claim} AS varchar(3)), {claim}::char(2) FROM archive WHERE {claim} OPERATOR(pg_catalog.=) 'claim 1';

-- Strings of all kinds around a star
SELECT 'a*', E'it\'s *', $q$ * $q$, U&'\0041*', U&'!0041' UESCAPE '!', B'101', X'1F', N'n', * FROM words;

-- A string in two lines
SELECT 'one'
  ' two' AS s, * FROM words;

-- Nested comments
SELECT /* a /* * */ b */ * /* c */ FROM /**/ words -- the end *
WHERE true;

-- No blanks
SELECT*FROM(SELECT*FROM words)w;

-- Stars next to names
SELECT id,*,w.*,{title} FROM words w;

-- A multiplication is no star
SELECT id * 2 AS two, count(*) * 3 AS three FROM words GROUP BY id;

-- Empty statements
-- @message
;
SELECT * FROM words;
;

-- A name of 63 bytes
SELECT * FROM words AS aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg;

-- Keywords as names
SELECT "select".*, "from".{title} AS "order" FROM words "select" JOIN words "from" ON "from".id = "select".id;

-- Aliases that are keywords without quotes
SELECT value.*, text.id name FROM words value, words text WHERE value.id = text.id;

-- System columns
SELECT count(ctid), count(xmin), min(tableoid::regclass::text) FROM words;

-- The same table under three names
SELECT words.*, w.*, x.* FROM words, words w JOIN words x ON x.id = w.id WHERE w.id = words.id;

-- FOR UPDATE with NOWAIT
SELECT w.* FROM words w, notes n WHERE n.id = w.id FOR UPDATE OF w, n NOWAIT;

-- FOR SHARE in a sub-select
SELECT * FROM (SELECT * FROM words FOR SHARE) w;

-- INSERT with a CTE inside of its source
INSERT INTO words WITH n AS (SELECT id + 100 AS id, claim FROM notes) SELECT * FROM n RETURNING *;

-- INSERT of a cross join of stars
INSERT INTO notes (id, claim, body) SELECT w.id + 100, w.{title}, a.{claim} FROM words w CROSS JOIN archive a WHERE a.id = 5;

-- INSERT of EXCEPT
INSERT INTO words SELECT id + 10, {title} FROM words EXCEPT SELECT 11, 'word 1' ORDER BY 1;

-- INSERT in brackets
INSERT INTO words (SELECT id + 10, {title} FROM words LIMIT 0);

-- INSERT with ORDER BY of what is selected
INSERT INTO words (id, {title}) SELECT id + 10, {title} FROM words ORDER BY {title} DESC, 1;

-- INSERT with an aggregate
INSERT INTO words (id, {title}) SELECT 100, string_agg({title}, ',' ORDER BY id) FROM words;

-- INSERT with a window function
INSERT INTO words (id, {title}) SELECT 100 + row_number() OVER (ORDER BY id), {title} FROM words;

-- INSERT with a function of the row
INSERT INTO words (id, {title}) SELECT id + 100, md5({title}) FROM words RETURNING {title};

-- INSERT of several twins
INSERT INTO archive ({config_json}, id, run_id, {claim}) SELECT 'c', 100, 'r', lower('X') RETURNING *;

-- INSERT with a typed literal and a typed NULL
INSERT INTO "Order Lines" ("Id", "{priceunit}", "{from}") VALUES (100, '1.239', 'x'), (101, NULL::numeric, text 'y') RETURNING *;

-- INSERT without a list into quoted names
INSERT INTO "Order Lines" VALUES (100, 1) RETURNING "Order Lines".*;

-- INSERT of a wrong number of values
INSERT INTO words (id, {title}) VALUES (1, 'a'), (2);

-- INSERT of more columns than values
INSERT INTO words (id, {title}) VALUES (1);

-- INSERT of a column twice
INSERT INTO words (id, {title}, {title}) VALUES (1, 'a', 'b');

-- ON CONFLICT with WHERE of both
INSERT INTO words AS w VALUES (1, 'x'), (2, 'y') ON CONFLICT (id) DO UPDATE SET {title} = excluded.{title} WHERE w.{title} <> excluded.{title} AND w.id = 2 RETURNING w.*;

-- UPDATE with a CTE
WITH n AS (SELECT id, claim FROM notes) UPDATE words SET {title} = n.claim FROM n WHERE n.id = words.id RETURNING words.*, n.*;

-- UPDATE by a star's sub-select
UPDATE words w SET (id, {title}) = (SELECT s.* FROM (SELECT w.id, 'same') s) RETURNING *;

-- UPDATE with a join in FROM
UPDATE words SET {title} = a.{claim} FROM archive a JOIN notes n ON n.id = a.id - 4 WHERE n.id = words.id RETURNING *;

-- UPDATE with a sub-select in FROM
UPDATE words SET {title} = s.{claim} FROM (SELECT * FROM archive) s WHERE s.id - 4 = words.id RETURNING s.*;

-- UPDATE of swapped columns
UPDATE archive SET ({claim}, {config_json}) = ({config_json}, {claim});

-- UPDATE with CASE
UPDATE archive SET {claim} = CASE WHEN {claim} LIKE '%1' THEN 'one' ELSE {config_json} END;

-- UPDATE with a volatile function for every row
UPDATE archive SET {claim} = left(random()::text, 0) || 'x';

-- UPDATE of what is in the WHERE
UPDATE archive SET {claim} = {claim} || '!' WHERE {claim} = 'claim 1' RETURNING {claim};

-- DELETE with a CTE and a sub-select
WITH n AS (SELECT * FROM notes) DELETE FROM archive WHERE {claim} IN (SELECT claim FROM n) RETURNING *;

-- A chain of data-modifying CTEs
WITH i AS (INSERT INTO words VALUES (100, 'a') RETURNING *), u AS (UPDATE archive SET {claim} = i.{title} FROM i WHERE archive.id = 5 RETURNING archive.*) SELECT u.*, i.* FROM u, i;

-- A CTE that writes and is not read
WITH d AS (DELETE FROM words WHERE id = 1) SELECT * FROM words;

-- MERGE with all of its arms
MERGE INTO words w USING (SELECT id, claim FROM notes UNION ALL SELECT 100, 'new') n ON n.id = w.id WHEN MATCHED AND w.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET {title} = n.claim || w.{title} WHEN NOT MATCHED AND n.id = 100 THEN INSERT (id, {title}) VALUES (n.id, n.claim) WHEN NOT MATCHED THEN DO NOTHING;

-- MERGE of a list of columns
MERGE INTO archive a USING words w ON w.id = a.id - 4 WHEN MATCHED THEN UPDATE SET ({claim}, run_id) = ROW (w.{title}, 'm');

-- MERGE with DEFAULT
MERGE INTO "Order Lines" o USING words w ON w.id + 100 = o."Id" WHEN NOT MATCHED THEN INSERT ("Id", "{from}") VALUES (w.id + 100, DEFAULT);

-- MERGE with RETURNING
-- @since: 17
MERGE INTO words w USING notes n ON n.id = w.id WHEN MATCHED THEN UPDATE SET {title} = n.claim RETURNING merge_action(), w.*;

-- MERGE with RETURNING of stars, of whole rows, of a row that is gone
-- @since: 17
MERGE INTO words w USING (SELECT * FROM archive) a ON a.id = w.id + 4 WHEN MATCHED AND w.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET {title} = a.{claim} || 'é' RETURNING *, w.{title} AS one;
MERGE INTO words USING notes n ON n.id = words.id WHEN MATCHED AND n.id < 3 THEN UPDATE SET {title} = n.claim WHEN NOT MATCHED THEN INSERT VALUES (n.id + 10, n.body) RETURNING merge_action(), words.*, to_json(words), n;
MERGE INTO words w USING archive a ON a.id = w.id + 4 WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED BY TARGET THEN INSERT (id, {title}) VALUES (a.id, a.{claim}) RETURNING (SELECT count(*) FROM (SELECT w.*, a.*)), a.*;

-- MERGE with an error in its RETURNING
-- @since: 17
MERGE INTO words w USING notes n ON n.id = w.id WHEN MATCHED THEN UPDATE SET {title} = n.claim RETURNING 'é', w.*, w.absent;

-- MERGE where nothing of the source matches
-- @since: 17
MERGE INTO words w USING archive a ON a.id = w.id + 4 WHEN NOT MATCHED BY SOURCE AND {title} <> 'word 9' THEN UPDATE SET {title} = {title} || '!' WHEN MATCHED THEN DELETE RETURNING w.*, to_json(a), a.*;
MERGE INTO archive a USING words w ON a.id = w.id + 4 WHEN NOT MATCHED BY SOURCE THEN DELETE;

-- MERGE in a CTE, in COPY, in PREPARE
-- @since: 17
WITH m AS (MERGE INTO words w USING notes n ON n.id = w.id WHEN MATCHED THEN UPDATE SET {title} = n.claim RETURNING w.*) SELECT m.*, a.* FROM m JOIN archive a ON a.id = m.id + 4;
WITH m AS (MERGE INTO words w USING notes n ON n.id = w.id WHEN MATCHED THEN DELETE RETURNING w.id, w.{title}) INSERT INTO words SELECT id + 20, {title} FROM m RETURNING *;
COPY (MERGE INTO archive a USING notes n ON n.id = a.id - 4 WHEN MATCHED THEN UPDATE SET {claim} = n.claim RETURNING a.*) TO STDOUT;
PREPARE q AS MERGE INTO words w USING notes n ON n.id = w.id - 20 WHEN MATCHED THEN UPDATE SET {title} = n.claim RETURNING w.*;
EXECUTE q;
DEALLOCATE q;

-- A sub-select without an alias
-- @since: 16
SELECT * FROM (SELECT * FROM words);
SELECT count(*) FROM (SELECT DISTINCT {claim} FROM checks), (VALUES (1), (2));
SELECT *, 'ü' FROM words w, (SELECT * FROM archive WHERE id = 5), LATERAL (SELECT w.{title} || 'x' AS x) WHERE x > '';
SELECT * FROM (SELECT id, {claim} FROM (SELECT * FROM (TABLE archive))) JOIN (SELECT * FROM notes) USING (id);
SELECT * FROM (SELECT * FROM archive) NATURAL JOIN checks;
SELECT {title} FROM (SELECT * FROM words) WHERE id IN (SELECT id FROM (TABLE words)) ORDER BY {title};
INSERT INTO words SELECT * FROM (SELECT id + 10, {title} FROM words) RETURNING *;
UPDATE words SET {title} = c FROM (SELECT id AS i, {claim} AS c FROM archive) WHERE i = words.id + 4 RETURNING words.*, c;

-- A sub-select without an alias beside RETURNING *
-- @since: 16
DELETE FROM words USING (SELECT id AS i FROM archive) WHERE i = words.id + 4 RETURNING *;

-- A sub-select without an alias before there was such
SELECT 'ü', * FROM (SELECT * FROM words), (SELECT absent FROM words);

-- A sub-select without an alias whose columns are called as both sides'
-- @side: old
-- @since: 16
SELECT claim FROM (SELECT 'claim 1' AS claim), archive;
SELECT id FROM archive, ((SELECT 'claim 1' AS claim)), (SELECT 'ü' AS x) WHERE claim_text = claim ORDER BY id;
UPDATE archive SET claim_text = claim FROM (SELECT 'é' AS claim) WHERE id = 5 RETURNING claim, claim_text, *;
DELETE FROM archive USING (SELECT 6 AS x) WHERE id = x RETURNING *;
INSERT INTO archive (id, run_id, claim_text) SELECT 20, run_id, claim FROM archive, (SELECT 'x' AS claim) WHERE id = 7;

-- The same for the new side
-- @side: new
-- @declared
-- @since: 16
SELECT claim_text FROM (SELECT 'claim 1' AS claim_text), archive;
UPDATE archive SET claim = claim_text FROM (SELECT 'é' AS claim_text) WHERE id = 5 RETURNING claim_text, claim, *;

-- Columns that are listed beside a function
-- @side: old
SELECT claim FROM jsonb_to_recordset('[{"claim": 1}]') AS x(claim int), archive;
SELECT claim, x FROM json_to_record('{"claim": 1}') AS (x text, claim int), archive;
SELECT id FROM archive, XMLTABLE('/a' PASSING ('<a>claim 1</a>'::xml) COLUMNS claim text PATH '.') WHERE claim_text = claim;
UPDATE archive SET claim_text = claim FROM jsonb_to_record('{"claim": 1}') AS r(claim text) WHERE id = 5 RETURNING *, claim;

-- JSON_TABLE whose columns are called as the other side's
-- @side: old
-- @since: 17
SELECT id FROM archive a, JSON_TABLE('{"claim": "claim 1"}'::jsonb, '$' COLUMNS (claim text PATH '$.claim')) j WHERE claim = claim_text;
SELECT id, claim, x FROM archive, JSON_TABLE('[{"x": [1, 2]}]', '$[*]' AS root COLUMNS (o FOR ORDINALITY, NESTED PATH '$.x[*]' AS xs COLUMNS (claim numeric(10, 2) PATH '$', x text DEFAULT 'é' ON EMPTY PATH '$.y')));
SELECT claim, x FROM archive, JSON_TABLE('1', '$' COLUMNS (x int PATH '$', y int PATH '$')) j (claim, x);

-- RETURNING of the old and the new row
-- @since: 18
UPDATE words SET {title} = 'r' WHERE id = 1 RETURNING old.{title}, new.{title}, old.*, new.*;

-- RETURNING of the old and the new row under names of their own
-- @since: 18
UPDATE words SET {title} = 'r' WHERE id = 1 RETURNING WITH (OLD AS "Was", NEW AS n) "Was".{title}, n.*, "Was".*;
INSERT INTO words VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET {title} = excluded.{title} RETURNING WITH (OLD AS o) o.*, new.*, to_json(o);
DELETE FROM words WHERE id = 2 RETURNING WITH (NEW AS n) old.*, n;
MERGE INTO words w USING notes s ON s.id = w.id WHEN MATCHED THEN UPDATE SET {title} = s.claim RETURNING WITH (OLD AS o, NEW AS n) o.*, n.{title}, s.*;

-- RETURNING of the old and the new row as such, beside other relations
-- @since: 18
UPDATE words w SET {title} = n.claim FROM notes n WHERE n.id = w.id RETURNING old, to_json(new), (SELECT to_jsonb(old)), to_json(w), n.id;
DELETE FROM words w USING notes n WHERE n.id = w.id RETURNING WITH (OLD AS o) o, to_json(o), to_json(new);
MERGE INTO words w USING notes n ON n.id = w.id AND n.id < 3 WHEN MATCHED THEN UPDATE SET {title} = n.claim WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (n.id + 50, n.claim) RETURNING WITH (OLD AS o) to_json(o), to_json(new), o;
UPDATE words w SET {title} = n.new FROM (SELECT id, claim AS new, body AS old FROM notes) n WHERE n.id = w.id RETURNING old, new, new.{title}, to_json(old);

-- JSON_TABLE
-- @since: 17
SELECT w.id, j.n FROM words w, JSON_TABLE('{"n": 1}', '$' COLUMNS (n int PATH '$.n')) j;
SELECT *, j.n + 1 FROM words w, JSON_TABLE('{"n": [1, 2]}', '$.n[*]' COLUMNS (n int PATH '$', o FOR ORDINALITY) ERROR ON ERROR) j WHERE w.{title} <> 'é';

-- JSON_TABLE with what the parser does not know
-- @since: 17
-- @untouched: not understood by the parser
SELECT w.id, j.n FROM words w, JSON_TABLE('{"n": 1}', '$' PASSING w.id AS i COLUMNS (n int PATH '$.n')) j;

-- VALUES by itself
VALUES (1, 'words'), (2, 'archive');

-- EXPLAIN of a CREATE TABLE AS
-- @shown: no
EXPLAIN CREATE TABLE made AS SELECT * FROM words;

-- CREATE VIEW with a list of columns
CREATE VIEW made (one, two) AS SELECT * FROM words;
SELECT * FROM made;

-- CREATE OR REPLACE VIEW over a natural join
CREATE OR REPLACE VIEW made AS SELECT * FROM words NATURAL JOIN notes;
SELECT * FROM made;

-- A recursive view
CREATE RECURSIVE VIEW made (id, {claim}) AS SELECT id, {claim} FROM archive WHERE id < 6 UNION ALL SELECT a.id, a.{claim} FROM archive a JOIN made m ON a.id = m.id + 1;
SELECT * FROM made;

-- CREATE TABLE IF NOT EXISTS AS EXECUTE
PREPARE q AS SELECT * FROM words;
CREATE TABLE made AS EXECUTE q;
SELECT * FROM made;
DEALLOCATE q;

-- A cursor with parameters
-- @params: ["5"]
-- @how: extended
DECLARE cur CURSOR FOR SELECT * FROM archive WHERE id > $1;

-- PREPARE of a write with several twins
PREPARE q (text, text) AS UPDATE archive SET {claim} = $1, {config_json} = $2 WHERE id = 5 RETURNING *;
EXECUTE q ('a', 'b');
EXECUTE q ('c', NULL);
DEALLOCATE q;

-- Columns that are listed within ROWS FROM
-- @side: old
SELECT claim, a.id FROM archive a, ROWS FROM (json_to_recordset('[{"claim": 1}]') AS (claim int), generate_series(1, 2)) AS u WHERE a.id = 5;
SELECT n, a.id FROM archive a, ROWS FROM (json_to_record('{"n": 1}') AS (n int, claim text), generate_series(1, 2)) WITH ORDINALITY WHERE claim IS NULL AND ordinality < 3;
SELECT x FROM ROWS FROM (json_to_record('{"x": 6}') AS (x int, claim text)) r WHERE EXISTS (SELECT 1 FROM archive a WHERE a.id = x AND claim IS NULL);
