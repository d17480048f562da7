/* Arguments of the workload program. */
#include "workload.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: workload [run] --url URL --revision old|new [options]\n"
    "       workload snapshot --url URL\n"
    "       workload check --url URL --journal FILE... [--schema both|old|new]\n"
    "\n"
    "A client program with the statements of an application, in two revisions: `old` uses the\n"
    "legacy column names of table checks, `new` the names after the migration\n"
    "config/migrations/heretix_b73c9aa4f0c3.json. It checks every read against what it wrote,\n"
    "and journals every acknowledged write; `check` is the oracle that compares each of them\n"
    "with the database.\n"
    "\n"
    "run:\n"
    "  --url URL               through segue, or straight to the server\n"
    "  --revision old|new\n"
    "  --clients N             connections, one thread each (4)\n"
    "  --seconds N             how long (until SIGTERM or SIGINT)\n"
    "  --rate N                statements a second, all clients together (no limit)\n"
    "  --protocol P            simple | extended | prepared | mixed (mixed)\n"
    "  --seed-id-range LO-HI   seeded rows (legacy.sql) this program may read and overwrite;\n"
    "                          two programs need ranges that do not overlap (none)\n"
    "  --client-prefix TEXT    of every key it makes; two programs need different ones (w-)\n"
    "  --journal FILE          what `check` reads\n"
    "  --report FILE           summary as JSON\n"
    "  --tolerate-disconnect   reconnect; writes in doubt are journaled as such\n"
    "  SIGUSR1 pauses it (it then prints \"workload: paused\"), SIGUSR2 lets it go on.\n"
    "snapshot:                 keeps what checks holds now, in workload_oracle.checks_before, so\n"
    "                          that `check` also compares rows that no client wrote\n"
    "check:                    --url must lead straight to the server, not through segue\n"
    "  --schema both|old|new   columns that must be there and right (both)\n"
    "exit: 0 all is well, 1 errors or differences, 2 usage or no connection\n"
    "\n"
    "On your own database (it makes the tables of legacy.sql; take an empty one):\n"
    "  psql \"$URL\" -v rows=100000 -f tests/workload/legacy.sql\n"
    "  build/workload snapshot --url \"$URL\"\n"
    "  build/segue serve --upstream \"$URL\" --listen 127.0.0.1:6432 &\n"
    "  build/workload --url postgresql://USER@127.0.0.1:6432/DB --revision old \\\n"
    "      --seed-id-range 1-50000 --client-prefix o- --journal old.jsonl --seconds 60 &\n"
    "  build/segue start config/migrations/heretix_b73c9aa4f0c3.json\n"
    "  build/segue cutover heretix_b73c9aa4f0c3\n"
    "  build/workload --url postgresql://USER@127.0.0.1:6432/DB --revision new \\\n"
    "      --seed-id-range 50001-100000 --client-prefix n- --journal new.jsonl --seconds 60\n"
    "  build/workload check --url \"$URL\" --journal old.jsonl --journal new.jsonl\n";

enum { JOURNALS_MAX = 64 };

struct arguments {
    struct wl_options run;
    enum wl_schema schema;
    const char *journals[JOURNALS_MAX];
    int journal_count;
};

static const struct option long_options[] = {
    {"url", required_argument, NULL, 'u'},
    {"revision", required_argument, NULL, 'v'},
    {"clients", required_argument, NULL, 'c'},
    {"seconds", required_argument, NULL, 's'},
    {"rate", required_argument, NULL, 'r'},
    {"protocol", required_argument, NULL, 'p'},
    {"seed-id-range", required_argument, NULL, 'i'},
    {"client-prefix", required_argument, NULL, 'x'},
    {"journal", required_argument, NULL, 'j'},
    {"report", required_argument, NULL, 'o'},
    {"tolerate-disconnect", no_argument, NULL, 't'},
    {"schema", required_argument, NULL, 'm'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int index_of(const char *word, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

/* False when the value makes no sense. */
static bool take_option(struct arguments *a, int option, const char *value)
{
    static const char *const protocols[] = {"simple", "extended", "prepared", "mixed"};
    static const char *const schemas[] = {"", "old", "new", "both"};
    int i;

    switch (option) {
    case 'u':
        a->run.url = value;
        return true;
    case 'v':
        return (a->run.revision = wl_revision_find(value)) != NULL;
    case 'c':
        return (a->run.clients = atoi(value)) > 0 && a->run.clients <= 1000;
    case 's':
        return (a->run.seconds = atof(value)) > 0;
    case 'r':
        return (a->run.rate = atof(value)) > 0;
    case 'p':
        i = index_of(value, protocols, ARRAY_LEN(protocols));
        a->run.protocol = (enum wl_protocol)i;
        return i >= 0;
    case 'i':
        return sscanf(value, "%ld-%ld", &a->run.seed_lo, &a->run.seed_hi) == 2 &&
               a->run.seed_lo > 0 && a->run.seed_hi >= a->run.seed_lo;
    case 'x':
        a->run.prefix = value;
        return value[0] && strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(value);
    case 'j':
        a->run.journal = value;
        if (a->journal_count == JOURNALS_MAX)
            return false;
        a->journals[a->journal_count++] = value;
        return true;
    case 'o':
        a->run.report = value;
        return true;
    case 't':
        return a->run.tolerate_disconnect = true;
    case 'q':
        return a->run.quiet = true;
    case 'm':
        i = index_of(value, schemas, ARRAY_LEN(schemas));
        a->schema = (enum wl_schema)i;
        return i > 0;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    static const char *const commands[] = {"run", "snapshot", "check"};
    struct arguments a = {.run = {.clients = 4, .protocol = WL_MIXED, .prefix = "w-"},
                          .schema = WL_BOTH};
    int command = argc > 1 ? index_of(argv[1], commands, ARRAY_LEN(commands)) : -1;
    int option;

    if (command >= 0) {
        argc--;
        argv++;
    }
    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (!take_option(&a, option, optarg)) {
            fprintf(stderr, "workload: a bad option or value; see --help\n");
            return 2;
        }
    }
    /* the shell's `--journal *.jsonl` */
    while (optind < argc && command == 2 && take_option(&a, 'j', argv[optind]))
        optind++;
    if (!a.run.url || optind != argc || (command <= 0 && !a.run.revision) ||
        (command == 2 && a.journal_count == 0)) {
        fputs(usage, stderr);
        return 2;
    }
    if (command == 1)
        return wl_snapshot(a.run.url);
    if (command == 2)
        return wl_check(a.run.url, a.schema, a.journals, a.journal_count);
    return wl_run(&a.run);
}
