CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    city TEXT NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customers (id),
    product INTEGER NOT NULL REFERENCES products (id),
    amount REAL NOT NULL
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    price REAL NOT NULL
);
INSERT INTO customers VALUES (1, 'Ann', 'Bergen'), (2, 'Ben', 'Leeds'), (3, 'Cleo', 'Porto');
INSERT INTO products VALUES (1, 'Hand grinder', 89.0), (2, 'Kettle', 42.5), (3, 'Filter papers', 6.0);
INSERT INTO orders VALUES
    (1, 1, 1, 89.0), (2, 2, 3, 12.0), (3, 3, 2, 42.5), (4, 3, 1, 89.0), (5, 1, 3, 6.0), (6, 2, 2, 42.5);
