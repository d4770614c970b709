INSERT INTO upserts VALUES (1, 'a', 1), (2, 'b', 1);
REPLACE INTO upserts VALUES (2, 'b2', 5), (3, 'a', 7);
INSERT INTO upserts VALUES (2, 'zz', 1), (4, 'd', 1) ON DUPLICATE KEY UPDATE n = n + 100;
INSERT INTO upserts VALUES (5, 'd', 1) ON DUPLICATE KEY UPDATE n = n + 1000;
INSERT IGNORE INTO upserts VALUES (4, 'never', 0), (6, 'f', 6);
