# 39: a sync of the log covers only the first half of what was appended.
# tests: test_crash
s/log->tail.pos - log->synced_pos);/(log->tail.pos - log->synced_pos) \/ 2 + 1);/
