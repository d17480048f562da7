-- A whole row as JSON
SELECT row_to_json(c) FROM checks c ORDER BY c.id;

-- A whole row as JSON by the table's name
SELECT row_to_json(archive) FROM archive;

-- to_jsonb of a whole row
SELECT to_jsonb(c) - 'created_at' FROM checks c;

-- json_agg of whole rows
SELECT json_agg(c ORDER BY c.id) FROM checks c;

-- jsonb_agg of rows of a sub-select
SELECT jsonb_agg(s ORDER BY s.id) FROM (SELECT * FROM archive) s;

-- Rows of a CTE as JSON
WITH c AS (SELECT * FROM archive) SELECT to_json(c) FROM c;

-- count of whole rows
SELECT count(c), count(DISTINCT a) FROM checks c LEFT JOIN archive a ON a.id = c.id;

-- A whole row is NULL where the join found none
SELECT c.id, a IS NULL, a IS NOT NULL, a IS DISTINCT FROM NULL FROM checks c LEFT JOIN archive a ON a.id = c.id;

-- A field of a whole row
SELECT (c).{claim}, (c).id FROM checks c;

-- All fields of a whole row
SELECT (a).* FROM archive a;

-- A whole row as text
SELECT a::text FROM archive a;

-- Whole rows are compared
SELECT one.id FROM archive one JOIN archive two ON one = two;

-- ROW of a star
SELECT ROW(a.*)::text, ROW(a.*, 1) IS NULL FROM archive a;

-- ROW of a star as JSON
SELECT row_to_json(ROW(t.*)) FROM words t;

-- A whole row in a function's arguments
SELECT json_build_object('tag', t, 'n', 1), concat(t), format('%s', t) FROM words t;

-- A star as a function's arguments
SELECT json_build_array(t.*), concat_ws('|', t.*) FROM words t;

-- A column called like the table's alias
-- @declared
SELECT claim FROM notes claim, archive a WHERE claim.id = a.id;

-- Whole rows in a set operation
SELECT t::text FROM words t UNION SELECT 'x';

-- A whole row in an array
SELECT array_to_json(array_agg(t ORDER BY t.id)) FROM words t;

-- A whole row in an array, whose type is asked for
-- @doubt: a whole row where its type matters
SELECT array_length(array_agg(t), 1) FROM words t;

-- A whole row in a sub-select's list
SELECT (SELECT row_to_json(a) FROM archive a WHERE a.id = c.id) FROM checks c;

-- A whole row of outside in a sub-select
SELECT (SELECT row_to_json(c)) FROM words c;

-- A whole row in the order
SELECT id FROM words t ORDER BY t;

-- A whole row in RETURNING
UPDATE words SET {title} = 'x' WHERE id = 1 RETURNING row_to_json(words), words IS NULL;

-- A whole row of what is locked
-- @ordered: yes
SELECT row_to_json(c), (c).*, c IS NULL, c.* FROM checks c WHERE c.id < 4 ORDER BY c.id FOR UPDATE;

-- A whole row of what is locked, and of what the join did not find
SELECT c.id, to_json(a), a IS DISTINCT FROM NULL, count(a) OVER () FROM ONLY checks c LEFT JOIN archive AS a ON a.id = c.id FOR UPDATE OF c;

-- A whole row beside a table of which the columns are not known
SELECT to_json(a), to_json(n.id) FROM archive a LEFT JOIN notes n ON n.id = a.id FOR UPDATE OF a;

-- A whole row that a join with a table of unknown columns did not find
SELECT n.id, to_json(a), to_jsonb(a.*) IS NULL FROM notes n LEFT JOIN archive a ON n.id = a.id FOR UPDATE OF n;

-- A name that is another table's column, and not the row that is locked
SELECT to_json(body) FROM words body JOIN notes n ON n.id = body.id FOR UPDATE;

-- A name that is a column of outside, and not the row that is locked
SELECT (SELECT to_json(body) FROM words body WHERE body.id = n.id FOR UPDATE) FROM notes n;

-- A whole row of a group
SELECT c.id, to_json(c), count(n) FROM checks c LEFT JOIN notes n ON n.check_id = c.id GROUP BY c.id;

-- Groups by the primary key, with whole rows of the other table
SELECT c.*, json_agg(a ORDER BY a.id) FILTER (WHERE a IS NOT NULL), count(a), count(DISTINCT a) FROM checks c LEFT JOIN archive a ON a.run_id = c.run_id GROUP BY c.id;

-- Groups of a table with a hidden column's name
SELECT claim.id, to_json(claim) FROM checks claim GROUP BY claim.id;

-- A whole row of which columns have aliases
SELECT row_to_json(w), (w).* , w::text FROM words AS w (one, two);

-- Whole rows in what changes
UPDATE archive AS k SET {claim} = left(to_json(k)::text, 20), kept = NULL WHERE k IS NOT NULL RETURNING to_jsonb(k), (k).*, k::text;

-- A whole row as it is written twice
UPDATE words SET {title} = (words IS NULL)::text RETURNING *;

-- A whole row of another table as it is written twice
UPDATE words w SET {title} = (a IS NULL)::text FROM ONLY archive a WHERE a.id = w.id + 4 RETURNING w.*, a::text;

-- Whole rows of what is deleted
DELETE FROM archive USING words w WHERE w.id + 4 = archive.id AND to_json(w) IS NOT NULL RETURNING to_json(archive), w::text;

-- Whole rows of what is inserted
INSERT INTO words VALUES (77, 'x'), (1, 'y') ON CONFLICT (id) DO UPDATE SET {title} = excluded.{title} || to_json(words)::text RETURNING row_to_json(words.*), (words).*;

-- Whole rows in a CTE that changes, of which fields are asked
-- @doubt: a whole row where its type matters
WITH u AS (UPDATE words SET {title} = 'u' RETURNING words) SELECT (u.words).{title} FROM u;

-- Whole rows in a CTE that changes, as JSON
WITH u AS (UPDATE words SET {title} = 'u' RETURNING to_json(words) AS j) SELECT j ->> 'id', j ->> '{title}' FROM u;

-- Whole rows of a sample
SELECT to_json(w) FROM words w TABLESAMPLE bernoulli (100);

-- Whole rows beside a system column
SELECT w.tableoid = 'words'::regclass, to_json(w) FROM words w;

-- Whole rows of partitions
SELECT to_json(e), count(*) FROM events * e GROUP BY e.id, e.region;

-- NATURAL JOIN with ONLY
SELECT * FROM ONLY words NATURAL LEFT JOIN ONLY (archive);

-- Aliases of columns behind a star
SELECT * FROM checks * AS c (a, b, c, d, e, f, g, h, i);

-- A row that is stored as a column of a row
-- @doubt: a whole row where its type matters
CREATE TEMP TABLE made AS SELECT words FROM words;

-- A row compared with one of another type
SELECT w.id FROM words w JOIN (VALUES (1, 'word 1'), (2, 'no')) v (a, b) ON w IS NOT DISTINCT FROM v OR v = w;

-- A row compared with a row of values
SELECT id FROM words WHERE words = ROW(1, 'word 1');

-- The old and the new row
-- @since: 18
UPDATE words SET {title} = 'n' WHERE id = 1 RETURNING to_json(old), to_json(new.*), old IS NULL, old::text;

-- The old row, of which there is none
-- @since: 18
INSERT INTO words VALUES (78, 'x') RETURNING to_json(old), to_json(new), old IS DISTINCT FROM NULL;

-- A type without equality among all fields of a whole row: the position of the error
SELECT DISTINCT (kinds).* FROM kinds;

-- An outer join that a strict condition on a whole row makes an inner one
-- @doubt: a whole row where its type matters
SELECT b.* FROM archive FULL JOIN people b ON true, words w WHERE length(row_to_json(archive)::text) < w.id FOR UPDATE OF archive;

-- An outer join of which the other side is locked
SELECT b.* FROM people b LEFT JOIN archive a ON a.id = b.id + 4 JOIN words w ON w.id = b.id WHERE length(row_to_json(a)::text) > w.id FOR UPDATE OF b, w;

-- A whole row of what is proposed
INSERT INTO words VALUES (1, 'x'), (2, 'y'), (90, 'z') ON CONFLICT (id) DO UPDATE SET {title} = to_json(excluded)::text WHERE excluded IS NOT NULL AND words::text <> excluded::text RETURNING *;

-- All fields of what is proposed
INSERT INTO archive AS k (id, run_id, {claim}) VALUES (5, 'r', 'x') ON CONFLICT (id) DO UPDATE SET run_id = ROW((excluded).*, excluded.*)::text, {claim} = (excluded).{claim}, kept = (SELECT s.kept FROM (SELECT excluded.*) s) RETURNING k.*;

-- What is proposed, where a function asks for its type
-- @doubt: a whole row where its type matters
INSERT INTO words VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET {title} = array_length(array_agg(excluded), 1);

-- Whole rows in what MERGE writes
MERGE INTO words w USING archive a ON a.id = w.id WHEN MATCHED AND to_json(a)::text <> to_json(w)::text THEN UPDATE SET {title} = to_json(w)::text || a::text WHEN NOT MATCHED AND a IS NOT NULL THEN INSERT VALUES (a.id, row_to_json(a)::text);

-- Whole rows of a join that MERGE reads
MERGE INTO words w USING (archive a JOIN checks c ON c.id = a.id AND to_json(c)::text <> a::text) ON a.id = w.id + 4 WHEN MATCHED THEN UPDATE SET {title} = left(to_json(a)::text || c::text, 40) WHEN NOT MATCHED THEN INSERT (id, {title}) VALUES (a.id + 50, c.{claim} || a::text);

-- Fields of a row whose alias is another column's name
SELECT (body).*, (claim).id FROM words body JOIN archive claim ON true;

-- Fields of such a row outside
SELECT s.* FROM archive claim CROSS JOIN LATERAL (SELECT (claim).*) s;

-- Fields of a row, or a column of its alias' name
-- @declared
SELECT (claim).* FROM archive claim, notes n WHERE n.id = claim.id;

-- A join's aliases of columns
SELECT a, b, j.* FROM (words JOIN archive x ON x.id = words.id + 4) AS j (a, b, c);

-- A join's row
SELECT to_json(j), j, (j).a FROM (words JOIN archive x ON x.id = words.id + 4) AS j (a, b, c);

-- A name below a join's alias
SELECT (x).* FROM (words x JOIN archive a ON a.id = x.id + 4) AS j (x);

-- The same without such a column
SELECT (x).* FROM (words x JOIN archive a ON a.id = x.id + 4) AS j;

-- The row of outside behind a join's alias
SELECT (SELECT to_json(w) FROM (notes w JOIN people p ON p.id = w.id) AS j LIMIT 1) FROM words w;

-- A join that is called as the table outside
SELECT w.id, (SELECT count(w.*) FROM (notes n JOIN people p ON p.id = n.id) AS w), (SELECT max(w.id) FROM notes n JOIN people p USING (id) AS w) FROM words w;

-- A whole row that is not grouped
SELECT env, to_json(c) FROM checks c GROUP BY env;

-- A whole row by its name, not grouped
SELECT t, count(*) FROM words t GROUP BY t.{title};

-- A whole row of outside that is not grouped
SELECT (SELECT to_json(t)) FROM words t GROUP BY t.{title};

-- A whole row of an alias that is the other side's column, not grouped
-- @doubt: a whole row where its type matters
SELECT count(*), (title) FROM words title GROUP BY title.{title};
SELECT count(*), (label) FROM words label GROUP BY label.{title};

-- A whole row of a table whose columns are called otherwise, grouped by another table's
-- @doubt: a whole row where its type matters
SELECT env, count(*), (w) FROM checks c, words w (a) GROUP BY env;

-- Rows grouped by themselves
SELECT t, to_json(t), count(*) FROM words t GROUP BY t;

-- Rows grouped by themselves, of a table with a column that comes and one that changes
SELECT env, count(*), (c).{claim} FROM checks c, words w GROUP BY c, env, c.{claim};

-- Rows grouped by themselves and by their key
SELECT t, to_json(t), t.{title}, count(*) FROM words t GROUP BY t.id, t;

-- Rows grouped by themselves, beside a column that is not grouped
SELECT t, t.{title} FROM words t GROUP BY t;

-- Rows grouped by themselves, over a join that may not have them
SELECT t, count(n.id) FROM notes n LEFT JOIN words t ON t.id = n.id GROUP BY t HAVING count(*) > 0 ORDER BY t;

-- Rows that are DISTINCT ON themselves
-- @ordered
SELECT DISTINCT ON (t) t, n.id FROM words t, notes n ORDER BY t, n.id;

-- Rows grouped by themselves by the name that they have in the list
SELECT t AS r, count(*) FROM words t GROUP BY r;

-- Rows grouped by themselves in sets
SELECT count(*) FROM words t GROUP BY GROUPING SETS ((t), ());

-- Rows in groups by something else
SELECT env, json_agg(c ORDER BY c.id), count(c) FROM checks c GROUP BY env;

-- Groups by the key by its number, its name and its field
SELECT e.region AS r, e.id, to_json(e), (e).id FROM events e GROUP BY r, 2;

-- Groups by half of a key
SELECT to_json(e) FROM events e GROUP BY e.region;

-- Groups of a partition
SELECT to_json(e), e FROM events_us e GROUP BY id, region;

-- Groups over NATURAL JOIN
SELECT env, count(*) FROM checks NATURAL JOIN people GROUP BY env;

-- A whole row in brackets, and by itself
SELECT (t) AS e, t, t AS f FROM words t;

-- Whole rows in an array, by itself: in binary it says of which type they are
-- @how: simple, extended, prepared
SELECT array_agg(t) OVER (ORDER BY id) FROM words t;

-- A whole row of what is written, by itself
UPDATE words SET {title} = 'x' WHERE id < 3 RETURNING words, (words) AS w;

-- A whole row that MERGE inserts, where its name is a column's of what has no row
MERGE INTO archive k USING words {config_json} ON {config_json}.id = k.id WHEN NOT MATCHED AND {config_json} IS NOT NULL THEN INSERT (run_id, id, {claim}) VALUES ('m' || {config_json}.id, {config_json}.id, row_to_json({config_json})::text);

-- A column that MERGE updates, and a row of that name
MERGE INTO archive k USING words {config_json} ON {config_json}.id = k.id - 4 WHEN MATCHED THEN UPDATE SET {claim} = to_json({config_json})::text || {config_json}.id;

-- A field of a row whose alias is a hidden column
UPDATE archive AS claim SET kept = NULL FROM words w WHERE w.id + 4 = (claim).id RETURNING (claim).id, w.id;

-- A whole row or none
SELECT coalesce(t, t), coalesce(NULL, t.*, NULL), nullif(t, t), nullif(t, NULL) IS NULL FROM words t;

-- A whole row in CASE
SELECT CASE WHEN t.id > 2 THEN t END, CASE t.id WHEN 1 THEN NULL WHEN 2 THEN t ELSE t END IS NULL, to_json(CASE WHEN true THEN t ELSE t END) FROM words t;

-- The greatest of whole rows, and what is sorted by it
SELECT greatest(t, t)::text, least(t, NULL) FROM words t ORDER BY greatest(t, NULL) DESC LIMIT 2;

-- A list of whole rows
-- @how: simple, extended, prepared
SELECT ARRAY[t], to_json(ARRAY[t, t]), ARRAY[t.*, NULL]::text FROM words t;

-- Whole rows or none, of an outer join
SELECT coalesce(a, NULL), CASE WHEN n.id = 1 THEN a END IS NULL FROM notes n LEFT JOIN archive a ON a.id = n.id + 3 FOR UPDATE OF n;

-- Whole rows or none of what is written
INSERT INTO words VALUES (77, 'x') RETURNING coalesce(words, words), json_build_array(CASE WHEN id > 1 THEN words END);

-- A whole row or none, of which a field is asked
-- @doubt: a whole row where its type matters
SELECT (coalesce(t, NULL)).{title} FROM words t;

-- A whole row or none, in a sub-select
-- @doubt: a whole row where its type matters
SELECT to_json(q.x) FROM (SELECT coalesce(t, NULL) AS x FROM words t) q;

-- A whole row or another one
-- @doubt: a whole row where its type matters
SELECT coalesce(t, w) FROM words t, words w;

-- A whole row in CASE beside a row that is written out
-- @doubt: a whole row where its type matters
SELECT CASE WHEN t.id > 1 THEN t ELSE ROW(1, 'x', 2) END FROM words t;

-- Whole rows in a list, as a table
-- @doubt: a whole row where its type matters
SELECT to_json(u) FROM words t, unnest(ARRAY[t]) u;
