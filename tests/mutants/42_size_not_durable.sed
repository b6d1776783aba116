# 42: closing a store claims a size that no sync made durable.
# tests: unit_store
/syncs of ranges need not have made/{n;s/dynbi_disk_sync(&db->disk) != DYNB_OK/0/;}
