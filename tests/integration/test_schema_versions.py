"""Which schema version a session has, and what a bad rule is told (config/README.md, Schema versions)."""

import json
import signal

import psycopg
import pytest

RULES = [{"application_name": "probe*", "rewrite": False}, {"user": "app", "schema": "old"},
         {"application_name": "next", "schema": "new"}]


def shown(proxy, conn):
    row = next(r for r in proxy.console("SHOW SESSIONS") if r["backend_pid"] == conn.info.backend_pid)
    return row["schema"], row["rewrite"]


def test_rules_the_start_up_option_and_nothing_at_all_decide_in_this_order(segue, db):
    proxy = segue(db, schema_rules=json.dumps(RULES))
    cases = [("a", "postgres", None, ("follow", True)), ("b", "app", None, ("old", True)),
             ("next", "app", None, ("old", True)), ("next", "postgres", None, ("new", True)),
             ("probe 1", "app", None, ("follow", False)), ("c", "app", "-c segue.schema=new", ("new", True)),
             ("probe 2", "app", "--segue.schema=old", ("old", False)),
             ("d", "app", "-c geqo=off -csegue.schema=follow", ("follow", True))]
    for application, user, options, expected in cases:
        with proxy.connect(user=user, application_name=application, options=options or "") as conn:
            assert shown(proxy, conn) == expected, application
            asked = conn.execute("SELECT current_setting('segue.schema', true)").fetchone()[0]
            assert asked == (options.split("=")[-1] if options else None)
    assert next(r for r in proxy.console("SHOW SESSIONS") if r["database"] == "segue")["schema"] is None


def test_a_rule_may_name_the_port_by_which_a_client_comes_in(segue, db, tmp_path):
    proxy = segue(db, schema_rules=json.dumps([{"port": 6543, "schema": "new"}]), start=False)
    # the flag given last counts: the fixture's own listens on TCP only
    proxy.arguments = ["--listen", f"127.0.0.1:0,{tmp_path}:6543"]
    proxy.start()
    with proxy.connect() as tcp, psycopg.connect(host=str(tmp_path), port=6543, dbname=db.name, user="postgres") as unix:
        assert shown(proxy, tcp) == ("follow", True)
        assert shown(proxy, unix) == ("new", True)


def test_a_start_up_parameter_that_names_no_schema_is_refused_in_postgresql_s_words(segue, db):
    proxy = segue(db)
    with pytest.raises(psycopg.OperationalError) as refused:
        proxy.connect(options="-c segue.schema=nwe")
    assert 'invalid value for parameter "segue.schema": "nwe"' in str(refused.value)
    assert "Available values: old, new, follow." in str(refused.value)


def test_rules_change_with_sighup_for_new_sessions_and_a_bad_file_changes_nothing(segue, db, tmp_path):
    file = tmp_path / "segue.json"
    file.write_text(json.dumps({"schema_rules": [{"user": "postgres", "schema": "old"}]}))
    proxy = segue(db, arguments=["-c", str(file)])
    with proxy.connect() as first:
        assert shown(proxy, first) == ("old", True)
        for text, told in [({"schema_rules": [{"user": "postgres", "schema": "nwe"}]}, "the old configuration stays"),
                           ({"schema_rules": [{"user": "postgres", "schema": "new"}]}, "reload: done")]:
            file.write_text(json.dumps(text))
            proxy.signal(signal.SIGHUP)
            proxy.logged(told)
        with proxy.connect() as second:
            assert shown(proxy, first) == ("old", True)
            assert shown(proxy, second) == ("new", True)


@pytest.mark.one_version
def test_a_bad_rule_stops_the_start_with_file_line_field_and_a_hint(segue, db, tmp_path):
    proxy = segue(db, start=False)
    file = tmp_path / "segue.json"
    file.write_text('{\n  "workers": 1,\n  "schema_rules": [{"user": "a"}, {"schema": "nwe"}]\n}\n')
    for text, words in [(None, [f'{file}:3: option "schema_rules": rule 2: field "schema" must be one of '
                                '"old", "new", "follow", not "nwe"', "hint: config/README.md"]),
                        ('[{"aplication_name": "x"}]', ['rule 1: there is no field "aplication_name"',
                                                        'hint: did you mean "application_name"?']),
                        ('[{"user": "x"', ["--schema_rules", "not valid JSON", 'hint: such as [{"user"'])]:
        flags = ["--schema_rules", text] if text else ["-c", str(file)]
        done = proxy.cli("serve", "--upstream", db.url(), *flags, check=2, server=False)
        for word in words:
            assert word in done.err, done.err
