SELECT GROUP_CONCAT(id, ':', parent ORDER BY id) = '10:5,11:5,30:7,70:7' FROM fk_child;
SELECT GROUP_CONCAT(id, ':', COALESCE(child, 'none') ORDER BY id) = '100:10,200:none,300:30' FROM fk_leaf;
