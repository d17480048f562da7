// JDBC: prints one line a check, "ok NAME: SEEN" or "FAILED NAME: WHY". A check has a connection of its own.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public final class Checks {
    interface Check {
        Object run(Connection c) throws Exception;
    }

    private static final Map<String, Check> CHECKS = new LinkedHashMap<>();
    private static final String KEPT = "SELECT label, amount FROM kept WHERE id = ?";

    private static Connection connect(String... more) throws SQLException {
        Map<String, String> env = System.getenv();
        Properties p = new Properties();
        p.setProperty("user", env.get("PGUSER"));
        p.setProperty("password", env.getOrDefault("PGPASSWORD", ""));
        p.setProperty("sslmode", env.get("PGSSLMODE"));
        if (env.containsKey("PGSSLROOTCERT")) {
            p.setProperty("sslrootcert", env.get("PGSSLROOTCERT"));
        }
        for (int i = 0; i < more.length; i += 2) {
            p.setProperty(more[i], more[i + 1]);
        }
        return DriverManager.getConnection(
                "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE"), p);
    }

    private static void must(boolean condition, Object what) {
        if (!condition) {
            throw new IllegalStateException(String.valueOf(what));
        }
    }

    private static void run(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        }
    }

    private static String value(ResultSet rows, int column) throws SQLException {
        Object v = rows.getObject(column);
        return v instanceof byte[] ? Arrays.toString((byte[]) v) : String.valueOf(v);
    }

    private static List<String> rows(ResultSet rows) throws SQLException {
        List<String> out = new ArrayList<>();
        while (rows.next()) {
            StringBuilder line = new StringBuilder();
            for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) {
                line.append(i > 1 ? "|" : "").append(value(rows, i));
            }
            out.add(line.toString());
        }
        return out;
    }

    private static List<String> query(Connection c, String sql, Object... values) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) {
                s.setObject(i + 1, values[i]);
            }
            return rows(s.executeQuery());
        }
    }

    private static String fields(SQLException e) {
        ServerErrorMessage m = ((PSQLException) e).getServerErrorMessage();
        return String.join(",", e.getSQLState(), m.getMessage(), m.getDetail(), String.valueOf(m.getPosition()), m.getTable(),
                m.getColumn(), m.getConstraint(), m.getRoutine());
    }

    static {
        CHECKS.put("types_as_text", c -> {
            String sql = Files.readString(Path.of("types.sql"));
            try (Connection text = connect("binaryTransfer", "false", "preferQueryMode", "simple")) {
                List<String> out = query(text, sql);
                must(out.get(0).split("\\|", -1).length == 30, out);
                return out;
            }
        });
        CHECKS.put("types_prepared_and_in_binary", c -> {
            String sql = Files.readString(Path.of("types.sql"));
            List<String> seen = new ArrayList<>();
            try (PreparedStatement s = c.prepareStatement(sql)) {
                s.unwrap(PGStatement.class).setPrepareThreshold(2);
                for (int i = 0; i < 5; i++) { // from the second on by name, then with binary results
                    seen.addAll(rows(s.executeQuery()));
                }
                must(seen.get(3).equals(seen.get(4)), seen);
                must(s.unwrap(PGStatement.class).isUseServerPrepare(), "not prepared by the server");
            }
            return seen;
        });
        CHECKS.put("parameters_of_all_kinds", c -> {
            try (PreparedStatement s = c.prepareStatement(
                    "SELECT ?::int8, ?::float8, ?::text, ?::text, ?::bool, ?::bytea, ?::int4[], ?::jsonb, ?::numeric")) {
                s.setLong(1, 1);
                s.setDouble(2, -2.5);
                s.setString(3, "té'xt");
                s.setNull(4, Types.VARCHAR);
                s.setBoolean(5, true);
                s.setBytes(6, new byte[] {0, -1});
                s.setArray(7, c.createArrayOf("int4", new Object[] {1, null}));
                s.setString(8, "{\"k\": [1]}");
                s.setBigDecimal(9, new java.math.BigDecimal("1e30"));
                return rows(s.executeQuery());
            }
        });
        CHECKS.put("arrays", c -> {
            try (ResultSet r = c.createStatement().executeQuery("SELECT ARRAY['a', NULL, 'b c'], '{{1,2},{3,4}}'::int4[]")) {
                r.next();
                Array a = r.getArray(1);
                return Arrays.toString((Object[]) a.getArray()) + Arrays.deepToString((Object[]) r.getArray(2).getArray());
            }
        });
        CHECKS.put("errors_with_their_fields", c -> {
            run(c, "CREATE TEMP TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))");
            List<String> seen = new ArrayList<>();
            String[] texts = {"SELEC 1", "SELECT nosuch", "INSERT INTO e VALUES (2, NULL)", "INSERT INTO e VALUES (3, 'no')",
                "SELECT 1/0", "SELECT 'x'::int"};
            for (String sql : texts) {
                try {
                    query(c, sql);
                    must(false, sql);
                } catch (SQLException e) {
                    seen.add(fields(e));
                }
            }
            must(seen.get(1).startsWith("42703"), seen);
            return seen;
        });
        CHECKS.put("cancel_of_a_running_statement", c -> {
            try (Statement s = c.createStatement()) {
                Thread canceller = new Thread(() -> {
                    try {
                        Thread.sleep(200);
                        s.cancel();
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                });
                canceller.start();
                try {
                    s.execute("SELECT pg_sleep(20)");
                    must(false, "not canceled");
                } catch (SQLException e) {
                    canceller.join();
                    return e.getSQLState() + query(c, "SELECT 'goes on'");
                }
            }
            return null;
        });
        CHECKS.put("query_timeout_of_the_driver", c -> {
            try (Statement s = c.createStatement()) {
                s.setQueryTimeout(1);
                s.execute("SELECT pg_sleep(20)");
                return "FAILED: no timeout";
            } catch (SQLException e) {
                must("57014".equals(e.getSQLState()), e);
                return e.getMessage();
            }
        });
        CHECKS.put("notices_are_warnings", c -> {
            try (Statement s = c.createStatement()) {
                s.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$");
                return s.getWarnings() + " then " + s.getWarnings().getNextWarning();
            }
        });
        CHECKS.put("notifications", c -> {
            run(c, "LISTEN driver_news");
            try (Connection other = connect()) {
                run(other, "NOTIFY driver_news, 'payload'");
            }
            PGNotification[] notes = c.unwrap(PGConnection.class).getNotifications(10000);
            must(notes != null && notes.length == 1, "no notification");
            return notes[0].getName() + " " + notes[0].getParameter();
        });
        CHECKS.put("copy_in_and_out", c -> {
            run(c, "CREATE TEMP TABLE c (id int, v text)");
            StringBuilder in = new StringBuilder();
            for (int i = 0; i < 20000; i++) {
                in.append(i).append("\tv").append(i).append('\n');
            }
            CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
            long rows = copy.copyIn("COPY c FROM STDIN", new ByteArrayInputStream(in.toString().getBytes(StandardCharsets.UTF_8)));
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            copy.copyOut("COPY c TO STDOUT", out);
            must(out.toString(StandardCharsets.UTF_8).equals(in.toString()), "not the same");
            try {
                copy.copyIn("COPY c FROM STDIN", new ByteArrayInputStream("x\ty\n".repeat(5000).getBytes(StandardCharsets.UTF_8)));
                must(false, "no error");
            } catch (SQLException e) {
                return rows + " " + out.size() + " " + e.getSQLState() + query(c, "SELECT count(*) FROM c");
            }
            return null;
        });
        CHECKS.put("batches", c -> {
            run(c, "CREATE TEMP TABLE b (id int PRIMARY KEY, v text)");
            try (PreparedStatement s = c.prepareStatement("INSERT INTO b VALUES (?, ?)")) {
                for (int i = 0; i < 2000; i++) {
                    s.setInt(1, i);
                    s.setString(2, "x".repeat(i % 40));
                    s.addBatch();
                }
                must(s.executeBatch().length == 2000, "batch");
                for (int i = 5000; i > 4990; i--) {
                    s.setInt(1, i == 4995 ? 7 : i);
                    s.setString(2, "y");
                    s.addBatch();
                }
                s.executeBatch();
                must(false, "no error");
            } catch (BatchUpdateException e) {
                return e.getSQLState() + Arrays.toString(e.getUpdateCounts()) + query(c, "SELECT count(*), max(id) FROM b");
            }
            return null;
        });
        CHECKS.put("generated_keys_and_several_results", c -> {
            run(c, "CREATE TEMP TABLE g (id serial, v text)");
            try (PreparedStatement s = c.prepareStatement("INSERT INTO g (v) VALUES ('a'), ('b')", Statement.RETURN_GENERATED_KEYS);
                    Statement many = c.createStatement()) {
                s.executeUpdate();
                List<String> seen = rows(s.getGeneratedKeys());
                boolean isRows = many.execute("SELECT 1; UPDATE g SET v = 'c'; SELECT 'x', v FROM g ORDER BY id");
                for (; isRows || many.getUpdateCount() != -1; isRows = many.getMoreResults()) {
                    seen.add(isRows ? rows(many.getResultSet()).toString() : "updated " + many.getUpdateCount());
                }
                return seen;
            }
        });
        CHECKS.put("server_prepare_threshold", c -> {
            List<String> seen = new ArrayList<>();
            String count = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1::int%'";
            try (PreparedStatement s = c.prepareStatement("SELECT ?::int + 1")) {
                for (int i = 0; i < 8; i++) {
                    s.setInt(1, i);
                    seen.addAll(rows(s.executeQuery()));
                    try (Statement plain = c.createStatement()) {
                        seen.addAll(rows(plain.executeQuery(count)));
                    }
                }
                run(c, "DEALLOCATE ALL");
                seen.addAll(rows(s.executeQuery())); // autosave is off; in autocommit the driver prepares anew
                return seen;
            } catch (SQLException e) {
                seen.add(e.getSQLState());
                return seen;
            }
        });
        CHECKS.put("large_objects", c -> {
            c.setAutoCommit(false);
            LargeObjectManager manager = c.unwrap(PGConnection.class).getLargeObjectAPI();
            long oid = manager.createLO(LargeObjectManager.READWRITE);
            LargeObject large = manager.open(oid);
            large.write(new byte[200000]);
            large.write(new byte[] {1, 2, 3});
            large.seek(199999);
            String seen = Arrays.toString(large.read(10)) + large.size64() + " " + large.tell64();
            large.close();
            manager.delete(oid);
            c.commit();
            return seen;
        });
        CHECKS.put("transactions_and_savepoints", c -> {
            run(c, "CREATE TEMP TABLE t (id int PRIMARY KEY)");
            c.setAutoCommit(false);
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            run(c, "INSERT INTO t VALUES (1)");
            Savepoint s = c.setSavepoint("a savepoint");
            String code = "";
            try {
                run(c, "INSERT INTO t VALUES (1)");
            } catch (SQLException e) {
                code = e.getSQLState();
            }
            c.rollback(s);
            run(c, "INSERT INTO t VALUES (2)");
            c.commit();
            run(c, "INSERT INTO t VALUES (3)");
            c.rollback();
            return code + query(c, "SELECT array_agg(id ORDER BY id)::text FROM t");
        });
        CHECKS.put("fetch_size_and_scrolling", c -> {
            c.setAutoCommit(false);
            long sum = 0;
            try (PreparedStatement s = c.prepareStatement("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i")) {
                s.setFetchSize(300);
                ResultSet r = s.executeQuery();
                while (r.next()) {
                    sum += r.getInt(1) + r.getString(2).length();
                }
            }
            try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
                ResultSet r = s.executeQuery("SELECT generate_series(1, 100)");
                r.absolute(50);
                return sum + " " + r.getInt(1) + " " + r.last() + r.getInt(1);
            }
        });
        CHECKS.put("big_values_and_many_parameters", c -> {
            String big = "z".repeat(3000000);
            List<String> back = query(c, "SELECT ? || 'e'", big);
            must(back.get(0).equals(big + "e"), "another value");
            String marks = String.join(",", Collections.nCopies(30000, "?"));
            Object[] values = new Object[30000];
            Arrays.setAll(values, i -> i);
            return back.get(0).length() + " " + query(c, "SELECT cardinality(ARRAY[" + marks + "])", values);
        });
        CHECKS.put("start_up_options", c -> {
            try (Connection o = connect("options", "-c work_mem=7MB", "ApplicationName", "drivers")) {
                run(o, "SET work_mem = '9MB'");
                run(o, "RESET work_mem");
                return query(o, "SELECT current_setting('work_mem'), current_setting('application_name')");
            }
        });
        CHECKS.put("catalogs", c -> {
            run(c, "CREATE TABLE m (id int PRIMARY KEY, v varchar(5) DEFAULT 'x' NOT NULL, n numeric(6,2))");
            List<String> seen = new ArrayList<>();
            try (ResultSet r = c.getMetaData().getColumns(null, null, "m", null)) {
                while (r.next()) {
                    seen.add(r.getString("COLUMN_NAME") + " " + r.getString("TYPE_NAME") + " " + r.getString("COLUMN_SIZE") + " "
                            + r.getString("COLUMN_DEF"));
                }
            }
            must(seen.size() == 3, seen);
            return seen;
        });
        CHECKS.put("migrating_table", c -> {
            List<String> seen = new ArrayList<>();
            try (PreparedStatement s = c.prepareStatement(KEPT)) {
                for (int i = 1; i <= 40; i++) {
                    s.setInt(1, i);
                    seen.addAll(rows(s.executeQuery()));
                }
            }
            c.setAutoCommit(false);
            seen.addAll(query(c, "UPDATE kept SET amount = amount + 1 WHERE id = ? RETURNING amount", 3));
            c.rollback();
            return seen;
        });
    }

    public static void main(String[] args) throws Exception {
        boolean bad = false;
        for (Map.Entry<String, Check> check : CHECKS.entrySet()) {
            try (Connection c = connect()) {
                System.out.println(("ok " + check.getKey() + ": " + check.getValue().run(c)).replace("\n", " / "));
            } catch (Exception e) {
                bad = true;
                System.out.println(("FAILED " + check.getKey() + ": " + e).replace("\n", " / "));
            }
        }
        System.exit(bad ? 1 : 0);
    }
}
