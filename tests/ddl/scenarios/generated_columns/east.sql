ALTER TABLE item ADD total INT AS (a + b) STORED, ADD doubled INT GENERATED ALWAYS AS (a * 2) VIRTUAL;
INSERT INTO item (id, a, b) VALUES (3, 5, 6);
UPDATE item SET a = a + 1 WHERE id = 1;
CREATE TABLE made (id INT PRIMARY KEY, doc JSON, name VARCHAR(30) AS (doc->>'$.name') STORED, KEY (name), CHECK (id > 0), CONSTRAINT short CHECK (LENGTH(name) < 20) NOT ENFORCED);
INSERT INTO made (id, doc) VALUES (1, '{"name": "größe"}');
ALTER TABLE made ALTER CHECK short ENFORCED, ADD CONSTRAINT other CHECK (name <> 'x');
ALTER TABLE made DROP CHECK other;
ALTER TABLE item DROP COLUMN doubled, MODIFY total BIGINT AS (a + b + 1) STORED;
DELETE FROM item WHERE id = 2;
