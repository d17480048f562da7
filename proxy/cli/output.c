#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

char *cli_value_text(const json_t *value)
{
    char *text;

    if (!value || json_is_null(value))
        return mem_strdup("");
    if (json_is_string(value))
        return mem_strdup(json_string_value(value));
    if (json_is_boolean(value))
        return mem_strdup(json_is_true(value) ? "yes" : "no");
    if (json_is_real(value))
        return mem_printf("%.10g", json_real_value(value));
    text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    return text ? text : mem_strdup("");
}

/* Columns on the terminal: bytes that begin a UTF-8 character. */
static size_t width_of(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void pad(struct buf *out, size_t have, size_t want)
{
    for (; have < want; have++)
        buf_append_u8(out, ' ');
}

static void cell(struct buf *out, const char *text, size_t width, bool right, bool last)
{
    size_t have = width_of(text);

    if (right)
        pad(out, have, width);
    buf_append_str(out, text);
    if (!right && !last)
        pad(out, have, width);
    buf_append_str(out, last ? "\n" : "  ");
}

void cli_format_table(const json_t *columns, const json_t *rows, struct buf *out)
{
    size_t n = json_array_size(columns), i, c;
    size_t *width = mem_calloc(n, sizeof(*width));
    bool *right = mem_calloc(n, sizeof(*right));
    json_t *row, *name;

    json_array_foreach(columns, c, name)
    {
        width[c] = width_of(json_string_value(name));
        json_array_foreach(rows, i, row)
        {
            json_t *value = json_object_get(row, json_string_value(name));
            char *text = cli_value_text(value);

            if (width_of(text) > width[c])
                width[c] = width_of(text);
            right[c] = right[c] || json_is_number(value);
            free(text);
        }
    }
    json_array_foreach(columns, c, name)
    {
        cell(out, json_string_value(name), width[c], right[c], c + 1 == n);
    }
    json_array_foreach(rows, i, row)
    {
        json_array_foreach(columns, c, name)
        {
            char *text = cli_value_text(json_object_get(row, json_string_value(name)));

            cell(out, text, width[c], right[c], c + 1 == n);
            free(text);
        }
    }
    free(width);
    free(right);
}

void cli_format_records(const json_t *columns, const json_t *rows, struct buf *out)
{
    size_t width = 0, i, c;
    json_t *row, *name;

    json_array_foreach(columns, c, name)
    {
        if (width_of(json_string_value(name)) > width)
            width = width_of(json_string_value(name));
    }
    json_array_foreach(rows, i, row)
    {
        if (i > 0)
            buf_append_u8(out, '\n');
        json_array_foreach(columns, c, name)
        {
            json_t *value = json_object_get(row, json_string_value(name));
            char *text = cli_value_text(value);

            if (*text) {
                cell(out, json_string_value(name), width, false, false);
                cell(out, text, 0, false, true);
            }
            free(text);
        }
    }
}

/* ---- the plan ---- */

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text ? text : "";
}

/* The stage of a row that is not a step but something to be known. */
#define REFUSED "REFUSED"
#define WARNING "WARNING"

static bool is_stage(const json_t *row, const char *stage)
{
    return strcmp(text_of(row, "stage"), stage) == 0;
}

size_t cli_plan_refusals(const json_t *rows)
{
    size_t n = 0, i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        n += is_stage(row, REFUSED);
    }
    return n;
}

static void indented(struct buf *out, const char *prefix, const char *text)
{
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");

        buf_printf(out, "%s%.*s\n", prefix, (int)len, line);
        line += len + (line[len] != '\0');
    }
}

static void format_step(const json_t *row, struct buf *out)
{
    char *no = cli_value_text(json_object_get(row, "no"));

    buf_printf(out, "  %s. %s\n", no, text_of(row, "what"));
    if (*text_of(row, "lock"))
        buf_printf(out, "     lock: %s on %s\n", text_of(row, "lock"), text_of(row, "on"));
    if (*text_of(row, "holds"))
        buf_printf(out, "     held: %s\n", text_of(row, "holds"));
    indented(out, "       ", text_of(row, "sql"));
    free(no);
}

/* Notes say what in `what`, what to do about it in `holds`, by which statements in `sql`. */
static void format_notes(const json_t *rows, const char *stage, const char *title, struct buf *out)
{
    bool any = false;
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        if (!is_stage(row, stage))
            continue;
        buf_printf(out, "%s", any ? "" : title);
        any = true;
        buf_printf(out, "  %s\n", text_of(row, "what"));
        if (*text_of(row, "holds"))
            buf_printf(out, "     hint: %s\n", text_of(row, "holds"));
        indented(out, "       ", text_of(row, "sql"));
    }
}

void cli_format_plan(const json_t *rows, struct buf *out)
{
    const char *stage = "";
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        if (is_stage(row, REFUSED) || is_stage(row, WARNING))
            continue;
        if (strcmp(stage, text_of(row, "stage")) != 0) {
            stage = text_of(row, "stage");
            buf_printf(out, "%s%s\n", out->len ? "\n" : "", stage);
        }
        format_step(row, out);
    }
    format_notes(rows, REFUSED, "\nrefused: the migration cannot start like this\n", out);
    format_notes(rows, WARNING, "\nto be known\n", out);
    if (!json_array_size(rows)) /* a file without operations */
        buf_append_str(out, "no steps: start joins the heads in the history, and it is done\n");
}

/* ---- printing ---- */

static int lost_to; /* errno of the first write that failed */

static void written(bool all)
{
    if ((!all || fflush(stdout) != 0) && !lost_to)
        lost_to = errno;
}

bool cli_output_lost(void)
{
    written(true);
    if (!ferror(stdout) && !lost_to)
        return false;
    fprintf(stderr, "segue: cannot write to standard output: %s\n",
            lost_to ? strerror(lost_to) : "what was printed before is not complete");
    return true;
}

void cli_print(const struct buf *text)
{
    written(!text->len || fwrite(text->data, 1, text->len, stdout) == text->len);
}

void cli_print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

    written(puts(text ? text : "null") != EOF);
    free(text);
}

void cli_print_err(const struct err *err)
{
    fprintf(stderr, "segue: %s\n", err->text);
    if (err->hint[0])
        fprintf(stderr, "hint: %s\n", err->hint);
}
