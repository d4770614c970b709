SELECT COUNT(*) = 3 AND SUM(name = 'changed') = 1 FROM item;
SELECT TABLE_COMMENT = 'it''s; of `quotes` -- and "more"' AND ROW_FORMAT = 'Dynamic' FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'ddl_alter_options' AND TABLE_NAME = 'item';
