-- An order-processing database. Made on both sides before anything is replicated; `pulses` is the demo's own probe.

CREATE TABLE customers (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  email VARCHAR(120) CHARACTER SET latin1 NOT NULL UNIQUE,
  name VARCHAR(80) NOT NULL,
  address JSON NOT NULL,
  birthday DATE NULL,
  tags SET('retail', 'wholesale', 'newsletter', 'vip') NOT NULL,
  created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
);

CREATE TABLE products (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  sku CHAR(12) CHARACTER SET latin1 NOT NULL UNIQUE,
  name VARCHAR(120) NOT NULL,
  price DECIMAL(10, 2) NOT NULL,
  weight_kg DOUBLE NULL,
  attributes JSON NULL,
  picture_hash BINARY(16) NOT NULL,
  description TEXT NULL
);

CREATE TABLE stock (
  product_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  on_hand INT NOT NULL,
  reserved INT NOT NULL DEFAULT 0,
  counted_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  FOREIGN KEY (product_id) REFERENCES products (id)
);

CREATE TABLE orders (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer_id BIGINT UNSIGNED NOT NULL,
  status ENUM('new', 'paid', 'shipped') NOT NULL DEFAULT 'new',
  total DECIMAL(12, 2) NOT NULL DEFAULT 0,
  note VARCHAR(200) NULL,
  placed_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  KEY (customer_id),
  FOREIGN KEY (customer_id) REFERENCES customers (id)
);

CREATE TABLE order_lines (
  order_id BIGINT UNSIGNED NOT NULL,
  line SMALLINT NOT NULL,
  product_id BIGINT UNSIGNED NOT NULL,
  quantity INT NOT NULL,
  price DECIMAL(10, 2) NOT NULL,
  PRIMARY KEY (order_id, line),
  KEY (product_id),
  FOREIGN KEY (order_id) REFERENCES orders (id),
  FOREIGN KEY (product_id) REFERENCES products (id)
);

CREATE TABLE payments (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id BIGINT UNSIGNED NOT NULL UNIQUE,
  method ENUM('card', 'transfer', 'voucher') NOT NULL,
  amount DECIMAL(12, 2) NOT NULL,
  paid_at DATETIME(6) NOT NULL,
  token VARBINARY(32) NOT NULL,
  FOREIGN KEY (order_id) REFERENCES orders (id)
);

CREATE TABLE pulses (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  written_at DATETIME(6) NOT NULL
);
