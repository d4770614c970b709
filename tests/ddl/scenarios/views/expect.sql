SELECT GROUP_CONCAT(a, ':', b ORDER BY a) = '1:50,2:2,3:3' FROM checked;
SELECT doubled = 100 FROM all_items WHERE id = 1;
SELECT COUNT(*) = 5 FROM information_schema.VIEWS WHERE TABLE_SCHEMA = 'ddl_views';
