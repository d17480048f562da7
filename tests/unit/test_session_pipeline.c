/* proxy/session/pipeline.h: which message an answer belongs to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/pipeline.h"
#include "segue/base/rc.h"

/* What was taken back, newest first: the letters of the messages; in brackets what was read. */
static char undone[64];

static const char letters[] = {
    [SESS_FLIGHT_QUERY] = 'Q',   [SESS_FLIGHT_CALL] = 'F',  [SESS_FLIGHT_SYNC] = 'S',
    [SESS_FLIGHT_PARSE] = 'P',   [SESS_FLIGHT_BIND] = 'B',  [SESS_FLIGHT_DESCRIBE] = 'D',
    [SESS_FLIGHT_EXECUTE] = 'E', [SESS_FLIGHT_CLOSE] = 'C', [SESS_FLIGHT_COPY_END] = 'c',
};

static void undo(void *ctx, const struct sess_flight *flight, bool read)
{
    size_t len = strlen(undone);
    char letter = letters[flight->kind];

    (void)ctx;
    if (flight->hidden)
        letter = (char)(letter + 'a' - 'A');
    snprintf(undone + len, sizeof(undone) - len, read ? "(%c)" : "%c", letter);
}

/*
 * A conversation: messages of the client as they are, lower case 'p' and 'k' are hidden Parse and
 * Close; of the server behind '<'. "=X" asserts that the next answer belongs to such a message,
 * "=-" that to none; "=!" that the pipeline is blind, "=~" that the server reads nothing.
 * "{...}" asserts what was taken back since the last such question.
 */
static void play(const char *name, const char *script)
{
    struct sess_pipeline *p = sess_pipeline_new();

    undone[0] = '\0';
    for (const char *at = script; *at; at++) {
        const struct sess_flight *head = sess_pipeline_head(p);

        if (*at == ' ') {
            continue;
        } else if (*at == '=') {
            char now = head ? letters[head->kind] : '-';

            if (head && head->hidden)
                now = head->kind == SESS_FLIGHT_PARSE ? 'p' : 'k';
            at++;
            if (*at == '!'   ? !sess_pipeline_blind(p)
                : *at == '~' ? sess_pipeline_reads(p)
                             : now != *at)
                fail_msg("%s: \"%s\", at byte %d: %c", name, script, (int)(at - script), now);
        } else if (*at == '{') {
            size_t len = strcspn(++at, "}");

            if (strlen(undone) != len || memcmp(undone, at, len) != 0)
                fail_msg("%s: taken back: %s", name, undone);
            undone[0] = '\0';
            at += len;
        } else if (*at == '<') {
            sess_pipeline_server(p, (uint8_t) * ++at, undo, NULL);
        } else if (*at == 'p' || *at == 'k') {
            sess_pipeline_put_take(
                p, &(struct sess_flight){.kind = *at == 'p' ? SESS_FLIGHT_PARSE : SESS_FLIGHT_CLOSE,
                                         .hidden = true});
        } else {
            sess_pipeline_client(p, (uint8_t)*at);
        }
    }
    sess_pipeline_free(p);
}

struct row {
    const char *name, *script;
};

static void each(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        play(rows[i].name, rows[i].script);
}

static void answers_belong_to_messages_in_order(void **state)
{
    static const struct row rows[] = {
        {"simple query", "=- Q=Q <T<D<C=Q <Z=-"},
        {"two statements in one query", "Q <T<D<C<T<D<C=Q <Z=-"},
        {"empty query", "Q <I=Q <Z=-"},
        {"notices and parameters belong to nothing", "Q <N<S<A=Q <C<Z=-"},
        {"extended query", "PBDES =P<1 =B<2 =D<T =E<D<C =S<Z =-"},
        {"describe of a statement has two answers", "PDS <1 =D<t =D<T =S<Z=-"},
        {"describe of what returns nothing", "PDS <1<t<n =S<Z=-"},
        {"a suspended portal", "PBEES <1<2<D<s =E<D<C =S<Z=-"},
        {"an empty statement", "PBES <1<2<I =S<Z=-"},
        {"close", "CS <3 =S<Z=-"},
        {"function call", "F <V=F <Z=-"},
        {"flush has no answer", "PH <1=- BEHS <2<C=S <Z=-"},
        {"a pipeline of syncs", "PBESPBES <1<2<C<Z =P<1<2<C<Z=-"},
        {"a query behind extended messages", "PBEQ <1<2<C=Q <C<Z=-"},
        {"hidden messages in front of a bind", "kpBES =k<3 =p<1 =B<2<C<Z=-"},
        {"an answer that fits nothing", "PBS <2=! =-"},
        {"ReadyForQuery too early", "PB <Z=! =-"},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void after_an_error_messages_up_to_sync_are_taken_back(void **state)
{
    static const struct row rows[] = {
        {"a query fails alone", "QQ <E{}=Q <Z=Q <C<Z=-"},
        {"the first of a segment", "PBESPBES <E{EB(P)}=S <Z=P <1<2<C<Z=-"},
        {"in the middle", "PBES <1<2<E{(E)}=S <Z=-"},
        {"no sync yet", "PB <E{B(P)}=- =~ E =- P =- =~ S =S <Z=-"},
        {"a query before the sync is not read either", "PQBS <E{BQ(P)}=S <Z=-"},
        {"a query is sent behind the error", "P <E{(P)} Q=- =~ S <Z=-"},
        {"hidden ones are not read", "PBEkpBES <1<2<E{EBpc(E)} =S<Z=-"},
        {"hidden ones fail for the client", "kpBES <3<E{EB(p)} =S<Z=-"},
        {"an error of the sync itself", "PBES <1<2<C<E{}=S <Z=-"},
        {"an error out of the blue", "<E{}=- Q=Q <C<Z"},
        {"an error of what was there at the flush", "PBH <1<2 EPBES <E{EBP(E)} =S<Z=-"},
        {"a function call", "F <E{}<Z=-"},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void syncs_inside_a_copy_are_none(void **state)
{
    static const struct row rows[] = {
        {"simple", "Q <Gddc=Q <C<Z=-"},
        {"extended, its sync behind the data", "PBE <1<2<Gddc S <C=S <Z=-"},
        {"extended, a sync behind the execute", "PBES <1<2<G=E ddc S <C=S <Z=-"},
        {"the same, all sent ahead", "PBESddcS <1<2<G=E <C=S <Z=-"},
        {"syncs in the data", "PBE <1<2<GdSdSc S <C=S <Z=-"},
        {"a query behind, all sent ahead", "QdScQ <G<C<Z=Q <C<Z=-"},
        {"two copies in one query", "QdcdcS <G<C<G<C<Z =S<Z=-"},
        {"failed by the client", "PBE <1<2<Gdf S <E{(E)}=S <Z=-"},
        {"failed by the server, the end comes late", "PBE <1<2<Gd <E{(E)}=~ c=- S=S <Z=-"},
        {"a simple one failed by the server", "Q <Gd <E=Q c <Z=- Q <C<Z=-"},
        {"what an execute's copy does not allow", "PBESdDS <1<2<G=! <E=S"},
        {"a late end is none", "c=- Q <C<Z=-"},
        {"an end for nothing", "QcQ <C<Z=Q <C<Z=-"},
        {"a sync that the failed copy may have read or not", "PBE <1<2<GdS <E=!"},
        {"the same, all sent ahead", "PBEdScS <1<2<G=E <E=!"},
        {"the same of a simple one", "QdScS <G=Q <E=!"},
        {"a sync behind data that no copy takes", "PBEdS <1<2<C=S <Z=- PBES <E=S <Z=-"},
        {"a message that fails a simple copy", "Q <GdQ=!"},
        {"a message that fails an extended copy", "PBE <1<2<Gd PS <E{P(E)}=S <Z=-"},
        {"copy out", "Q <H<d<d<c<C=Q <Z=-"},
        {"replication", "Q <W=!"},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void the_number_in_flight_is_bounded(void **state)
{
    struct sess_pipeline *p = sess_pipeline_new();

    (void)state;
    for (int i = 0; i < SESS_FLIGHTS_MAX; i++)
        sess_pipeline_client(p, 'Q');
    assert_false(sess_pipeline_blind(p));
    sess_pipeline_client(p, 'S');
    assert_true(sess_pipeline_blind(p));
    for (int i = 0; i < SESS_FLIGHTS_MAX; i++) {
        assert_int_equal(sess_pipeline_head(p)->kind, SESS_FLIGHT_QUERY);
        sess_pipeline_server(p, 'Z', undo, NULL);
    }
    assert_true(sess_pipeline_empty(p));
    sess_pipeline_server(p, 'Z', undo, NULL);
    assert_true(sess_pipeline_blind(p));
    sess_pipeline_restart(p);
    assert_false(sess_pipeline_blind(p));
    sess_pipeline_client(p, 'Q');
    assert_false(sess_pipeline_empty(p));
    sess_pipeline_free(p);
}

static void nothing_is_sent_instead_where_its_answer_would_be_lost(void **state)
{
    const struct sql_rewrite rewrite = {.text = (char *)"select 2", .len = 8};
    struct sess_pipeline *p = sess_pipeline_new();
    struct sess_sent *sent = sess_sent_new(&rewrite, "select 1", 8);
    unsigned n = 0;

    (void)state;
    for (; sess_pipeline_takes(p); n++)
        sess_pipeline_client(p, 'Q');
    assert_int_equal(n, SESS_FLIGHTS_MAX - SESS_FLIGHTS_AT_ONCE + 1);
    assert_false(sess_pipeline_blind(p));
    assert_true(sess_pipeline_full(p));
    for (; !sess_pipeline_has_room(p); n--)
        sess_pipeline_server(p, 'Z', undo, NULL);
    assert_int_equal(n, SESS_FLIGHTS_MAX / 2);
    assert_false(sess_pipeline_full(p));
    sess_pipeline_restart(p);
    assert_true(sess_pipeline_takes(p));
    sess_pipeline_client(p, 'Q');
    sess_pipeline_server(p, 'G', undo, NULL);
    assert_false(sess_pipeline_takes(p) || sess_pipeline_full(p));
    sess_pipeline_restart(p);

    for (const char *at = "QdS"; *at; at++)
        sess_pipeline_client(p, (uint8_t)*at);
    assert_true(sess_pipeline_full(p)); /* does a copy read the Sync? What comes waits to see */
    sess_pipeline_server(p, 'C', undo, NULL);
    sess_pipeline_server(p, 'Z', undo, NULL);
    assert_true(sess_pipeline_full(p));
    sess_pipeline_server(p, 'Z', undo, NULL);
    assert_true(sess_pipeline_takes(p) && sess_pipeline_has_room(p));

    sent->bytes = SESS_FLIGHTS_BYTES_MAX;
    sess_pipeline_put_take(
        p, &(struct sess_flight){.kind = SESS_FLIGHT_BIND, .sent = sess_sent_ref(sent)});
    assert_true(sess_pipeline_takes(p)); /* it is the text of what it binds */
    sess_pipeline_server(p, '2', undo, NULL);
    sess_pipeline_put_take(
        p, &(struct sess_flight){.kind = SESS_FLIGHT_QUERY, .sent = sess_sent_ref(sent)});
    assert_false(sess_pipeline_takes(p));
    assert_true(sess_pipeline_bytes(p) > SESS_FLIGHTS_BYTES_MAX);
    assert_true(sess_pipeline_full(p) && !sess_pipeline_has_room(p));
    sess_pipeline_server(p, 'Z', undo, NULL);
    assert_true(sess_pipeline_takes(p));
    for (const char *at = "QSc"; *at; at++)
        sess_pipeline_put_take(p, &(struct sess_flight){.kind = *at == 'Q'   ? SESS_FLIGHT_QUERY
                                                                : *at == 'S' ? SESS_FLIGHT_SYNC
                                                                             : SESS_FLIGHT_COPY_END,
                                                        .sent = sess_sent_ref(sent)});
    sess_pipeline_server(p, 'G', undo, NULL);
    assert_int_equal(sent->refs, 2);
    sess_pipeline_free(p);
    assert_int_equal(sent->refs, 1);
    sess_sent_unref(sent);
}

static struct sess_statement *statement(const char *name)
{
    return sess_statement_new(
        &(struct sess_parse){.name = name, .text = "select 1", .text_len = 8});
}

static void a_query_sent_again_stays_in_flight_and_knows_what_was_answered(void **state)
{
    struct sess_pipeline *p = sess_pipeline_new();
    struct sql_rewrite rewrite = {.text = (char[]){"SELECT a"}, .len = 8};
    struct sess_sent *sent = sess_sent_new(&rewrite, "SELECT *", 8);
    size_t empty = sess_pipeline_bytes(p);

    (void)state;
    sess_pipeline_put_take(p, &(struct sess_flight){.kind = SESS_FLIGHT_QUERY, .sent = sent});
    sess_pipeline_server(p, 'S', undo, NULL);
    sess_pipeline_server(p, 'A', undo, NULL);
    assert_false(sess_pipeline_head(p)->answered);
    sess_pipeline_again(p);
    assert_true(sess_pipeline_head(p)->again);
    assert_null(sess_pipeline_head(p)->sent);
    sess_pipeline_failed_ready(p);
    assert_false(sess_pipeline_head(p)->again);
    sess_pipeline_server(p, 'T', undo, NULL);
    assert_true(sess_pipeline_head(p)->answered);
    sess_pipeline_server(p, 'C', undo, NULL);
    sess_pipeline_server(p, 'Z', undo, NULL);
    assert_true(sess_pipeline_empty(p));
    assert_true(sess_pipeline_bytes(p) > empty); /* the ring stays, and nothing else is counted */
    assert_false(sess_pipeline_blind(p));
    sess_pipeline_free(p);
}

static void what_is_in_flight_keeps_what_it_needs(void **state)
{
    struct sess_pipeline *p = sess_pipeline_new();
    struct sess_statement *one = statement("one"), *two = statement("two");

    (void)state;
    sess_pipeline_put_take(p, &(struct sess_flight){.kind = SESS_FLIGHT_PARSE,
                                                    .statement = sess_statement_ref(one),
                                                    .before = sess_statement_ref(two)});
    assert_int_equal(one->refs, 2);
    assert_int_equal(two->refs, 2);
    sess_pipeline_server(p, '1', undo, NULL);
    assert_int_equal(one->refs, 1);
    assert_int_equal(two->refs, 1);
    sess_pipeline_client(p, 'P');
    sess_pipeline_server(p, 'E', undo, NULL);
    /* the server will not read it, and nobody will ask for it */
    sess_pipeline_put_take(
        p, &(struct sess_flight){.kind = SESS_FLIGHT_PARSE, .statement = sess_statement_ref(one)});
    assert_int_equal(one->refs, 1);
    sess_pipeline_free(p);
    sess_statement_unref(one);
    sess_statement_unref(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_belong_to_messages_in_order),
        cmocka_unit_test(after_an_error_messages_up_to_sync_are_taken_back),
        cmocka_unit_test(syncs_inside_a_copy_are_none),
        cmocka_unit_test(the_number_in_flight_is_bounded),
        cmocka_unit_test(nothing_is_sent_instead_where_its_answer_would_be_lost),
        cmocka_unit_test(a_query_sent_again_stays_in_flight_and_knows_what_was_answered),
        cmocka_unit_test(what_is_in_flight_keeps_what_it_needs),
    };

    return cmocka_run_group_tests_name("session_pipeline", tests, NULL, NULL);
}
