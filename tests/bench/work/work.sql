CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, kind INT, price REAL);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
  INSERT INTO item SELECT i, 'item ' || (i * 7919 % 150001), i % 97, (i % 1000) / 8.0 FROM n;
COMMIT;
CREATE INDEX item_name ON item(name);
CREATE INDEX item_kind ON item(kind, price);
CREATE TABLE sale(item INT, day INT, n INT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
  INSERT INTO sale SELECT i * 31 % 150000 + 1, i % 365, i % 5 FROM n;
COMMIT;
SELECT kind, count(*), sum(n * price) FROM sale JOIN item ON item.id = sale.item GROUP BY kind ORDER BY 3 DESC LIMIT 5;
SELECT count(*) FROM item a JOIN item b ON a.name = b.name WHERE a.kind < 40;
SELECT count(*), sum(length(name)) FROM item WHERE name LIKE '%99%' OR name GLOB 'item 1[0-4]*';
UPDATE item SET price = price * 1.5 WHERE kind IN (SELECT kind FROM item WHERE price > 100);
DELETE FROM item WHERE id % 3 = 0;
SELECT count(*), total(price) FROM item;
