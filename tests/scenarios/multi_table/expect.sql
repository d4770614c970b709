SELECT (SELECT SUM(n) FROM multi_a) = 14 AND (SELECT SUM(n) FROM multi_b) = 104;
