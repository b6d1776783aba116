# 14: changes after a backup's marker go into the generation before it.
# tests: test_backup test_model
/^static int dynbi_table_is_marked/,/^}/s/        if (pending->table == table/        if (!pending/
