SELECT COUNT(*) = 3 AND SUM(id = 1 AND name = 'größe' AND note = 'caféé') = 1 AND SUM(id = 2 AND note IS NULL AND russian = 'привет') = 1 AND SUM(id = 3 AND name = '漢字' AND note = '😀') = 1 FROM item;
