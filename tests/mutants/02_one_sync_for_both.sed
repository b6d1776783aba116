# 02: the second superblock is written before the first is durable.
# tests: unit_store
/^static dynb_rc dynbi_superblock_write/,/^}/s/        if (rc == DYNB_OK)/        if (rc == DYNB_OK \&\& i == 1)/
