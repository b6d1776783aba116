# 25: a backup can be deleted while a table is being restored from it.
# tests: test_states
s/^    if (rc == DYNB_OK \&\& dynbi_backup_is_restoring(db, arn))$/    if (0)/
