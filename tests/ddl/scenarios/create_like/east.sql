CREATE TABLE alike LIKE item;
INSERT INTO alike (id, name) SELECT id, name FROM item;
CREATE TABLE IF NOT EXISTS alike LIKE item;
CREATE TABLE `in brackets` (LIKE item);
ALTER TABLE `in brackets` ADD more INT;
INSERT INTO `in brackets` (id, name, more) VALUES (7, 'seven', 7);
