SET SESSION sql_generate_invisible_primary_key = ON;
CREATE TABLE keyless (v INT, name VARCHAR(20));
INSERT INTO keyless VALUES (1, 'one'), (1, 'one');
UPDATE keyless SET name = 'changed' LIMIT 1;
CREATE TABLE selected SELECT * FROM item;
UPDATE selected SET v = 5;
SET SESSION sql_generate_invisible_primary_key = OFF;
CREATE TABLE keyed (v INT NOT NULL, UNIQUE KEY (v));
INSERT INTO keyed VALUES (1);
