# 24: a deleted backup can still be read: what was opened is not dropped.
# tests: test_compare
s/^    ++db->catalog_changes;$//
