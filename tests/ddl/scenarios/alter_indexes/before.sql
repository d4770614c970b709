CREATE TABLE item (id INT PRIMARY KEY, place INT NOT NULL, name VARCHAR(100), note TEXT, KEY by_name (name));
INSERT INTO item VALUES (1, 10, 'one', 'first words'), (2, 20, 'two', 'other words');
