SELECT GROUP_CONCAT(id, ':', v, ':', w ORDER BY id) = '1:10:5,2:2:5,3:3:3,4:4:4' FROM item;
