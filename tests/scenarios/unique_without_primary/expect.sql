SELECT COUNT(*) = 2 AND SUM(v) = 14 FROM unique_without_primary;
