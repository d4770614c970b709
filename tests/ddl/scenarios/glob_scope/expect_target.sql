SELECT COUNT(*) = 1 FROM other WHERE v = 1;
