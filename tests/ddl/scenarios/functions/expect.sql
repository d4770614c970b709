SELECT GROUP_CONCAT(id, ':', v ORDER BY id) = '1:1,5:10' FROM item;
SELECT counted() = 2 AND doubled(4) = 8 AND ansi() = 'back\\';
SELECT COUNT(*) = 5 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'ddl_functions';
