# 19: frames say that what came before them is durable before it is.
# tests: test_crash
/^static dynb_rc dynbi_log_append/,/^}/s/dynbi_store64(head + 24, log->durable_lsn);/dynbi_store64(head + 24, log->tail.lsn);/
