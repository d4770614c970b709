SELECT GROUP_CONCAT(id, ':', place, ':', v ORDER BY place) = '1:10:2,7:11:112' FROM item;
SELECT GROUP_CONCAT(a, ':', b, ':', v ORDER BY b) = '2:20:3,5:50:5' FROM other;
