# 10: a merge shows the older of two changes to a key.
# tests: test_model test_table
/^static void dynbi_merge_choose/,/^}/s/merge->backwards ? order > 0 : order < 0/merge->backwards ? order >= 0 : order <= 0/
