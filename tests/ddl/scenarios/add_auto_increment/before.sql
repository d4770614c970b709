CREATE TABLE item (name VARCHAR(10) NOT NULL, UNIQUE KEY (name));
INSERT INTO item VALUES ('a'), ('b'), ('c');
