# 19: frames say that what came before them is durable before it is.
# tests: test_crash
/^static void dynbi_log_fill_head/,/^}/s/dynbi_store64(head + 24, log->durable_lsn);/dynbi_store64(head + 24, log->tail.lsn);/
