SELECT GROUP_CONCAT(id, ':', v ORDER BY id) = '1:100,2:2,3:3,4:4' FROM copied;
SELECT GROUP_CONCAT(id, ':', twice ORDER BY id) = '1:2,2:4,8:16' FROM few;
SELECT COUNT(*) = 3 FROM random_ones;
SELECT COUNT(*) = 9000 AND SUM(pad = 'q') = 9 FROM many;
SELECT name = 'zwei ö' FROM replaced;
