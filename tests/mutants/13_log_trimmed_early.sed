# 13: the log segment in which recovery starts is freed with those before it.
# tests: test_fault
/^static void dynbi_log_trim/,/^}/s/first_pos < first_pos)/first_pos <= first_pos)/
