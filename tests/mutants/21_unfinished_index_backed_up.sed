# 21: a backup lists an index that is not complete yet.
# tests: test_index
/^static dynb_rc dynbi_snapshot_to_back_up/,/^}/s/index->since_lsn == dynbi_table_lsn(table)/table != NULL/
