SELECT GROUP_CONCAT(DISTINCT INDEX_NAME ORDER BY INDEX_NAME) = 'lowered,name_start,one_place,PRIMARY' FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = 'ddl_alter_indexes';
SELECT GROUP_CONCAT(id, ':', place ORDER BY id) = '1:110,3:130,4:40' FROM item;
