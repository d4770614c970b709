SELECT `text` = 'back\\slash' AND joined = 'back\\slash!' FROM `a "name"`;
SELECT COLUMN_DEFAULT = 'CURRENT_TIMESTAMP' AND IS_NULLABLE = 'NO' FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'ddl_sql_modes' AND TABLE_NAME = 'stamps' AND COLUMN_NAME = 'one';
SELECT DATA_TYPE = 'float' FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'ddl_sql_modes' AND TABLE_NAME = 'real_one' AND COLUMN_NAME = 'r';
