SELECT GROUP_CONCAT(id, ':', v, ':', w ORDER BY id) = '1:6:5,2:7:5,3:8:5,4:4:4,5:5:5' FROM item;
