SELECT v = 2 FROM item;
SELECT COUNT(*) = 1 FROM more;
