SELECT GROUP_CONCAT(v ORDER BY v) = '2,11' FROM composite_key;
