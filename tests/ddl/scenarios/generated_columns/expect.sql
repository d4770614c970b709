SELECT GROUP_CONCAT(id, ':', total ORDER BY id) = '1:5,3:12' FROM item;
SELECT name = 'größe' FROM made;
