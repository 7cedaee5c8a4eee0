-- The operational schema of the demo shop: the database a real shop would bring along.
--
-- It is as lax as such databases are: no foreign keys, few constraints, and no unique key on orders and
-- their lines, since tills send again what they are not sure has arrived. Cleaning is the warehouse's work.
--
-- A comment that begins with "generated:" marks a table or column that the real data lacks. Everything
-- else is The Complete Journey's own.

CREATE TABLE stores (
    store_number text PRIMARY KEY,
    region text,
    updated_at timestamptz
);
COMMENT ON TABLE stores IS 'One row per store that ever sold something.';
COMMENT ON COLUMN stores.region IS 'generated: one of five sales regions, by the seed';
COMMENT ON COLUMN stores.updated_at IS 'generated: the shop''s first day';

CREATE TABLE products (
    product_number text PRIMARY KEY,
    manufacturer_number text,
    department text,
    brand text,
    category text,
    type text,
    package_size text,
    name text,
    active boolean,
    unit_margin numeric,
    updated_at timestamptz
);
COMMENT ON TABLE products IS 'One row per product of the catalogue; 17 products that were sold are missing, as in the source.';
COMMENT ON COLUMN products.name IS 'generated: written from brand, type and package size';
COMMENT ON COLUMN products.active IS 'generated: false for the store''s own supplies and expenses, by department';
COMMENT ON COLUMN products.unit_margin IS 'generated: gross margin as a share of sales, by department and brand';
COMMENT ON COLUMN products.updated_at IS 'generated: the shop''s first day';

CREATE TABLE customers (
    customer_number text PRIMARY KEY,
    first_name text,
    last_name text,
    birthday text,
    age_band text,
    income_band text,
    home_ownership text,
    marital_status text,
    household_size text,
    household_composition text,
    kids_count text,
    home_store_id text,
    store_distance_km numeric,
    registered_at timestamptz,
    updated_at timestamptz
);
COMMENT ON TABLE customers IS 'One row per household; demographics are known for 801 of 2,469.';
COMMENT ON COLUMN customers.first_name IS 'generated: drawn from a list';
COMMENT ON COLUMN customers.last_name IS 'generated: drawn from a list';
COMMENT ON COLUMN customers.birthday IS 'generated: free text as typed at the till, within the age band; a few cannot be read as a date, a few are 29 February';
COMMENT ON COLUMN customers.home_store_id IS 'generated: the store of the first basket';
COMMENT ON COLUMN customers.store_distance_km IS 'generated: kilometres from home to that store, log-normal with a median of 3';
COMMENT ON COLUMN customers.registered_at IS 'generated: up to two weeks before the first trace of the household, and no earlier than the shop''s first day';
COMMENT ON COLUMN customers.updated_at IS 'generated: the registration';

CREATE TABLE contact_points (
    contact_id bigint PRIMARY KEY,
    customer_number text,
    channel text,
    address text,
    verified boolean,
    updated_at timestamptz
);
COMMENT ON TABLE contact_points IS 'generated: e-mail addresses at example.com and example.net, telephone numbers in the range 555-0100 to 555-0199 reserved for fiction; a later row of the same channel replaces an earlier one; a few e-mail addresses are malformed';

CREATE TABLE consents (
    consent_id bigint PRIMARY KEY,
    customer_number text,
    channel text,
    purpose text,
    granted boolean,
    recorded_at timestamptz
);
COMMENT ON TABLE consents IS 'generated: what a customer answered about marketing, each answer a row; the newest holds';

CREATE TABLE orders (
    order_number text,
    customer_number text,
    store_number text,
    channel text,
    currency text,
    ordered_at timestamptz,
    updated_at timestamptz
);
COMMENT ON TABLE orders IS 'One row per basket.';
COMMENT ON COLUMN orders.channel IS 'generated: web for two of five baskets of a quarter of the households, till otherwise';
COMMENT ON COLUMN orders.currency IS 'generated: USD, for every basket';
COMMENT ON COLUMN orders.updated_at IS 'generated: the stamp of the order';

CREATE TABLE exchange_rates (
    currency text,
    rate numeric,
    quoted_at timestamptz
);
COMMENT ON TABLE exchange_rates IS 'Empty: the demo shop takes dollars.';

CREATE TABLE order_lines (
    order_number text,
    line_number integer,
    product_number text,
    quantity numeric,
    sales_value numeric,
    retail_discount numeric,
    coupon_discount numeric,
    coupon_match_discount numeric,
    ordered_at timestamptz
);
COMMENT ON TABLE order_lines IS 'One row per product of a basket.';
COMMENT ON COLUMN order_lines.line_number IS 'Position within the basket, in the order of the source.';

CREATE TABLE events (
    event_id bigint PRIMARY KEY,
    customer_number text,
    product_number text,
    event_type text,
    occurred_at timestamptz
);
COMMENT ON TABLE events IS 'generated: browse, cart, follow and wishlist events, each following from purchases made before it';

CREATE TABLE reviews (
    review_id bigint PRIMARY KEY,
    customer_number text,
    product_number text,
    rating integer,
    body text,
    written_at timestamptz
);
COMMENT ON TABLE reviews IS 'generated: ratings and a sentence or two by customers who had bought the product';

CREATE TABLE stock_levels (
    region text,
    product_number text,
    on_hand numeric,
    on_order numeric,
    counted_at timestamptz
);
COMMENT ON TABLE stock_levels IS 'generated: a weekly count per region of the products that sold there in the four weeks before it';

CREATE TABLE campaigns (
    campaign_number text PRIMARY KEY,
    campaign_type text,
    starts_on date,
    ends_on date,
    updated_at timestamptz
);
COMMENT ON TABLE campaigns IS 'One row per campaign; some end after the last order.';
COMMENT ON COLUMN campaigns.updated_at IS 'generated: two weeks before the start, and no earlier than the shop''s first day';

CREATE TABLE exposures (
    campaign_number text,
    customer_number text,
    exposed_at timestamptz
);
COMMENT ON TABLE exposures IS 'One row per household that a campaign was sent to.';
COMMENT ON COLUMN exposures.exposed_at IS 'generated: the morning of the campaign''s first day, and no earlier than the shop''s';

CREATE TABLE coupons (
    coupon_row bigint PRIMARY KEY,
    coupon_upc text,
    product_number text,
    campaign_number text,
    updated_at timestamptz
);
COMMENT ON TABLE coupons IS 'One row per coupon, campaign and product it is good for; 4,872 rows stand twice, as in the source.';
COMMENT ON COLUMN coupons.coupon_row IS 'generated: the row''s number in the source';
COMMENT ON COLUMN coupons.updated_at IS 'generated: two weeks before the campaign''s start, and no earlier than the shop''s first day';

CREATE TABLE redemptions (
    redemption_id bigint PRIMARY KEY,
    coupon_upc text,
    campaign_number text,
    customer_number text,
    redeemed_at timestamptz
);
COMMENT ON TABLE redemptions IS 'One row per coupon redeemed.';
COMMENT ON COLUMN redemptions.redemption_id IS 'generated: the row''s number in the source';
COMMENT ON COLUMN redemptions.redeemed_at IS 'The source''s day at the time of the household''s basket of that day.';

CREATE TABLE promotions (
    product_number text,
    starts_on date,
    mailer_location text,
    stores_in_mailer numeric,
    updated_at timestamptz,
    PRIMARY KEY (product_number, starts_on)
);
COMMENT ON TABLE promotions IS 'One row per product and week with the product in the weekly mailer of any store: 20.9 million rows of product, store and week, added up. Displays in the store are left out.';
COMMENT ON COLUMN promotions.starts_on IS 'The week''s Monday.';
COMMENT ON COLUMN promotions.mailer_location IS 'Where in the mailer, in most stores: A interior page feature, C interior page line item, D front page, F back page, H wrap front, J wrap interior coupon, L wrap back, P interior page coupon, X free on interior page, Z free on front, back or wrap.';
COMMENT ON COLUMN promotions.stores_in_mailer IS 'Share of the stores whose mailer had it.';
COMMENT ON COLUMN promotions.updated_at IS 'generated: eight weeks before the week, when the mailer is planned, and no earlier than the shop''s first day';

CREATE TABLE accounts (
    account_number text PRIMARY KEY,
    system text,
    customer_number text,
    first_name text,
    last_name text,
    email text,
    phone text,
    loyalty_number text,
    handle text,
    email_verified boolean,
    updated_at timestamptz
);
COMMENT ON TABLE accounts IS 'generated: the accounts by which a household is met: its loyalty card (the household''s own number), and perhaps a web account (W...), a till account (T...) and a social one (S...)';

CREATE TABLE deliveries (
    delivery_number text PRIMARY KEY,
    order_number text,
    customer_number text,
    carrier text,
    status text,
    promised_at timestamptz,
    delivered_at timestamptz
);
COMMENT ON TABLE deliveries IS 'generated: how each web order reached its household: promised for two days later, late in one case of six';

CREATE TABLE returns (
    return_number text PRIMARY KEY,
    order_number text,
    product_number text,
    customer_number text,
    quantity numeric,
    refund numeric,
    reason text,
    returned_at timestamptz,
    currency text
);
COMMENT ON TABLE returns IS 'generated: nine of a thousand order lines come back within three weeks, whole or in part';
COMMENT ON COLUMN returns.currency IS 'Empty: that of the order.';

CREATE TABLE mentions (
    mention_id bigint PRIMARY KEY,
    network text,
    handle text,
    product_number text,
    body text,
    posted_at timestamptz
);
COMMENT ON TABLE mentions IS 'generated: what is said of the shop and its products on social networks, days after a purchase; a third of the handles belongs to an account that the shop knows';

CREATE TABLE member_events (
    event_number text PRIMARY KEY,
    name text,
    region text,
    starts_on date,
    ends_on date,
    cancelled boolean,
    updated_at timestamptz
);
COMMENT ON TABLE member_events IS 'generated: events that members are invited to; without a region, in every store';

CREATE TABLE warehouses (
    warehouse_number text,
    name text,
    region text,
    serves boolean,
    updated_at timestamptz
);
COMMENT ON TABLE warehouses IS 'Empty: the demo shop keeps its stock in its stores.';

CREATE TABLE demo_shop_load (
    edition text PRIMARY KEY,
    loaded_rows jsonb NOT NULL
);
COMMENT ON TABLE demo_shop_load IS 'Written last, in the transaction that loads the shop: where its row stands, the load is complete.';
