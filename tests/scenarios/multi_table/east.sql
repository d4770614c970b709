INSERT INTO multi_a VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO multi_b VALUES (10, 1, 1), (20, 2, 2), (30, 3, 3);
UPDATE multi_a JOIN multi_b ON multi_b.a = multi_a.id SET multi_a.n = multi_a.n + 10, multi_b.n = multi_b.n + 100 WHERE multi_a.id < 3;
DELETE multi_a, multi_b FROM multi_a JOIN multi_b ON multi_b.a = multi_a.id WHERE multi_a.id = 2;
