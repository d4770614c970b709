INSERT INTO ddl_new_one.item VALUES (2, 'ü');
INSERT INTO ddl_new_three.item VALUES (1, 'ő');
