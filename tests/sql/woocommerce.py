"""A small WooCommerce shop in MariaDB: its tables as the plugin makes them, and orders as it writes them."""

from dataclasses import dataclass, field
from typing import Any

#: Only columns that somebody reads; names and types as in the plugin and in WordPress.
TABLES = """
CREATE TABLE {p}wc_orders (id bigint unsigned PRIMARY KEY, status varchar(20), currency varchar(10),
    type varchar(20), tax_amount decimal(26,8), total_amount decimal(26,8), customer_id bigint unsigned,
    billing_email varchar(320), date_created_gmt datetime, date_updated_gmt datetime,
    parent_order_id bigint unsigned, KEY date_created (date_created_gmt),
    KEY billing_email (billing_email(191)), KEY parent_order_id (parent_order_id));
CREATE TABLE {p}wc_order_addresses (id bigint unsigned AUTO_INCREMENT PRIMARY KEY,
    order_id bigint unsigned NOT NULL, address_type varchar(20), first_name text, last_name text,
    email varchar(320), phone varchar(100), UNIQUE KEY address_type_order_id (address_type, order_id));
CREATE TABLE {p}wc_order_operational_data (id bigint unsigned AUTO_INCREMENT PRIMARY KEY,
    order_id bigint unsigned, created_via varchar(100), prices_include_tax tinyint(1), date_paid_gmt datetime,
    shipping_total_amount decimal(26,8), shipping_tax_amount decimal(26,8), UNIQUE KEY order_id (order_id));
CREATE TABLE {p}wc_orders_meta (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, order_id bigint unsigned,
    meta_key varchar(255), meta_value text, KEY order_id (order_id));
CREATE TABLE {p}woocommerce_order_items (order_item_id bigint unsigned AUTO_INCREMENT PRIMARY KEY,
    order_item_name text NOT NULL, order_item_type varchar(200) NOT NULL DEFAULT '',
    order_id bigint unsigned NOT NULL, KEY order_id (order_id));
CREATE TABLE {p}woocommerce_order_itemmeta (meta_id bigint unsigned AUTO_INCREMENT PRIMARY KEY,
    order_item_id bigint unsigned NOT NULL, meta_key varchar(255), meta_value longtext,
    KEY order_item_id (order_item_id));
CREATE TABLE {p}wc_product_meta_lookup (product_id bigint PRIMARY KEY, sku varchar(100),
    stock_quantity double, stock_status varchar(100) DEFAULT 'instock');
CREATE TABLE {p}posts (ID bigint unsigned PRIMARY KEY, post_title text NOT NULL,
    post_status varchar(20) NOT NULL DEFAULT 'publish', post_type varchar(20) NOT NULL DEFAULT 'post',
    post_parent bigint unsigned NOT NULL DEFAULT 0,
    post_modified_gmt datetime NOT NULL DEFAULT '0000-00-00 00:00:00');
CREATE TABLE {p}terms (term_id bigint unsigned PRIMARY KEY, name varchar(200) NOT NULL DEFAULT '');
CREATE TABLE {p}term_taxonomy (term_taxonomy_id bigint unsigned PRIMARY KEY, term_id bigint unsigned NOT NULL,
    taxonomy varchar(32) NOT NULL DEFAULT '', parent bigint unsigned NOT NULL DEFAULT 0);
CREATE TABLE {p}term_relationships (object_id bigint unsigned NOT NULL,
    term_taxonomy_id bigint unsigned NOT NULL, PRIMARY KEY (object_id, term_taxonomy_id));
CREATE TABLE {p}users (ID bigint unsigned PRIMARY KEY, user_login varchar(60) NOT NULL DEFAULT '',
    user_email varchar(100) NOT NULL DEFAULT '',
    user_registered datetime NOT NULL DEFAULT '0000-00-00 00:00:00');
CREATE TABLE {p}usermeta (umeta_id bigint unsigned AUTO_INCREMENT PRIMARY KEY,
    user_id bigint unsigned NOT NULL, meta_key varchar(255), meta_value longtext, KEY user_id (user_id));
CREATE TABLE {p}comments (comment_ID bigint unsigned PRIMARY KEY, comment_post_ID bigint unsigned NOT NULL,
    comment_author_email varchar(100) NOT NULL DEFAULT '', comment_date_gmt datetime NOT NULL,
    comment_content text NOT NULL, comment_approved varchar(20) NOT NULL DEFAULT '1',
    comment_type varchar(20) NOT NULL DEFAULT 'comment', user_id bigint unsigned NOT NULL DEFAULT 0);
CREATE TABLE {p}commentmeta (meta_id bigint unsigned AUTO_INCREMENT PRIMARY KEY,
    comment_id bigint unsigned NOT NULL, meta_key varchar(255), meta_value longtext);
"""

#: Cakes under Food & Drink > Cakes, and a shirt 105 of which 106 is a size.
CATALOGUE = """
INSERT INTO {p}terms VALUES (1, 'Food &amp; Drink'), (2, 'Cakes'), (3, 'Clothes'), (4, 'Oma'), (5, 'Sale');
INSERT INTO {p}term_taxonomy VALUES (11, 1, 'product_cat', 0), (12, 2, 'product_cat', 1),
    (13, 3, 'product_cat', 0), (14, 4, 'product_brand', 0), (15, 5, 'product_cat', 0);
INSERT INTO {p}posts VALUES
    (101, 'Käsekuchen 🍰', 'publish', 'product', 0, '2017-03-01 06:00:00'),
    (102, 'Salt &amp; Pepper', 'publish', 'product', 0, '2017-03-01 06:00:00'),
    (103, 'Cake', 'publish', 'product', 0, '2017-03-01 06:00:00'),
    (104, 'Old cake', 'private', 'product', 0, '2017-03-01 06:00:00'),
    (105, 'Shirt', 'publish', 'product', 0, '2017-03-01 06:00:00'),
    (106, 'Shirt - M', 'publish', 'product_variation', 105, '2017-03-01 06:00:00'),
    (108, 'A page', 'publish', 'page', 0, '2017-03-01 06:00:00');
INSERT INTO {p}term_relationships VALUES (101, 12), (101, 14), (101, 15),
    (102, 11), (103, 12), (104, 12), (105, 13);
INSERT INTO {p}wc_product_meta_lookup VALUES (101, 'K1', 7, 'instock'), (102, 'S1', -2, 'onbackorder'),
    (103, 'C1', NULL, 'instock'), (105, 'T', 12, 'instock'), (106, 'T-M', NULL, 'instock');
INSERT INTO {p}users VALUES (1, 'admin', 'admin@shop.example', '2016-01-01 10:00:00'),
    (17, 'ana', 'ana@mail.example', '2017-03-01 07:00:00'),
    (18, 'ben', 'ben@mail.example', '2017-03-01 08:00:00');
INSERT INTO {p}usermeta (user_id, meta_key, meta_value) VALUES
    (1, '{p}capabilities', 'a:1:{s:13:"administrator";b:1;}'),
    (17, '{p}capabilities', 'a:1:{s:8:"customer";b:1;}'),
    (18, '{p}capabilities', 'a:1:{s:8:"customer";b:1;}'),
    (17, 'first_name', 'ana'), (17, 'billing_first_name', 'Ana'), (17, 'billing_last_name', 'Müller'),
    (17, 'last_update', '1488442800'), (18, 'first_name', 'Ben'), (18, 'last_name', 'O\\'Hara');
INSERT INTO {p}comments VALUES (1, 101, 'ana@mail.example', '2017-03-04 12:00:00',
    'Sehr gut \\\\ "immer wieder"', '1', 'review', 17),
    (2, 101, 'ben@mail.example', '2017-03-04 12:00:00', 'Spam', 'spam', 'review', 18);
INSERT INTO {p}commentmeta (comment_id, meta_key, meta_value) VALUES (1, 'rating', '5'), (2, 'rating', '1');
"""

#: Item, product or variation, pieces, before coupons, total, tax.
Item = tuple[int, int, str, str, str, str]


@dataclass
class Order:
    """An order, or a refund of one; a line is (item, product, pieces, before coupons, total, tax)."""

    number: int
    at: str
    lines: list[Item] = field(default_factory=list)
    status: str = "wc-completed"
    currency: str = "EUR"
    user: int = 0
    email: str = ""
    name: tuple[str, str] = ("Gast", "Gast")
    total: str = "0"
    shipping: str | None = None
    via: str = "checkout"
    refund_of: int | None = None
    items_of: dict[int, int] = field(default_factory=dict)
    reason: str | None = None
    updated: str | None = None

    def statements(self, prefix: str) -> list[str]:
        """What the plugin writes into its tables."""
        kind = "shop_order_refund" if self.refund_of else "shop_order"
        made = [
            f"INSERT INTO {prefix}wc_orders VALUES ({self.number}, '{self.status}', '{self.currency}', "
            f"'{kind}', 0, {self.total}, {self.user}, {_text(self.email)}, '{self.at}', "
            f"'{self.updated or self.at}', {self.refund_of or 0})",
            f"INSERT INTO {prefix}wc_order_operational_data (order_id, created_via, date_paid_gmt) "
            f"VALUES ({self.number}, '{self.via}', '{self.at}')",
        ]
        if self.email:
            first, last = map(_text, self.name)
            made.append(
                f"INSERT INTO {prefix}wc_order_addresses (order_id, address_type, first_name, last_name, "
                f"email) VALUES ({self.number}, 'billing', {first}, {last}, {_text(self.email)})"
            )
        if self.reason:
            made.append(
                f"INSERT INTO {prefix}wc_orders_meta (order_id, meta_key, meta_value) "
                f"VALUES ({self.number}, '_refund_reason', {_text(self.reason)})"
            )
        for item, product, pieces, before, total, tax in self.lines:
            variation = product if product == 106 else 0
            meta: dict[str, Any] = {
                "_product_id": 105 if variation else product,
                "_variation_id": variation,
                "_qty": pieces,
                "_line_subtotal": before,
                "_line_total": total,
                "_line_tax": tax,
            }
            if item in self.items_of:
                meta["_refunded_item_id"] = self.items_of[item]
            made.append(self._item(prefix, item, "line_item"))
            made += [_meta(prefix, item, key, value) for key, value in meta.items()]
        if self.shipping:
            made.append(self._item(prefix, self.number * 10 + 9, "shipping"))
            made.append(_meta(prefix, self.number * 10 + 9, "cost", self.shipping))
        return made

    def _item(self, prefix: str, item: int, kind: str) -> str:
        return f"INSERT INTO {prefix}woocommerce_order_items VALUES ({item}, 'x', '{kind}', {self.number})"


def _meta(prefix: str, item: int, key: str, value: Any) -> str:
    return (
        f"INSERT INTO {prefix}woocommerce_order_itemmeta (order_item_id, meta_key, meta_value) "
        f"VALUES ({item}, '{key}', '{value}')"
    )


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


def shop(orders: list[Order], prefix: str = "wp_") -> str:
    """Everything that makes the shop."""
    made = [text.replace("{p}", prefix) for text in (TABLES, CATALOGUE)]
    statements = [s for order in orders for s in order.statements(prefix)]
    return "\n".join([*made, *(f"{s};" for s in statements)])
