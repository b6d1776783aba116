# 43: of several tables backed up at once, what is told is the first one's.
# tests: unit_backup
/^static dynb_rc dynbi_backup_describe_added/,/^}/s/dynbi_snapshot_to_back_up(db, tables\[i\]/dynbi_snapshot_to_back_up(db, tables[0]/
