# 40: log that a restore to a time needs is written over.
# tests: test_pitr
s/job->recycles_log = !dynbi_history_is_on(db) \&\& /job->recycles_log = /
