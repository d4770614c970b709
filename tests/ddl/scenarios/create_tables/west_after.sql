INSERT INTO plain (id, name) VALUES (1000, 'of the other side');
UPDATE plain SET name = 'changed' WHERE id = 1;
INSERT INTO fresh VALUES (2, 2);
DELETE FROM `unique only` WHERE code = 'é';
INSERT INTO `unique only` VALUES ('ü', 2);
