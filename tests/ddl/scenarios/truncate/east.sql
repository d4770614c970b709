INSERT INTO item VALUES (3, 3);
TRUNCATE TABLE item;
INSERT INTO item VALUES (1, 100), (2, 200);
TRUNCATE item;
INSERT INTO item VALUES (1, 1000), (9, 9);
truncate table `item`;
INSERT INTO item VALUES (7, 7);
