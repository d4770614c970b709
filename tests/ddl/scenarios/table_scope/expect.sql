SELECT GROUP_CONCAT(id, ':', v, ':', w ORDER BY id) = '1:2:5,2:3:2' FROM kept;
SELECT GROUP_CONCAT(id) = '2' FROM emptied;
SELECT COUNT(*) = 0 FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'ddl_table_scope' AND TABLE_NAME IN ('dropped', 'moved');
