SELECT COUNT(*) = 2 AND SUM(name = 'changed') = 1 FROM keyless;
SELECT COUNT(*) = 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'ddl_invisible_keys' AND TABLE_NAME = 'keyed';
SELECT v = 5 FROM selected;
