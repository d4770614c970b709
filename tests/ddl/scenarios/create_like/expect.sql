SELECT COUNT(*) = 2 FROM alike;
SELECT more = 7 AND total = 5 FROM `in brackets`;
