# 11: a generation is dropped although its last change is not in a run yet.
# tests: test_model test_backup
/^static void dynbi_table_drop_folded/,/^}/s/generation->last_lsn > table->folded_lsn/generation->last_lsn > table->folded_lsn + 1/
