#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segue/net/handover.h"

struct pair {
    int listening, near, far;
};

static void name_of(char *out, const char *what)
{
    sprintf(out, "@segue test %d %s", (int)getpid(), what);
}

static void open_pair(struct pair *p)
{
    struct err err = {0};
    char name[64];

    name_of(name, "pair");
    p->listening = net_control_listen(name, &err);
    assert_true(p->listening >= 0);
    assert_true(net_control_is(p->listening, name));
    assert_false(net_control_is(p->listening, "@segue another"));
    p->near = net_control_connect(name, &err);
    p->far = net_control_accept(p->listening);
    assert_true(p->near >= 0 && p->far >= 0);
}

static void close_pair(struct pair *p)
{
    close(p->listening);
    close(p->near);
    close(p->far);
}

static void a_name_is_had_once_and_a_dead_one_not_at_all(void **state)
{
    struct err err = {0};
    char name[64];
    int one;

    (void)state;
    name_of(name, "once");
    assert_int_equal(net_control_connect(name, &err), -1);
    assert_string_equal(err.sqlstate, "08001");
    err_clear(&err);
    one = net_control_listen(name, &err);
    assert_true(one >= 0);
    assert_int_equal(net_control_listen(name, &err), -1);
    assert_string_equal(err.sqlstate, "55006");
    close(one);
}

static void a_path_that_a_dead_process_left_is_taken_and_one_in_use_is_not(void **state)
{
    char folder[] = "/tmp/segue-test-XXXXXX", path[64];
    struct err err = {0};
    struct stat st;
    int one, two;

    (void)state;
    assert_non_null(mkdtemp(folder));
    sprintf(path, "%s/control", folder);
    one = net_control_listen(path, &err);
    assert_true(one >= 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(net_control_listen(path, &err), -1);
    assert_string_equal(err.sqlstate, "55006");
    err_clear(&err);
    close(one);
    two = net_control_listen(path, &err);
    assert_true(two >= 0);
    close(two);
    unlink(path);
    rmdir(folder);
}

static void a_packet_arrives_whole_with_its_descriptor(void **state)
{
    struct pair p;
    struct err err = {0};
    char packet[16], byte;
    size_t got;
    int passed, pipes[2];
    pid_t pid;
    uid_t uid;

    (void)state;
    open_pair(&p);
    assert_true(net_control_trusted(p.far, &pid, &uid));
    assert_int_equal(pid, getpid());
    assert_int_equal(net_control_recv(p.far, packet, sizeof(packet), &got, &passed, 0, &err),
                     RC_AGAIN);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(net_control_send(p.near, "one", 3, pipes[0], 100, &err), RC_OK);
    assert_int_equal(net_control_send(p.near, "other", 5, -1, 100, &err), RC_OK);
    assert_int_equal(net_control_recv(p.far, packet, sizeof(packet), &got, &passed, 100, &err),
                     RC_OK);
    assert_int_equal(got, 3);
    assert_int_equal(fcntl(passed, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_int_equal(read(passed, &byte, 1), 1);
    close(passed);
    assert_int_equal(net_control_recv(p.far, packet, sizeof(packet), &got, &passed, 100, &err),
                     RC_OK);
    assert_int_equal(got, 5);
    assert_int_equal(passed, -1);
    close(pipes[0]);
    close(pipes[1]);
    close_pair(&p);
}

static void a_packet_too_long_and_two_descriptors_at_once_are_refused_and_closed(void **state)
{
    struct pair p;
    struct err err = {0};
    char packet[4], control[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct iovec part = {"two", 3};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    int before = dup(0), after, passed, fds[2] = {0, 0};
    size_t got;

    (void)state;
    close(before);
    open_pair(&p);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(head), fds, sizeof(fds));
    assert_int_equal(sendmsg(p.near, &msg, 0), 3);
    assert_int_equal(net_control_recv(p.far, packet, sizeof(packet), &got, &passed, 100, &err),
                     RC_ERR);
    assert_string_equal(err.sqlstate, "08P01");
    assert_int_equal(passed, -1);
    err_clear(&err);
    assert_int_equal(net_control_send(p.near, "12345", 5, 0, 100, &err), RC_OK);
    assert_int_equal(net_control_recv(p.far, packet, sizeof(packet), &got, &passed, 100, &err),
                     RC_ERR);
    assert_int_equal(passed, -1);
    close_pair(&p);
    after = dup(0);
    assert_int_equal(after, before); /* nothing was left open */
    close(after);
}

static void last_words_are_heard_before_the_end(void **state)
{
    struct pair p;
    struct err err = {0};
    char packet[16];
    size_t got;
    int passed;

    (void)state;
    open_pair(&p);
    assert_int_equal(net_control_send(p.near, "unread", 6, -1, 100, &err), RC_OK);
    assert_int_equal(net_control_send(p.far, "bye", 3, -1, 100, &err), RC_OK);
    close(p.far);
    assert_int_equal(net_control_recv(p.near, packet, sizeof(packet), &got, &passed, 100, &err),
                     RC_OK);
    assert_int_equal(got, 3);
    assert_int_equal(net_control_recv(p.near, packet, sizeof(packet), &got, &passed, 100, &err),
                     RC_OK);
    assert_int_equal(got, 0);
    assert_int_equal(net_control_send(p.near, "late", 4, -1, 100, &err), RC_ERR);
    p.far = dup(0);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_had_once_and_a_dead_one_not_at_all),
        cmocka_unit_test(a_path_that_a_dead_process_left_is_taken_and_one_in_use_is_not),
        cmocka_unit_test(a_packet_arrives_whole_with_its_descriptor),
        cmocka_unit_test(a_packet_too_long_and_two_descriptors_at_once_are_refused_and_closed),
        cmocka_unit_test(last_words_are_heard_before_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
