-- A name that only the other table has for this side
SELECT id, claim FROM words JOIN notes USING (id);

-- A column of another table called like the other side's
-- @side: old
SELECT c.id, claim, config_json FROM checks c JOIN notes n ON n.id = c.id;

-- A column of another table called like the other side's, for the new
-- @side: new
SELECT c.id, claim_text, value FROM checks c JOIN notes n ON n.id = c.id;

-- A name that both tables have is ambiguous
-- @side: old
SELECT claim_text FROM checks c JOIN notes n ON n.id = c.id;

-- A name that both tables have is ambiguous, for the new
-- @side: new
-- @declared
SELECT claim FROM checks c JOIN notes n ON n.id = c.id;

-- An unqualified name of outside, in a sub-select on a table that migrates
-- @side: old
SELECT (SELECT max(a.id) FROM archive a WHERE a.claim_text = claim), n.id FROM notes n;

-- An unqualified name of outside, for the new
-- @side: new
SELECT (SELECT max(a.id) FROM archive a WHERE a.claim = claim_text), n.id FROM notes n;

-- A correlated EXISTS by a name that the other side's column would capture
-- @side: old
SELECT n.id FROM notes n WHERE EXISTS (SELECT 1 FROM archive WHERE claim_text = claim);

-- A correlated EXISTS by such a name, for the new
-- @side: new
-- @follows: a column's name could mean more than one thing
SELECT n.id FROM notes n WHERE EXISTS (SELECT 1 FROM checks WHERE claim = claim_text);

-- An output name in ORDER BY called like the other side's column
-- @side: old
-- @ordered
SELECT id, upper(run_id) AS claim FROM checks ORDER BY claim DESC;

-- An output name in ORDER BY called like the other side's column, for the new
-- @side: new
-- @ordered
SELECT id, upper(run_id) AS claim_text FROM checks ORDER BY claim_text DESC;

-- An output name in GROUP BY called like the other side's column
-- @side: old
SELECT left(run_id, 3) AS claim, count(*) FROM checks GROUP BY claim;

-- An output name in GROUP BY called like the other side's column, for the new
-- @side: new
SELECT left(run_id, 3) AS claim_text, count(*) FROM checks GROUP BY claim_text;

-- An output name in DISTINCT ON
-- @side: old
-- @ordered
SELECT DISTINCT ON (claim) id % 2 AS claim, id FROM checks ORDER BY claim, id;

-- A name of a sub-select's column called like the other side's
SELECT s.claim, s.claim_text FROM (SELECT 1 AS claim, 2 AS claim_text) s, checks WHERE checks.id = 1;

-- The same without qualification
-- @side: old
SELECT claim FROM (SELECT 1 AS claim) s, checks WHERE checks.id = 1;

-- A CTE's column called like the other side's
-- @side: old
WITH n AS (SELECT id, claim FROM notes) SELECT claim FROM n JOIN archive USING (id);

-- A function's alias called like the other side's column
-- @side: old
SELECT claim, a.id FROM generate_series(1, 2) claim, archive a;

-- An element's alias called like the other side's column
-- @side: old
SELECT claim, a.id FROM unnest(ARRAY[1, 2]) claim, archive a ORDER BY claim, a.id;

-- A function's alias further out called like the other side's column
-- @side: old
SELECT claim FROM generate_series(1, 2) claim WHERE EXISTS (SELECT 1 FROM archive a WHERE claim = a.id - 4);

-- A list of a CTE with a name of the other side
-- @side: old
WITH n (id, claim) AS (SELECT id, body FROM notes) SELECT a.id, claim FROM n JOIN archive a ON a.id = n.id + 4;

-- A list of a CTE further out with a name of the other side
-- @side: old
WITH n (id, claim) AS (SELECT id, claim FROM notes) SELECT n.id FROM n WHERE EXISTS (SELECT 1 FROM archive a WHERE a.id = n.id + 4 AND claim = 'claim 1');

-- A list of a CTE further out with a name of the other side, for the new
-- @side: new
-- @declared
WITH n (id, claim_text) AS (SELECT id, claim FROM notes) SELECT n.id FROM n WHERE EXISTS (SELECT 1 FROM archive a WHERE a.id = n.id + 4 AND claim_text = 'claim 1');

-- A star of a CTE further out with a name of the other side
-- @side: old
WITH n AS (SELECT * FROM notes) SELECT n.id FROM n WHERE EXISTS (SELECT 1 FROM archive a WHERE a.id = n.id + 4 AND claim = 'claim 1');

-- A star of a sub-select with a name of the other side
-- @side: old
SELECT a.id, claim FROM (SELECT n.* FROM notes n) n JOIN archive a ON a.id = n.id + 4;

-- A recursive CTE that computes what a column of the other side is called
-- @side: old
WITH RECURSIVE tree AS (SELECT id, 0 AS claim FROM archive WHERE id = 5 UNION ALL SELECT a.id, claim + 1 FROM archive a JOIN tree t ON a.id = t.id + 1)
SELECT claim, a.id FROM tree JOIN archive a USING (id);

-- A recursive CTE with such a list
-- @side: old
WITH RECURSIVE tree (id, claim) AS (SELECT id, 0 FROM archive WHERE id = 5 UNION ALL SELECT a.id, claim + 1 FROM archive a JOIN tree t ON a.id = t.id + 1)
DELETE FROM words USING tree WHERE tree.id = words.id + 5 AND EXISTS (SELECT 1 FROM archive a WHERE a.id = tree.id AND claim < 3);

-- A row in a recursive CTE
-- @doubt: a whole row where its type matters
WITH RECURSIVE r AS (SELECT c FROM checks c WHERE id = 1 UNION ALL SELECT x FROM r JOIN checks x ON x.id = (r.c).id + 1) SELECT (c).id, (c).env FROM r;

-- RETURNING gives a name of the other side
-- @side: old
WITH n AS (UPDATE notes SET body = 'x' RETURNING id, claim) SELECT claim, a.id FROM n JOIN archive a ON a.id = n.id + 4;

-- RETURNING a star further out gives a name of the other side
-- @side: old
WITH n AS (DELETE FROM notes RETURNING *) SELECT n.id FROM n WHERE EXISTS (SELECT 1 FROM archive a WHERE a.id = n.id + 4 AND claim = 'claim 1');

-- A list of aliases beside a name of the other side
-- @side: old
SELECT claim, a.id FROM notes n (r0) JOIN archive a ON a.id = r0 + 4;

-- An alias further in covers what a name is qualified by
-- @side: old
SELECT (SELECT claim FROM archive notes WHERE notes.id = 5) FROM notes;

-- A function's row further out may have a name of the other side
-- @side: new
-- @declared
SELECT key FROM json_each_text('{"a": "x", "b": "y"}') j WHERE EXISTS (SELECT 1 FROM readings WHERE value = 'x');

-- A function's row without an alias further out may have a name of the other side
-- @side: new
-- @declared
SELECT key FROM json_each_text('{"a": "x", "b": "y"}') WHERE EXISTS (SELECT 1 FROM readings WHERE value = 'x');

-- A name in an UPDATE's FROM
-- @side: old
UPDATE checks SET env = claim FROM notes n WHERE n.id = checks.id;

-- A name in an UPDATE's FROM, for the new
-- @side: new
UPDATE checks SET env = claim_text FROM notes n WHERE n.id = checks.id;

-- A name in a DELETE's USING
-- @side: old
DELETE FROM archive USING notes n WHERE n.id + 4 = archive.id AND claim <> claim_text || 'x';

-- A name in an INSERT's SELECT
-- @side: old
INSERT INTO words SELECT n.id + 10, claim FROM notes n JOIN archive a ON a.id = n.id + 4;

-- A name in a join's condition
-- @side: old
SELECT n.id FROM archive a JOIN notes n ON a.run_id = 'run' || n.id OR claim = 'claim 1';

-- A name that nothing has
SELECT absent FROM checks;

-- A name that nothing has, behind a star
SELECT *, 'é', absent FROM checks;

-- A name that the table has not
SELECT *, c.absent FROM checks c, archive a;

-- A table that is not there, behind a star
SELECT * FROM checks, absent;

-- A type error behind two stars
SELECT c.*, a.*, 'ü' AS u, c.id + c.env FROM checks c, archive a;

-- A missing FROM clause
SELECT c.*, x.* FROM checks c;

-- An error in front of a star
SELECT absent, * FROM checks;

-- An error in the next line
SELECT *
FROM checks
WHERE "ä" = 1;

-- A syntax error
-- @untouched: not understood by the parser
SELECT * FROM checks WHERE;

-- A function that is not there
SELECT *, absent(id) FROM archive;

-- Schema-qualified columns
SELECT public.checks.{claim} FROM public.checks WHERE public.checks.id = 2;

-- Mixed case folds
SELECT Id, Claim_Text IS NULL AS n FROM (SELECT id, {claim} AS claim_text FROM Checks) S;

-- Quoted names
SELECT "Order Lines"."Id", "{priceunit}", "{from}", "note""d" FROM "Order Lines";

-- Names by number
SELECT U&"\0049d", U&"!0049d" UESCAPE '!' FROM "Order Lines";

-- A namesake in another schema
SELECT * FROM other.tags;

-- A namesake in another schema beside it
SELECT * FROM other.tags o JOIN public.tags t ON t.id = o.id;

-- A namesake in another schema, written to
INSERT INTO other.tags VALUES (10, 'a', 'b') RETURNING *;

-- A temporary table hides a table that migrates
-- @untouched: a kind of statement that is never rewritten
-- @hides: tags
CREATE TEMP TABLE tags (id int, title text, label text);
INSERT INTO tags VALUES (1, 'a', 'b') RETURNING *;
UPDATE tags SET title = 'c' RETURNING *;
SELECT *, label, title FROM tags;

-- A temporary table is hidden from a schema-qualified name
-- @untouched: a kind of statement that is never rewritten
CREATE TEMP TABLE tags (id int, claim text);
SELECT * FROM public.tags;

-- A semicolon in a comment is no second statement, before which a relation could get such a column
CREATE TEMP VIEW made AS SELECT (config_json).* /* ; */ FROM people JOIN kinds config_json ON config_json.id = people.id;
SELECT * FROM made;

-- A temporary table of another name
CREATE TEMP TABLE passing AS SELECT * FROM words;
INSERT INTO passing SELECT * FROM words;
SELECT * FROM passing;

-- A database's own catalog
SELECT count(*) > 0 FROM information_schema.columns WHERE table_name = 'checks';

-- An error of the client's own text, outside of a transaction
-- @alone: yes
SELECT claim FROM (SELECT a.* FROM archive a) c JOIN people USING (id) CROSS JOIN notes WHERE absent;

-- A function's argument is a row, outside of a transaction, beside an error
-- @alone: yes
SELECT row_to_json(claim_text), row_to_json(claim), absent FROM people claim_text CROSS JOIN people claim CROSS JOIN checks;

-- An old name in a sub-select, which a table further out has, too
-- @side: new
-- @follows: a column's name could mean more than one thing
SELECT n.id, (SELECT claim_text FROM archive a WHERE a.id = n.id + 4) FROM notes n;

-- An old name in a sub-select, beside a new one
-- @side: new
SELECT n.id, (SELECT claim_text FROM archive a WHERE a.id = n.id + 4 AND a.claim IS NOT NULL) FROM notes n;

-- A table under an old column's name
-- @side: new
-- @follows: a column's name could mean more than one thing
SELECT to_json(claim_text), claim_text IS NULL FROM words claim_text JOIN archive a ON a.id = claim_text.id + 4;

-- A table under an old column's name, as what takes nothing but rows
-- @side: new
SELECT row_to_json(claim_text), (claim_text).id FROM words claim_text JOIN archive a ON a.id = claim_text.id + 4;

-- A table under a new column's name
-- @side: old
SELECT to_json(claim), claim IS NULL FROM words claim JOIN archive a ON a.id = claim.id + 4;

-- A list of aliases with a name of the other side
-- @side: old
SELECT claim, a.claim, a.* FROM archive a (id, claim);

-- A list of aliases with a name of the other side, for the new
-- @side: new
SELECT claim_text, a.claim_text, a.* FROM archive a (id, claim_text);

-- A table that is called as its own old column
-- @follows: a column's name could mean more than one thing
SELECT verdict::text, to_json(verdict) FROM verdict;

-- A table that is called as its own old column, in conditions
-- @follows: a column's name could mean more than one thing
SELECT v.id FROM verdict v WHERE EXISTS (SELECT 1 FROM verdict WHERE verdict IS NOT NULL AND id > v.id);

-- A table that is called as its own old column, grouped
-- @follows: a column's name could mean more than one thing
SELECT count(*), verdict IS NULL FROM verdict GROUP BY verdict;

-- A table that is called as its own old column, where it is written
-- @follows: a column's name could mean more than one thing
UPDATE verdict SET score = 5 WHERE id = 2 RETURNING verdict::text;

-- A table that is called as its own old column, where that is written
-- @follows: a column's name could mean more than one thing
UPDATE verdict SET {outcome} = 'x' WHERE verdict IS NOT NULL RETURNING verdict::text;

-- A table that is called as its own old column, and is deleted from
-- @follows: a column's name could mean more than one thing
DELETE FROM verdict WHERE verdict IS NULL OR id = 1 RETURNING verdict::text;

-- A table that is called as its own new column
SELECT grade::text, to_json(grade) FROM grade;

-- A table that is called as its own new column, where it is written
INSERT INTO grade (id, {grade}) VALUES (90, 'x') RETURNING grade::text;

-- A table that is called as its own new column, in an upsert
INSERT INTO grade VALUES (1, 'x', 'y') ON CONFLICT (id) DO UPDATE SET {grade} = EXCLUDED.{grade} WHERE grade IS NOT NULL RETURNING grade::text, grade.*;

-- A table that is called as its own new column, in a MERGE
MERGE INTO grade USING words w ON w.id = grade.id WHEN MATCHED AND grade IS NOT NULL THEN UPDATE SET {grade} = w.{title};

-- A list of aliases takes a column's name away that a table's alias has
SELECT length(to_json(config_json)::text) AS e FROM archive AS config_json CROSS JOIN notes AS n (a, b, c, d, e);

-- A temporary table of the transaction with columns called as both sides' ones, from further in
CREATE TEMP TABLE stage (id bigint, claim_text text, claim text);
INSERT INTO stage SELECT id, CASE WHEN id < 3 THEN {claim} ELSE 'other' END, CASE WHEN id > 4 THEN {claim} ELSE 'new' END FROM checks;
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim_text);
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim);
DELETE FROM stage s WHERE s.id IN (SELECT c.id FROM checks c WHERE c.{claim} = claim_text AND c.{claim} <> claim) RETURNING id;
UPDATE checks SET {claim} = s.claim_text FROM stage s WHERE s.id = checks.id AND s.claim = 'new';

-- A table of the transaction that takes such columns from a query, from further in
CREATE TABLE stage AS SELECT * FROM notes;
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim_text);
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim);

-- The same by SELECT INTO
SELECT n.id, n.claim, n.claim_text INTO TEMP stage FROM notes n JOIN checks c USING (id);
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim_text);
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim);

-- A table of the transaction that gets such columns later, from further in
CREATE TEMP TABLE stage (id bigint, x text);
ALTER TABLE stage RENAME x TO claim;
ALTER TABLE stage ADD claim_text text DEFAULT 'claim 1';
INSERT INTO stage VALUES (1, 'claim 1');
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim_text);
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim);

-- A table of the transaction with such columns, in one message
-- @message
INSERT INTO words VALUES (9, 'nine'); SELECT n.id, n.claim, n.claim_text INTO TEMP stage FROM notes n; SELECT s.id FROM stage s WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = s.id AND c.{claim} = claim_text); SELECT s.id FROM stage s WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = s.id AND c.{claim} = claim);

-- A table of SELECT INTO whose text names no migrating table, from further in
SELECT id, 'claim ' || id % 3 AS claim, 'x' AS claim_text INTO TEMP stage FROM notes;
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim);
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim_text);

-- The same in one message
-- @message
SELECT id, 'x' AS claim_text, 'x' AS claim INTO TEMP stage FROM notes; SELECT count(*) FROM words; DELETE FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim); DELETE FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim_text); SELECT count(*) FROM stage;

-- A table of the transaction that a DO has made, from further in
DO $$BEGIN CREATE TEMP TABLE stage AS SELECT id, 'x' AS claim, 'x' AS claim_text FROM notes; END$$;
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim);
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim_text);

-- A table of the transaction that has got the name of another one, from further in
CREATE TEMP TABLE staged AS TABLE notes;
ALTER TABLE staged RENAME TO stage;
SELECT id FROM stage WHERE EXISTS (SELECT 1 FROM checks c WHERE c.id = stage.id AND c.{claim} = claim);

-- A table of the transaction that has no such columns changes nothing
CREATE TEMP TABLE stage (id bigint, x text);
INSERT INTO stage SELECT id, {claim} FROM checks;
SELECT stage.id FROM stage JOIN checks USING (id) WHERE {claim} = x AND EXISTS (SELECT 1 FROM archive a WHERE a.id = stage.id + 4 AND {claim} > 'a');

-- Columns of two tables of one name, with their schemas
SELECT public.tags.id, other.tags.title, other.tags.label FROM public.tags JOIN other.tags ON other.tags.id = public.tags.id;
SELECT public.tags.{title}, other.tags.title, other.tags.label FROM other.tags JOIN public.tags ON other.tags.id = public.tags.id;
UPDATE public.tags SET {title} = other.tags.title FROM other.tags WHERE other.tags.id = public.tags.id RETURNING public.tags.{title}, other.tags.label;

-- The star of the second of two tables of one name
-- @doubt: a star whose columns cannot be listed
SELECT public.tags.* FROM other.tags JOIN public.tags ON other.tags.id = public.tags.id;

-- The star of one of another schema, which is no table that migrates
SELECT other.tags.*, public.tags.id FROM public.tags JOIN other.tags ON other.tags.id = public.tags.id;

-- A column behind those that a list of aliases renames keeps its name, beside a table that cannot become a sub-select
-- @side: old
SELECT c.r0, a.id FROM people AS c (r0, r1, r2, r3, r4) JOIN readings a TABLESAMPLE bernoulli (100) ON uom = a.unit;

-- A name of outside, where a list of aliases renames the column inside
-- @side: old
SELECT n.uom FROM people n WHERE EXISTS (SELECT FROM people AS c (r0, r1, r2, r3, r4, r5) JOIN readings a ON a.sensor = 's1' AND uom = a.unit);

-- A name of outside that a column behind a list of aliases takes
-- @side: old
SELECT n.id FROM people n WHERE EXISTS (SELECT FROM people AS c (r0, r1) JOIN readings a TABLESAMPLE system (100) ON uom = a.unit AND c.r0 = n.id);
