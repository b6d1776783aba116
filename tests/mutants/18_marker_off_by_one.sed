# 18: a backup's marker is one LSN too high.
# tests: test_backup test_model
/^static dynb_rc dynbi_backup_add/,/^}/s/details->lsn = db->log\.tail\.lsn + 1;/details->lsn = db->log.tail.lsn + 2;/
