CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(20), old INT, other INT NOT NULL DEFAULT 3, note TEXT);
INSERT INTO item (id, name, old) VALUES (1, 'one', 10), (2, 'two', 20);
