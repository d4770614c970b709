CREATE TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, v INT DEFAULT 4, name VARCHAR(20), UNIQUE (name), total INT AS (v + 1) STORED) COMMENT 'to be copied';
INSERT INTO item (id, name) VALUES (1, 'one');
