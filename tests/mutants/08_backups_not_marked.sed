# 08: the nodes that only a backup lists count as free and are used again.
# tests: test_backup test_model
/^static dynb_rc dynbi_mark_record/,/^}/s/    dynb_rc rc = dynbi_record_split/    dynb_rc rc = entry->key[0] == 'B' ? DYNB_CORRUPT : DYNB_OK;\
    if (rc != DYNB_OK)\
        return DYNB_OK;\
    rc = dynbi_record_split/
