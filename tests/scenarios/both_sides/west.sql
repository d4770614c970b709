INSERT INTO both_sides VALUES (2, 'west', 2), (4, 'west', 4);
UPDATE both_sides SET n = n * 3 WHERE side = 'west';
DELETE FROM both_sides WHERE id = 4;
