# report.awk - the tables of bench/README.md out of figures.csv:
#
#     awk -f report.awk -v bars=bars.txt figures.csv
#
# Medians over the rounds, with the smallest and the largest. Ratios are taken
# inside each round, where both were measured close in time, and then the median
# of those is told: how many times better dynbackup is than the rival whose own
# median is the best.

function by_size(list, count,    i, j, kept)
{
    for (i = 2; i <= count; ++i) {
        kept = list[i]
        for (j = i - 1; j >= 1 && list[j] > kept; --j)
            list[j + 1] = list[j]
        list[j + 1] = kept
    }
}

# Leaves median, low and high; 0 when there are no figures.
function summarize(list, count)
{
    if (count == 0)
        return 0
    by_size(list, count)
    low = list[1]
    high = list[count]
    median = count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
    return 1
}

function look_up(engine, shape, name,    r, count, list)
{
    for (r = 0; r < rounds; ++r)
        if ((engine, shape, name, r) in figure)
            list[++count] = figure[engine, shape, name, r]
    return summarize(list, count)
}

# How many times better the first engine is, per round.
function ratio_of(engine, rival, shape, name,    r, count, list, a, b)
{
    for (r = 0; r < rounds; ++r) {
        if (!((engine, shape, name, r) in figure) || !((rival, shape, name, r) in figure))
            continue
        a = figure[engine, shape, name, r]
        b = figure[rival, shape, name, r]
        if (a > 0 && b > 0)
            list[++count] = sense[name] == "+" ? a / b : b / a
    }
    return summarize(list, count)
}

# 1234567 -> 1.23M, so that columns stay narrow and digits honest.
function short(v,    a)
{
    a = v < 0 ? -v : v
    if (a >= 1e6) return sprintf("%.2fM", v / 1e6)
    if (a >= 1e4) return sprintf("%.1fk", v / 1e3)
    if (a >= 100) return sprintf("%.0f", v)
    if (a >= 10) return sprintf("%.1f", v)
    if (a >= 0.1 || a == 0) return sprintf("%.2f", v)
    return sprintf("%.4f", v)
}

function spread()
{
    return rounds > 1 ? short(median) " (" short(low) ".." short(high) ")" : short(median)
}

# Bars are for tables of 200 byte items, from a million on, or the largest one
# there is.
function is_judged(shape,    part)
{
    split(shape, part, ":")
    return part[2] == 200 && part[3] == 0 && part[1] >= judged_from
}

# What the case must reach there, or "".
function bar_of(name, shape)
{
    if ((!is_judged(shape) && name !~ /^(row of|very many|many) backups/) || bar[name] == "-")
        return ""
    return shape + 0 >= 4e6 && (name in bar_of_4m) ? bar_of_4m[name] : bar[name] ""
}

# After look_up: does the median reach the bar?
function verdict_of(name, want)
{
    if (want == "")
        return ""
    want += 0 # compared as a number
    if (sense[name] == "+" ? median >= want : median <= want)
        return "MET"
    if (sense[name] == "+")
        return sprintf("%.2f of it", median / want)
    return want > 0 ? sprintf("%.2f x it", median / want) : "over it"
}

function title_of(shape,    part)
{
    split(shape, part, ":")
    return part[1] " items of " part[2] " bytes" (part[3] > 0 ? ", " part[3] " MiB for all" : "")
}

function best_rival(shape, name,    e, best, found)
{
    best = ""
    for (e = 1; e <= engine_count; ++e) {
        if (engines[e] ~ /^dynbackup/ || !look_up(engines[e], shape, name))
            continue
        if (best == "" || (sense[name] == "+" ? median > found : median < found)) {
            best = engines[e]
            found = median
        }
    }
    return best
}

function table_of_ratios(shape,    i, name, rival, want, ratio, verdict, line)
{
    print "### Against the best rival: " title_of(shape) "\n"
    print "| axis | unit | dynbackup | in memory | best rival | its figure | times better |" \
          " bar | verdict |"
    print "|---|---|---:|---:|---|---:|---:|---|---|"
    for (i = 1; i <= bar_count; ++i) {
        name = bar_names[i]
        rival = best_rival(shape, name)
        if (rival == "" || !look_up("dynbackup", shape, name))
            continue
        want = bar_of(name, shape)
        ratio = is_judged(shape) ? bar_ratio[name] : "-"
        verdict = verdict_of(name, want)
        line = "| " name " | " unit[name] " | " spread() " | "
        line = line (look_up("dynbackup-ram", shape, name) ? short(median) : "") " | "
        look_up(rival, shape, name)
        line = line rival " | " short(median) " | "
        if (ratio_of("dynbackup", rival, shape, name)) {
            line = line spread()
            if (ratio != "-")
                verdict = median >= ratio ? "MET" : sprintf("%.2f of it", median / ratio)
        }
        line = line " | "
        if (want != "")
            line = line (sense[name] == "+" ? ">= " : "<= ") want
        else if (ratio != "-")
            line = line ">= " ratio " x"
        print line " | " verdict " |"
    }
    print ""
}

function table_of_all(shape,    i, e, name, line, shown, any)
{
    print "### All engines: " title_of(shape) "\n"
    line = "| case | unit |"
    shown = "|---|---|"
    for (e = 1; e <= engine_count; ++e) {
        line = line " " engines[e] " |"
        shown = shown "---:|"
    }
    print line "\n" shown
    for (i = 1; i <= case_count; ++i) {
        name = cases[i]
        line = "| " name " | " unit[name] " |"
        any = 0
        for (e = 1; e <= engine_count; ++e) {
            shown = look_up(engines[e], shape, name)
            line = line " " (shown ? short(median) : "") " |"
            any += shown && engines[e] != "dynbackup"
        }
        if (any)
            print line
    }
    print ""
}

# What only dynbackup does, or the floors: one column for each size.
function table_of_own(engine, title,    i, s, name, line, head, shown, own, want, judged, any)
{
    line = "| case | unit |"
    head = "|---|---|"
    for (s = 1; s <= shape_count; ++s)
        if ((engine, shapes[s]) in has) {
            line = line " " (engine == "floor" ? "figure" : title_of(shapes[s])) " |"
            head = head "---:|"
        }
    head = "### " title "\n\n" line " bar | verdict |\n" head "---|---|"
    for (i = 1; i <= case_count; ++i) {
        name = cases[i]
        if (name in is_shared)
            continue
        line = want = judged = ""
        for (s = 1; s <= shape_count; ++s) {
            if (!((engine, shapes[s]) in has))
                continue
            shown = look_up(engine, shapes[s], name)
            line = line " " (shown ? spread() : "") " |"
            if (shown && (own = bar_of(name, shapes[s])) != "") {
                want = own
                judged = verdict_of(name, want)
            }
        }
        if (want != "")
            want = (sense[name] == "+" ? ">= " : "<= ") want
        if (line !~ /[0-9]/)
            continue
        if (!any++)
            print head
        print "| " name " | " unit[name] " |" line " " want " | " judged " |"
    }
    if (any)
        print ""
}

# Time at the largest table by that at 100,000 items, or the smallest.
function table_of_growth(    s, i, n, part, from, to, from_items, to_items, name, names, count,
                         r, list)
{
    for (s = 1; s <= shape_count; ++s) {
        split(shapes[s], part, ":")
        if (part[1] == 0 || part[2] != 200 || part[3] != 0)
            continue
        if (part[1] > to_items) { to_items = part[1]; to = shapes[s] }
        if (from == "" || part[1] == 100000) { from_items = part[1]; from = shapes[s] }
    }
    if (from == to)
        return
    print "### Growth: time for " to_items " items by time for " from_items "\n"
    print "| case | times | bar | verdict |\n|---|---:|---|---|"
    count = split("get,overwrite,marker,restore to first get", names, ",")
    for (i = 1; i <= count; ++i) {
        name = names[i]
        n = 0
        for (r = 0; r < rounds; ++r)
            if (("dynbackup", from, name, r) in figure && ("dynbackup", to, name, r) in figure)
                list[++n] = sense[name] == "+" ? \
                    figure["dynbackup", from, name, r] / figure["dynbackup", to, name, r] : \
                    figure["dynbackup", to, name, r] / figure["dynbackup", from, name, r]
        if (summarize(list, n))
            print "| " name " | " spread() " | <= 1.6 | " \
                  (median <= 1.6 ? "MET" : sprintf("%.2f x it", median / 1.6)) " |"
    }
    print ""
}

BEGIN {
    while ((getline line < bars) > 0) {
        if (line ~ /^#/ || split(line, part, / *\| */) < 4)
            continue
        bar_names[++bar_count] = part[1]
        sense[part[1]] = part[2]
        bar[part[1]] = part[3]
        bar_ratio[part[1]] = part[4]
        if (part[5] != "")
            bar_of_4m[part[1]] = part[5]
    }
    FS = "\""
}

# round,engine,items,value_bytes,budget_mib,"case",unit,figure
{
    split($1, head, ",")
    split($3, tail, ",")
    name = $2
    engine = head[2]
    shape = head[3] ":" head[4] ":" head[5]
    figure[engine, shape, name, head[1]] = tail[3] + 0
    unit[name] = tail[2]
    if (head[1] + 1 > rounds)
        rounds = head[1] + 1
    if (!(name in seen_case)) {
        seen_case[name] = 1
        cases[++case_count] = name
    }
    if (engine != "floor" && !(engine in seen_engine)) {
        seen_engine[engine] = 1
        engines[++engine_count] = engine
    }
    if (!(shape in seen_shape)) {
        seen_shape[shape] = 1
        shapes[++shape_count] = shape
    }
    has[engine, shape] = 1
    if (head[4] == 200 && head[5] == 0 && head[3] > judged_from)
        judged_from = head[3] < 1e6 ? head[3] + 0 : 1e6
    if (engine != "floor" && engine != "dynbackup")
        is_shared[name] = 1
}

END {
    print rounds (rounds == 1 ? " round, so medians have no spread." \
                              : " rounds: medians, and (smallest..largest).") "\n"
    for (s = 1; s <= shape_count; ++s)
        if (shapes[s] !~ /^0:/)
            table_of_ratios(shapes[s])
    table_of_growth()
    table_of_own("dynbackup", "What only dynbackup does")
    table_of_own("floor", "Floors of the machine")
    for (s = 1; s <= shape_count; ++s)
        if (shapes[s] !~ /^0:/)
            table_of_all(shapes[s])
}
