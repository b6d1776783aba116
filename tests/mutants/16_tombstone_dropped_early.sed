# 16: a deletion is forgotten while an older run still has the item.
# tests: test_model test_backup
/^static dynb_rc dynbi_tidy_start/,/^}/s/first + length == runs->count && is_complete, err/1, err/
