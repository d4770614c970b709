CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(20));
INSERT INTO parent VALUES (1, 'one'), (2, 'two');
