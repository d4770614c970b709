SELECT GROUP_CONCAT(id, ':', v ORDER BY id) = '7:7' FROM item;
