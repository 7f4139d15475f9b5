-- Why a stopped sandbox was stopped, as JSON text: one that sleeps is woken by a request for its preview.
ALTER TABLE sandbox ADD COLUMN stop_reason TEXT;
-- Until when nothing but a person or its lease stops it, in microseconds since 1970.
ALTER TABLE sandbox ADD COLUMN keepalive_until INTEGER;
