/* The plot: rows/s, WAL, size, and the clients' p99 of each contender, as bars. */
#include "bench.h"

#define BAR 20
#define GAP 8
#define LEFT 190
#define WIDTH 520
#define TOP 56
#define PANEL_TOP 26

struct panel {
    const char *title;
    double (*value)(const struct bench_result *r);
    double (*before)(const struct bench_result *r); /* a mark beside the bar; NULL: none */
    bool whole;                                     /* shown without a fraction */
};

static double rows_per_s(const struct bench_result *r)
{
    return r->rows_per_s;
}

static double wal_mb_per_s(const struct bench_result *r)
{
    return r->seconds > 0 ? r->wal_bytes / r->seconds / 1e6 : 0;
}

static double size_ratio(const struct bench_result *r)
{
    return r->bytes_ratio;
}

static double p99(const struct bench_result *r)
{
    return r->p99_ms;
}

static double p99_before(const struct bench_result *r)
{
    return r->p99_before_ms;
}

static const struct panel panels[] = {
    {"rows/s", rows_per_s, NULL, true},
    {"WAL, MB/s", wal_mb_per_s, NULL, false},
    {"size of the table, afterwards against before", size_ratio, NULL, false},
    {"p99 of clients, ms (line: before the fill)", p99, p99_before, false},
};

static void text(struct buf *out, double x, double y, const char *anchor, const char *what)
{
    buf_printf(out, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">", x, y, anchor);
    for (; *what; what++) {
        if (*what == '&' || *what == '<')
            buf_append_str(out, *what == '&' ? "&amp;" : "&lt;");
        else
            buf_append_u8(out, (uint8_t)*what);
    }
    buf_append_str(out, "</text>\n");
}

static double most_of(const struct panel *panel, const struct bench_result *results, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        if (panel->value(&results[i]) > most)
            most = panel->value(&results[i]);
        if (panel->before && panel->before(&results[i]) > most)
            most = panel->before(&results[i]);
    }
    return most > 0 ? most : 1;
}

static double put_panel(const struct panel *panel, const struct bench_result *results, size_t n,
                        double y, struct buf *out)
{
    double most = most_of(panel, results, n);

    text(out, LEFT, y + 14, "start", panel->title);
    y += PANEL_TOP;
    for (size_t i = 0; i < n; i++, y += BAR + GAP) {
        double value = panel->value(&results[i]), width = WIDTH * value / most;
        struct buf label = {0};

        text(out, LEFT - 8, y + 15, "end", results[i].name);
        buf_printf(out, "<rect x=\"%d\" y=\"%.0f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
                   LEFT, y, width, BAR, results[i].target_ms ? "#2b6cb0" : "#a0aec0");
        if (panel->before) {
            double x = LEFT + WIDTH * panel->before(&results[i]) / most;

            buf_printf(out,
                       "<line x1=\"%.1f\" y1=\"%.0f\" x2=\"%.1f\" y2=\"%.0f\" stroke=\"#c53030\" "
                       "stroke-width=\"2\"/>\n",
                       x, y - 2, x, y + BAR + 2);
        }
        buf_printf(&label, "%.*f", panel->whole ? 0 : 2, value);
        text(out, LEFT + width + 6, y + 15, "start", label.data);
        buf_fini(&label);
    }
    return y + GAP;
}

void bench_svg(const struct bench_result *results, size_t n, const char *title, struct buf *out)
{
    double height = TOP + (double)ARRAY_LEN(panels) * (PANEL_TOP + GAP + (double)n * (BAR + GAP));
    double y = TOP;

    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
               "font-family=\"sans-serif\" font-size=\"13\">\n"
               "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
               LEFT + WIDTH + 90, height);
    text(out, 12, 28, "start", title);
    for (size_t i = 0; i < ARRAY_LEN(panels); i++)
        y = put_panel(&panels[i], results, n, y, out);
    buf_append_str(out, "</svg>\n");
}
