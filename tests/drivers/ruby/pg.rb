# ruby-pg: prints one line a check, "ok NAME: SEEN" or "FAILED NAME: WHY". A check has a connection of its own.
require 'pg'

CHECKS = {}
$stdout.sync = true

def check(name, &code)
  CHECKS[name] = code
end

def must(condition, what = 'condition')
  raise what unless condition
end

def fields(error)
  r = error.result
  [error.class.name] + [PG::PG_DIAG_SQLSTATE, PG::PG_DIAG_MESSAGE_PRIMARY, PG::PG_DIAG_MESSAGE_DETAIL,
                        PG::PG_DIAG_STATEMENT_POSITION, PG::PG_DIAG_TABLE_NAME, PG::PG_DIAG_COLUMN_NAME,
                        PG::PG_DIAG_CONSTRAINT_NAME, PG::PG_DIAG_SOURCE_FUNCTION].map { |f| r.error_field(f) }
end

def fails(conn, sql, *values)
  conn.exec_params(sql, values)
  raise "no error: #{sql}"
rescue PG::Error => e
  fields(e)
end

TYPES = File.read(File.join(__dir__, '..', 'types.sql'))

check :types_in_text do |c|
  r = c.exec(TYPES)
  must r.nfields == 30 && r.getisnull(0, 25)
  r.values + [(0...30).map { |i| [r.fname(i), r.ftype(i), r.fmod(i), r.fformat(i)] }]
end

check :types_in_binary do |c|
  c.exec_params(TYPES, [], 1).values.map { |row| row.map { |v| v && v.unpack1('H*') } }
end

check :parameters_of_all_kinds do |c|
  r = c.exec_params('SELECT $1::int8, $2::float8, $3::text, $4::text, $5::bool, $6, $7::int4[]',
                    ['1', '-2.5', "té'xt", nil, 't', { value: "\0\xff".b, format: 1, type: 17 }, '{1,NULL}'])
  c.type_map_for_results = PG::BasicTypeMapForResults.new(c)
  [r.values, c.exec('SELECT 1, 2.5::float8, true, ARRAY[1, 2], NULL, now() > \'2000-01-01\'').values]
end

check :errors_with_their_fields do |c|
  c.exec("CREATE TEMP TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))")
  seen = ['SELEC 1', 'SELECT nosuch', 'INSERT INTO e VALUES (2, NULL)', "INSERT INTO e VALUES (3, 'no')", 'SELECT 1/0',
          "SELECT 'x'::int"].map { |sql| fails(c, sql) }
  must seen[1][1] == '42703', seen.inspect
  seen
end

check :cancel_of_a_running_statement do |c|
  canceller = Thread.new { sleep 0.2; c.cancel }
  begin
    c.exec('SELECT pg_sleep(20)')
    raise 'not canceled'
  rescue PG::QueryCanceled => e
    canceller.join
    [fields(e), c.exec("SELECT 'goes on'").values]
  end
end

check :statement_timeout do |c|
  c.exec('SET statement_timeout = 50')
  fails(c, 'SELECT pg_sleep(20)')
end

check :notices_and_notifications do |c|
  seen = []
  c.set_notice_receiver { |r| seen << [r.error_field(PG::PG_DIAG_SQLSTATE), r.error_field(PG::PG_DIAG_MESSAGE_PRIMARY)] }
  c.exec("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$")
  c.exec('LISTEN driver_news')
  other = PG.connect
  other.exec("NOTIFY driver_news, 'payload'")
  channel = c.wait_for_notify(10) { |name, pid, payload| seen << [name, pid == other.backend_pid, payload] }
  other.close
  must channel == 'driver_news' && seen.size == 3
  seen
end

check :copy_in_and_out do |c|
  c.exec('CREATE TEMP TABLE c (id int, v text)')
  c.copy_data('COPY c FROM STDIN', PG::TextEncoder::CopyRow.new) { 20_000.times { |i| c.put_copy_data([i, "v#{i}\t"]) } }
  bytes = 0
  c.copy_data('COPY c TO STDOUT') { while (line = c.get_copy_data); bytes += line.bytesize; end }
  begin
    c.copy_data('COPY c FROM STDIN') { 5000.times { c.put_copy_data("x\ty\n") } }
    raise 'no error'
  rescue PG::InvalidTextRepresentation => e
    [bytes, fields(e), c.exec('SELECT count(*) FROM c').values]
  end
end

check :prepared_statements do |c|
  c.prepare('plus', 'SELECT $1::int + 1')
  seen = (1..10).map { |i| c.exec_prepared('plus', [i]).getvalue(0, 0) }
  d = c.describe_prepared('plus')
  seen << [d.nparams, d.paramtype(0), d.ftype(0)]
  c.exec('DEALLOCATE plus')
  begin
    c.exec_prepared('plus', [1])
  rescue PG::InvalidSqlStatementName => e
    seen << fields(e)
  end
  must seen.size == 12
  seen
end

check :pipeline_with_an_error_inside do |c|
  c.enter_pipeline_mode
  5.times { |i| c.send_query_params('SELECT 10 / ($1::int - 3)', [i]) }
  c.pipeline_sync
  c.send_query_params('SELECT $1', ['after'])
  c.pipeline_sync
  seen = []
  syncs = 0
  while syncs < 2
    r = c.get_result
    next if r.nil? # between two statements
    seen << [r.res_status(r.result_status), r.values]
    syncs += 1 if r.result_status == PG::PGRES_PIPELINE_SYNC
    raise 'no end' if seen.size > 40
  end
  c.exit_pipeline_mode
  must seen.count { |status, _| status == 'PGRES_PIPELINE_ABORTED' } == 1, seen.inspect
  seen
end

check :transactions_and_savepoints do |c|
  c.exec('CREATE TEMP TABLE t (id int PRIMARY KEY)')
  failed = nil
  c.transaction do
    c.exec('INSERT INTO t VALUES (1)')
    c.exec('SAVEPOINT a')
    failed = fails(c, 'INSERT INTO t VALUES (1)')
    must c.transaction_status == PG::PQTRANS_INERROR
    c.exec('ROLLBACK TO a')
    c.exec('INSERT INTO t VALUES (2)')
  end
  [failed, c.exec('SELECT array_agg(id ORDER BY id) FROM t').values]
end

check :rows_one_by_one_and_cursors do |c|
  c.send_query('SELECT i FROM generate_series(1, 10000) i')
  c.set_single_row_mode
  sum = 0
  c.get_result.stream_each_row { |row| sum += row[0].to_i }
  c.get_result
  c.transaction do
    c.exec('DECLARE k CURSOR FOR SELECT generate_series(1, 100)')
    [sum, c.exec('FETCH 3 FROM k').values, c.exec('MOVE 50 FROM k').cmd_status, c.exec('FETCH k').values]
  end
end

check :large_objects do |c|
  c.transaction do
    oid = c.lo_create(919191)
    fd = c.lo_open(oid, PG::INV_WRITE | PG::INV_READ)
    wrote = c.lo_write(fd, 'L' * 100_000)
    c.lo_lseek(fd, 99_990, PG::SEEK_SET)
    got = c.lo_read(fd, 100)
    c.lo_close(fd)
    c.lo_unlink(oid)
    [oid, wrote, got]
  end
end

check :big_values_and_many_parameters do |c|
  big = 'z' * 3_000_000
  back = c.exec_params("SELECT $1::text || 'e'", [big]).getvalue(0, 0)
  must back == "#{big}e"
  marks = (1..30_000).map { |i| "$#{i}::int" }.join(',')
  [back.size, c.exec_params("SELECT cardinality(ARRAY[#{marks}])", (1..30_000).map(&:to_s)).values]
end

check :start_up_options do |_|
  c = PG.connect(options: '-c work_mem=7MB', application_name: 'drivers')
  c.exec("SET work_mem = '9MB'; RESET work_mem")
  seen = c.exec("SELECT current_setting('work_mem'), current_setting('application_name')").values
  c.close
  seen
end

check :migrating_table do |c|
  c.prepare('kept', 'SELECT label, amount FROM kept WHERE id = $1')
  seen = (1..40).map { |i| c.exec_prepared('kept', [i]).values }
  c.exec('BEGIN')
  seen << c.exec_params('UPDATE kept SET amount = amount + 1 WHERE id = $1 RETURNING amount', [3]).values
  c.exec('ROLLBACK')
  seen
end

bad = 0
CHECKS.each do |name, code|
  conn = PG.connect
  begin
    puts "ok #{name}: #{code.call(conn).inspect}"
  rescue StandardError => e
    bad = 1
    puts "FAILED #{name}: #{e.class}: #{e.message}".gsub("\n", ' / ')
  end
  conn.close
end
exit bad
