CREATE TABLE item (id INT PRIMARY KEY, v INT, name VARCHAR(20));
INSERT INTO item VALUES (1, 1, 'one'), (2, 2, 'zwei ö'), (3, 3, NULL);
