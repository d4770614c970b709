INSERT INTO both_sides VALUES (1, 'east', 1), (3, 'east', 3);
UPDATE both_sides SET n = n * 2 WHERE side = 'east';
