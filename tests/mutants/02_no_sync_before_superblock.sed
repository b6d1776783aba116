# 02: the second superblock is written before the first one is on the medium.
# tests: test_crash test_fault
/^static dynb_rc dynbi_superblock_write/,/^}/s/rc = dynbi_disk_sync(&db->disk);/rc = i ? dynbi_disk_sync(\&db->disk) : DYNB_OK;/
