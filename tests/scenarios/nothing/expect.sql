SELECT COUNT(*) = 1 AND SUM(v) = 1 FROM nothing;
