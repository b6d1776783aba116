# 34: a rule of retention takes away backups of a deleted table of that name.
# tests: test_pitr
/^static dynb_rc dynbi_sweep_backup/,/^}/s/if (id != table->id)/if (id == 0)/
