INSERT INTO large VALUES (1, REPEAT('é', 4000000), NULL), (2, NULL, REPEAT(X'00ff27', 2500000)), (3, 'small', 'small');
UPDATE large SET t = CONCAT(t, 'x') WHERE id = 1;
