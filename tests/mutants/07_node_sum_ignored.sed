# 07: nodes are believed without looking at their sums.
# tests: test_corrupt
/^static int dynbi_node_is_valid/,/^}/s/if (DYNBI_SUMS_DIFFER(dynbi_crc32c(0, bytes, (size_t)(node->end - bytes)), pointer->sum))/if (!bytes)/
