SELECT GROUP_CONCAT(id, ':', n ORDER BY id) = '1:2,2:6,3:6' FROM both_sides;
