SET SESSION cte_max_recursion_depth = 100000;
START TRANSACTION;
INSERT INTO pieces WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < 9000) SELECT id, id, 'p' FROM n;
UPDATE pieces SET v = v + 1;
UPDATE pieces SET id = id + 100000 WHERE id <= 500;
DELETE FROM pieces WHERE id % 3 = 0;
COMMIT;
