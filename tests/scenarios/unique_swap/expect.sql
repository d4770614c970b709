SELECT GROUP_CONCAT(id, ':', place ORDER BY id) = '1:30,2:20,4:40' FROM unique_swap;
