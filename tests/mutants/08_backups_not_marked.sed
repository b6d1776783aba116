# 08: the nodes that only a backup lists count as free and are used again.
# tests: test_backup test_model
/^static dynb_rc dynbi_mark_record/,/^}/s/entry->key\[0\] == 'X')/entry->key[0] == 'X' || entry->key[0] == 'B')/
