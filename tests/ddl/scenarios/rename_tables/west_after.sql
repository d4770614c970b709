INSERT INTO c VALUES (6, 'six');
INSERT INTO a2 VALUES (6, 6);
INSERT INTO ddl_rename_tables_2.d VALUES (7);
