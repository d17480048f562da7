-- Settings: what a session starts with, SET, RESET, DISCARD, SHOW, roles, reconnecting; with many ways to start.
-- variant: none
-- variant: options PGOPTIONS=-c work_mem=5MB -c DateStyle=German -c my.start=up -c geqo=off
-- variant: search_path PGOPTIONS=-c statement_timeout=7s -c default_transaction_isolation=serializable --search_path=public,corpus
-- variant: escaped PGOPTIONS=-c application_name=from\ options -c TimeZone=Europe/Rome
-- variant: application_name PGAPPNAME=a name with 'quotes' and ünï
-- variant: latin1 PGCLIENTENCODING=LATIN1
-- variant: sql_ascii PGCLIENTENCODING=SQL_ASCII
-- variant: zone PGTZ=America/St_Johns
-- variant: datestyle PGDATESTYLE=SQL, DMY
-- variant: geqo PGGEQO=off
SHOW application_name; SHOW work_mem; SHOW DateStyle; SHOW TimeZone; SHOW client_encoding; SHOW search_path; SHOW IntervalStyle;
SHOW extra_float_digits; SHOW geqo; SHOW statement_timeout; SHOW default_transaction_isolation; SHOW session_authorization;
SELECT current_user, session_user, current_database(), current_schemas(true);
SELECT name, setting, source FROM pg_settings WHERE source NOT IN ('default', 'configuration file', 'override', 'command line', 'environment variable') ORDER BY name;
SELECT date '2024-02-01', timestamptz '2024-07-01 12:00+00', interval '1 day 2:03:04', 0.1::float8 + 0.2, 'é', length('é');
SET application_name = 'changed'; SET work_mem = '9MB'; SET DateStyle = 'German, DMY'; SET TimeZone = 'Asia/Tokyo'; SET IntervalStyle = iso_8601;
SET extra_float_digits = 0; SET search_path = pg_catalog; SET bytea_output = escape; SET xmloption = document;
SELECT date '2024-02-01', timestamptz '2024-07-01 12:00+00', interval '1 day 2:03:04', 0.1::float8 + 0.2, '\x00ff'::bytea;
SELECT name, setting, source FROM pg_settings WHERE source = 'session' AND name <> 'client_encoding' ORDER BY name;
RESET work_mem; SHOW work_mem;
RESET application_name; SHOW application_name;
RESET DateStyle; SHOW DateStyle;
SET work_mem = DEFAULT; SET TimeZone TO DEFAULT; SHOW TimeZone;
SET TIME ZONE -3; SHOW TIME ZONE; SET TIME ZONE LOCAL; SHOW TIME ZONE;
SET work_mem = '9MB';
RESET ALL;
SHOW application_name; SHOW work_mem; SHOW DateStyle; SHOW TimeZone; SHOW client_encoding; SHOW search_path; SHOW IntervalStyle; SHOW extra_float_digits;
SELECT name, setting, source FROM pg_settings WHERE source NOT IN ('default', 'configuration file', 'override', 'command line', 'environment variable') ORDER BY name;
SET SESSION work_mem = '8MB'; BEGIN; SET LOCAL work_mem = '7MB'; SHOW work_mem; ROLLBACK; SHOW work_mem;
SELECT set_config('work_mem', '6MB', false), set_config('my.own', 'value', false), current_setting('my.own'), current_setting('no.such', true);
SET my.own = 'other'; SHOW my.own; RESET my.own; SHOW my.own;
CREATE FUNCTION with_own() RETURNS text LANGUAGE sql SET work_mem = '5MB' SET search_path = pg_catalog AS 'SELECT current_setting(''work_mem'')';
SELECT with_own(), current_setting('work_mem');
CREATE TEMP TABLE temp_t (i int); PREPARE stays AS SELECT 1; DECLARE held CURSOR WITH HOLD FOR SELECT 1; SELECT pg_advisory_lock(9);
DISCARD TEMP; SELECT to_regclass('temp_t');
CREATE TEMP SEQUENCE temp_s; SELECT nextval('temp_s'); DISCARD SEQUENCES; SELECT currval('temp_s');
DISCARD ALL;
EXECUTE stays; FETCH held; SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SHOW work_mem; SHOW application_name; SHOW DateStyle; SHOW TimeZone; SHOW client_encoding; SHOW search_path;
SET client_encoding = 'UTF8'; SHOW client_encoding; SELECT 'é'; RESET client_encoding; SHOW client_encoding;
\encoding
\encoding LATIN9
SELECT U&'\20ac';
\encoding UTF8
SHOW client_encoding;
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE; SHOW transaction_isolation; RESET default_transaction_isolation;
SET standard_conforming_strings = off; SELECT 'a\tb'; SELECT '\\'; RESET standard_conforming_strings;
SET quote_all_identifiers = on; EXPLAIN (COSTS off) SELECT * FROM pg_am; RESET quote_all_identifiers;
SET default_transaction_read_only = on; CREATE TABLE no_t (i int); SHOW transaction_read_only; RESET default_transaction_read_only;
SET check_function_bodies = off; SET array_nulls = off; SELECT '{NULL}'::text[]; RESET ALL;
SET row_security = off; SET lc_messages = 'C'; SET lc_monetary = 'C'; SELECT 12.3::money; SET escape_string_warning = off; RESET ALL;
SET log_statement = 'all'; SET debug_print_plan = off; SET session_replication_role = replica; SHOW session_replication_role; RESET session_replication_role;
SET ROLE app; SELECT current_user, session_user; SHOW role; SHOW is_superuser; RESET ROLE; SELECT current_user;
SET SESSION AUTHORIZATION app; SELECT current_user, session_user; SHOW is_superuser; SET work_mem = '1MB'; RESET SESSION AUTHORIZATION; SELECT session_user;
\echo :ENCODING :SERVER_VERSION_NUM :USER :DBNAME
\connect
SHOW work_mem; SHOW application_name; SHOW DateStyle; SELECT current_user;
\connect - app
SELECT current_user, session_user; SHOW work_mem; SHOW application_name;
\connect nosuch
SELECT current_database();
