# 31: a marking does not see the states of the past that are kept for reading.
# tests: test_at_time
s/for (past = db->past/for (past = NULL/
