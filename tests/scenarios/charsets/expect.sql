SELECT HEX(l) = '8081E9FF81' AND HEX(k) = 'E9' AND u3 = 'é' FROM charsets;
