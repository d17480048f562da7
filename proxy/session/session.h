/*
 * One session: a client, its upstream connection, and where they stand. Private to this layer.
 *
 * A session lives on one worker; only what is marked "reported" is read by other threads, as
 * atomics or under the worker's registry lock. The state moves only by sess_move().
 */
#ifndef SEGUE_SESSION_SESSION_H
#define SEGUE_SESSION_SESSION_H

#include <stdatomic.h>

#include "class.h"
#include "naming.h"
#include "pipeline.h"
#include "segue/base/buf.h"
#include "segue/base/err.h"
#include "segue/base/log.h"
#include "segue/net/address.h"
#include "segue/net/loop.h"
#include "segue/net/stream.h"
#include "segue/session/options.h"
#include "segue/session/plane.h"
#include "segue/session/versions.h"
#include "segue/wire/frame.h"
#include "statements.h"
#include "track.h"

struct sess_behind;
struct sess_question;
struct sess_worker;
struct wire_key;

#define SESS_FAILED_BYTES_MAX 32768 /* a longer error goes on with its position as it is */

/*
 *   STARTUP [-> CLIENT_TLS -> STARTUP] [-> PROVING] -> CONNECTING    segue asks who it is, or not
 *   CONNECTING [-> TLS_ASK] [-> SERVER_TLS] ->
 *       ASKED -> AUTH | ENTERING [-> CHECKING] -> WELCOME -> RELAY <-> PENDING, BEHIND, HELD
 *       HELD, BEHIND -> SKIPPING -> RELAY                                 a client of the database
 *       CANCELLING                                                        a cancel request
 *       ASKED -> AUTH | ENTERING -> CONSOLE                               a client of the console
 *   TLS_ASK, SERVER_TLS, ASKED, AUTH, ENTERING, CHECKING, CANCELLING -> CONNECTING
 *                                                        another host, or the same otherwise
 *   PROVING, AUTH, ENTERING -> DELAYING                  a failed login, to be answered later
 *   any -> CLOSING (flush, then wait for the client's end) -> GONE
 */
enum sess_state {
    SESS_STARTUP,    /* waiting for the start-up packet */
    SESS_CLIENT_TLS, /* handshake with the client */
    SESS_PROVING,    /* the client shows segue who it is */
    SESS_CONNECTING, /* to the upstream, or waiting until that can be tried again */
    SESS_TLS_ASK,    /* SSLRequest sent, no answer yet */
    SESS_SERVER_TLS, /* handshake with the upstream */
    SESS_ASKED,      /* start-up forwarded, no answer yet: another server may still be asked */
    SESS_AUTH,       /* it has answered; client and upstream settle who the client is */
    SESS_ENTERING,   /* it has answered; segue logs in for the client */
    SESS_CHECKING,   /* the upstream has said yes; is it what was asked for? */
    SESS_WELCOME,    /* the upstream has said yes, no ReadyForQuery yet */
    SESS_RELAY,      /* bytes flow */
    SESS_PENDING, /* for answers: the gate is closed, and is a transaction open? Or too many wait */
    SESS_BEHIND,  /* its standby has not replayed a turn; it is asked again */
    SESS_HELD,    /* by the gate, at a safe point */
    SESS_SKIPPING,   /* was cancelled there: what the client sends up to its Sync is for nobody */
    SESS_CANCELLING, /* cancel request sent, waiting for the upstream to close */
    SESS_CONSOLE,
    SESS_DELAYING, /* the login has failed; the client will hear of it */
    SESS_CLOSING,
    SESS_GONE,
    SESS_STATES
};

enum sess_canceling { /* a cancel request; cancel_limits.c's */
                      SESS_CANCEL_NONE,
                      SESS_CANCEL_LET_IN,
                      SESS_CANCEL_WAITS, /* for its turn to connect */
                      SESS_CANCEL_GOES,
};

enum sess_purpose { SESS_FOR_RELAY, SESS_FOR_LOGIN, SESS_FOR_CANCEL };

struct sess_leg {
    struct net_stream stream;
    struct net_watch watch;
    struct buf in;          /* received from this leg, not passed on yet */
    struct buf out;         /* to be sent to this leg */
    size_t left;            /* bytes still to come of the message that is passing from this leg */
    bool drops;             /* so much of it goes nowhere */
    bool reading, writing;  /* what an edge means something for */
    bool ending;            /* an edge has told of an end or an error: to be read until then */
    bool ended;             /* it has sent its last byte */
    bool broken;            /* it takes no more; what it sent may still be read */
    _Atomic uint64_t bytes; /* received (reported) */
};

struct sess_console_session {
    bool waiting;                   /* for an asynchronous answer */
    bool skipping;                  /* an error in the extended protocol: until Sync */
    bool trusted;                   /* let in without a proof, under whatever name */
    struct sess_prepared *prepared; /* NULL until the first message of the extended protocol */
};

struct sess_canceller {         /* a session with a cancel request, on any worker */
    struct sess_worker *worker; /* NULL: there is none */
    struct sess_cancel_asker asker;
    bool foreign; /* it is another process's; the worker is that of the statement */
};

struct sess {
    uint64_t id;
    struct sess_worker *worker;
    struct sess *next, *prev;           /* registry */
    struct sess *held_next, *held_prev; /* held, oldest first; or a cancel request in its queue */
    struct sess_leg client, server;
    enum sess_state state;
    struct sess_track track;
    struct net_timer timer; /* the one deadline of the state */
    int64_t login_by_us;

    /* start-up */
    struct buf startup; /* the packet */
    enum sess_purpose purpose;
    enum sess_canceling canceling;
    struct sess_login *login; /* NULL once the upstream has said yes */
    bool starting;            /* counted by startup_open_max, and by its address */
    bool counted;             /* counted by sessions_max */
    uint8_t host;             /* upstream.c's choice: options.upstream.hosts[host] */
    bool on_host;             /* counted as a session on it */
    struct sess_dial *dial;   /* upstream.c's; until the session is logged in */
    bool foreign;   /* of another database than the rules, or of none: what it says is not looked
                       at, and nothing of it is counted or held (reported: as `version`) */
    bool walsender; /* START_REPLICATION and the like are among its Queries */

    /* statements */
    struct sess_statements *statements; /* NULL until a named Parse, or a PREPARE */
    struct sess_namings *namings;       /* by SQL, on their way; NULL: none */
    uint32_t command;                   /* the last Query of replication, as track.asked counts */
    uint64_t unnamed_touches;           /* of the unnamed statement, by unnamed_epoch */
    uint64_t unnamed_epoch;             /* SESS_NOT_LOOKED: not looked at */
    bool unnamed_begins;
    bool unnamed_alters;
    uint32_t unnamed_ask; /* number of the request behind its Parse, as track.asked counts */
    /* While statements are rewritten (rewriting.c): */
    struct sess_pipeline *pipeline; /* NULL: not */
    bool full;                      /* pending because the pipeline is */
    /* NULL: not known, or it touches nothing. Without a pipeline, too, where no Bind was behind its
     * Parse. */
    struct sess_statement *unnamed;
    const struct sess_question *question; /* asking.c: its answers are on their way; or NULL */
    bool cancelled;                       /* what waits for them is not to go to the server */
    struct sess_behind *behind;           /* behind.h; NULL: the worker's rules are its own */
    bool standby;                         /* its server is one: it has said so */
    struct sess_path *path;               /* asking.c's: NULL: not followed */
    bool reports_path;                    /* the server reports search_path: PostgreSQL 18 does */
    struct sql_taken made; /* names that a relation may have which it has made, perhaps temporary */
    uint64_t unseen;       /* the same, where nobody has seen one, or its name: tables that last */
    bool fickle;           /* it may have made a trigger, or a function */
    bool unlisted;         /* it may have made relations with columns called as old or new ones */
    uint64_t made_for;     /* ... to rules that know of fewer changes; UINT64_MAX: not done yet */
    uint64_t veiled;       /* made is only what it may have made before the rules came: not
                              to rules of which so many changes are settled; 0: it is not */
    bool changing;         /* the open transaction may have changed the catalog */
    bool alters;           /* it has said what may alter a migrating table */
    bool went_back;        /* what completed last was a ROLLBACK, perhaps to a savepoint */
    uint64_t altered;  /* it, or one before, has changed a migrating table: rules that know of fewer
                          changes are not for this session; 0: it has not */
    bool recodes;      /* client_encoding is not UTF8, in which names of the rules are */
    bool odd_strings;  /* standard_conforming_strings is off: segue's parser would misread texts */
    struct buf failed; /* what a hidden preparation in front of a Query has failed with */
    struct sess_sent *about; /* what the Bind before has executed by SQL; NULL: nothing known */
    bool arguments;          /* its errors may be about arguments, too */
    struct sess_statement *bound; /* at the unnamed portal, not described yet; or NULL */
    unsigned refusals;            /* numbers them in the server's log */
    unsigned head_awaited; /* bytes of a message to be here before head.c looks at it again */
    uint64_t prepares;     /* tables named by SQL-level PREPARE */
    uint64_t prepared_old, prepared_new; /* of them, those whose old, new columns it named */
    bool spoke;                          /* something was forwarded that was not looked at */

    struct sess_canceller canceller; /* of what is held, and cannot be cancelled here (yet) */
    size_t cancel_behind;       /* it follows that to the server: so many bytes are to go before;
                                   SIZE_MAX: not all has come that is; 0: it does not */
    struct sess_canceller told; /* was the last to be sent to the server */
    int64_t told_idle_us;       /* idle_us then: as long as it is, the same is under way */
    struct sess_console_session console;
    int64_t request_us;            /* first byte of the request under way; 0: none */
    enum sess_class request_class; /* of what has completed of it */

    /* reported */
    struct net_address peer;
    char address[NET_ADDRESS_HOST];    /* of the peer */
    struct net_address server_address; /* under the registry lock, as the next two */
    uint8_t server_host;
    uint64_t key_mark; /* of the key that cancels its statements; 0: none yet */
    char user[64], database[64], application[64]; /* under the registry lock */
    /* the same; "": not known. "TLSv1.3 TLS_AES_256_GCM_SHA384", and where it is connected to */
    char tls_client[48], tls_server[48];
    struct sess_version version; /* the same: since the start-up packet (version.h) */
    uint32_t protocol;           /* the same: as in the start-up packet, 0x30000 is 3.0 */
    int64_t connected_us;
    atomic_int shown;        /* enum sess_shown */
    _Atomic int64_t idle_us; /* the client's last bytes, or the last answer to them */
    _Atomic size_t bytes;    /* bound to the session: itself, buffers, statements */
    _Atomic int32_t backend_pid;
    atomic_bool on_standby;   /* the server has said that it is one: its numbers are its own */
    _Atomic int64_t since_us; /* the open transaction's start; 0: none */
    _Atomic int64_t held_us;  /* held since; 0: not */
    _Atomic uint64_t touched; /* tables the open transaction may have touched */
    /* Tables of which segue may have named columns in what it sent for this transaction: those of
     * `touched`, without what was touched because nobody could look into it. */
    _Atomic uint64_t spoken_of;
    atomic_bool
        unjudged; /* an answer is outstanding to what went out before the rules were known */
};

enum sess_shown {
    SHOWN_STARTUP,
    SHOWN_IDLE,
    SHOWN_ACTIVE,
    SHOWN_TRANSACTION,
    SHOWN_BEHIND,
    SHOWN_HELD,
    SHOWN_COPY,
    SHOWN_CONSOLE,
    SHOWN_CLOSING,
    SHOWN_COUNT
};

/* What a state does; rows in session.c. The functions take bytes and return how many they used. */
struct sess_state_row {
    const char *name;
    uint32_t next;   /* states that may follow, as bits */
    bool logging_in; /* a login is under way, or a cancel request on the same way */
    size_t (*client)(struct sess *s, const char *data, size_t len);
    size_t (*server)(struct sess *s, const char *data, size_t len);
    /* In place of receiving or sending, when that socket is ready for what was waited for. */
    void (*client_ready)(struct sess *s);
    void (*server_ready)(struct sess *s);
    void (*late)(struct sess *s); /* its deadline has passed */
    void (*client_ended)(struct sess *s);
    void (*server_ended)(struct sess *s);
};
extern const struct sess_state_row sess_state_rows[SESS_STATES];

/* session.c: life */
struct sess *sess_new(struct sess_worker *w, int fd, const struct net_address *peer);
void sess_move(struct sess *s, enum sess_state to);
void sess_show(struct sess *s);                      /* refreshes `shown` */
void sess_fail(struct sess *s, const struct err *e); /* FATAL to the client, then closing */
void sess_end_pass(struct sess *s); /* the client's end of stream, behind what it sent before */
void sess_finish(struct sess *s);   /* flush to the client, then close */
void sess_close(struct sess *s);    /* now; memory goes at the end of the turn */
void sess_free(struct sess *s);
void sess_deadline(struct sess *s, int64_t at_us); /* 0: none */
void sess_started(struct sess *s); /* not counted by startup_open_max, its memory given back */

/* leg.c: bytes in and out */
/* Takes the descriptor. RC_ERR: errno; it is closed by sess_leg_fini as ever. */
enum rc sess_leg_init(struct sess *s, struct sess_leg *leg, int fd) MUST_CHECK;
void sess_leg_fini(struct sess_leg *leg);
void sess_leg_kick(struct sess_leg *leg); /* reads what no edge will tell of */
void sess_send(struct sess *s, struct sess_leg *to, const void *data, size_t len);
void sess_resume(struct sess *s); /* works on what the client sent before */
void sess_flow(struct sess *s);   /* starts and stops reading by what is buffered */

/* startup.c */
size_t sess_startup_client(struct sess *s, const char *data, size_t len);

/* upstream.c */
void sess_connect(struct sess *s, enum sess_purpose purpose);
void sess_connected(struct sess *s); /* or not: the upstream's socket is writable */
void sess_connect_timeout(struct sess *s);
size_t sess_asked_server(struct sess *s, const char *data, size_t len);
void sess_upstream_lost(struct sess *s); /* before it has answered: what comes next may be better */
void sess_upstream_late(struct sess *s); /* it has not answered in time */
void sess_cancel_told(struct sess *s, enum sess_cancel_is how); /* what was to be cancelled */
void sess_cancel_done(struct sess *s);   /* the server has taken the cancel request, or does not */
void sess_upstream_left(struct sess *s); /* its connection ends */
void sess_dial_free(struct sess_dial *dial);
/* From what follows the connection (login.c): this host is of no use, `why` says it to people; and:
 * once more to the same host. Both close the server leg and move the state to CONNECTING. */
void sess_upstream_next(struct sess *s, const char *why);
void sess_upstream_again(struct sess *s);
/* The same as the first, of a host that may be of use soon. */
void sess_upstream_busy(struct sess *s, const char *why);
/* And of one that is something else than what was asked for. */
void sess_upstream_misfit(struct sess *s, enum sess_role role);

/* check.c: is the server what target_session_attrs asks for? */
void sess_let_in(struct sess *s); /* the upstream has said yes; its AuthenticationOk comes next */
size_t sess_check_server(struct sess *s, const char *data, size_t len);

/* handshake.c: TLS on both legs */
/* To an SSLRequest, or a GSSENCRequest. */
void sess_client_tls_answer(struct sess *s, bool ssl, bool bytes_behind);
void sess_client_tls_direct(struct sess *s, const char *data, size_t len);
void sess_client_tls_step(struct sess *s);
void sess_server_tls_step(struct sess *s);
size_t sess_server_tls_answered(struct sess *s, const char *data, size_t len);
void sess_login_begin(struct sess *s); /* called by upstream.c once a connection stands */

/* login.c: which way a client logs in; pass-through */
struct sess_login *sess_login_new(struct sess *s);
void sess_login_end(struct sess *s); /* wipes and frees; harmless when done */
/* The start-up packet is read. `trusted`: to the console, and pass-through asks for no proof. */
void sess_login_start(struct sess *s, enum sess_purpose purpose, bool trusted);
void sess_login_enter(struct sess *s);    /* the server leg is as it should be */
void sess_login_answered(struct sess *s); /* ASKED is left, its bytes come next */
void sess_login_refuse(struct sess *s, const struct err *e); /* late: see failed_login_delay_ms */
void sess_login_answer(struct sess *s);                      /* the delay is over */
size_t sess_auth_client(struct sess *s, const char *data, size_t len);
size_t sess_auth_server(struct sess *s, const char *data, size_t len);

/* enter.c: segue logs in for the client */
size_t sess_enter_server(struct sess *s, const char *data, size_t len);
void sess_enter_keys(
    struct sess *s); /* those of its password are made, or were for a login before */

/* prove.c: the client shows segue who it is */
void sess_prove_begin(struct sess *s);
size_t sess_prove_client(struct sess *s, const char *data, size_t len);

/* observe.c: reports for other threads */
void sess_report_key(struct sess *s, const struct wire_key *key); /* BackendKeyData */
void sess_report_bytes(struct sess *s); /* buffers or statements may have changed */
void sess_report_tls(struct sess *s, struct sess_leg *leg, bool good); /* a handshake has ended */

/* relay.c */
size_t sess_relay_client(struct sess *s, const char *data, size_t len);
size_t sess_relay_server(struct sess *s, const char *data, size_t len);
void sess_drain(struct sess *s);      /* closes it when it is idle */
void sess_idle_check(struct sess *s); /* closes it when it has been idle for idle_timeout_s */

/* cancel_limits.c */
bool sess_cancel_let_in(struct sess *s);   /* false: there are too many */
bool sess_cancel_has_turn(struct sess *s); /* to connect; else sess_cancel_told says when */
void sess_cancel_rests(struct sess *s);    /* its turn is over, until it asks for one again */
void sess_cancel_left(struct sess *s);     /* it is over; harmless where it is no cancel request */

/* cancel.c: the client of a held session has asked for an end of its statement */
void sess_cancel_asked(struct sess *s, struct sess_canceller by);
void sess_cancel_tell(struct sess_canceller by, enum sess_cancel_is how);
void sess_cancel_held(struct sess *s); /* if it can be cancelled where it is */
void sess_cancel_passed(
    struct sess *s); /* it goes to the server: so is the request to, behind it */
void sess_cancel_sent(struct sess *s, size_t sent); /* so much of what is to go has gone */
void sess_cancel_forget(struct sess *s);            /* there is nothing to cancel any more */
size_t sess_skip_client(struct sess *s, const char *data, size_t len);

/* admit.c: is what a pending session waits for there? */
bool sess_pending_is_over(const struct sess *s);

/* look.c: what a client message may touch, and whether it passes */
enum sess_look {
    SESS_LOOK_PASS,
    SESS_LOOK_MORE,
    SESS_LOOK_STOP,
    SESS_LOOK_FRONT,   /* it passes behind worker->instead */
    SESS_LOOK_INSTEAD, /* worker->instead passes in its place; worker->instead_of is here */
};
enum sess_look sess_look(struct sess *s, const struct wire_frame *frame, const char *msg,
                         size_t avail);
/* Remembers what the rules say of its text, on its side. `rewrite` may be NULL. */
void sess_judge(struct sess *s, struct sess_statement *statement, const struct sql_verdict *v,
                const struct sql_rewrite *rewrite);
uint64_t sess_ask_for_rules(struct sess *s); /* the catalog has changed; gate.c */
/* touch.c */
void sess_touch(struct sess *s, uint64_t tables);
void sess_untouch(struct sess *s);
void sess_forget_bits(struct sess *s);  /* they have another meaning now */
void sess_touch_forget(struct sess *s); /* the same, of an open transaction */
/* What passes may have been written by segue, and name columns of these tables. sess_touch says so
 * of all that it is told, but of SQL_TOUCH_ALL. */
void sess_speak_of(struct sess *s, uint64_t tables);
void sess_forget_statement(struct sess *s, const char *name); /* the server has dropped it */
void sess_forget_statements(struct sess *s);
void sess_forget_unnamed(struct sess *s);

/* Judges it by the rules of now, where they are not those it was judged by. NULL: they are, or
 * nothing is known of its text; else valid until the next text is looked at. */
const struct sql_rewrite *sess_judge_again(struct sess *s, struct sess_statement *statement);
/* The same of one that is being prepared. */
void sess_judge_first(struct sess *s, struct sess_statement *statement);

/* log.c */
void sess_log(struct sess *s, enum log_level level, const struct err *err, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void sess_log_failed(struct sess *s, const struct err *err);                 /* segue ends it */
void sess_log_server_refusal(struct sess *s, const char *msg, size_t total); /* ErrorResponse */

/* virtual.c: the console's client */
/* What of the protocol that it asks for is spoken here, where that is not all. It may be gone then.
 */
void sess_console_greet(struct sess *s);
size_t sess_console_client(struct sess *s, const char *data, size_t len);
void sess_console_enter(struct sess *s);
void sess_console_answer(struct sess *s, const void *bytes, size_t len);

#endif
