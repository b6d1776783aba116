# 32: the state at a time that still gets changes is kept as it was when first read.
# tests: test_at_time
s/past->log_lsn == db->log\.tail\.lsn/1/
