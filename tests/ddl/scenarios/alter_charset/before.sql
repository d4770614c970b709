CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(40), note TEXT) CHARACTER SET latin1;
INSERT INTO item VALUES (1, 'größe', 'café'), (2, 'two', NULL);
