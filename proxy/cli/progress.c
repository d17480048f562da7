#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAR_CELLS 24

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text ? text : "";
}

static double number_of(const json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

static bool has(const json_t *row, const char *key)
{
    return json_is_number(json_object_get(row, key));
}

void cli_duration(double seconds, char *out, size_t size)
{
    unsigned long s = seconds > 0 ? (unsigned long)(seconds + 0.5) : 0;

    if (s < 60)
        snprintf(out, size, "%lu s", s);
    else if (s < 3600)
        snprintf(out, size, "%lu min %lu s", s / 60, s % 60);
    else
        snprintf(out, size, "%lu h %lu min", s / 3600, s % 3600 / 60);
}

/* 1234567 as "1,234,567" */
static void append_count(struct buf *out, double number)
{
    char digits[32];
    int len = snprintf(digits, sizeof(digits), "%.0f", number > 0 ? number : 0);

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            buf_append_u8(out, ',');
        buf_append_u8(out, (uint8_t)digits[i]);
    }
}

static void append_bar(struct buf *out, double percent)
{
    int full = (int)(percent / 100 * BAR_CELLS);

    buf_append_u8(out, '[');
    for (int i = 0; i < BAR_CELLS; i++)
        buf_append_u8(out, i < full ? '#' : '.');
    buf_append_u8(out, ']');
}

/* As segue says it: all who look at the same moment see the same. It is of the phase: what comes
 * behind it (index builds, verifying) is not in it. */
static void append_eta(struct buf *out, const json_t *row)
{
    const char *phase = text_of(row, "phase");
    char left[48];

    if ((strcmp(phase, "backfilling") != 0 && strcmp(phase, "verifying") != 0) ||
        json_is_true(json_object_get(row, "paused")))
        return;
    if (has(row, "eta_s"))
        cli_duration(number_of(row, "eta_s"), left, sizeof(left));
    buf_printf(out, ", ETA of %s %s", phase, has(row, "eta_s") ? left : "unknown yet");
}

/* ", 1,000 of 2,000 rows, 500 rows/s, ETA of backfilling 2 s": what is known of it. */
static void append_rows(struct buf *out, const json_t *row)
{
    if (number_of(row, "rows_total") > 0) {
        buf_append_str(out, ", ");
        append_count(out, number_of(row, "rows_done"));
        buf_append_str(out, " of ");
        append_count(out, number_of(row, "rows_total"));
        buf_append_str(out, " rows");
    }
    if (number_of(row, "rows_per_s") >= 1) {
        buf_append_str(out, ", ");
        append_count(out, number_of(row, "rows_per_s"));
        buf_append_str(out, " rows/s");
    }
    append_eta(out, row);
}

static void append_lock_times(struct buf *out, const json_t *row)
{
    if (has(row, "stall_ms_max"))
        buf_printf(out, "worst client stall %.0f ms", number_of(row, "stall_ms_max"));
    if (has(row, "ddl_lock_ms_max"))
        buf_printf(out, "%slongest strong lock %.0f ms", has(row, "stall_ms_max") ? ", " : "",
                   number_of(row, "ddl_lock_ms_max"));
    if (number_of(row, "attempts") >= 1)
        buf_printf(out, ", cut-over attempts %.0f", number_of(row, "attempts"));
}

/* The texts that matter only when they are there. */
static const struct {
    const char *key, *label;
} remarks[] = {
    {"throttle", "throttle"},
    {"blockers", "blocked by"},
    {"error", "error"},
    {"hint", "hint"},
};

static bool has_finished(const json_t *row)
{
    const char *phase = text_of(row, "phase");

    return strcmp(phase, "done") == 0 || strcmp(phase, "aborted") == 0;
}

/* Cuts to the terminal: a line that wraps would break redrawing. Whole UTF-8 characters. */
static void append_cut(struct buf *out, const char *line, unsigned width)
{
    size_t bytes = 0;
    unsigned columns = 0;

    while (line[bytes] && line[bytes] != '\n') {
        if (((unsigned char)line[bytes] & 0xc0) != 0x80 && columns++ == width)
            break;
        bytes++;
    }
    buf_append(out, line, bytes);
    buf_append_u8(out, '\n');
}

void cli_progress_block(const json_t *row, unsigned width, struct buf *out)
{
    struct buf line = {0};

    buf_printf(&line, "%s: %s%s ", text_of(row, "migration"), text_of(row, "phase"),
               json_is_true(json_object_get(row, "paused")) ? " (paused)" : "");
    if (has(row, "progress") && !has_finished(row)) {
        append_bar(&line, number_of(row, "progress"));
        buf_printf(&line, " %.1f%%", number_of(row, "progress"));
    }
    append_cut(out, line.data, width);
    buf_reset(&line);
    if (!has_finished(row))
        append_rows(&line, row);
    if (line.len > 2) { /* without the comma */
        memcpy(line.data, "  ", 2);
        append_cut(out, line.data, width);
    }
    buf_reset(&line);
    if (*text_of(row, "step")) {
        buf_printf(&line, "  %s", text_of(row, "step"));
        append_cut(out, line.data, width);
        buf_reset(&line);
    }
    buf_append_str(&line, "  ");
    append_lock_times(&line, row);
    if (line.len > 2)
        append_cut(out, line.data, width);
    for (size_t i = 0; i < ARRAY_LEN(remarks); i++) {
        buf_reset(&line);
        if (*text_of(row, remarks[i].key)) {
            buf_printf(&line, "  %s: %s", remarks[i].label, text_of(row, remarks[i].key));
            append_cut(out, line.data, width);
        }
    }
    buf_fini(&line);
}

void cli_progress_line(const json_t *row, struct buf *out)
{
    buf_printf(out, "%s: %s%s", text_of(row, "migration"), text_of(row, "phase"),
               json_is_true(json_object_get(row, "paused")) ? " (paused)" : "");
    if (has(row, "progress") && !has_finished(row)) {
        buf_printf(out, " %.1f%%", number_of(row, "progress"));
        append_rows(out, row);
    }
    if (*text_of(row, "step"))
        buf_printf(out, "; %s", text_of(row, "step"));
    if (number_of(row, "stall_ms_max") > 0 || number_of(row, "attempts") > 0) {
        buf_append_str(out, "; ");
        append_lock_times(out, row);
    }
    for (size_t i = 0; i < ARRAY_LEN(remarks); i++) {
        if (*text_of(row, remarks[i].key))
            buf_printf(out, "; %s: %s", remarks[i].label, text_of(row, remarks[i].key));
    }
    buf_append_u8(out, '\n');
}

/* "replication lag 3.2 s over 2 s" and "... 3.3 s over 2 s" are the same news. */
static bool same_but_numbers(const char *a, const char *b)
{
    static const char number[] = "0123456789.,";

    while (*a || *b) {
        size_t na = strspn(a, number), nb = strspn(b, number);

        if ((na > 0) != (nb > 0))
            return false;
        if (na > 0) {
            a += na;
            b += nb;
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return true;
}

bool cli_progress_news(const json_t *before, const json_t *now)
{
    static const char *const texts[] = {"migration", "phase", "step", "error"};
    static const char *const loose[] = {"throttle", "blockers"};

    if (!before)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (strcmp(text_of(before, texts[i]), text_of(now, texts[i])) != 0)
            return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(loose); i++) {
        if (!same_but_numbers(text_of(before, loose[i]), text_of(now, loose[i])))
            return true;
    }
    return json_is_true(json_object_get(before, "paused")) !=
               json_is_true(json_object_get(now, "paused")) ||
           number_of(before, "attempts") != number_of(now, "attempts") ||
           (int)(number_of(before, "progress") / 10) != (int)(number_of(now, "progress") / 10);
}
