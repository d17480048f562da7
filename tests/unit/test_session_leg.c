/* Bytes in and out of a session whose limits change: a plane with one worker, the peers played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/worker.h"
#include "../fuzz/bed.h"
#include "../fuzz/rules.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"

#define LONG 100000

static void limit(unsigned buffer_bytes_max, unsigned inspect_bytes_max)
{
    struct sess_options options = bed.plane->options;
    struct err err = {0};

    options.buffer_bytes_max = buffer_bytes_max;
    options.inspect_bytes_max = inspect_bytes_max;
    assert_int_equal(sess_plane_reload(bed.plane, &options, &err), RC_OK);
    sess_plane_reloaded(bed.plane);
}

/* Until the worker has read so much of its only session's client. */
static void await_read(size_t bytes)
{
    struct sess_worker *w = bed.plane->workers[0];
    int64_t until_ms = clock_ms() + BED_PATIENCE_MS;
    size_t read = 0;

    while (read < bytes && clock_ms() < until_ms) {
        pthread_mutex_lock(&w->registry_lock);
        read = w->sessions ? READ(w->sessions->client.bytes) : 0;
        pthread_mutex_unlock(&w->registry_lock);
        clock_sleep_ms(1);
    }
    assert_true(read >= bytes);
}

static void what_is_withheld_goes_on_when_so_much_is_withheld_no_more(void **state)
{
    static const char notice[] = "N\0\0\0\x10SNOTICE\0M\0\0\0";
    char *query = mem_calloc(1, LONG), heard[sizeof(notice) - 1];
    int client, upstream;

    (void)state;
    bed_init(fuzz_rules(), NULL);
    limit(2 * LONG, 2 * LONG);
    bed_log_in(&client, &upstream);
    memset(query, ' ', LONG - 1);
    memcpy(query, "Q\0\1\x86\x9fSELECT 1", 13); /* LONG - 1 */
    assert_true(bed_say(client, query, LONG / 2, 0));
    await_read(sizeof(bed_startup) + LONG / 2);
    limit(16384, 4096);
    assert_true(bed_say(upstream, notice, sizeof(heard), 0));
    bed_hear_exactly(client, heard, sizeof(heard));
    assert_true(bed_say(client, query + LONG / 2, LONG - LONG / 2, 0));
    memset(query, 0, LONG);
    bed_hear_exactly(upstream, query, LONG);
    assert_memory_equal(query + 5, "SELECT 1", 8);
    close(client);
    close(upstream);
    free(query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_withheld_goes_on_when_so_much_is_withheld_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
