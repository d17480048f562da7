-- USING a name that the left side has once
-- @side: old
SELECT a.id, m.id, n.id FROM archive a JOIN notes m ON m.id = a.id - 4 JOIN notes n USING (claim);

-- USING a name that the left side has once, for the new
-- @side: new
SELECT a.id, m.id, n.id FROM archive a JOIN notes m ON m.id = a.id - 4 JOIN notes n USING (claim_text);

-- USING a name that the right side has once
-- @side: old
SELECT a.id, m.id, n.id FROM notes n JOIN (archive a JOIN notes m ON m.id = a.id - 4) USING (claim);

-- RETURNING * beside a join by names
-- @doubt: a star whose columns cannot be listed
UPDATE checks SET env = 'x' FROM people p JOIN notes n USING (id) WHERE p.id = checks.id RETURNING *;

-- RETURNING * beside a join under an alias
-- @doubt: a star whose columns cannot be listed
DELETE FROM words USING (people p JOIN notes n ON p.id = n.id) AS j (a, b) WHERE j.a = words.id RETURNING *;

-- RETURNING * beside a join that keeps its names
UPDATE checks SET env = 'x' FROM people p JOIN notes n ON n.id = p.id WHERE p.id = checks.id RETURNING *;

-- A row that is selected into a new table
-- @doubt: a whole row where its type matters
SELECT w INTO TEMP made FROM words w;

-- A function that is no column, and takes no row
-- @untouched: a whole row where its type matters
SELECT (w).shout, w.* FROM words w;

-- A function that is no column, without brackets
-- @untouched: a whole row where its type matters
SELECT w.shout, w.* FROM words w;

-- A star that is selected into a new table
SELECT w.* INTO TEMP made FROM words w;
SELECT * FROM made;

-- A star in VALUES
SELECT v.* FROM words w, LATERAL (VALUES (w.*)) v (a, b);

-- A row as JSON, named like a column
SELECT w.row_to_json, w.id FROM words w;

-- A row as JSON, named like a column, of what is locked
-- @doubt: a join by names beside what forbids a sub-select
SELECT w.to_jsonb FROM words w FOR UPDATE;

-- MERGE that inserts a star
MERGE INTO words w USING (SELECT id + 100 AS id, claim FROM notes) n ON n.id = w.id WHEN NOT MATCHED THEN INSERT (id, {title}) VALUES (n.*);

-- An alias in a sub-select, hidden columns of that name outside of it, and a star beside one
-- @follows: a column's name could mean more than one thing
SELECT b.id FROM checks CROSS JOIN archive b CROSS JOIN LATERAL (SELECT count(config_json), count(aggregation) FROM (SELECT events.*, 1 AS aggregation FROM events) config_json) x ORDER BY 1;
SELECT b.id FROM checks CROSS JOIN archive b CROSS JOIN LATERAL (SELECT count(aggregation), count(config_json) FROM (SELECT events.*, 1 AS config_json FROM events) aggregation) x ORDER BY 1;
