SELECT SUM(column_1) = 6 AND COUNT(*) = 1 FROM v;
SELECT COUNT(*) = 2 FROM `täblè 表` WHERE `wért` = 'ö表';
