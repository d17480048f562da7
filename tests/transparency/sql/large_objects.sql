-- Large objects by functions and by psql's commands, under ids that the script chooses.
SELECT lo_create(313131);
SELECT lo_create(313131);
BEGIN;
SELECT lo_open(313131, x'60000'::int);
SELECT lowrite(0, 'some bytes in it');
SELECT lo_lseek(0, 5, 0), lo_tell(0);
SELECT loread(0, 5), convert_from(loread(0, 100), 'UTF8');
SELECT lo_truncate(0, 4), lo_lseek64(0, 0, 2), lo_tell64(0);
SELECT lo_lseek(0, -50, 0);
SELECT 'aborted';
ROLLBACK;
BEGIN; SELECT lo_open(313131, x'40000'::int); SELECT lowrite(0, 'x'); ROLLBACK;
BEGIN; SELECT lo_open(999999, x'40000'::int); ROLLBACK;
SELECT lo_close(0);
SELECT loread(5, 10);
SELECT lo_from_bytea(313132, '\x00ff10'), lo_get(313132), lo_get(313132, 1, 1);
SELECT lo_put(313132, 2, '\xaabb'); SELECT lo_get(313132);
SELECT lo_put(313132, -2, '\xaabb');
SELECT length(lo_get(lo_from_bytea(313133, decode(repeat('ab', 100000), 'hex'))));
SELECT loid, count(*), sum(length(data)) FROM pg_largeobject WHERE loid BETWEEN 313131 AND 313139 GROUP BY 1 ORDER BY 1;
GRANT SELECT ON LARGE OBJECT 313132 TO app;
COMMENT ON LARGE OBJECT 313132 IS 'a large one';
\lo_list
\lo_list+
\lo_export 313132 exported
\lo_export 999999 exported
\lo_import exported 'imported again'
SELECT :LASTOID > 0 AS made \gset
\echo :made
SELECT lo_get(:LASTOID), lo_unlink(:LASTOID);
\lo_import nosuch
\lo_unlink 313131
\lo_unlink 313131
SELECT lo_unlink(313132), lo_unlink(313133);
SELECT lo_unlink(313132);
SET lo_compat_privileges = on;
SET ROLE app; SELECT lo_create(313134); SELECT lo_get(313134); RESET ROLE;
SELECT lo_unlink(313134);
