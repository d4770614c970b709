SELECT GROUP_CONCAT(id, ':', moved, ':', COALESCE(young, '-'), ':', hidden ORDER BY id) = '2:3:21:9,3:3:31:9,4:3:-:9,5:4:-:9,6:4:-:66' FROM item;
SELECT GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION) = 'ahead,moved,id,name,behind,young,first_more,second_more,hidden' FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'ddl_alter_columns' AND TABLE_NAME = 'item';
