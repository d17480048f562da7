#include "reply.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

#define OID_BOOL 16
#define OID_INT8 20
#define OID_TEXT 25
#define OID_JSON 114
#define OID_FLOAT8 701

/* A message: type, four bytes for the length that includes themselves, body. */
static size_t begin(struct buf *out, char type)
{
    buf_append_u8(out, (uint8_t)type);
    buf_append_u32(out, 0);
    return out->len;
}

static void end(struct buf *out, size_t body)
{
    uint32_t len = (uint32_t)(out->len - body + 4);

    for (int i = 0; i < 4; i++)
        out->data[body - 4 + (size_t)i] = (char)(len >> (24 - 8 * i));
}

static uint32_t value_oid(const json_t *value)
{
    if (json_is_boolean(value))
        return OID_BOOL;
    if (json_is_integer(value))
        return OID_INT8;
    if (json_is_real(value))
        return OID_FLOAT8;
    if (json_is_array(value) || json_is_object(value))
        return OID_JSON;
    return OID_TEXT;
}

static uint32_t column_oid(const json_t *rows, size_t column)
{
    uint32_t oid = 0;
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        json_t *value = json_array_get(row, column);
        uint32_t here = value_oid(value);

        if (!value || json_is_null(value) || here == oid)
            continue;
        if (oid == 0)
            oid = here;
        else if (oid + here == OID_INT8 + OID_FLOAT8)
            oid = OID_FLOAT8;
        else
            return OID_TEXT;
    }
    return oid ? oid : OID_TEXT;
}

static void append_row_description(struct buf *out, const json_t *columns, const json_t *rows)
{
    size_t body = begin(out, 'T'), i;
    json_t *name;

    buf_append_u16(out, (uint16_t)json_array_size(columns));
    json_array_foreach(columns, i, name)
    {
        uint32_t oid = column_oid(rows, i);
        uint16_t size = oid == OID_BOOL ? 1 : oid == OID_INT8 || oid == OID_FLOAT8 ? 8 : 0xffff;

        buf_append(out, json_string_value(name), json_string_length(name) + 1);
        buf_append_u32(out, 0); /* no table */
        buf_append_u16(out, 0);
        buf_append_u32(out, oid);
        buf_append_u16(out, size);
        buf_append_u32(out, UINT32_MAX); /* no typmod */
        buf_append_u16(out, 0);          /* text format */
    }
    end(out, body);
}

static void append_value(struct buf *out, const json_t *value)
{
    const char *text = NULL;
    char *made = NULL;
    size_t len;

    if (!value || json_is_null(value)) {
        buf_append_u32(out, UINT32_MAX);
        return;
    }
    if (json_is_string(value)) {
        text = json_string_value(value);
        len = json_string_length(value);
    } else if (json_is_boolean(value)) {
        text = json_is_true(value) ? "t" : "f";
        len = 1;
    } else {
        made = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        text = made ? made : "";
        len = strlen(text);
    }
    buf_append_u32(out, (uint32_t)len);
    buf_append(out, text, len);
    free(made);
}

static void append_rows(struct buf *out, const json_t *columns, const json_t *rows)
{
    size_t ncolumns = json_array_size(columns), i;
    json_t *row;

    append_row_description(out, columns, rows);
    json_array_foreach(rows, i, row)
    {
        size_t body = begin(out, 'D');

        buf_append_u16(out, (uint16_t)ncolumns);
        for (size_t c = 0; c < ncolumns; c++)
            append_value(out, json_array_get(row, c));
        end(out, body);
    }
}

void adm_reply_table(struct buf *out, const json_t *table)
{
    json_t *columns = json_object_get(table, "columns"), *rows = json_object_get(table, "rows");
    const char *key;
    json_t *value, *row;

    if (json_is_array(columns) && json_is_array(rows)) {
        append_rows(out, columns, rows);
        return;
    }
    columns = json_array();
    row = json_array();
    json_object_foreach((json_t *)table, key, value)
    {
        json_array_append_new(columns, json_string(key));
        json_array_append(row, value);
    }
    rows = json_pack("[o]", row);
    append_rows(out, columns, rows);
    json_decref(columns);
    json_decref(rows);
}

void adm_reply_complete(struct buf *out, const char *tag)
{
    size_t body = begin(out, 'C');

    buf_append(out, tag, strlen(tag) + 1);
    end(out, body);
}

void adm_reply_empty(struct buf *out)
{
    end(out, begin(out, 'I'));
}

static void field(struct buf *out, char code, const char *text)
{
    if (!*text)
        return;
    buf_append_u8(out, (uint8_t)code);
    buf_append(out, text, strlen(text) + 1);
}

void adm_reply_error(struct buf *out, const struct err *err)
{
    size_t body = begin(out, 'E');

    field(out, 'S', "ERROR");
    field(out, 'V', "ERROR");
    field(out, 'C', err->sqlstate);
    field(out, 'M', err->text);
    field(out, 'H', err->hint);
    buf_append_u8(out, 0);
    end(out, body);
}

void adm_reply_ready(struct buf *out)
{
    size_t body = begin(out, 'Z');

    buf_append_u8(out, 'I');
    end(out, body);
}
