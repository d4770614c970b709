INSERT INTO alike (id, name) VALUES (2, 'two');
