# 27: the log that rebuilding the past needs is freed with the rest.
# tests: test_pitr
/^static dynb_rc dynbi_history_keep_log/,/^}/s/rc == DYNB_OK && is_needed)/rc == DYNB_OK \&\& is_needed \&\& i)/
