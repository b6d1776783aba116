# 17: a fold is published without its nodes being made durable.
# tests: test_crash
/^static dynb_rc dynbi_job_sync/,/^}/s/: dynbi_unsynced_sync(&job->fold.unsynced, &job->db->disk)/: DYNB_OK/
