SELECT GROUP_CONCAT(id, ':', parent ORDER BY id) = '1:5' FROM child;
SELECT GROUP_CONCAT(id, ':', COALESCE(up, '-') ORDER BY id) = '2:-,3:2' FROM self;
