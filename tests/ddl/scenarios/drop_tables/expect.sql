SELECT GROUP_CONCAT(TABLE_NAME ORDER BY TABLE_NAME) = 'a,b,kept,ticking' FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'ddl_drop_tables';
SELECT GROUP_CONCAT(name ORDER BY name) = 'x,y' FROM a;
SELECT GROUP_CONCAT(id ORDER BY id) = '4,5' FROM b;
