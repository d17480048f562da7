"""Transactions that were open already when the gate closed, and come to a migrating table behind it."""

import threading

import psycopg
import pytest
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

N = 6


@pytest.mark.deadline(180)
def test_a_transaction_that_comes_late_meets_no_column_that_has_gone(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=2)
    stop, errors, done = threading.Event(), [], [0]

    def work(number):
        last = 1000000 * (number + 1)
        with proxy.connect(autocommit=False, prepare_threshold=0) as conn:
            while not stop.is_set():
                last += N
                try:
                    conn.execute("SELECT pg_sleep(0.004)")
                    conn.execute("INSERT INTO items (id, label) VALUES (%s, %s)", (last, "late"))
                    assert conn.execute("SELECT * FROM items WHERE id = %s", (last,)).fetchone() == (last, "late", None, None)
                    conn.commit()
                    done[0] += 1
                except (psycopg.Error, AssertionError) as error:
                    errors.append(error)
                    return

    threads = [threading.Thread(target=work, args=(i,)) for i in range(N)]
    for thread in threads:
        thread.start()

    def go_on():
        before = done[0]
        until("transactions", lambda: errors or done[0] > before + 2 * N)

    try:
        for i in range(6):
            name = f"{RENAME['name']}_{i}"
            proxy.ready({**RENAME, "name": name})
            go_on()
            proxy.cli("abort", name)
            go_on()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors, errors
