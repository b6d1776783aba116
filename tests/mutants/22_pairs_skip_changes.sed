# 22: comparing: entries of a pair that differ in their values count as alike.
# tests: test_compare
s/^            is_same = dynbi_walk_is_alike(a, b);$/            is_same = 1;/
