SELECT v = 2 AND name = 'DROP TABLE item; CREATE TABLE x (id INT);' AND prepared = 8 FROM item;
SELECT w = 2 FROM defined;
SELECT COUNT(*) = 5 AND SUM(ROUTINE_COMMENT = 'as it is') = 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'ddl_procedures';
