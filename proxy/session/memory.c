/* Memory: what a session may take at most by the options, and what the process has. */
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "path.h"
#include "segue/session/show.h"
#include "worker.h"

/* A buffer grows by doubling. Each is filled by reads of SCRATCH_BYTES until its limit is passed;
 * to the server goes at once all that was withheld from it. Of the unnamed statement
 * and of the last in flight the text is kept, once more with what was sent instead, which is twice
 * as long with the places where they differ. */
size_t sess_bytes_bound(const struct sess_options *o)
{
    size_t client_in = (size_t)o->buffer_bytes_max + o->inspect_bytes_max + SCRATCH_BYTES;
    size_t client_out = (size_t)o->buffer_bytes_max + 2 * SCRATCH_BYTES;
    size_t server_out = o->buffer_bytes_max + client_in;
    size_t server_in = SCRATCH_BYTES;

    return sizeof(struct sess) + sizeof(struct sess_behind) +
           2 * (client_in + client_out + server_in + server_out) +
           2 * (size_t)o->startup_bytes_max + 5 * (size_t)o->statements_bytes_max +
           2 * SESS_FAILED_BYTES_MAX + SESS_NAMINGS_MAX * sizeof(struct sess_naming) +
           SESS_FLIGHTS_MAX * sizeof(struct sess_flight) + SESS_FLIGHTS_BYTES_MAX +
           8 * (size_t)o->inspect_bytes_max + sess_statements_bytes_least() + sess_path_bytes_max();
}

/* Bytes in physical memory; 0 when the system does not tell. */
static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long all = 0, pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &all, &pages) != 2)
        pages = 0;
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

json_t *sess_show_memory(struct sess_plane *plane)
{
    struct mallinfo2 heap = mallinfo2();
    struct sess_options options;
    size_t sessions = 0;
    json_t *rows = json_array();

    pthread_mutex_lock(&plane->lock);
    options = plane->limits->options;
    pthread_mutex_unlock(&plane->lock);
    for (unsigned i = 0; i < plane->nworkers; i++)
        sessions += sess_worker_bytes(plane->workers[i]);
    const struct {
        const char *name;
        size_t value;
        const char *help;
    } values[] = {
        {"resident", resident(), "of the process, in physical memory"},
        {"heap", heap.arena + heap.hblkhd, "taken from the system by the allocator"},
        {"heap_used", heap.uordblks + heap.hblkhd, "of it, in use"},
        {"sessions", sessions, "bound to sessions: themselves, buffers, statements"},
        {"session_max", sess_bytes_bound(&options),
         "what one session of the database may take, by the options; TLS comes on top"},
        {"worker", sizeof(struct sess_worker), "each worker's own, counters and scratch included"},
        {"cache_max", options.cache_bytes,
         "each worker's memory of statements looked at; once more where a standby was behind"},
        {"usage_max", sess_usage_bytes_max(options.usage_entries_max),
         "each worker's memory of who uses which names; the engine has it twice"},
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        json_array_append_new(rows, json_pack("[s, I, s]", values[i].name,
                                              (json_int_t)values[i].value, values[i].help));
    return json_pack("{s: [s, s, s], s: o}", "columns", "memory", "bytes", "help", "rows", rows);
}
