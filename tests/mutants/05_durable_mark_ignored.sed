# 05: the superblock's word on what was synced is not listened to.
# tests: test_corrupt
/^static dynb_rc dynbi_log_scan_judge/,/^}/s/is_damage = durable_lsn >= missing;/is_damage = durable_lsn >= missing + 1000000;/
