SELECT GROUP_CONCAT(name ORDER BY id) = 'ä,ü' FROM ddl_new_one.item;
SELECT COUNT(*) = 1 FROM ddl_new_two.item;
SELECT DEFAULT_COLLATION_NAME = 'latin2_bin' FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'ddl_new_three';
SELECT DEFAULT_COLLATION_NAME = 'latin1_german1_ci' FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'ddl_databases';
