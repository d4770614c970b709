SELECT COUNT(*) = 1 FROM outside;
SELECT COUNT(*) = 0 FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'ddl_table_scope' AND TABLE_NAME IN ('unrelated', 'seen');
SELECT COUNT(*) = 0 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'ddl_table_scope';
SELECT COUNT(*) = 0 FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'ddl_table_scope';
SELECT DEFAULT_CHARACTER_SET_NAME = 'utf8mb4' FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'ddl_table_scope';
SELECT GROUP_CONCAT(id) = '1' FROM away;
