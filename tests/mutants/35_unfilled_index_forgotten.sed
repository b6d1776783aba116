# 35: indexes that a restore to a time is still filling are not in a backup.
# tests: test_index
/^static dynb_rc dynbi_snapshot_to_back_up/,/^}/s/index->since_lsn == dynbi_table_lsn(table)/table == NULL/
