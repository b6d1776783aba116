# 28: a restore to a time takes in what came a millisecond later.
# tests: test_pitr
s/frame\.time_ms > rebuild->time_ms/frame.time_ms > rebuild->time_ms + 1/
