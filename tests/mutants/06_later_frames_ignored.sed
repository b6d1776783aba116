# 06: the first bad frame ends the log, whatever comes after it.
# tests: test_corrupt
/^static dynb_rc dynbi_log_scan_prove/,/^}/s/sum == stored;/sum == stored + 1;/
