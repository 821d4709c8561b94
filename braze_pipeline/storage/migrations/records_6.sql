-- Predicted value (`predicted_value`): each fit, for good, and the predictions of those that are still needed.
-- Before, predictions were always a source table of the brand's, so there is nothing to take over.
CREATE TABLE records.predicted_value_fits (
    destination VARCHAR NOT NULL,       -- its templates share orders, and so fits
    horizon_days INTEGER NOT NULL,      -- how far ahead the value is for
    as_of DATE NOT NULL,                -- the day of the refit: orders up to its end were used
    fit_id VARCHAR NOT NULL,            -- from data, parameters and method: the same again, if they are
    published VARCHAR,                  -- the candidate whose values are used; NULL: refused
    made_at TIMESTAMP NOT NULL,
    predicted_at TIMESTAMP,             -- when its predictions were stored; NULL: none are stored
    bands JSON,                         -- the bands that these were put into; NULL: none
    fit JSON NOT NULL                   -- parameters, range of the data, backtest, why it was refused
);

CREATE TABLE records.predictions (
    destination VARCHAR NOT NULL,
    horizon_days INTEGER NOT NULL,
    predicted_on DATE NOT NULL,         -- the day of the refit
    customer_id VARCHAR NOT NULL,
    predicted_clv DOUBLE,               -- the value expected in the days ahead, by the published candidate
    expected_orders DOUBLE,             -- this and the next two by the model; NULL where it did not fit
    expected_order_value DOUBLE,
    probability_active DOUBLE,
    predicted_band VARCHAR,             -- by `bands`; NULL: there are none
    fit_id VARCHAR NOT NULL
);
