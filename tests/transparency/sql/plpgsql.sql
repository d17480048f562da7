-- PL/pgSQL: messages of every level, exceptions, diagnostics, loops, dynamic SQL.
DO $$ BEGIN RAISE NOTICE 'plain'; RAISE NOTICE 'with % and %%', 1; RAISE INFO 'info'; RAISE WARNING 'warning'; END $$;
DO $$ BEGIN RAISE LOG 'not for clients'; RAISE DEBUG 'nor this'; END $$;
SET client_min_messages = debug1;
DO $$ BEGIN RAISE LOG 'for clients now'; RAISE DEBUG 'this too'; END $$;
SET client_min_messages = error;
DO $$ BEGIN RAISE WARNING 'hidden'; END $$;
RESET client_min_messages;
DO $$ BEGIN RAISE EXCEPTION 'boom %', 42; END $$;
DO $$ BEGIN RAISE EXCEPTION 'all' USING DETAIL = 'd', HINT = 'h', ERRCODE = 'P1234', COLUMN = 'c', CONSTRAINT = 'k',
    DATATYPE = 't', TABLE = 'tab', SCHEMA = 's'; END $$;
DO $$ BEGIN RAISE division_by_zero; END $$;
DO $$ BEGIN RAISE SQLSTATE '22012' USING MESSAGE = 'by state'; END $$;
DO $$ BEGIN RAISE NOTICE '%', repeat('long ', 3000); END $$;
DO $$ BEGIN RAISE NOTICE E'several\nlines\tand ünï'; END $$;
DO $$ BEGIN FOR i IN 1..200 LOOP RAISE NOTICE 'n %', i; END LOOP; END $$;
DO $$ BEGIN RAISE NOTICE 'too few %'; END $$;
DO $$ BEGIN ASSERT 1 = 2, 'the assertion'; END $$;
CREATE FUNCTION inner_f(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 10 / i; END $$;
CREATE FUNCTION outer_f(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN inner_f(i) + 1; END $$;
SELECT outer_f(2);
SELECT outer_f(0);
SELECT outer_f(i) FROM generate_series(2, -1, -1) i;
CREATE FUNCTION caught(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE a text; b text; c text; d text; e text; f text; g text;
BEGIN
  EXECUTE sql;
  RETURN 'fine';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS a = RETURNED_SQLSTATE, b = MESSAGE_TEXT, c = PG_EXCEPTION_DETAIL, d = PG_EXCEPTION_HINT,
      e = TABLE_NAME, f = CONSTRAINT_NAME, g = PG_EXCEPTION_CONTEXT;
  RAISE NOTICE 'caught % % % % % %', a, b, c, d, e, f USING DETAIL = g;
  RETURN a;
END $$;
SELECT caught('SELECT 1/0');
SELECT caught('SELECT nosuch');
SELECT caught('CREATE TABLE made (id int PRIMARY KEY)');
SELECT caught('INSERT INTO made VALUES (1), (1)');
SELECT caught('INSERT INTO made VALUES (NULL)');
SELECT caught('SELEC');
SELECT caught('SELECT inner_f(0)');
SELECT caught('DROP TABLE made'), caught('DROP TABLE made');
CREATE FUNCTION rows_of(n int) RETURNS TABLE (i int, sq bigint) LANGUAGE plpgsql AS $$
BEGIN FOR i IN 1..n LOOP sq := i * i; RETURN NEXT; IF i = 3 THEN RAISE NOTICE 'three'; END IF; END LOOP; END $$;
SELECT * FROM rows_of(5);
SELECT * FROM rows_of(0);
CREATE FUNCTION dynamic(tab text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN RETURN QUERY EXECUTE format('SELECT * FROM %I', tab); END $$;
SELECT * FROM dynamic('kept_view') AS d(a int);
SELECT * FROM dynamic('pg_am') AS d(a oid);
SELECT * FROM dynamic('x');
CREATE PROCEDURE steps(INOUT n int) LANGUAGE plpgsql AS $$
BEGIN
  CREATE TABLE steps_t (i int);
  FOR i IN 1..n LOOP
    INSERT INTO steps_t VALUES (i);
    IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; CREATE TABLE IF NOT EXISTS steps_t (i int); END IF;
  END LOOP;
  n := n * 2;
END $$;
CALL steps(5);
SELECT count(*) FROM steps_t;
BEGIN; CALL steps(2); ROLLBACK;
DO $$
DECLARE r record; c refcursor; k CURSOR (x int) FOR SELECT g FROM generate_series(1, x) g; n int; t text[] := '{}';
BEGIN
  FOR r IN SELECT id, label FROM kept ORDER BY id LIMIT 3 LOOP RAISE NOTICE '% %', r.id, r.label; END LOOP;
  OPEN k(3);
  LOOP FETCH k INTO n; EXIT WHEN NOT FOUND; t := t || n::text; END LOOP;
  CLOSE k;
  OPEN c FOR EXECUTE 'SELECT 1 UNION ALL SELECT 2';
  FETCH LAST FROM c INTO n;
  RAISE NOTICE '% %', t, n;
  GET DIAGNOSTICS n = ROW_COUNT;
  RAISE NOTICE 'rows %', n;
  FOREACH n IN ARRAY ARRAY[5, 6] LOOP CONTINUE WHEN n = 5; RAISE NOTICE 'item %', n; END LOOP;
  WHILE n > 4 LOOP n := n - 1; END LOOP;
  CASE n WHEN 4 THEN RAISE NOTICE 'four'; ELSE RAISE NOTICE 'other'; END CASE;
  PERFORM pg_notify('nobody_listens', 'x');
END $$;
DO $$ DECLARE n int; BEGIN SELECT id INTO STRICT n FROM kept; END $$;
DO $$ DECLARE n int; BEGIN SELECT id INTO STRICT n FROM kept WHERE id < 0; END $$;
DO $$ DECLARE n int NOT NULL := 1; BEGIN n := NULL; END $$;
DO $$ BEGIN CASE 5 WHEN 1 THEN NULL; END CASE; END $$;
DO $$ DECLARE i int := 'x'; BEGIN END $$;
DO $$ BEGIN EXECUTE NULL; END $$;
DO $$ BEGIN INSERT INTO nosuch VALUES (1); EXCEPTION WHEN undefined_table THEN RAISE NOTICE 'state % message %', SQLSTATE, SQLERRM; END $$;
DO $$ BEGIN BEGIN RAISE EXCEPTION 'first'; EXCEPTION WHEN OTHERS THEN RAISE EXCEPTION 'second after %', SQLERRM; END; END $$;
DO $$ BEGIN BEGIN RAISE EXCEPTION 'again'; EXCEPTION WHEN OTHERS THEN RAISE; END; END $$;
CREATE FUNCTION recurse(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN n = 0 THEN 1/n ELSE recurse(n - 1) END; END';
SELECT recurse(5);
CREATE TABLE audited (id int, v text);
CREATE TABLE audit (op text, old_row text, new_row text);
CREATE FUNCTION audit_f() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE '% % % %', TG_NAME, TG_WHEN, TG_OP, TG_LEVEL;
  IF TG_LEVEL = 'ROW' THEN INSERT INTO audit VALUES (TG_OP, OLD::text, NEW::text); END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  IF NEW.v = 'skip' THEN RETURN NULL; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER a_row BEFORE INSERT OR UPDATE OR DELETE ON audited FOR EACH ROW EXECUTE FUNCTION audit_f();
INSERT INTO audited VALUES (1, 'a'), (2, 'skip'), (3, 'c') RETURNING *;
UPDATE audited SET v = v || '!' WHERE id > 0;
DELETE FROM audited WHERE id = 1;
SELECT * FROM audit;
CREATE FUNCTION event_f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'event % %', tg_event, tg_tag; END $$;
CREATE EVENT TRIGGER corpus_event ON ddl_command_end EXECUTE FUNCTION event_f();
CREATE TABLE seen_by_event (i int);
ALTER TABLE seen_by_event ADD j int;
DROP EVENT TRIGGER corpus_event;
\sf outer_f
\df outer_f
\df+ inner_f
SELECT prosrc FROM pg_proc WHERE proname = 'recurse';
DROP FUNCTION inner_f(int);
SELECT outer_f(1);
