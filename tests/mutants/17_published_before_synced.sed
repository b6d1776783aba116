# 17: a superblock or catalog record names nodes that are not on the medium yet.
# tests: test_crash
/^static dynb_rc dynbi_job_fold/,/^}/s/rc == DYNB_OK && dynbi_disk_sync(&job->db->disk) != DYNB_OK/rc != DYNB_OK/
