SELECT COUNT(*) = 2 AND SUM(x = 3 AND y = 6 AND z = 7 AND zz = 8 AND `a;b` = 9) = 2 FROM item;
SELECT `ключ` = 4 FROM `select`;
SELECT CamelCase = 2 FROM Mixed_Case;
