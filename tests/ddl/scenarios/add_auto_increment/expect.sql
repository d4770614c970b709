SELECT COUNT(*) = 4 AND SUM(id % 2) = 0 FROM item;
