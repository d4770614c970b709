SELECT GROUP_CONCAT(id, ':', v ORDER BY id) = '1:1,6:9,7:7' FROM item;
SELECT GROUP_CONCAT(TABLE_NAME ORDER BY TABLE_NAME) = 'item,ticking' FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'ddl_create_temporary';
