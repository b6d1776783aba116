# 12: after a failed sync the handle goes on writing.
# tests: test_fault
/^static dynb_rc dynbi_store_begin_writing/,/^}/s/db->config\.read_only || db->disk\.has_failed/db->config.read_only/
