SELECT same = 0 FROM compared;
SELECT turkish() = 1;
SELECT TABLE_COLLATION = 'utf8mb4_general_ci' FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'ddl_session_charsets' AND TABLE_NAME = 'general';
