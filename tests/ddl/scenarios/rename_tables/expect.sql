SELECT GROUP_CONCAT(id, ':', v ORDER BY id) = '1:1,2:2,3:3,4:4,5:5,6:6' FROM a2;
SELECT GROUP_CONCAT(id, ':', w ORDER BY id) = '1:b,4:four,5:five,6:six' FROM c;
SELECT GROUP_CONCAT(id ORDER BY id) = '1,5,6,7' FROM ddl_rename_tables_2.d;
