# 30: a base takes over for the next one, but not the log up to its end.
# tests: test_pitr
/^static dynb_rc dynbi_history_note/,/^}/s/last\.end_pos = oldest->last_pos;/last.end_pos = last.end_pos;/
