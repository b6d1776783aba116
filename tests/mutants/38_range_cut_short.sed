# 38: a sync covers only what was written last, not all since the sync before.
# tests: test_crash
s/if (!unsynced->end || pos < unsynced->pos)/if (pos)/
