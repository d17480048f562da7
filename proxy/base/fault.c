/* Only in build/faults/segue: the Makefile leaves this room out of any other program. */
#include "segue/base/fault.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "segue/base/rc.h"

#define POINT_BYTES_MAX 128
#define WANTED_MAX 8

static const char *const names[] = {
#define FAULT_POINT(name, of, where, what) [FAULT_##name] = #name,
#include "segue/base/fault_points.h"
#undef FAULT_POINT
};

struct wanted {
    char point[POINT_BYTES_MAX]; /* "name" (of whatever) or "name/of" */
    unsigned left;               /* times until it strikes; 0: it has struck */
    bool dies;
};

static struct {
    pthread_once_t once;
    pthread_mutex_t lock;
    struct wanted wanted[WANTED_MAX];
    size_t nwanted;
    int trace; /* descriptor, -1: none */
} faults = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER, .trace = -1};

/* A test that misspells must not pass because nothing happens. */
static void refuse(const char *word)
{
    fprintf(stderr, "SEGUE_FAULT: \"%s\" is not POINT[/OF][#N]:die or :tell\n", word);
    abort();
}

static void read_one(char *word)
{
    struct wanted *w = &faults.wanted[faults.nwanted];
    char *action = strrchr(word, ':'), *count;
    bool known = false;

    if (!action || faults.nwanted == WANTED_MAX)
        refuse(word);
    *action++ = '\0';
    count = strchr(word, '#');
    if (count)
        *count++ = '\0';
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        known |= strlen(names[i]) == strcspn(word, "/") &&
                 strncmp(names[i], word, strlen(names[i])) == 0;
    if (!known || (strcmp(action, "die") != 0 && strcmp(action, "tell") != 0))
        refuse(word);
    snprintf(w->point, sizeof(w->point), "%s", word);
    w->left = count ? (unsigned)strtoul(count, NULL, 10) : 1;
    w->dies = strcmp(action, "die") == 0;
    faults.nwanted++;
}

static void read_environment(void)
{
    const char *wanted = getenv("SEGUE_FAULT"), *trace = getenv("SEGUE_FAULT_TRACE");
    char *copy = strdup(wanted ? wanted : ""), *state = NULL;

    for (char *word = strtok_r(copy, ",", &state); word; word = strtok_r(NULL, ",", &state))
        read_one(word);
    free(copy);
    if (trace)
        faults.trace = open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/* Whoever listens decides what happens to us here; when it hangs up, we go on. */
static void tell(const char *point)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("SEGUE_FAULT_SOCKET");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path ? path : "");
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        refuse(point);
    if (send(fd, point, strlen(point), MSG_NOSIGNAL) < 0 || send(fd, "\n", 1, MSG_NOSIGNAL) < 0 ||
        recv(fd, &answer, 1, 0) < 0)
        perror("SEGUE_FAULT_SOCKET");
    close(fd);
}

static bool fits(const struct wanted *w, const char *name, const char *point)
{
    return w->left && (strcmp(w->point, name) == 0 || strcmp(w->point, point) == 0);
}

void fault_reach(enum fault_point point, const char *of)
{
    char text[POINT_BYTES_MAX];
    bool tells = false, dies = false;

    pthread_once(&faults.once, read_environment);
    if (!faults.nwanted && faults.trace < 0)
        return;
    snprintf(text, sizeof(text), "%s%s%s", names[point], of ? "/" : "", of ? of : "");
    for (char *p = text; *p; p++)
        *p = *p == ' ' ? '_' : *p;
    if (faults.trace >= 0 && dprintf(faults.trace, "%s\n", text) < 0)
        perror("SEGUE_FAULT_TRACE");
    pthread_mutex_lock(&faults.lock);
    for (size_t i = 0; i < faults.nwanted; i++) {
        struct wanted *w = &faults.wanted[i];

        if (!fits(w, names[point], text) || --w->left)
            continue;
        tells |= !w->dies;
        dies |= w->dies;
    }
    pthread_mutex_unlock(&faults.lock);
    if (dies)
        raise(SIGKILL);
    if (tells)
        tell(text);
}
