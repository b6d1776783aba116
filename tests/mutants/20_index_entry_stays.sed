# 20: the entry that an item leaves stays in the index.
# tests: test_index
/^static dynb_rc dynbi_index_add_entries/,/^}/s/is_there\[0\] && !stays/0 \&\& !stays/
