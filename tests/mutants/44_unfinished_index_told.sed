# 44: what is told of a new backup has indexes that are not in it.
# tests: test_index
/^static dynb_rc dynbi_backup_describe_added/,/^}/s/rc = dynbi_snapshot_to_back_up(db, tables\[i\], &snapshot, err);/dynbi_table_snapshot(tables[i], \&snapshot);/
