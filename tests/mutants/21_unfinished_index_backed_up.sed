# 21: a backup lists an index that is not complete yet.
# tests: test_index
/^static dynb_rc dynbi_snapshot_complete/,/^}/s/!= DYNB_INDEX_ACTIVE/== DYNB_INDEX_DELETING/
