# 29: the base that the start of the window needs is swept away.
# tests: test_pitr
/^static dynb_rc dynbi_sweep_base/,/^}/s/base\.snapshot\.folded_time_ms <= earliest)/base.mark.time_ms <= earliest + 86400000)/
