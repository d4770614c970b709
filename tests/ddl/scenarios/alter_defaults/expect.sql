SELECT GROUP_CONCAT(id, ':', a, ':', b ORDER BY id) = '1:1:b,2:5:b,3:5:x,4:5:made2' FROM item;
SELECT COUNT(*) = 4 FROM item WHERE c = JSON_ARRAY(1, 'two') AND d = 0x00FF AND e = b'101010101';
