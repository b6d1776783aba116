# 13: a log segment is freed while changes in it are not folded yet.
# tests: test_crash test_model
/^static void dynbi_log_trim/,/^}/s/first_pos <= pos)/first_pos <= pos + 8192)/
