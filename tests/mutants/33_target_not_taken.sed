# 33: while a table is restored to a time, its name is free.
# tests: test_at_time_threads
s/while (restoring && !dynbi_part_is(name, length, restoring->name))/while (restoring)/
