# 01: a write is acknowledged as synced without a sync.
# tests: test_crash test_fault
/^static dynb_rc dynbi_change_commit/,/^}/s/durability == DYNB_SYNCED)/(int)durability == 9)/
