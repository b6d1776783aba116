# 04: every open writes in the first epoch.
# tests: test_crash test_table
/^static dynb_rc dynbi_store_begin_writing/,/^}/s/super\.epoch += 1;/super.epoch = 1;/
