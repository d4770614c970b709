SELECT COUNT(*) = 1 FROM tmp_1;
SELECT GROUP_CONCAT(TABLE_NAME ORDER BY TABLE_NAME) = 'item,more,ticking,tmp_1' FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'ddl_excluded_tables';
