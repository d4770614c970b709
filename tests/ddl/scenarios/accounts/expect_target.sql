SELECT COUNT(*) = 0 FROM mysql.user WHERE User LIKE 'ddl\_%';
SELECT COUNT(*) = 0 FROM bisync.ddl_log WHERE statement LIKE '%a-secret-word%' OR statement LIKE '%$A$%';
SELECT COUNT(*) = 0 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'ddl_not_in_scope';
