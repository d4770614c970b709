CREATE TABLE item (id INT PRIMARY KEY, v INT, name VARCHAR(20));
INSERT INTO item VALUES (1, 1, 'one'), (2, 2, 'two');
CREATE DEFINER=app@'%' VIEW older AS SELECT id FROM item;
