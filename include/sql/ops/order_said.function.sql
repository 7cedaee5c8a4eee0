-- The number of an order, or its store, as a till said it, without blanks around; an error where it is none
-- or longer than any is. Nothing stays nothing.
CREATE FUNCTION ops.order_said(said text) RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bare CONSTANT text := btrim(order_said.said);
BEGIN
    IF length(bare) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'Expected an order number (and a store) of 1 to 200 characters, found %.', length(bare)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN bare;
END;
$$;
