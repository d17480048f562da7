"""A host name that leads elsewhere while the server it led to goes on: new sessions and the engine follow it."""

import socket

import pytest
from lib.names import looks_up_in
from lib.played import Played, relay
from lib.wait import until

pytestmark = [pytest.mark.one_version, pytest.mark.deadline(120)]
NAME = "db.moves.test"


class Door(Played):
    """Leads to a server. Two of them have the same port, at different addresses."""

    def __init__(self, cluster, address, port=0):
        self.behind, self.came = cluster.port, 0
        super().__init__(address, port)

    def serve(self, client):
        self.came += 1
        relay(client, socket.create_connection(("127.0.0.1", self.behind)))


@pytest.fixture
def moves(private_pg, segue, tmp_path):
    """A function: where the second address leads; gives the proxy, both doors, and a function that lets the name lead there."""
    opened = []

    def start(second, **options):
        one = Door(private_pg, "127.0.0.1")
        two = Door(second, "127.0.0.2", one.port)
        opened.extend((one, two))
        conf, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
        conf.write_text("nameserver 127.53.0.54\noptions timeout:1 attempts:1\n", encoding="ascii")
        hosts.write_text(f"127.0.0.1 localhost {NAME}\n", encoding="ascii")
        proxy = segue(upstream=f"postgresql://postgres@{NAME}:{one.port}/postgres", start=False, **options)
        looks_up_in(proxy, conf, hosts).start()
        proxy.at_work()
        return proxy, one, two, lambda: hosts.write_text(f"127.0.0.1 localhost\n127.0.0.2 {NAME}\n", encoding="ascii")

    yield start
    for door in opened:
        door.close()


def port_behind(proxy):
    with proxy.connect("postgres") as c:
        return c.execute("SELECT inet_server_port()").fetchone()[0]


def engines(cluster):
    with cluster.connect() as c:
        return c.execute("SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'segue'").fetchone()[0] or []


def test_sessions_and_the_engine_follow_a_name_to_another_server(clusters, private_pg, pg_version, moves):
    other = clusters.private(pg_version)
    try:
        proxy, _, _, move = moves(other)
        assert port_behind(proxy) == private_pg.port and engines(private_pg)
        move()
        until("new sessions to follow", lambda: port_behind(proxy) == other.port, 25)
        until("the engine to follow", lambda: engines(other), 25)
        until("it to have left", lambda: not engines(private_pg))
        proxy.logged(f'the name "{NAME}" leads to another server now')
        proxy.at_work()
        proxy.done({"name": "there", "operations": [{"create_table": {"name": "made_there", "columns": [{"name": "id", "type": "int"}]}}]})
        with other.connect() as c:
            assert c.execute("SELECT to_regclass('made_there') IS NOT NULL").fetchone() == (True,)
    finally:
        other.crash()


def test_the_engine_stays_where_the_name_has_another_address_for_the_same_server(private_pg, moves):
    proxy, _, two, move = moves(private_pg)
    before = engines(private_pg)
    move()
    until("it to ask where the name leads now", lambda: two.came, 25)
    until("its question to be over", lambda: engines(private_pg) == before)
    assert proxy.console("SHOW VERSION")[0]["engine_connected"]
    assert "lost its connection" not in proxy.log_text()
