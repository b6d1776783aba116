# plot.awk - the plots of bench/README.md, as SVG:
#
#     awk -f plot.awk -v kind=growth figures.csv >growth.svg
#     awk -f plot.awk -v kind=timeline timeline.csv >timeline.svg
#
# growth: time of a marker, a backup, a restore and a get by the number of items
# of 200 bytes, medians over the rounds, both axes logarithmic. timeline: the
# longest write of each 2 ms in one process, with backups as bands behind.

function log10(v)
{
    return log(v) / log(10)
}

function text(x, y, anchor, size, said)
{
    printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\">%s</text>\n", \
        x, y, anchor, size, said
}

function line(x1, y1, x2, y2, style)
{
    printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2, style
}

function header(width, height)
{
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" " \
           "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" fill=\"#222\">\n", \
        width, height, width, height
    printf "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height
}

# 1e-3 as 0.001, 1e6 as 1M.
function power_of_ten(e)
{
    if (e >= 6) return 10 ^ (e - 6) "M"
    if (e >= 3) return 10 ^ (e - 3) "k"
    return 10 ^ e ""
}

function colour_of(engine)
{
    if (engine == "dynbackup") return "#d62728"
    if (engine == "dynbackup-ram") return "#ff9896"
    if (engine == "lmdb") return "#1f77b4"
    if (engine == "lmdb-writemap") return "#17becf"
    if (engine == "sqlite") return "#7f7f7f"
    if (engine == "leveldb") return "#2ca02c"
    if (engine == "rocksdb-checkpoint") return "#9467bd"
    return "#8c564b"
}

# The frame of a panel; powers of ten from y_low to y_high are its lines.
function frame(left, top, width, height, title, y_low, y_high,    e, y)
{
    text(left, top - 8, "start", 13, title)
    for (e = y_low; e <= y_high; ++e) {
        y = top + height - height * (e - y_low) / (y_high - y_low)
        line(left, y, left + width, y, "stroke=\"#ddd\"")
        text(left - 6, y + 4, "end", 10, power_of_ten(e))
    }
    printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" " \
           "stroke=\"#888\"/>\n", left, top, width, height
}

function sort(list, count,    i, j, kept)
{
    for (i = 2; i <= count; ++i) {
        kept = list[i]
        for (j = i - 1; j >= 1 && list[j] > kept; --j)
            list[j + 1] = list[j]
        list[j + 1] = kept
    }
}

# ---- growth ----

function floor_of(v)
{
    return v >= 0 ? int(v) : -int(-v + 0.999999)
}

function median_at(engine, items, name,    r, count, list)
{
    for (r = 0; r < rounds; ++r)
        if ((engine, items, name, r) in time)
            list[++count] = time[engine, items, name, r]
    sort(list, count)
    return count == 0 ? 0 : count % 2 ? list[(count + 1) / 2] : \
                            (list[count / 2] + list[count / 2 + 1]) / 2
}

function growth_panel(left, top, width, height, title, name,    s, e, v, y_low, y_high, x, y, x_low,
                      x_high, path)
{
    y_low = 99
    y_high = -99
    for (s = 1; s <= size_count; ++s)
        for (e = 1; e <= engine_count; ++e)
            if ((v = median_at(engines[e], sizes[s], name)) > 0) {
                v = log10(v)
                if (floor_of(v) < y_low) y_low = floor_of(v)
                if (floor_of(v) + 1 > y_high) y_high = floor_of(v) + 1
            }
    if (y_low > y_high)
        return
    frame(left, top, width, height, title, y_low, y_high)
    x_low = log10(sizes[1]) - 0.1
    x_high = log10(sizes[size_count]) + 0.1
    for (s = 1; s <= size_count; ++s) {
        x = left + width * (log10(sizes[s]) - x_low) / (x_high - x_low)
        text(x, top + height + 14, "middle", 10, \
             sizes[s] >= 1e6 ? sizes[s] / 1e6 "M" : sizes[s] / 1e3 "k")
    }
    for (e = 1; e <= engine_count; ++e) {
        path = ""
        for (s = 1; s <= size_count; ++s) {
            if ((v = median_at(engines[e], sizes[s], name)) <= 0)
                continue
            x = left + width * (log10(sizes[s]) - x_low) / (x_high - x_low)
            y = top + height - height * (log10(v) - y_low) / (y_high - y_low)
            path = path sprintf("%.1f,%.1f ", x, y)
            printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\"/>\n", x, y, \
                colour_of(engines[e])
        }
        printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%s\"/>\n", \
            path, colour_of(engines[e]), engines[e] == "dynbackup" ? 2.5 : 1.2
    }
}

function growth(    e)
{
    sort(sizes, size_count)
    header(920, 640)
    growth_panel(60, 40, 380, 220, "marker, us", "marker")
    growth_panel(520, 40, 380, 220, "backup after 1 % changed, ms", "backup, 1 % changed")
    growth_panel(60, 320, 380, 220, "restore to first get, ms", "restore to first get")
    growth_panel(520, 320, 380, 220, "get, us", "get")
    text(470, 580, "middle", 11, "items of 200 bytes in the table")
    for (e = 1; e <= engine_count; ++e) {
        x = 60 + (e - 1) % 4 * 215
        y = 600 + int((e - 1) / 4) * 18
        line(x, y, x + 24, y, "stroke-width=\"3\" stroke=\"" colour_of(engines[e]) "\"")
        text(x + 30, y + 4, "start", 11, engines[e])
    }
    print "</svg>"
}

# ---- timeline ----

function timeline_panel(engine, top,    left, width, height, y_low, y_high, i, x, y, v, path)
{
    left = 60
    width = 830
    height = 90
    y_low = 0
    y_high = 5
    frame(left, top, width, height, engine ": longest write, us", y_low, y_high)
    for (i = 1; i <= band_count[engine, chosen]; ++i) {
        x = band_from[engine, chosen, i] / span_ms
        v = (band_to[engine, chosen, i] < span_ms ? band_to[engine, chosen, i] : span_ms) / span_ms
        band = width * (v - x)
        if (band < 1)
            band = 1
        if (x < 1)
            printf "<rect x=\"%.1f\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"#ff7f0e\" " \
                   "fill-opacity=\"0.35\"/>\n", left + width * x, top, band, height
    }
    path = ""
    for (i = 1; i <= point_count[engine, chosen]; ++i) {
        v = point_us[engine, chosen, i]
        v = log10(v > 1 ? v : 1)
        x = left + width * point_ms[engine, chosen, i] / span_ms
        y = top + height - height * ((v > y_high ? y_high : v) - y_low) / (y_high - y_low)
        path = path sprintf("%.1f,%.1f ", x, y)
    }
    printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"0.8\"/>\n", path, \
        colour_of(engine)
}

function timeline(    e, i, top)
{
    span_ms += 2
    header(920, 60 + engine_count * 130)
    top = 40
    for (e = 1; e <= engine_count; ++e) {
        timeline_panel(engines[e], top)
        top += 130
    }
    for (i = 0; i < 6; ++i)
        text(60 + 830 * i / 6, top - 26, "middle", 10, sprintf("%d ms", span_ms * i / 6))
    text(475, top - 4, "middle", 11, "single unsynced puts into " chosen \
         " items; the bands are backups, from begin to finish")
    print "</svg>"
}

# ---- reading ----

function know(engine)
{
    if (!(engine in known)) {
        known[engine] = 1
        engines[++engine_count] = engine
    }
}

BEGIN {
    FS = kind == "growth" ? "\"" : ","
}

kind == "growth" {
    split($1, head, ",")
    split($3, tail, ",")
    if (head[4] != 200 || head[5] != 0 || head[3] == 0)
        next
    if ($2 != "marker" && $2 != "backup, 1 % changed" && $2 != "restore to first get" &&
        $2 != "get")
        next
    know(head[2])
    if (!(head[3] in seen_size)) {
        seen_size[head[3]] = 1
        sizes[++size_count] = head[3] + 0
    }
    if (head[1] + 1 > rounds)
        rounds = head[1] + 1
    time[head[2], head[3] + 0, $2, head[1] + 0] = $2 == "get" ? 1e6 / tail[3] : tail[3]
}

# The largest table of 200 bytes, but of a million items at most.
kind == "timeline" && $3 == 200 && $2 <= 1000000 {
    know($1)
    if ($2 > chosen)
        chosen = $2 + 0
    if ($4 == "put") {
        point_ms[$1, $2, ++point_count[$1, $2]] = $5
        point_us[$1, $2, point_count[$1, $2]] = $6
        if ($5 > span_ms)
            span_ms = $5 + 0
    } else {
        band_from[$1, $2, ++band_count[$1, $2]] = $5
        band_to[$1, $2, band_count[$1, $2]] = $6
    }
}

END {
    if (kind == "growth" && size_count > 1)
        growth()
    else if (kind == "timeline" && span_ms > 0)
        timeline()
    else {
        header(400, 40)
        text(200, 25, "middle", 12, "not enough was measured for this plot")
        print "</svg>"
    }
}
