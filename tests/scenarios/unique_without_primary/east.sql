INSERT INTO unique_without_primary VALUES ('a', 1, 1), ('b', 1, 2), ('a', 2, NULL);
UPDATE unique_without_primary SET v = 7 WHERE code = 'a';
DELETE FROM unique_without_primary WHERE code = 'b';
